"""New tokens for devices: the old one stops at once, or opens as well for a time, so that nothing is lost until the
device has the new one.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..errors import BadInput
from ..model import Put
from .tokens import hash_token, new_token

if TYPE_CHECKING:
    from ..model import Device
    from .devices import DeviceState
    from .hub import Hub

MAX_KEEP_S = 31 * 86_400.0
"""A token that is to be replaced and opens for longer is a second token."""


class Rotation:
    """Old tokens of one hub, until their time is up."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._used_ms: dict[str, int] = {}  # device → when somebody last came in by its old token

    def fill(self) -> None:
        """Expect the end of those that the store holds."""
        for device in list(self._hub.catalogue):
            if device.record.old_token_hash:
                self._expect_end(device)

    def used(self, device: DeviceState) -> None:
        """Somebody has come in by the device's old token."""
        self._used_ms[device.id] = self._hub.clock_ms()

    async def new_token(self, device: DeviceState, keep_old_s: float) -> str:
        """Give the device a new token. The old one opens as well for so long, and what it has opened lasts until then;
        with 0 both end at once. One that is older still ends in any case.

        Raises:
            BadInput: that is too long.
            NotFound: the device was removed.
            StorageError: it could not be stored, and the old one goes on.
        """
        if not 0 <= keep_old_s <= MAX_KEEP_S:
            raise BadInput(f"keep_old_s is between 0 and {MAX_KEEP_S:.0f}", field="keep_old_s")
        hub, token = self._hub, new_token()
        until_ms = hub.clock_ms() + int(keep_old_s * 1000)

        def changed(record: Device) -> Device:
            old = (record.token_hash, until_ms) if keep_old_s else ("", 0)
            return replace(record, token_hash=hash_token(token), old_token_hash=old[0], old_token_until_ms=old[1])

        await hub.change_record(device, changed)
        hub.adoption.forget(device)
        if keep_old_s:
            self.used(device)  # whoever is attached came in by it
            self._expect_end(device)
        else:
            self._used_ms.pop(device.id, None)
            for session in device.sessions:
                session.end("the device's token was changed")
        return token

    def _expect_end(self, device: DeviceState) -> None:
        record = device.record
        self._hub.alerting.agenda.at(record.old_token_until_ms, partial(self._end, device, record.old_token_hash))

    def _end(self, device: DeviceState, digest: str) -> None:
        hub = self._hub
        if device.record.old_token_hash != digest or hub.catalogue.by_id.get(device.id) is not device:
            return  # there is a newer one, or no device any more
        hub.catalogue.by_token_hash.pop(digest, None)
        used_ms = self._used_ms.pop(device.id, 0)
        for session in device.sessions:
            if session.attached_ms <= used_ms:
                session.end("the time of the device's old token is up")
        # It opens nothing from here on, and not after a restart either: its time is stored with it.
        device.record.old_token_hash, device.record.old_token_until_ms = "", 0
        hub.commits.note(Put(device.record))
