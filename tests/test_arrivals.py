"""Before anybody speaks: PROXY headers of named proxies, and how many connections an address may have."""

from __future__ import annotations

import asyncio
import gc
import logging
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from hardpoint import Server
from hardpoint.arrivals import Arrivals, LastWords
from hardpoint.http import TrustedProxies
from hardpoint.testing import MemoryTransport

LINE = b"PROXY TCP4 203.0.113.9 10.0.0.1 5000 80\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x21, 0x11, 0, 12]) + bytes([203, 0, 113, 9, 10, 0, 0, 1]) + b"\x13\x88\0P"
ALIVE = b"PROXY UNKNOWN\r\n"
PROXIES = TrustedProxies(["10.0.0.1", "127.0.0.1"])


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0)


class Spoken(asyncio.Protocol):
    """Notes what it is told."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.peer = transport.get_extra_info("peername")
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data


class Speaker:
    """A dialect."""

    def __init__(self) -> None:
        self.made: list[Spoken] = []
        self.connections: list[Spoken] = []

    def __call__(self) -> Spoken:
        self.made.append(Spoken())
        return self.made[-1]

    def refusing(self, message: str) -> asyncio.Protocol:
        return LastWords(f"no: {message}\n".encode())


class TestAddresses:
    @pytest.fixture
    def arrivals(self) -> Arrivals:
        return Arrivals(max_per_address=2, trusts=PROXIES.trusts_peer)

    def open(self, arrivals: Arrivals, name: object) -> MemoryTransport:
        return MemoryTransport(arrivals.before(Speaker())(), peername=name)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("first", "second", "together"),
        [
            ("198.51.100.1", "198.51.100.1", True),
            ("198.51.100.1", "198.51.100.2", False),
            ("198.51.100.1", "::ffff:198.51.100.1", True),
            ("2001:db8:1:1::1", "2001:db8:1:1:ffff::2", True),
            ("2001:db8:1:1::1", "2001:db8:1:2::1", False),
            ("fe80::1%eth0", "fe80::2%eth0", False),
            ("fe80::1%eth0", "fe80::1%eth0", True),
        ],
    )
    def test_who_counts_together(self, anyrun, arrivals: Arrivals, first: str, second: str, together: bool) -> None:
        async def check() -> None:
            kept = [self.open(arrivals, (first, 1)), self.open(arrivals, (first, 2))]
            assert arrivals.count(first) == 2
            assert self.open(arrivals, (second, 3)).is_closing() == together
            assert arrivals.refused == ({"address": 1} if together else {})
            assert not any(each.is_closing() for each in kept)

        anyrun(check())

    @pytest.mark.parametrize("name", [("127.0.0.1", 1), ("::1", 1), ("::ffff:127.0.0.2", 1), ("10.0.0.1", 1), "", None])
    def test_who_does_not_count(self, anyrun, arrivals: Arrivals, name: object) -> None:
        """This machine, a named proxy, a Unix socket, and somebody who is gone already."""

        async def check() -> None:
            kept = [self.open(arrivals, name) for _ in range(5)]
            assert not any(each.is_closing() for each in kept)

        anyrun(check())

    def test_no_limit(self, anyrun) -> None:
        async def check() -> None:
            arrivals = Arrivals(max_per_address=0)
            kept = [self.open(arrivals, ("198.51.100.1", port)) for port in range(9)]
            assert not any(each.is_closing() for each in kept)
            assert arrivals.count("198.51.100.1") == 0

        anyrun(check())

    def test_what_is_told_and_logged(self, anyrun, arrivals: Arrivals, caplog) -> None:
        async def check() -> None:
            kept = [self.open(arrivals, ("198.51.100.1", port)) for port in range(4)]
            assert [each.take() for each in kept] == [
                b"",
                b"",
                *[b"no: limits.max_connections_per_address (2) is reached\n"] * 2,
            ]

        with caplog.at_level(logging.WARNING):
            anyrun(check())
        assert [record.getMessage() for record in caplog.records] == [
            "198.51.100.1 has 2 connections: more are refused (limits.max_connections_per_address)"
        ]

    def test_a_place_is_free_when_a_connection_ends(self, anyrun, arrivals: Arrivals) -> None:
        async def check() -> None:
            first = self.open(arrivals, ("198.51.100.1", 1))
            second = self.open(arrivals, ("198.51.100.1", 2))
            first.close()  # counts no more, though somebody holds it still
            third = self.open(arrivals, ("198.51.100.1", 3))
            assert not third.is_closing()
            assert arrivals.count("198.51.100.1") == 2
            for each in (first, second, third):
                each.abort()
            await asyncio.sleep(0)
            assert arrivals.count("198.51.100.1") == 0

        anyrun(check())

    def test_nothing_is_kept_of_an_address_that_is_gone(self, anyrun, arrivals: Arrivals) -> None:
        async def check() -> None:
            for number in range(1, 4):
                self.open(arrivals, (f"198.51.100.{number}", 1)).abort()
            kept = [self.open(arrivals, ("198.51.100.7", 1)), self.open(arrivals, ("198.51.100.7", 2))]
            await asyncio.sleep(0)
            gc.collect()
            assert [len(each) for each in arrivals._held.values()] == [2]
            assert not any(each.is_closing() for each in kept)

        anyrun(check())


class TestProxyHeader:
    def entrance(self, **given: object):
        arrivals = Arrivals(trusts=PROXIES.trusts_peer, **given)  # type: ignore[arg-type]
        return arrivals.before(Speaker(), proxy_protocol=True)

    @pytest.mark.parametrize("step", [1, 7, 10_000])
    @pytest.mark.parametrize("header", [LINE, V2])
    def test_the_client_takes_the_place_of_the_proxy(self, anyrun, header: bytes, step: int) -> None:
        async def check() -> None:
            entrance = self.entrance()
            transport = MemoryTransport(entrance(), peername=("10.0.0.1", 4000), socket="its socket")
            data = header + b"hello"
            for at in range(0, len(data), step):
                transport.feed(data[at : at + step])
            (spoken,) = entrance.dialect.made
            assert (spoken.peer, spoken.received) == (("203.0.113.9", 5000), b"hello")
            assert spoken.transport.get_extra_info("socket") == "its socket"
            spoken.transport.write(b"there")
            assert transport.take() == b"there"
            spoken.transport.close()
            assert transport.is_closing()
            assert entrance.arrivals.count("203.0.113.9") == 0
            assert not entrance.waiting

        anyrun(check())

    def test_a_client_of_a_proxy_counts(self, anyrun) -> None:
        async def check() -> None:
            entrance = self.entrance(max_per_address=1)
            kept = [MemoryTransport(entrance(), peername=("10.0.0.1", port)) for port in range(4)]
            of_a_proxy = LINE.replace(b"203.0.113.9", b"10.0.0.1")
            for transport, header in zip(kept, (LINE, LINE, of_a_proxy, of_a_proxy), strict=True):
                transport.feed(header)
            assert [each.is_closing() for each in kept] == [False, True, False, False]

        anyrun(check())

    def test_a_proxy_asks_whether_we_live(self, anyrun) -> None:
        async def check() -> None:
            entrance = self.entrance()
            MemoryTransport(entrance(), peername=("10.0.0.1", 4000)).feed(ALIVE)
            assert entrance.dialect.made[0].peer == ("10.0.0.1", 4000)

        anyrun(check())

    def test_from_anybody_else_it_is_no_header(self, anyrun) -> None:
        async def check() -> None:
            entrance = self.entrance()
            MemoryTransport(entrance(), peername=("198.51.100.1", 4000)).feed(LINE)
            (spoken,) = entrance.dialect.made
            assert (spoken.peer, spoken.received) == (("198.51.100.1", 4000), LINE)

        anyrun(check())

    def test_a_proxy_without_one_is_cut(self, anyrun, caplog) -> None:
        async def check() -> None:
            entrance = self.entrance(header_s=0.0)
            liar = MemoryTransport(entrance(), peername=("10.0.0.1", 4000))
            liar.feed(b"GET / HTTP/1.1\r\n")
            silent = MemoryTransport(entrance(), peername=("10.0.0.1", 4001))
            await until(lambda: silent.lost)
            assert (liar.aborted, silent.aborted) == (True, True)
            assert entrance.arrivals.refused == {"proxy-header": 1, "proxy-timeout": 1}
            assert not entrance.dialect.made

        with caplog.at_level(logging.WARNING):
            anyrun(check())
        assert "the proxy 10.0.0.1: a connection from this proxy must begin with a PROXY header" in caplog.text

    def test_the_end_while_it_waits(self, anyrun) -> None:
        async def check() -> None:
            entrance = self.entrance()
            gone = MemoryTransport(entrance(), peername=("10.0.0.1", 4000))
            gone.lose()
            assert not entrance.waiting
            waiting = MemoryTransport(entrance(), peername=("10.0.0.1", 4001))
            entrance.close()
            assert waiting.aborted
            assert not entrance.waiting

        anyrun(check())


# ---- The whole server, on sockets. Behind a PROXY header 127.0.0.1 is whoever it says.

LISTEN = [f"{scheme}://127.0.0.1:0" for scheme in ("line", "http", "mqtt", "any", "lines", "https")]
BYE_TLS = b"\x15\x03\x03\x00\x02\x02\x31"
GET = b"GET /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
CONNECT = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a"


def serving(data: Path, **limits: object) -> Server:
    http = {"trusted_proxies": ["127.0.0.1"], "proxy_protocol": ["line", "http", "mqtt", "any", "lines", "https"]}
    return Server(data=data, listen=LISTEN, host={"enabled": False}, http=http, limits=limits)


async def connect(server: Server, scheme: str, data: bytes = LINE) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.ports[scheme])
    writer.write(data)
    return reader, writer


def test_every_dialect_sees_the_client_behind_a_proxy(run, tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(tmp_path) as server:
            device, token = await server.hub.create_device("greenhouse")
            hello = f"HELLO {token}\n".encode()
            peers = set()
            for scheme in ("line", "any", "lines", "any-tls"):
                reader, writer = await connect(server, scheme.removesuffix("-tls"))
                if scheme in ("lines", "any-tls"):
                    context = ssl.create_default_context(cafile=tmp_path / "tls" / "ca.pem")
                    context.check_hostname = False
                    await writer.start_tls(context)
                writer.write(hello)
                while b"OK greenhouse" not in await reader.readline():
                    pass
                peers |= {session.peer for session in server.hub.catalogue.by_id[device.id].sessions}
                writer.close()
            assert peers == {"203.0.113.9:5000"}

    run(check())


def test_too_many_from_one_address_in_every_dialect(run, tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(tmp_path, max_connections_per_address=1) as server:
            _, first = await connect(server, "line")
            arrivals = server._running.arrivals
            await until(lambda: arrivals.count("203.0.113.9") == 1)
            said = {}
            for name, scheme, data in (
                ("line", "line", b""),
                ("http", "http", GET),
                ("mqtt", "mqtt", CONNECT),
                ("any, line", "any", b"PING\n"),
                ("any, http", "any", GET),
                ("any, silent", "any", b""),
                ("https", "https", b"\x16\x03\x01\x00\x05"),
                ("https, plainly", "https", GET),
            ):
                reader, writer = await connect(server, scheme, LINE + data)
                said[name] = (await reader.read()).split(b"\r\n")[0].strip()
                writer.close()
            wait = b"ERR rate-limited limits.max_connections_per_address (1) is reached"
            no = b"HTTP/1.1 503 Service Unavailable"
            assert said == {
                "line": wait, "http": no, "mqtt": b"", "any, line": wait, "any, http": no, "any, silent": wait,
                "https": BYE_TLS, "https, plainly": no,
            }  # fmt: skip
            assert arrivals.refused == {"address": 8}
            first.close()
            await until(lambda: arrivals.count("203.0.113.9") == 0)
            reader, writer = await connect(server, "http", LINE + GET.replace(b"/api/health", b"/metrics"))
            assert b'hardpoint_arrivals_refused_total{reason="address"} 8.0' in await reader.read()
            writer.close()

    run(check())
