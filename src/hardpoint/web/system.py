"""Health, metrics and the description of the API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from ..http import Response
from . import shapes
from .metrics import CONTENT_TYPE, Metrics
from .openapi import describe_api

if TYPE_CHECKING:
    from ..http import Request, Router
    from ..hub.principal import Principal

_STORE_SECRETS = frozenset({"path", "free_bytes"})


class SystemRoutes:
    """``/api/health``, ``/metrics`` and ``/api/openapi.json``."""

    def __init__(
        self,
        version: str,
        health: Callable[[], dict[str, Any]],
        metrics: Metrics,
        identify: Callable[[Request], Principal | None],
    ) -> None:
        self._version = version
        self._health = health
        self._metrics = metrics
        self._identify = identify
        self._openapi = b""

    def register(self, router: Router) -> None:
        """Declare the routes. They show names of parts and numbers, nothing of devices or of the machine's files: no
        role is needed.
        """
        router.route("GET", "/api/health", self.health, role=None, summary="Readiness of every part", out=shapes.Health)
        router.route("GET", "/metrics", self.metrics, role=None, summary="Prometheus text")

        def openapi(request: Request) -> Response:
            if not self._openapi:
                self._openapi = msgspec.json.encode(describe_api(router.routes, self._version))
            return Response(200, self._openapi, "application/json")

        router.route("GET", "/api/openapi.json", openapi, role=None, summary="This description")

    async def health(self, request: Request) -> Response:
        """``GET /api/health``: 503 when a part does not work, so that a load balancer understands as well. Strangers
        are not told where the data lies and how full its disk is.
        """
        known = self._identify(request) is not None
        # On a thread: it asks the disk for its free space.
        health = await asyncio.to_thread(self._health)
        if not known:
            health = _for_strangers(health)
        return Response.json(health, status=200 if health["status"] == "ok" else 503)

    async def metrics(self, request: Request) -> Response:
        """``GET /metrics``."""
        return Response(200, self._metrics.encode(), CONTENT_TYPE)


def _for_strangers(health: dict[str, Any]) -> dict[str, Any]:
    """Without what tells of the machine's files; a Unix listener's address is a path in the data folder as well."""
    return health | {
        "bridge": None,
        "listeners": [listener for listener in health["listeners"] if listener["port"] is not None],
        "store": {name: value for name, value in health["store"].items() if name not in _STORE_SECRETS},
    }
