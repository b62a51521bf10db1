"""Group commit: what arrives while one commit runs goes into the next, and everybody is told what became of theirs."""

from __future__ import annotations

import asyncio
import logging

import pytest

from hardpoint.errors import StorageError, TooLarge
from hardpoint.hub import batch as batch_module
from hardpoint.model import Attribute, Delete, Device, Put, Series

from .hubs import FULL, HeldStore, attached, open_hub, turn, until


def test_one_turn_is_one_commit(anyrun):
    async def scene():
        store = HeldStore()
        async with open_hub(store) as hub:
            device, session = await attached(hub)
            store.batches.clear()
            for n in range(5):
                hub.ingest(session, device, [(None, "a", n)], n)
            assert session.acknowledged == []
            await until(lambda: session.acknowledged)
            assert session.acknowledged == [([0, 1, 2, 3, 4], None)]
            assert [len(rows) for rows, _ in store.batches] == [5]

    anyrun(scene())


def test_what_arrives_during_a_commit_is_the_next_and_starts_with_its_end(anyrun):
    async def scene():
        store = HeldStore()
        async with open_hub(store) as hub:
            device, one = await attached(hub)
            _, two = await attached(hub, "other")
            store.held = True
            store.batches.clear()
            hub.ingest(one, device, [(1, "a", 1)], "first")
            await turn()
            for n in range(3):
                hub.ingest(one, device, [(2 + n, "a", n)], n)
                hub.ingest(two, two.device, [(2 + n, "a", n)], n)
                await turn()
            assert len(store.batches) == 1
            assert hub.commits.pending_rows == 7
            store.release()
            await until(lambda: len(store.batches) == 2)
            assert [row[1] for row in store.batches[1][0]] == [2, 2, 3, 3, 4, 4]
            assert one.acknowledged == [(["first"], None)]
            assert two.acknowledged == []
            store.held = False
            store.release()
            await until(lambda: two.acknowledged)
            assert one.acknowledged[1:] == two.acknowledged == [([0, 1, 2], None)]
            assert hub.commits.pending_rows == 0

    anyrun(scene())


def test_every_waiter_of_a_failed_commit_is_told_and_the_next_one_may_succeed(anyrun, caplog):
    async def scene():
        store = HeldStore()
        async with open_hub(store) as hub:
            device, session = await attached(hub)
            store.error = FULL
            hub.ingest(session, device, [(5, "a", 1)], "r")
            future = hub.commits.durable()
            with pytest.raises(StorageError, match="no space left"):
                await future
            assert session.acknowledged == [(["r"], FULL)]
            assert hub.commits.failing
            assert hub.refused_total == {"storage_full": 1}
            assert device.latest() == {}
            store.error = None
            hub.ingest(session, device, [(6, "a", 2)], "s")
            await hub.commits.durable()
            assert session.acknowledged[1:] == [(["s"], None)]
            assert not hub.commits.failing
            # The series was new in the batch that failed: it is a fact, and came with the next one.
            assert [series.key for series in store.load(Series)] == ["a"]
            assert list(store.latest()) == [(1, 6, 2)]

    with caplog.at_level(logging.WARNING, "hardpoint.hub"):
        anyrun(scene())
    assert [record.getMessage() for record in caplog.records] == [
        "commits fail, 1 until now: no space left",
        "commits work again",
    ]


def test_a_fact_is_kept_once_a_record_however_long_the_disk_is_full(anyrun):
    async def scene():
        store = HeldStore()
        async with open_hub(store) as hub:
            device, _ = await attached(hub)
            store.error = FULL
            for n in range(5):
                hub.set_attributes(device, "server", {"n": n})
                with pytest.raises(StorageError):
                    await hub.commits.durable()
            records = [change.record for change in hub.commits.batch.changes]
            assert [record.value for record in records if isinstance(record, Attribute)] == [4]
            store.error = None
            await hub.commits.durable()
            assert [(entry.key, entry.value) for entry in store.load(Attribute)] == [("n", 4)]

    anyrun(scene())


def test_changes_are_stored_in_the_order_in_which_they_were_made(anyrun):
    async def scene():
        store = HeldStore()
        async with open_hub(store) as hub:
            record = Device("x", "x", 0)
            hub.commits.note(Put(Series(7, "x", "a")))
            hub.commits.batch.changes.append(Delete(record))
            hub.commits.note(Put(Series(8, "x", "a")))
            await hub.commits.durable()
            assert [series.id for series in store.load(Series)] == [8]

    anyrun(scene())


def test_a_lingering_fact_goes_with_the_next_commit(anyrun, monkeypatch):
    async def scene():
        monkeypatch.setattr(batch_module, "LINGER_S", 3600)
        store = HeldStore()
        async with open_hub(store) as hub:
            _, session = await attached(hub)
            await hub.commits.durable()
            store.batches.clear()
            hub.commits.note(Put(Series(7, "x", "a")), lingering=True)
            hub.commits.note(Put(Series(8, "x", "b")), lingering=True)
            await turn(10)
            assert store.batches == []
            hub.commits.wait(session, "r")
            await until(lambda: session.acknowledged)
            assert [[change.record.id for change in changes] for _, changes in store.batches] == [[7, 8]]
            hub.commits.note(Put(Series(9, "x", "c")), lingering=True)
        assert [change.record.id for change in store.batches[-1][1]] == [9], "nothing is left behind at the end"

    anyrun(scene())


