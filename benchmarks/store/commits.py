"""What a durable reading costs: commits and readings a second, CPU a reading, latency, bytes on disk.

    python benchmarks/store/commits.py [--seconds 3] [--folder DIR] [--series 64]

Commits of 1, 64 and 1,024 readings are handed in one after another, each when the one before it is durable, as the hub
does. How to read it: `commits/s` is what the disk's fsync allows and says little about this program; `CPU µs/reading`
is user and system time of the whole process, folding and checkpoints included, and is what a server pays. `p99 ms` is
the slowest hundredth of the commits: folding and checkpoints that get in a commit's way show there. `B/reading` is the
database after a clean end. Not measured: readers at the same time, power.
"""

from __future__ import annotations

import argparse
import platform
import resource
import sqlite3
import tempfile
import threading
import time
from pathlib import Path

from hardpoint.stores.sqlite import SqliteStore

BATCHES = (1, 64, 1024)


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(folder: Path, batch: int, series: int, seconds: float) -> str:
    store = SqliteStore(folder)
    store.open()
    durable = threading.Semaphore(0)
    errors: list[object] = []

    def done(error: object) -> None:
        if error is not None:
            errors.append(error)
        durable.release()

    latencies: list[float] = []
    readings = 0
    cpu, begin = cpu_s(), time.perf_counter()
    while (now := time.perf_counter()) - begin < seconds:
        rows = [((readings + n) % series + 1, (readings + n) // series * 1000, 20.0 + n / 7) for n in range(batch)]
        now = time.perf_counter()
        store.commit(rows, (), done)
        durable.acquire()
        latencies.append(time.perf_counter() - now)
        readings += batch
    elapsed = time.perf_counter() - begin
    store.close()
    cpu = cpu_s() - cpu
    assert not errors, errors
    size = (folder / "hardpoint.db").stat().st_size
    latencies.sort()
    p50, p99, worst = (latencies[int(part * (len(latencies) - 1))] * 1e3 for part in (0.5, 0.99, 1.0))
    return (
        f"{batch:>6} {len(latencies) / elapsed:>10.0f} {readings / elapsed:>11.0f} {cpu / readings * 1e6:>15.2f} "
        f"{p50:>8.2f} {p99:>8.2f} {worst:>8.2f} {size / readings:>10.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each size of batch")
    parser.add_argument("--folder", type=Path, default=None, help="on the disk to measure; default: the system's temp")
    parser.add_argument("--series", type=int, default=64, help="how many the readings are spread over")
    options = parser.parse_args()
    print(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.machine()}, "
        f"{options.series} series"
    )
    print(
        f"{'batch':>6} {'commits/s':>10} {'readings/s':>11} {'CPU µs/reading':>15} "
        f"{'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'B/reading':>10}"
    )
    for batch in BATCHES:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            print(measure(Path(folder), batch, options.series, options.seconds), flush=True)


if __name__ == "__main__":
    main()
