"""A real server, spoken to by ``hardpoint pub`` and ``sub``, and killed while messages wait."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest
from serving import DEADLINE_S, HARDPOINT, clean_environment, run_hardpoint, wait_until

from hardpoint.wire.mqtt import properties as p
from hardpoint.wire.mqtt.decoder import PacketDecoder
from hardpoint.wire.mqtt.encoder import encode
from hardpoint.wire.mqtt.packets import Ack, ConnAck, Connect, Filter, Publish, Subscribe, Will

if TYPE_CHECKING:
    from serving import Serve

MQTT = ("--listen", "mqtt://127.0.0.1:0")


class Client:
    """MQTT 3.1.1 on a socket, packet by packet."""

    def __init__(self, port, client_id, *, clean=True, **fields):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        self.decoder = PacketDecoder(max_packet_bytes=1 << 20, version=4)
        self.packets = []
        self.send(Connect(4, client_id, clean, **fields))
        self.connack = self.next(ConnAck)
        assert self.connack.reason == 0

    def send(self, packet):
        self.socket.sendall(encode(packet, 4))

    def next(self, kind):
        """The next packet of that kind; others before it are dropped."""
        while True:
            while self.packets:
                packet = self.packets.pop(0)
                if isinstance(packet, kind):
                    return packet
            data = self.socket.recv(65536)
            assert data, "closed"
            self.packets += self.decoder.receive(data)

    def publish(self, topic, payload, *, retain=False, packet_id=1):
        self.send(Publish(topic, payload, 1, retain, packet_id=packet_id))
        assert self.next(Ack) == Ack(p.PUBACK, packet_id)

    def close(self):
        self.socket.close()


def test_what_was_acknowledged_survives_kill_minus_nine(serve: Serve) -> None:
    server = serve(*MQTT, "--allow-anonymous")
    kept = {"clean": False}
    absent = Client(server.ports["mqtt"], "absent", **kept)
    absent.send(Subscribe(1, [Filter("jobs/+", 1), Filter("will", 1)]))
    absent.next(object)
    absent.close()
    sender = Client(server.ports["mqtt"], "sender", will=Will("will", b"gone", 1))
    for number in range(50):
        sender.publish(f"jobs/{number % 5}", b"%d" % number)
    sender.publish("state", b"on", retain=True)
    sender.publish("devices/shed/temp", b"21.5")
    server.kill()
    sender.close()

    server.start()
    assert server.api.readings("shed", "temp")[0][1] == 21.5
    absent = Client(server.ports["mqtt"], "absent", **kept)
    assert absent.connack.session_present
    got = []
    while len(got) < 51:
        message = absent.next(Publish)
        got.append(message.payload)
        absent.send(Ack(p.PUBACK, message.packet_id))
    assert sorted(got) == sorted([*(b"%d" % number for number in range(50)), b"gone"])
    absent.send(Subscribe(2, [Filter("state", 0)]))
    assert absent.next(Publish) == Publish("state", b"on", retain=True)
    absent.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_sub_leaves_no_token_behind_however_it_is_told_to_end(serve: Serve, number: signal.Signals) -> None:
    """By ``timeout``, a supervisor or a terminal that is closed, as by Ctrl-C."""
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("the tests run under nohup, and so would the command")
    server = serve(*MQTT)
    at = ("--data", str(server.folder))
    assert run_hardpoint("pub", "lights/hall", "on", "--retain", *at).returncode == 0
    with subprocess.Popen(
        [*HARDPOINT, "sub", "lights/#", "--json", *at], stdout=subprocess.PIPE, text=True, env=clean_environment()
    ) as listener:
        assert listener.stdout is not None
        assert json.loads(listener.stdout.readline())["payload"] == "on"
        assert len(server.api.get("/api/tokens")["items"]) == 1
        listener.send_signal(number)
        assert listener.wait(DEADLINE_S) == 128 + number
    assert server.api.get("/api/tokens")["items"] == []


def test_pub_takes_bytes_as_they_are_and_refuses_topics_that_no_packet_holds(serve: Serve) -> None:
    server = serve(*MQTT)
    at = ("--data", str(server.folder))
    raw = subprocess.run(
        [*HARDPOINT, "pub", "raw", b"\xff\xfe", "--retain", *at],
        timeout=DEADLINE_S,
        check=False,
        env=clean_environment(),
    )
    assert raw.returncode == 0
    told = json.loads(run_hardpoint("sub", "raw", "--json", "--count", "1", *at).stdout)
    assert told["payload_base64"] == "//4="
    for verb, *more in (("pub", "x"), ("sub",)):
        refused = run_hardpoint(verb, os.fsdecode(b"a\xff"), *more, *at)
        assert (refused.returncode, "no MQTT packet can hold that" in refused.stderr) == (1, True), refused.stderr
    assert server.api.get("/api/tokens")["items"] == []


def test_pub_and_sub(serve: Serve) -> None:
    server = serve(*MQTT)
    at = ("--data", str(server.folder))
    result = run_hardpoint("pub", "lights/hall", "blink", *at)
    assert (result.returncode, result.stderr) == (0, "nobody has subscribed to it\n")
    result = run_hardpoint("pub", "lights/hall", "on", "--retain", *at)
    assert (result.returncode, result.stderr) == (0, "")
    with subprocess.Popen(
        [*HARDPOINT, "sub", "lights/#", "--json", "--count", "2", *at],
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    ) as listener:
        assert listener.stdout is not None
        first = json.loads(listener.stdout.readline())
        assert (first["topic"], first["payload"], first["retain"]) == ("lights/hall", "on", True)
        result = run_hardpoint("pub", "lights/attic", "-", "--qos", "2", *at, input="off")
        assert (result.returncode, result.stderr) == (0, "")
        second = json.loads(listener.stdout.readline())
        assert (second["topic"], second["payload"], second["qos"]) == ("lights/attic", "off", 1)
        assert listener.wait(DEADLINE_S) == 0
    result = run_hardpoint("sub", "lights/hall", "--raw", "--count", "1", *at)
    assert (result.returncode, result.stdout) == (0, "on")
    token = server.api.add_device("shed")
    refused = run_hardpoint("pub", "devices/shed/temp", "1", *at)
    assert refused.returncode == 1
    assert "is not this client's to write" in refused.stderr
    device = Client(server.ports["mqtt"], "c", username=token)
    device.publish("devices/shed/temp", b"3")
    result = run_hardpoint("sub", "devices/+/temp", "--count", "1", *at)
    assert result.stdout == "devices/shed/temp 3\n"
    device.close()
    wait_until(lambda: server.api.get("/api/tokens")["items"] == [], "the tokens made for it are gone")
    assert run_hardpoint("sub", "a/#/b", *at).returncode == 1
