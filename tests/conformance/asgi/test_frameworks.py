"""FastAPI, Starlette and Django as they come from the index, on our server and on our loop."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest

from hardpoint.http import HttpServer
from hardpoint.http.asgi import AsgiHost
from hardpoint.testing import WebSocketClient
from hardpoint.wire.websocket import HandshakeRefused

httpx = pytest.importorskip("httpx", reason="httpx is not installed: make conformance")


@asynccontextmanager
async def client_of(app: Any, root_path: str = ""):
    """A client of the application, and the port."""
    host = AsgiHost(app, root_path=root_path)
    await host.startup()
    server = HttpServer(host.handle, plan=host.plan)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            yield client, port
    finally:
        listener.close()
        await server.drain(1)
        await host.shutdown()
        await listener.wait_closed()


def test_starlette(run, tmp_path):
    pytest.importorskip("starlette", reason="starlette is not installed: make conformance")
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
    from starlette.routing import Mount, Route, WebSocketRoute

    done = []
    (tmp_path / "file.txt").write_text("x" * 100_000)

    async def echo(request):
        return PlainTextResponse(await request.body(), background=BackgroundTask(done.append, "background"))

    async def stream(request):
        async def pieces():
            for number in range(5):
                yield f"{number}\n"

        return StreamingResponse(pieces())

    async def form(request):
        async with request.form() as fields:
            return JSONResponse({name: getattr(value, "filename", value) for name, value in fields.items()})

    async def url(request):
        return PlainTextResponse(str(request.url_for("deep")))

    async def socket(ws):
        await ws.accept(subprotocol=ws.scope["subprotocols"][0])
        async for text in ws.iter_text():
            await ws.send_text(text.upper())

    async def passing(request, call_next):
        response = await call_next(request)
        response.headers["x-passed"] = request.state.name
        return response

    @asynccontextmanager
    async def lifespan(app):
        yield {"name": "state"}
        done.append("end")

    app = Starlette(
        routes=[
            Route("/echo", echo, methods=["POST"]),
            Route("/stream", stream),
            Route("/file", lambda request: FileResponse(tmp_path / "file.txt")),
            Route("/form", form, methods=["POST"]),
            Mount(
                "/below",
                routes=[Route("/url", lambda request: PlainTextResponse(str(request.url_for("deep"))), name="deep")],
            ),
            WebSocketRoute("/ws", socket),
        ],
        middleware=[Middleware(GZipMiddleware), Middleware(BaseHTTPMiddleware, dispatch=passing)],
        lifespan=lifespan,
    )

    async def scene():
        async with client_of(app) as (client, port):
            body = bytes(range(256)) * 1000
            answer = await client.post("/echo", content=body)
            assert answer.content == body
            assert answer.headers["x-passed"] == "state"
            assert (await client.get("/stream")).text == "0\n1\n2\n3\n4\n"
            file = await client.get("/file")
            assert file.text == "x" * 100_000
            part = await client.get("/file", headers={"Range": "bytes=10-19"})
            assert (part.status_code, part.text) == (206, "x" * 10)
            assert (await client.head("/file")).headers["etag"] == file.headers["etag"].removeprefix("W/")
            answer = await client.post("/form", data={"a": "1"}, files={"f": ("n.txt", b"x" * 200_000)})
            assert answer.json() == {"a": "1", "f": "n.txt"}
            # The client says Host, and the application believes it.
            assert (await client.get("/below/url")).text == f"http://127.0.0.1:{port}/below/url"
            assert (await client.get("/nowhere")).status_code == 404
            async with WebSocketClient("127.0.0.1", port, "/ws", subprotocols=["a"]) as ws:
                assert ws.subprotocol == "a"
                ws.send("text")
                assert await ws.receive() == "TEXT"
            with pytest.raises(HandshakeRefused) as refused:
                await WebSocketClient("127.0.0.1", port, "/nowhere").__aenter__()
            assert refused.value.answer in (403, 404)
        assert done == ["background", "end"]

    run(scene())


def test_fastapi(run):
    pytest.importorskip("fastapi", reason="fastapi is not installed: make conformance")
    from .fastapi_site import app

    async def scene():
        async with client_of(app) as (client, port):
            answer = await client.post("/items/7?q=4", json={"name": "a"})
            assert answer.json() == {"number": 7, "item": {"name": "a", "price": 1.0}, "doubled": 8}
            assert (await client.post("/items/x", json={})).status_code == 422
            answer = await client.get("/gone")
            assert (answer.status_code, answer.headers["x-why"]) == (410, "old")
            assert (await client.get("/openapi.json")).json()["paths"].keys() == {"/items/{number}", "/gone"}
            assert "swagger" in (await client.get("/docs")).text
            async with WebSocketClient("127.0.0.1", port, "/ws/bob") as ws:
                ws.send('{"a":1}')
                assert await ws.receive() == '{"name":"bob","got":{"a":1}}'
                await ws.closed()
                assert (ws.close_code, ws.close_reason) == (4000, "enough")

    run(scene())


def test_django(run):
    django = pytest.importorskip("django", reason="django is not installed: make conformance")
    from django.conf import settings

    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="tests only", DEFAULT_CHARSET="utf-8", DATABASES={},
            MIDDLEWARE=["django.middleware.common.CommonMiddleware", "django.middleware.gzip.GZipMiddleware"],
        )  # fmt: skip
        django.setup()
    from django.core.asgi import get_asgi_application

    app = get_asgi_application()

    async def scene():
        async with client_of(app, root_path="/site") as (client, _):
            answer = await client.post("/site/echo/?q=ä", content=b"x" * 50_000)
            assert answer.json() == {"bytes": 50_000, "path": "/site/echo/", "q": "ä", "method": "POST"}
            assert (await client.get("/site/echo")).headers["location"] == "/site/echo/"
            assert (await client.get("/site/stream/", headers={"Accept-Encoding": "identity"})).text == "0,1,2,"
            assert (await client.get("/site/none/")).status_code == 404

    run(scene())


def __getattr__(name: str) -> Any:
    """Django reads this module as its URLs, once it is set up."""
    if name != "urlpatterns":
        raise AttributeError(name)
    from django.http import JsonResponse, StreamingHttpResponse
    from django.urls import path

    def echo(request):
        return JsonResponse(
            {"bytes": len(request.body), "path": request.path, "q": request.GET.get("q"), "method": request.method}
        )

    async def stream(request):
        async def pieces():
            for number in range(3):
                yield f"{number},"

        return StreamingHttpResponse(pieces())

    return [path("echo/", echo), path("stream/", stream)]
