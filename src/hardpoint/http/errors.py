"""The one place where an exception becomes an HTTP answer."""

from __future__ import annotations

import logging
from typing import Any

from ..errors import HardpointError, PeerError, RateLimited, StorageError, Unauthorized
from ..wire.http1 import RequestRefused
from .messages import Response

log = logging.getLogger("hardpoint.http")

RETRY_AFTER_S = 10
"""When a client that was refused for want of room, or for asking too often, may try again."""


def problem(status: int, code: str, message: str, field: str | None = None) -> Response:
    """The API's error document (SPEC §5): ``{"error": {"code", "message", "field"?}}``."""
    error: dict[str, Any] = {"code": code, "message": message}
    if field is not None:
        error["field"] = field
    return Response.json({"error": error}, status)


def unavailable(code: str, message: str) -> Response:
    """503 for what another time would succeed; it says when that may be (RFC 9110 §15.6.4)."""
    response = problem(503, code, message)
    response.headers.append(("Retry-After", str(RETRY_AFTER_S)))
    return response


def refused(refusal: RequestRefused) -> Response:
    """The answer to what the parser, or a limit of the connection, refuses."""
    code = refusal.reason.replace("-", "_")
    if refusal.answer == 503:
        return unavailable(code, refusal.message)
    return problem(refusal.answer, code, refusal.message)


def error_response(error: BaseException) -> Response:
    """The answer to a request that ended in this exception.

    A `HardpointError` brings its own status, code and message. Anything else is our fault: it is logged with its
    traceback, and the client learns ``internal`` and no more.
    """
    if isinstance(error, RequestRefused):
        return refused(error)
    if not isinstance(error, HardpointError) or error.status == 500:
        log.error("a handler failed", exc_info=error)
        return problem(500, "internal", "the server failed; its log says why")
    field = error.field if isinstance(error, PeerError) else None
    response = problem(error.status, error.code, error.message, field)
    if isinstance(error, Unauthorized):
        response.headers.append(("WWW-Authenticate", "Bearer"))  # RFC 9110 §15.5.2: a 401 must say how
    elif isinstance(error, RateLimited | StorageError):
        response.headers.append(("Retry-After", str(RETRY_AFTER_S)))
    return response
