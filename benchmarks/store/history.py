"""A history of many series: how fast it goes in, what it takes on disk, and how soon it answers.

    python benchmarks/store/history.py [--readings 2000000] [--series 1000] [--batch 5000] [--peer sqlite --peer duckdb]
    python benchmarks/store/history.py --readings 50000000 --series 10000          # half an hour and 2 GB of disk
    python benchmarks/store/history.py --readings 100000000 --series 32            # a year of each series at 10 s

Readings are real shapes: every 10 s by a clock that jitters by 40 ms, a walk with one decimal. They are handed in by
batches, each when the one before it is durable, as the hub does. Making them is not counted.

How to read it: `readings/s` of the first and the last tenth: the store must not become slower. `CPU µs` is user and
system time of the whole process a reading, folding, compaction and checkpoints included; it holds on a busy machine.
`p50` and `p99` are of commits, while all of that goes on. `B/reading` is the file after a clean end. Queries are the
median of some tries on a store that was just opened, with the operating system's cache warm; a query of our store is
what the store hands to the hub, not yet a chart. Not measured: power, and a cold disk.

A plain SQLite table with an index is always beside it. DuckDB (`pip install duckdb`), PostgreSQL (`psycopg`,
`--postgres DSN`) and InfluxDB 1.x (`--influx http://127.0.0.1:8086`) are asked for; each gets the same batches, durable
one by one, and fewer of them where it is much slower (`--peer-readings`).
"""

from __future__ import annotations

import argparse
import platform
import random
import resource
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from hardpoint.stores.sqlite import SqliteStore

sys.path.insert(0, str(Path(__file__).parent))
from peers import PEERS, Peer

START_MS = 1_700_000_000_000
EVERY_MS = 10_000
DAY_MS = 86_400_000
PERIOD = 100_003
"""Of the made-up shapes: a prime, so that no two series repeat together."""
TRIES = 9

Row = tuple[int, int, float]


