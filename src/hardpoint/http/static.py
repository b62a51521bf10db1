"""Files of a folder, read once and served from memory: the dashboard's and those of small sites.

The folder is walked when `StaticFiles` is made, and only what was found then is ever served: a path is a look-up in a
table, so there is no ``..``, link or device name to guard against. Files larger than memory should be are not for this.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError, NotFound
from .messages import Response

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from .messages import Request

MAX_TOTAL_BYTES = 64 * 1024 * 1024
"""All files of one `StaticFiles` together, unpacked."""
MIN_GZIP_BYTES = 1024
"""Smaller ones fit one packet either way."""

# Our own table: the standard library's asks the operating system, and then the answer depends on what is installed.
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".gif": "image/gif",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
}
_COMPRESSED = frozenset({".gif", ".jpeg", ".jpg", ".pdf", ".png", ".webp", ".woff2"})

_CODING = re.compile(r"[ \t]*(\*|[A-Za-z-]+)[ \t]*(?:;[ \t]*[qQ]=([01](?:\.[0-9]{0,3})?)[ \t]*)?")
_ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')


@dataclass(slots=True)
class _File:
    source: Path | Traversable
    stamp: tuple[int, int] | None = None
    """Modification time and size when it was read; None for a resource, which cannot change."""
    content: bytes = b""
    gzipped: bytes | None = None
    tag: str = ""
    content_type: str = "application/octet-stream"


class StaticFiles:
    """A handler for a route that ends in ``{rest:path}``: ``router.get("/ui/{rest:path}")(StaticFiles(folder))``.

    A changed file is read again; a new one needs a restart. ``immutable`` tells browsers never to ask again: for paths
    that hold a hash of the content. ``headers`` go with every answer.
    """

    def __init__(
        self, root: Path | Traversable, *, immutable: bool = False, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Walk the folder.

        Raises:
            ConfigError: it is no folder, or its files are over `MAX_TOTAL_BYTES`.
        """
        if not root.is_dir():
            raise ConfigError(f"{root} is not a folder")
        self._files: dict[str, _File] = {}
        total = 0
        for name, source in _walk(root, ""):
            file = self._files[name] = _File(source)
            _read(file)
            total += len(file.content)
            if total > MAX_TOTAL_BYTES:
                raise ConfigError(f"the files in {root} are over {MAX_TOTAL_BYTES} bytes")
        cache = "public, max-age=31536000, immutable" if immutable else "no-cache"
        self._headers = [("Cache-Control", cache), ("X-Content-Type-Options", "nosniff"), *headers]

    @property
    def tree_hash(self) -> str:
        """A short hash of every path and content: an address that changes when a file does."""
        digest = hashlib.sha256()
        for name in sorted(self._files):
            digest.update(f"{name}\0{self._files[name].tag}\0".encode())
        return digest.hexdigest()[:12]

    def __call__(self, request: Request) -> Response:
        """Answer GET and HEAD for ``request.params["rest"]``; a folder's ``index.html`` stands for it.

        Raises:
            NotFound: there is no such file.
        """
        name = request.params.get("rest", "")
        file = self._files.get(name)
        if file is None and (not name or name.endswith("/")):
            file = self._files.get(f"{name}index.html")
        if file is None:
            raise NotFound("there is no such file")
        if file.stamp is not None:
            _read(file)
        headers = [*self._headers]
        content, tag = file.content, file.tag
        if file.gzipped is not None:
            headers.append(("Vary", "Accept-Encoding"))
            if _accepts_gzip(request.headers.get("accept-encoding", "")):
                content, tag = file.gzipped, f'{tag[:-1]}-gz"'
                headers.append(("Content-Encoding", "gzip"))
        headers.append(("ETag", tag))
        known = request.headers.get("if-none-match")
        # RFC 9110 §13.1.2: compared weakly, and "*" is any.
        if known is not None and (known.strip() == "*" or tag in _ENTITY_TAG.findall(known)):
            return Response.empty(304, [field for field in headers if field[0] != "Content-Encoding"])
        return Response(200, content, file.content_type, headers)


def _walk(folder: Path | Traversable, prefix: str) -> Iterator[tuple[str, Path | Traversable]]:
    """Every file below, by its path with slashes. Names that start with a dot are nobody's business."""
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif entry.is_file():
            yield f"{prefix}{entry.name}", entry


def _read(file: _File) -> None:
    """Read the file if it was not yet, or has changed. One that has gone since keeps its last content."""
    source = file.source
    stamp = None
    try:
        if isinstance(source, Path):
            stat = source.stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
        if file.tag and stamp == file.stamp:
            return
        content = source.read_bytes()
    except OSError:
        if file.tag:
            return
        raise
    suffix = Path(source.name).suffix.lower()
    file.stamp = stamp
    file.content = content
    file.content_type = CONTENT_TYPES.get(suffix, "application/octet-stream")
    file.tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    file.gzipped = None
    if len(content) >= MIN_GZIP_BYTES and suffix not in _COMPRESSED:
        packed = gzip.compress(content, 6, mtime=0)
        if len(packed) < len(content) * 0.9:
            file.gzipped = packed


def _accepts_gzip(accepted: str) -> bool:
    """Whether an ``Accept-Encoding`` takes gzip (RFC 9110 §12.5.3): named, or by ``*``, with a weight above 0."""
    by_star = False
    for part in accepted.split(","):
        found = _CODING.fullmatch(part)
        if found is None:
            continue
        wanted = found[2] is None or float(found[2]) > 0
        if found[1].lower() in ("gzip", "x-gzip"):
            return wanted
        if found[1] == "*":
            by_star = wanted
    return by_star
