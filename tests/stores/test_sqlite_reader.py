"""Snapshots, the pool behind them, and the merge of the table with the journal."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from storing import commit_and_wait, wait_until

from hardpoint.errors import StorageError
from hardpoint.model import Device
from hardpoint.stores.sqlite import SqliteStore, reader, work
from hardpoint.stores.sqlite.fold import MAX_BLOCK_READINGS
from hardpoint.stores.sqlite.journal import Gone

if TYPE_CHECKING:
    from pathlib import Path

EVER = (0, 2**62)
LONG = reader.AHEAD_PIECES * MAX_BLOCK_READINGS


def folded(store: SqliteStore) -> None:
    wait_until(lambda: not store._journal.readings and not store._writer.work.due)


def test_a_long_series_is_read_in_chunks_with_the_journal_in_between(sqlite_store: SqliteStore) -> None:
    count = 3 * LONG + 5
    commit_and_wait(sqlite_store, [(1, ts * 2, "folded") for ts in range(count)])
    folded(sqlite_store)
    commit_and_wait(sqlite_store, [(1, 1, "between"), (1, 4, "instead"), (1, count * 2, "after"), (2, 3, "other")])
    rows = dict(sqlite_store.readings(1, *EVER))
    assert len(rows) == count + 2
    assert (rows[0], rows[1], rows[2], rows[4], rows[count * 2]) == ("folded", "between", "folded", "instead", "after")
    assert list(rows) == sorted(rows)
    limited = [ts for ts, _ in sqlite_store.readings(1, *EVER, limit=LONG + 2)]
    assert limited == sorted(rows)[: LONG + 2]


def test_a_short_answer_holds_no_snapshot(sqlite_store: SqliteStore) -> None:
    commit_and_wait(sqlite_store, [(1, 1, 1)])
    rows = sqlite_store.readings(1, *EVER)
    assert not any(connection.in_transaction for connection in sqlite_store._readers._idle)
    assert len(sqlite_store._readers._idle) == 1
    assert list(rows) == [(1, 1)]


def test_a_long_answer_gives_its_connection_back(sqlite_store: SqliteStore) -> None:
    commit_and_wait(sqlite_store, [(1, ts, ts) for ts in range(2 * LONG)])
    folded(sqlite_store)
    for finish in (list, lambda rows: rows.close(), lambda rows: None):
        rows = sqlite_store.readings(1, *EVER)
        assert next(rows) == (0, 0)
        assert sqlite_store._readers._idle == []
        finish(rows)
        del rows
        assert len(sqlite_store._readers._idle) == 1


def test_the_pool_is_bounded(sqlite_store: SqliteStore) -> None:
    commit_and_wait(sqlite_store, [(1, ts, ts) for ts in range(2 * LONG)])
    folded(sqlite_store)
    many = [sqlite_store.readings(1, *EVER) for _ in range(3 * reader.MAX_IDLE_CONNECTIONS)]
    assert all(next(rows) == (0, 0) for rows in many)
    many.clear()
    assert len(sqlite_store._readers._idle) == reader.MAX_IDLE_CONNECTIONS


def test_closing_the_store_lets_a_reader_finish(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store.open()
    count = 2 * LONG
    commit_and_wait(store, [(1, ts, ts) for ts in range(count)])
    folded(store)
    rows = store.readings(1, *EVER)
    store.close()
    assert len(list(rows)) == count
    with pytest.raises(StorageError, match="closed"):
        store.load(Device)


def test_reading_before_opening(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="closed"):
        list(SqliteStore(tmp_path).latest())


def test_a_batch_folded_while_a_snapshot_begins_is_looked_for_again(
    sqlite_store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fold falls between the reader's look at the journal's span and its look into the journal."""
    commit_and_wait(sqlite_store, [(1, 1, "kept")])
    journal, calls = sqlite_store._journal, []
    of_series = journal.of_series

    def of_series_once_folded(span: object, series: int) -> object:
        calls.append(span)
        if len(calls) == 1:
            raise Gone
        return of_series(span, series)  # type: ignore[arg-type]

    monkeypatch.setattr(journal, "of_series", of_series_once_folded)
    assert list(sqlite_store.readings(1, *EVER)) == [(1, "kept")]
    assert len(calls) == 2


def test_latest_merges_the_table_and_the_journal(sqlite_store: SqliteStore) -> None:
    count = work.FOLD_AT_READINGS
    commit_and_wait(sqlite_store, [(2 + n % 3 * 2, n, "folded") for n in range(count)])  # series 2, 4, 6
    folded(sqlite_store)
    commit_and_wait(sqlite_store, [(1, 1, "new"), (2, 10**6, "newer"), (4, 0, "back-fill"), (5, 1, "x"), (9, 1, "y")])
    commit_and_wait(sqlite_store, [(9, 1, "replaced")])
    newest = {2 + n % 3 * 2: n for n in range(count)}
    assert list(sqlite_store.latest()) == [
        (1, 1, "new"),
        (2, 10**6, "newer"),
        (4, newest[4], "folded"),
        (5, 1, "x"),
        (6, newest[6], "folded"),
        (9, 1, "replaced"),
    ]
    assert [list(sqlite_store.latest(one)) for one in (2, 4, 7)] == [
        [(2, 10**6, "newer")],
        [(4, newest[4], "folded")],
        [],
    ]


def test_many_threads_read_while_one_writes(sqlite_store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "FOLD_AT_READINGS", 50)
    stop = threading.Event()
    failures: list[BaseException] = []

    def read() -> None:
        try:
            known = 0
            while not stop.is_set():
                seen = [ts for ts, _ in sqlite_store.readings(1, *EVER)]
                assert seen == list(range(len(seen))), "a gap"
                assert len(seen) >= known, "a reading that was seen is gone"
                known = len(seen)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for ts in range(200):
        assert commit_and_wait(sqlite_store, [(1, ts, ts)]) is None
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
