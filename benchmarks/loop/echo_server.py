"""The server under test: a line echo on one of the loops, in a process of its own. Prints its port.

python echo_server.py LOOP [CERTIFICATE]
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from importlib import import_module

LOOPS = {
    "hardpoint": "hardpoint.loop:Loop",
    "uvloop": "uvloop:new_event_loop",
    "rloop": "rloop:new_event_loop",
    "asyncio": "asyncio:SelectorEventLoop",
}
"""Name → what makes the loop."""


class LineEcho(asyncio.Protocol):
    """Answers every line with itself."""

    __slots__ = ("_rest", "_transport")

    def connection_made(self, transport):
        self._transport = transport
        self._rest = b""

    def data_received(self, data):
        if self._rest:
            data = self._rest + data
            self._rest = b""
        if not data.endswith(b"\n"):
            data, _, self._rest = data.rpartition(b"\n")
            if not data:
                return
            data += b"\n"
        self._transport.write(data)


def factory(name: str):
    """What makes a loop of that name.

    Raises:
        ImportError: it is not installed.
    """
    module, _, attribute = LOOPS[name].partition(":")
    return getattr(import_module(module), attribute)


def main() -> None:
    context = None
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2])

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(LineEcho, "127.0.0.1", 0, backlog=4096, ssl=context)
        print(server.sockets[0].getsockname()[1], flush=True)
        await (
            loop.create_future()
        )  # for ever. Not serve_forever(): rloop 0.5 closes its listener when asked to serve twice

    with asyncio.Runner(loop_factory=factory(sys.argv[1])) as runner:
        runner.run(serve())


if __name__ == "__main__":
    main()
