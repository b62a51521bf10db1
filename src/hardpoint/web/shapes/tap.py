"""The wire tap."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from .words import Ms


class TapFor(Struct, forbid_unknown_fields=True):
    """For how long every frame of a device is kept; 0: no longer."""

    for_s: Annotated[float, Meta(ge=0, le=3600)] = 600.0


class Tapped(Struct):
    """Until when; null: it is not tapped."""

    tapped_until: Ms | None


class Frame(Struct, rename={"from_": "from"}):
    """One message of a device, or to it. ``head`` is a request line, a status, a packet's name or nothing; with
    ``binary`` the ``body`` is hex; with ``cut`` it was longer. ``correction``: what a refused one probably meant.
    """

    number: int
    at: Ms
    dialect: str
    way: Literal["in", "out"]
    from_: str
    head: str
    body: str
    binary: bool
    cut: bool
    verdict: Literal["taken", "refused", "sent"]
    reason: str | None
    correction: str | None


class FrameList(Tapped):
    """Frames, oldest first."""

    items: list[Frame]


class Stranger(Struct):
    """An address that something was refused from, before it had signed in."""

    address: str
    frames: list[Frame]


class StrangerList(Struct):
    """Those heard last first."""

    items: list[Stranger]
