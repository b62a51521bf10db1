"""Requests for a device (ThingsBoard's provisioning) as bodies of the wire tap's frames: without keys and secrets."""

from __future__ import annotations

import msgspec

from ..hub.tap import MASK

SHOWN = frozenset({"deviceName", "credentialsType", "gateway"})
"""What of a request is no secret. A key that is wrong by a letter is nearly the right one."""


def shown_request(body: bytes) -> str:
    """The request with `MASK` for every value that may be secret. Nothing of what is no JSON object: in it, a secret
    could not be told from the rest.
    """
    try:
        asked = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    if type(asked) is not dict:
        return ""
    return msgspec.json.encode({key: asked[key] if key in SHOWN else MASK for key in asked}).decode()
