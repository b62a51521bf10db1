"""Blocks of one series and of several: what comes back, one series alone, and what damage does."""

from __future__ import annotations

import random
import sqlite3
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storing import commit_and_wait, wait_until
from test_sqlite_columns import COLUMNS

from hardpoint.stores.sqlite import SqliteStore, compaction, work
from hardpoint.stores.sqlite.blocks import GROUP_SERIES, Block, Piece, Shared, block_of, encode_shared
from hardpoint.stores.sqlite.columns import Damaged, encode
from hardpoint.stores.sqlite.folder import DataFolder
from hardpoint.stores.sqlite.schema import migrate, shipped_migrations
from properties import examples

if TYPE_CHECKING:
    from hardpoint.stores.sqlite.compaction import Compaction

EVER = (0, 2**62)
TIMES = st.lists(st.integers(0, 2**62), min_size=1, max_size=40, unique=True).map(sorted)
MEMBERS = st.lists(st.tuples(TIMES, COLUMNS), min_size=1, max_size=5)


def pieces_of(members: list[tuple[list[int], list[Any]]]) -> list[Piece]:
    return [
        Piece(32 + place, times, values[: len(times)]) for place, (times, values) in enumerate(members)
    ]  # fmt: skip


@examples(50)
@given(MEMBERS)
def test_a_block_gives_back_what_it_was_made_of(members: list[tuple[list[int], list[Any]]]) -> None:
    pieces = pieces_of(members)
    block = block_of(7, pieces)
    assert repr(block.pieces()) == repr(pieces)
    assert block.wrong() is None
    for piece, extent in zip(pieces, block.extents(), strict=True):
        assert repr(block.of_series(piece.series)) == repr(piece[1:])
        assert extent == (piece.series, piece.times[0], piece.times[-1])
    assert block.of_series(99) == ([], [])
    assert (block.group, block.members, block.count) == (2, len(pieces), sum(len(piece.times) for piece in pieces))
    assert block.start_ms == min(piece.times[0] for piece in pieces)
    assert block.end_ms == max(piece.times[-1] for piece in pieces)


def sensors(series: int = GROUP_SERIES, readings: int = 26) -> list[Piece]:
    """At 10 s with jitter and one decimal."""
    chance = random.Random(4)
    return [
        Piece(
            number,
            [1_700_000_000_000 + place * 10_000 + chance.randrange(200) for place in range(readings)],
            [round(20 + number + chance.gauss(0, 0.5), 1) for _ in range(readings)],
        )
        for number in range(series)
    ]


def test_a_reading_of_a_sensor_takes_few_bytes() -> None:
    block = block_of(1, sensors())
    assert len(block.data) / block.count < 4


@examples(100)
@given(st.integers(0, 10**6), st.integers(0, 7))
def test_any_bit_that_flips_is_noticed(place: int, bit: int) -> None:
    data = bytearray(encode_shared(sensors(3)))
    data[place % len(data)] ^= 1 << bit
    with pytest.raises(Damaged, match="checksum"):
        Shared(bytes(data))


@examples(100)
@given(st.binary(max_size=120) | st.integers(0, 200).map(lambda size: encode_shared(sensors(3))[4 : 4 + size]))
def test_whatever_has_a_right_checksum_is_read_or_damaged(rest: bytes) -> None:
    block = Block(1, 0, None, 0, 0, 0, 0, 0, struct.pack("<I", zlib.crc32(rest)) + rest)
    try:
        block.extents()
        block.pieces()
    except Damaged:
        assert block.wrong() is not None


def test_a_row_that_says_something_else_is_wrong() -> None:
    block = block_of(1, sensors(3))
    for change in ({"count": 1}, {"end_ms": 1}, {"members": 2}, {"most": 1}, {"group": 1}, {"series": 2}):
        assert block._replace(**change).wrong() is not None, change


