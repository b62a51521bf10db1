"""Handlers in Python are kept apart from ingest and from one another."""

from __future__ import annotations

import asyncio
import functools
import threading

import pytest

from hardpoint.hub import handlers as handlers_module
from hardpoint.model import Reading

from .hubs import attached, open_hub, until


def test_each_handler_sees_what_fits_its_patterns_in_order(anyrun):
    async def scene():
        seen: dict[str, list[Reading]] = {"all": [], "temp": [], "by name": [], "none": []}

        async def note(name, reading):
            seen[name].append(reading)

        async with open_hub() as hub:
            hub.handlers.add(functools.partial(note, "all"))
            hub.handlers.add(functools.partial(note, "temp"), "green*", "temp")
            hub.handlers.add(functools.partial(note, "by name"), "Green House")
            hub.handlers.add(functools.partial(note, "none"), "greenhouse")
            device, session = await attached(hub, "Green House")
            other, other_session = await attached(hub, "pump")
            for n in range(3):
                hub.ingest(session, device, [(n, "temp", n), (n, "hum", n)], n)
                hub.ingest(other_session, other, [(n, "temp", n)], n)
            await hub.commits.durable()
            await until(lambda: len(seen["all"]) == 9)
            assert [reading.value for reading in seen["temp"]] == [0, 1, 2]
            assert seen["temp"][0] == Reading("green-house", "temp", 0, 0)
            assert {reading.device for reading in seen["by name"]} == {"green-house"}
            # Another name, other patterns.
            await hub.change_device(device, {"name": "Shed"})
            hub.ingest(session, device, [(9, "temp", 9)], 9)
            await hub.commits.durable()
            await until(lambda: len(seen["all"]) == 10)
            assert len(seen["by name"]) == 6
            assert seen["none"] == []

    anyrun(scene())


def test_a_reading_that_comes_just_as_the_handler_has_finished_is_seen(anyrun):
    async def scene():
        seen = []

        async def note(reading):
            seen.append(reading.value)

        handler = handlers_module.Handler(note, "*", "*")
        handler.put(Reading("dev", "temp", 1, 1))
        # In the turn in which the handler's task ends, and before anybody is told that it has.
        asyncio.get_running_loop().call_soon(handler.put, Reading("dev", "temp", 2, 2))
        await until(lambda: seen == [1, 2])
        await handler.close()

    anyrun(scene())


def test_a_plain_handler_may_block_it_runs_on_a_thread(anyrun):
    async def scene():
        threads = []
        let_go = threading.Event()

        def slow(reading):
            threads.append(threading.current_thread())
            assert let_go.wait(60)

        async with open_hub() as hub:
            hub.handlers.add(slow)
            device, session = await attached(hub)
            for n in range(2):
                hub.ingest(session, device, [(n, "a", n)], n)
                await hub.commits.durable()  # the hub goes on while it blocks
            await until(lambda: threads)
            let_go.set()
            await until(lambda: len(threads) == 2)
            assert threading.main_thread() not in threads

    anyrun(scene())


def test_one_that_blocks_holds_up_no_other(anyrun):
    async def scene():
        let_go = threading.Event()
        seen = []
        async with open_hub() as hub:
            for _ in range(8):  # more than the loop's own executor has threads on a small machine
                hub.handlers.add(lambda reading: let_go.wait(60))
            hub.handlers.add(lambda reading: seen.append(reading.value))
            device, session = await attached(hub)
            hub.ingest(session, device, [(1, "a", 1)], 1)
            await until(lambda: seen == [1])
            let_go.set()

    anyrun(scene())


def test_a_call_under_way_may_finish_before_the_end(anyrun, caplog):
    async def scene():
        began, let_go = threading.Event(), threading.Event()
        ended = []

        def slow(reading):
            began.set()
            assert let_go.wait(120)
            ended.append(reading.value)

        async with open_hub() as hub:
            hub.handlers.add(slow)
            device, session = await attached(hub)
            for n in range(2):
                hub.ingest(session, device, [(n, "a", n)], n)
            await until(began.is_set)
            asyncio.get_running_loop().call_later(0.01, let_go.set)
        assert ended == [0], "and what was queued is let go"

    anyrun(scene())
    assert not caplog.records


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_one_that_does_not_end_is_left_behind(anyrun, caplog, monkeypatch, kind):
    monkeypatch.setattr(handlers_module, "CALL_END_S", 0.05)

    async def scene():
        began, let_go = threading.Event(), threading.Event()
        threads = []

        def stuck(reading):
            threads.append(threading.current_thread())
            began.set()
            assert let_go.wait(120)

        async def stubborn(reading):
            began.set()
            while not let_go.is_set():
                try:
                    await asyncio.sleep(0.001)
                except asyncio.CancelledError:
                    pass

        async with asyncio.timeout(60):
            async with open_hub() as hub:
                hub.handlers.add(stuck if kind == "plain" else stubborn)
                device, session = await attached(hub)
                hub.ingest(session, device, [(1, "a", 1)], 1)
                await until(began.is_set)
        let_go.set()
        for thread in threads:
            assert thread.daemon
            thread.join(60)
        await until(lambda: len(asyncio.all_tasks()) == 1)

    anyrun(scene())
    assert "does not end: it is left behind" in caplog.text


