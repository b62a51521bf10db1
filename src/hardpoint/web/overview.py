"""How the server does, in one document for the system page; and the diagnostics bundle of a running server."""

from __future__ import annotations

import asyncio
import os
import platform
import sqlite3
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from ..errors import BadInput
from ..http import Response
from . import diagnostics, shapes

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..http import Request, Router
    from ..hub.hub import Hub
    from .checkup import Checkup
    from .live import LiveStreams
    from .metrics import Metrics


class OverviewRoutes:
    """``/api/system``."""

    def __init__(
        self,
        hub: Hub,
        live: LiveStreams,
        metrics: Metrics,
        checkup: Checkup,
        *,
        health: Callable[[], dict[str, Any]],
        settings: Callable[[], dict[str, Any]],
        log: Callable[..., list[str]],
    ) -> None:
        self._hub = hub
        self._live = live
        self._metrics = metrics
        self._checkup = checkup
        self._health = health
        self._settings = settings
        self._log = log

    def register(self, router: Router) -> None:
        """Declare the routes."""
        router.route(
            "GET",
            "/api/system",
            self.show,
            role="viewer",
            summary="How the server does: health, counters, connections by dialect, the process",
            out=shapes.Overview,
        )
        router.route(
            "GET",
            "/api/system/bundle",
            self.bundle,
            role="admin",
            summary="What helps to find a fault, as a tar.gz without secrets; names=hidden: nor names of devices",
            query=("names",),
        )

    async def show(self, request: Request) -> Response:
        """``GET /api/system``."""
        return Response.json(await self._describe())

    async def bundle(self, request: Request) -> Response:
        """``GET /api/system/bundle``."""
        names = request.query.get("names", "shown")
        if names not in ("shown", "hidden"):
            raise BadInput("names is shown or hidden", field="names")
        system = await self._describe()
        metrics = self._metrics.encode()
        checks = await self._checkup.document()
        known = diagnostics.secrets_of(self._hub.alerting.outbox)
        now_s = time.time()
        data = await asyncio.to_thread(self._pack, system, metrics, checks, known, now_s, hide_names=names == "hidden")
        disposition = f'attachment; filename="{diagnostics.file_name(now_s)}"'
        headers = [("Content-Disposition", disposition), ("Cache-Control", "no-store")]
        return Response(200, data, diagnostics.MEDIA_TYPE, headers)

    async def _describe(self) -> dict[str, Any]:
        hub = self._hub
        began = time.perf_counter()
        await asyncio.sleep(0)
        turn_ms = (time.perf_counter() - began) * 1000
        health = await asyncio.to_thread(self._health)
        sessions = Counter(session.dialect for device in hub.catalogue for session in device.sessions)
        return {
            "at": hub.clock_ms(),
            "health": health,
            "process": {
                "pid": os.getpid(),
                "cpu_s": round(time.process_time(), 3),
                "rss_bytes": _resident_bytes(),
                "threads": threading.active_count(),
                "turn_ms": round(turn_ms, 3),
                "python": platform.python_version(),
                "sqlite": sqlite3.sqlite_version,
                "platform": platform.platform(),
            },
            "counters": {
                "readings": hub.readings_total,
                "attached": hub.attached_total,
                "commits": hub.commits.commits,
                "commits_failed": hub.commits.failures,
                "pauses": hub.commits.pauses,
                "live_dropped": self._live.dropped_slow,
                "frames_dropped": hub.tap.dropped,
                "reads_refused": hub.reads.refused,
            },
            "refused": dict(hub.refused_total),
            "sessions": dict(sessions),
            "gauges": {
                "devices": len(hub.catalogue),
                "connected": sum(1 for device in hub.catalogue if device.sessions),
                "series": len(hub.catalogue.series),
                "pending": hub.commits.pending_rows,
                "live": len(self._live),
                "commands": hub.ledger.open_count,
            },
        }

    def _pack(
        self,
        system: dict[str, Any],
        metrics: bytes,
        checks: dict[str, Any],
        known: set[str],
        now_s: float,
        *,
        hide_names: bool,
    ) -> bytes:
        as_json = diagnostics.as_json
        lines = self._log(hide_names=hide_names)
        parts = {
            "README.txt": diagnostics.readme(hide_names=hide_names),
            "about.json": diagnostics.about(system["health"], system["process"]),
            "health.json": as_json(system["health"]),
            "system.json": as_json({name: value for name, value in system.items() if name != "health"}),
            "metrics.txt": metrics,
            "settings.json": diagnostics.settings_part(self._settings(), hide_names=hide_names),
            "doctor.json": as_json(checks),
            "log.txt": "\n".join(lines).encode("utf-8", "backslashreplace"),
        }
        return diagnostics.pack(parts, now_s, known)


def _resident_bytes() -> int | None:
    """Memory of this process; None where the system has no ``/proc``."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
