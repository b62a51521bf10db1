"""Unknown devices over each dialect: how they wait, and how their token reaches them."""

from __future__ import annotations

import asyncio
import re

import msgspec
import pytest

from hardpoint.testing import MemoryTransport
from hardpoint.wire.mqtt import reasons
from hardpoint.wire.mqtt.packets import Publish
from hub.hubs import turn, until

from . import test_http, test_lines, test_websocket
from .mqtt.mqtts import Client, open_dialect

REFUSED = "ERR unauthorized esp is not known here and waits to be adopted"


def entry(hub):
    [found] = hub.adoption.list()
    return found


def bodies(hub):
    return [(each["dialect"], each["head"], each["body"], each["verdict"]) for each in entry(hub)["frames"]]


def token_in(text):
    found = re.fullmatch(r'!0 adopt \{"token":"(hp_\w+)"\}', text)
    assert found is not None, text
    return found[1]


class TestLines:
    def test_a_device_waits_and_is_attached_with_its_token(self, anyrun, clock):
        async def scene():
            async with test_lines.open_dialect(clock=clock, adopt=True) as dialect:
                hub = dialect.hub
                session, transport = test_lines.connect(dialect)
                transport.feed(b"HELLO esp\ntemp=21.5\n#7 GET temp\nPING\n")
                assert transport.take().decode().splitlines() == [REFUSED, REFUSED, f"#7 {REFUSED}", "PONG"]
                assert bodies(hub) == [
                    ("line", "", "HELLO ***", "refused"),
                    ("line", "", "temp=21.5", "refused"),
                    ("line", "", "#7 GET temp", "refused"),
                ]
                clock.advance(hub.limits.unattached_idle_s)
                dialect.sweep()
                assert not transport.is_closing(), "it has said who it is"
                device, token, told = await hub.adoption.adopt(entry(hub)["id"])
                assert told
                assert token_in(transport.take().decode().strip()) == token
                assert device.sessions == (session,)
                assert await test_lines.answers(dialect, transport, b"!0 OK\ntemp=22\n") == b"OK 1\n"
                assert device.latest()["temp"]["value"] == 22
                assert hub.adoption.list() == []
                transport.feed(b"HELLO %b\n" % token.encode())
                assert transport.take() == b"OK esp\n"

        anyrun(scene())

    def test_who_comes_back_after_being_adopted_is_told(self, anyrun):
        async def scene():
            async with test_lines.open_dialect(adopt=True) as dialect:
                _, transport = test_lines.connect(dialect)
                transport.feed(b"HELLO esp\n")
                transport.lose()
                assert entry(dialect.hub)["connected"] is False
                _, token, told = await dialect.hub.adoption.adopt(entry(dialect.hub)["id"])
                assert not told
                _, transport = test_lines.connect(dialect)
                transport.feed(b"HELLO esp\n")
                await turn()
                refused, told_line = transport.take().decode().splitlines()
                assert refused == "ERR unauthorized esp has been adopted and has a token of its own now"
                assert token_in(told_line) == token

        anyrun(scene())

    def test_names_are_no_wrong_tokens_but_wrong_tokens_still_are(self, anyrun):
        async def scene():
            async with test_lines.open_dialect(adopt=True) as dialect:
                _, transport = test_lines.connect(dialect)
                transport.feed(b"HELLO a\nHELLO b\nHELLO c\nHELLO d\n")
                assert not transport.is_closing()
                assert [each["connected"] for each in dialect.hub.adoption.list()] == [True, False, False, False]
                dialect.hub.adoption.ignore(dialect.hub.adoption.list()[0]["id"])
                assert b"BYE it is not wanted here" in transport.take()
                assert transport.is_closing()

        anyrun(scene())

    def test_an_attached_device_stays_what_it_is(self, anyrun):
        async def scene():
            async with test_lines.open_dialect(adopt=True) as dialect:
                device, session, transport = await test_lines.attach(dialect)
                transport.feed(b"HELLO esp\n")
                assert transport.take().decode().strip() == REFUSED
                assert device.sessions == (session,)
                assert entry(dialect.hub)["connected"] is False

        anyrun(scene())


class TestHttp:
    def test_a_poll_waits_and_is_answered_with_the_token(self, run):
        async def scene():
            async with test_http.serving(adopt=True) as (hub, connect):
                async with connect("esp") as other:
                    answer = await other.request("POST", "/api/v1/esp/telemetry", b'{"temp":1}')
                    assert (answer.status, answer.body) == (401, b"")
                async with connect("esp") as polling:
                    waiting = asyncio.ensure_future(polling.next_command())
                    await until(lambda: entry(hub)["connected"])
                    device, token, told = await hub.adoption.adopt(entry(hub)["id"])
                    command = await waiting
                    assert (command.id, command.method, command.params) == (0, "adopt", {"token": token})
                    assert told
                    assert device.sessions == ()
                    again = await polling.next_command()  # as if the answer had been lost
                    assert again.params == {"token": token}
                async with connect(token) as known:
                    await known.send(temp=2)
                assert device.latest()["temp"]["value"] == 2
                assert hub.adoption.list() == []

        run(scene())

    def test_what_it_sent_is_shown(self, anyrun):
        async def scene():
            async with test_http.serving(adopt=True) as (hub, connect), connect() as device:
                await device.request("POST", "/api/v1/esp/telemetry", b'{"temp":1}')
                answer = await device.request("GET", "/api/v1/esp/rpc?timeout=1")
                assert (answer.status, answer.body) == (401, b"")
                await until(lambda: not entry(hub)["connected"])
                assert bodies(hub) == [
                    ("http", "POST /api/v1/***/telemetry", '{"temp":1}', "refused"),
                    ("http", "GET /api/v1/***/rpc?timeout=1", "", "refused"),
                ]
                assert entry(hub)["tries"] == 2
                answer = await device.request("GET", "/api/v1/esp/rpc?timeout=x")
                assert answer.status == 400
                answer = await device.request("GET", "/api/v1/me/rpc")  # whom a certificate would name
                assert answer.status == 401
                assert len(hub.adoption) == 1

        anyrun(scene())

    def test_who_is_ignored_polls_in_vain(self, anyrun):
        async def scene():
            async with test_http.serving(adopt=True) as (hub, connect), connect() as device:
                waiting = asyncio.ensure_future(device.request("GET", "/api/v1/esp/rpc"))
                await until(lambda: hub.adoption.list() and entry(hub)["connected"])
                hub.adoption.ignore(entry(hub)["id"])
                assert (await waiting).status == 401

        anyrun(scene())


