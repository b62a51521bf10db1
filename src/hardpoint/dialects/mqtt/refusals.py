"""Why the hub or the broker refuses something or ends a connection, as MQTT's reason codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...wire.mqtt import reasons
from ...wire.mqtt.reasons import PacketRefused

if TYPE_CHECKING:
    from ...errors import HardpointError

END_REASONS = {
    "the server is stopping": reasons.SERVER_SHUTTING_DOWN,
    "taken over": reasons.SESSION_TAKEN_OVER,
}
"""By the first words of what a session of the hub is ended with."""

_REASONS = {
    "unauthorized": reasons.NOT_AUTHORIZED,
    "forbidden": reasons.NOT_AUTHORIZED,
    "rate_limited": reasons.QUOTA_EXCEEDED,
    "too_large": reasons.QUOTA_EXCEEDED,
    "storage_failed": reasons.QUOTA_EXCEEDED,
    "storage_full": reasons.QUOTA_EXCEEDED,
    "not_found": reasons.TOPIC_NAME_INVALID,
    "unknown_verb": reasons.TOPIC_NAME_INVALID,
    "bad_request": reasons.PAYLOAD_FORMAT_INVALID,
}


def reason_of(error: HardpointError) -> int:
    """The reason code of a refusal."""
    if isinstance(error, PacketRefused):
        return error.reason
    return _REASONS.get(error.code, reasons.UNSPECIFIED_ERROR)
