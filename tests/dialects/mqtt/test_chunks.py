"""Firmware over MQTT, as ThingsBoard's SDK fetches it."""

from __future__ import annotations

import pytest

from hardpoint.hub.packages import Packages
from hardpoint.stores.packages import PackageFiles
from hardpoint.wire.mqtt.packets import Ack, Publish
from hub.test_packages import stored

from .mqtts import connected, open_dialect

DATA = bytes(range(100))


async def ready(dialect, tmp_path, kind="fw"):
    dialect.packages = packages = Packages(dialect.hub, PackageFiles(tmp_path))
    device, token = await dialect.hub.create_device("box")
    package = stored(packages, DATA, kind=kind)
    await packages.add(package)
    packages.assign(device, kind, package)
    return await connected(dialect, "c", 5, username=token)


async def fetch(client, topic, payload=b""):
    found = []
    client.send(Publish(topic, payload, 1, packet_id=5))
    while not any(isinstance(each, Publish) for each in found):
        found += await client.read()
    return [(each.topic, each.payload) for each in found if isinstance(each, Publish)]


@pytest.mark.parametrize("kind", ["fw", "sw"])
def test_goes_out_in_chunks(anyrun, tmp_path, kind):
    async def scene():
        async with open_dialect(anonymous=False) as dialect:
            client = await ready(dialect, tmp_path, kind)
            ask, answer = f"v2/{kind}/request/7/chunk/", f"v2/{kind}/response/7/chunk/"
            assert await fetch(client, ask + "0", b"60") == [(answer + "0", DATA[:60])]
            assert await fetch(client, ask + "1") == [(answer + "1", DATA[60:])]  # the size is remembered
            assert await fetch(client, ask + "2") == [(answer + "2", b"")]
            other = f"v2/{kind}/request/8/chunk/0"  # another request: all of it
            assert await fetch(client, other) == [(f"v2/{kind}/response/8/chunk/0", DATA)]

    anyrun(scene())


def test_what_cannot_be_sent_is_a_word(anyrun, tmp_path):
    async def scene():
        async with open_dialect(anonymous=False) as dialect:
            client = await ready(dialect, tmp_path)
            topic = "v2/fw/request/1/chunk/0"
            assert await fetch(client, topic, b"999999999") == [("v2/fw/error", b"PAYLOAD_TOO_LARGE")]
            assert await fetch(client, "v2/sw/request/1/chunk/0") == [("v2/sw/error", b"NOT_FOUND")]
            (said,) = await client.publish(topic, b"a lot", 1)
            assert said.reason == 0x99
            client.send(Publish(topic, b"10", 1, packet_id=1), Publish(topic, b"10", 1, packet_id=2))
            said = []
            while len(said) < 3:
                said += await client.read()
            assert [each.reason for each in said if isinstance(each, Ack)] == [0, 0x97]  # one at a time
            assert not client.closed

    anyrun(scene())
