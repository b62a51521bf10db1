"""Where the store is read: on threads, so many at a time, and no longer than somebody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from ...errors import RateLimited

if TYPE_CHECKING:
    from .reduce import Wanted

T = TypeVar("T")

THREADS = 2
"""One long query does not hold up the next. The interpreter runs one of them at a time in any case."""


class ReadPool:
    """Runs queries on threads of its own. Used on one event loop's thread."""

    def __init__(self, max_reads: int) -> None:
        self.max_reads = max_reads
        """Answers that may be in the making at a time (``limits.max_reads``)."""
        self.under_way = 0
        self.refused = 0
        """How many came when there were too many already."""
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="hardpoint-read")

    @contextmanager
    def answering(self) -> Generator[None]:
        """One answer is in the making within this block, whether it takes one query or a thousand.

        Raises:
            RateLimited: there are too many.
        """
        if self.under_way >= self.max_reads:
            self.refused += 1
            raise RateLimited(f"limits.max_reads ({self.max_reads}) answers are being read already: try again")
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1

    async def run(self, query: Callable[[Wanted], T]) -> T:
        """``query(wanted)`` on a thread. When whoever waits here is cancelled, ``wanted()`` is False from then on."""
        wanted = True
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, query, lambda: wanted)
        except asyncio.CancelledError:
            wanted = False
            raise

    def shutdown(self) -> None:
        """Wait for the queries that have begun, and drop the others."""
        self._threads.shutdown(wait=True, cancel_futures=True)
