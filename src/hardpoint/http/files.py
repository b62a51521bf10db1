"""One piece of content as an answer: whole or in parts, from memory or from a disk, or not at all where it is known."""

from __future__ import annotations

import asyncio
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import NotFound
from .conditional import failed_condition, http_date, wanted_ranges
from .errors import problem
from .messages import Response
from .streams import FileContent, StreamResponse

if TYPE_CHECKING:
    from .messages import Request


@dataclass(slots=True)
class Content:
    """What a path stands for at this moment."""

    size: int
    content_type: str
    tag: str | None
    """Its entity tag, quotes and all."""
    modified_s: int | None
    read: Callable[[int, int], bytes] | None
    """From memory: the bytes from here to behind there. None for a file."""
    path: Path | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)


def answer_with(request: Request, content: Content) -> Response | StreamResponse:
    """The answer to GET and HEAD: 200, 206 in one or several parts, 304, 412 or 416."""
    headers = [*content.headers, ("Accept-Ranges", "bytes")]
    if content.tag is not None:
        headers.append(("ETag", content.tag))
    if content.modified_s is not None:
        headers.append(("Last-Modified", http_date(content.modified_s)))
    status = failed_condition(request, content.tag, content.modified_s)
    if status == 304:
        # RFC 9110 §15.4.5: what a cache needs, and nothing that describes content.
        return Response.empty(304, [each for each in headers if each[0] not in ("Content-Encoding", "Accept-Ranges")])
    if status is not None:
        return problem(status, "precondition_failed", "it is not what you think it is")
    ranges = None
    if request.method == "GET":  # RFC 9110 §14.2: the field means nothing to other methods
        ranges = wanted_ranges(request.headers, content.size, content.tag, content.modified_s)
    if ranges is None:
        return _send(content, 200, content.content_type, headers, [(b"", 0, content.size)], b"")
    if not ranges:
        response = problem(416, "range_not_satisfiable", "it is not that long")
        response.headers.append(("Content-Range", f"bytes */{content.size}"))
        return response
    if len(ranges) == 1:
        first, end = ranges[0]
        headers.append(("Content-Range", f"bytes {first}-{end - 1}/{content.size}"))
        return _send(content, 206, content.content_type, headers, [(b"", first, end)], b"")
    boundary = secrets.token_hex(12)
    parts = [
        (
            f"\r\n--{boundary}\r\nContent-Type: {content.content_type}\r\n"
            f"Content-Range: bytes {first}-{end - 1}/{content.size}\r\n\r\n".encode(),
            first,
            end,
        )
        for first, end in ranges
    ]
    multipart = f"multipart/byteranges; boundary={boundary}"
    return _send(content, 206, multipart, headers, parts, f"\r\n--{boundary}--\r\n".encode())


def _send(
    content: Content,
    status: int,
    content_type: str,
    headers: list[tuple[str, str]],
    parts: list[tuple[bytes, int, int]],
    tail: bytes,
) -> Response | StreamResponse:
    if content.read is not None:
        read = content.read
        body = b"".join(head + read(first, end) for head, first, end in parts) + tail if len(parts) > 1 else None
        if body is None:
            body = read(parts[0][1], parts[0][2])
        return Response(status, body, content_type, headers)
    assert content.path is not None
    length = sum(len(head) + end - first for head, first, end in parts) + len(tail)
    return StreamResponse(FileContent(content.path, parts, tail), status, content_type, headers, length=length)


async def send_file(
    request: Request,
    path: Path,
    *,
    content_type: str = "application/octet-stream",
    download_as: str | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> Response | StreamResponse:
    """A file of any size as an answer, read no faster than the client takes it; conditions and ranges are seen to.
    Whether this client may have this path is the caller's to know; ``download_as`` names what a browser should save.

    Raises:
        NotFound: there is no such file, or it is not a plain one.
    """
    try:
        found = await asyncio.to_thread(os.stat, path)
    except (OSError, ValueError):
        raise NotFound("there is no such file") from None
    if not stat.S_ISREG(found.st_mode):
        raise NotFound("there is no such file")
    fields = list(headers)
    if download_as is not None:
        fields.append(("Content-Disposition", attachment(download_as)))
    tag = f'"{found.st_mtime_ns:x}-{found.st_size:x}"'
    return answer_with(
        request, Content(found.st_size, content_type, tag, int(found.st_mtime), None, path, headers=fields)
    )


def attachment(name: str) -> str:
    """A ``Content-Disposition`` that saves under a name of any characters (RFC 6266 §4.3, RFC 8187)."""
    from urllib.parse import quote

    plain = "".join(char if " " <= char <= "~" and char not in '"\\%' else "_" for char in name)
    text = f'attachment; filename="{plain}"'
    return text if plain == name else f"{text}; filename*=UTF-8''{quote(name, safe='')}"
