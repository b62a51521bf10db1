"""The pages: one static shell for every client route, and its assets under an address that holds their hash.

Nothing here is rendered per request. The assets are immutable to a browser; the shell is never stored and names the
assets' address. What the first view needs is joined when the server starts, so that it comes in few requests: its
modules (`joined`) and its style sheets.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ..errors import NotFound
from ..http import Response
from ..http.compression import accepts_gzip

if TYPE_CHECKING:
    from ..http import Request, Router, StaticFiles, StreamResponse

CLIENT_ROUTES = (
    "/",
    "/welcome",
    "/login",
    "/devices",
    "/devices/{id}",
    "/devices/{id}/log",
    "/devices/{id}/settings",
    "/dashboards",
    "/dashboards/{id}",
    "/dashboards/label/{id}",
    "/shared",
    "/people",
    "/people/tokens",
    "/people/sessions",
    "/account",
    "/activity",
    "/system",
    "/settings",
    "/alerts",
    "/alerts/history",
    "/alerts/rules",
    "/alerts/new-rule",
    "/alerts/rules/{id}",
    "/alerts/channels",
    "/alerts/quiet-hours",
)
FIRST_MODULES = ["app.mjs", "ui/spark.mjs"]
"""With what they import: what most people see first. Other pages are fetched when they are opened."""
FIRST_SHEETS = ["css/base.css", "css/components.css", "css/devices.css", "css/home.css"]
JOINED_MODULE, JOINED_SHEET = "first.mjs", "css/first.css"

SECURITY_HEADERS = (
    (
        "Content-Security-Policy",
        (
            "default-src 'none'; script-src 'self' '%IMPORT_MAP%'; style-src 'self'; img-src 'self' data:; "
            "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
            "require-trusted-types-for 'script'; trusted-types 'none'"
        ),
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
)


class Site:
    """Serves the pages. Reading and packing the assets takes some 50 ms, which is done beside the start, not before."""

    def __init__(self) -> None:
        self._loaded: asyncio.Future[_Loaded] | None = None

    def register(self, router: Router) -> None:
        """Declare the routes. The shell holds nothing secret, and signing in needs it."""
        for path in CLIENT_ROUTES:
            router.route("GET", path, self.shell, role=None)
        router.route("GET", "/ui/{hash}/{rest:path}", self.asset, role=None)

    def load(self) -> asyncio.Future[_Loaded]:
        """Begin to read the assets, on a thread; again, if that has failed before (no descriptor was left, say). Who
        waits for it shields it: a client that leaves meanwhile has its own task cancelled, and nobody else's.
        """
        loaded = self._loaded
        if loaded is None or (loaded.done() and loaded.exception() is not None):
            loaded = self._loaded = asyncio.get_running_loop().run_in_executor(None, _load)
        return loaded

    async def shell(self, request: Request) -> Response:
        """Any client route."""
        return await self._shell(request, 200)

    async def asset(self, request: Request) -> Response | StreamResponse:
        """``/ui/<tree hash>/…``."""
        loaded = await asyncio.shield(self.load())
        if request.params["hash"] != loaded.static.tree_hash:
            raise NotFound("this address belongs to another version of the pages: reload")
        return loaded.static(request)

    async def missing(self, request: Request) -> Response:
        """A path that is nothing, asked for by a person: the shell says so, in their language."""
        return await self._shell(request, 404)

    async def _shell(self, request: Request, status: int) -> Response:
        loaded = await asyncio.shield(self.load())
        headers = [("Cache-Control", "no-store"), ("Vary", "Accept-Encoding"), *loaded.headers]
        body = loaded.shell
        if accepts_gzip(request.headers.get("accept-encoding", "")):
            body = loaded.packed
            headers.append(("Content-Encoding", "gzip"))
        return Response(status, body, "text/html; charset=utf-8", headers)


class _Loaded(NamedTuple):
    static: StaticFiles
    shell: bytes
    packed: bytes
    headers: list[tuple[str, str]]


def _load() -> _Loaded:
    from importlib.resources import files

    from ..http import StaticFiles
    from .joined import first_words, join_modules, join_sheets, modules_of

    root = files("hardpoint.web") / "pages"
    modules = modules_of(root, FIRST_MODULES)
    sheets = [root.joinpath(*name.split("/")).read_text("utf-8") for name in FIRST_SHEETS]
    joined = join_modules(modules)
    made = {JOINED_MODULE: joined.encode(), JOINED_SHEET: join_sheets(sheets).encode()}
    for entry in (root / "i18n").iterdir():
        words = first_words(msgspec.json.decode(entry.read_bytes(), type=dict[str, str]), joined)
        made[f"i18n/first.{entry.name}"] = msgspec.json.encode(words)
    static = StaticFiles(root, immutable=True, made=made)
    address = f"/ui/{static.tree_hash}"
    # It must stand in the shell itself, and so its digest in the policy, which allows no other script inside a page.
    import_map = msgspec.json.encode(
        {"imports": {f"{address}/{module.path}": f"{address}/{JOINED_MODULE}" for module in modules}}
    )
    digest = base64.b64encode(hashlib.sha256(import_map).digest()).decode()
    headers = [(name, value.replace("%IMPORT_MAP%", f"sha256-{digest}")) for name, value in SECURITY_HEADERS]
    shell = (root / "index.html").read_bytes().replace(b"%UI%", address.encode()).replace(b"%IMPORT_MAP%", import_map)
    return _Loaded(static, shell, gzip.compress(shell, mtime=0), headers)
