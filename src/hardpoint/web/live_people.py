"""Clients of the live stream that are somebody's: they end with the rights that opened them, and who is limited to
labels sees no other devices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..wire.sse import encode_event
from .live import LiveClient

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..http import Outlet
    from ..hub.devices import Catalogue
    from ..hub.live import Entry
    from ..hub.principal import Principal
    from .live import Part


class UserClient(LiveClient):
    """One of somebody who sees all devices."""

    __slots__ = ("_still", "user")

    def __init__(
        self,
        outlet: Outlet,
        user: Principal,
        still: Callable[[Principal], bool],
        devices: frozenset[str],
        keys: frozenset[str],
    ) -> None:
        """``still``: whether somebody may go on seeing what they saw."""
        # Who may not read the log is not told that it grows.
        super().__init__(outlet, devices, keys, frozenset() if user.has_role("operator") else frozenset({"audit"}))
        self.user = user
        self._still = still

    @property
    def is_open(self) -> bool:
        """Until the session or token ends, or has other rights: a page then comes back, and sees what it may see."""
        return self._still(self.user)


class LimitedClient(UserClient):
    """One of somebody who is limited to labels. Devices come and go for them with their labels: one that another label
    took from their sight is removed, to them.
    """

    __slots__ = ("_catalogue", "_theirs")

    def __init__(
        self,
        outlet: Outlet,
        user: Principal,
        still: Callable[[Principal], bool],
        devices: frozenset[str],
        keys: frozenset[str],
        catalogue: Catalogue,
    ) -> None:
        super().__init__(outlet, user, still, devices, keys)
        self._catalogue = catalogue
        self._theirs = {device.id for device in catalogue if user.sees(device)}  # as they have been told

    @property
    def gets_all(self) -> bool:
        """Never."""
        return False

    def can_resume(self, missed: Sequence[Entry]) -> bool:
        """Not over a change of devices: which were theirs before it, nobody knows any more."""
        return all(entry.kind != "device" for entry in missed)

    def select(self, part: Part) -> bytes:
        """What is of a device of theirs. That a dashboard changed, or something was done, tells a number alone: the
        page asks what it is.
        """
        if part.kind in ("dashboard", "audit"):
            return super().select(part)
        if part.kind != "device":
            return super().select(part) if part.device in self._theirs else b""
        seen = part.device in self._theirs
        device = self._catalogue.by_id.get(part.device)
        if device is not None and self.user.sees(device):
            self._theirs.add(part.device)
            return super().select(part)
        if not seen:
            return b""
        self._theirs.discard(part.device)
        gone = msgspec.json.encode({"action": "removed", "device": {"id": part.device}})
        return super().select(part._replace(encoded=encode_event(gone, event="device")))
