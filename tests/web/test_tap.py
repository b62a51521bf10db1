"""The routes of the wire tap."""

from __future__ import annotations

import asyncio

import msgspec

from hardpoint.errors import BadInput
from hardpoint.hub.tap import Frame
from hardpoint.web import shapes
from hub.hubs import turn

from .test_devices import checked, signed_in

PATH = "/api/devices/dev/frames"


def test_frames_as_json_as_a_file_and_as_they_come(run):
    async def scene():
        async with signed_in() as (hub, client):
            device, _ = await hub.create_device("dev")
            _, document = await client.ask("GET", f"{PATH}?wait_s=30")
            assert document == {"items": [], "tapped_until": None}
            _, document = await client.ask("PUT", PATH, {"for_s": 60})
            until = checked(document, shapes.Tapped).tapped_until
            assert until == hub.clock_ms() + 60_000
            waiting = asyncio.ensure_future(client.ask("GET", f"{PATH}?wait_s=30"))
            await turn(20)
            hub.tap.note(device, Frame("line", "in", "temp=1", peer="192.0.2.1:5"))
            _, document = await waiting
            found = checked(document, shapes.FrameList)
            assert ([each.body for each in found.items], found.tapped_until) == (["temp=1"], until)
            _, document = await client.ask("GET", f"{PATH}?after={found.items[0].number}")
            assert document["items"] == []
            answer = await client.request("GET", f"{PATH}?format=ndjson", headers=client.headers)
            assert answer.headers["content-disposition"] == 'attachment; filename="dev.frames.ndjson"'
            [frame] = map(msgspec.json.decode, answer.body.splitlines())
            assert frame == msgspec.to_builtins(found.items[0])
            _, document = await client.ask("PUT", PATH, {"for_s": 0})
            assert document == {"tapped_until": None}
            for query in ("after=x", "wait_s=31", "format=xml"):
                await client.refused(400, "GET", f"{PATH}?{query}")
            await client.refused(400, "PUT", PATH, {"for_s": 4000})
            await client.refused(404, "GET", "/api/devices/x/frames")

    run(scene())


def test_strangers_are_for_operators(run):
    async def scene():
        async with signed_in() as (hub, client):
            frame = Frame("line", "in", "HELLO ***", peer="192.0.2.1:5")
            frame.refuse(BadInput("no"))
            hub.tap.note(None, frame)
            _, document = await client.ask("GET", "/api/strangers")
            [stranger] = checked(document, shapes.StrangerList).items
            assert (stranger.address, stranger.frames[0].verdict) == ("192.0.2.1", "refused")
        async with signed_in(role="viewer") as (hub, client):
            await client.refused(403, "GET", "/api/strangers")
            await hub.create_device("dev")
            await client.refused(403, "PUT", PATH, {"for_s": 60})

    run(scene())