def test_a_callable_that_returns_a_coroutine_is_awaited(anyrun):
    async def scene():
        seen = []

        class Callable:
            async def __call__(self, reading):
                seen.append(reading.value)

        async with open_hub() as hub:
            hub.handlers.add(Callable())
            device, session = await attached(hub)
            hub.ingest(session, device, [(1, "a", 7)], 1)
            await until(lambda: seen == [7])

    anyrun(scene())


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_what_a_handler_raises_is_logged_and_the_next_reading_comes(anyrun, caplog, kind):
    async def scene():
        seen = []

        def broken(reading):
            seen.append(reading.value)
            raise ValueError("mine")

        async def broken_async(reading):
            broken(reading)

        async with open_hub() as hub:
            hub.handlers.add(broken if kind == "plain" else broken_async)
            device, session = await attached(hub)
            for n in range(2):
                hub.ingest(session, device, [(n, "a", n)], n)
            await until(lambda: seen == [0, 1])
            await hub.commits.durable()

    anyrun(scene())
    assert caplog.text.count("ValueError: mine") == 2
    assert "handler test_what_a_handler_raises" in caplog.text


@pytest.mark.parametrize("kind", ["plain", "async"])
@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError(), StopIteration()])
def test_what_would_end_a_loop_or_a_future_ends_neither(anyrun, caplog, kind, error):
    async def scene():
        seen = []

        def broken(reading):
            seen.append(reading.value)
            raise error

        async def broken_async(reading):
            broken(reading)

        async with open_hub() as hub:
            hub.handlers.add(broken if kind == "plain" else broken_async)
            device, session = await attached(hub)
            for n in range(2):
                hub.ingest(session, device, [(n, "a", n)], n)
            await until(lambda: seen == [0, 1])
            await until(lambda: caplog.text.count("failed on Reading") == 2)

    anyrun(scene())


def test_one_that_falls_behind_loses_its_oldest_and_nobody_elses(anyrun, caplog, monkeypatch):
    async def scene():
        monkeypatch.setattr(handlers_module, "MAX_QUEUED", 3)
        let_go = asyncio.Event()
        slow_saw, quick_saw = [], []

        async def slow(reading):
            await let_go.wait()
            slow_saw.append(reading.value)

        async def quick(reading):
            quick_saw.append(reading.value)

        async with open_hub() as hub:
            hub.handlers.add(slow)
            hub.handlers.add(quick)
            device, session = await attached(hub)
            for n in range(7):
                hub.ingest(session, device, [(n, "a", n)], n)
                await hub.commits.durable()
                await until(lambda: len(quick_saw) == n + 1)  # noqa: B023 - waited for in this round
            let_go.set()
            await until(lambda: len(slow_saw) == 4)
            assert slow_saw == [0, 4, 5, 6]
            assert hub.handlers._handlers[0].dropped == 3

    anyrun(scene())
    assert caplog.text.count("cannot keep up: readings are dropped for it") == 1


def test_a_device_removed_meanwhile_is_no_matter(anyrun, caplog):
    async def scene():
        async with open_hub() as hub:
            seen = []
            hub.handlers.add(lambda reading: seen.append(reading.value))
            device, session = await attached(hub)
            hub.ingest(session, device, [(1, "a", 1)], 1)
            await until(lambda: seen == [1])
            hub.handlers.feed([(1, 2, 2), (99, 2, 2)], {})
            assert seen == [1]

    anyrun(scene())
    assert caplog.records == []


def test_closing_stops_a_handler_in_its_call(anyrun):
    async def scene():
        began, ended = asyncio.Event(), []

        async def endless(reading):
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(True)

        async with open_hub() as hub:
            hub.handlers.add(endless)
            device, session = await attached(hub)
            hub.ingest(session, device, [(1, "a", 1)], 1)
            await began.wait()
            hub.ingest(session, device, [(2, "a", 1)], 1)  # commits while closing, and begins nothing anew
        assert ended == [True]
        assert len(asyncio.all_tasks()) == 1

    anyrun(scene())
