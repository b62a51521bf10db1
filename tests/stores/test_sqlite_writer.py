"""When the writer folds and checkpoints, and what it survives."""

from __future__ import annotations

import itertools
import sqlite3
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from storing import DEADLINE_S, commit_and_wait, wait_until

from hardpoint.errors import StorageError, StorageFull
from hardpoint.model import Attribute, Delete, DeleteReadings, Device, Keep, Policy, Put, Series
from hardpoint.stores.sqlite import SqliteStore, checkpoint, compaction, connections, fold, store, work, writer
from hardpoint.stores.sqlite.folder import DataFolder

EVER = (0, 2**62)


class Statements:
    """The statements that the writer's connection ran, from the moment it is made."""

    def __init__(self, traced: SqliteStore) -> None:
        self.seen: list[str] = []
        traced._connections[0].set_trace_callback(self.seen.append)


def test_a_commit_of_readings_is_one_statement(sqlite_store: SqliteStore) -> None:
    statements = Statements(sqlite_store)
    assert commit_and_wait(sqlite_store, [(1, ts, ts) for ts in range(100)]) is None
    assert len(statements.seen) == 1
    assert statements.seen[0].startswith("INSERT INTO journal")


def test_changes_and_rows_are_one_transaction(sqlite_store: SqliteStore) -> None:
    statements = Statements(sqlite_store)
    assert commit_and_wait(sqlite_store, [(1, 1, 1)], [Put(Device("d", "d", 0))]) is None
    verbs = [statement.split()[0] for statement in statements.seen]
    assert verbs == ["BEGIN", "INSERT", "INSERT", "COMMIT"]


def test_the_journal_is_left_alone_below_the_threshold(sqlite_store: SqliteStore) -> None:
    for ts in range(20):
        commit_and_wait(sqlite_store, [(1, ts, ts)])
    assert sqlite_store._journal.readings == 20


def test_folds_when_the_journal_is_long(sqlite_store: SqliteStore) -> None:
    rows = [(series, ts, 0.5) for series in range(1, 9) for ts in range(work.FOLD_AT_READINGS_A_SERIES)]
    assert commit_and_wait(sqlite_store, rows) is None
    wait_until(lambda: not sqlite_store._journal.readings)
    assert len(list(sqlite_store.readings(3, *EVER))) == work.FOLD_AT_READINGS_A_SERIES


def test_folds_when_it_is_quiet(tmp_path: Path) -> None:
    quiet = SqliteStore(tmp_path, fold_idle_s=0.01)
    quiet.open()
    assert commit_and_wait(quiet, [(1, 1, "x")]) is None
    wait_until(lambda: not quiet._journal.readings)
    assert list(quiet.latest()) == [(1, 1, "x")]
    quiet.close()


