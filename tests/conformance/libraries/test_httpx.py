"""httpx, whose network goes through anyio, and anyio's own primitives, on our loop."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hardpoint.loop import Loop

httpx = pytest.importorskip("httpx")
anyio = pytest.importorskip("anyio")
from anyio.streams.tls import TLSListener, TLSStream  # noqa: E402

BIG = bytes(range(256)) * 20_000


class Digest(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = hashlib.sha256(body).hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True


@pytest.fixture(params=["plain", "tls"])
def url(request, server_tls):
    """The standard library's server, which is on no loop at all."""
    server = Server(("127.0.0.1", 0), Digest)
    if request.param == "tls":
        server.socket = server_tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http{'s' if request.param == 'tls' else ''}://localhost:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def on_anyio(function, *arguments):
    """As a program that uses anyio would run it."""

    async def bounded():
        with anyio.fail_after(60):
            return await function(*arguments)

    return anyio.run(bounded, backend="asyncio", backend_options={"loop_factory": Loop})


def test_httpx_posts_and_keeps_connections(url, client_tls):
    async def main():
        assert isinstance(asyncio.get_running_loop(), Loop)
        async with httpx.AsyncClient(verify=client_tls, limits=httpx.Limits(max_connections=4)) as client:
            answers = await asyncio.gather(*(client.post(url, content=BIG[:number]) for number in range(60)))
            big = await client.post(url, content=BIG)
        return [answer.text for answer in answers], big.text

    small, big = on_anyio(main)
    assert small == [hashlib.sha256(BIG[:number]).hexdigest() for number in range(60)]
    assert big == hashlib.sha256(BIG).hexdigest()


def test_anyio_streams_over_tcp_tls_and_unix(client_tls, server_tls, tmp_path):
    async def echo(stream):
        async with stream:
            async for chunk in stream:
                await stream.send(chunk)

    async def round_trip(listener, connect):
        received = bytearray()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, echo)
            async with await connect() as stream, anyio.create_task_group() as senders:
                senders.start_soon(stream.send, BIG)
                while len(received) < len(BIG):
                    received += await stream.receive()
            tasks.cancel_scope.cancel()
        await listener.aclose()
        return bytes(received) == BIG

    async def main():
        path = tmp_path / "echo.sock"
        tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = tcp.extra(anyio.abc.SocketAttribute.local_port)
        first = await round_trip(tcp, lambda: anyio.connect_tcp("127.0.0.1", port))
        unix = await anyio.create_unix_listener(path)
        second = await round_trip(unix, lambda: anyio.connect_unix(path))
        tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = tcp.extra(anyio.abc.SocketAttribute.local_port)
        tls = TLSListener(tcp, server_tls, standard_compatible=False)

        async def connect():
            plain = await anyio.connect_tcp("127.0.0.1", port)
            return await TLSStream.wrap(plain, hostname="localhost", ssl_context=client_tls, standard_compatible=False)

        return first, second, await round_trip(tls, connect)

    assert on_anyio(main) == (True, True, True)


def test_anyio_happy_eyeballs_cancel_scopes_threads_and_events():
    async def main():
        listener = await anyio.create_tcp_listener(local_host="localhost")
        ports = {each.extra(anyio.abc.SocketAttribute.local_port) for each in listener.listeners}
        async with await anyio.connect_tcp("localhost", ports.pop()):
            pass
        await listener.aclose()
        with anyio.move_on_after(0.05) as scope:
            await anyio.sleep_forever()
        event = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(event.wait)
            where = await anyio.to_thread.run_sync(threading.get_ident)
            await anyio.to_thread.run_sync(lambda: anyio.from_thread.run_sync(event.set))
        return scope.cancelled_caught, where != threading.get_ident()

    assert on_anyio(main) == (True, True)


def test_anyio_datagrams():
    async def main():
        async with await anyio.create_udp_socket(local_host="127.0.0.1") as server:
            port = server.extra(anyio.abc.SocketAttribute.local_port)
            async with await anyio.create_connected_udp_socket("127.0.0.1", port) as client:
                await client.send(b"ping")
                data, (host, peer) = await server.receive()
                await server.sendto(data + b" pong", host, peer)
                return await client.receive()

    assert on_anyio(main) == b"ping pong"


def test_anyio_processes():
    async def main():
        script = "import sys; sys.stdout.write(sys.stdin.read().upper()); sys.exit(3)"
        done = await anyio.run_process([sys.executable, "-c", script], input=b"hello", check=False)
        async with await anyio.open_process([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
            process.terminate()
            code = await process.wait()
        return done.returncode, done.stdout, code

    assert on_anyio(main) == (3, b"HELLO", -15)


def test_anyio_signals():
    async def main():
        with anyio.open_signal_receiver(signal.SIGUSR1) as signals:
            os.kill(os.getpid(), signal.SIGUSR1)
            return await anext(aiter(signals))

    assert on_anyio(main) == signal.SIGUSR1
