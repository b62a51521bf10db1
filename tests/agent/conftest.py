"""A line server that keeps what it is sent, and can be made to fail; hardware whose readings are numbered."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from hardpoint.agent import AgentSettings
from hardpoint.agent.agent import Agent
from hardpoint.agent.backoff import Backoff
from hardpoint.agent.spool import Spool
from hardpoint.hardware.base import Driver
from hardpoint.hardware.mount import Mount
from hardpoint.wire import lines

TOKEN = "hp_good"


class Numbered(Driver):
    """Each round one reading more: 1, 2, 3 …"""

    name = "numbered"

    def __init__(self):
        self._count = itertools.count(1)

    def probe(self):
        return None

    def read(self):
        yield "n", next(self._count)


class Connection(asyncio.Protocol):
    def __init__(self, server):
        self.server = server
        self.decoder = lines.LineDecoder()

    def connection_made(self, transport):
        self.transport = transport
        self.server.connections.add(self)
        self.server.accepted += 1
        transport.write(lines.encode_greeting("9.9.9"))

    def data_received(self, data):
        for event in self.decoder.receive(data):
            self.server.handle(self, *event)
        self.server.changed.set()

    def connection_lost(self, exc):
        self.server.connections.discard(self)
        self.server.changed.set()


class LineServer:
    """``refuse`` maps a round's number to the answer's error, or to None for silence; without it: OK and stored."""

    def __init__(self):
        self.rows = []  # (ts, n) in the order in which they were acknowledged
        self.seen = []  # every n that came, acknowledged or not
        self.answers = []
        self.verbs = []
        self.refuse = lambda n: ""
        self.time_ms = 0
        self.connections = set()
        self.accepted = 0
        self.port = 0
        self.changed = asyncio.Event()
        self._listener = None

    def handle(self, connection, kind, tag, *rest):
        write = connection.transport.write
        if kind == lines.HELLO:
            write(lines.encode_text(tag, "OK box" if rest[0] == TOKEN else "ERR unauthorized wrong token"))
        elif kind == lines.READINGS:
            [(ts, _, n)] = rest[0]
            self.seen.append(n)
            error = self.refuse(n)
            if error == "":
                self.rows.append((ts, n))
                write(lines.encode_ok(tag, 1))
            elif error is not None:
                write(lines.encode_text(tag, f"ERR {error}"))
        elif kind == lines.ANSWER:
            self.answers.append(rest)
        elif kind == lines.BAD:
            write(lines.encode_error(tag, rest[0]))
        elif kind == lines.VERB:
            self.verbs.append(rest[0])
            answer = {"TIME": f"TIME {self.time_ms}", "PING": "PONG", "QUIT": "BYE"}[rest[0]]
            write(lines.encode_text(tag, answer))
        else:
            raise AssertionError(rest)

    async def start(self):
        """Listens, the second time on the port it had the first time."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: Connection(self), "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def stop(self):
        """Gone without a goodbye, as after kill -9."""
        self._listener.close()
        for connection in list(self.connections):
            connection.transport.abort()
        await self.until(lambda: not self.connections)
        await self._listener.wait_closed()

    def send(self, text):
        for connection in self.connections:
            connection.transport.write(text.encode() + b"\n")

    async def until(self, condition):
        while not condition():
            self.changed.clear()
            await self.changed.wait()

    @property
    def numbers(self):
        return [n for _, n in self.rows]


@pytest.fixture
def make_server():
    return LineServer


@pytest.fixture
def make_agent(tmp_path):
    """``make_agent(port, …)``: an agent that measures every few ms and does not wait between its tries."""

    def make(port, *, mount=None, **settings):
        told = AgentSettings(
            **({"host": "127.0.0.1", "port": port, "token": TOKEN, "data": tmp_path, "interval_s": 0.003} | settings)
        )
        clock = itertools.count(1_732_320_000_000, 1000)
        return Agent(
            told,
            mount or Mount({"numbered": Numbered}),
            Spool(tmp_path, told.max_spool_bytes),
            now_ms=lambda: next(clock),
            backoff=Backoff(lambda: -0.999),  # of 2, 4, 8 … s takes nearly all off
        )

    return make


@pytest.fixture
def running(make_server, make_agent):
    """``async with running() as (server, agent)``: both up, and both ended after it."""

    class Running:
        def __init__(self, **settings):
            self.settings = settings

        async def __aenter__(self):
            self.server = make_server()
            await self.server.start()
            self.agent = make_agent(self.server.port, **self.settings)
            self.task = asyncio.ensure_future(self.agent.run())
            return self.server, self.agent

        async def __aexit__(self, *exc):
            self.agent.stop()
            await self.task
            await self.server.stop()

    return Running
