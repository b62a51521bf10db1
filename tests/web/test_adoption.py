"""The routes of unknown devices; every answer is held against its type."""

from __future__ import annotations

import pytest

from hardpoint.errors import NotAdopted
from hardpoint.hub.tap import Frame
from hardpoint.web.adoption import AdoptedDevice, UnknownDevices

from .test_devices import checked, signed_in

PATH = "/api/unknown-devices"
PEER = "192.0.2.1:50000"


def knock(hub, name):
    with pytest.raises(NotAdopted) as refused:
        hub.sign_in(PEER, name)
    return refused.value.number


def test_who_waits_is_listed_adopted_and_ignored(run):
    async def scene():
        async with signed_in(adopt=True) as (hub, client):
            _, document = await client.ask("GET", PATH)
            assert document == {"enabled": True, "items": []}
            first, second = knock(hub, "esp"), knock(hub, "pump")
            frame = Frame("line", "in", "temp=1", peer=PEER)
            hub.adoption.note(first, frame)
            _, document = await client.ask("GET", PATH)
            found = checked(document, UnknownDevices).items
            assert next((each.id, each.name, each.frames) for each in found) == (second, "pump", [])
            assert found[1].frames[0].body == "temp=1"

            answer, document = await client.ask(
                "POST", f"{PATH}/{first}/adopt", {"name": "greenhouse", "labels": {"place": "garden"}}
            )
            assert (answer.status, answer.headers["location"]) == (201, "/api/devices/greenhouse")
            made = checked(document, AdoptedDevice)
            assert (made.name, made.labels, made.told) == ("greenhouse", {"place": "garden"}, False)
            assert hub.authenticate(made.token).id == "greenhouse"

            answer, _ = await client.ask("DELETE", f"{PATH}/{second}")
            assert answer.status == 204
            _, document = await client.ask("GET", PATH)
            states = [(each["name"], each["ignored"], each["adopted"]) for each in document["items"]]
            assert states == [("pump", True, None), ("esp", False, "greenhouse")]

            await client.refused(404, "POST", f"{PATH}/99/adopt", {})
            await client.refused(404, "DELETE", f"{PATH}/99")
            error = await client.refused(409, "POST", f"{PATH}/{second}/adopt", {"name": "greenhouse"})
            assert error["field"] == "name"
            answer, _ = await client.ask("POST", f"{PATH}/{second}/adopt", {"name": "greenhouse", "replace": True})
            assert answer.status == 201

    run(scene())


def test_is_for_operators_and_says_when_it_is_off(anyrun):
    async def scene():
        async with signed_in(role="viewer") as (_, client):
            await client.refused(403, "GET", PATH)
            await client.refused(403, "POST", f"{PATH}/1/adopt", {})
            await client.refused(403, "DELETE", f"{PATH}/1")
        async with signed_in(role="operator") as (_, client):
            _, document = await client.ask("GET", PATH)
            assert document == {"enabled": False, "items": []}

    anyrun(scene())
