"""kill -9 at every named point of every step: nothing acknowledged is lost, nothing is there twice."""

from __future__ import annotations

import hashlib
import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from storing import commit_and_wait

from hardpoint.model import Package, Put, Summary
from hardpoint.stores.packages import FOLDER, PackageFiles
from hardpoint.stores.sqlite import SqliteStore, failpoints
from hardpoint.stores.sqlite.folder import DataFolder
from hardpoint.stores.sqlite.schema import migrate, shipped_migrations

EVER = (0, 2**62)
LEGACY_ROWS = 3000
FIRMWARE = (b"first", b"second")

# Series 1 only grows; 2 gets each time again and again; 3 is deleted from its beginning; 4, whose values are large, is
# dropped by age, and 5 thinned; 6 comes late, before what is there already; 7 is damaged and repaired.
CHILD = """
import hashlib, json, os, sys, threading
from pathlib import Path
from hardpoint.model import DeleteReadings, Device, Keep, Policy, Put, Series
from hardpoint.stores.sqlite import SqliteStore, compaction, failpoints, fold, legacy, merge, purge, retain, work

folder, point, after = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
work.FOLD_AT_READINGS, work.FOLD_AT_READINGS_A_SERIES, work.SLICE_S = 40, 0, 0.0
work.FOLD_AT_LEAST_A_SERIES, fold.DIRECT_READINGS, fold.MAX_DIRECT_READINGS = 0, 3, 4
compaction.READINGS_A_SERIES, compaction.MAX_BLOCKS, fold.MAX_SHARED_READINGS = 12, 4, 2
fold.MAX_BLOCK_READINGS, merge.MIN_READINGS, merge.MAX_READINGS = 4, 8, 24
purge.SLICE_CHUNKS, legacy.SLICE_ROWS, retain.SLICE_CHUNKS = 1, 500, 1
retain.SPARE_PAGES, retain.VACUUM_PAGES, retain.WORTH_THINNING = 0, 1, 3
failpoints.kill_at(point, after)
store = SqliteStore(folder)
store.open()

def tell(what):
    os.write(1, json.dumps(what).encode() + b"\\n")

def large(number):
    return hashlib.shake_256(b"%d" % number).hexdigest(500)

def commit(rows, changes):
    finished = threading.Event()
    store.commit(rows, changes, lambda error: (finished.set(), error and os.abort()))
    finished.wait()

def flip(connection, _):
    row = connection.execute(
        "SELECT data_id, open FROM chunks WHERE series = 7 ORDER BY start_ms LIMIT 1").fetchone()
    table = ("chunk_data", "open_data")[row[1]]
    connection.execute(f"UPDATE {table} SET data = zeroblob(length(data)) WHERE id = ?", row[:1])
    yield 0

keys = [Put(Series(number, "d", str(number))) for number in range(1, 8)]
commit([], [Put(Device("d", "d", 0)), *keys])
for number in range(1, 121):
    rows = [(1, number, number), (2, number % 10, number), (3, number, number), (4, number, large(number)),
            (5, number, number), (6, 1000 - number, number), (7, number, number)]
    changes = [DeleteReadings(3, 0, number - 10)] if number % 30 == 0 else []
    tell(["begun", number])
    commit(rows, changes)
    tell(["done", number])
tell(["retaining"])
store.retain(Policy((Keep(key="4", drop_after_s=0.06), Keep(key="5", thin_after_s=0.02))), 120)
store._do(flip)
store.check(repair=True)
store.backup(folder / "copy.db")
store.close()
"""


