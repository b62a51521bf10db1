"""The web side put together: sign-in and its guard, the app API, the live stream, metrics and the pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..errors import NotFound
from ..http import Router
from ..hub.claims import Claims
from .live import LiveStreams
from .signin import LOCAL_ADMIN, SignIns
from .site import Site

if TYPE_CHECKING:
    from ..checks import Check
    from ..http import Answer, BodyPlan, Request
    from ..hub.hub import Hub
    from ..hub.packages import Packages
    from ..wire.http1 import RequestHead

ExtraMetrics = Callable[[], "Iterator[tuple[str, str, str, dict[str, float]]]"]


API_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
)
"""With every answer of the app API, errors too: a browser is to show it to nobody, run nothing in it and keep no copy.
Devices are spared the bytes, and mounted applications say what is right for them.
"""
DEVICE_API = "/api/v1/"


class WebApp:
    """Every route of ours on one `Router`; `plan`, `handle` and `handle_local` are what an `HttpServer` calls."""

    def __init__(
        self,
        hub: Hub,
        version: str,
        *,
        health: Callable[[], dict[str, Any]],
        metrics: ExtraMetrics,
        claims: Claims | None = None,
        packages: Packages | None = None,
        settings: Callable[[], dict[str, Any]] = dict,
        log: Callable[..., list[str]] = lambda **_: [],
        ca: Callable[[], str | None] = lambda: None,
        checks: Callable[[], Iterator[Check]] = lambda: iter(()),
    ) -> None:
        """``settings`` and ``log``, each setting and the last lines, are for the diagnostics bundle; ``ca`` reads the
        certificate of the server's own authority, where clients need it; ``checks`` makes the doctor's, on a thread.
        """
        self.router = Router()
        self.sign_ins = SignIns(hub, version)
        self.accounts = self.sign_ins.accounts
        self.live = LiveStreams(hub, self.accounts.again)
        self.accounts.rights_changed.append(self.live.end_closed)
        self.site = Site()
        self._hub = hub
        self.claims = claims or Claims(hub)
        self.packages = packages
        self._version = version
        self._health = health
        self._metrics = metrics
        self._settings = settings
        self._log = log
        self._ca = ca
        self._checks = checks
        self._declared = False
        self.sign_ins.register(self.router)  # and with it the guard

    def declare(self) -> None:
        """Declare all other routes, unless that is done. The first request does it and not the start, for which their
        modules, with all of history behind them, would be 15 ms.
        """
        if self._declared:
            return
        self._declared = True
        from ..hub.dashboards import Dashboards
        from .adoption import AdoptionRoutes
        from .alerts import AlertRoutes, ChannelRoutes
        from .audit import AuditRoutes
        from .backups import BackupRoutes
        from .checkup import Checkup, CheckupRoutes
        from .claims import ClaimRoutes
        from .commands import CommandRoutes
        from .dashboards import DashboardRoutes
        from .devices import DeviceRoutes
        from .fields import FieldRoutes
        from .home import HomeRoutes
        from .metrics import Metrics
        from .overview import OverviewRoutes
        from .packages import PackageRoutes
        from .people import PeopleRoutes, SessionRoutes, TokenRoutes
        from .readings import ReadingRoutes
        from .rules import RuleRoutes
        from .shared import SharedRoutes
        from .simulation import SimulationRoutes
        from .snippets import SnippetRoutes
        from .store import StoreRoutes
        from .system import SystemRoutes
        from .tap import TapRoutes

        hub = self._hub
        metrics = Metrics(hub, self.live, self._metrics)
        boards = Dashboards(hub)
        store = StoreRoutes(hub)
        readings = ReadingRoutes(hub)
        checkup = Checkup(self._checks, hub.clock_ms)
        for part in (
            DeviceRoutes(hub),
            ClaimRoutes(hub, self.claims),
            *(() if self.packages is None else (PackageRoutes(hub, self.packages),)),
            AdoptionRoutes(hub),
            readings,
            FieldRoutes(hub),
            CommandRoutes(hub),
            SnippetRoutes(hub, self._health, self._ca),
            TapRoutes(hub),
            SimulationRoutes(hub),
            RuleRoutes(hub),
            AlertRoutes(hub),
            ChannelRoutes(hub),
            store,
            BackupRoutes(hub, store),
            OverviewRoutes(
                hub, self.live, metrics, checkup, health=self._health, settings=self._settings, log=self._log
            ),
            CheckupRoutes(checkup),
            DashboardRoutes(hub, boards, self.live),
            SharedRoutes(hub, boards, self.live, readings),
            PeopleRoutes(hub, self.sign_ins),
            SessionRoutes(hub, self.sign_ins),
            TokenRoutes(hub, self.sign_ins),
            AuditRoutes(hub),
            HomeRoutes(hub, self._health),
            self.live,
            SystemRoutes(self._version, self._health, metrics, self.sign_ins.identify),
            self.site,
        ):
            part.register(self.router)

    def plan(self, head: RequestHead) -> BodyPlan:
        """How the body behind this head is to be received."""
        if not self._declared:
            self.declare()
        return self.router.plan(head)

    def handle(self, request: Request) -> Answer | Awaitable[Answer]:
        """Answer a request that came over the network."""
        if not self._declared:
            self.declare()
        path = request.head.path
        if path.startswith("/api/") and not path.startswith(DEVICE_API):
            for name, value in API_HEADERS:
                request.add_header(name, value)
        auditor = self.sign_ins.auditor
        try:
            return auditor.handled(request, self.router.handle(request))
        except Exception as error:
            auditor.failed(request, error)
            if not isinstance(error, NotFound):
                raise
            asked_by_a_person = request.method in ("GET", "HEAD") and "text/html" in request.headers.get("accept", "")
            if asked_by_a_person and not path.startswith("/api/"):
                return self.site.missing(request)
            raise

    def handle_local(self, request: Request) -> Answer | Awaitable[Answer]:
        """Answer a request that came by the Unix socket: whoever may open it is this machine's administrator."""
        request.user = LOCAL_ADMIN
        return self.handle(request)
