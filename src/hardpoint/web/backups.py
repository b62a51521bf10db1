"""The app API's routes of copies that are kept beside the data: made here, listed, fetched, removed."""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Conflict, NotFound, StorageError
from ..http import Response, StreamResponse
from . import shapes
from .store import FilePieces

if TYPE_CHECKING:
    from ..http import Request, Router
    from ..hub.hub import Hub
    from ..stores.base import Copied, Store
    from .store import StoreRoutes

FOLDER = "backups"
"""In the data folder: it is on the same disk, so it helps against mistakes; against a dead disk, fetch a copy."""
MAX_KEPT = 20
_NAME = re.compile(r"hardpoint-\d{8}T\d{6}Z\.db")


class BackupRoutes:
    """``/api/store/backups``."""

    def __init__(self, hub: Hub, store: StoreRoutes) -> None:
        self._hub = hub
        self._store = store

    def register(self, router: Router) -> None:
        """Declare the routes."""
        route, all_of_them = router.route, "/api/store/backups"
        one = f"{all_of_them}/{{name}}"
        route("GET", all_of_them, self.list, role="admin", summary="Copies in the data folder", out=shapes.BackupList)
        route(
            "POST",
            all_of_them,
            self.make,
            role="admin",
            summary="Make a copy in the data folder",
            out=shapes.Backup,
            status=201,
        )
        route("GET", one, self.fetch, role="admin", summary="A copy as a file")
        route("DELETE", one, self.remove, role="admin", summary="Remove a copy", status=204)

    async def list(self, request: Request) -> Response:
        """``GET /api/store/backups``."""
        return Response.json(
            {"items": await asyncio.to_thread(_found, self._hub.store, self._folder()), "most": MAX_KEPT}
        )

    async def make(self, request: Request) -> Response:
        """``POST /api/store/backups``: 201 when it is whole and on disk."""
        folder = self._folder()
        made_ms = self._hub.clock_ms()
        name = f"hardpoint-{datetime.fromtimestamp(made_ms / 1000, UTC):%Y%m%dT%H%M%SZ}.db"
        await self._store.alone("a backup", lambda: _make(self._hub, folder, name))
        made = await asyncio.to_thread(_described, self._hub.store, folder / name)
        return Response.json({**made, "made": made_ms}, status=201)

    async def fetch(self, request: Request) -> StreamResponse:
        """``GET /api/store/backups/{name}``."""
        path = self._path(request)
        try:
            file = await asyncio.to_thread(path.open, "rb", 0)
        except FileNotFoundError:
            raise NotFound("there is no such copy") from None
        return StreamResponse(
            FilePieces(file),
            content_type="application/vnd.sqlite3",
            headers=[("Content-Disposition", f'attachment; filename="{path.name}"')],
            length=os.fstat(file.fileno()).st_size,
        )

    async def remove(self, request: Request) -> Response:
        """``DELETE /api/store/backups/{name}``."""
        try:
            await asyncio.to_thread(self._path(request).unlink)
        except FileNotFoundError:
            raise NotFound("there is no such copy") from None
        return Response.empty(204)

    def _folder(self) -> Path:
        path = self._hub.store.describe()["path"]
        if path is None:
            raise StorageError("this store is in memory: there is nothing to copy")
        return Path(path).parent / FOLDER

    def _path(self, request: Request) -> Path:
        name: str = request.params["name"]
        if _NAME.fullmatch(name) is None:  # nothing else in the folder, and nothing outside it
            raise NotFound("there is no such copy")
        return self._folder() / name


def _make(hub: Hub, folder: Path, name: str) -> None:
    if len(_paths(folder)) >= MAX_KEPT:
        raise Conflict(f"{MAX_KEPT} copies are kept already: remove one")
    folder.mkdir(mode=0o700, exist_ok=True)
    hub.store.backup(folder / name)


def _found(store: Store, folder: Path) -> list[dict[str, object]]:
    found = []
    for path in _paths(folder):
        with suppress(FileNotFoundError):  # somebody has removed it meanwhile
            found.append(_described(store, path))
    return found


def _paths(folder: Path) -> list[Path]:
    """The newest first."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), reverse=True)


def _described(store: Store, path: Path) -> dict[str, object]:
    stat = path.stat()
    copied: Copied | None
    try:
        copied = store.look_into(path)
    except StorageError:  # a disk's fault, or somebody's file of that name: the others are listed all the same
        copied = None
    return {
        "name": path.name,
        "bytes": stat.st_size,
        "made": int(stat.st_mtime * 1000),
        "packages": None if copied is None else copied.packages,
        "missing_packages": None if copied is None else copied.missing,
    }
