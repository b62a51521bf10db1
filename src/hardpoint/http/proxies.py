"""Who is asking, when a proxy of ours stands between: addresses, scheme and host from the proxies that were named."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ConfigError

if TYPE_CHECKING:
    from ..wire.forwarded import Hop
    from ..wire.http1 import Headers


class Origin(NamedTuple):
    """Where a request comes from, as far as it can be trusted."""

    peer: str
    """``ip:port`` or ``[ip6]:port``, with port 0 where none is told; ``unix``, or empty."""
    scheme: str | None
    """``http`` or ``https`` as the client used it; None where no proxy says so."""
    host: str | None
    """The host the client asked for; None where no proxy says so."""


class TrustedProxies:
    """The proxies whose word counts: addresses and networks (``10.0.0.0/8``, ``::1``), or ``unix`` for a proxy that
    comes over a Unix socket.

    Of the chain that the fields tell, the client is the nearest address that is no proxy of ours. Everything further
    away was written by that client.
    """

    def __init__(self, proxies: Iterable[str]) -> None:
        """Read the names.

        Raises:
            ConfigError: one is neither an address nor a network.
        """
        names = list(proxies)
        self.unix = "unix" in names
        try:
            self._networks = [ip_network(name, strict=False) for name in names if name != "unix"]
        except ValueError as error:
            raise ConfigError(f"trusted_proxies: {error}") from None

    def __bool__(self) -> bool:
        return self.unix or bool(self._networks)

    def trusts(self, address: IPv4Address | IPv6Address | None) -> bool:
        """Whether this is one of them."""
        if address is None:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks if network.version == address.version)

    def trusts_peer(self, name: object) -> bool:
        """The same of a socket's peer name; a Unix socket's is text."""
        if isinstance(name, str | bytes):
            return self.unix
        return self.trusts(peer_address(name))

    def origin(self, peer: str, headers: Headers) -> Origin:
        """Where a request comes from that one of them has sent, by its fields: ``Forwarded``, or ``X-Forwarded-For``
        and its like. Where both are there and name different clients, neither is believed: a proxy writes one of them
        and passes the other on as the client wrote it, and which is which nobody can tell.
        """
        from ..wire.forwarded import parse_forwarded, parse_x_forwarded  # 1 ms, and few servers have a proxy in front

        joined = headers.joined
        if "forwarded" not in joined and "x-forwarded-for" not in joined:
            return Origin(peer, None, None)
        found = []
        if "forwarded" in joined:
            found.append(self._follow(peer, parse_forwarded(joined["forwarded"])))
        if "x-forwarded-for" in joined:
            schemes, hosts = joined.get("x-forwarded-proto", ""), joined.get("x-forwarded-host", "")
            found.append(self._follow(peer, parse_x_forwarded(joined["x-forwarded-for"], schemes, hosts)))
        if len({origin.peer.rpartition(":")[0] for origin in found}) > 1:
            return Origin(peer, None, None)
        return found[0]

    def _follow(self, peer: str, hops: list[Hop]) -> Origin:
        """The end of a chain of hops, as far as it is of our own proxies."""
        scheme = host = None
        for hop in reversed(hops):
            scheme, host = hop.scheme or scheme, hop.host or host
            if hop.address is None:  # the proxy hides whom it speaks for; nothing behind it can be told
                break
            peer = format_peer(hop.address, hop.port)
            if not self.trusts(hop.address):
                break
        return Origin(peer, scheme, host)


def peer_address(name: object) -> IPv4Address | IPv6Address | None:
    """The address of a socket's peer name; None when it has none."""
    if not isinstance(name, tuple) or not name:
        return None
    try:
        return ip_address(str(name[0]).partition("%")[0])  # a link-local address has its interface behind a %
    except ValueError:
        return None


def format_peer(address: IPv4Address | IPv6Address, port: int | None) -> str:
    """As `HttpConnection.peer` writes it."""
    return f"[{address}]:{port or 0}" if address.version == 6 else f"{address}:{port or 0}"
