"""Devices that make themselves, over HTTP and MQTT, as ThingsBoard's SDK asks for it (WIRE.md §2.6)."""

from __future__ import annotations

import msgspec
import pytest

from hardpoint import Server
from hardpoint.config import configure
from hardpoint.dialects.mqtt.dialect import PROVISION_S
from hardpoint.errors import ConfigError
from hardpoint.hub.provisioning import Provisioning
from hardpoint.testing import HttpDevice
from hardpoint.wire.mqtt.packets import Ack, Publish

from .mqtt.mqtts import Client, connected, open_dialect

RIGHT = {"provisionDeviceKey": "key", "provisionDeviceSecret": "secret"}


def serving(tmp_path, **more):
    path = tmp_path / "provision"
    path.write_text("key\nsecret\n")
    return Server(
        data=tmp_path / "data",
        listen=["http://127.0.0.1:0"],
        host={"enabled": False},
        provision={"credentials": str(path)},
        **more,
    )


async def ask(device, document):
    answer = await device.request("POST", "/api/v1/provision", msgspec.json.encode(document))
    return answer.status, answer.json()


class TestHttp:
    def test_a_device_gets_a_token_that_opens(self, run, tmp_path):
        async def scene():
            async with serving(tmp_path) as server, HttpDevice("127.0.0.1", server.ports["http"]) as device:
                status, answer = await ask(device, RIGHT | {"deviceName": "pump", "token": "mine", "gateway": True})
                assert (status, answer["status"], answer["credentialsType"]) == (200, "SUCCESS", "ACCESS_TOKEN")
                assert server.hub.authenticate(answer["credentialsValue"]).record.name == "pump"
                assert await ask(device, RIGHT | {"deviceName": "pump"}) == (
                    200,
                    {"errorMsg": "Failed to provision device!", "status": "FAILURE"},
                )
                assert (await ask(device, RIGHT))[1]["status"] == "SUCCESS"
                assert (await ask(device, RIGHT | {"credentialsType": "X509_CERTIFICATE"}))[1]["status"] == "FAILURE"
                for wrong in ([], {}, {"provisionDeviceKey": 1}, RIGHT | {"deviceName": 5}):
                    assert (await ask(device, wrong))[0] == 400

        run(scene())

    def test_wrong_keys_are_throttled(self, anyrun, tmp_path):
        async def scene():
            limits = {"sign_in_failures_per_min": 2}
            async with (
                serving(tmp_path, limits=limits) as server,
                HttpDevice("127.0.0.1", server.ports["http"]) as device,
            ):
                wrong = RIGHT | {"provisionDeviceSecret": "guess"}
                refused = {"errorMsg": "Provision data was not found!", "status": "NOT_FOUND"}
                assert await ask(device, wrong) == (200, refused)
                assert await ask(device, RIGHT | {"provisionDeviceKey": "other"}) == (200, refused)
                assert (await ask(device, wrong))[0] == 429
                assert (await ask(device, RIGHT))[0] == 429  # or the right one could be found by trying

        anyrun(scene())

    def test_what_is_refused_leaves_a_frame_without_the_keys(self, run, tmp_path):
        async def scene():
            async with serving(tmp_path) as server, HttpDevice("127.0.0.1", server.ports["http"]) as device:
                await ask(device, RIGHT | {"provisionDeviceSecret": "secreT", "deviceName": "pump", "token": "mine"})
                await ask(device, RIGHT | {"deviceName": "pump"})
                await ask(device, RIGHT | {"deviceName": "pump"})
                await ask(device, RIGHT | {"credentialsType": "X509_CERTIFICATE", "hash": "h"})
                await ask(device, ["secret"])
                await device.request("POST", "/api/v1/provision", b'{"provisionDeviceSecret": "secret')
                ((address, frames),) = server.hub.tap.strangers().items()
                assert address == "127.0.0.1"
                assert {frame.head for frame in frames} == {"POST /api/v1/provision"}
                assert [frame.reason.partition(":")[0] for frame in frames] == [
                    "unauthorized", "conflict", "bad_request", "bad_request", "bad_request",
                ]  # fmt: skip
                masked = {"provisionDeviceKey": "***", "provisionDeviceSecret": "***"}
                assert [msgspec.json.decode(frame.body) for frame in frames[:3]] == [
                    masked | {"deviceName": "pump", "token": "***"},
                    masked | {"deviceName": "pump"},
                    masked | {"credentialsType": "X509_CERTIFICATE", "hash": "***"},
                ]
                assert [frame.body for frame in frames[3:]] == ["", ""]
                assert server.hub.refused_total == {"unauthorized": 1, "conflict": 1, "bad_request": 3}

        run(scene())

    def test_without_the_setting_nothing_is_made(self, anyrun, tmp_path):
        async def scene():
            given = {"data": tmp_path, "listen": ["http://127.0.0.1:0"], "host": {"enabled": False}}
            async with Server(**given) as server, HttpDevice("127.0.0.1", server.ports["http"]) as device:
                assert (await ask(device, RIGHT))[1]["status"] == "NOT_FOUND"

        anyrun(scene())

    def test_a_file_that_cannot_be_used_ends_the_start(self, anyrun, tmp_path):
        async def scene():
            path = tmp_path / "keys"
            for content in (None, "one\n", "one two three"):
                if content is not None:
                    path.write_text(content)
                config = configure(
                    data=tmp_path / "data", listen=["http://127.0.0.1:0"], provision={"credentials": path}
                )
                with pytest.raises(ConfigError, match=r"provision\.credentials"):
                    await Server(config).start()

        anyrun(scene())