class Shapes:
    """Batches of readings, round by round over all series."""

    def __init__(self, series: int, batch: int) -> None:
        chance = random.Random(20261123)
        level = 21.0
        self._walk: list[float] = []
        for _ in range(PERIOD):
            level += chance.gauss(0, 0.08) + (21.0 - level) * 0.001
            self._walk.append(round(level + chance.gauss(0, 0.05), 1))
        self._jitter = [round(chance.gauss(0, 40)) for _ in range(PERIOD)]
        self._series = series
        self._batch = batch

    def rows(self, readings: int) -> Iterator[list[Row]]:
        """So many readings, in batches."""
        series, walk, jitter = self._series, self._walk, self._jitter
        for start in range(0, readings, self._batch):
            places = range(start, min(readings, start + self._batch))
            yield [
                (
                    place % series + 1,
                    START_MS + place // series * EVERY_MS + jitter[place % PERIOD],
                    walk[(place // series + place % series * 7919) % PERIOD],
                )
                for place in places
            ]


class Figures:
    """What writing took."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.sizes: list[int] = []
        self.cpu_s = 0.0

    def rate(self, part: slice) -> float:
        return sum(self.sizes[part]) / sum(self.seconds[part])

    def line(self, name: str, size_bytes: int) -> str:
        tenth = max(1, len(self.sizes) // 10)
        readings = sum(self.sizes)
        latencies = sorted(self.seconds)
        p50, p99, worst = (latencies[int(part * (len(latencies) - 1))] * 1e3 for part in (0.5, 0.99, 1.0))
        return (
            f"{name:<18} {readings:>11,} {self.rate(slice(None)):>11,.0f} {self.rate(slice(0, tenth)):>11,.0f} "
            f"{self.rate(slice(-tenth, None)):>11,.0f} {self.cpu_s / readings * 1e6:>7.2f} {p50:>8.2f} {p99:>8.2f} "
            f"{worst:>8.1f} {size_bytes / readings:>10.2f}"
        )


HEAD = (
    f"{'store':<18} {'readings':>11} {'readings/s':>11} {'first 10 %':>11} {'last 10 %':>11} {'CPU µs':>7} "
    f"{'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'B/reading':>10}"
)


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def write(batches: Iterator[list[Row]], commit: Callable[[list[Row]], None]) -> Figures:
    figures = Figures()
    for rows in batches:
        cpu, begin = cpu_s(), time.perf_counter()
        commit(rows)
        figures.seconds.append(time.perf_counter() - begin)
        figures.cpu_s += cpu_s() - cpu
        figures.sizes.append(len(rows))
    return figures


def write_ours(folder: Path, batches: Iterator[list[Row]]) -> tuple[Figures, float]:
    store = SqliteStore(folder)
    store.open()
    durable = threading.Semaphore(0)

    def done(error: object) -> None:
        assert error is None, error
        durable.release()

    def commit(rows: list[Row]) -> None:
        store.commit(rows, (), done)
        durable.acquire()

    figures = write(batches, commit)
    begin = time.perf_counter()
    store.close()
    return figures, time.perf_counter() - begin


def timed(question: Callable[[], object]) -> float:
    """Milliseconds."""
    question()
    tries = []
    for _ in range(TRIES):
        begin = time.perf_counter()
        question()
        tries.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(tries)


def ask_ours(folder: Path, series: int, last_ms: int) -> dict[str, float]:
    store = SqliteStore(folder)
    store.open()
    try:
        some = range(1, min(series, 100) + 1)
        day = max(START_MS, last_ms - DAY_MS)
        year = max(START_MS, last_ms - 365 * DAY_MS)
        return {
            "latest value": timed(lambda: list(store.latest(1))),
            "a day, every reading": timed(lambda: list(store.stretches(1, day, last_ms))),
            "all of it, overview": timed(lambda: list(store.overview(1, year, last_ms))),
            "100 series, a day": timed(lambda: [list(store.overview(one, day, last_ms)) for one in some]),
        }
    finally:
        store.close()


def ask_peer(peer: Peer, last_ms: int) -> dict[str, float]:
    return {question: timed(lambda ask=ask: ask(last_ms)) for question, ask in peer.questions().items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readings", type=int, default=2_000_000)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=5000, help="readings a commit")
    parser.add_argument("--folder", type=Path, default=None, help="on the disk to measure; default: the system's temp")
    parser.add_argument("--peer", action="append", choices=sorted(PEERS), default=[], help="beside the plain table")
    parser.add_argument("--peer-readings", type=int, default=1_000_000, help="as many at most for each peer")
    parser.add_argument("--postgres", default="", help="its DSN")
    parser.add_argument("--influx", default="http://127.0.0.1:8086", help="its address")
    given = parser.parse_args()
    shapes = Shapes(given.series, given.batch)
    print(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.machine()}, "
        f"{given.series} series, {given.batch} readings a commit\n\n{HEAD}"
    )
    answers: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(dir=given.folder) as made:
        folder = Path(made) / "hardpoint"
        figures, closing_s = write_ours(folder, shapes.rows(given.readings))
        size = (folder / "hardpoint.db").stat().st_size
        print(figures.line("hardpoint", size), flush=True)
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        last_ms = START_MS + given.readings // given.series * EVERY_MS
        answers["hardpoint"] = ask_ours(folder, given.series, last_ms)
        for name in ["sqlite", *(each for each in given.peer if each != "sqlite")]:
            readings = min(given.readings, given.peer_readings)
            peer: Peer = PEERS[name](Path(made), given)
            figures = write(shapes.rows(readings), peer.commit)
            size = peer.finish()
            print(figures.line(peer.name, size), flush=True)
            answers[peer.name] = ask_peer(peer, START_MS + readings // given.series * EVERY_MS)
            peer.close()
    print(f"\nmemory at most {peak_mib:.0f} MiB, closing {closing_s:.2f} s\n")
    print(f"{'ms, median':<24}" + "".join(f"{name:>18}" for name in answers))
    for question in answers["hardpoint"]:
        print(f"{question:<24}" + "".join(f"{found[question]:>18.2f}" for found in answers.values()))


if __name__ == "__main__":
    main()
