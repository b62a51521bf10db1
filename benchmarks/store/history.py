"""A history of many series: how fast it goes in, what it takes on disk, and how soon it answers.

    python benchmarks/store/history.py [--readings 2000000] [--series 1000] [--batch 5000] [--peer duckdb]
    python benchmarks/store/history.py --readings 50000000 --series 10000 --keep DIR   # half an hour, 150 MB of disk
    python benchmarks/store/history.py --readings 100000000 --series 32 --keep DIR     # a year of each series at 10 s

With ``--keep`` a run that was interrupted goes on where it was, given the same command.

Readings are real shapes: every 10 s by a clock that jitters by 40 ms, a walk with one decimal. They are handed in by
batches, each when the one before it is durable, as the hub does. Making them is counted: 0.2 µs of each.

How to read it: `readings/s` of the first and the last tenth: the store must not become slower. `CPU µs` is user and
system time of the whole process a reading, folding, compaction and checkpoints included; it holds on a busy machine.
`p50` and `p99` are of commits, while all of that goes on. `B/reading` is the file after a clean end. Memory is that of
the whole process while it writes, 30 MiB of it the interpreter and the shapes. Queries are the median of some tries on
a store that was just opened, with the operating system's cache warm; ours are whole charts, points chosen, and the
peers are asked for least, greatest and mean of as many buckets. Not measured: power, and a cold disk.

Beside it, in the same run, is what is installed: a plain SQLite table with an index, DuckDB (`pip install duckdb`),
PostgreSQL (`apt-get install postgresql`, `pip install psycopg[binary]`) and InfluxDB 1.x (`apt-get install influxdb`).
The two servers are started for it, in folders of their own on the same disk, as they come, unless `--postgres DSN` or
`--influx URL` names one that runs. Each gets the same batches, durable one by one, and fewer of them where it is much
slower (`--peer-readings`). `--peer` chooses. `CPU µs` of these two is that of the client alone.
"""

from __future__ import annotations

import argparse
import json
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
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import pairwise, repeat
from operator import add
from pathlib import Path
from typing import NamedTuple

from hardpoint.hub.history.query import RangeQuery
from hardpoint.hub.history.reduce import reduce_range
from hardpoint.stores.sqlite import SqliteStore

sys.path.insert(0, str(Path(__file__).parent))
import servers
from peers import PEERS, Peer

START_MS = 1_700_000_000_000
EVERY_MS = 10_000
DAY_MS = 86_400_000
PERIOD = 100_003
"""Of the made-up shapes: a prime, so that no two series repeat together."""
TRIES = 9
PARTS = 100

Row = tuple[int, int, float]


