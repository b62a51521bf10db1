"""Values in the journal and in their column, the journal's copy in memory, and folding slice by slice."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardpoint.stores.sqlite.fold import INSERT_SIZES, Fold
from hardpoint.stores.sqlite.journal import (
    APPEND_SQL,
    Journal,
    decode_batch,
    encode_batch,
    from_column,
    to_column,
)
from hardpoint.stores.sqlite.schema import shipped_migrations

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
DOCUMENTS = st.recursive(
    SCALARS | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
VALUES = SCALARS | st.lists(DOCUMENTS) | st.dictionaries(st.text(), DOCUMENTS)


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(VALUES)
def test_from_column_undoes_to_column(value: Any) -> None:
    column = to_column(value)
    assert column is None or type(column) in (int, float, str, bytes), "what SQLite can hold"
    assert repr(from_column(column)) == repr(value)
    assert to_column(column) == column, "a value in its column's form stays as it is"


@settings(max_examples=40, deadline=None, database=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), VALUES), max_size=4))
def test_a_batch_survives_the_journal(rows: list[tuple[int, int, Any]]) -> None:
    got = [(series, ts, from_column(value)) for series, ts, value in decode_batch(encode_batch(rows))]
    assert repr(got) == repr(rows)


def test_an_integer_that_no_column_holds_becomes_text() -> None:
    assert to_column(2**63) == "9223372036854775808"
    assert to_column(-(2**63) - 1) == "-9223372036854775809"


@pytest.mark.parametrize("value", [object(), "\ud800", {1: {2: object()}}])
def test_what_no_json_document_holds_is_refused(value: object) -> None:
    with pytest.raises((TypeError, UnicodeEncodeError)):
        encode_batch([(1, 1, value)])


@pytest.mark.parametrize("blob", [b"", b"\xc1", b"\x91\x93\x01\x02", b"\x91\x92\x01\x02", b"\x01"])
def test_what_is_no_batch_is_refused(blob: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_batch(blob)


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for migration in shipped_migrations():
        connection.executescript(migration.sql)
    yield connection
    connection.close()


def append(database: sqlite3.Connection, journal: Journal, rows: list[tuple[int, int, Any]]) -> None:
    seq = journal.next_seq
    journal.add(seq, rows)
    database.execute(APPEND_SQL, (seq, encode_batch(rows)))


def readings(database: sqlite3.Connection) -> list[tuple[int, int, Any]]:
    return database.execute("SELECT series, ts, value FROM readings").fetchall()


class TestJournal:
    def test_gives_the_batches_that_a_transaction_sees(self, database: sqlite3.Connection) -> None:
        journal = Journal()
        assert journal.as_seen_by(database) == []
        append(database, journal, [(1, 1, 1)])
        journal.add(journal.next_seq, [(1, 2, 2)])  # not committed yet
        assert journal.as_seen_by(database) == [[(1, 1, 1)]]

    def test_says_when_a_batch_that_a_transaction_sees_was_folded(self, database: sqlite3.Connection) -> None:
        journal = Journal()
        append(database, journal, [(1, 1, 1)])
        journal.drop(1)
        with pytest.raises(KeyError):
            journal.as_seen_by(database)

    def test_a_number_taken_back_is_used_again(self) -> None:
        journal = Journal()
        journal.add(1, [(1, 1, 1)])
        journal.add(2, [(1, 2, 2), (1, 3, 3)])
        journal.take_back(2)
        assert (journal.next_seq, journal.readings) == (2, 1)

    def test_loads_what_a_killed_process_left(self, database: sqlite3.Connection) -> None:
        left = Journal()
        append(database, left, [(1, 1, 1)])
        append(database, left, [(1, 2, {"a": 10**30}), (2, 1, "x")])
        loaded = Journal()
        loaded.load(database)
        assert (loaded.next_seq, loaded.readings) == (3, 3)
        assert [[(s, t, from_column(v)) for s, t, v in rows] for rows in loaded.as_seen_by(database)] == list(
            left.batches.values()
        )


class TestFold:
    @pytest.mark.parametrize("count", [0, 1, 3, 4, 31, 33, 255, 256, 257, 600])
    def test_moves_any_number_of_rows(self, database: sqlite3.Connection, count: int) -> None:
        journal = Journal()
        append(database, journal, [(ts % 7, ts, ts / 2) for ts in range(count)])
        fold = Fold(journal)
        while not fold.finished:
            fold.step(database, 256)
        assert readings(database) == sorted((ts % 7, ts, ts / 2) for ts in range(count))
        assert journal.batches == {}
        assert journal.readings == 0
        assert database.execute("SELECT count(*) FROM journal").fetchone() == (0,)
        assert database.execute("SELECT readings FROM totals").fetchone() == (count,)

    def test_the_last_value_wins(self, database: sqlite3.Connection) -> None:
        journal = Journal()
        append(database, journal, [(1, 5, "first"), (1, 5, "second")])
        append(database, journal, [(1, 5, "third"), (1, 6, "only")])
        Fold(journal).step(database, 100)
        assert readings(database) == [(1, 5, "third"), (1, 6, "only")]

    def test_the_journal_goes_with_the_last_slice(self, database: sqlite3.Connection) -> None:
        journal = Journal()
        append(database, journal, [(series, 1, series) for series in range(5)])
        fold = Fold(journal)
        assert len(journal.as_seen_by(database)[0]) == 5
        fold.step(database, 2)
        fold.step(database, 2)
        assert len(readings(database)) == 4
        assert len(journal.as_seen_by(database)[0]) == 5
        assert not fold.finished
        fold.step(database, 2)
        assert fold.finished
        assert journal.as_seen_by(database) == []

    def test_what_came_after_it_began_stays_in_the_journal(self, database: sqlite3.Connection) -> None:
        journal = Journal()
        append(database, journal, [(1, 1, "old")])
        fold = Fold(journal)
        append(database, journal, [(1, 1, "new")])
        fold.step(database, 10)
        assert fold.finished
        assert readings(database) == [(1, 1, "old")]
        assert journal.as_seen_by(database) == [[(1, 1, "new")]]

    def test_a_slice_that_failed_can_be_tried_again(self, database: sqlite3.Connection) -> None:
        journal = Journal()
        append(database, journal, [(series, 1, "x" * 500) for series in range(200)])
        fold = Fold(journal)
        pages = database.execute("PRAGMA page_count").fetchone()[0]
        database.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(sqlite3.OperationalError, match="full"):
            fold.step(database, 1000)
        assert readings(database) == []
        assert len(journal.batches) == 1
        assert not database.in_transaction
        database.execute("PRAGMA max_page_count = 10000")
        fold.step(database, 1000)
        assert fold.finished
        assert len(readings(database)) == 200

    def test_a_size_of_one_ends_the_statements(self) -> None:
        assert INSERT_SIZES[-1] == 1
        assert list(INSERT_SIZES) == sorted(INSERT_SIZES, reverse=True)
        assert INSERT_SIZES[0] * 3 <= 999, "SQLite's limit of bound values before 3.32"


def test_large_batches_are_folded_sooner() -> None:
    journal = Journal()
    journal.add(1, [(1, 1, "x" * 6400)], 6400)
    journal.add(2, [(1, 2, 2)], 12)
    assert journal.readings == 101
    journal.take_back(2)
    assert journal.readings == 100
    journal.drop(1)
    assert journal.readings == 0
