"""How the server does, in one document for the system page; and all that helps to find a fault, in one file."""

from __future__ import annotations

import asyncio
import io
import os
import platform
import re
import sqlite3
import threading
import time
import zipfile
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from ..http import Response
from . import shapes

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..http import Request, Router
    from ..hub.hub import Hub
    from .live import LiveStreams
    from .metrics import Metrics

_SECRET = re.compile(rb"hp[as]?_[0-9A-Za-z]{20,}|(?<=://)[^/@\s\"]+@")
"""Tokens of every kind, and who signs in where within a URL. Nothing that goes into a bundle should hold one; if
something does all the same, it is not what leaves."""
ABOUT = """\
What is in this file, for whoever looks for a fault:

about.json     versions and the machine
health.json    readiness of every part
system.json    counters and the process
metrics.txt    every metric, as /metrics gives it
settings.json  every setting, its value and where it came from; secrets lie in files of their own and are not here
log.txt        the last lines of the log

It holds no token, no password and no reading. Names of devices may be in the log: look through it before you send it.
"""


class OverviewRoutes:
    """``/api/system``."""

    def __init__(
        self,
        hub: Hub,
        live: LiveStreams,
        metrics: Metrics,
        *,
        health: Callable[[], dict[str, Any]],
        settings: Callable[[], dict[str, Any]],
        log: Callable[[], list[str]],
    ) -> None:
        self._hub = hub
        self._live = live
        self._metrics = metrics
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
            summary="What helps to find a fault, as a zip file without secrets",
        )

    async def show(self, request: Request) -> Response:
        """``GET /api/system``."""
        return Response.json(await self._describe())

    async def bundle(self, request: Request) -> Response:
        """``GET /api/system/bundle``."""
        system = await self._describe()
        metrics = self._metrics.encode()
        data = await asyncio.to_thread(self._pack, system, metrics)
        name = f"hardpoint-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.zip"
        headers = [("Content-Disposition", f'attachment; filename="{name}"'), ("Cache-Control", "no-store")]
        return Response(200, data, "application/zip", headers)

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

    def _pack(self, system: dict[str, Any], metrics: bytes) -> bytes:
        process = system["process"]
        about = {name: process[name] for name in ("python", "sqlite", "platform")}
        parts = {
            "README.txt": ABOUT.encode(),
            "about.json": _json({"version": system["health"]["version"], **about}),
            "health.json": _json(system["health"]),
            "system.json": _json({name: value for name, value in system.items() if name != "health"}),
            "metrics.txt": metrics,
            "settings.json": _json(self._settings()),
            "log.txt": "\n".join(self._log()).encode("utf-8", "backslashreplace"),
        }
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name, content in parts.items():
                bundle.writestr(name, _SECRET.sub(b"[left out]", content))
        return packed.getvalue()


def _json(document: object) -> bytes:
    """For a person to read; what JSON has no word for (a path, a listener's URL) as text."""
    return msgspec.json.format(msgspec.json.encode(document, enc_hook=str), indent=2) + b"\n"


def _resident_bytes() -> int | None:
    """Memory of this process; None where the system has no ``/proc``."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