@pytest.mark.parametrize(("batch", "series", "piece_s"), [(8_000, 50, 0.002), (8_000, 50, 0.004), (500, 2_000, 0.0005)])
def test_slices_keep_up_with_commits_of_any_size(
    sqlite_store: SqliteStore, monkeypatch: pytest.MonkeyPatch, batch: int, series: int, piece_s: float
) -> None:
    """Commits wait in a row, so there is one slice between any two; and by this clock every piece of a slice takes as
    long as a slow machine needs for it.
    """
    ticks = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: next(ticks) * piece_s)
    monkeypatch.setattr(fold, "time", clock)
    monkeypatch.setattr(compaction, "time", clock)
    begin, ended = threading.Event(), threading.Event()
    waiting: list[int] = []

    def count(error: StorageError | None) -> None:
        assert error is None
        waiting.append(sqlite_store._journal.readings)

    sqlite_store.commit([], [], lambda _: begin.wait(DEADLINE_S) and None)
    rounds = 8 * work.FOLD_AT_READINGS_IN_ALL // batch
    for round_ in range(rounds):
        sqlite_store.commit([(n % series, round_ * batch + n, 0) for n in range(batch)], [], count)
    sqlite_store.commit([], [], lambda _: ended.set())
    begin.set()
    assert ended.wait(4 * DEADLINE_S)  # a thousand commits, on a disk that takes its time
    assert len(waiting) == rounds
    assert max(waiting) < 2 * work.FOLD_AT_READINGS_IN_ALL
    assert max(waiting[rounds // 2 :]) <= max(waiting[: rounds // 2]) * 1.1, "it does not grow with the time"


def test_a_slice_that_meets_damage_does_not_end_the_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A row with NULL where a number was is no error of SQLite's, and the writer's thread must outlive it."""

    def damaged(*_: object) -> int:
        raise TypeError("unsupported operand type(s)")

    monkeypatch.setattr(work.Work, "step", damaged)
    held = SqliteStore(tmp_path, fold_idle_s=0.0)
    held.open()
    for ts in range(5):
        assert commit_and_wait(held, [(1, ts, ts)]) is None
    wait_until(lambda: "is damaged" in caplog.text)
    assert commit_and_wait(held, [(1, 5, 5)]) is None
    assert [ts for ts, _ in held.readings(1, *EVER)] == list(range(6))
    assert caplog.text.count("stay in the journal for now") == 1
    held.close()


def test_deleting_readings_waits_for_no_folding(sqlite_store: SqliteStore) -> None:
    commit_and_wait(sqlite_store, [(1, 1, "gone"), (1, 5, "stays")])
    assert commit_and_wait(sqlite_store, [], [DeleteReadings(1, 0, 5)]) is None
    assert sqlite_store._journal.frozen_seq == 0
    assert sqlite_store.describe()["readings"] == 1
    wait_until(lambda: sqlite_store._writer is not None and not sqlite_store._writer.work.purges.waiting)
    statements = Statements(sqlite_store)
    commit_and_wait(sqlite_store, [(1, 6, "new")], [Delete(Attribute("d", "client", "k", 0, 0))])
    assert sqlite_store.describe()["readings"] == 2
    assert not any("purges" in statement for statement in statements.seen)


def test_closing_folds_and_leaves_one_file(tmp_path: Path) -> None:
    one = SqliteStore(tmp_path)
    one.open()
    commit_and_wait(one, [(1, 1, "x")])
    one.close()
    assert {path.name for path in tmp_path.iterdir()} == {"lock", "hardpoint.db"}
    database = sqlite3.connect(tmp_path / "hardpoint.db")
    assert database.execute("SELECT series, start_ms, count FROM blocks").fetchall() == [(1, 1, 1)]
    assert database.execute("SELECT count(*) FROM journal").fetchall() == [(0,)]
    database.close()


def test_closing_waits_for_what_was_submitted(tmp_path: Path) -> None:
    one = SqliteStore(tmp_path)
    one.open()
    outcomes: list[StorageError | None] = []
    for ts in range(50):
        one.commit([(1, ts, ts)], [], outcomes.append)
    one.close()
    assert outcomes == [None] * 50


def test_what_comes_behind_the_end_is_told_so(tmp_path: Path) -> None:
    """Retention commits from a thread of its own, which may find the writer just before the store is closed."""
    one = SqliteStore(tmp_path)
    one.open()
    ended = one._writer
    assert ended is not None
    one.close()
    outcomes: list[StorageError | None] = []
    ended.submit(writer.Job([(1, 1, 1)], [], False, outcomes.append))
    assert [type(outcome) for outcome in outcomes] == [StorageError]


def test_nobody_waits_behind_folding_that_fails_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(writer, "RETRY_S", 0.01)
    held = SqliteStore(tmp_path)
    held.open()
    monkeypatch.setattr(fold.Fold, "step", broken)
    rows = [(1, ts, ts) for ts in range(work.FOLD_AT_READINGS)]
    assert commit_and_wait(held, rows, [Put(Series(1, "d", "k"))]) is None
    outcomes: list[BaseException] = []

    def plan() -> None:
        try:
            held.plan(Policy((Keep(thin_after_s=1.0),)), 10**15)
        except BaseException as error:
            outcomes.append(error)

    waiting = threading.Thread(target=plan, daemon=True)
    waiting.start()
    waiting.join(DEADLINE_S)
    assert [type(outcome) for outcome in outcomes] == [StorageError]
    assert held.failed_work >= 2
    assert commit_and_wait(held, [(1, 10**6, 1)]) is None
    monkeypatch.undo()
    held.close()
    again = SqliteStore(tmp_path)
    again.open()
    assert len(list(again.readings(1, *EVER))) == work.FOLD_AT_READINGS + 1
    again.close()


def test_a_value_that_cannot_be_encoded_fails_alone(
    sqlite_store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    error = commit_and_wait(sqlite_store, [(1, 1, object())], [Put(Device("d", "d", 0))])
    assert type(error) is StorageError
    assert "TypeError" in error.message
    assert "could not be encoded" in caplog.text
    assert sqlite_store.load(Device) == []
    assert commit_and_wait(sqlite_store, [(1, 1, "good")]) is None
    assert list(sqlite_store.latest()) == [(1, 1, "good")]


def test_a_record_that_cannot_be_encoded_is_the_callers_fault(sqlite_store: SqliteStore) -> None:
    with pytest.raises(TypeError):
        sqlite_store.commit([], [Put(Attribute("d", "server", "k", object(), 0))], lambda _: None)


def test_a_transaction_that_fails_in_the_middle_leaves_nothing(sqlite_store: SqliteStore) -> None:
    broken = Device("d2", "x", 0)
    broken.name = None  # type: ignore[assignment]
    error = commit_and_wait(sqlite_store, [(1, 1, 1)], [Put(Device("d1", "d1", 0)), Put(broken)])
    assert type(error) is StorageError
    assert sqlite_store.load(Device) == []
    assert list(sqlite_store.latest()) == []
    assert sqlite_store._journal.readings == 0
    assert commit_and_wait(sqlite_store, [(1, 1, 1)], [Put(Device("d1", "d1", 0))]) is None


def test_the_log_is_checkpointed_and_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "CHECKPOINT_PAGES", 20)
    one = SqliteStore(tmp_path)
    one.open()
    for ts in range(600):
        commit_and_wait(one, [(1, ts, ts)])
    size = (tmp_path / "hardpoint.db-wal").stat().st_size
    one.close()
    assert size < 400 * 4096, "600 commits of a page each, but the log was begun again in between"


@pytest.mark.parametrize("meanwhile", [0, 1])
def test_what_was_written_during_a_checkpoint_is_left_to_the_writer(tmp_path: Path, meanwhile: int) -> None:
    database = sqlite3.connect(tmp_path / "some.db", check_same_thread=False)
    checkpointer = checkpoint.Checkpointer(database)
    checkpointer.want()
    checkpointer.wrote(meanwhile)
    checkpointer.start()
    checkpointer.stop()
    database.close()
    assert checkpointer.unfinished is bool(meanwhile)


def test_the_writer_finishes_a_checkpoint(sqlite_store: SqliteStore) -> None:
    checkpointer = sqlite_store._checkpointer
    assert checkpointer is not None
    checkpointer.unfinished = True
    assert commit_and_wait(sqlite_store, [(1, 1, 1)]) is None
    wait_until(lambda: not checkpointer.unfinished)


def test_a_checkpoint_that_fails_is_tried_later(tmp_path: Path) -> None:
    database = sqlite3.connect(":memory:", check_same_thread=False)
    checkpointer = checkpoint.Checkpointer(database)
    database.close()
    checkpointer.start()
    checkpointer.want()
    checkpointer.stop()
    assert not checkpointer.unfinished


@pytest.mark.parametrize(
    ("code", "free", "kind"),
    [
        (sqlite3.SQLITE_FULL, 10**9, StorageFull),
        (sqlite3.SQLITE_IOERR_SHMSIZE, 0, StorageFull),
        (sqlite3.SQLITE_CANTOPEN, 0, StorageFull),
        (sqlite3.SQLITE_IOERR_FSYNC, 10**9, StorageError),
        (sqlite3.SQLITE_CORRUPT, 0, StorageError),
    ],
)
def test_what_an_error_of_sqlite_means(
    code: int, free: int, kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DataFolder, "free_bytes", lambda _: free)
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorcode = code
    assert type(connections.storage_error(error, DataFolder(tmp_path))) is kind


def test_a_file_system_without_a_write_ahead_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_connect", lambda _: sqlite3.connect(":memory:"))
    with pytest.raises(StorageError, match="cannot hold a write-ahead log") as refused:
        SqliteStore(tmp_path).open()
    assert refused.value.hint == "put the data folder on a local disk"
    monkeypatch.undo()
    again = SqliteStore(tmp_path)
    again.open()
    again.close()


def test_commits_are_synced(sqlite_store: SqliteStore) -> None:
    commit_and_wait(sqlite_store, [(1, ts, ts) for ts in range(work.FOLD_AT_READINGS)])
    wait_until(lambda: not sqlite_store._journal.readings)
    full = 2
    # Also after folding: the slice's own setting is taken back a moment after the journal is empty.
    wait_until(lambda: sqlite_store._connections[0].execute("PRAGMA synchronous").fetchone() == (full,))
    assert store.FOLD_IDLE_S > 10, "sensors are read every 10 s: a shorter time would fold every round"
