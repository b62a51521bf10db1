"""Devices over WebSocket (SPEC §7), at ``/api/v1/{token}/ws``: the line dialect, a message a line.

What works in a line works in a message, JSON included, and its answer is a message. The token in the path has attached
the device before the first message, so there is no greeting: the n-th answer belongs to the n-th message.

WebSocket itself is imported at the first upgrade: it is 20 ms that no server has to start with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ..errors import NotAdopted, Unauthorized
from ..http import Response
from .http import sign_in
from .http_frames import note_refused
from .lines import LineDialect, LineSession

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from ..http import Answer, Handler, Request, Router
    from ..http.websocket_transport import WebSocketTransport
    from ..hub.devices import DeviceState

MESSAGE_ROOM = 8
"""How many times `max_line_bytes` a message may have before it ends the connection (1009). Below, it is answered with
``ERR too-long`` and the connection goes on, as for a line."""


class WebSocketDialect(LineDialect):
    """What all devices over WebSocket share. It has no listener: its connections come from the HTTP server."""

    def register(self, router: Router) -> None:
        """Declare the route. Its door is the token in the path, so it has no role."""
        router.route(
            "GET",
            "/api/v1/{token}/ws",
            self.connect,
            role=None,
            device=True,
            head=False,
            summary="Speak the line dialect over WebSocket, a message a line",
        )

    def connect(self, request: Request) -> Answer:
        """``GET ws``: attach, and upgrade. A wrong token is answered 401 before that; a name that waits to be adopted
        may wait on the socket.
        """
        who: DeviceState | NotAdopted
        try:
            who = sign_in(self.hub, request)
        except Unauthorized as error:
            self.hub.note_refused(error)
            note_refused(self.hub, request, error)
            if not isinstance(error, NotAdopted):
                return Response.empty(401)
            who = error.with_traceback(None)  # it would keep this call's frames for as long as the socket
        from ..http.websocket import ANY_ORIGIN
        from ..http.websocket_connection import WebSocketOptions
        from ..http.websocket_transport import protocol_over_websocket

        # A foreign page that knows the token is a device; a cookie opens nothing here.
        options = WebSocketOptions(max_message_bytes=MESSAGE_ROOM * self.hub.limits.max_line_bytes, compression=None)
        return protocol_over_websocket(
            request, lambda: WebSocketSession(self, who), binary=False, origins=ANY_ORIGIN, options=options
        )


def mqtt_over_websocket(mqtt: Callable[[], asyncio.Protocol], max_message_bytes: int) -> Handler:
    """The handler of ``/mqtt`` (MQTT 5 §6): the broker's protocol over binary messages. A page of any site may connect,
    for what signs in is in CONNECT.
    """

    def connect(request: Request) -> Answer:
        from ..http.websocket import ANY_ORIGIN
        from ..http.websocket_connection import WebSocketOptions
        from ..http.websocket_transport import protocol_over_websocket

        options = WebSocketOptions(max_message_bytes=max_message_bytes, compression=None)
        # [MQTT-6.0.0-1], -2, -4: binary messages are one stream of bytes, and "mqtt" is what we choose
        return protocol_over_websocket(
            request, mqtt, subprotocols=("mqtt", "mqttv3.1"), origins=ANY_ORIGIN, options=options
        )

    return connect


class WebSocketSession(LineSession):
    """One device's socket."""

    __slots__ = ("_who",)

    dialect = "websocket"

    def __init__(self, dialect: WebSocketDialect, who: DeviceState | NotAdopted) -> None:
        super().__init__(dialect)
        self._who = who

    def greet(self) -> None:
        """Nothing to say: the device is attached already, or waits to be adopted."""
        if isinstance(self._who, NotAdopted):
            self.wait_for_adoption(self._who)
        else:
            self._dialect.waiting.pop(self, None)
            self._dialect.hub.attach(self, self._who)

    def end(self, reason: str) -> None:
        """As over a line, and told by the close frame too."""
        from ..wire.websocket import GOING_AWAY

        if self._transport is not None:
            cast("WebSocketTransport", self._transport).close_code = GOING_AWAY
        super().end(reason)

    def drain(self) -> None:
        """The server stops: what is due goes out first."""
        self.end("the server is stopping")