def killed(folder: Path, point: str, after: int) -> tuple[int, int, bool]:
    """Run the child until it is killed; the last commit it began, the last that was acknowledged, and whether it
    was past them all.
    """
    command = [sys.executable, "-c", CHILD, str(folder), point, str(after)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        output, errors = child.communicate(timeout=300)
    assert child.returncode == -signal.SIGKILL, f"{point} was not reached: {errors.decode()[-2000:]}"
    begun = done = 0
    retaining = False
    for line in output.splitlines():
        match json.loads(line):
            case ["begun", number]:
                begun = number
            case ["done", number]:
                done = number
            case _:
                retaining = True
    return begun, done, retaining


def expected(last: int) -> dict[int, list[tuple[int, object]]]:
    """What the first so many commits left, without retention."""
    numbers = range(1, last + 1)
    deleted = last // 30 * 30 - 10
    growing: list[tuple[int, object]] = [(number, number) for number in numbers]
    return {
        1: growing,
        2: sorted({number % 10: number for number in numbers}.items()),
        3: [(number, number) for number in numbers if number >= deleted],
        4: [(number, hashlib.shake_256(b"%d" % number).hexdigest(500)) for number in numbers],
        5: growing,
        6: sorted((1000 - number, number) for number in numbers),
        7: growing,
    }


def assert_whole(store: SqliteStore, begun: int, done: int, retaining: bool) -> None:
    """Exactly what was acknowledged is there, or that and the commit that was under way."""
    found = {series: list(store.readings(series, *EVER)) for series in range(1, 8)}
    wanted = next(each for each in map(expected, (done, begun)) if len(each[1]) == len(found[1]))
    surely = {1, 2, 3, 6} if retaining else set(range(1, 8))
    for series in surely:
        assert found[series] == wanted[series], series
    if retaining:
        assert [row for row in wanted[4] if row[0] >= 60] == [row for row in found[4] if row[0] >= 60]
        assert set(found[4]) <= set(wanted[4])
        assert set(found[5]) <= set(wanted[5])
        assert set(found[7]) <= set(wanted[7])
        pieces = list(store.overview(5, *EVER))
        counts = [piece.count if isinstance(piece, Summary) else len(piece.times) for piece in pieces]
        assert sum(counts) == len(wanted[5]), "what was thinned is counted once"
    for series, rows in found.items():
        times = [ts for piece in store.stretches(series, *EVER, newest_first=True) for ts in reversed(piece.times)]
        assert times[::-1] == [ts for ts, _ in rows]
        if rows:
            first, last = store.extent(series) or (0, 0)
            if series == 7:  # what is damaged in it counts until it is repaired
                assert (first <= rows[0][0], last) == (True, rows[-1][0])
            else:
                assert (first, last) == (rows[0][0], rows[-1][0])
            assert list(store.latest(series)) == [(series, *rows[-1])]


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A new folder; for the points of migration one of schema 1 with rows of a series of its own, for those of
    unpacking a backup with two packages of firmware.
    """
    data = DataFolder(tmp_path / "data")
    if "unpack" in request.node.callspec.params["point"]:
        source = SqliteStore(tmp_path / "source")
        source.open()
        for firmware in FIRMWARE:
            upload = PackageFiles(tmp_path / "source" / FOLDER).begin()
            upload.write(firmware)
            package = Package(firmware.decode(), "fw", "t", firmware.decode(), 1, upload.finish(), "", "", 0)
            assert commit_and_wait(source, [], [Put(package)]) is None
        data.path.mkdir()
        source.backup(data.database)
        source.close()
    if "migration" in request.node.callspec.params["point"]:
        data.take()
        connection = sqlite3.connect(data.database, isolation_level=None)
        migrate(connection, data, shipped_migrations()[:1])
        connection.execute("BEGIN")
        rows = ((9, place * 10, place / 2) for place in range(LEGACY_ROWS))
        connection.executemany("INSERT INTO readings VALUES (?, ?, ?)", rows)
        connection.execute("COMMIT")
        connection.close()
        data.release()
    return data.path


@pytest.mark.slow
@pytest.mark.parametrize("point", sorted(failpoints.NAMES))
def test_killed_there(folder: Path, point: str) -> None:
    after = 0 if point.startswith(("backup", "repair", "unpack", "migration: before")) else 3  # those come once
    begun, done, retaining = killed(folder, point, after)
    for _ in range(2):
        store = SqliteStore(folder)
        store.open()
        assert_whole(store, begun, done, retaining)
        if "unpack" in point:
            assert sorted(path.read_bytes() for path in (folder / FOLDER).iterdir()) == list(FIRMWARE)
        if "migration" in point:
            old = [(place * 10, place / 2) for place in range(LEGACY_ROWS)]
            assert list(store.readings(9, *EVER)) == old
        store._do(lambda connection, pending: pending.everything_in_chunks(connection))
        assert_whole(store, begun, done, retaining)
        findings = store.check(repair=True).findings
        assert all(finding.series == 7 for finding in findings)
        store.close()
    assert not (folder / "copy.db").exists() or point == "backup: named"


def test_an_unknown_point_is_refused() -> None:
    with pytest.raises(ValueError, match="no fail-point"):
        failpoints.kill_at("fold: nowhere")


def test_off_they_cost_nothing_and_do_nothing(sqlite_store: SqliteStore) -> None:
    assert failpoints.hook is None
    assert commit_and_wait(sqlite_store, [(1, 1, 1)]) is None


def test_each_is_reached_somewhere() -> None:
    """A name that no code reaches would let the test above wait for nothing."""
    source = "".join(path.read_text() for path in Path(failpoints.__file__).parent.glob("*.py"))
    assert {name for name in failpoints.NAMES if f'reach("{name}"' not in source and f'"{name}" if' not in source} <= {
        "compaction: slice done",
        "fold: slice done",
    }
