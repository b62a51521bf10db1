"""Claims: a device says that whoever knows a secret may take it, and a person who knows it becomes its owner.

The secret is often on a label of the device's box, or shown on its display. Whoever claims gets the device's label
``owner``: lists can be filtered by it and rules confined to it. A device that has an owner is claimed by nobody else
until it is released.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from ..errors import BadInput, Conflict, Forbidden
from ..model import Claim, Delete, Json, Put
from .session import host_of
from .tokens import hash_token

if TYPE_CHECKING:
    from ..model import Device
    from .devices import DeviceState
    from .hub import Hub

DEFAULT_CLAIM_S = 24 * 3600.0
"""ThingsBoard's ``security.claim.duration``."""
MAX_CLAIM_S = 30 * 24 * 3600.0
MAX_SECRET_LENGTH = 256
"""Characters."""
OWNER = "owner"
"""The label."""


class Claims:
    """Which devices may be claimed, until when and with what secret."""

    def __init__(self, hub: Hub) -> None:
        """Takes over what the store holds."""
        self._hub = hub
        self._offers = {claim.device_id: claim for claim in hub.store.load(Claim)}
        hub.on_removed.add(self._forget)

    def offer(self, device: DeviceState, asked: Json) -> None:
        """The device may be claimed: ``{"secretKey": text, "durationMs": number}``, both may be left out. It takes the
        place of the offer before, and is durable with the next commit.

        Raises:
            BadInput: it is of another form.
        """
        if type(asked) is not dict:
            raise BadInput("an offer to be claimed is a JSON object, or empty")
        secret, duration_ms = asked.get("secretKey", ""), asked.get("durationMs", DEFAULT_CLAIM_S * 1000)
        if not isinstance(secret, str) or len(secret) > MAX_SECRET_LENGTH:
            raise BadInput(f"secretKey is text of at most {MAX_SECRET_LENGTH} characters", field="secretKey")
        if type(duration_ms) not in (int, float) or not 0 < duration_ms <= MAX_CLAIM_S * 1000:
            raise BadInput(f"durationMs is between 0 and {MAX_CLAIM_S * 1000:.0f}", field="durationMs")
        until_ms = self._hub.clock_ms() + int(duration_ms)
        claim = self._offers[device.id] = Claim(device.id, hash_token(secret), until_ms)
        self._hub.commits.note(Put(claim))

    async def claim(self, peer: str, device: DeviceState | None, secret: str, owner: str) -> None:
        """Make somebody the device's owner. Wrong secrets count as wrong sign-ins of the address in ``peer``.

        Raises:
            Forbidden: it is not offered, not any more, not with that secret, or not there at all: whoever does not
                know the secret is not told which.
            Conflict: it has an owner.
            RateLimited: this address was wrong too often within the last minute.
            NotFound, StorageError: as `Hub.change_device`.
        """
        address = host_of(peer)
        self._hub.throttle.check(address)
        offer = None if device is None else self._offers.get(device.id)
        right = hmac.compare_digest(hash_token(secret), offer.secret_hash if offer is not None else "")
        if device is None or offer is None or offer.until_ms <= self._hub.clock_ms() or not right:
            self._hub.throttle.failed(address)
            raise Forbidden("there is no such device, it is not offered, or not with that secret", field="secret")

        def owned(record: Device) -> dict[str, Json]:
            if OWNER in record.labels:  # of two at once, the second one finds the first
                raise Conflict(f"{record.id} has an owner already")
            return {"labels": {**record.labels, OWNER: owner}}

        await self._hub.change_device(device, owned)
        self._withdraw(device.id)

    async def release(self, device: DeviceState) -> None:
        """Nobody is the device's owner any more; it may be offered and claimed again.

        Raises:
            NotFound, StorageError: as `Hub.change_device`.
        """

        def free(record: Device) -> dict[str, Json]:
            return {"labels": {key: value for key, value in record.labels.items() if key != OWNER}}

        await self._hub.change_device(device, free)

    def _withdraw(self, device_id: str) -> None:
        offer = self._offers.pop(device_id, None)
        if offer is not None:
            self._hub.commits.note(Delete(offer))

    def _forget(self, device: DeviceState) -> None:
        self._offers.pop(device.id, None)  # the store removes its record with the device
