"""Files of a folder, small ones read once and served from memory: the dashboard's and those of small sites.

The folder is walked when `StaticFiles` is made, and only what was found then is ever served: a path is a look-up in a
table, so there is no ``..``, link or device name to guard against.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from ..errors import ConfigError, NotFound
from .compression import MIN_COMPRESSED_BYTES, accepts
from .files import Content, answer_with

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from .messages import Request, Response
    from .streams import StreamResponse

MAX_TOTAL_BYTES = 64 * 1024 * 1024
"""What one `StaticFiles` keeps, packed forms included."""
MAX_KEPT_FILE_BYTES = 4 * 1024 * 1024
"""Larger files are read from the disk each time: a film would push all pages out of memory."""

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
_VARIANTS = (("br", ".br"), ("zstd", ".zst"), ("gzip", ".gz"))
"""Codings and the ending of a file that lies packed beside its original, the smallest first."""


@dataclass(slots=True, frozen=True)
class _Made:
    """A file that lies in no folder."""

    name: str
    content: bytes

    def read_bytes(self) -> bytes:
        return self.content


_Source: TypeAlias = "Path | Traversable | _Made"


@dataclass(slots=True)
class _File:
    source: _Source
    stamp: tuple[int, int] | None = None
    """Modification time and size when it was read; None for a resource, which cannot change."""
    content: bytes | None = b""
    """None for a file that is too large to keep: it is read while it is sent."""
    size: int = 0
    variants: dict[str, bytes] = field(default_factory=dict)
    """The same by content coding, packed beside it or here."""
    tag: str = ""
    content_type: str = "application/octet-stream"


class StaticFiles:
    """A handler for a route that ends in ``{rest:path}``: ``router.get("/ui/{rest:path}")(StaticFiles(folder))``.

    A changed file is read again; a new one needs a restart. Files over ``MAX_KEPT_FILE_BYTES`` are sent from the disk.
    ``app.js.br``, ``.zst`` or ``.gz`` beside ``app.js`` goes to clients that take it; other text is packed here.
    ``immutable`` tells browsers never to ask again: for paths that hold a hash of the content. ``headers`` go with
    every answer.
    """

    def __init__(
        self,
        root: Path | Traversable,
        *,
        immutable: bool = False,
        headers: tuple[tuple[str, str], ...] = (),
        made: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        """Walk the folder. ``made`` are files by their path that lie in no folder, in place of those that do.

        Raises:
            ConfigError: it is no folder, or what would be kept of it is over `MAX_TOTAL_BYTES`.
        """
        if not root.is_dir():
            raise ConfigError(f"{root} is not a folder")
        self._files: dict[str, _File] = {}
        found: dict[str, _Source] = dict(_walk(root, ""))
        found.update({name: _Made(name, content) for name, content in made.items()})
        packed = {
            f"{name}{ending}" for name in found for _, ending in _VARIANTS if f"{name}{ending}" in found
        }  # these are no files of their own
        total = 0
        for name, source in found.items():
            if name in packed:
                continue
            file = self._files[name] = _File(source)
            _read(file)
            if file.content is None:
                continue
            for coding, ending in _VARIANTS:
                beside = found.get(f"{name}{ending}")
                if beside is not None:
                    file.variants[coding] = beside.read_bytes()
            total += len(file.content) + sum(map(len, file.variants.values()))
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

    def __call__(self, request: Request) -> Response | StreamResponse:
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
        return answer_with(request, self._content(file, request.headers.get("accept-encoding", "")))

    def _content(self, file: _File, accepted: str) -> Content:
        """The file, in the best coding that the client takes."""
        modified_s = None if file.stamp is None else file.stamp[0] // 1_000_000_000
        headers = [*self._headers]
        if file.content is None:
            path = file.source if isinstance(file.source, Path) else None
            return Content(file.size, file.content_type, file.tag, modified_s, None, path, headers)
        content, tag = file.content, file.tag
        if file.variants:
            headers.append(("Vary", "Accept-Encoding"))
            for coding, packed in file.variants.items():
                if accepts(coding, accepted):
                    content, tag = packed, f'{tag[:-1]}-{coding}"'
                    headers.append(("Content-Encoding", coding))
                    break
        return Content(
            len(content), file.content_type, tag, modified_s, lambda first, end: content[first:end], None, headers
        )


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
        large = stamp is not None and stamp[1] > MAX_KEPT_FILE_BYTES
        content = None if large else source.read_bytes()
    except OSError:
        if file.tag:
            return
        raise
    suffix = Path(source.name).suffix.lower()
    file.stamp = stamp
    file.content = content
    file.content_type = CONTENT_TYPES.get(suffix, "application/octet-stream")
    file.variants = {}
    if content is None:
        assert stamp is not None
        file.size = stamp[1]
        file.tag = f'"{stamp[0]:x}-{stamp[1]:x}"'
        return
    file.size = len(content)
    file.tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    if len(content) >= MIN_COMPRESSED_BYTES and suffix not in _COMPRESSED:
        packed = gzip.compress(content, 6, mtime=0)
        if len(packed) < len(content) * 0.9:
            file.variants["gzip"] = packed
