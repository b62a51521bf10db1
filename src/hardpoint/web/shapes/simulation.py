"""Simulated devices."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from .words import Ms


class SimulateFor(Struct, forbid_unknown_fields=True):
    """For how long the server makes readings up; 0: no longer."""

    for_s: Annotated[float, Meta(ge=0, le=3600)] = 600.0


class Simulated(Struct):
    """Until when; null: it is not simulated."""

    simulated_until: Ms | None
