"""Datagram endpoints: what is sent arrives whole, what does not fit waits, and an error ends nothing."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from hardpoint.loop import Loop


class Receiver(asyncio.DatagramProtocol):
    """Keeps what happened, and lets a test wait for it."""

    def __init__(self):
        self.transport = None
        self.received = []
        self.errors = []
        self.events = []
        self.changed = asyncio.Event()
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.received.append((data, addr))
        self.changed.set()

    def error_received(self, exc):
        self.errors.append(exc)
        self.changed.set()

    def connection_lost(self, exc):
        self.lost.set_result(exc)

    def pause_writing(self):
        self.events.append("pause")
        self.changed.set()

    def resume_writing(self):
        self.events.append("resume")
        self.changed.set()

    async def until(self, condition):
        while not condition():
            self.changed.clear()
            await self.changed.wait()


async def endpoint(**options):
    options = options or {"local_addr": ("127.0.0.1", 0)}
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Receiver, **options)
    return transport, protocol, transport.get_extra_info("sockname")


async def close(*transports):
    for transport in transports:
        protocol = transport.get_protocol()
        transport.close()
        await protocol.lost


def test_datagrams_arrive_whole_with_their_senders(run):
    async def main():
        a, _, a_address = await endpoint()
        b, received, b_address = await endpoint()
        for data in (b"one", bytearray(b"two"), memoryview(b"three"), bytes(60_000)):
            a.sendto(data, b_address)
        await received.until(lambda: len(received.received) == 4)
        assert received.received == [
            (b"one", a_address),
            (b"two", a_address),
            (b"three", a_address),
            (bytes(60_000), a_address),
        ]
        await close(a, b)

    run(main())


def test_a_connected_endpoint_speaks_with_its_peer_only(run):
    async def main():
        b, received, b_address = await endpoint()
        a, _, a_address = await endpoint(remote_addr=b_address)
        assert a.get_extra_info("peername") == b_address
        a.sendto(b"hello")
        await received.until(lambda: received.received)
        assert received.received == [(b"hello", a_address)]
        with pytest.raises(ValueError, match="Invalid address"):
            a.sendto(b"elsewhere", ("127.0.0.1", 1))
        await close(a, b)

    run(main())


def test_an_empty_datagram_is_one(anyrun):
    async def main():
        a, _, a_address = await endpoint()
        b, received, b_address = await endpoint()
        a.sendto(b"", b_address)
        await received.until(lambda: received.received)
        assert received.received == [(b"", a_address)]
        await close(a, b)

    anyrun(main())


def test_nobody_listening_is_an_error_and_no_end(run):
    async def main():
        gone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        gone.bind(("127.0.0.1", 0))
        a, sender, _ = await endpoint(remote_addr=gone.getsockname())
        gone.close()
        a.sendto(b"is anybody there?")
        await sender.until(lambda: sender.errors)
        assert isinstance(sender.errors[0], ConnectionRefusedError)
        assert not a.is_closing()
        await close(a)

    run(main())


def test_one_that_is_too_long_is_an_error_and_the_next_goes_out(run):
    async def main():
        a, sender, _ = await endpoint()
        b, received, b_address = await endpoint()
        a.sendto(bytes(70_000), b_address)
        await sender.until(lambda: sender.errors)
        assert sender.errors[0].errno == errno.EMSGSIZE
        a.sendto(b"short", b_address)
        await received.until(lambda: received.received)
        await close(a, b)

    run(main())


def unix_pair():
    """Two connected Unix datagram sockets: unlike UDP they have back-pressure, and lose nothing."""
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for sock in (a, b):
        sock.setblocking(False)
    return a, b


def test_what_does_not_fit_waits_and_pauses_its_writer(anyrun):
    async def main():
        mine, peer = unix_pair()
        loop = asyncio.get_running_loop()
        a, sender, _ = await endpoint(sock=mine)
        sent = [i.to_bytes(4, "big") * 1000 for i in range(500)]
        for data in sent:
            a.sendto(data)
        assert sender.events == ["pause"]
        assert a.get_write_buffer_size() > a.get_write_buffer_limits()[1]
        got = [await loop.sock_recv(peer, 65536) for _ in sent]
        assert got == sent
        await sender.until(lambda: sender.events == ["pause", "resume"])
        assert a.get_write_buffer_size() == 0
        counters = a.get_extra_info("counters")
        assert counters.full == 1 <= counters.not_full
        assert counters.bytes_out == sum(map(len, sent))
        peer.close()
        await close(a)

    anyrun(main())


async def write_more_than_fits():
    mine, peer = unix_pair()
    a, sender, _ = await endpoint(sock=mine)
    sent = [i.to_bytes(4, "big") * 1000 for i in range(500)]
    for data in sent:
        a.sendto(data)
    return a, sender, peer, sent


def receive_or_none(peer):
    try:
        return peer.recv(65536)
    except BlockingIOError:
        return None


def test_closing_sends_what_waits(anyrun):
    async def main():
        a, sender, peer, sent = await write_more_than_fits()
        a.close()
        loop = asyncio.get_running_loop()
        assert [await loop.sock_recv(peer, 65536) for _ in sent] == sent
        assert await sender.lost is None
        assert receive_or_none(peer) is None
        peer.close()

    anyrun(main())


def test_aborting_drops_what_waits(anyrun):
    async def main():
        a, sender, peer, sent = await write_more_than_fits()
        a.abort()
        assert await sender.lost is None
        got = list(iter(lambda: receive_or_none(peer), None))
        assert got == sent[: len(got)]
        assert 0 < len(got) < len(sent)
        peer.close()

    anyrun(main())


def test_a_protocol_that_raises_is_reported_and_hears_the_next(anyrun):
    async def main():
        loop = asyncio.get_running_loop()
        reported = []
        loop.set_exception_handler(lambda _loop, context: reported.append(context))
        a, _, _ = await endpoint()
        b, receiver, b_address = await endpoint()
        receive = receiver.datagram_received

        def datagram_received(data, addr):
            receive(data, addr)
            if data == b"bad":
                raise LookupError("no such thing")

        receiver.datagram_received = datagram_received
        a.sendto(b"bad", b_address)
        a.sendto(b"good", b_address)
        await receiver.until(lambda: len(receiver.received) == 2)
        assert [type(context["exception"]) for context in reported] == [LookupError]
        assert reported[0]["transport"] is b
        await close(a, b)

    anyrun(main())


def test_a_flood_does_not_keep_the_others_waiting(anyrun):
    async def main():
        loop = asyncio.get_running_loop()
        b, receiver, b_address = await endpoint()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            for _ in range(100):
                flood.sendto(b"x", b_address)
        before = loop.counters.turns
        await receiver.until(lambda: receiver.received)
        assert len(receiver.received) == 1
        await receiver.until(lambda: len(receiver.received) == 100)
        assert loop.counters.turns - before >= 99, "one datagram a turn"
        await close(b)

    anyrun(main())


def test_arguments_are_checked(anyrun):
    async def main():
        a, _, address = await endpoint()
        assert isinstance(a, asyncio.DatagramTransport)
        with pytest.raises(TypeError, match="bytes-like"):
            a.sendto("text", address)
        fd = a.get_extra_info("socket").fileno()
        with pytest.raises(RuntimeError, match="is used by transport"):
            asyncio.get_running_loop().add_reader(fd, print)
        await close(a)
        assert "closed" in repr(a)

    anyrun(main())


def test_a_forgotten_endpoint_warns():
    loop = Loop()
    local = ("127.0.0.1", 0)
    loop.run_until_complete(loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=local))
    with pytest.warns(ResourceWarning, match="unclosed transport <DatagramTransport"):
        loop.close()
