"""The agent against a line server that fails in every way a server and a network can."""

from __future__ import annotations

import asyncio
import logging

import pytest

from hardpoint.agent.agent import MAX_LINES_IN_FLIGHT, MAX_RUNNING_COMMANDS, next_round
from hardpoint.agent.spool import Spool
from hardpoint.errors import StorageFull, Unauthorized
from hardpoint.hardware.base import Driver
from hardpoint.hardware.mount import Mount
from hardpoint.wire.lines import MAX_LINE_BYTES


def assert_complete(server):
    """Nothing lost, nothing out of order; a row that came twice is the same row."""
    first_arrivals = list(dict.fromkeys(server.rows))
    assert [n for _, n in first_arrivals] == list(range(1, len(first_arrivals) + 1))
    assert first_arrivals == sorted(first_arrivals)


async def until(condition):
    """For what announces itself by no event; `run` sets the deadline."""
    while not condition():
        await asyncio.sleep(0.001)


def test_readings_arrive_with_their_own_times(run, running):
    async def scenario():
        async with running() as (server, agent):
            await server.until(lambda: len(server.rows) >= 20)
        assert_complete(server)
        assert len(set(server.rows)) == len(server.rows)
        assert server.verbs == ["TIME", "QUIT"]
        assert server.accepted == 1
        assert agent.refused == agent.lost == 0

    run(scenario())


def test_what_was_measured_while_the_server_was_away_is_filled_in(run, make_server, make_agent):
    async def scenario():
        server = make_server()
        await server.start()
        await server.stop()
        agent = make_agent(server.port)
        task = asyncio.ensure_future(agent.run())
        spool = agent._spool
        await until(lambda: spool.lines >= 3 * MAX_LINES_IN_FLIGHT)
        await server.start()
        await server.until(lambda: len(server.rows) >= 4 * MAX_LINES_IN_FLIGHT)
        agent.stop()
        await task
        await server.stop()
        assert_complete(server)
        assert len(set(server.rows)) == len(server.rows)

    run(scenario())


def test_a_server_that_comes_and_goes_loses_nothing(run, running):
    async def scenario():
        async with running() as (server, _):
            for lives in (1, 2, 3, 4, 5):
                # Some lines get no answer before the end: the server may or may not have them on its disk.
                server.refuse = lambda n, every=lives + 1: None if n % every == 0 else ""
                await server.until(lambda n=lives: server.accepted >= n and len(server.seen) >= 20 * n)
                await server.stop()
                await server.start()
            server.refuse = lambda n: ""
            last = max(server.seen)
            await server.until(lambda: server.rows and server.rows[-1][1] > last)
        kept = sorted(set(server.rows))
        assert [n for _, n in kept] == list(range(1, len(kept) + 1))

    run(scenario())


def test_what_the_server_cannot_take_now_is_sent_again(run, running):
    async def scenario():
        async with running() as (server, agent):
            full = True
            server.refuse = lambda n: "storage-full no space left on the disk" if full and n > 5 else ""
            await server.until(lambda: server.seen.count(6) >= 4)
            assert server.seen[-3:] == [6, 6, 6]  # one line asks whether it is over, not all of them
            full = False
            seen = len(server.seen)
            await server.until(lambda: len(server.seen) >= seen + 100)
        rows = sorted(server.rows)
        assert [n for _, n in rows] == list(range(1, len(rows) + 1))
        assert server.accepted == 1
        assert agent.refused == 0

    run(scenario())


def test_a_line_that_can_never_be_taken_holds_up_no_other(anyrun, running, caplog):
    async def scenario():
        async with running() as (server, agent):
            server.refuse = lambda n: "bad-line that is no number" if n == 3 else ""
            await server.until(lambda: len(server.rows) >= 10)
        assert server.numbers[:4] == [1, 2, 4, 5]
        assert server.seen.count(3) == 1
        assert agent.refused == 1
        assert "the server cannot use line 3 of the spool: bad-line that is no number" in caplog.messages

    anyrun(scenario())


