"""Reading on threads: bounded, and no longer than somebody waits."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hardpoint.errors import RateLimited
from hardpoint.hub.history.pool import ReadPool


def test_an_answer_comes_from_another_thread(run):
    async def scene():
        pool = ReadPool(1)
        found = await pool.run(lambda wanted: (threading.current_thread() is threading.main_thread(), wanted()))
        pool.shutdown()
        assert found == (False, True)

    run(scene())


def test_so_many_and_no_more():
    pool = ReadPool(2)
    with pool.answering(), pool.answering():
        with pytest.raises(RateLimited, match=r"limits.max_reads \(2\)"), pool.answering():
            pass
        assert (pool.under_way, pool.refused) == (2, 1)
    assert pool.under_way == 0
    with pool.answering():
        assert pool.under_way == 1
    pool.shutdown()


def test_a_query_learns_that_nobody_waits_any_more(run):
    async def scene():
        pool = ReadPool(1)
        begun, cancelled, ended = threading.Event(), threading.Event(), threading.Event()
        seen = []

        def query(wanted):
            seen.append(wanted())
            begun.set()
            assert cancelled.wait(60)
            seen.append(wanted())
            ended.set()

        task = asyncio.ensure_future(pool.run(query))
        assert await asyncio.to_thread(begun.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        cancelled.set()
        assert await asyncio.to_thread(ended.wait, 60)
        assert seen == [True, False]
        pool.shutdown()

    run(scene())
