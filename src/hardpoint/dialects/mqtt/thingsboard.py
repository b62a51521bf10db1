"""ThingsBoard's device topics (WIRE: its own documents and code): ``v1/devices/me/…`` and the short forms ``v2/…``.

Answers go to the device whether it has subscribed to their topics or not: its SDK subscribes to filters that fit none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import BadInput, UnknownVerb
from ...wire.telemetry import decode_json
from .chunks import Chunks

if TYPE_CHECKING:
    from ...hub.devices import DeviceState
    from .connection import MqttConnection
    from .devices import DeviceTopics
    from .dialect import MqttDialect

STYLES = (
    ("v1/devices/me/rpc/request/{id}", "v1/devices/me/attributes"),
    ("v2/r/req/{id}", "v2/a"),
    ("v2/r/req/j/{id}", "v2/a/j"),
)
"""Topics of commands and of shared attributes, by family."""

MAX_PAYLOAD_BYTES = 65_536
"""ThingsBoard's own limit, which its SDK is told and splits its messages by."""

_SHORT = {
    "v2/t": "telemetry",
    "v2/t/j": "telemetry",
    "v2/a": "attributes",
    "v2/a/j": "attributes",
}
_NUMBERED = re.compile(
    r"v1/devices/me/(?P<long>attributes/request|rpc/request|rpc/response)/(?P<id>\d{1,18})"
    r"|v2/(?P<short>a/req|r/req|r/res)(?P<json>/j)?/(?P<short_id>\d{1,18})"
    r"|v2/(?P<package>fw|sw)/request/(?P<request>\d{1,18})/chunk/(?P<chunk>\d{1,9})"
)
_LONG_OF_SHORT = {"a/req": "attributes/request", "r/req": "rpc/request", "r/res": "rpc/response"}
_RESPONSES = {
    "attributes/request": ("v1/devices/me/attributes/response/", "v2/a/res"),
    "rpc/request": ("v1/devices/me/rpc/response/", "v2/r/res"),
}


class ThingsBoard:
    """Does what a message to one of ThingsBoard's topics says."""

    def __init__(self, devices: DeviceTopics, dialect: MqttDialect) -> None:
        self._devices = devices
        self._dialect = dialect
        self._chunks = Chunks(devices, dialect)

    def publish(self, connection: MqttConnection, topic: str, payload: bytes, receipt: int | None) -> None:
        """A message of a device's.

        Raises:
            PeerError: it cannot be taken.
        """
        device = connection.device
        assert device is not None
        name = _SHORT.get(topic) or topic.removeprefix("v1/devices/me/")
        if name == "telemetry":
            self._devices.take_telemetry(connection, device, payload, receipt)
            return
        if name == "attributes":
            self._devices.take_attributes(connection, device, payload, receipt)
            return
        if name == "claim":
            self._dialect.claims.offer(device, decode_json(payload) if payload else {})
            self._devices.wait(connection, receipt)
            return
        found = _NUMBERED.fullmatch(topic)
        if found is None:
            raise UnknownVerb(f"{topic[:80]} is no topic of a device's here")
        if found["package"]:
            self._chunks.send(connection, device, found["package"], found["request"], int(found["chunk"]), payload)
        else:
            kind = found["long"] or _LONG_OF_SHORT[found["short"]]
            number = found["id"] or found["short_id"]
            if kind == "rpc/response":
                self._devices.take_answer(connection, device, number, payload, receipt)
                return
            answer = self._attributes(device, payload) if kind == "attributes/request" else self._call(device, payload)
            long, short = _RESPONSES[kind]
            to = f"{long}{number}" if found["long"] else f"{short}{found['json'] or ''}/{number}"
            self._devices.push(connection, to, msgspec.json.encode(answer))
        self._devices.wait(connection, receipt)

    def _attributes(self, device: DeviceState, payload: bytes) -> dict[str, Any]:
        """``{"clientKeys": "a,b", "sharedKeys": "c"}``, neither is all; a scope without a hit is left out."""
        asked = decode_json(payload) if payload else {}
        if type(asked) is not dict:
            raise BadInput("a request for attributes is a JSON object")
        keys = {scope: asked.get(f"{scope}Keys") for scope in ("client", "shared")}
        everything = keys["client"] is None and keys["shared"] is None
        answer: dict[str, Any] = {}
        for scope, names in keys.items():
            held = self._dialect.hub.attributes(device, scope)
            wanted = names.split(",") if isinstance(names, str) else []
            found = held if everything else {key: held[key] for key in wanted if key in held}
            if found:
                answer[scope] = found
        return answer

    def _call(self, device: DeviceState, payload: bytes) -> dict[str, Any]:
        """A request of the device's to the server: ``getSessionLimits``, which the SDK sends at every start."""
        request = decode_json(payload)
        method = request.get("method") if type(request) is dict else None
        if not isinstance(method, str):
            raise BadInput("a request is a JSON object with a method", field="method")
        if method != "getSessionLimits":
            return {"error": f"there is no method {method[:64]}"}
        rate = self._dialect.hub.limits.readings_per_s
        rates = {
            "messages": None,
            "telemetryMessages": None,
            # No more than we take: ``count:seconds``.
            "telemetryDataPoints": f"{max(1, int(rate))}:1" if rate else None,
        }
        limits: dict[str, Any] = {
            "maxPayloadSize": min(MAX_PAYLOAD_BYTES, self._dialect.settings.max_packet_bytes - 1024),
            "maxInflightMessages": min(100, self._dialect.settings.receive_maximum),
            "rateLimits": rates,
        }
        if self._devices.gateway.gateways.may(device):
            limits["gatewayRateLimits"] = rates  # of each device behind it
        return limits
