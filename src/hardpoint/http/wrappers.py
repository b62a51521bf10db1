"""Functions around a handler: request ids, CORS, compression.

A wrapper takes what answers a request and gives back the same: ``HttpServer(with_cors(router.handle),
plan=router.plan)``. Fields that must go with whatever the answer turns out to be, an error or one that comes later
included, go to `Request.add_header`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Collection
from typing import TYPE_CHECKING, Any

from .compression import MIN_COMPRESSED_BYTES, accepts_gzip, compress, compress_pieces, encoded_headers, is_compressible
from .messages import Deferred, Response
from .streams import StreamResponse

if TYPE_CHECKING:
    from .messages import Answer, Handler, Request

_ID = re.compile(r"[A-Za-z0-9._+/=-]{1,128}")


def with_request_ids(handler: Handler, *, header: str = "X-Request-ID", trust: bool = False) -> Handler:
    """Give each request an ``id`` and send it back in ``header``. With ``trust``, one that the client sends is taken
    over, if it is of 1 to 128 plain characters: for a server behind a proxy that makes them.
    """

    def handle(request: Request) -> Answer | Awaitable[Answer]:
        given = request.headers.get(header, "") if trust else ""
        request.id = given if _ID.fullmatch(given) else secrets.token_hex(8)
        request.add_header(header, request.id)
        return handler(request)

    return handle


def with_cors(
    handler: Handler,
    *,
    origins: Collection[str] = ("*",),
    methods: Collection[str] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
    headers: Collection[str] = ("Authorization", "Content-Type"),
    exposed: Collection[str] = (),
    credentials: bool = False,
    max_age_s: int = 600,
) -> Handler:
    """Let pages of other origins call (WHATWG Fetch §3.2): answer preflights, and mark the answers they may read.

    ``origins`` are as browsers send them (``https://app.example.org``), or ``*`` for all.

    Raises:
        ValueError: ``*`` with credentials, which would let any page act as whoever is signed in.
    """
    everybody = "*" in origins
    if everybody and credentials:
        raise ValueError("with credentials, the origins have to be named")
    allowed = frozenset(origins)
    preflight = [
        ("Access-Control-Allow-Methods", ", ".join(methods)),
        ("Access-Control-Allow-Headers", ", ".join(headers)),
        ("Access-Control-Max-Age", str(max_age_s)),
    ]

    def handle(request: Request) -> Answer | Awaitable[Answer]:
        if not everybody:
            request.add_header("Vary", "Origin")  # what is right for one origin must not be cached for another
        origin = request.headers.get("origin")
        if origin is not None and (everybody or origin in allowed):
            request.add_header("Access-Control-Allow-Origin", "*" if everybody else origin)
            if credentials:
                request.add_header("Access-Control-Allow-Credentials", "true")
            if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
                return Response.empty(204, preflight)
            if exposed:
                request.add_header("Access-Control-Expose-Headers", ", ".join(exposed))
        return handler(request)

    return handle


def with_compression(handler: Handler, *, min_bytes: int = MIN_COMPRESSED_BYTES) -> Handler:
    """Compress what is worth it, for clients that take gzip: text of at least ``min_bytes``. A large answer is
    compressed in a thread, an answer in pieces piece by piece.

    An answer that mixes a secret with what an attacker can choose gives the secret away by its length (BREACH): wrap
    only handlers whose answers do not.
    """

    def handle(request: Request) -> Answer | Awaitable[Answer]:
        answer = handler(request)
        if not accepts_gzip(request.headers.get("accept-encoding", "")):
            return answer
        if isinstance(answer, Response):
            return compress(answer, min_bytes)
        if isinstance(answer, StreamResponse):
            return _compress_stream(answer)
        return answer if isinstance(answer, Deferred) or not isinstance(answer, Awaitable) else later(answer)

    async def later(awaitable: Awaitable[Any]) -> Any:
        answer = await awaitable
        if isinstance(answer, Response):
            made = compress(answer, min_bytes)
            return made if isinstance(made, Response) else await made
        return _compress_stream(answer) if isinstance(answer, StreamResponse) else answer

    return handle


def _compress_stream(answer: StreamResponse) -> StreamResponse:
    if not isinstance(answer.content, AsyncIterator) or not is_compressible(answer.content_type, answer.headers):
        return answer
    answer.content = compress_pieces(answer.content)
    answer.length = None
    answer.headers = [*encoded_headers(answer.headers), ("Vary", "Accept-Encoding")]
    return answer
