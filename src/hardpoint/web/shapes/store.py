"""The store: what retention will do, what a check found."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from .words import Ms


class Keep(Struct):
    """One rule of retention; null is never."""

    device: str
    key: str
    thin_after_s: float | None
    drop_after_s: float | None


class PlannedStep(Struct, rename={"from_ms": "from", "to_ms": "to"}):
    """What will happen to readings of one series with ``from <= ts < to``, and from when on."""

    device: str
    key: str
    action: Literal["thin", "drop"]
    reason: Literal["age", "size"]
    from_ms: int
    to_ms: int
    readings: int
    bytes: int
    due: Ms


class Plan(Struct):
    """What retention would do at the time ``at``. ``bytes`` are about what it frees.

    ``days_to_max``: until the store has ``max_bytes`` at the present rate, if nothing is dropped before; null where
    there is no limit, or too little to say.
    """

    at: Ms
    size_bytes: int
    max_bytes: int | None
    days_to_max: float | None
    freed_bytes: int
    rules: list[Keep]
    steps: list[PlannedStep]
    more_steps: int


class Finding(Struct, rename={"from_ms": "from", "to_ms": "to"}):
    """One thing that a check found wrong, and what was done about it."""

    place: str
    device: str | None
    key: str | None
    from_ms: int | None
    to_ms: int | None
    readings: int
    problem: str
    done: Literal["reported", "repaired", "quarantined"]


class CheckReport(Struct):
    """What a check looked at, and what was wrong."""

    pieces: int
    readings: int
    findings: list[Finding]
