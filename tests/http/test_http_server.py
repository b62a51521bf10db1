"""The server behind the connections: the date, the sweep's clock, `run` as a process, and real clients."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import subprocess
import sys
import time
from email.utils import parsedate_to_datetime

import pytest
from http_client import get, serving

from free_ports import free_port
from hardpoint.http import HttpServer, Response
from hardpoint.http.server import http_date


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784111777, "Sun, 06 Nov 1994 08:49:37 GMT"),  # RFC 9110 §5.6.7
        (951782399.9, "Mon, 28 Feb 2000 23:59:59 GMT"),
        (4102444799, "Thu, 31 Dec 2099 23:59:59 GMT"),
    ],
)
def test_http_date(seconds: float, text: str) -> None:
    assert http_date(seconds) == text


def test_the_date_is_the_time(anyrun) -> None:
    async def check() -> None:
        async with serving(lambda request: Response()) as served:
            reply = await (await served.client()).ask(get())
            assert abs(parsedate_to_datetime(reply.headers["date"]).timestamp() - time.time()) < 60

    anyrun(check())


def test_the_clock_stands_still_without_connections(anyrun) -> None:
    async def check() -> None:
        async with serving(lambda request: Response()) as served:
            server = served.server
            assert server._timer is None
            client = await served.client()
            await client.ask(get())
            assert server._timer is not None
            server._timer.cancel()
            server.prefixes[200] = b"stale"
            server._sweep(asyncio.get_running_loop())
            assert not server.prefixes
            await client.close()
            while server.connections:
                await asyncio.sleep(0.001)
            server._timer.cancel()
            server._sweep(asyncio.get_running_loop())
            assert server._timer is None

    anyrun(check())


def test_a_status_without_a_name_and_many_content_types(anyrun) -> None:
    async def check() -> None:
        async with serving(lambda request: Response(299, b"x", request.path[1:])) as served:
            client = await served.client()
            for number in range(300):
                reply = await client.ask(get(f"/a/{number}"))
                assert (reply.status, reply.headers["content-type"]) == (299, f"a/{number}")
            assert len(served.server._content_type_lines) <= 256

    anyrun(check())


PROGRAM = """
import sys
from hardpoint.http import Response, Router, run
router = Router()

@router.get("/items/{id:int}")
def item(request):
    return Response.json({"id": request.params["id"]})

@router.post("/echo")
async def echo(request):
    return Response(200, request.body)

run(router, port=int(sys.argv[1]))
"""


def test_run_serves_a_standard_client_until_it_is_told_to_stop() -> None:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-bb", "-W", "error", "-c", PROGRAM, str(port)])
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        deadline = time.monotonic() + 60
        while True:
            try:
                connection.connect()
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
                assert process.poll() is None
        connection.request("GET", "/items/7")
        assert connection.getresponse().read() == b'{"id":7}'
        connection.request("POST", "/echo", body=iter([b"a" * 1000, b"b"]), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})  # fmt: skip
        assert connection.getresponse().read() == b"a" * 1000 + b"b"
        connection.request("GET", "/items/x")
        assert connection.getresponse().status == 404
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()


def test_a_router_or_a_function() -> None:
    answer = Response.text("x")
    assert HttpServer(lambda request: answer).handle(None) is answer  # type: ignore[arg-type]
