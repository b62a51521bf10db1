"""Presence: four facts, not a flag (SPEC §5), and the ``late`` they add up to.

``connected`` is what the transport knows, ``last_seen`` any byte that made sense, ``last_reading`` the last stored
reading, ``expected_every_s`` the device's own habit: set by a person, or learnt from the gaps between its reports.
Nothing here ticks: lateness is worked out when somebody looks, from two numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ..model import Json
    from .devices import DeviceState

REPORT_GAP_MS = 1_000
"""Readings closer together than this belong to one report: a device that sends three lines every ten seconds has a
habit of ten seconds, not of three and a third.
"""
LEARNING_RATE = 0.2
"""Weight of a new gap. One missed report moves the estimate by a fifth, and is forgotten after a dozen."""
MAX_GAP_FACTOR = 4.0
"""A gap longer than this many times the estimate is an absence, not a habit: it counts as this much."""
LATE_FACTOR = 1.5
"""Late after one and a half intervals: half an interval forgives jitter, and a missed report shows at once."""
SILENT_FACTOR = 3.0
"""Silent after three: two missed reports are an absence and no hiccup."""
LATE_GRACE_S = 2.0
"""And never within two seconds more than the interval: networks hiccup."""
FIRST_S = 60.0
"""A device whose interval is not known yet counts as present for so long."""
WORDS = ("online", "late", "offline", "never")
"""What `presence_word` may say, in the order of their use to the reader."""


def note_report(device: DeviceState, now_ms: int) -> None:
    """A report begins: learn from the gap to the one before it."""
    gap_s = (now_ms - device.report_ms) / 1000
    if device.report_ms and gap_s > 0:
        known = device.learnt_every_s
        if known is None:
            device.learnt_every_s = gap_s
        else:
            device.learnt_every_s = known + LEARNING_RATE * (min(gap_s, MAX_GAP_FACTOR * known) - known)
    device.report_ms = now_ms


def expected_every_s(device: DeviceState) -> float | None:
    """Seconds between reports: what a person set, else what was learnt, else None."""
    if device.record.expected_every_s is not None:
        return device.record.expected_every_s
    return device.learnt_every_s


def late_after_s(device: DeviceState) -> float | None:
    """How long after a reading the next one is overdue; None: nothing is expected."""
    every_s = expected_every_s(device)
    return None if every_s is None else max(every_s * LATE_FACTOR, every_s + LATE_GRACE_S)


def silent_after_s(device: DeviceState) -> float | None:
    """How long after a reading a device is silent; None: nothing is expected."""
    every_s = expected_every_s(device)
    return None if every_s is None else max(every_s * SILENT_FACTOR, every_s + 2 * LATE_GRACE_S)


def is_late(device: DeviceState, now_ms: int) -> bool:
    """Whether a report is overdue. A device of which nothing is expected is never late."""
    return _is_past(device, late_after_s(device), now_ms)


def is_silent(device: DeviceState, now_ms: int) -> bool:
    """Whether several reports are: a connection that may still be there says nothing any more."""
    return _is_past(device, silent_after_s(device), now_ms)


def _is_past(device: DeviceState, allowed_s: float | None, now_ms: int) -> bool:
    last_ms = device.last_reading_ms
    return allowed_s is not None and last_ms is not None and now_ms - last_ms > allowed_s * 1000


def facts(device: DeviceState, now_ms: int) -> dict[str, Json]:
    """The facts as the app API gives them."""
    connected = None
    if device.sessions:
        session = device.sessions[-1]
        connected = {
            "dialect": session.dialect,
            "since": session.attached_ms,
            "from": session.peer,
            "encrypted": session.encrypted,
        }
    every_s = expected_every_s(device)
    return {
        "connected": connected,
        "last_seen": device.last_seen_ms,
        "last_reading": device.last_reading_ms,
        "expected_every_s": None if every_s is None else round(every_s, 3),
        "expected_set": device.record.expected_every_s is not None,
        "late": is_late(device, now_ms),
        "silent": is_silent(device, now_ms),
    }


def presence_word(facts: Mapping[str, Any], at_ms: int) -> str:
    """`facts` in a word, at a time. The page's ``core/devices.mjs`` has the same rule and the same numbers, and both
    are tested with the same table of cases.

    ``never``: nothing was seen of it. ``online``: connected and not late, or seen within its allowance. ``late``: a
    reading is overdue on its connection, or, without one, nothing came for longer than that. ``offline``: the rest.
    """
    every_s, read = facts["expected_every_s"], facts["last_reading"]
    allowed_s = FIRST_S if every_s is None else max(every_s * LATE_FACTOR, every_s + LATE_GRACE_S)
    if facts["connected"]:
        overdue = every_s is not None and read is not None and at_ms - read > allowed_s * 1000
        # The server's own word was right when it said it; what came due since is worked out here.
        return "late" if facts["late"] or overdue else "online"
    seen = max(facts["last_seen"] or 0, read or 0)
    if not seen:
        return "never"
    if at_ms - seen <= allowed_s * 1000:
        return "online"
    return "late" if every_s is not None and at_ms - seen <= every_s * SILENT_FACTOR * 1000 else "offline"