def test_a_limit_of_the_server_that_may_be_raised_costs_no_reading(anyrun, running):
    async def scenario():
        async with running() as (server, agent):
            limited = True
            said = "too-long limits.max_keys_per_device (3) is reached for box"
            server.refuse = lambda n: said if limited and n > 5 else ""
            await server.until(lambda: server.seen.count(6) >= 3)
            limited = False
            await server.until(lambda: len(server.rows) >= 20)
        rows = sorted(server.rows)
        assert [n for _, n in rows] == list(range(1, len(rows) + 1))
        assert agent.refused == 0

    anyrun(scenario())


def test_a_line_longer_than_any_may_be_holds_up_no_other(anyrun, running, caplog):
    async def scenario():
        async with running(interval_s=3600) as (server, agent):
            await server.until(lambda: len(server.rows) == 1)
            await agent._on_disk(agent._spool.append, [b'n="%b"' % (b"x" * MAX_LINE_BYTES)])
            server.send('!1 set-interval {"s":1}')
            await server.until(lambda: len(server.rows) == 2)
            assert agent.refused == 1
        assert server.accepted == 1

    anyrun(scenario())
    assert any("the server cannot use line 2 of the spool: too-long" in message for message in caplog.messages)


@pytest.mark.parametrize("text", ["#%s OK 1", "#time TIME %s", "!%s ping"])
@pytest.mark.parametrize("digits", [21, 5000])
def test_numbers_beyond_reason_harm_nothing(anyrun, running, caplog, text, digits):
    async def scenario():
        async with running(interval_s=3600) as (server, _):
            await server.until(lambda: len(server.rows) == 1 and server.verbs)
            server.send(text % ("9" * digits))
            server.send("!7 ping")
            await server.until(lambda: (7, True, "pong") in server.answers)
            assert server.accepted == 1

    anyrun(scenario())
    assert not [record for record in caplog.records if record.exc_info]


def test_a_wrong_token_ends_the_agent_and_keeps_the_readings(run, make_server, make_agent, tmp_path):
    async def scenario():
        server = make_server()
        await server.start()
        agent = make_agent(server.port, token="hp_wrong")
        with pytest.raises(Unauthorized, match="the server refuses the token: unauthorized wrong token") as caught:
            await agent.run()
        assert caught.value.exit_code == 77
        await server.stop()

    run(scenario())
    spool = Spool(tmp_path, 1000)
    spool.close()


def test_what_was_not_answered_stays_on_disk_for_the_next_start(run, make_server, make_agent):
    async def scenario():
        server = make_server()
        await server.start()
        server.refuse = lambda n: "" if n <= 3 else None
        agent = make_agent(server.port)
        task = asyncio.ensure_future(agent.run())
        await server.until(lambda: len(server.seen) >= 10)
        agent.stop()
        await task
        last = max(server.seen)
        assert server.numbers == [1, 2, 3]

        server.refuse = lambda n: ""
        agent = make_agent(server.port, mount=Mount({}))
        task = asyncio.ensure_future(agent.run())
        await server.until(lambda: len(server.rows) >= last)
        agent.stop()
        await task
        await server.stop()
        assert_complete(server)
        assert len(set(server.rows)) == len(server.rows)

    run(scenario())


def test_commands_are_answered(run, running):
    async def scenario():
        async with running(interval_s=3600) as (server, _):
            await server.until(lambda: len(server.rows) == 1)
            for text, answer in (
                ("!1 ping", (1, True, "pong")),
                ("!2 read", (2, True, {"n": 2})),
                ('!3 read {"key":"n"}', (3, True, {"n": 3})),
                ('!4 read {"key":"x"}', (4, False, "no sensor has the key 'x'")),
                ("!5 reboot null", (5, False, "unknown method 'reboot': this device knows ping, read, set-interval")),
                ('!6 set-interval {"s":100000}', (6, False, "s must be a number of seconds from 1 to 86400")),
                ("!7 read {", (7, False, server.answers)),
            ):
                server.answers.clear()
                server.send(text)
                await server.until(lambda: server.answers)
                if text == "!7 read {":
                    assert server.answers[0][:2] == (7, False)
                    assert server.answers[0][2].startswith("not JSON")
                else:
                    assert server.answers == [answer]

    run(scenario())


