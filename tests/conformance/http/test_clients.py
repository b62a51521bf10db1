"""Real, unmodified clients, and nginx as a reverse proxy in front."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hardpoint.http import HttpServer, TrustedProxies

from .serving import application, in_a_thread

pytestmark = pytest.mark.conformance

STREAM = b"".join(b"%d\n" % number for number in range(100))


@pytest.fixture
def port() -> Iterator[int]:
    with in_a_thread(HttpServer(application(), proxies=TrustedProxies(["127.0.0.1"]))) as port:
        yield port


def need(tool: str) -> str:
    found = shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not installed")
    return found


def run(*command: str, **options: Any) -> bytes:
    return subprocess.run(command, check=True, capture_output=True, timeout=60, **options).stdout


def test_curl(port: int, tmp_path: Path) -> None:
    curl, base = need("curl"), f"http://127.0.0.1:{port}"
    (tmp_path / "file.bin").write_bytes(b"x" * 2_000_000)
    assert run(curl, "-sf", f"{base}/hello", f"{base}/hello") == b"Hello, world!" * 2
    assert run(curl, "-sf", "--http1.0", f"{base}/stream") == STREAM
    assert run(curl, "-sf", f"{base}/stream") == STREAM
    assert b"200 OK" in run(curl, "-sfI", f"{base}/hello")
    # curl waits for 100 Continue before it sends this much.
    sent = run(curl, "-sfv", "--data-binary", f"@{tmp_path}/file.bin", "-H", "Expect: 100-continue", f"{base}/echo")
    assert sent == b"x" * 2_000_000
    chunked = run(curl, "-sf", "-T", "-", "-X", "POST", f"{base}/echo", input=b"y" * 300_000)
    assert chunked == b"y" * 300_000
    form = run(curl, "-sf", "-F", "name=ü", "-F", f"file=@{tmp_path}/file.bin", f"{base}/upload")
    assert json.loads(form) == {"name": "ü", "size": 2_000_000}


def test_wrk(port: int) -> None:
    output = run(need("wrk"), "-t1", "-c8", "-d1s", f"http://127.0.0.1:{port}/hello").decode()
    assert int(re.search(r"(\d+) requests in", output)[1]) > 100  # type: ignore[index]
    assert "Non-2xx" not in output
    assert "Socket errors" not in output


def test_h2load(port: int) -> None:
    output = run(need("h2load"), "--h1", "-n", "500", "-c", "5", f"http://127.0.0.1:{port}/hello").decode()
    assert "500 succeeded, 0 failed, 0 errored" in output


def test_requests(port: int) -> None:
    requests = pytest.importorskip("requests")
    base = f"http://127.0.0.1:{port}"
    with requests.Session() as session:
        assert session.get(f"{base}/hello").text == "Hello, world!"
        assert session.post(f"{base}/echo", data=iter([b"a", b"b" * 100_000])).content == b"a" + b"b" * 100_000
        assert session.get(f"{base}/stream").content == STREAM
        answer = session.post(f"{base}/upload", data={"name": "n"}, files={"file": b"z" * 10})
        assert answer.json() == {"name": "n", "size": 10}


def test_httpx(port: int) -> None:
    httpx = pytest.importorskip("httpx")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        assert client.get("/hello").text == "Hello, world!"
        assert client.post("/echo", content=iter([b"a", b"b"])).content == b"ab"
        with client.stream("GET", "/stream") as answer:
            assert b"".join(answer.iter_raw()) == STREAM
        assert client.post("/upload", data={"name": "n"}, files={"file": b"zz"}).json()["size"] == 2
        assert client.options("/hello").headers["allow"] == "GET, HEAD, OPTIONS"


def test_aiohttp(port: int) -> None:
    aiohttp = pytest.importorskip("aiohttp")

    async def ask() -> None:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            async with session.get("/hello") as answer:
                assert await answer.text() == "Hello, world!"
            async with session.post("/echo", data=b"x" * 500_000, expect100=True) as answer:
                assert await answer.read() == b"x" * 500_000
            async with session.get("/stream") as answer:
                assert await answer.read() == STREAM
            form = aiohttp.FormData({"name": "n"})
            form.add_field("file", b"zzz", filename="f.bin")
            async with session.post("/upload", data=form) as answer:
                assert (await answer.json())["size"] == 3

    asyncio.run(ask())


NODE = """
const base = process.argv[1];
const check = (ok, what) => { if (!ok) { console.error(what); process.exit(1); } };
const hello = await fetch(base + "/hello");
check(await hello.text() === "Hello, world!", "hello");
const pieces = [new Uint8Array(100000), new Uint8Array(7)];
const body = new ReadableStream({ start(c) { pieces.forEach((piece) => c.enqueue(piece)); c.close(); } });
const echo = await fetch(base + "/echo", { method: "POST", body, duplex: "half" });
check((await echo.arrayBuffer()).byteLength === 100007, "echo");
const stream = await fetch(base + "/stream");
check((await stream.text()).endsWith("99\\n"), "stream");
const form = new FormData();
form.append("name", "ü");
form.append("file", new Blob([new Uint8Array(5)]), "a b.bin");
const upload = await (await fetch(base + "/upload", { method: "POST", body: form })).json();
check(upload.name === "ü" && upload.size === 5, "upload");
"""


def test_node(port: int, tmp_path: Path) -> None:
    script = tmp_path / "check.mjs"
    script.write_text(NODE.replace("process.argv[1]", "process.argv[2]"))
    run(need("node"), str(script), f"http://127.0.0.1:{port}")


NGINX = """
daemon off; worker_processes 1; error_log {folder}/error.log; pid {folder}/pid;
events {{ worker_connections 64; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    upstream app {{ server 127.0.0.1:{backend}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{front}; client_max_body_size 16m;
        location / {{
            proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_request_buffering off;
        }}
    }}
}}
"""


def test_behind_nginx(port: int, tmp_path: Path) -> None:
    nginx = need("nginx")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        front = sock.getsockname()[1]
    config = tmp_path / "nginx.conf"
    config.write_text(NGINX.format(folder=tmp_path, backend=port, front=front))
    process = subprocess.Popen([nginx, "-c", str(config), "-e", str(tmp_path / "error.log")])
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", front)).close()
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, (tmp_path / "error.log").read_text()
        import http.client

        for _ in range(3):
            client = http.client.HTTPConnection("127.0.0.1", front, timeout=20)
            client.request("GET", "/hello")
            assert client.getresponse().read() == b"Hello, world!"
            client.request("POST", "/echo", body=b"x" * 300_000)
            assert client.getresponse().read() == b"x" * 300_000
            client.request("POST", "/echo", body=iter([b"x" * 100_000] * 3), encode_chunked=True)
            assert client.getresponse().read() == b"x" * 300_000
            client.request("GET", "/stream")
            assert client.getresponse().read() == STREAM
            client.request("GET", "/peer", headers={"X-Forwarded-For": "203.0.113.7"})
            assert client.getresponse().read() == b"203.0.113.7"  # both are proxies of ours here
            client.request("HEAD", "/hello")
            assert client.getresponse().read() == b""
            client.close()
    finally:
        process.terminate()
        process.wait(10)
