"""What a range costs: the server's own way from the store to JSON, on one thread, with no HTTP.

A sensor at 10 s with jitter and one decimal. ``--series`` of them have a day, the first has ``--days``; the store is
filled first, left to compact, opened anew, and each question is asked ``--rounds`` times. The least time of each is
told. The file system's cache is warm: what a cold card adds is not measured here.

    python benchmarks/store/queries.py                        # 100 series, one of them a year: some minutes
    python benchmarks/store/queries.py --days 30 --series 10  # a look
"""

from __future__ import annotations

import argparse
import math
import random
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hardpoint.hub.history.query import RangeQuery
from hardpoint.hub.history.reduce import reduce_range
from hardpoint.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from hardpoint.stores.base import Store

DAY_MS = 86_400_000
EVERY_MS = 10_000
A_DAY = DAY_MS // EVERY_MS
SETTLE_S = 5.0
"""Without a commit for as long, the store has nothing left to compact."""


def day(series: int, number: int) -> list[tuple[int, int, float]]:
    chance = random.Random(series * 10_000 + number)
    begin = number * DAY_MS
    return [
        (
            series,
            begin + n * EVERY_MS + chance.randrange(200),
            round(20 + 5 * math.sin(n / 1000) + chance.random(), 1),
        )
        for n in range(A_DAY)
    ]


def fill(store: Store, series: int, days: int) -> None:
    for one, count in [(1, days), *((number, 1) for number in range(2, series + 1))]:
        for number in range(count):
            done = threading.Event()
            store.commit(day(one, number), [], lambda error, done=done: done.set())
            done.wait()


def least_ms(question: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        question()
        times.append(time.perf_counter() - began)
    return min(times) * 1000


def answer(store: Store, series: range, query: RangeQuery) -> bytes:
    found = [reduce_range(store, number, query) for number in series]
    return msgspec.json.encode([{"agg": agg, "points": points} for agg, points in found])


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--series", type=int, default=100)
    given.add_argument("--days", type=int, default=365)
    given.add_argument("--rounds", type=int, default=5)
    options = given.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "data")
        store.open()
        fill(store, options.series, options.days)
        time.sleep(SETTLE_S)
        store.close()
        store.open()
        first, all_of_them = range(1, 2), range(1, options.series + 1)
        a_day, everything = (0, DAY_MS), (0, options.days * DAY_MS)
        questions = {
            "a day of one series, raw": lambda: answer(store, first, RangeQuery(*a_day, "raw")),
            f"{options.days} days of one series, 600 points": lambda: answer(store, first, RangeQuery(*everything)),
            f"{options.days} days, 600 averages": lambda: answer(store, first, RangeQuery(*everything, "avg")),
            f"{options.series} series, a day, 600 points": lambda: answer(store, all_of_them, RangeQuery(*a_day)),
            "latest of one series": lambda: list(store.latest(1)),
        }
        for name, question in questions.items():
            print(f"{name:45}{least_ms(question, options.rounds):9.2f} ms")
        store.close()


if __name__ == "__main__":
    main()