def test_a_lingering_fact_has_a_commit_of_its_own_in_the_end(anyrun, monkeypatch):
    async def scene():
        monkeypatch.setattr(batch_module, "LINGER_S", 0.01)
        store = HeldStore()
        async with open_hub(store) as hub:
            for number in (7, 8):
                store.batches.clear()
                hub.commits.note(Put(Series(number, "x", f"k{number}")), lingering=True)
                await until(lambda: store.batches)
                assert [change.record.id for _, changes in store.batches for change in changes] == [number]

    anyrun(scene())


def test_facts_of_a_failed_commit_come_before_what_happened_since(anyrun):
    async def scene():
        store = HeldStore()
        async with open_hub(store) as hub:
            store.held = True
            hub.commits.note(Put(Series(7, "x", "a")))
            first = hub.commits.durable()
            await turn()
            hub.commits.note(Delete(Series(7, "x", "a")))
            second = hub.commits.durable()
            store.release(FULL)
            with pytest.raises(StorageError):
                await first
            store.held = False
            await until(lambda: store.waiting)
            store.release()
            await second
            assert store.load(Series) == []

    anyrun(scene())


def test_a_store_that_raises_fails_its_batch_and_no_other(anyrun, caplog):
    async def scene():
        store = HeldStore()
        async with open_hub(store) as hub:
            device, session = await attached(hub)
            # Nothing the hub takes is like this; the store's encoder is the last to know.
            commit, store.commit = store.commit, lambda rows, changes, done: {}[object()]
            hub.ingest(session, device, [(1, "a", 1)], "r")
            with pytest.raises(StorageError, match="not stored: KeyError"):
                await hub.commits.durable()
            store.commit = commit
            hub.ingest(session, device, [(1, "a", 1)], "s")
            await hub.commits.durable()
            assert [error for _, error in session.acknowledged[1:]] == [None]

    anyrun(scene())
    assert "a batch could not be handed to the store" in caplog.text


def test_a_session_that_fails_harms_no_other(anyrun, caplog):
    async def scene():
        async with open_hub() as hub:
            device, bad = await attached(hub)
            _, good = await attached(hub, "good")
            bad.acknowledge = None
            hub.ingest(bad, device, [(1, "a", 1)], 1)
            hub.ingest(good, good.device, [(1, "a", 1)], 1)
            await hub.commits.durable()
            assert good.acknowledged == [([1], None)]

    anyrun(scene())
    assert "a test session failed while being acknowledged" in caplog.text


def test_a_full_batch_pauses_those_who_fill_it_until_the_store_has_caught_up(anyrun):
    async def scene():
        store = HeldStore()
        async with open_hub(store, max_pending_readings=10) as hub:
            device, greedy = await attached(hub)
            _, modest = await attached(hub, "modest")
            store.held = True
            hub.ingest(modest, modest.device, [(1, "a", 1)], 1)
            await turn()
            hub.ingest(modest, modest.device, [(2, "a", 1)], 2)
            for n in range(12):
                hub.ingest(greedy, device, [(n, "a", n)], n)
                assert greedy.paused == (hub.commits.pending_rows >= 11), "the tenth that waits, behind one on its way"
            assert (greedy.paused, modest.paused) == (True, False)
            assert (greedy.paused_by_hub, hub.commits.pauses) == (True, 1)
            store.release()  # the batch that is collected is still the full one, or on its way
            await until(lambda: store.waiting)
            assert len(hub.commits.batch.rows) == 0
            await until(lambda: not greedy.paused)
            assert not greedy.paused_by_hub
            store.held = False
            store.release()
            await until(lambda: greedy.acknowledged)
            assert len(greedy.acknowledged[0][0]) == 12

    anyrun(scene())


def test_a_session_that_waits_for_too_many_answers_is_paused_too(anyrun, monkeypatch):
    async def scene():
        monkeypatch.setattr(batch_module, "MAX_RECEIPTS", 5)
        store = HeldStore()
        async with open_hub(store) as hub:
            _, session = await attached(hub)
            store.held = True
            hub.commits.schedule()
            await turn()
            for n in range(5):
                hub.commits.wait(session, b"PONG\n")
                assert not session.paused, n
            hub.commits.wait(session, b"PONG\n")
            assert session.paused
            store.held = False
            store.release()
            await until(lambda: not session.paused)

    anyrun(scene())


