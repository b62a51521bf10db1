"""CPU a request with no socket in between: bytes into a connection, bytes out of it.

    python benchmarks/http/memory.py                # the median and the best of the rounds, in µs
    python benchmarks/http/memory.py --profile get  # where it goes (cProfile)

What every request costs in Python alone, so it tells a change of ours from a change of the machine. Socket calls, the
loop's poll and the client are *not* in it: on Linux they cost about as much again (`benchmarks/http/hello.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import platform
import statistics
import time
from typing import Any

from hardpoint.http import HttpServer, Request, Response, Router

GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"
BROWSER = (
    b"GET /?%d HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/2010"
    b"0101 Firefox/128.0\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nConnection: keep-alive\r\n"
    b"Cookie: session=0123456789abcdef0123456789abcdef\r\nUpgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\n"
    b"Sec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\nSec-Fetch-User: ?1\r\nPriority: u=0, i\r\n\r\n"
)
BODY = b'{"temp":21.5,"hum":60,"note":"' + b"x" * 990 + b'"}'
POST = (
    b"POST /echo HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    % (len(BODY), BODY)
)
REQUESTS = 20_000


class Sink(asyncio.Transport):
    """A client that reads everything at once."""

    def write(self, data: Any) -> None:
        self.last = data

    def get_write_buffer_size(self) -> int:
        return 0


def application() -> Router:
    router = Router()

    @router.get("/")
    def hello(request: Request) -> Response:
        return Response.text("Hello, world!")

    @router.get("/async")
    async def later(request: Request) -> Response:
        return Response.text("Hello, world!")

    @router.post("/echo")
    def echo(request: Request) -> Response:
        return Response.json(request.json())

    return router


CASES = {
    "get": [GET] * REQUESTS,
    "get, a browser's, each another": [BROWSER % number for number in range(REQUESTS)],
    "get, 16 pipelined": [GET * 16] * (REQUESTS // 16),
    "post of 1 KB JSON, echoed": [POST] * REQUESTS,
}


async def measure(case: str, rounds: int, profile: cProfile.Profile | None) -> list[float]:
    connection = HttpServer(application(), max_requests_per_connection=0)()
    sink = Sink()
    connection.connection_made(sink)
    reads = CASES[case]
    receive = connection.data_received
    taken: list[float] = []
    for _ in range(rounds):
        if profile is not None:
            profile.enable()
        began = time.process_time()
        for data in reads:
            receive(data)
        taken.append((time.process_time() - began) / REQUESTS * 1e6)
        if profile is not None:
            profile.disable()
    assert sink.last.startswith(b"HTTP/1.1 200 OK"), sink.last
    connection.connection_lost(None)
    return taken


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--profile", choices=list(CASES))
    chosen = options.parse_args()
    print(f"Python {platform.python_version()}, {platform.machine()}: CPU µs a request, median and best")
    for case in [chosen.profile] if chosen.profile else CASES:
        profile = cProfile.Profile() if chosen.profile else None
        taken = asyncio.run(measure(case, chosen.rounds, profile))
        print(f"  {case:34}{statistics.median(taken):8.2f}{min(taken):8.2f}")
        if profile is not None:
            profile.print_stats("tottime")


if __name__ == "__main__":
    main()
