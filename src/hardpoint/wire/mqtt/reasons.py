"""Reason codes (MQTT 5.0 §2.4), and what older protocol versions say instead."""

from __future__ import annotations

from ...errors import PeerError

V31, V311, V5 = 3, 4, 5
"""Protocol levels, as CONNECT has them."""

SUCCESS = NORMAL_DISCONNECTION = GRANTED_QOS_0 = 0x00
GRANTED_QOS_1 = 0x01
GRANTED_QOS_2 = 0x02
DISCONNECT_WITH_WILL = 0x04
NO_MATCHING_SUBSCRIBERS = 0x10
NO_SUBSCRIPTION_EXISTED = 0x11
CONTINUE_AUTHENTICATION = 0x18
RE_AUTHENTICATE = 0x19
UNSPECIFIED_ERROR = 0x80
MALFORMED_PACKET = 0x81
PROTOCOL_ERROR = 0x82
IMPLEMENTATION_SPECIFIC = 0x83
UNSUPPORTED_VERSION = 0x84
CLIENT_ID_NOT_VALID = 0x85
BAD_USER_NAME_OR_PASSWORD = 0x86
NOT_AUTHORIZED = 0x87
SERVER_UNAVAILABLE = 0x88
SERVER_BUSY = 0x89
BANNED = 0x8A
SERVER_SHUTTING_DOWN = 0x8B
BAD_AUTHENTICATION_METHOD = 0x8C
KEEP_ALIVE_TIMEOUT = 0x8D
SESSION_TAKEN_OVER = 0x8E
TOPIC_FILTER_INVALID = 0x8F
TOPIC_NAME_INVALID = 0x90
PACKET_ID_IN_USE = 0x91
PACKET_ID_NOT_FOUND = 0x92
RECEIVE_MAXIMUM_EXCEEDED = 0x93
TOPIC_ALIAS_INVALID = 0x94
PACKET_TOO_LARGE = 0x95
MESSAGE_RATE_TOO_HIGH = 0x96
QUOTA_EXCEEDED = 0x97
ADMINISTRATIVE_ACTION = 0x98
PAYLOAD_FORMAT_INVALID = 0x99
RETAIN_NOT_SUPPORTED = 0x9A
QOS_NOT_SUPPORTED = 0x9B
USE_ANOTHER_SERVER = 0x9C
SERVER_MOVED = 0x9D
SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E
CONNECTION_RATE_EXCEEDED = 0x9F
MAXIMUM_CONNECT_TIME = 0xA0
SUBSCRIPTION_IDS_NOT_SUPPORTED = 0xA1
WILDCARDS_NOT_SUPPORTED = 0xA2

FAILURE = 0x80
"""The first code that is a failure; also all that a SUBACK of 3.1.1 can say of one."""

NAMES = {
    value: name.lower().replace("_", " ")
    for name, value in list(globals().items())
    if name.isupper() and isinstance(value, int) and name not in ("V31", "V311", "V5", "FAILURE")
}
"""A code in words, for a log. Of the three that share 0 it is the last."""

_CONNACK_3 = {
    SUCCESS: 0,
    UNSUPPORTED_VERSION: 1,
    CLIENT_ID_NOT_VALID: 2,
    BAD_USER_NAME_OR_PASSWORD: 4,
    NOT_AUTHORIZED: 5,
    BANNED: 5,
}
SERVER_UNAVAILABLE_3 = 3


def connack_code(reason: int) -> int:
    """What CONNACK of 3.1 and 3.1.1 says for a reason code (MQTT 3.1.1, table 3.1)."""
    return _CONNACK_3.get(reason, SERVER_UNAVAILABLE_3)


class PacketRefused(PeerError):
    """The peer has broken the protocol: tell it ``reason`` if its version can be told, and close ([MQTT-4.13.1-1])."""

    def __init__(self, reason: int, message: str) -> None:
        super().__init__(message)
        self.reason = reason