def test_a_websocket_waits_and_is_attached_with_its_token(run):
    async def scene():
        async with test_websocket.serving(adopt=True) as (hub, _, connect), connect("esp") as socket:
            socket.send("temp=1")
            assert await socket.receive() == REFUSED
            device, token, _ = await hub.adoption.adopt(entry(hub)["id"])
            assert token_in(await socket.receive()) == token
            socket.send("!0 OK")
            socket.send("temp=2")
            assert await socket.receive() == "OK 1"
            assert device.latest()["temp"]["value"] == 2
            assert hub.adoption.list() == []

    run(scene())


class TestMqtt:
    @pytest.mark.parametrize("version", [4, 5])
    @pytest.mark.parametrize("names", [{"username": "esp"}, {"client_id": "esp"}])
    @pytest.mark.parametrize(
        ("topic_filter", "topic"),
        [("devices/esp/commands/+", "devices/esp/commands/0"), ("v1/devices/me/rpc/request/+",) * 2],
    )
    def test_a_client_is_let_in_and_told_where_commands_come(self, anyrun, version, names, topic_filter, topic):
        topic = topic.replace("+", "0")

        async def scene():
            async with open_dialect(anonymous=False, adopt=True) as dialect:
                hub = dialect.hub
                client = Client(dialect, version)
                assert (await client.connect(**names)).reason == 0
                granted, _ = await client.subscribe(topic_filter, "devices/other/#", qos=1)
                assert granted == [1, reasons.NOT_AUTHORIZED if version == 5 else 0x80]
                assert await client.publish("devices/esp/temp", b"1") == []  # nothing takes it, and QoS 0 hears nothing
                assert [head.split(" ")[0] for _, head, _, _ in bodies(hub)] == ["CONNECT", "PUBLISH"]
                device, token, told = await hub.adoption.adopt(entry(hub)["id"])
                assert told
                [(got, payload)] = await client.messages()
                assert got == topic
                assert msgspec.json.decode(payload) == {"method": "adopt", "params": {"token": token}}
                assert device.series is None
                again = Client(dialect, version)
                assert (await again.connect("new", username=token)).reason == 0
                assert hub.adoption.list() == []
                assert len(device.sessions) == 1

        anyrun(scene())

    def test_is_told_once_it_subscribes(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False, adopt=True) as dialect:
                client = Client(dialect)
                await client.connect(username="esp")
                _, token, told = await dialect.hub.adoption.adopt(entry(dialect.hub)["id"])
                assert not told
                _, [message] = await client.subscribe("devices/esp/commands/+")
                assert msgspec.json.decode(message.payload)["params"] == {"token": token}

        anyrun(scene())

    @pytest.mark.parametrize("version", [4, 5])
    def test_what_it_publishes_is_refused_with_the_reason(self, anyrun, version):
        async def scene():
            async with open_dialect(anonymous=False, adopt=True) as dialect:
                client = Client(dialect, version)
                await client.connect(username="esp")
                answers = await client.publish("v1/devices/me/telemetry", b'{"temp":1}', 1)
                if version == 5:
                    assert answers[0].reason == reasons.NOT_AUTHORIZED
                    assert not client.closed
                else:
                    assert client.closed  # [MQTT3-3.3.5-2]
                [_, frame] = entry(dialect.hub)["frames"]
                assert frame["reason"] == "unauthorized: esp is not known here and waits to be adopted"

        anyrun(scene())

    def test_its_will_is_left_aside(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False, adopt=True) as dialect:
                client = Client(dialect)
                will = Publish("devices/esp/state", b"offline")
                assert (await client.connect(username="esp", will=will)).reason == 0
                client.transport.lose()
                await turn()
                assert entry(dialect.hub)["connected"] is False

        anyrun(scene())

    def test_wrong_passwords_are_nobodys_names(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False, adopt=True) as dialect:
                for fields in ({"username": "esp", "password": b"secret"}, {"client_id": "", "clean_start": True}):
                    client = Client(dialect)
                    assert (await client.connect(**fields)).reason != 0
                assert len(dialect.hub.adoption) == 0

        anyrun(scene())


def test_tokens_are_masked_in_the_tap(anyrun):
    async def scene():
        async with test_lines.open_dialect(adopt=True) as dialect:
            device, _ = await dialect.hub.create_device("esp")
            dialect.hub.tap.switch("esp", 60)
            session = dialect()
            transport = MemoryTransport(session)
            transport.feed(b"HELLO esp\n")
            transport.take()
            await dialect.hub.adoption.adopt(entry(dialect.hub)["id"], replace=True)
            transport.feed(b"!0 OK\n")
            assert device.sessions == (session,)
            shown = str([frame.describe() for frame in dialect.hub.tap.frames("esp")])
            assert "hp_" not in shown

    anyrun(scene())