def test_set_interval_counts_from_the_last_round(anyrun, running):
    async def scenario():
        async with running(interval_s=3600) as (server, _agent):
            await server.until(lambda: len(server.rows) == 1)
            server.send('!1 set-interval {"s":1}')
            await server.until(lambda: len(server.rows) == 2)
            assert server.answers == [(1, True, {"s": 1})]
        assert_complete(server)

    anyrun(scenario())


class Stuck(Driver):
    """Answers when it is told to."""

    name = "stuck"

    def __init__(self, gate, entered):
        self.gate = gate
        self.entered = entered

    def probe(self):
        return None

    def read(self):
        self.entered()
        assert self.gate.acquire(timeout=60)
        yield "n", 1


def test_too_many_commands_at_a_time_are_refused(anyrun, running):
    import threading

    async def scenario():
        gate = threading.Semaphore(0)
        mount = Mount({"stuck": lambda: Stuck(gate, lambda: None)})
        async with running(interval_s=3600, mount=mount) as (server, _):
            await server.until(lambda: server.verbs)
            for number in range(MAX_RUNNING_COMMANDS + 1):
                server.send(f"!{number} read")
            await server.until(lambda: server.answers)
            assert server.answers == [(MAX_RUNNING_COMMANDS, False, f"busy with {MAX_RUNNING_COMMANDS} commands")]
            gate.release(MAX_RUNNING_COMMANDS + 1)
            await server.until(lambda: len(server.answers) == MAX_RUNNING_COMMANDS + 1)

    anyrun(scenario())