class TestMqtt:
    @pytest.mark.parametrize("version", [4, 5])
    @pytest.mark.parametrize("by", [{"username": "provision"}, {"client_id": "provision"}])
    def test_a_device_gets_a_token_that_opens(self, anyrun, version, by):
        async def scene():
            async with open_dialect(anonymous=False, provisions=("key", "secret")) as dialect:
                client = await connected(dialect, **{"version": version, "client_id": "x"} | by, clean_start=False)
                other = await connected(dialect, **{"version": version, "client_id": "x"} | by)
                assert not client.closed
                assert (await client.subscribe("/provision/response", "#", "devices/+/+"))[0] == (
                    [0, 0x87, 0x87] if version == 5 else [0, 0x80, 0x80]
                )
                asked = msgspec.json.encode(RIGHT | {"deviceName": "pump"})
                await client.publish("/provision/request", asked, 1)
                await client.read()
                found = [packet for packet in client.seen if isinstance(packet, Publish)]
                assert [each.topic for each in found] == ["/provision/response"]
                answer = msgspec.json.decode(found[0].payload)
                assert dialect.hub.authenticate(answer["credentialsValue"]).record.name == "pump"
                assert Ack(0x4, 5) in client.seen
                assert await other.messages() == []
                assert all(not session.durable for session in dialect.broker.sessions.values())
                await client.publish("elsewhere", b"1", 0)
                assert dialect.hub.refused_total

        anyrun(scene())

    def test_what_is_refused_leaves_a_frame_without_the_keys(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False, provisions=("key", "secret")) as dialect:
                client = await connected(dialect, username="provision")
                wrong = msgspec.json.encode(RIGHT | {"provisionDeviceKey": "keY", "deviceName": "pump"})
                await client.publish("/provision/request", wrong, 0)
                await client.publish("/provision/request", b'"secret', 0)
                (frames,) = dialect.hub.tap.strangers().values()
                assert [(frame.head, frame.body, frame.reason.partition(":")[0]) for frame in frames] == [
                    (
                        "PUBLISH qos=0 retain=0 /provision/request",
                        '{"provisionDeviceKey":"***","provisionDeviceSecret":"***","deviceName":"pump"}',
                        "unauthorized",
                    ),
                    ("PUBLISH qos=0 retain=0 /provision/request", "", "bad_request"),
                ]

        anyrun(scene())

    def test_a_client_that_has_asked_is_cut_after_a_minute(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False, provisions=("key", "secret")) as dialect:
                client = await connected(dialect, username="provision")
                connection = client.connection
                dialect._provisional[connection] -= PROVISION_S
                dialect.tick()
                assert client.closed

        anyrun(scene())

    def test_without_the_setting_nobody_comes_in(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                assert not Provisioning(dialect.hub).enabled
                assert (await Client(dialect).connect("provision", username="provision")).reason != 0

        anyrun(scene())
