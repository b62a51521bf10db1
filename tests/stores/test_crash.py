"""What is left after kill -9 and after a power cut: everything acknowledged, and only whole commits."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from storing import commit_and_wait, fold_eagerly

from hardpoint.errors import StorageError
from hardpoint.model import Command, Device, Put
from hardpoint.stores.sqlite import SqliteStore
from hardpoint.stores.sqlite.checkpoint import Checkpointer

if TYPE_CHECKING:
    from hardpoint.model import Row

EVER = (0, 2**62)
ROUNDS = int(os.environ.get("SOAK_ROUNDS", "20"))

COMMITTER = """
import os, sys, threading
from pathlib import Path
from hardpoint.model import Command, Put
from hardpoint.stores.sqlite import SqliteStore, compaction, work

folder, number, fold_at = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
work.FOLD_AT_READINGS, work.FOLD_AT_READINGS_A_SERIES, work.SLICE_S = fold_at, 0, 0.0001
compaction.READINGS_A_SERIES = 8
store = SqliteStore(folder)
store.open()
acknowledged = threading.Semaphore(0)

def done(error):
    assert error is None, error
    acknowledged.release()

while True:
    rows = [(series, number, number + 0.5) for series in range(1, 2 + number % 40)]
    changes = [Put(Command(number, "d", "m", None, 0, 1))] if number % 5 == 0 else []
    store.commit(rows, changes, done)
    acknowledged.acquire()
    os.write(1, b"%d\\n" % number)
    number += 1
"""


def rows_of(number: int) -> list[Row]:
    return [(series, number, number + 0.5) for series in range(1, 2 + number % 40)]


def stored_batches(store: SqliteStore) -> set[int]:
    """The numbers of the batches that are there; half of one is a failure."""
    rows = {(series, ts, value) for series in range(1, 41) for ts, value in store.readings(series, *EVER)}
    numbers = {ts for _, ts, _ in rows}
    assert rows == {row for number in numbers for row in rows_of(number)}
    commands = {command.id for command in store.commands(limit=100_000)}
    assert commands == {number for number in numbers if number % 5 == 0}
    return numbers


def test_kill_at_any_moment_loses_nothing_acknowledged(tmp_path: Path) -> None:
    moment = random.Random(20261123)
    folder = tmp_path / "data"
    acknowledged = 0
    for round_ in range(ROUNDS):
        fold_at = (8, 100, 1_000_000)[round_ % 3]
        command = [sys.executable, "-c", COMMITTER, str(folder), str(acknowledged + 1), str(fold_at)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            for _ in range(moment.randint(1, 40)):
                acknowledged = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            for line in child.stdout:  # acknowledged before the signal arrived
                if line.endswith(b"\n"):
                    acknowledged = int(line)
        assert child.returncode == -signal.SIGKILL
        store = SqliteStore(folder)
        store.open()
        numbers = stored_batches(store)
        store.close()
        # The one that was under way may be there too: it was durable before it could be acknowledged.
        assert numbers in ({*range(1, acknowledged + 1)}, {*range(1, acknowledged + 2)})
        acknowledged = max(numbers)


@pytest.fixture(params=["journal only", "folding"])
def after_power_cut(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as it is on the disk after 30 commits, without a checkpoint and without a clean end."""
    if request.param == "folding":
        fold_eagerly(monkeypatch)
    monkeypatch.setattr(Checkpointer, "want", lambda _: None)  # how often it folds, and so writes, is a matter of time
    store = SqliteStore(tmp_path / "running")
    store.open()
    for number in range(1, 31):
        changes = [Put(Command(number, "d", "m", None, 0, 1))] if number % 5 == 0 else []
        assert commit_and_wait(store, rows_of(number), changes) is None
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("hardpoint.db", "hardpoint.db-wal"):
        shutil.copy(tmp_path / "running" / name, copy / name)
    store.close()
    return copy


def damaged(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target)
    return target / "hardpoint.db-wal"


def opened_and_used(folder: Path) -> set[int]:
    """The batches in it; and it takes another, which is there after opening it again."""
    for _ in range(2):
        store = SqliteStore(folder)
        store.open()
        numbers = stored_batches(store)
        assert commit_and_wait(store, rows_of(101)) is None
        store.close()
    assert 101 in numbers
    return numbers - {101}


def test_a_log_cut_off_anywhere_leaves_a_prefix_of_the_commits(after_power_cut: Path, tmp_path: Path) -> None:
    whole = (after_power_cut / "hardpoint.db-wal").stat().st_size
    # The first commits made the tables: a cut there is an empty database, which is another test.
    chosen = random.Random(7)
    cuts = sorted({whole, whole - 1, whole - 4096, whole - 4097, *(chosen.randint(0, whole) for _ in range(25))})
    left = []
    for cut in cuts:
        log = damaged(after_power_cut, tmp_path / f"cut-{cut}")
        os.truncate(log, cut)
        numbers = opened_and_used(log.parent)
        assert numbers == set(range(1, len(numbers) + 1))
        left.append(len(numbers))
    assert left == sorted(left), "a longer log never holds less"
    assert left[-1] == 30
    assert len(set(left)) > 5, "the cuts fell on different commits"


