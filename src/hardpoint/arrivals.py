"""What happens to a connection before anybody speaks on it, the same for every dialect: a proxy says for whom it
connects, and an address that has too many connections gets no more.

::

    arrivals = Arrivals(max_per_address=100, trusts=TrustedProxies(["10.0.0.5"]).trusts_peer)
    await loop.create_server(arrivals.before(HttpServer(app), proxy_protocol=True), host, port)

The PROXY header comes before everything else, a TLS handshake included, so it is read here and by nobody behind. It is
read of named proxies only: anybody else could pretend to be anybody. What follows sees the client's address where it
would see the proxy's, on a transport that tells it.

Connections are counted by address, IPv6 by its /64, which is the least that one customer is given (RFC 6177). Three
kinds are not counted: those of the machine itself, because a tunnel or a proxy that nobody named stands for many
clients there; those of named proxies, for the same reason, unless a PROXY header tells the client; and those of a Unix
socket. How a connection ends is the business of whoever got it, over several hands at times. So what is counted are
weak references to transports: a connection counts until its transport is gone.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import weakref
from collections import Counter
from collections.abc import Callable, Sized
from typing import TYPE_CHECKING, Any, Protocol, cast

from .errors import PeerError
from .rarely import Rarely

if TYPE_CHECKING:
    from .wire.forwarded import ProxyHeader

logger = logging.getLogger("hardpoint.listeners")

MAX_PER_ADDRESS = 2_000
"""A tenth of what each dialect takes by default: a school or a plant behind one address fits, and one client that
gathers connections leaves room for the others."""
HEADER_S = 10.0
"""How long a proxy may take for its header; it sends that together with the handshake of TCP."""

_LINK_LOCAL = b"\xfe\x80"
_MAPPED = bytes(10) + b"\xff\xff"
_LOOPBACK = bytes(15) + b"\x01"


class Dialect(Protocol):
    """Who gets the connections of a listener."""

    def __call__(self) -> asyncio.Protocol:
        """The protocol of one new connection."""
        ...

    @property
    def connections(self) -> Sized:
        """Those that are open."""
        ...

    def refusing(self, message: str) -> asyncio.Protocol:
        """The protocol of a connection that is not let in: it says so in its own words, and closes."""
        ...


class LastWords(asyncio.Protocol):
    """Says something and closes."""

    def __init__(self, words: bytes) -> None:
        self._words = words

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody is there, and not for long."""
        wire = cast("asyncio.Transport", transport)
        if self._words:
            wire.write(self._words)
        wire.close()


class Arrivals:
    """Whose connections are open, on all listeners together."""

    def __init__(
        self,
        *,
        max_per_address: int = MAX_PER_ADDRESS,
        trusts: Callable[[object], bool] | None = None,
        header_s: float = HEADER_S,
    ) -> None:
        """``trusts`` tells of a socket's peer name whether it is a proxy of ours."""
        self.max_per_address = max_per_address
        """One more is told so and closed. 0: no limit, and nothing is counted."""
        self.trusts = trusts
        self.header_s = header_s
        self.refused = Counter[str]()
        """Connections that were not let in: ``address``, ``proxy-header``, ``proxy-timeout``."""
        self.rarely = Rarely(logger)
        self._held: dict[bytes, list[_Held]] = {}

    def before(self, dialect: Dialect, *, proxy_protocol: bool = False) -> Entrance:
        """The protocol factory of a listener of that dialect. ``proxy_protocol``: proxies of ours begin each connection
        with a PROXY header, version 1 or 2; one that does not is cut, because the specification forbids to guess.
        """
        return Entrance(self, dialect, proxy_protocol=proxy_protocol and self.trusts is not None)

    def count(self, host: str) -> int:
        """How many connections of that address (or its /64) are open."""
        key = _key(host)
        return 0 if key is None else len(self._open(key))

    def takes(self, transport: asyncio.BaseTransport, name: object) -> bool:
        """Count a connection of that peer name in. False: its address has as many as it may."""
        if not self.max_per_address or not isinstance(name, tuple):
            return True
        key = _key(str(name[0]))
        if key is None:
            return True
        held = self._held.get(key)
        if held is not None and len(held) >= self.max_per_address:
            held = self._open(key)
            if len(held) >= self.max_per_address:
                self.refused["address"] += 1
                self.rarely.warn("%s has %d connections: more are refused (limits.max_connections_per_address)",
                                 name[0], len(held))  # fmt: skip
                return False
        reference = _Held(transport, self._gone)
        reference.key = key
        if held:
            held.append(reference)
        else:
            self._held[key] = [reference]
        return True

    def _open(self, key: bytes) -> list[_Held]:
        """Those of that address, without what is closing and only waits to be collected."""
        held = self._held.get(key, [])
        held[:] = [each for each in held if (transport := each()) is not None and not transport.is_closing()]
        if not held:
            self._held.pop(key, None)
        return held

    def _gone(self, reference: weakref.ref[asyncio.BaseTransport]) -> None:
        key = cast("_Held", reference).key
        held = self._held.get(key)
        if held is not None:
            held.remove(cast("_Held", reference))
            if not held:
                del self._held[key]


