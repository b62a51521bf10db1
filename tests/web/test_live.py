"""The live stream: what a client sees, in order, by its filters, after an absence, and when it does not read."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
import pytest

from hardpoint.hub import live as feed_module
from hardpoint.web import live as live_module
from hardpoint.wire.sse import EventParser
from hub.hubs import NotingSession, until

from .webs import open_web


class Stream:
    """One open event stream, as ``EventSource`` reads it."""

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer
        self._parser = EventParser()
        self._events = []
        self.head = b""

    async def next(self):
        """``(event, data)`` of the next event."""
        while not self._events:
            data = await asyncio.wait_for(self._reader.read(65536), 60)
            if not data:
                raise EOFError
            self._events += self._parser.receive(data)
        event = self._events.pop(0)
        return event.event, msgspec.json.decode(event.data)

    async def until_id(self):
        """Read on until the stream has given an id behind what was shown; that id."""
        before = self._parser.last_id
        while self._parser.last_id == before:
            self._events += self._parser.receive(await asyncio.wait_for(self._reader.read(65536), 60))
        return self._parser.last_id

    async def ended(self):
        with contextlib.suppress(ConnectionError):
            while await asyncio.wait_for(self._reader.read(65536), 60):
                pass

    def close(self):
        self._writer.close()


@contextlib.asynccontextmanager
async def streaming(**settings):
    """The hub, the web side, and ``listen(query, last_id)`` of a program that may view."""
    async with open_web(**settings) as web:
        viewer = await web.as_role("viewer")
        streams = []

        async def listen(query="", last_id=None, status=b"200"):
            reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
            stream = Stream(reader, writer)
            streams.append(stream)
            resume = f"Last-Event-ID: {last_id}\r\n" if last_id is not None else ""
            authorization = viewer.headers["Authorization"]
            writer.write(
                f"GET /api/live{query} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n{resume}\r\n".encode()
            )
            stream.head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
            assert stream.head.split()[1] == status
            return stream

        try:
            yield web.hub, web.app.live, listen
        finally:
            for stream in streams:
                stream.close()


async def device_with_session(hub, name="dev"):
    device, _ = await hub.create_device(name)
    session = NotingSession()
    hub.attach(session, device)
    return device, session


def ingest(hub, session, *samples):
    hub.ingest(session, session.device, samples, None)
    return hub.commits.durable()


def test_everything_that_happens_is_an_event(run):
    async def scene():
        async with streaming() as (hub, _, listen):
            stream = await listen()
            assert b"Content-Type: text/event-stream" in stream.head
            assert b"Cache-Control: no-store" in stream.head
            assert await stream.next() == ("hello", {})
            device, _ = await hub.create_device("dev")
            session = NotingSession()
            hub.attach(session, device)
            # The device as it is when the tick looks: attached, though it was added before that.
            assert await stream.next() == ("device", {"action": "added", "device": hub.describe(device)})
            kind, data = await stream.next()
            assert (kind, data["presence"]["connected"]["dialect"]) == ("presence", "test")
            await ingest(hub, session, (5, "a", 1), (5, "b", True))
            assert await stream.next() == ("reading", {"device": "dev", "readings": [["a", 5, 1], ["b", 5, True]]})
            command = await hub.ledger.queue(device, "go", 7)
            assert [(await stream.next())[1]["state"] for _ in range(2)] == ["queued", "sent"]
            hub.answer(device, command.id, True, "ok")
            kind, data = await stream.next()
            assert (kind, data["state"], data["result"]) == ("command", "done", "ok")
            await hub.change_device(device, {"name": "new name"})
            kind, data = await stream.next()
            assert (kind, data["action"], data["device"]["name"]) == ("device", "changed", "new name")
            await hub.remove_device(device)
            assert await stream.next() == ("device", {"action": "removed", "device": {"id": "dev"}})

    run(scene())


def test_filters(anyrun):
    async def scene():
        async with streaming() as (hub, _, listen):
            _, one = await device_with_session(hub, "one")
            _, two = await device_with_session(hub, "Two")
            everything, first = await listen(), await listen("?device=one")
            key, both = await listen("?key=b"), await listen("?device=Two&device=one&key=a")
            streams = (everything, first, key, both)
            for stream in streams:
                assert (await stream.next())[0] == "hello"
            ingest(hub, one, (1, "a", 1), (1, "b", 2))
            await ingest(hub, two, (1, "c", 3))
            hub.detach(one)
            seen = {"one": [["a", 1, 1], ["b", 1, 2]], "two": [["c", 1, 3]]}
            for stream, expected in (
                (everything, [("one", seen["one"]), ("two", seen["two"])]),
                (first, [("one", seen["one"])]),
                (key, [("one", [["b", 1, 2]])]),
                (both, [("one", [["a", 1, 1]])]),
            ):
                for device, readings in expected:
                    assert await stream.next() == ("reading", {"device": device, "readings": readings})
                kind, data = await stream.next()
                assert (kind, data["device"]) == ("presence", "one")

    anyrun(scene())


class TestResuming:
    def test_shows_what_was_missed_and_nothing_twice(self, anyrun):
        async def scene():
            async with streaming() as (hub, live, listen):
                _, session = await device_with_session(hub)
                stream = await listen()
                await stream.next()
                await ingest(hub, session, (1, "a", 1))
                last_id = await stream.until_id()
                stream.close()
                await ingest(hub, session, (2, "a", 2))
                await ingest(hub, session, (3, "a", 3))
                for again in (await listen(last_id=last_id), await listen(f"?last_event_id={last_id}")):
                    assert await again.next() == ("reading", {"device": "dev", "readings": [["a", 2, 2], ["a", 3, 3]]})
                await ingest(hub, session, (4, "a", 4))
                assert await again.next() == ("reading", {"device": "dev", "readings": [["a", 4, 4]]})
                up_to_date = await listen(last_id=f"{live._boot}-{hub.live.number}")
                assert await up_to_date.next() == ("hello", {})

        anyrun(scene())

    @pytest.mark.parametrize(
        "last_id", ["", "x", "other-5", "{boot}-", "{boot}-x", "{boot}--1", "{boot}-999999", "{boot}-" + "9" * 5000]
    )
    def test_from_where_nothing_is_known_begins_anew(self, anyrun, last_id):
        async def scene():
            async with streaming() as (hub, live, listen):
                await device_with_session(hub)
                stream = await listen(last_id=last_id.format(boot=live._boot))
                assert await stream.next() == ("reset" if last_id else "hello", {})

        anyrun(scene())

    def test_after_too_long_an_absence_begins_anew(self, anyrun, monkeypatch):
        monkeypatch.setattr(feed_module, "MAX_ENTRIES", 3)

        async def scene():
            async with streaming() as (hub, _, listen):
                _, session = await device_with_session(hub)
                stream = await listen()
                await stream.next()
                last_id = stream._parser.last_id
                for n in range(5):
                    await ingest(hub, session, (n, "a", n))
                again = await listen(last_id=last_id)
                assert await again.next() == ("reset", {})
                await ingest(hub, session, (9, "a", 9))
                assert (await again.next())[0] == "reading"

        anyrun(scene())


class TestBounds:
    def test_what_was_missed_is_no_more_than_may_wait_for_a_client(self, anyrun):
        async def scene():
            async with streaming(live_backlog_bytes=10_000) as (hub, live, listen):
                _, session = await device_with_session(hub)
                last_id = f"{live._boot}-{hub.live.number}"
                await ingest(hub, session, (1, "a", "x" * 5_000))
                assert (await (await listen(last_id=last_id)).next())[0] == "reading"
                await ingest(hub, session, (2, "a", "x" * 5_000))
                assert await (await listen(last_id=last_id)).next() == ("reset", {})

        anyrun(scene())

    def test_a_client_that_does_not_read_is_let_go(self, anyrun):
        async def scene():
            async with streaming(live_backlog_bytes=200_000) as (hub, live, listen):
                _, session = await device_with_session(hub)
                deaf, quick = await listen(), await listen()
                deaf._reader._transport.pause_reading()
                assert len(live) == 2

                async def read_on():
                    with contextlib.suppress(EOFError, ConnectionError):
                        while True:
                            await quick.next()

                reading = asyncio.ensure_future(read_on())
                n = 0
                while not live.dropped_slow:
                    n += 1
                    assert n < 2000
                    await ingest(hub, session, *((n, f"k{i}", "x" * 500) for i in range(100)))
                    live._tick()
                    await asyncio.sleep(0)
                assert (len(live), live.dropped_slow) == (1, 1)
                reading.cancel()

        anyrun(scene())

    def test_the_number_of_streams(self, anyrun):
        async def scene():
            async with streaming(max_live_clients=2) as (_hub, live, listen):
                first, _ = await listen(), await listen()
                await listen(status=b"429")
                first.close()
                await until(lambda: len(live) == 1)
                await listen()

        anyrun(scene())

    def test_nothing_is_kept_or_encoded_for_nobody(self, anyrun):
        async def scene():
            async with streaming() as (hub, live, listen):
                stream = await listen()
                await stream.next()
                assert hub.live.listeners
                stream.close()
                await until(lambda: len(live) == 0)
                assert not hub.live.listeners
                await device_with_session(hub)
                assert live._entries == []

        anyrun(scene())


def test_silent_streams_are_kept_alive(anyrun, monkeypatch):
    monkeypatch.setattr(live_module, "KEEP_ALIVE_S", 0.01)

    async def scene():
        async with streaming() as (_, _, listen):
            stream = await listen()
            await stream.next()
            assert await asyncio.wait_for(stream._reader.readuntil(b"\n\n"), 60) == b":\n\n"

    anyrun(scene())


def test_closing_ends_every_stream(anyrun):
    async def scene():
        async with streaming() as (_, live, listen):
            streams = [await listen(), await listen("?key=a")]
            live.close()
            for stream in streams:
                await stream.ended()
            assert len(live) == 0

    anyrun(scene())


def test_an_unknown_device_is_404(anyrun):
    async def scene():
        async with streaming() as (_, _, listen):
            await listen("?device=never", status=b"404")

    anyrun(scene())


def test_a_tick_that_is_too_much_for_anybody_is_a_reset_and_cuts_nobody(run):
    async def scene():
        async with streaming(live_backlog_bytes=4096) as (hub, streams, listen):
            stream = await listen()
            assert await stream.next() == ("hello", {})
            _, session = await device_with_session(hub)
            assert [(await stream.next())[0] for _ in range(2)] == ["device", "presence"]
            await ingest(hub, session, (5, "a", "x" * 10_000))
            assert await stream.next() == ("reset", {})
            await ingest(hub, session, (6, "a", 1))
            assert await stream.next() == ("reading", {"device": "dev", "readings": [["a", 6, 1]]})
            assert streams.dropped_slow == 0

    run(scene())


def test_that_the_log_has_grown_is_told_to_whoever_may_read_it(anyrun):
    """By a number alone, once the entry is on disk; a viewer gets what else happens in the same tick."""

    async def scene():
        async with open_web() as web, await web.as_role("admin") as admin:
            streams = {}
            for role, labels in (("viewer", ()), ("operator", ()), ("operator", ("site:north",))):
                person = await web.as_role(role, *labels)
                reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
                authorization = person.headers["Authorization"]
                writer.write(f"GET /api/live HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n".encode())
                await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
                streams[role, labels] = stream = Stream(reader, writer)
                assert (await stream.next())[0] == "hello"
            await admin.ask("POST", "/api/devices", {"name": "new", "labels": {"site": "north"}})
            for who in (("operator", ()), ("operator", ("site:north",))):
                while (told := await streams[who].next())[0] != "audit":
                    pass
                newest = max(entry.id for entry in web.hub.store.audit(limit=9))
                assert told == ("audit", {"id": newest})
            await web.hub.remove_device(web.hub.catalogue.find("new"))
            seen = [await streams["viewer", ()].next()]
            while seen[-1][1].get("action") != "removed":
                seen.append(await streams["viewer", ()].next())
            assert {kind for kind, _ in seen} == {"device"}
            for stream in streams.values():
                stream.close()

    anyrun(scene())
