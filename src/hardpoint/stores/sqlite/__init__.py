"""The embedded store: one SQLite file, written by one thread, and history in a few bytes a reading.

How a reading becomes durable, and then small::

    commit     → one row in `journal` (one page of the log, one fsync) → done, and columns in memory
                 … some thousand readings later …
    folding    → `blocks`: what the journal holds of some neighbouring series together; the journal is emptied.
                 A series that has enough for a chunk by then, and nothing in blocks, goes straight to `chunks`
                 … 1,024 readings a series later …
    compaction → `chunks`: some thousand readings of one series by time, compressed to one or two bytes each, never
                 overlapping, with their summary in a row of its own
    read       → chunks, over them blocks, over them the journal, in one read transaction, the last value winning

Written directly to a table by series and time, a batch of 64 readings of 64 series dirties 64 pages: 256 KiB to the log
and later 256 KiB to the file, for 1.5 KiB of data. By way of the journal it is one page; blocks are written in the
order of the pass and not of the series, so a pass of 10,000 series writes its pages once and next to one another; and
chunks are written when a series has enough. On the SD cards that small servers boot from, that decides how long they
live. Each reading is encoded two or three times in its life, and that of a busy series once or twice.

However many series there are, what waits in blocks stays within some thousand readings a series, and what folding and
compaction cost a reading stays the same: so the rate at which readings are taken is the last year's as the first day's.

Every step is a slice between two commits, on the writer's thread. A process of its own would leave the event loop the
interpreter's lock, and cost 15 MB for good; a thread of its own would fight for the lock at every step, where a slice
takes it for 2 ms and is done.

A thinned chunk keeps its summary and of its readings the first, the least, the greatest and the last; reading the range
gives these.

Files, in reading order: `folder` (the lock), `connections` (and their errors), `schema` (migrations), `records`
(model ↔ tables), `columns` (readings ↔ bytes), `journal`, `blocks`, `fold`, `chunks`, `merge`, `compaction`, `legacy`
(what schema 1 kept), `purge`, `work` (what is due), `writer`, `checkpoint`, `layers` and `newest` (one series as a
transaction sees it), `reader`, `retain`, `check`, `backup`, `carried` (firmware in a backup), `store`; `failpoints` for
the tests.
"""

from __future__ import annotations

from .store import SqliteStore

__all__ = ["SqliteStore"]