class Entrance:
    """The protocol factory of one listener. Made by `Arrivals.before`."""

    def __init__(self, arrivals: Arrivals, dialect: Dialect, *, proxy_protocol: bool) -> None:
        self.arrivals = arrivals
        self.dialect = dialect
        self.proxy_protocol = proxy_protocol
        self.waiting: set[Arrival] = set()
        """Proxies that have not sent their header yet."""

    def __call__(self) -> Arrival:
        """The protocol of one new connection."""
        return Arrival(self)

    def close(self) -> None:
        """The listener takes nobody more: cut who is still at the door."""
        for arrival in list(self.waiting):
            arrival.abort()


class Arrival(asyncio.Protocol):
    """One connection until its address is known and has room. Mostly that is at once, in `connection_made`."""

    __slots__ = ("_entrance", "_received", "_timer", "_transport")

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has connected: a client, or a proxy for one."""
        self._transport = cast("asyncio.Transport", transport)
        entrance = self._entrance
        trusts = entrance.arrivals.trusts
        name = transport.get_extra_info("peername")
        if trusts is None or not trusts(name):
            self._enter(self._transport, name, counted=True)
        elif not entrance.proxy_protocol:
            self._enter(self._transport, name, counted=False)
        else:
            entrance.waiting.add(self)
            seconds = entrance.arrivals.header_s
            self._timer = asyncio.get_running_loop().call_later(seconds, self._refuse, "proxy-timeout")

    def data_received(self, data: bytes) -> None:
        """The PROXY header, whole or in part, and what follows it: no more than one read is kept."""
        from .wire.forwarded import parse_proxy_header  # 1 ms, and few servers stand behind such a proxy

        self._received += data
        try:
            header = parse_proxy_header(self._received)
        except PeerError as error:
            self._refuse("proxy-header", error.message)
            return
        if header is not None:
            self._leave()
            self._follow(header)

    def _follow(self, header: ProxyHeader) -> None:
        """The header is whole: its client has connected."""
        transport, rest = self._transport, self._received[header.size_bytes :]
        assert transport is not None
        if header.address is None:  # the proxy's own connection, to see whether we live
            protocol = self._enter(transport, None, counted=False)
        else:
            name = (str(header.address), header.port)
            told = cast("asyncio.Transport", ToldTransport(transport, name))
            trusts = self._entrance.arrivals.trusts
            # A proxy behind a proxy: the clients that it speaks for are told in the fields of its requests.
            protocol = self._enter(told, name, counted=not (trusts and trusts(name)))
        if rest and not transport.is_closing():
            protocol.data_received(rest)

    def _enter(self, transport: asyncio.Transport, name: object, *, counted: bool) -> asyncio.Protocol:
        """Put the dialect's protocol in our place, as if it had been there from the beginning."""
        entrance, under = self._entrance, self._transport
        assert under is not None
        arrivals, dialect = entrance.arrivals, entrance.dialect
        if counted and not arrivals.takes(under, name):
            protocol = dialect.refusing(f"limits.max_connections_per_address ({arrivals.max_per_address}) is reached")
        else:
            protocol = dialect()
        under.set_protocol(protocol)
        protocol.connection_made(transport)
        return protocol

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone before it had said for whom it came."""
        self._leave()

    def abort(self) -> None:
        """Cut the connection."""
        self._leave()
        if self._transport is not None:
            self._transport.abort()

    def _refuse(self, reason: str, message: str = "no PROXY header came") -> None:
        arrivals = self._entrance.arrivals
        arrivals.refused[reason] += 1
        name = self._transport.get_extra_info("peername") if self._transport is not None else None
        arrivals.rarely.warn("the proxy %s: %s", name[0] if name else "that was here", message)
        self.abort()

    def _leave(self) -> None:
        self._entrance.waiting.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class ToldTransport:
    """A transport whose peer is the client that a PROXY header tells. All else is the transport's own; so `write`,
    which is most of the calls, takes no step more.
    """

    __slots__ = ("__weakref__", "_name", "_under", "write")

    def __init__(self, under: asyncio.Transport, name: tuple[str, int]) -> None:
        self._under = under
        self._name = name
        self.write = under.write

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """``peername`` as told; everything else as it is."""
        return self._name if name == "peername" else self._under.get_extra_info(name, default)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._under, name)


class _Held(weakref.ref[asyncio.BaseTransport]):
    """A connection that counts, and for whom."""

    __slots__ = ("key",)

    key: bytes


def _key(host: str) -> bytes | None:
    """What an address is counted by; None for one that is not counted."""
    try:
        if ":" not in host:
            packed = socket.inet_pton(socket.AF_INET, host)
        else:
            packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])  # behind it, the link's interface
            if packed.startswith(_MAPPED):
                packed = packed[12:]
    except OSError:
        return None
    if packed == _LOOPBACK or (len(packed) == 4 and packed[0] == 127):
        return None
    if len(packed) == 4 or packed.startswith(_LINK_LOCAL):  # a whole LAN has one link-local /64
        return packed
    return packed[:8]
