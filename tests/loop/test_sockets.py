"""The ``sock_*`` coroutines."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import weakref

import pytest

from hardpoint.loop.pollers import READ


@pytest.fixture
def pair():
    a, b = socket.socketpair()
    a.setblocking(False)
    b.setblocking(False)
    yield a, b
    a.close()
    b.close()


def test_recv_waits_for_bytes_and_tells_the_end(run, pair):
    a, b = pair

    async def main():
        loop = asyncio.get_running_loop()
        receiving = asyncio.ensure_future(loop.sock_recv(a, 10))
        await asyncio.sleep(0)
        assert not receiving.done()
        b.send(b"hello")
        assert await receiving == b"hello"
        b.close()
        assert await loop.sock_recv(a, 10) == b""

    run(main())


def test_recv_into_fills_the_buffer(run, pair):
    a, b = pair

    async def main():
        loop = asyncio.get_running_loop()
        buffer = bytearray(5)
        receiving = asyncio.ensure_future(loop.sock_recv_into(a, buffer))
        await asyncio.sleep(0)
        b.send(b"abc")
        assert await receiving == 3
        assert buffer == b"abc\0\0"

    run(main())


def test_sendall_sends_more_than_the_kernel_holds(run, pair):
    a, b = pair
    data = bytes(range(256)) * 8192

    async def main():
        loop = asyncio.get_running_loop()
        sending = asyncio.ensure_future(loop.sock_sendall(a, data))
        got = bytearray()
        while len(got) < len(data):
            got += await loop.sock_recv(b, 65536)
        assert got == data
        await sending
        await loop.sock_sendall(a, b"")

    run(main())


def test_accept_and_connect(run):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
            listening.setblocking(False)
            client.setblocking(False)
            accepting = asyncio.ensure_future(loop.sock_accept(listening))
            await asyncio.sleep(0)
            await loop.sock_connect(client, listening.getsockname())
            connection, address = await accepting
            with connection:
                assert address == client.getsockname()
                assert connection.gettimeout() == 0

    run(main())


def test_connect_by_name_and_to_nobody(run):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            with socket.socket() as client:
                client.setblocking(False)
                await loop.sock_connect(client, ("localhost", port))
                assert client.getpeername() == ("127.0.0.1", port)
        with socket.socket() as client:
            client.setblocking(False)
            with pytest.raises(ConnectionRefusedError):
                await loop.sock_connect(client, ("127.0.0.1", port))

    run(main())


def test_datagrams(anyrun):
    async def main():
        loop = asyncio.get_running_loop()
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as a,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as b,
        ):
            for sock in (a, b):
                sock.setblocking(False)
                sock.bind(("127.0.0.1", 0))
            receiving = asyncio.ensure_future(loop.sock_recvfrom(b, 100))
            await asyncio.sleep(0)
            assert await loop.sock_sendto(a, b"first", b.getsockname()) == 5
            assert await receiving == (b"first", a.getsockname())
            await loop.sock_sendto(a, b"second", b.getsockname())
            buffer = bytearray(100)
            assert await loop.sock_recvfrom_into(b, buffer) == (6, a.getsockname())
            assert buffer[:6] == b"second"

    anyrun(main())


def test_a_cancelled_call_leaves_the_descriptor_free(anyrun, pair):
    a, b = pair

    async def main():
        loop = asyncio.get_running_loop()
        receiving = asyncio.ensure_future(loop.sock_recv(a, 10))
        await asyncio.sleep(0)
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
        assert loop.remove_reader(a) is False
        b.send(b"later")
        assert await loop.sock_recv(a, 10) == b"later"

    anyrun(main())


def test_an_error_reaches_whoever_awaits(anyrun, pair):
    a, _b = pair

    async def main():
        loop = asyncio.get_running_loop()
        receiving = asyncio.ensure_future(loop.sock_recv(a, 10))
        await asyncio.sleep(0)
        a.shutdown(socket.SHUT_RD)  # makes it readable
        assert await receiving == b""
        a.close()
        with pytest.raises(OSError):
            await loop.sock_recv(a, 10)

    anyrun(main())


def test_an_error_is_freed_without_the_collector(anyrun):
    class Refused(OSError):
        """Unlike OSError itself, weak references to it are allowed."""

    async def main():
        a, b = socket.socketpair()
        a.setblocking(False)

        def attempt():
            if not freed:
                freed.append(None)
                raise BlockingIOError
            raise Refused

        freed = []
        gc.disable()
        try:
            b.send(b"x")
            try:
                await asyncio.get_running_loop()._when_ready(a, READ, attempt)
            except Refused as exc:
                seen = weakref.ref(exc)
            await asyncio.sleep(0)  # the callback that woke us up holds it
            assert seen() is None
        finally:
            gc.enable()
            a.close()
            b.close()

    anyrun(main())


def test_a_tls_socket_is_refused(anyrun, pair):
    async def main():
        loop = asyncio.get_running_loop()
        context = ssl.create_default_context()
        context.check_hostname = False
        with context.wrap_socket(socket.socket(), do_handshake_on_connect=False) as wrapped:
            wrapped.setblocking(False)
            with pytest.raises(TypeError, match="Socket cannot be of type SSLSocket"):
                await loop.sock_recv(wrapped, 1)

    anyrun(main())


def test_a_blocking_socket_is_refused_in_debug_mode(run):
    async def main():
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        with socket.socket() as blocking, pytest.raises(ValueError, match="must be non-blocking"):
            await loop.sock_recv(blocking, 1)

    run(main())


def test_sendfile_falls_back_to_copying(anyrun, tmp_path, pair):
    a, b = pair
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * 100)

    async def main():
        loop = asyncio.get_running_loop()
        with path.open("rb") as file:
            assert await loop.sock_sendfile(a, file, offset=10, count=20) == 20
        assert await loop.sock_recv(b, 100) == b"0123456789" * 2

    anyrun(main())
