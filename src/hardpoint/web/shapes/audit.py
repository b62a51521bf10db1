"""Who did what."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from .words import Ms


class AuditEntry(Struct):
    """A deed: what was done, by whom and known how, from where, to what, why, and how it ended: ``done``, ``begun``
    where nobody knows, or an error's code. ``detail`` has the names of the ``fields`` that were sent, and what changed.
    """

    id: int
    at: Ms
    who: str
    via: str
    address: str
    what: str
    device: str | None
    subject: str
    detail: dict[str, Any]
    why: str
    result: str


class AuditList(Struct):
    """A page of the log, the newest first."""

    items: list[AuditEntry]
    next_cursor: str | None