def test_a_log_with_a_flipped_bit_leaves_a_prefix_of_the_commits(after_power_cut: Path, tmp_path: Path) -> None:
    chosen = random.Random(8)
    for number in range(15):
        log = damaged(after_power_cut, tmp_path / f"flip-{number}")
        data = bytearray(log.read_bytes())
        data[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
        log.write_bytes(data)
        numbers = opened_and_used(log.parent)
        assert numbers == set(range(1, len(numbers) + 1))


def pages_in_the_log(log: Path) -> set[int]:
    """The numbers of the pages that it holds; see SQLite's file format, §4.1. Behind its end lie frames of the log that
    it has written over, with another salt.
    """
    data = log.read_bytes()
    page_bytes = int.from_bytes(data[8:12], "big")
    frames = range(32, len(data) - page_bytes - 23, 24 + page_bytes)
    valid = itertools.takewhile(lambda at: data[at + 8 : at + 16] == data[16:24], frames)
    return {int.from_bytes(data[at : at + 4], "big") for at in valid}


def test_pages_torn_by_a_checkpoint_are_taken_from_the_log(
    after_power_cut: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Power goes while the log's pages are written into the file: half a page is new, half is what was there."""
    caplog.set_level("INFO")
    chosen = random.Random(9)
    for number in range(10):
        log = damaged(after_power_cut, tmp_path / f"torn-{number}")
        database = log.with_name("hardpoint.db")
        with database.open("r+b") as file:
            for page in chosen.choices(sorted(pages_in_the_log(log)), k=5):
                file.seek((page - 1) * 4096 + chosen.choice((0, 2048)))
                file.write(chosen.randbytes(2048))
        assert opened_and_used(log.parent) == set(range(1, 31))
    assert f"the last process in {log.parent} was cut off: of its write-ahead log of " in caplog.text


@pytest.fixture(scope="module")
def at_rest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose server has ended: chunks, blocks, records, and no log."""
    folder = tmp_path_factory.mktemp("at-rest") / "data"
    with pytest.MonkeyPatch.context() as patch:
        fold_eagerly(patch)
        store = SqliteStore(folder)
        store.open()
        for number in range(1, 61):
            assert commit_and_wait(store, rows_of(number)) is None
        store._do(lambda connection, pending: pending.everything_in_chunks(connection))
        for number in range(61, 91):
            assert commit_and_wait(store, rows_of(number)) is None
        store.close()
    assert [path.name for path in folder.glob("hardpoint.db*")] == ["hardpoint.db"]
    return folder


def read_and_checked(folder: Path) -> tuple[set[Row] | None, list[str]]:
    """All readings and what a check finds; None and the reason where the store refuses."""
    store = SqliteStore(folder)
    try:
        store.open()
        found = {(series, ts, value) for series in range(1, 41) for ts, value in store.readings(series, *EVER)}
        return found, [finding.problem for finding in store.check().findings]
    except StorageError as refused:
        return None, [refused.message]
    finally:
        store.close()


def test_a_page_torn_anywhere_never_passes_for_what_was_stored(
    at_rest: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk's fault, that no log helps against: what is read is what was stored; where some of it is missing, or the
    store does not open, it is said.
    """
    wanted = {row for number in range(1, 91) for row in rows_of(number)}
    pages = (at_rest / "hardpoint.db").stat().st_size // 4096
    ends = {"whole": 0, "less": 0, "refused": 0}
    # Both halves of each page: which page holds what depends on when the readings were folded. A page of readings
    # without its first half, its head, is refused, and without its second half, where its rows are, it has less.
    for half in range(2 * pages):
        folder = tmp_path / str(half)
        shutil.copytree(at_rest, folder)
        with (folder / "hardpoint.db").open("r+b") as file:
            file.seek(half * 2048)
            file.write(bytes(2048))
        caplog.clear()
        found, said = read_and_checked(folder)
        if found is None:
            assert str(folder) in said[0], half
            ends["refused"] += 1
        else:
            assert found <= wanted, half
            assert found == wanted or said or caplog.messages, half
            ends["whole" if found == wanted else "less"] += 1
        shutil.rmtree(folder)
    assert min(ends.values()) > 0, f"each was met: {ends}"


def test_a_child_process_does_not_keep_the_folder(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store.open()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert commit_and_wait(store, [], [Put(Device("d", "d", 0))]) is None
        store.close()
        again = SqliteStore(tmp_path)
        again.open()
        again.close()
        child.kill()


def test_commands_of_a_killed_process_keep_their_ids(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store.open()
    assert commit_and_wait(store, [], [Put(Command(41, "d", "m", None, 0, 1))]) is None
    store.close()
    again = SqliteStore(tmp_path)
    again.open()
    assert again.next_command_id() == 42
    again.close()
