"""The app API's routes of the store itself: what retention will do, a check of everything, and a copy of it."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..errors import Conflict, StorageError
from ..http import Response, StreamResponse
from ..threads import call_apart
from . import shapes
from .deeds import to_its_end
from .devices import whole_number

if TYPE_CHECKING:
    from ..http import Request, Router
    from ..hub.hub import Hub
    from ..stores.base import Store

T = TypeVar("T")

MAX_STEPS = 10_000
"""Of a plan that are told one by one; how many more there are is told as a number."""
MAX_WITHIN_S = 100 * 366 * 86_400
PIECE_BYTES = 256 * 1024
"""Of a copy, read at a time: a few for each turn of a fast client's connection."""
COPY_PREFIX = "backup-"
"""Names of copies under way, in the data folder: one that a crash left is removed at the next one."""


class StoreRoutes:
    """``/api/store/…``."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._busy = ""

    def register(self, router: Router) -> None:
        """Declare the routes."""
        router.route(
            "GET",
            "/api/store/plan",
            self.plan,
            role="viewer",
            summary="What retention will thin and drop until within_s from now, and from when on",
            query=("within_s",),
            out=shapes.Plan,
        )
        router.route(
            "POST",
            "/api/store/check",
            self.check,
            role="admin",
            summary="Read and verify everything that is stored; with repair=true put right what can be",
            query=("repair",),
            out=shapes.CheckReport,
        )
        router.route(
            "POST",
            "/api/store/backup",
            self.backup,
            role="admin",
            summary="One consistent copy of everything, as a file to keep",
        )

    async def plan(self, request: Request) -> Response:
        """``GET /api/store/plan``."""
        within_s = whole_number(request, "within_s", 0, 0, MAX_WITHIN_S)
        with self._hub.reads.answering():
            plan, due = await self._hub.retention.plan(within_s)
        policy = self._hub.retention.policy
        days_to_max = None
        if policy.max_bytes is not None:
            readings = (await asyncio.to_thread(self._hub.store.describe)).get("readings", 0)
            days_to_max = self._hub.pace.days_until(policy.max_bytes - plan.size_bytes, plan.size_bytes, readings)
        steps = [
            {
                "device": step.device_id,
                "key": step.key,
                "action": step.action,
                "reason": step.reason,
                "from": step.start_ms,
                "to": step.end_ms,
                "readings": step.readings,
                "bytes": step.bytes,
                "due": due_ms,
            }
            for step, due_ms in due[:MAX_STEPS]
        ]
        return Response.json(
            {
                "at": plan.now_ms,
                "size_bytes": plan.size_bytes,
                "max_bytes": policy.max_bytes,
                "days_to_max": days_to_max,
                "freed_bytes": plan.freed_bytes,
                "rules": [rule._asdict() for rule in policy.rules],
                "steps": steps,
                "more_steps": len(due) - len(steps),
            }
        )

    async def check(self, request: Request) -> Response:
        """``POST /api/store/check``: takes as long as reading everything does."""
        repair = request.query.get("repair") == "true"
        found = await self.alone("a check", lambda: self._hub.store.check(repair=repair))
        series = self._hub.catalogue.series
        findings = []
        for finding in found.findings:
            known = series.get(finding.series) if finding.series is not None else None
            findings.append(
                {
                    "place": finding.place,
                    "device": None if known is None else known.device.id,
                    "key": None if known is None else known.key,
                    "from": finding.start_ms,
                    "to": finding.end_ms,
                    "readings": finding.readings,
                    "problem": finding.problem,
                    "done": finding.done,
                }
            )
        return Response.json({"pieces": found.pieces, "readings": found.readings, "findings": findings})

    async def backup(self, request: Request) -> StreamResponse:
        """``POST /api/store/backup``: the copy is made in the data folder first, so that it is whole before its first
        byte leaves, and removed when its last one has.
        """
        file, size_bytes = await self.alone("a backup", lambda: _copied(self._hub.store))
        return StreamResponse(
            FilePieces(file),
            content_type="application/vnd.sqlite3",
            headers=[("Content-Disposition", 'attachment; filename="hardpoint.db"')],
            length=size_bytes,
        )

    async def alone(self, what: str, call: Callable[[], T]) -> T:
        """``call()`` on a thread, one of these at a time: each reads everything there is, and what one leaves half done
        another clears away. A thread does not end with the client who asked, so the next one waits for it all the same.

        Raises:
            Conflict: another one is under way.
        """
        if self._busy:
            raise Conflict(f"{self._busy} is under way: wait for its end")
        self._busy = what

        async def work() -> T:
            try:
                return await call_apart("hardpoint-store", call)
            finally:
                self._busy = ""

        return await to_its_end(work())


def _copied(store: Store) -> tuple[FileIO, int]:
    """A copy of the store as an open file without a name, so that nothing stays behind however this ends; its size.

    Raises:
        StorageError: it cannot be made.
    """
    path = store.describe()["path"]
    if path is None:
        raise StorageError("this store is in memory: there is nothing to copy")
    folder = Path(path).parent
    for left in folder.glob(f"{COPY_PREFIX}*"):
        left.unlink(missing_ok=True)
    copy = folder / f"{COPY_PREFIX}{secrets.token_hex(8)}"
    store.backup(copy)
    try:
        file = copy.open("rb", buffering=0)
    except OSError as error:
        raise StorageError(f"the copy cannot be read: {error.strerror}") from error
    finally:
        copy.unlink(missing_ok=True)
    return file, os.fstat(file.fileno()).st_size


class FilePieces(AsyncIterator[bytes]):
    """A file's content, read on threads."""

    def __init__(self, file: FileIO) -> None:
        self._file = file

    async def __anext__(self) -> bytes:
        data = await asyncio.to_thread(self._file.read, PIECE_BYTES)
        if not data:
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        """Let go of the file. Idempotent."""
        self._file.close()
