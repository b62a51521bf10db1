"""The embedded store: one SQLite file, written by one thread.

How a reading becomes durable and stays cheap::

    commit → one row in `journal` (one WAL page, one fsync) → done
             … 4,096 readings later, or when it is quiet …
             → folded, sorted, into `readings` (series, ts, value), and the journal's rows are deleted
    read   → `readings` and the journal's rows, seen in one read transaction, the last value winning

Written directly, a batch of 64 readings of 64 series dirties 64 pages of the table: 256 KiB to the WAL and later
256 KiB to the file, for 1.5 KiB of data. By way of the journal it is one page now, and folding writes each page of the
table once for many readings. On the SD cards that small servers boot from, that decides how long they live.

Files, in reading order: `folder` (the lock), `connections` (and their errors), `schema` (migrations), `records`
(model ↔ tables), `journal`, `fold`, `purge`, `writer`, `checkpoint`, `reader`, `store`.
"""

from __future__ import annotations

from .store import SqliteStore

__all__ = ["SqliteStore"]
