"""Devices that make themselves: whoever knows the key and the secret of ``provision.credentials`` gets a device and its
token (ThingsBoard's *device provisioning*, with its strategy "allow to create new devices"). Off unless configured.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, NamedTuple

from ..errors import BadInput, Conflict, TooLarge, Unauthorized
from .session import host_of

if TYPE_CHECKING:
    from ..errors import HardpointError
    from ..model import Json
    from .hub import Hub

MAX_FIELD_LENGTH = 256
"""Characters of a key or a secret: what is compared for a stranger."""

NOT_FOUND: dict[str, Json] = {"errorMsg": "Provision data was not found!", "status": "NOT_FOUND"}
FAILURE: dict[str, Json] = {"errorMsg": "Failed to provision device!", "status": "FAILURE"}
"""ThingsBoard's words, which its firmware compares."""


class Outcome(NamedTuple):
    """What a client is answered, and why nothing was made, if so: for the wire tap, which says more than the answer."""

    answer: dict[str, Json]
    refused: HardpointError | None = None


class Provisioning:
    """Answers requests for a device, whatever dialect they come over."""

    def __init__(self, hub: Hub, key: str = "", secret: str = "") -> None:
        """Without key and secret nothing is ever made."""
        self._hub = hub
        self._key, self._secret = key.encode(), secret.encode()

    @property
    def enabled(self) -> bool:
        """Whether there is a key that opens it."""
        return bool(self._key and self._secret)

    async def answer(self, peer: str, asked: Json) -> Outcome:
        """Make the device that is asked for: ``{"provisionDeviceKey", "provisionDeviceSecret", "deviceName"?,
        "credentialsType"?, "gateway"?}``. The answer has its token as ``credentialsValue``, or ``errorMsg``. Wrong keys
        count as wrong sign-ins of the address in ``peer``.

        Raises:
            BadInput: the request is of another form.
            RateLimited: this address was wrong too often within the last minute.
            StorageError: the device could not be stored, and does not exist.
        """
        if type(asked) is not dict:
            raise BadInput("a request for a device is a JSON object")
        key, secret = (_text(asked, name) for name in ("provisionDeviceKey", "provisionDeviceSecret"))
        address = host_of(peer)
        self._hub.throttle.check(address)
        # Both are compared, and whole: the time it takes tells nothing of where they differ.
        same_key = hmac.compare_digest(key.encode(), self._key)
        same_secret = hmac.compare_digest(secret.encode(), self._secret)
        if not (self.enabled and same_key and same_secret):
            self._hub.throttle.failed(address)
            wrong = "key or secret is wrong" if self.enabled else "provision.credentials is not set"
            return Outcome(NOT_FOUND, Unauthorized(f"no device is made: {wrong}"))
        # A token, a name with a password or a certificate that the device would bring itself: tokens are made here,
        # because a firmware's own are guessable. Of ACCESS_TOKEN the one asked for is left aside, the answer has ours.
        if asked.get("credentialsType") not in (None, "ACCESS_TOKEN"):
            refused = BadInput("credentialsType is ACCESS_TOKEN, or left out", field="credentialsType")
            return Outcome(FAILURE, refused)
        name = asked.get("deviceName") or f"device-{secrets.token_hex(6)}"
        if not isinstance(name, str):
            raise BadInput("deviceName is text", field="deviceName")
        audit = self._hub.audit
        entry = audit.begin("devices.create", who="provision", via="provision", address=address, subject=name)
        try:
            device, token = await self._hub.create_device(name, gateway=asked.get("gateway") is True)
        except (BadInput, Conflict, TooLarge) as error:
            audit.end(entry, error.code)
            return Outcome(FAILURE, error)
        entry.device_id = device.id
        audit.end(entry)
        return Outcome({"credentialsType": "ACCESS_TOKEN", "credentialsValue": token, "status": "SUCCESS"})


def _text(asked: dict[str, Json], name: str) -> str:
    found = asked.get(name)
    if not isinstance(found, str) or not 0 < len(found) <= MAX_FIELD_LENGTH:
        raise BadInput(f"{name} is text of 1 to {MAX_FIELD_LENGTH} characters", field=name)
    return found
