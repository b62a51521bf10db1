"""The same ASGI application on our host, on uvicorn (uvloop, httptools) and on granian, under wrk.

    python benchmarks/http/asgi.py                   # GET "Hello, world!" and POST of a small JSON, 64 connections

Read as `hello.py`, whose rounds these are. granian runs one worker with one thread of its runtime; its CPU holds the
threads of its Rust side, which do the HTTP. What is *not* measured: a framework, which would cost all three the same.
"""

from __future__ import annotations

import hello

APPLICATION = """
import sys

HELLO = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"13")]

async def app(scope, receive, send):
    if scope["path"] == "/echo":
        import msgspec
        body = msgspec.json.encode(msgspec.json.decode((await receive())["body"]))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    else:
        headers, body = HELLO, b"Hello, world!"
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""
OURS = f"{APPLICATION}\nfrom hardpoint.http import run\nrun(app, port=int(sys.argv[1]), loop=sys.argv[2])"
GRANIAN = f"""{APPLICATION}
from granian.server.embed import Server
from granian.constants import Interfaces
import asyncio, uvloop
server = Server(app, port=int(sys.argv[1]), interface=Interfaces.ASGINL, log_enabled=False)
uvloop.run(server.serve())
"""
UVICORN = f"""{APPLICATION}
import uvicorn
uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="warning",
            lifespan="off")
"""

hello.SERVERS = {
    "hardpoint": (OURS, "hardpoint"),
    "hardpoint on uvloop": (OURS, "uvloop"),
    "hardpoint on asyncio": (OURS, "asyncio"),
    "granian": (GRANIAN, ""),
    "uvicorn": (UVICORN, ""),
}

if __name__ == "__main__":
    hello.main()