def waiting(store: SqliteStore) -> Compaction:
    assert store._writer is not None
    return store._writer.work.compaction


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "FOLD_AT_READINGS", 64)
    monkeypatch.setattr(work, "FOLD_AT_READINGS_A_SERIES", 0)
    monkeypatch.setattr(work, "FOLD_AT_LEAST_A_SERIES", 0)
    monkeypatch.setattr(compaction, "READINGS_A_SERIES", 32)


@pytest.mark.usefixtures("small")
def test_what_waits_in_blocks_is_bounded_and_each_group_gets_its_turn(tmp_path: Path) -> None:
    series, rounds = 4 * GROUP_SERIES, 120
    store = SqliteStore(tmp_path)
    store.open()
    most = 0
    for number in range(rounds):
        assert commit_and_wait(store, [(one, number, number) for one in range(series)]) is None
        most = max(most, waiting(store)._readings)
    wait_until(lambda: not store._writer.work.due)  # type: ignore[union-attr]
    assert most < 2 * 32 * series
    assert waiting(store)._readings < 32 * series
    groups = {
        group for (group,) in store._connections[0].execute(f"SELECT DISTINCT series / {GROUP_SERIES} FROM chunks")
    }
    assert groups == set(range(4))
    assert all(
        list(store.readings(one, *EVER)) == [(number, number) for number in range(rounds)] for one in range(series)
    )
    store.close()


@pytest.mark.usefixtures("small")
def test_what_waits_is_known_again_after_a_start(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store.open()
    for number in range(20):
        assert commit_and_wait(store, [(one, number, number / 2) for one in (1, 2, 40)]) is None
    wait_until(lambda: not store._writer.work.due)  # type: ignore[union-attr]
    store.close()
    store.open()
    known = waiting(store)
    assert known._readings == 60
    assert known._members == 3
    with store._readers.connection() as connection:
        assert [known.holds(connection, one) for one in (1, 2, 3, 40, 41, 400)] == [
            True,
            True,
            False,
            True,
            False,
            False,
        ]
    store.close()


def test_blocks_of_an_earlier_version_are_read_and_compacted(tmp_path: Path) -> None:
    data = DataFolder(tmp_path)
    data.take()
    connection = sqlite3.connect(data.database, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    migrate(connection, data, shipped_migrations()[:12])

    def put(fold: int, series: int, times: range, value: float) -> None:
        columns = encode(times, [value] * len(times), lasting=False)
        row = (fold, series, times[0], times[-1], len(times), columns)
        connection.execute("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)", row)

    for fold in (3, 4):
        connection.execute("INSERT INTO folds VALUES (?, 30)", (fold,))
        for series in (1, 2, 20):
            put(fold, series, range(fold * 10, fold * 10 + 11), fold / 2)
    put(5, 1, range(100, 110), 9.0)  # of a pass that was cut off: the journal has them
    # Series 1 of both is in chunks already, deleted there since; of series 2 nobody knows how much.
    connection.execute("INSERT INTO compaction VALUES (4, 2, 35)")
    connection.execute("UPDATE totals SET readings = 66")
    connection.close()
    data.release()

    store = SqliteStore(tmp_path)
    store.open()
    wanted = [*((ts, 1.5) for ts in range(30, 40)), *((ts, 2.0) for ts in range(40, 51))]
    for _ in range(2):
        assert list(store.readings(1, *EVER)) == []
        assert list(store.readings(2, *EVER)) == wanted
        assert list(store.readings(20, *EVER)) == wanted
        assert list(store.latest()) == [(2, 50, 2.0), (20, 50, 2.0)]
        assert store.extent(20) == (30, 50)
        store._do(lambda connection, pending: pending.everything_in_chunks(connection))
    assert store._connections[0].execute("SELECT count(*) FROM blocks").fetchone() == (0,)
    assert commit_and_wait(store, [(2, 51, 3.0)]) is None
    assert list(store.latest(2)) == [(2, 51, 3.0)]
    store.close()
