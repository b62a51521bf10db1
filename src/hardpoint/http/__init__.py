"""The HTTP server, useful alone: ``from hardpoint.http import Router, Request, Response, run``.

It is written to asyncio's `Protocol`, so it runs on any asyncio loop. `messages` has what handlers see, `router` finds
the handler, `connection` is one client's connection, `server` makes and sweeps the connections, `static` serves files.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .access import AccessLog
from .connection import HttpConnection
from .errors import error_response, problem
from .messages import Answer, Deferred, Handler, Query, Request, Response
from .proxies import TrustedProxies
from .router import BodyPlan, Route, Router
from .server import HttpServer, run
from .streams import EventStream, FramedOutlet, Outlet, StreamResponse
from .upgrade import Switch

if TYPE_CHECKING:
    from .files import send_file
    from .static import StaticFiles
    from .websocket import WebSocket, WebSocketClosed
    from .websocket_connection import WebSocketOptions
    from .wrappers import with_compression, with_cors, with_request_ids

__all__ = [
    "AccessLog",
    "Answer",
    "BodyPlan",
    "Deferred",
    "EventStream",
    "FramedOutlet",
    "Handler",
    "HttpConnection",
    "HttpServer",
    "Outlet",
    "Query",
    "Request",
    "Response",
    "Route",
    "Router",
    "StaticFiles",
    "StreamResponse",
    "Switch",
    "TrustedProxies",
    "WebSocket",
    "WebSocketClosed",
    "WebSocketOptions",
    "error_response",
    "problem",
    "run",
    "send_file",
    "with_compression",
    "with_cors",
    "with_request_ids",
]

_LATER = {
    "StaticFiles": "static",
    "WebSocket": "websocket",
    "WebSocketClosed": "websocket",
    "WebSocketOptions": "websocket_connection",
    "send_file": "files",
    "with_compression": "wrappers",
    "with_cors": "wrappers",
    "with_request_ids": "wrappers",
}
"""Name → the module that is imported when it is first asked for: together 20 ms that no server has to start with."""


def __getattr__(name: str) -> object:
    module = _LATER.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{module}", __name__), name)
