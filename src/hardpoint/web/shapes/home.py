"""The home page's document."""

from __future__ import annotations

from msgspec import Struct

from .devices import Device
from .rules import Alert
from .words import Ms


class PresenceCounts(Struct):
    """How many devices are present, in a word each."""

    online: int
    late: int
    offline: int
    never: int


class Room(Struct):
    """What the store takes and has left. ``days_left``: until the disk is full at the present rate if nothing is
    thinned or dropped; null while there are too few readings, or too few come, to tell.
    """

    size_bytes: int
    free_bytes: int | None
    days_left: float | None


class ServerState(Struct):
    """What of the server itself needs somebody: ``failing``, commits fail; the fewest ``certificate_days`` left of a
    certificate that is shown; why the bridge to another broker is down.
    """

    failing: bool
    certificate_days: int | None
    bridge_error: str | None
    room: Room | None


class Home(Struct):
    """What needs attention and what is live. ``heard``: how many devices besides the server's own machine were
    ever heard.
    Of ``absent``, ``reporting`` and ``firing`` there are the first few: ``absent`` are late or offline, whoever was
    heard last first; ``reporting`` are online, by name; ``firing`` alerts are the newest first, and ``names`` are those
    of their devices by id. ``pace`` is ``[ts, readings a second]``. Null is what is not for whoever asks: ``unknown``,
    how many devices wait to be adopted; ``server``.
    """

    at: Ms
    presence: PresenceCounts
    heard: int
    absent: list[Device]
    reporting: list[Device]
    firing: list[Alert]
    firing_total: int
    names: dict[str, str]
    pace: list[tuple[Ms, float]]
    unknown: int | None
    server: ServerState | None
