"""Answers made smaller: which ones, for whom, and where the work is done."""

from __future__ import annotations

import asyncio
import gzip
import re
import zlib
from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .messages import Response

MIN_COMPRESSED_BYTES = 1024
"""Smaller ones fit one packet either way."""
MAX_INLINE_BYTES = 32 * 1024
"""Compressed at once, in under a millisecond; more is done in a thread."""
MAX_COMPRESSED_BYTES = 16 * 1024 * 1024
"""Larger answers go as they are: a hundred of these at a time would hold the machine."""
LEVEL = 5
"""Of 9: nearly as small as 6, the default, in two thirds of the time."""

_TEXT = re.compile(
    r"text/(?!event-stream).*|application/(?:json|javascript|xml|wasm|[^;]*\+(?:json|xml))\b.*|image/svg\+xml\b.*"
)
_CODING = re.compile(r"[ \t]*(\*|[A-Za-z-]+)[ \t]*(?:;[ \t]*[qQ]=([01](?:\.[0-9]{0,3})?)[ \t]*)?")


def accepts(coding: str, accepted: str) -> bool:
    """Whether an ``Accept-Encoding`` takes a coding (RFC 9110 §12.5.3): named, or by ``*``, with a weight above 0."""
    by_star = False
    for part in accepted.split(","):
        found = _CODING.fullmatch(part)
        if found is None:
            continue
        wanted = found[2] is None or float(found[2]) > 0
        name = found[1].lower()
        if name == coding or (coding == "gzip" and name == "x-gzip"):
            return wanted
        if name == "*":
            by_star = wanted
    return by_star


def accepts_gzip(accepted: str) -> bool:
    """Whether an ``Accept-Encoding`` takes gzip."""
    return accepts("gzip", accepted)


def is_compressible(content_type: str | None, headers: list[tuple[str, str]]) -> bool:
    """Whether this is text that nobody has encoded yet."""
    if content_type is None or _TEXT.fullmatch(content_type) is None:
        return False
    return not any(name.lower() in ("content-encoding", "content-range") for name, _ in headers)


def compress(response: Response, min_bytes: int) -> Response | Awaitable[Response]:
    """The same answer, smaller where that is worth it; large ones later, from a thread."""
    size = len(response.body)
    if response.status != 200 or not is_compressible(response.content_type, response.headers):
        return response
    response.headers.append(("Vary", "Accept-Encoding"))
    if not min_bytes <= size <= MAX_COMPRESSED_BYTES:
        return response
    if size <= MAX_INLINE_BYTES:
        return _packed(response, gzip.compress(response.body, LEVEL, mtime=0))
    return _compress_apart(response)


async def _compress_apart(response: Response) -> Response:
    return _packed(response, await asyncio.to_thread(gzip.compress, response.body, LEVEL, mtime=0))


def _packed(response: Response, packed: bytes) -> Response:
    if len(packed) < len(response.body):
        response.body = packed
        response.headers = encoded_headers(response.headers)
    return response


def encoded_headers(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The fields of an answer, for its content packed."""
    # RFC 9110 §8.8.1: other bytes are another representation; the strong validator of these is not known, nor are
    # their ranges (§14.3).
    kept = [
        (name, f"W/{value}") if name.lower() == "etag" and not value.startswith("W/") else (name, value)
        for name, value in headers
        if name.lower() != "accept-ranges"
    ]
    return [*kept, ("Content-Encoding", "gzip")]


async def compress_pieces(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Each piece as soon as it is there: a client sees it no later than it would have without."""
    packer = zlib.compressobj(LEVEL, wbits=31)  # 31: the gzip format
    try:
        async for piece in content:
            yield packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)
        yield packer.flush()
    finally:
        close = getattr(content, "aclose", None)
        if close is not None:
            await close()