class Shapes:
    """Batches of readings, round by round over all series. Making one takes 0.2 µs: C loops over columns."""

    def __init__(self, series: int, batch: int) -> None:
        chance = random.Random(20261123)
        level = 21.0
        walk: list[float] = []
        for _ in range(PERIOD):
            level += chance.gauss(0, 0.08) + (21.0 - level) * 0.001
            walk.append(round(level + chance.gauss(0, 0.05), 1))
        jitter = [round(chance.gauss(0, 40)) for _ in range(PERIOD)]
        # Twice, so that a round that begins anywhere in the first is one slice.
        self._walk, self._jitter = walk * 2, jitter * (2 + series // PERIOD)
        self._offsets = [one * 7919 % PERIOD for one in range(series)]
        self._series = series
        self._batch = batch

    def rows(self, begin: int, end: int) -> Iterator[list[Row]]:
        """The readings from one place to another, in batches."""
        for start in range(begin, end, self._batch):
            stop = min(end, start + self._batch)
            rows: list[Row] = []
            while start < stop:
                number, first = divmod(start, self._series)
                count = min(self._series - first, stop - start)
                rows += self._round(number, first, count)
                start += count
            yield rows

    def _round(self, number: int, first: int, count: int) -> Iterator[Row]:
        place = (number * self._series + first) % PERIOD
        times = map(add, self._jitter[place : place + count], repeat(START_MS + number * EVERY_MS))
        places = map(add, self._offsets[first : first + count], repeat(number % PERIOD))
        return zip(range(first + 1, first + count + 1), times, map(self._walk.__getitem__, places), strict=True)


class Part(NamedTuple):
    """A hundredth of the readings: what writing it took. Kept as JSON, for a run that is interrupted to go on."""

    readings: int
    seconds: float
    cpu_s: float
    commits_ms: list[float]


class Figures:
    """What writing took, part by part."""

    def __init__(self, parts: list[Part]) -> None:
        self.parts = parts

    def rate(self, part: slice) -> float:
        return sum(each.readings for each in self.parts[part]) / sum(each.seconds for each in self.parts[part])

    def line(self, name: str, size_bytes: int) -> str:
        tenth = max(1, len(self.parts) // 10)
        readings = sum(each.readings for each in self.parts)
        cpu_us = sum(each.cpu_s for each in self.parts) / readings * 1e6
        latencies = sorted(ms for each in self.parts for ms in each.commits_ms)
        p50, p99, worst = (latencies[int(part * (len(latencies) - 1))] for part in (0.5, 0.99, 1.0))
        return (
            f"{name:<18} {readings:>11,} {self.rate(slice(None)):>11,.0f} {self.rate(slice(0, tenth)):>11,.0f} "
            f"{self.rate(slice(-tenth, None)):>11,.0f} {cpu_us:>7.2f} {p50:>8.2f} {p99:>8.2f} "
            f"{worst:>8.1f} {size_bytes / readings:>10.2f}"
        )


HEAD = (
    f"{'store':<18} {'readings':>11} {'readings/s':>11} {'first 10 %':>11} {'last 10 %':>11} {'CPU µs':>7} "
    f"{'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'B/reading':>10}"
)


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write_part(batches: Iterator[list[Row]], commit: Callable[[list[Row]], None]) -> Part:
    readings = 0
    commits_ms: list[float] = []
    cpu, begin = cpu_s(), time.perf_counter()
    for rows in batches:
        committing = time.perf_counter()
        commit(rows)
        commits_ms.append((time.perf_counter() - committing) * 1e3)
        readings += len(rows)
    return Part(readings, time.perf_counter() - begin, cpu_s() - cpu, commits_ms)


def write(shapes: Shapes, readings: int, commit: Callable[[list[Row]], None]) -> Figures:
    bounds = part_bounds(readings)
    return Figures([write_part(shapes.rows(start, end), commit) for start, end in bounds])


def part_bounds(readings: int) -> list[tuple[int, int]]:
    bounds = [readings * number // PARTS for number in range(PARTS + 1)]
    return [(start, end) for start, end in pairwise(bounds) if end > start]


def write_ours(folder: Path, shapes: Shapes, given: argparse.Namespace) -> tuple[Figures, float]:
    """Everything that an earlier run in this folder did not write yet, and the seconds that closing took."""
    asked_for = {"readings": given.readings, "series": given.series, "batch": given.batch}
    progress = folder / "progress.json"
    parts: list[Part] = []
    if progress.exists():
        known = json.loads(progress.read_bytes())
        if known["asked_for"] != asked_for:
            raise SystemExit(f"{folder} holds a run of {known['asked_for']}: go on with it, or name another folder")
        parts = [Part(*each) for each in known["parts"]]
        print(f"going on behind {sum(each.readings for each in parts):,} readings", file=sys.stderr)
    store = SqliteStore(folder / "hardpoint")
    store.open()
    durable = threading.Semaphore(0)

    def done(error: object) -> None:
        assert error is None, error
        durable.release()

    def commit(rows: list[Row]) -> None:
        store.commit(rows, (), done)
        durable.acquire()

    for start, end in part_bounds(given.readings)[len(parts) :]:
        parts.append(write_part(shapes.rows(start, end), commit))
        noted = progress.with_suffix(".partial")
        noted.write_text(json.dumps({"asked_for": asked_for, "parts": parts}))
        noted.replace(progress)
        if peak_mib() > given.max_memory_mib:
            raise SystemExit(f"{peak_mib():.0f} MiB after {end:,} readings: more than --max-memory-mib")
    begin = time.perf_counter()
    store.close()
    return Figures(parts), time.perf_counter() - begin


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
    """What the server does on one of its threads for each of these charts, but for the JSON."""
    store = SqliteStore(folder)
    store.open()
    try:
        some = range(1, min(series, 100) + 1)
        day = RangeQuery(max(START_MS, last_ms - DAY_MS), last_ms)
        year = RangeQuery(max(START_MS, last_ms - 365 * DAY_MS), last_ms)
        return {
            "latest value": timed(lambda: list(store.latest(1))),
            "a day, every reading": timed(lambda: reduce_range(store, 1, replace(day, agg="raw"))),
            "a year, 600 points": timed(lambda: reduce_range(store, 1, year)),
            "100 series, a day, 600": timed(lambda: [reduce_range(store, one, day) for one in some]),
        }
    finally:
        store.close()


def ask_peer(peer: Peer, last_ms: int) -> dict[str, float]:
    return {question: timed(lambda ask=ask: ask(last_ms)) for question, ask in peer.questions().items()}


@contextmanager
def peer_of(name: str, folder: Path, given: argparse.Namespace) -> Iterator[Peer]:
    """A peer to write to and to ask, its server running for as long."""
    with ExitStack() as running:
        if name == "postgres" and not given.postgres:
            given.postgres = running.enter_context(servers.postgres(given.folder))
        if name == "influx" and not given.influx:
            given.influx = running.enter_context(servers.influx(given.folder))
        peer = PEERS[name](folder, given)
        try:
            yield peer
        finally:
            peer.close()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readings", type=int, default=2_000_000)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=5000, help="readings a commit")
    parser.add_argument("--folder", type=Path, default=None, help="on the disk to measure; default: the system's temp")
    parser.add_argument("--keep", type=Path, default=None, help="write here, keep it, and go on with what is there")
    parser.add_argument("--max-memory-mib", type=int, default=256, help="of this process while it writes; more fails")
    parser.add_argument("--peer", action="append", choices=sorted(PEERS), help="only these, beside the plain table")
    parser.add_argument("--peer-readings", type=int, default=1_000_000, help="as many at most for each peer")
    parser.add_argument("--postgres", default="", help="its DSN")
    parser.add_argument("--influx", default="", help="its address")
    given = parser.parse_args()
    chosen = servers.installed() if given.peer is None else given.peer
    given.peer = ["sqlite", *(each for each in chosen if each != "sqlite")]
    return given


def main() -> None:
    given = arguments()
    shapes = Shapes(given.series, given.batch)
    print(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.machine()}, "
        f"{given.series} series, {given.batch} readings a commit\n\n{HEAD}",
        flush=True,
    )
    answers: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(dir=given.folder) as made:
        folder: Path = given.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        figures, closing_s = write_ours(folder, shapes, given)
        memory_mib = peak_mib()
        size = (folder / "hardpoint" / "hardpoint.db").stat().st_size
        print(figures.line("hardpoint", size), flush=True)
        last_ms = START_MS + given.readings // given.series * EVERY_MS
        answers["hardpoint"] = ask_ours(folder / "hardpoint", given.series, last_ms)
        for name in given.peer:
            with peer_of(name, Path(made), given) as peer:
                readings = min(given.readings, given.peer_readings)
                figures = write(shapes, readings, peer.commit)
                size = peer.finish()
                print(figures.line(peer.name, size), flush=True)
                answers[peer.name] = ask_peer(peer, START_MS + readings // given.series * EVERY_MS)
    print(f"\nmemory at most {memory_mib:.0f} of {given.max_memory_mib} MiB, closing {closing_s:.2f} s\n")
    print(f"{'ms, median':<24}" + "".join(f"{name:>18}" for name in answers))
    for question in answers["hardpoint"]:
        print(f"{question:<24}" + "".join(f"{found[question]:>18.2f}" for found in answers.values()))


if __name__ == "__main__":
    main()
