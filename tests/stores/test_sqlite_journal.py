"""The journal's columns as transactions see them, and folding them slice by slice."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_sqlite_columns import VALUES

from hardpoint.model import INT64_MAX, INT64_MIN
from hardpoint.stores.sqlite import fold as folding
from hardpoint.stores.sqlite.blocks import COLUMNS, GROUP_SERIES, VISIBLE, Block
from hardpoint.stores.sqlite.chunks import overlapping, read_data
from hardpoint.stores.sqlite.compaction import Compaction
from hardpoint.stores.sqlite.fold import Fold, in_order
from hardpoint.stores.sqlite.journal import (
    APPEND_SQL,
    REMEMBERED_BATCHES,
    Gone,
    Journal,
    Span,
    decode_batch,
    encode_batch,
)
from hardpoint.stores.sqlite.schema import shipped_migrations
from properties import examples


@examples(40)
@given(st.lists(st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), VALUES), max_size=4))
def test_a_batch_survives_the_journal(rows: list[tuple[int, int, Any]]) -> None:
    assert repr(decode_batch(encode_batch(rows))) == repr(rows)


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


def seen(database: sqlite3.Connection, journal: Journal, series: int = 1) -> list[tuple[int, Any]]:
    times, values = journal.of_series(journal.seen_by(database), series)
    return list(zip(times, values, strict=True))


def blocks(database: sqlite3.Connection) -> list[tuple[int, int, Any]]:
    """What is in the blocks that count, by their order, series and time."""
    rows = database.execute(f"SELECT {COLUMNS} FROM blocks WHERE {VISIBLE} ORDER BY id").fetchall()
    return [
        (series, ts, value)
        for block in map(Block._make, rows)
        for series, times, values in block.pieces()
        for ts, value in zip(times, values, strict=True)
    ]


class TestJournal:
    def test_gives_what_a_transaction_sees(self, database: sqlite3.Connection) -> None:
        journal = Journal()
        assert seen(database, journal) == []
        append(database, journal, [(1, 1, "a"), (2, 1, "b")])
        journal.add(journal.next_seq, [(1, 2, "not committed yet"), (3, 2, "neither")])
        assert seen(database, journal) == [(1, "a")]
        span = journal.seen_by(database)
        assert [(series, list(times)) for series, (times, _) in journal.of_all(span)] == [(1, [1]), (2, [1])]
        assert journal.count(span) == 2

    def test_a_slow_reader_begins_again(self, database: sqlite3.Connection) -> None:
        journal = Journal()
        append(database, journal, [(1, 0, 0)])
        span = journal.seen_by(database)
        for ts in range(REMEMBERED_BATCHES):
            append(database, journal, [(1, ts, ts)])
        assert len(journal.of_series(span, 1)[0]) == 1
        append(database, journal, [(1, 99, 0)])
        for look in (lambda: journal.of_series(span, 1), lambda: journal.of_all(span), lambda: journal.count(span)):
            with pytest.raises(Gone):
                look()
        assert len(seen(database, journal)) == REMEMBERED_BATCHES + 2

    def test_what_is_frozen_is_seen_until_it_is_folded(self, database: sqlite3.Connection) -> None:
        journal = Journal()
        append(database, journal, [(1, 1, "frozen")])
        before = journal.seen_by(database)
        journal.freeze()
        append(database, journal, [(1, 2, "active")])
        assert seen(database, journal) == [(1, "frozen"), (2, "active")]
        database.execute("DELETE FROM journal WHERE seq <= 1")  # the fold has committed …
        assert seen(database, journal) == [(2, "active")]
        assert list(journal.of_series(before, 1)[0]) == [1]
        journal.drop_frozen()  # … and says so
        with pytest.raises(Gone):
            journal.of_series(before, 1)
        assert seen(database, journal) == [(2, "active")]
        assert journal.readings == 1

    def test_what_was_folded_is_not_looked_for_among_what_was_frozen_next(self, database: sqlite3.Connection) -> None:
        journal = Journal()
        append(database, journal, [(1, 1, "first")])
        append(database, journal, [(1, 2, "second")])
        before = journal.seen_by(database)  # a reader that then waits for its turn …
        journal.freeze()
        database.execute("DELETE FROM journal WHERE seq <= 2")
        journal.drop_frozen()
        append(database, journal, [(1, 3, "third")])
        journal.freeze()  # … while one pass of folding ends and the next begins
        with pytest.raises(Gone):
            journal.of_series(before, 1)
        with pytest.raises(Gone):
            journal.of_all(before)
        assert seen(database, journal) == [(3, "third")]

    def test_a_number_taken_back_is_used_again(self) -> None:
        journal = Journal()
        journal.add(1, [(1, 1, 1)])
        journal.add(2, [(1, 2, 2), (1, 3, 3), (2, 1, 1)])
        journal.take_back(2)
        assert (journal.next_seq, journal.readings) == (2, 1)
        assert [(series, list(times)) for series, (times, _) in journal.of_all(Span(1, 1))] == [(1, [1])]

    def test_loads_what_a_killed_process_left(self, database: sqlite3.Connection) -> None:
        left = Journal()
        append(database, left, [(1, 1, 1)])
        append(database, left, [(1, 2, {"a": 10**30}), (2, 1, "x")])
        loaded = Journal()
        loaded.load(database)
        assert (loaded.next_seq, loaded.readings) == (3, 3)
        assert seen(database, loaded) == [(1, 1), (2, {"a": 10**30})]

    def test_large_values_are_folded_sooner(self) -> None:
        journal = Journal()
        journal.add(1, [(1, 1, "x" * 6400)], 6400)
        journal.add(2, [(1, 2, 2)], 12)
        assert journal.readings == 101
        journal.take_back(2)
        assert journal.readings == 100
        journal.freeze()
        journal.drop_frozen()
        assert journal.readings == 0


class TestFold:
    @pytest.mark.parametrize("count", [1, 3, 4, 31, 600])
    def test_moves_any_number_of_rows(
        self, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, count: int
    ) -> None:
        monkeypatch.setattr(folding, "MAX_BLOCK_READINGS", 8)
        monkeypatch.setattr(folding, "MAX_SHARED_READINGS", 4)
        journal = Journal()
        append(database, journal, [(ts % 7, ts, ts / 2) for ts in range(count)])
        fold = Fold(journal, 5)
        slices = 0
        while not fold.finished:
            assert blocks(database) == [], "nothing counts before all of it is there"
            fold.step(database, 0.0)
            slices += 1
        assert sorted(blocks(database)) == sorted((ts % 7, ts, ts / 2) for ts in range(count))
        counts = [len(range(series, count, 7)) for series in range(min(7, count))]
        assert slices == sum(-(-each // 8) for each in counts if each > 4) + (counts[-1] <= 4)
        assert journal.readings == 0
        assert fold.in_blocks == set(range(min(7, count)))
        assert sum(block.count for block in fold.written) == count
        assert database.execute("SELECT count(*) FROM journal").fetchone() == (0,)
        assert database.execute("SELECT readings FROM totals").fetchone() == (count,)

    def test_the_last_value_wins(self, database: sqlite3.Connection) -> None:
        journal = Journal()
        append(database, journal, [(1, 5, "first"), (1, 5, "second")])
        append(database, journal, [(1, 6, "only"), (1, 5, "third")])
        Fold(journal, 1).step(database, 1.0)
        assert blocks(database) == [(1, 5, "third"), (1, 6, "only")]

    def test_the_journal_goes_with_the_last_slice(self, database: sqlite3.Connection) -> None:
        journal = Journal()
        append(database, journal, [(series * GROUP_SERIES + 1, 1, series) for series in range(3)])
        fold = Fold(journal, 1)
        for _ in range(2):
            fold.step(database, 0.0)
            assert seen(database, journal) == [(1, 0)]
        fold.step(database, 0.0)
        assert fold.finished
        assert seen(database, journal) == []
        assert (1, 1, 0) in blocks(database)

    def test_what_came_after_it_began_stays_in_the_journal(self, database: sqlite3.Connection) -> None:
        journal = Journal()
        append(database, journal, [(1, 1, "old")])
        fold = Fold(journal, 1)
        append(database, journal, [(1, 1, "new")])
        fold.step(database, 1.0)
        assert fold.finished
        assert blocks(database) == [(1, 1, "old")]
        assert seen(database, journal) == [(1, "new")]

    def test_a_slice_that_failed_can_be_tried_again(
        self, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(folding, "MAX_BLOCK_READINGS", 3)
        journal = Journal()
        rows = [(series, ts, f"{ts} {'x' * 500}") for series in range(100) for ts in range(5)]
        append(database, journal, rows)
        fold = Fold(journal, 1)
        fold.step(database, 0.0)  # stops within a series
        pages = database.execute("PRAGMA page_count").fetchone()[0]
        database.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(sqlite3.OperationalError, match="full"):
            fold.step(database, 9.0)
        assert len(seen(database, journal)) == 5
        assert not database.in_transaction
        database.execute("PRAGMA max_page_count = 10000")
        fold.step(database, 9.0)
        assert fold.finished
        assert sorted(blocks(database)) == rows


class TestDirect:
    """Readings that skip the blocks."""

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(folding, "DIRECT_READINGS", 4)
        monkeypatch.setattr(folding, "MAX_DIRECT_READINGS", 8)

    @staticmethod
    def chunks(database: sqlite3.Connection) -> list[tuple[int, int]]:
        """Series and time of every reading in chunks."""
        found: list[tuple[int, int]] = []
        for (series,) in database.execute("SELECT DISTINCT series FROM chunks ORDER BY series").fetchall():
            for chunk in overlapping(database, series, INT64_MIN, INT64_MAX):
                found += [(series, ts) for ts in read_data(database, chunk)[0]]
        return found

    @staticmethod
    def total(database: sqlite3.Connection) -> int:
        return int(database.execute("SELECT readings FROM totals").fetchone()[0])

    def test_a_series_with_enough_goes_to_chunks_and_the_others_to_blocks(self, database: sqlite3.Connection) -> None:
        journal = Journal()
        append(database, journal, [(1, ts, ts) for ts in range(20)] + [(2, ts, ts) for ts in range(3)])
        fold = Fold(journal, 1, lambda _, series: True)
        slices = 0
        while not fold.finished:
            fold.step(database, 0.0)
            slices += 1
        assert slices == 4, "three pieces of 8 readings at most, and a block"
        assert self.chunks(database) == [(1, ts) for ts in range(20)]
        assert blocks(database) == [(2, ts, ts) for ts in range(3)]
        assert fold.in_blocks == {2}
        assert self.total(database) == 23
        assert database.execute("SELECT count(*) FROM journal").fetchone() == (0,)

    def test_what_is_in_chunks_and_in_the_journal_counts_once(self, database: sqlite3.Connection) -> None:
        def counted() -> int:
            (folded,) = database.execute("SELECT readings - in_journal FROM totals").fetchone()
            return int(folded) + journal.count(journal.seen_by(database))

        journal = Journal()
        append(database, journal, [(series, ts, ts) for series in (1, 2) for ts in range(20)])
        fold = Fold(journal, 1, lambda _, series: True)
        for _ in range(3):
            fold.step(database, 0.0)
            assert counted() == 40
        journal.load(database)  # as after a crash
        assert counted() == 40
        append(database, journal, [(3, 1, 1)])
        assert counted() == 41

    def test_a_pass_without_blocks_leaves_none(self, database: sqlite3.Connection) -> None:
        journal = Journal()
        append(database, journal, [(1, ts, ts) for ts in range(5)])
        Fold(journal, 1, lambda _, series: True).step(database, 1.0)
        assert database.execute("SELECT count(*), (SELECT last_block FROM totals) FROM blocks").fetchone() == (0, 0)
        assert seen(database, journal) == []

    def test_blocks_that_wait_would_come_to_lie_over_it(self, database: sqlite3.Connection) -> None:
        journal = Journal()
        append(database, journal, [(series, ts, ts) for series in (1, 2) for ts in range(5)])
        Fold(journal, 1, lambda _, series: series == 2).step(database, 1.0)
        assert blocks(database) == [(1, ts, ts) for ts in range(5)]
        assert self.chunks(database) == [(2, ts) for ts in range(5)]

    def test_readings_that_are_not_behind_all_chunks_go_to_blocks(self, database: sqlite3.Connection) -> None:
        journal = Journal()
        append(database, journal, [(1, ts, "old") for ts in range(5)])
        Fold(journal, 1, lambda _, series: True).step(database, 1.0)
        append(database, journal, [(1, ts, "new") for ts in range(4, 9)])
        Fold(journal, 1, lambda _, series: True).step(database, 1.0)
        assert self.chunks(database) == [(1, ts) for ts in range(5)]
        assert blocks(database) == [(1, ts, "new") for ts in range(4, 9)]

    def test_a_pass_that_a_crash_ended_counts_nothing_twice(self, database: sqlite3.Connection) -> None:
        journal = Journal()
        append(database, journal, [(series, ts, ts) for series in (1, 2) for ts in range(5)])
        Fold(journal, 1, lambda _, series: True).step(database, 0.0)
        assert self.chunks(database) == [(1, ts) for ts in range(5)]
        journal.load(database)
        Fold(journal, 1, lambda _, series: True).step(database, 1.0)
        compaction = Compaction()
        compaction.load(database)
        assert compaction.holds(database, 1)
        assert not compaction.holds(database, 2)
        compaction.wanted = True
        while compaction.due:
            compaction.step(database, 1.0)
        assert self.chunks(database) == [(series, ts) for series in (1, 2) for ts in range(5)]
        assert self.total(database) == 10

    def test_a_slice_that_failed_has_written_no_chunk(self, database: sqlite3.Connection) -> None:
        journal = Journal()
        append(database, journal, [(1, ts, random.Random(ts).randbytes(450).hex()) for ts in range(40)])
        fold = Fold(journal, 1, lambda _, series: True)
        pages = database.execute("PRAGMA page_count").fetchone()[0]
        database.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(sqlite3.OperationalError, match="full"):
            fold.step(database, 9.0)
        assert self.chunks(database) == []
        assert self.total(database) == 0
        database.execute("PRAGMA max_page_count = 10000")
        fold.step(database, 9.0)
        assert self.chunks(database) == [(1, ts) for ts in range(40)]
        assert self.total(database) == 40


@examples(80)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers())))
def test_in_order_is_a_dictionary_sorted(rows: list[tuple[int, int]]) -> None:
    times, values = in_order([ts for ts, _ in rows], [value for _, value in rows])
    assert list(zip(times, values, strict=True)) == sorted(dict(rows).items())
