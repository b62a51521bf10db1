"""Run one of mosquitto's scripts: ``run.py FOLDER SCRIPT ARGUMENT…``, with the arguments that theirs gets.

What a server is free to say more of is left out of the comparison: the properties of CONNACK, and reasons in words.
So is what mosquitto writes in its log.
"""

from __future__ import annotations

import os
import runpy
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from hardpoint.wire.mqtt.decoder import PacketDecoder

START_S = 30.0
"""On a busy machine a server of ours starts later than they wait for theirs."""

Take = Callable[[int], bytes]


def framed(take: Take) -> bytes:
    """One packet (§2.1)."""
    head, length, shift = take(1), 0, 0
    while head:
        byte = take(1)
        head += byte
        length |= (byte[0] & 127) << shift
        shift += 7
        if byte[0] < 128:
            return head + take(length)
    return b""


def from_socket(sock: socket.socket) -> bytes:
    """The next packet that comes."""

    def take(count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = sock.recv(count - len(data))
            if not more:
                raise BrokenPipeError(f"closed after {data!r}")
            data += more
        return data

    return framed(take)


def split(data: bytes) -> list[bytes]:
    """The packets that one after another are these bytes."""

    def take(count: int) -> bytes:
        nonlocal data
        taken, data = data[:count], data[count:]
        return taken

    packets = []
    while data:
        packets.append(framed(take))
    return packets


def same(got: bytes, wanted: bytes) -> bool:
    """Whether both packets say what the standard asks for."""
    if got == wanted:
        return True
    if got[0] >> 4 == 3:
        # The order of properties says nothing, but that of user properties among themselves (§2.2.2.2, §3.3.2.3.7).
        packets = [PacketDecoder(max_packet_bytes=1 << 28, version=5).receive(each) for each in (got, wanted)]
        return got[0] == wanted[0] and len(packets[0]) == 1 and packets[0] == packets[1]
    # Of PUBCOMP not the reason: one that is repeated may say that the identifier is not in use any more (§3.7.2.1).
    if got[0] >> 4 in (4, 5) and {got[4:5], wanted[4:5]} <= {b"", b"\x00", b"\x10"}:
        return got[2:4] == wanted[2:4]  # nobody has subscribed: it may be said (§3.4.2.1)
    kept = {2: 2, 4: 3, 5: 3, 6: 3, 7: 2, 14: 1}.get(got[0] >> 4, 0)
    return kept > 0 and got[0] == wanted[0] and got[2 : 2 + kept] == wanted[2 : 2 + kept]


def main(folder: str, script: str, *arguments: str) -> None:
    """Change how they compare and how long they wait, and run the script as its own program."""
    os.chdir(f"{folder}/broker")
    sys.path[:0] = [folder, f"{folder}/broker"]
    import mosq_test
    from mosquitto_broker import MosquittoBroker

    original, start = mosq_test.expect_packet, mosq_test.start_broker

    def expect_packet(sock: socket.socket, name: str, expected: bytes) -> bool:
        if not expected:
            return original(sock, name, expected)
        for wanted in split(expected):
            try:
                got = from_socket(sock)
            except TimeoutError:
                got = b""
            if not got or not same(got, wanted):
                mosq_test.packet_matches(name, got, wanted)
                raise mosq_test.TestError
        return True

    def start_broker(*given: Any, **named: Any) -> Any:
        if named.get("expect_fail") or not named.get("check_port", True):
            return start(*given, **named | {"timeout": 1.0})
        broker = start(*given, **named | {"check_port": False})
        port = named.get("port") or given[2]
        deadline = time.monotonic() + START_S
        while broker.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection((named.get("checkhost", "localhost"), port)).close()
            except ConnectionRefusedError:
                time.sleep(0.05)
            else:
                return broker
        broker.kill()
        raise OSError(f"the broker did not start: {mosq_test.broker_log(broker)}")

    mosq_test.expect_packet, mosq_test.start_broker = expect_packet, start_broker
    MosquittoBroker.check_log = lambda _broker, _matcher: None
    sys.argv = [script, *("persist_hardpoint" if each == "persist_sqlite" else each for each in arguments)]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
