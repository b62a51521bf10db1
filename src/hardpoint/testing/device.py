"""What both device simulators speak of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import PeerError

if TYPE_CHECKING:
    from ..model import Json

ANSWER_TIMEOUT_S = 60.0
"""How long a simulator waits before it says that nothing came: a test shall fail, not hang. Nothing that works is so
slow, even on a machine that is busy with other tests.
"""


@dataclass(slots=True, frozen=True)
class ReceivedCommand:
    """A command as the device gets it."""

    id: int
    method: str
    params: Json


class Refused(PeerError):
    """The server answered with an error. ``answer_code`` is its code (``unauthorized``, ``bad-line``, …), or the HTTP
    status as text; ``message`` is what it said.
    """

    def __init__(self, answer_code: str, message: str) -> None:
        super().__init__(f"{answer_code}: {message}" if message else answer_code)
        self.answer_code = answer_code


def merged(values: dict[str, Json] | None, named: dict[str, Json]) -> dict[str, Json]:
    """Keys as keyword arguments, and those Python cannot spell (``cpu.temp``) in a dict before them."""
    return {**(values or {}), **named}