def test_a_commit_waits_for_those_just_answered_but_not_for_long(anyrun, monkeypatch):
    """Two devices that wait for each OK do not take turns; one that is alone is not held back."""

    async def scene():
        monkeypatch.setattr(batch_module, "HOLD_S", 60.0)
        store = HeldStore()
        async with open_hub(store) as hub:
            device, one = await attached(hub)
            _, two = await attached(hub, "two")
            store.held = True
            hub.ingest(one, device, [(1, "a", 1)], 1)
            await turn()
            hub.ingest(two, two.device, [(1, "a", 1)], 1)
            store.batches.clear()
            store.release()
            await until(lambda: one.acknowledged)
            assert store.batches == []  # two's reading waits for one
            hub.ingest(one, device, [(2, "a", 1)], 2)
            await until(lambda: store.batches)
            assert len(store.batches[0][0]) == 2
            # The same session alone, with more behind: at once.
            hub.ingest(one, device, [(3, "a", 1)], 3)
            hub.ingest(two, two.device, [(3, "a", 1)], 3)
            store.release()
            await until(lambda: len(store.batches) == 2)
            store.held = False
            store.release()
            await until(lambda: len(two.acknowledged) == 2)

    anyrun(scene())


def test_the_first_back_after_a_commit_waits_for_the_others_and_one_alone_for_nobody(anyrun, monkeypatch):
    async def scene():
        monkeypatch.setattr(batch_module, "HOLD_S", 60.0)
        store = HeldStore()
        async with open_hub(store) as hub:
            first, one = await attached(hub, "one")
            second, two = await attached(hub, "two")
            hub.ingest(one, first, [(1, "a", 1)], 1)
            hub.ingest(two, second, [(1, "a", 1)], 1)
            await until(lambda: two.acknowledged)
            commits = hub.commits.commits
            hub.ingest(one, first, [(2, "a", 2)], 2)
            for _ in range(5):
                await turn()
            assert hub.commits.commits == commits  # it waits for the other one,
            hub.ingest(two, second, [(2, "a", 2)], 2)
            await until(lambda: len(one.acknowledged) == len(two.acknowledged) == 2)
            assert hub.commits.commits == commits + 1  # and both are in one commit
            hub.ingest(one, first, [(3, "a", 3)], 3)
            hub.commits._release()  # the other one stays away, and the time is up
            await until(lambda: len(one.acknowledged) == 3)
            assert len(two.acknowledged) == 2
            hub.ingest(one, first, [(9, "a", 9)], 9)
            await until(lambda: len(one.acknowledged) == 4)  # by now it is known to be alone

    anyrun(scene())


def test_whoever_waits_by_a_future_is_not_held_back(anyrun, monkeypatch):
    async def scene():
        monkeypatch.setattr(batch_module, "HOLD_S", 60.0)
        store = HeldStore()
        async with open_hub(store) as hub:
            device, one = await attached(hub)
            _, two = await attached(hub, "two")
            store.held = True
            hub.ingest(one, device, [(1, "a", 1)], 1)
            await turn()
            hub.ingest(two, two.device, [(1, "a", 1)], 1)
            store.held = False
            store.release()
            await until(lambda: one.acknowledged)
            await asyncio.wait_for(hub.commits.durable(), 60)
            assert two.acknowledged == [([1], None)]

    anyrun(scene())


def test_closing_commits_what_was_taken(anyrun):
    async def scene():
        store = HeldStore()
        async with open_hub(store) as hub:
            device, session = await attached(hub)
            hub.ingest(session, device, [(1, "a", 1)], 1)
        assert session.acknowledged == [([1], None)]
        assert store.batches[-1][0] == [(1, 1, 1)]

    anyrun(scene())


def test_closing_on_a_full_disk_ends_all_the_same(anyrun, caplog):
    async def scene():
        store = HeldStore()
        async with open_hub(store) as hub:
            device, session = await attached(hub)
            store.error = FULL
            hub.ingest(session, device, [(1, "a", 1)], 1)
        assert session.acknowledged == [([1], FULL)]

    anyrun(scene())
    assert "the last commit failed: no space left" in caplog.text


def test_large_values_fill_a_batch_as_well(anyrun):
    async def scene():
        store = HeldStore()
        async with open_hub(store, max_pending_readings=1000) as hub:
            device, session = await attached(hub)
            store.held = True
            hub.ingest(session, device, [(1, "a", "x" * 60_000), (2, "a", {"x": ["y" * 60_000]})], 1)
            assert not session.paused
            hub.ingest(session, device, [(3, "a", "x" * 60_000)], 2)
            assert session.paused
            await turn()
            store.held = False
            store.release()
            await until(lambda: not session.paused)

    anyrun(scene())


def test_what_is_refused_weighs_nothing(anyrun):
    async def scene():
        async with open_hub(max_keys_per_device=1) as hub:
            device, session = await attached(hub)
            with pytest.raises(TooLarge):
                hub.ingest(session, device, [(1, "a", "x" * 60_000), (1, "b", 1)], 1)
            assert (hub.commits.batch.rows, hub.commits.batch.extra_weight) == ([], 0)

    anyrun(scene())
