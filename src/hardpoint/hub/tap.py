"""The wire tap: what a device has sent and was sent lately, and why something was refused.

A message that was *refused* is always kept, the last few of each device and of each address that did not sign in: it is
rare, and the one that somebody will ask about. *Everything* is kept only where somebody listens, for `MAX_TAP_S` at
most: noting each frame of 15,000 devices for nobody would cost each reading as much as its parsing.

Frames are text by the time they get here. Their dialect has put secrets out of them; whatever looks like a token of
ours is put out once more.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import BadInput, RateLimited
from .session import host_of
from .tokens import TOKEN_PREFIXES

if TYPE_CHECKING:
    from ..errors import HardpointError
    from ..model import Json
    from .agenda import Agenda
    from .devices import DeviceState

MAX_FRAMES = 500
"""Of one device while it is tapped: some minutes of a chatty one."""
MAX_REFUSED = 16
"""Of one device that is not, and of one address."""
MAX_BODY_CHARS = 8_192
"""Of one frame: a whole line. The rest is cut off, and the frame says so."""
MAX_KEPT_CHARS = 8 * 2**20
"""Of all frames together. Beyond it the oldest of whom was heard least lately go first."""
FRAME_CHARS = 256
"""What a frame weighs beyond its text."""
MAX_RINGS = 4_096
"""Devices and addresses of which frames are kept, refused ones included; beyond it, likewise."""
MAX_TAPS = 64
"""Devices that are tapped at a time: each frame of theirs costs."""
MAX_TAP_S = 3_600.0
"""A tap that was forgotten ends by itself."""
MASK = "***"

_TOKENS = re.compile(rf"\b(?:{'|'.join(TOKEN_PREFIXES)})[0-9A-Za-z]{{16,}}")


class Frame:
    """One message. ``head`` says what it is where its dialect has more than a body: a request line, a topic."""

    __slots__ = (
        "at_ms",
        "binary",
        "body",
        "correct",
        "cut",
        "dialect",
        "head",
        "number",
        "peer",
        "reason",
        "verdict",
        "way",
    )

    def __init__(
        self,
        dialect: str,
        way: str,
        body: str,
        *,
        head: str = "",
        peer: str = "",
        binary: bool = False,
        correct: Callable[[str], str | None] | None = None,
    ):
        """``correct`` gives what a body that was refused probably meant, or None: asked only when somebody looks."""
        self.number = 0
        self.at_ms = 0
        self.dialect = dialect
        self.way = way  # "in": from the device; "out": to it
        self.peer = peer
        self.head = mask(head[:MAX_BODY_CHARS])
        self.body = mask(body[:MAX_BODY_CHARS])
        self.cut = len(body) > MAX_BODY_CHARS
        self.binary = binary  # body is hex
        self.correct = correct
        self.verdict = "taken" if way == "in" else "sent"
        self.reason = ""

    def refuse(self, error: HardpointError) -> None:
        """It was not taken, and why."""
        self.verdict = "refused"
        self.reason = mask(f"{error.code}: {error.message}")

    @property
    def weight(self) -> int:
        """Characters of memory, about."""
        return len(self.head) + len(self.body) + FRAME_CHARS

    def describe(self) -> dict[str, Json]:
        """As the app API gives it."""
        return {
            "number": self.number,
            "at": self.at_ms,
            "dialect": self.dialect,
            "way": self.way,
            "from": self.peer,
            "head": self.head,
            "body": self.body,
            "binary": self.binary,
            "cut": self.cut,
            "verdict": self.verdict,
            "reason": self.reason or None,
            "correction": self._correction(),
        }

    def _correction(self) -> str | None:
        if self.verdict != "refused" or self.correct is None or self.binary or self.cut:
            return None
        return self.correct(self.body)


class Ring:
    """The frames of one device or address."""

    __slots__ = ("asked", "changed", "frames", "most", "until_ms")

    def __init__(self) -> None:
        self.frames: deque[Frame] = deque()
        self.most = MAX_REFUSED
        self.asked = 0  # how often it was tapped
        self.until_ms = 0  # tapped until then; 0: only what is refused is kept
        self.changed: asyncio.Event | None = None  # set with the next frame, where somebody waits for it


class Tap:
    """Every ring, by what it is of: a device's id, or an address in brackets no id has (`of_address`)."""

    def __init__(self, agenda: Agenda, clock_ms: Callable[[], int], switched: Callable[[str, bool], None]) -> None:
        """``switched`` is called with a device's id when its tap goes on (True) or off."""
        self._agenda = agenda
        self._clock_ms = clock_ms
        self._switched = switched
        self._rings: OrderedDict[str, Ring] = OrderedDict()  # the one heard least lately first
        self._kept_chars = 0
        self._number = 0
        self.on: dict[str, Ring] = {}
        """Of the devices that are tapped now."""
        self.dropped = 0
        """Frames that had to go before newer ones of others came, for the metrics."""

    # -- from the dialects

    def note(self, device: DeviceState | None, frame: Frame) -> None:
        """Keep a frame of a device that is tapped, or one that was refused. None: whoever it is has not signed in, and
        the frame is kept by its address.
        """
        ring = self._ring(of_address(frame.peer) if device is None else device.id)
        self._number += 1
        frame.number, frame.at_ms = self._number, self._clock_ms()
        ring.frames.append(frame)
        self._kept_chars += frame.weight
        if len(ring.frames) > ring.most:
            self._kept_chars -= ring.frames.popleft().weight
        while self._kept_chars > MAX_KEPT_CHARS:
            self._drop_oldest(next(iter(self._rings)), whole=False)
        if ring.changed is not None:
            ring.changed.set()
            ring.changed = None

    # -- for people

    def switch(self, device_id: str, for_s: float) -> int:
        """Keep every frame of the device for so long, or as long as was asked for before; 0 stops it. Returns when that
        ends, in ms, or 0.

        Raises:
            BadInput: longer than `MAX_TAP_S`.
            RateLimited: `MAX_TAPS` devices are tapped.
        """
        if not 0 <= for_s <= MAX_TAP_S:
            raise BadInput(f"for_s is from 0 to {MAX_TAP_S:.0f} seconds", field="for_s")
        if not for_s:
            self.stop(device_id)
            return 0
        if device_id not in self.on and len(self.on) >= MAX_TAPS:
            raise RateLimited(f"{MAX_TAPS} devices are tapped already")
        ring = self.on[device_id] = self._ring(device_id)
        ring.most = MAX_FRAMES
        ring.until_ms = max(ring.until_ms, self._clock_ms() + int(for_s * 1000))
        ring.asked = asked = ring.asked + 1
        self._agenda.at(ring.until_ms, lambda: self._expire(device_id, asked))
        self._switched(device_id, True)
        return ring.until_ms

    def stop(self, device_id: str) -> None:
        """Only what is refused is kept from now on. What there is stays."""
        ring = self.on.pop(device_id, None)
        if ring is not None:
            ring.until_ms = 0
            self._switched(device_id, False)

    def forget(self, device_id: str) -> None:
        """The device was removed."""
        self.stop(device_id)
        ring = self._rings.pop(device_id, None)
        if ring is not None:
            self._kept_chars -= sum(frame.weight for frame in ring.frames)

    def frames(self, key: str, after: int = 0) -> list[Frame]:
        """Those of a device or address with a greater number, oldest first."""
        ring = self._rings.get(key)
        return [frame for frame in ring.frames if frame.number > after] if ring is not None else []

    def until_ms(self, device_id: str) -> int:
        """When the tap of a device ends; 0: it is not tapped."""
        ring = self.on.get(device_id)
        return ring.until_ms if ring is not None else 0

    async def wait(self, device_id: str, after: int, wait_s: float) -> list[Frame]:
        """`frames`, as soon as there is one, or none after that time. It waits for nothing where nothing is tapped."""
        ring = self.on.get(device_id)
        found = self.frames(device_id, after)
        if found or ring is None or not wait_s:
            return found
        if ring.changed is None:
            ring.changed = asyncio.Event()
        try:
            async with asyncio.timeout(wait_s):
                await ring.changed.wait()
        except TimeoutError:
            return []
        return self.frames(device_id, after)

    def strangers(self) -> dict[str, list[Frame]]:
        """Refused frames by address, of whom was heard last first."""
        rings = reversed(self._rings.items())
        return {key[1:-1]: list(ring.frames) for key, ring in rings if key.startswith("(") and ring.frames}

    # -- inside

    def _expire(self, device_id: str, asked: int) -> None:
        """Not a look at the clock, which may have been set meanwhile: whoever asked last has the last word."""
        ring = self.on.get(device_id)
        if ring is not None and ring.asked == asked:
            self.stop(device_id)

    def _ring(self, key: str) -> Ring:
        ring = self._rings.get(key)
        if ring is not None:
            self._rings.move_to_end(key)
        else:
            ring = self._rings[key] = Ring()
            while len(self._rings) > MAX_RINGS:
                self._drop_oldest(next(each for each in self._rings if each not in self.on), whole=True)
        return ring

    def _drop_oldest(self, key: str, *, whole: bool) -> None:
        ring = self._rings[key]
        while ring.frames:
            self._kept_chars -= ring.frames.popleft().weight
            self.dropped += 1
            if not whole:
                break
        if not ring.frames:
            if key in self.on:
                self._rings.move_to_end(key)
            else:
                del self._rings[key]


def of_address(peer: str) -> str:
    """The key of whom has not signed in, from ``host:port``: the address alone, for each try has a port of its own."""
    return f"({host_of(peer) or 'unknown'})"


def mask(text: str) -> str:
    """The text without what looks like a token."""
    return _TOKENS.sub(MASK, text)
