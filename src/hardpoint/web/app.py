"""The web side put together: sign-in and its guard, the app API, the live stream, metrics and the pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..errors import NotFound
from ..http import Router
from .alerts import AlertRoutes, ChannelRoutes
from .commands import CommandRoutes
from .devices import DeviceRoutes
from .live import LiveStreams
from .metrics import Metrics
from .readings import ReadingRoutes
from .rules import RuleRoutes
from .signin import LOCAL_ADMIN, SignIns
from .site import Site
from .store import StoreRoutes
from .system import SystemRoutes
from .tap import TapRoutes

if TYPE_CHECKING:
    from ..http import Answer, Request
    from ..hub.hub import Hub

ExtraMetrics = Callable[[], "Iterator[tuple[str, str, str, dict[str, float]]]"]


class WebApp:
    """Every route of ours on one `Router`; `handle` and `handle_local` are what an `HttpServer` calls."""

    def __init__(self, hub: Hub, version: str, *, health: Callable[[], dict[str, Any]], metrics: ExtraMetrics) -> None:
        self.router = Router()
        self.live = LiveStreams(hub)
        self.sign_ins = SignIns(hub, version)
        self.site = Site()
        for part in (
            self.sign_ins,
            DeviceRoutes(hub),
            ReadingRoutes(hub),
            CommandRoutes(hub),
            TapRoutes(hub),
            RuleRoutes(hub),
            AlertRoutes(hub),
            ChannelRoutes(hub),
            StoreRoutes(hub),
            self.live,
            SystemRoutes(version, health, Metrics(hub, self.live, metrics), self.sign_ins.identify),
            self.site,
        ):
            part.register(self.router)

    def handle(self, request: Request) -> Answer | Awaitable[Answer]:
        """Answer a request that came over the network."""
        try:
            return self.router.handle(request)
        except NotFound:
            asked_by_a_person = request.method in ("GET", "HEAD") and "text/html" in request.headers.get("accept", "")
            if asked_by_a_person and not request.path.startswith("/api/"):
                return self.site.missing(request)
            raise

    def handle_local(self, request: Request) -> Answer | Awaitable[Answer]:
        """Answer a request that came by the Unix socket: whoever may open it is this machine's administrator."""
        request.user = LOCAL_ADMIN
        return self.handle(request)
