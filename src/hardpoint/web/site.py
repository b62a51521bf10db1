"""The pages: one static shell for every client route, and its assets under an address that holds their hash.

Nothing here is rendered per request. The assets are immutable to a browser; the shell is never stored, names the
assets' address, and lists the modules that the first view imports, so that they are fetched side by side.
"""

from __future__ import annotations

import asyncio
import re
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING

from ..errors import NotFound
from ..http import Response

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from ..http import Request, Router, StaticFiles, StreamResponse

CLIENT_ROUTES = (
    "/",
    "/welcome",
    "/login",
    "/devices",
    "/devices/{id}",
    "/dashboards",
    "/dashboards/{id}",
    "/dashboards/label/{id}",
    "/shared",
    "/alerts",
    "/alerts/history",
    "/alerts/rules",
    "/alerts/new-rule",
    "/alerts/rules/{id}",
    "/alerts/channels",
    "/alerts/quiet-hours",
)
ENTRY_MODULE = "app.mjs"

SECURITY_HEADERS = (
    (
        "Content-Security-Policy",
        (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
            "font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
            "require-trusted-types-for 'script'; trusted-types 'none'"
        ),
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
)

_STATIC_IMPORT = re.compile(
    r"""^\s*(?:import|export)\s[^'"()]*?from\s*["'](\.[^"']+)["']|^\s*import\s*["'](\.[^"']+)["']""", re.MULTILINE
)


class Site:
    """Serves the pages. Reading and packing the assets takes some 50 ms, which is done beside the start, not before."""

    def __init__(self) -> None:
        self._loaded: asyncio.Future[tuple[StaticFiles, str, bytes]] | None = None

    def register(self, router: Router) -> None:
        """Declare the routes. The shell holds nothing secret, and signing in needs it."""
        for path in CLIENT_ROUTES:
            router.route("GET", path, self.shell, role=None)
        router.route("GET", "/ui/{hash}/{rest:path}", self.asset, role=None)

    def load(self) -> asyncio.Future[tuple[StaticFiles, str, bytes]]:
        """Begin to read the assets, on a thread; again, if that has failed before (no descriptor was left, say). Who
        waits for it shields it: a client that leaves meanwhile has its own task cancelled, and nobody else's.
        """
        loaded = self._loaded
        if loaded is None or (loaded.done() and loaded.exception() is not None):
            loaded = self._loaded = asyncio.get_running_loop().run_in_executor(None, _load)
        return loaded

    async def shell(self, request: Request) -> Response:
        """Any client route."""
        return await self._shell(200)

    async def asset(self, request: Request) -> Response | StreamResponse:
        """``/ui/<tree hash>/…``."""
        static, tree_hash, _ = await asyncio.shield(self.load())
        if request.params["hash"] != tree_hash:
            raise NotFound("this address belongs to another version of the pages: reload")
        return static(request)

    async def missing(self, request: Request) -> Response:
        """A path that is nothing, asked for by a person: the shell says so, in their language."""
        return await self._shell(404)

    async def _shell(self, status: int) -> Response:
        _, _, shell = await asyncio.shield(self.load())
        headers = [("Cache-Control", "no-store"), *SECURITY_HEADERS]
        return Response(status, shell, "text/html; charset=utf-8", headers)


def _load() -> tuple[StaticFiles, str, bytes]:
    from importlib.resources import files

    from ..http import StaticFiles

    root = files("hardpoint.web") / "pages"
    static = StaticFiles(root, immutable=True)
    tree_hash = static.tree_hash
    address = f"/ui/{tree_hash}"
    preload = "\n".join(f'<link rel="modulepreload" href="{address}/{name}">' for name in static_imports(root))
    shell = (root / "index.html").read_text("utf-8").replace("%PRELOAD%", preload).replace("%UI%", address)
    return static, tree_hash, shell.encode()


def static_imports(root: Traversable, entry: str = ENTRY_MODULE) -> list[str]:
    """Every module that the entry imports statically, directly or not, in the order found; the entry is not listed."""
    found: dict[str, None] = {}
    waiting = [entry]
    while waiting:
        module = waiting.pop(0)
        text = root.joinpath(*module.split("/")).read_text("utf-8")
        for match in _STATIC_IMPORT.finditer(text):
            name = normpath(join(dirname(module), match[1] or match[2]))
            if name not in found and name != entry:
                found[name] = None
                waiting.append(name)
    return list(found)
