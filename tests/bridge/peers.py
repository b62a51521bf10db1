"""The other side of a bridge: a real mosquitto that can be stopped and started, and a client of it."""

from __future__ import annotations

import asyncio
import queue
import shutil
import socket
import subprocess
import time

import pytest
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from free_ports import free_port

DEADLINE_S = 60

needs_mosquitto = pytest.mark.skipif(shutil.which("mosquitto") is None, reason="mosquitto is not installed")


class Mosquitto:
    """One broker; what it keeps is in the folder."""

    def __init__(self, folder, *more):
        folder.mkdir(exist_ok=True)
        self.port = free_port()
        self.config = folder / "mosquitto.conf"
        lines = [
            f"listener {self.port} 127.0.0.1", "persistence true", f"persistence_location {folder}/", "user root",
            "autosave_on_changes true", "autosave_interval 1", *(more or ["allow_anonymous true"]),
        ]  # fmt: skip
        self.config.write_text("\n".join(lines) + "\n")
        self.process = None

    def start(self):
        self.process = subprocess.Popen(["mosquitto", "-c", self.config], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                assert self.process.poll() is None, "mosquitto did not start"
                time.sleep(0.01)
        raise AssertionError("mosquitto does not listen")

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(DEADLINE_S)
            self.process = None


class Peer:
    """A client of MQTT 5 on a thread of its own, with what it has received."""

    def __init__(self, port, *filters, username=None, qos=1, client_id="", kept=False):
        """``kept``: its session stays when it has gone, and is taken up again."""
        self.received = queue.Queue()
        ready = queue.Queue()
        self.client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTv5)
        self.client.on_connect = lambda *_: ready.put("connected")
        self.client.on_subscribe = lambda *_: ready.put("subscribed")
        self.client.on_message = lambda _client, _data, message: self.received.put(message)
        if username is not None:
            self.client.username_pw_set(username)
        wanted = Properties(PacketTypes.CONNECT)
        wanted.SessionExpiryInterval = 3600 * kept
        self.client.connect("127.0.0.1", port, clean_start=not kept, properties=wanted)
        self.client.loop_start()
        assert ready.get(timeout=DEADLINE_S) == "connected"
        if filters:
            self.client.subscribe([(each, SubscribeOptions(qos, retainAsPublished=True)) for each in filters])
            assert ready.get(timeout=DEADLINE_S) == "subscribed"

    def publish(self, topic, payload, qos=1, retain=False, properties=None):
        self.client.publish(topic, payload, qos, retain, properties).wait_for_publish(DEADLINE_S)

    def publish_all(self, topic, payloads, qos):
        """Each is acknowledged when this returns."""
        for info in [self.client.publish(topic, payload, qos) for payload in payloads]:
            info.wait_for_publish(DEADLINE_S)
            assert info.is_published()

    def get(self):
        message = self.received.get(timeout=DEADLINE_S)
        return message.topic, message.payload.decode()

    async def next(self):
        return await asyncio.to_thread(self.get)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()
