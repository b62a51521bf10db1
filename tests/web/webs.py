"""The web side on a real HTTP server, over TCP and a Unix socket, with a fake clock and a store that can fail."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec

from hardpoint.http import HttpServer
from hardpoint.hub.packages import Packages
from hardpoint.stores.packages import PackageFiles
from hardpoint.testing import FakeClock, HttpDevice
from hardpoint.web.app import WebApp
from hub.hubs import open_hub

HEALTH = {
    "status": "ok",
    "version": "9.9",
    "uptime_s": 1.0,
    "loop": "test",
    "listeners": [],
    "certificates": [],
    "store": {},
}
CA = [None]
"""The PEM of the server's own authority."""


class Client(HttpDevice):
    """A program or a browser: what it sends with every request is in ``headers``."""

    def __init__(self, host, port, headers=None):
        super().__init__(host, port)
        self.headers = headers or {}

    async def ask(self, method, path, document=None, **headers):
        """One request with a JSON body, if any; its answer, and the decoded document if it has one."""
        body = b"" if document is None else msgspec.json.encode(document)
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.request(method, path, body, self.headers | extra)
        if answer.headers.get("content-type") == "application/json":
            return answer, answer.json()
        return answer, None

    async def refused(self, status, method, path, document=None, **headers):
        """One request that must fail with that status; the error document."""
        answer, found = await self.ask(method, path, document, **headers)
        assert answer.status == status, answer
        assert set(found["error"]) <= {"code", "message", "field"}
        return found["error"]


class Web:
    """What a test holds: the hub, the application, and the way to clients of every kind."""

    def __init__(self, hub, app, server, port):
        self.hub, self.app, self.server, self.port = hub, app, server, port

    def anyone(self, **headers):
        return Client("127.0.0.1", self.port, headers)

    async def as_role(self, role, *labels):
        """A program with a new API token of that role, limited to these labels."""
        secret, _ = await self.app.sign_ins.accounts.add_token(f"a {role}", role, list(labels), None, "test")
        return self.anyone(Authorization=f"Bearer {secret}")

    @contextlib.asynccontextmanager
    async def linked(self):
        """A browser that came by the one-time link."""
        async with self.anyone() as browser:
            answer, _ = await browser.ask("POST", "/api/login", {"link": self.app.sign_ins.new_link()})
            assert answer.status == 200
            browser.headers["Cookie"] = cookie_of(answer)
            yield browser


def cookie_of(answer):
    return answer.headers["set-cookie"].split(";")[0]


@contextlib.asynccontextmanager
async def open_web(store=None, clock=None, unix=None, *, senders=None, packages_in=None, **limits):
    async with open_hub(store, clock or FakeClock(), senders=senders, **limits) as hub:
        packages = None if packages_in is None else Packages(hub, PackageFiles(packages_in))
        parts = {"metrics": lambda: iter(()), "ca": lambda: CA[0], "packages": packages}
        app = WebApp(hub, "9.9", health=lambda: dict(HEALTH), **parts)
        server, local = HttpServer(app.handle), HttpServer(app.handle_local)
        loop = asyncio.get_running_loop()
        listeners = [await loop.create_server(server, "127.0.0.1", 0)]
        if unix is not None:
            listeners.append(await loop.create_unix_server(local, unix))
        try:
            yield Web(hub, app, server, listeners[0].sockets[0].getsockname()[1])
        finally:
            for listener in listeners:
                listener.close()
            app.live.close()
            await asyncio.gather(server.drain(1), local.drain(1))
            for listener in listeners:
                await listener.wait_closed()
