"""The line dialect on a connection: on memory transports for order, limits and ends, on sockets and three loops."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from hardpoint.dialects import lines as dialect_module
from hardpoint.dialects.lines import LineDialect
from hardpoint.testing import FakeClock, LineDevice, MemoryTransport, Refused
from hub.hubs import FULL, HeldStore, open_hub, turn, until

GREETING = b"hardpoint 9.9 ready - HELLO <token> attaches, HELP explains\n"


@contextlib.asynccontextmanager
async def open_dialect(store=None, clock=None, **settings):
    async with open_hub(store, clock, **settings) as hub:
        dialect = LineDialect(hub, "9.9")
        try:
            yield dialect
        finally:
            await dialect.drain(0)


def connect(dialect, **kind):
    session = dialect()
    transport = MemoryTransport(session, **kind)
    assert transport.take() == GREETING
    return session, transport


async def attach(dialect, name="dev", **kind):
    device, token = await dialect.hub.create_device(name)
    session, transport = connect(dialect, **kind)
    transport.feed(b"HELLO %b\n" % token.encode())
    assert transport.take() == b"OK %b\n" % device.id.encode()
    return device, session, transport


async def answers(dialect, transport, lines):
    """What is answered once everything is durable."""
    transport.feed(lines)
    await dialect.hub.commits.durable()
    await turn()
    return transport.take()


class TestAnswers:
    @pytest.mark.parametrize(
        ("lines", "expected"),
        [
            (b"temp=21.5\n", b"OK 1\n"),
            (b'temp=21.5 hum=60 door=true note="two words"\n', b"OK 4\n"),
            (b"temp=21.5 @1732320000000\r\n", b"OK 1\n"),
            (b'{"temp":21.5,"x":null}\n', b"OK 1\n"),
            (b'[{"a":1},{"a":2}]\n', b"OK 2\n"),
            (b"{}\n", b"OK 0\n"),
            (b"#7 temp=21.5\n", b"#7 OK 1\n"),
            (b"ATTR fw=1.2 model=esp32\n", b"OK 2\n"),
            (b"#x ATTR fw=1.2\n", b"#x OK 1\n"),
            (b"PING\n#1 PING\n", b"PONG\n#1 PONG\n"),
            (b"#t TIME\n", b"#t TIME 1700000000000\n"),
            (b"GET temp\n", b"ERR not-found dev has no readings of temp\n"),
            (b"#3 GET other temp\n", b"#3 ERR unauthorized a device may GET its own keys and those of host\n"),
            (b"GET host cpu.temp\n", b"ERR not-found there is no device 'host'\n"),
            (b"!5 OK 1\n", b"ERR not-found command 5 is not waiting for an answer from dev\n"),
            (b"temp\n", b"ERR unknown-verb 'temp' is neither a verb nor key=value; HELP lists what is understood\n"),
            (b"temp=\n", b"ERR bad-line temp has no value (column 6)\n"),
            (
                b"x" * 9000 + b"\nPING\n",
                b"ERR too-long a line may have at most 8192 bytes; the rest of it is skipped\nPONG\n",
            ),
            (b"\n\r\n", b""),
        ],
    )
    def test_each_line_its_own(self, anyrun, clock, lines, expected):
        async def scene():
            async with open_dialect(clock=clock) as dialect:
                _, _, transport = await attach(dialect)
                assert await answers(dialect, transport, lines) == expected
                assert await answers(dialect, transport, b"PING\n") == b"PONG\n"

        anyrun(scene())

    def test_leave_in_the_order_of_their_lines_and_in_one_write(self, anyrun, clock):
        async def scene():
            async with open_dialect(clock=clock) as dialect:
                _, _, transport = await attach(dialect)
                before = transport.writes
                lines = b"PING\ntemp=1\nPING\n#2 temp=2 hum=3\nGET temp\nbad\nATTR a=1\n#9 TIME\n"
                assert await answers(dialect, transport, lines) == (
                    b"PONG\nOK 1\nPONG\n#2 OK 2\ntemp=2 @1700000000001\n"
                    b"ERR unknown-verb 'bad' is neither a verb nor key=value; HELP lists what is understood\n"
                    b"OK 1\n#9 TIME 1700000000000\n"
                )
                assert transport.writes - before == 2  # at once, and after the commit

        anyrun(scene())

    def test_come_only_when_it_is_durable(self, anyrun):
        async def scene():
            store = HeldStore()
            async with open_dialect(store) as dialect:
                _, _, transport = await attach(dialect)
                store.held = True
                transport.feed(b"temp=1\nPING\n")
                await turn()
                assert transport.take() == b""
                store.held = False
                store.release()
                await until(lambda: not dialect.hub.commits.pending_rows)
                assert transport.take() == b"OK 1\nPONG\n"

        anyrun(scene())

    def test_say_that_the_disk_is_full_and_go_on_when_it_is_not(self, anyrun, caplog):
        async def scene():
            store = HeldStore()
            async with open_dialect(store) as dialect:
                _, _, transport = await attach(dialect)
                store.error = FULL
                transport.feed(b"#1 temp=1\nPING\nATTR a=1\ntemp=2\n")
                await until(lambda: dialect.hub.commits.failures)
                await turn()
                assert transport.take() == (
                    b"#1 ERR storage-full no space left\nPONG\nERR storage-full no space left\n"
                    b"ERR storage-full no space left\n"
                )
                store.error = None
                assert await answers(dialect, transport, b"temp=3\n") == b"OK 1\n"

        anyrun(scene())

    def test_a_get_behind_readings_sees_them(self, anyrun, clock):
        async def scene():
            async with open_dialect(clock=clock) as dialect:
                _, _, transport = await attach(dialect)
                assert await answers(dialect, transport, b"temp=1\nGET temp\n#4 GET never\n") == (
                    b"OK 1\ntemp=1 @1700000000000\n#4 ERR not-found dev has no readings of never\n"
                )
                assert await answers(dialect, transport, b"GET dev temp\n") == b"temp=1 @1700000000000\n"

        anyrun(scene())

    def test_the_help_is_tagged_throughout(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                _, transport = connect(dialect)
                transport.feed(b"#h HELP\n")
                assert all(line.startswith(b"#h ") for line in transport.take().splitlines())

        anyrun(scene())


class TestHello:
    def test_is_needed_for_everything_about_a_device(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                _, transport = connect(dialect)
                for line in (b"temp=1", b"GET temp", b"ATTR a=1", b"!1 OK"):
                    transport.feed(line + b"\n")
                    assert transport.take() == b"ERR unauthorized say HELLO <token> first\n"
                transport.feed(b"PING\nTIME\nHELP\n")
                assert transport.take().startswith(b"PONG\nTIME ")
                assert dialect.hub.refused_total == {"unauthorized": 4}

        anyrun(scene())

    def test_the_third_wrong_token_closes(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                _, transport = connect(dialect)
                for _ in range(2):
                    transport.feed(b"HELLO nope\n")
                    assert transport.take() == b"ERR unauthorized this token belongs to no device\n"
                    assert not transport.is_closing()
                transport.feed(b"#3 HELLO nope\nPING\n")
                assert transport.take() == b"#3 ERR unauthorized this token belongs to no device\n"
                assert transport.is_closing()

        anyrun(scene())

    def test_an_address_that_was_wrong_too_often_waits(self, anyrun, clock):
        async def scene():
            async with open_dialect(clock=clock, sign_in_failures_per_min=2) as dialect:
                for _ in range(2):
                    _, transport = connect(dialect)
                    transport.feed(b"HELLO nope\n")
                _, transport = connect(dialect)
                transport.feed(b"HELLO nope\n")
                assert transport.take() == (
                    b"ERR rate-limited too many failed sign-ins from 192.0.2.1; try again in 61 s\n"
                )
                assert transport.is_closing()
                _, elsewhere = connect(dialect, peername=("2001:db8::1", 5))
                elsewhere.feed(b"HELLO nope\n")
                assert elsewhere.take() == b"ERR unauthorized this token belongs to no device\n"
                clock.advance(s=61)
                _, transport = connect(dialect)
                transport.feed(b"HELLO nope\n")
                assert transport.take() == b"ERR unauthorized this token belongs to no device\n"

        anyrun(scene())

    def test_a_right_token_opens_whoever_else_is_wrong_at_that_address(self, anyrun, clock):
        async def scene():
            async with open_dialect(clock=clock, sign_in_failures_per_min=2) as dialect:
                _, token = await dialect.hub.create_device("dev")
                for _ in range(3):
                    _, transport = connect(dialect)
                    transport.feed(b"HELLO nope\n")
                _, transport = connect(dialect)
                transport.feed(b"HELLO %b\n" % token.encode())
                assert transport.take() == b"OK dev\n"

        anyrun(scene())

    def test_without_a_token_the_certificate_says_who_it_is(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                device, _ = await dialect.hub.create_device("dev")
                shown = {"subject": ((("organizationName", "x"),), (("commonName", "dev"),))}
                _, transport = connect(dialect, peercert=shown, sslcontext=object())
                transport.feed(b"HELLO\n")
                assert transport.take() == b"OK dev\n"
                assert device.sessions[0].encrypted
                _, transport = connect(dialect)
                transport.feed(b"#1 HELLO\n")
                assert transport.take() == b"#1 ERR bad-line HELLO is followed by the device's token\n"

        anyrun(scene())

    def test_a_last_line_that_may_have_been_cut_is_not_taken(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                device, _, transport = await attach(dialect, truncated=True)
                transport.feed(b"temp=21\ntemp=2")
                transport.feed_eof()
                await dialect.hub.commits.durable()
                assert transport.take() == b"OK 1\n"
                assert device.latest()["temp"]["value"] == 21

        anyrun(scene())

    def test_tls_at_a_plain_port_is_said_once_and_closed(self, anyrun, caplog):
        async def scene():
            async with open_dialect() as dialect:
                for _ in range(2):
                    _, transport = connect(dialect)
                    transport.feed(b"\x16\x03\x01\x02\x00\x01\x00\n\n")
                    assert transport.take() == b""
                    assert transport.is_closing()

        anyrun(scene())
        (record,) = caplog.records
        assert record.getMessage() == ("192.0.2.1:50000 tries TLS at a port for plain lines: lines:// is for that")

    def test_again_is_another_device(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                one, _, transport = await attach(dialect)
                two, token = await dialect.hub.create_device("two")
                assert await answers(dialect, transport, b"a=1\nHELLO %b\na=2\n" % token.encode()) == (
                    b"OK 1\nOK two\nOK 1\n"
                )
                assert (one.sessions, len(two.sessions)) == ((), 1)
                assert (one.latest()["a"]["value"], two.latest()["a"]["value"]) == (1, 2)

        anyrun(scene())

    @pytest.mark.parametrize(
        ("peername", "shown"),
        [(("10.0.0.7", 4711), "10.0.0.7:4711"), (("fe80::1", 7), "[fe80::1]:7"), (None, "unix")],
    )
    def test_presence_says_where_from(self, anyrun, peername, shown):
        async def scene():
            async with open_dialect() as dialect:
                device, session, transport = await attach(dialect, peername=peername)
                assert dialect.hub.describe(device)["presence"]["connected"]["from"] == shown
                transport.lose(ConnectionResetError())
                assert session.peer == ""
                assert device.sessions == ()

        anyrun(scene())


class TestCommands:
    def test_arrive_behind_the_ok_of_hello_and_are_answered(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                hub = dialect.hub
                device, token = await hub.create_device("dev")
                first = await hub.ledger.queue(device, "led.set", {"on": True})
                _, transport = connect(dialect)
                transport.feed(b"HELLO %b\n" % token.encode())
                assert transport.take() == b'OK dev\n!1 led.set {"on":true}\n'
                second = await hub.ledger.queue(device, "ping")
                assert transport.take() == b"!2 ping null\n"
                transport.feed(b'!1 OK {"done":[1,2]}\n!2 ERR out of order\n')
                assert transport.take() == b""
                assert (first.state, first.result) == ("done", {"done": [1, 2]})
                assert (second.state, second.result) == ("failed", "out of order")

        anyrun(scene())

    def test_shared_attributes_are_pushed(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                device, _, transport = await attach(dialect)
                dialect.hub.set_attributes(device, "shared", {"rate": 5})
                dialect.hub.set_attributes(device, "shared", {"rate": None})
                dialect.hub.set_attributes(device, "server", {"secret": 5})
                assert transport.take() == b'ATTR {"rate":5}\nATTR {"rate":null}\n'

        anyrun(scene())


class TestTheEnd:
    @pytest.mark.parametrize("last", [b"temp=21.5", b"temp=21.5\n", b"temp=21.5\r\n"])
    def test_of_input_lets_the_last_line_count_and_its_answer_out(self, anyrun, last):
        async def scene():
            async with open_dialect() as dialect:
                device, _, transport = await attach(dialect)
                transport.feed(last)
                transport.feed_eof()
                assert not transport.is_closing()
                await until(lambda: transport.lost)
                assert transport.take() == b"OK 1\n"
                assert device.latest()["temp"]["value"] == 21.5

        anyrun(scene())

    def test_quit_answers_what_came_before_and_nothing_behind(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                device, _, transport = await attach(dialect)
                transport.feed(b"temp=1\n#q QUIT\ntemp=2\nPING\n")
                await until(lambda: transport.lost)
                assert transport.take() == b"OK 1\n#q BYE\n"
                assert device.latest()["temp"]["value"] == 1

        anyrun(scene())

    @pytest.mark.parametrize(
        ("way", "reason"),
        [("token", b"BYE the device's token was changed\n"), ("removed", b"BYE the device was removed\n")],
    )
    def test_the_hub_may_end_it_and_says_why(self, anyrun, way, reason):
        async def scene():
            async with open_dialect() as dialect:
                device, _, transport = await attach(dialect)
                if way == "token":
                    await dialect.hub.new_device_token(device)
                else:
                    await dialect.hub.remove_device(device)
                await until(lambda: transport.lost)
                assert transport.take() == reason

        anyrun(scene())

    def test_draining_answers_what_was_taken(self, anyrun):
        async def scene():
            store = HeldStore()
            async with open_dialect(store) as dialect:
                _, _, busy = await attach(dialect)
                _, idle = connect(dialect)
                store.held = True
                busy.feed(b"temp=1\n")
                await turn()
                draining = asyncio.ensure_future(dialect.drain(30))
                await turn()
                assert (busy.lost, idle.lost) == (False, True)
                late = dialect()
                refused = MemoryTransport(late)
                assert refused.take().startswith(b"ERR rate-limited ")
                store.held = False
                store.release()
                await draining
                assert busy.take() == b"OK 1\n"
                assert dialect.connections == set()

        anyrun(scene())

    def test_draining_cuts_a_peer_that_does_not_read(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                _, _, transport = await attach(dialect)
                transport.stop_taking()
                transport.feed(b"PING\n")
                await dialect.drain(0.01)
                assert (transport.aborted, transport.lost) == (True, True)

        anyrun(scene())


class TestBounds:
    def test_connections(self, anyrun):
        async def scene():
            async with open_dialect(max_connections=1) as dialect:
                _, transport = connect(dialect)
                refused = MemoryTransport(dialect())
                assert refused.take() == b"ERR rate-limited limits.max_connections (1) is reached; try again later\n"
                await until(lambda: refused.lost)
                transport.lose()
                connect(dialect)

        anyrun(scene())

    def test_a_connection_that_never_attaches_is_closed(self, anyrun, clock):
        async def scene():
            async with open_dialect(clock=clock, unattached_idle_s=600) as dialect:
                _, _, attached = await attach(dialect)
                _, silent = connect(dialect)
                clock.advance(s=599)
                dialect.sweep()
                assert silent.take() == b""
                clock.advance(s=1)
                dialect.sweep()
                assert silent.take() == b"BYE no HELLO was received\n"
                assert (silent.is_closing(), attached.is_closing()) == (True, False)

        anyrun(scene())

    def test_a_clock_that_is_set_closes_nothing(self, anyrun, clock):
        async def scene():
            steady = FakeClock(0)
            async with open_dialect(clock=clock, steady_ms=steady, unattached_idle_s=600) as dialect:
                _, _, stalled = await attach(dialect)
                _, silent = connect(dialect)
                stalled.stop_taking()
                stalled.feed(b"HELP\n" * 1000)
                assert dialect.unread
                clock.advance(s=86_400)
                dialect.sweep()
                await turn()
                assert (silent.take(), stalled.aborted) == (b"", False)
                clock.advance(s=-2 * 86_400)
                steady.advance(s=600)
                dialect.sweep()
                await turn()
                assert (silent.take(), stalled.aborted) == (b"BYE no HELLO was received\n", True)

        anyrun(scene())

    def test_a_peer_that_does_not_read_cannot_hold_a_connection_that_is_to_be_closed(self, anyrun, clock):
        async def scene():
            async with open_dialect(clock=clock, unattached_idle_s=1) as dialect:
                _, _, quitting = await attach(dialect)
                _, silent = connect(dialect)
                for transport in (quitting, silent):
                    transport.stop_taking()
                quitting.feed(b"QUIT\n")
                clock.advance(s=1)
                dialect.sweep()
                clock.advance(s=dialect_module.ENDING_S - 2)
                dialect.sweep()
                assert not quitting.aborted
                assert silent.get_write_buffer_size() == len(b"BYE no HELLO was received\n")  # said once
                clock.advance(s=2)
                dialect.sweep()
                await turn()
                assert (quitting.aborted, silent.aborted) == (True, True)
                assert dialect.connections == set()
                assert (dialect.waiting, dialect.ending) == ({}, {})

        anyrun(scene())

    def test_a_peer_that_does_not_read_is_not_read(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                _, _, transport = await attach(dialect)
                transport.set_write_buffer_limits(high=100)
                transport.stop_taking()
                while not transport.reading_paused:
                    transport.feed(b"PING\n" * 10)
                assert transport.get_write_buffer_size() < 200
                transport.go_on_taking()
                assert not transport.reading_paused

        anyrun(scene())

    def test_the_store_catching_up_does_not_wake_a_connection_whose_peer_does_not_read(self, anyrun):
        async def scene():
            store = HeldStore()
            async with open_dialect(store, max_pending_readings=2) as dialect:
                _, session, transport = await attach(dialect)
                transport.set_write_buffer_limits(high=10)
                transport.stop_taking()
                store.held = True
                transport.feed(b"PING\nPING\nPING\na=1 b=2\n")
                assert (transport.reading_paused, session.paused_by_hub) == (True, True)
                await turn()
                store.held = False
                store.release()
                await until(lambda: not session.paused_by_hub)
                assert transport.reading_paused
                transport.go_on_taking()
                assert not transport.reading_paused

        anyrun(scene())

    def test_a_device_that_never_reads_is_cut_and_one_that_is_slow_is_not(self, anyrun, clock):
        async def scene():
            async with open_dialect(clock=clock) as dialect:
                stalled, slow = [await attach(dialect, name) for name in ("stalled", "slow")]
                for _, _, transport in (stalled, slow):
                    transport.set_write_buffer_limits(high=10)
                    transport.stop_taking()
                    transport.feed(b"PING\nPING\nPING\n")
                clock.advance(s=dialect_module.STALLED_S - 1)
                slow[2].go_on_taking()
                dialect.sweep()
                assert not stalled[2].aborted
                clock.advance(s=1)
                dialect.sweep()
                assert (stalled[2].aborted, slow[2].aborted) == (True, False)
                await until(lambda: stalled[2].lost)
                assert stalled[0].sessions == ()
                assert dialect.unread == {}

        anyrun(scene())

    def test_commands_wait_in_the_ledger_for_a_device_that_does_not_read(self, anyrun, monkeypatch):
        async def scene():
            monkeypatch.setattr(dialect_module, "MAX_UNREAD_BYTES", 1000)
            async with open_dialect() as dialect:
                device, _, transport = await attach(dialect)
                transport.set_write_buffer_limits(high=100)
                transport.stop_taking()
                for _ in range(20):
                    await dialect.hub.ledger.queue(device, "show", "x" * 200)
                assert transport.get_write_buffer_size() < 1500
                states = [command.state for command in device.open_commands.values()]
                assert states == ["sent"] * states.count("sent") + ["queued"] * states.count("queued")
                assert 0 < states.count("sent") < 10
                transport.go_on_taking()
                assert {command.state for command in device.open_commands.values()} == {"sent"}
                assert transport.take().count(b"show") == 20

        anyrun(scene())

    def test_attributes_that_pile_up_end_the_connection(self, anyrun, monkeypatch):
        async def scene():
            monkeypatch.setattr(dialect_module, "MAX_UNREAD_BYTES", 1000)
            async with open_dialect() as dialect:
                device, _, transport = await attach(dialect)
                transport.stop_taking()
                for number in range(20):
                    dialect.hub.set_attributes(device, "shared", {"a": f"{number}" + "x" * 200})
                assert transport.get_write_buffer_size() < 1500
                assert transport.aborted

        anyrun(scene())

    def test_a_repeated_hello_repeats_no_command(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                device, token = await dialect.hub.create_device("dev")
                await dialect.hub.ledger.queue(device, "go")
                _, transport = connect(dialect)
                hello = b"HELLO %b\n" % token.encode()
                transport.feed(hello * 5)
                assert transport.take() == b"OK dev\n!1 go null\n" + b"OK dev\n" * 4
                assert len(device.sessions) == 1

        anyrun(scene())

    def test_nothing_is_kept_of_what_comes_behind_the_end(self, anyrun):
        async def scene():
            store = HeldStore()
            async with open_dialect(store) as dialect:
                _, session, transport = await attach(dialect)
                store.held = True
                transport.feed(b"a=1\nQUIT\n")
                assert transport.reading_paused
                session.data_received(b"a=2\n" * 10_000)  # as if it had been read before the pause
                assert session._held == b""
                await turn()
                store.held = False
                store.release()
                await until(lambda: transport.lost)
                assert transport.take() == b"OK 1\nBYE\n"

        anyrun(scene())

    def test_a_farewell_comes_behind_the_answers_that_are_due(self, anyrun):
        async def scene():
            store = HeldStore()
            async with open_dialect(store) as dialect:
                _, session, transport = await attach(dialect)
                store.held = True
                transport.feed(b"a=1\n")
                session.end("the server is stopping")
                session.end("once is enough")
                assert transport.take() == b""
                await turn()
                store.held = False
                store.release()
                await until(lambda: transport.lost)
                assert transport.take() == b"OK 1\nBYE the server is stopping\n"

        anyrun(scene())

    def test_attachments_of_one_device(self, anyrun, monkeypatch):
        async def scene():
            monkeypatch.setattr("hardpoint.hub.hub.MAX_SESSIONS_PER_DEVICE", 2)
            async with open_dialect() as dialect:
                device, token = await dialect.hub.create_device("dev")
                made = [connect(dialect)[1] for _ in range(3)]
                for transport in made:
                    transport.feed(b"HELLO %b\n" % token.encode())
                assert len(device.sessions) == 2
                await until(lambda: made[0].lost)
                assert made[0].take() == b"OK dev\nBYE taken over: the device is attached too many times\n"
                assert not made[1].lost

        anyrun(scene())

    def test_the_store_behind_pauses_reading(self, anyrun):
        async def scene():
            store = HeldStore()
            async with open_dialect(store, max_pending_readings=2) as dialect:
                _, _, transport = await attach(dialect)
                store.held = True
                transport.feed(b"a=1 b=2\n")
                assert transport.reading_paused
                await turn()
                store.held = False
                store.release()
                await until(lambda: not transport.reading_paused)

        anyrun(scene())


# -- on sockets, with the simulator of hardpoint.testing


@contextlib.asynccontextmanager
async def serving(**settings):
    async with open_dialect(**settings) as dialect:
        server = await asyncio.get_running_loop().create_server(dialect, "127.0.0.1", 0)
        try:
            yield dialect, server.sockets[0].getsockname()[1]
        finally:
            server.close()
            await dialect.drain(1)
            await server.wait_closed()


def test_a_device_on_every_loop(run):
    async def scene():
        async with serving() as (dialect, port):
            hub = dialect.hub
            device, token = await hub.create_device("dev")
            async with LineDevice("127.0.0.1", port, token) as simulated:
                assert (simulated.id, simulated.greeting.split()[0]) == ("dev", "hardpoint")
                assert await simulated.send(temp=21.5, door=True) == 2
                assert await simulated.send({"cpu.temp": 48, "j": {"x": [1]}}, ts=5) == 2
                counts = await asyncio.gather(*[simulated.send(n=n) for n in range(200)])
                assert counts == [1] * 200
                assert (await simulated.get("temp")).startswith("temp=21.5 @")
                assert {key: latest["value"] for key, latest in device.latest().items()} == {
                    "temp": 21.5,
                    "door": True,
                    "cpu.temp": 48,
                    "j": {"x": [1]},
                    "n": 199,
                }
                await simulated.report(fw="1.2")
                assert hub.attributes(device, "client") == {"fw": "1.2"}
                command = await hub.ledger.queue(device, "led", {"on": True})
                received = await simulated.next_command()
                assert (received.id, received.method, received.params) == (1, "led", {"on": True})
                await simulated.answer(received, {"was": False})
                assert await hub.ledger.wait(command, 60)
                assert (command.state, command.result) == ("done", {"was": False})
                command = await hub.ledger.queue(device, "no")
                await simulated.fail(await simulated.next_command(), "cannot")
                assert await hub.ledger.wait(command, 60)
                assert (command.state, command.result) == ("failed", "cannot")
                hub.set_attributes(device, "shared", {"rate": 5, "x": 1})
                assert await simulated.next_attributes() == {"rate": 5, "x": 1}
                with pytest.raises(Refused, match="bad-line") as refused:
                    await simulated.request("temp=")
                assert refused.value.answer_code == "bad-line"
                with pytest.raises(Refused, match="not-found"):
                    await simulated.get("never")
                await hub.new_device_token(device)
                await simulated.wait_closed()
                assert simulated.farewell == "the device's token was changed"
                with pytest.raises(ConnectionError):
                    await simulated.next_command()
            with pytest.raises(Refused, match="unauthorized"):
                async with LineDevice("127.0.0.1", port, token):
                    pass

    run(scene())


def test_many_devices_on_every_loop_and_all_is_acknowledged_and_stored(run):
    async def scene():
        async with serving() as (dialect, port):
            made = [await dialect.hub.create_device(f"dev-{n}") for n in range(20)]

            async def speak(device, token):
                async with LineDevice("127.0.0.1", port, token) as simulated:
                    for n in range(20):
                        assert await simulated.send(n=n, ts=n) == 1
                _, points = await dialect.hub.past.readings(device, "n", 0, 10**14)
                return [value for _, value in points]

            assert await asyncio.gather(*[speak(*one) for one in made]) == [list(range(20))] * 20

    run(scene())


def test_a_simulated_device_says_that_nothing_came(anyrun):
    async def scene():
        async with serving() as (dialect, port):
            _, token = await dialect.hub.create_device("dev")
            async with LineDevice("127.0.0.1", port, token) as simulated:
                simulated._timeout_s = 0.01  # only now: connecting takes as long as it takes
                with pytest.raises(TimeoutError):
                    await simulated.next_command()

    anyrun(scene())