def test_no_more_lines_are_under_way_than_allowed(anyrun, running):
    async def scenario():
        async with running(interval_s=3600) as (server, agent):
            server.refuse = lambda n: None if n > 1 else ""
            await server.until(lambda: server.rows)
            await agent._on_disk(agent._spool.append, [b"n=%d @1732320000000" % n for n in range(2, 1000)])
            server.send('!1 set-interval {"s":1}')  # the next round finds a thousand lines before its own
            await server.until(lambda: len(server.seen) > MAX_LINES_IN_FLIGHT // 2)
            server.send("!2 ping")
            await server.until(lambda: len(server.answers) == 2)
            unanswered = server.seen[1:]
            assert unanswered == list(range(2, len(unanswered) + 2))
            assert len(unanswered) <= MAX_LINES_IN_FLIGHT

    anyrun(scenario())


def test_a_whole_window_without_an_answer_is_sent_again(anyrun, running):
    async def scenario():
        async with running() as (server, _):
            server.refuse = lambda n: None
            await server.until(lambda: len(server.seen) > MAX_LINES_IN_FLIGHT // 2)
            await server.stop()
            server.refuse = lambda n: ""
            await server.start()
            await server.until(lambda: len(server.rows) > MAX_LINES_IN_FLIGHT)
        assert_complete(server)

    anyrun(scenario())


def test_what_had_its_ok_is_not_sent_again_on_the_next_connection(anyrun, running):
    async def scenario():
        async with running(interval_s=3600) as (server, _):
            await server.until(lambda: server.rows)
            await server.stop()
            await server.start()
            await server.until(lambda: server.accepted == 2 and server.verbs == ["TIME", "TIME"])
            server.send('!1 set-interval {"s":1}')
            await server.until(lambda: 2 in server.seen)
            assert server.seen == [1, 2]

    anyrun(scenario())


def test_a_full_spool_drops_the_oldest_and_says_so(anyrun, make_server, make_agent):
    class Rounds(Driver):
        name = "rounds"

        def probe(self):
            return None

        def read(self):
            return [("n", 7)]

    async def scenario():
        agent = make_agent(1, mount=Mount({"rounds": Rounds}), max_spool_bytes=400)
        task = asyncio.ensure_future(agent.run())
        await until(lambda: agent._spool.dropped >= 3)
        agent.stop()
        newest = agent._spool.after(0, 100)[-1][1]
        assert newest.startswith(b"n=7 agent.dropped_lines=")
        assert agent._spool.size_bytes <= 400
        await task

    anyrun(scenario())


def test_a_failing_disk_is_counted_and_said_once(anyrun, make_agent, monkeypatch, caplog):
    async def scenario():
        agent = make_agent(1)

        def full(lines, remove=()):
            raise StorageFull("no space")

        monkeypatch.setattr(agent._spool, "append", full)
        task = asyncio.ensure_future(agent.run())
        await until(lambda: agent.lost >= 3)
        agent.stop()
        await task
        assert caplog.messages.count("readings are lost while the agent's disk fails: no space") == 1

    anyrun(scenario())


def test_answers_that_came_while_the_disk_failed_are_not_forgotten(anyrun, running, monkeypatch):
    async def scenario():
        async with running() as (server, agent):
            await server.until(lambda: len(server.rows) >= 3)
            append = agent._spool.append
            failed = []

            def full(lines, remove=()):
                failed.append(list(remove))
                raise StorageFull("no space")

            monkeypatch.setattr(agent._spool, "append", full)
            await until(lambda: len(failed) >= 3 and failed[-1])
            monkeypatch.setattr(agent._spool, "append", append)
            await server.until(lambda: len(server.rows) >= 10)
            server.refuse = lambda n: None
            await until(lambda: agent._spool.lines >= 10 and not agent._answered)
            kept = {int(line.split()[0].removeprefix(b"n=")) for _, line in agent._spool.after(0, 1000)}
            assert not kept & set(server.numbers)

    anyrun(scenario())


@pytest.mark.parametrize(("offset_ms", "words"), [(7_200_000, "behind"), (-7_200_000, "ahead of")])
def test_a_clock_that_is_wrong_is_said(anyrun, running, caplog, offset_ms, words):
    async def scenario():
        async with running() as (server, _):
            server.time_ms = 1_732_320_000_000 + offset_ms
            await server.until(lambda: len(server.rows) >= 3)
        assert any(f"s {words} the server's" in message for message in caplog.messages)

    anyrun(scenario())


def test_a_server_that_stays_away_is_said_once(anyrun, make_agent, caplog):
    async def scenario():
        caplog.set_level(logging.DEBUG, "hardpoint.agent")
        agent = make_agent(1)
        task = asyncio.ensure_future(agent.run())

        def records():
            return [record for record in caplog.records if "is away" in record.getMessage()]

        await until(lambda: len(records()) >= 3)
        agent.stop()
        await task
        assert [record.levelname for record in records()[:3]] == ["WARNING", "DEBUG", "DEBUG"]

    anyrun(scenario())


@pytest.mark.parametrize(
    ("now", "expected"),
    [(100.0, 110), (105.0, 110), (110.3, 110), (119.0, 110), (121.0, 121), (5000.0, 5000)],
    ids=["at-once", "in-time", "just-late", "late", "an-interval-late", "slept"],
)
def test_rounds_keep_their_pace(now, expected):
    assert next_round(100.0, 10.0, now) == expected


def test_a_port_that_is_no_line_listener_is_left_again(anyrun, make_agent, caplog):
    async def scenario():
        opened = []

        class Mute(asyncio.Protocol):
            def connection_made(self, transport):
                opened.append(transport)

        listener = await asyncio.get_running_loop().create_server(Mute, "127.0.0.1", 0)
        agent = make_agent(listener.sockets[0].getsockname()[1], connect_timeout_s=0.05)
        task = asyncio.ensure_future(agent.run())
        await until(lambda: len(opened) >= 2)
        agent.stop()
        await task
        listener.close()
        for transport in opened:
            transport.abort()
        await listener.wait_closed()
        assert any("is that port a line listener?" in message for message in caplog.messages)

    anyrun(scenario())
