"""What the server refuses while a command waits for a device: the line, why, and what was probably meant."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from ..errors import HardpointError
from .output import printable, say

if TYPE_CHECKING:
    from .client import Client

POLL_S = 1.0
"""Soon enough for a person who has just pressed Enter."""
TOKEN_PLACE = "<token>"  # noqa: S105 - stands where one belongs, in the server's corrections


class Refusals:
    """Says each refused frame of a device, and of peers that could not sign in, once. Within ``with`` it looks by
    itself.
    """

    def __init__(self, client: Client, device: dict[str, Any]) -> None:
        self._client = client
        self._device = device
        self._after = max((frame["number"] for _, frame in self._found()), default=0)
        self._over = threading.Event()

    def __enter__(self) -> None:
        # A daemon: it may be in the middle of a call that nobody answers.
        threading.Thread(target=self._look_for_ever, name="hardpoint-refusals", daemon=True).start()

    def __exit__(self, *exc: object) -> None:
        self._over.set()

    def look(self) -> None:
        """Say what was refused since the last look."""
        for who, frame in sorted(self._found(), key=lambda found: found[1]["number"]):
            if frame["number"] > self._after:
                self._after = frame["number"]
                say(self._text(who, frame))

    def _look_for_ever(self) -> None:
        while not self._over.wait(POLL_S):
            self.look()

    def _found(self) -> list[tuple[str, dict[str, Any]]]:
        try:
            own = self._client.get("/api/devices", self._device["id"], "frames")["items"]
            strangers = self._client.get("/api/strangers")["items"]
        except HardpointError:  # away for a moment, or not for this role: the waiting itself goes on
            return []
        found = [("the device", frame) for frame in own]
        found += [(each["address"], frame) for each in strangers for frame in each["frames"]]
        return [(who, frame) for who, frame in found if frame["verdict"] == "refused"]

    def _text(self, who: str, frame: dict[str, Any]) -> str:
        what = " ".join(printable(part) for part in (frame["head"], frame["body"]) if part)
        text = f"refused from {printable(who)} over {frame['dialect']}: {what}\n  {printable(frame['reason'] or '')}"
        if correction := frame.get("correction"):
            meant = correction.replace(TOKEN_PLACE, self._device.get("token", TOKEN_PLACE))
            text += f"\n  try: {printable(meant)}"
        return text
