"""Checking: every byte is read, every checksum verified, every summary worked out again.

Reading goes in batches, each in a transaction of its own, so that the write-ahead log can be begun again meanwhile.
What is wrong is looked at once more by the writer before it is repaired: it may have changed in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from ..base import Finding
from ..pieces import summarise
from .blocks import COLUMNS as BLOCK_COLUMNS
from .blocks import VISIBLE, Block
from .chunks import BARE, COLUMNS, THINNED, Chunk, at, delete, read_data, write
from .columns import Damaged
from .failpoints import reach
from .merge import kept_of, quarantine, quarantine_block

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Generator

    from .reader import Readers

BATCH = 256
"""Chunks or blocks in one transaction: a tenth of a second."""

_CHUNKS_SQL = f"""
SELECT series, {COLUMNS} FROM chunks WHERE (series, start_ms) > (?, ?) ORDER BY series, start_ms LIMIT ?
"""  # noqa: S608 - our own words
_BLOCKS_SQL = f"SELECT {BLOCK_COLUMNS} FROM blocks WHERE id > ? AND {VISIBLE} ORDER BY id LIMIT ?"  # noqa: S608
_BLOCK_SQL = f"SELECT {BLOCK_COLUMNS} FROM blocks WHERE id = ?"  # noqa: S608
_COUNT_SQL = "SELECT 1 FROM totals WHERE typeof(readings) = 'integer' AND typeof(in_journal) = 'integer'"


class Problem(NamedTuple):
    """Something that is wrong. ``block`` None: a chunk. ``series`` None: a block of several."""

    block: int | None
    series: int | None
    start_ms: int
    end_ms: int
    readings: int
    what: str

    def finding(self, done: Literal["reported", "repaired", "quarantined"]) -> Finding:
        """As it is told."""
        place = "chunk" if self.block is None else "block"
        return Finding(place, self.series, self.start_ms, self.end_ms, self.readings, self.what, done)


def look(readers: Readers) -> tuple[int, list[Finding], list[Problem]]:
    """How many chunks and blocks were read, what SQLite itself finds wrong, and what is wrong in chunks and blocks."""
    pieces = 0
    problems: list[Problem] = []
    with readers.connection() as connection:
        answers = [text for (text,) in connection.execute("PRAGMA quick_check")]
        if connection.execute(_COUNT_SQL).fetchone() is None:
            answers.append("the count of all readings is lost")
    findings = [Finding("database", None, None, None, 0, text, "reported") for text in answers if text != "ok"]
    for batch in (_chunks, _blocks):
        place: tuple[int, ...] = (-(2**63),) * (2 if batch is _chunks else 1)
        while True:
            with readers.connection() as connection:
                connection.execute("BEGIN")
                seen, place, found = batch(connection, place)
            pieces += seen
            problems += found
            if seen < BATCH:
                break
    return pieces, findings, problems


def repairing(connection: sqlite3.Connection, problems: list[Problem]) -> Generator[int, None, list[Finding]]:
    """Repair what can be, one problem a transaction: a task of the writer's."""
    done: list[Finding] = []
    for problem in problems:
        connection.execute("BEGIN IMMEDIATE")
        try:
            repair: Callable[[sqlite3.Connection, Problem], Finding | None]
            repair = _repair_chunk if problem.block is None else _repair_block
            finding = repair(connection, problem)
            reach("repair: before the end")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        reach("repair: done")
        if finding is not None:
            done.append(finding)
        yield 8
    return done


def _chunks(connection: sqlite3.Connection, after: tuple[int, ...]) -> tuple[int, tuple[int, ...], list[Problem]]:
    rows = connection.execute(_CHUNKS_SQL, (*after, BATCH)).fetchall()
    problems: list[Problem] = []
    previous: tuple[int, int] | None = None
    for series, *row in rows:
        chunk = Chunk._make(row)
        what = _wrong_with(connection, chunk)
        if what is None and previous is not None and previous[0] == series and previous[1] >= chunk.start_ms:
            what = "it overlaps the chunk before it"
        if what is not None:
            problems.append(Problem(None, series, chunk.start_ms, chunk.end_ms, chunk.count, what))
        previous = (series, chunk.end_ms)
    return len(rows), rows[-1][:2] if rows else after, problems


def _blocks(connection: sqlite3.Connection, after: tuple[int, ...]) -> tuple[int, tuple[int, ...], list[Problem]]:
    rows = connection.execute(_BLOCKS_SQL, (*after, BATCH)).fetchall()
    problems: list[Problem] = []
    for block in map(Block._make, rows):
        what = block.wrong()
        if what is not None:
            problems.append(Problem(block.id, block.series, block.start_ms, block.end_ms, block.count, what))
    return len(rows), rows[-1][:1] if rows else after, problems


def _wrong_with(connection: sqlite3.Connection, chunk: Chunk) -> str | None:
    try:
        times, values = read_data(connection, chunk)
    except Damaged as error:
        return str(error)
    if not chunk.is_sound:
        return "the checksum of its summary does not fit"
    if (times[0], times[-1]) != (chunk.start_ms, chunk.end_ms):
        return "its readings are of another time than its summary says"
    if not chunk.form & (THINNED | BARE) and summarise(times, values)[:9] != chunk[:2] + chunk[4:11]:
        return "its summary is not that of its readings"
    return None


def _repair_chunk(connection: sqlite3.Connection, problem: Problem) -> Finding | None:
    series = problem.series
    assert series is not None
    chunk = at(connection, series, problem.start_ms)
    if chunk is None:
        return None  # it was rewritten or deleted meanwhile
    what = _wrong_with(connection, chunk)
    if what is None:
        return problem.finding("reported") if "overlaps" in problem.what else None
    problem = problem._replace(what=what)
    try:
        times, values = read_data(connection, chunk)
    except Damaged:
        quarantine(connection, series, chunk, what)
        if chunk.is_sound and not chunk.form & BARE:
            # The summary is whole: it stands for the readings now, as if they had been thinned.
            summary = chunk.summary()
            write(connection, series, *kept_of(summary), thinned=summary)
        return problem.finding("quarantined")
    if chunk.form & THINNED:
        quarantine(connection, series, chunk, what)
        return problem.finding("quarantined")
    delete(connection, series, chunk)
    write(connection, series, times, values, is_open=chunk.open == 1)
    return problem.finding("repaired")


def _repair_block(connection: sqlite3.Connection, problem: Problem) -> Finding | None:
    row = connection.execute(_BLOCK_SQL, (problem.block,)).fetchone()
    if row is None or (what := Block._make(row).wrong()) is None:
        return None
    quarantine_block(connection, Block._make(row), what)
    return problem._replace(what=what).finding("quarantined")
