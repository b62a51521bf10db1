"""The routes of claims, and of devices that are gateways or behind one."""

from __future__ import annotations

from hardpoint.web import shapes

from .test_devices import checked, signed_in
from .webs import open_web

PATH = "/api/devices/box/claim"


def test_a_device_is_claimed_and_released(anyrun):
    async def scene():
        async with open_web() as web, await web.as_role("viewer") as client, await web.as_role("operator") as operator:
            device, _ = await web.hub.create_device("box")
            assert (await client.refused(403, "POST", PATH, {"secret": "s"}))["field"] == "secret"
            await client.refused(403, "POST", "/api/devices/none/claim", {})
            web.app.claims.offer(device, {"secretKey": "s"})
            answer, document = await client.ask("POST", PATH, {"secret": "s"})
            assert answer.status == 200
            assert checked(document, shapes.Device).labels == {"owner": "a viewer"}
            web.app.claims.offer(device, {"secretKey": "s"})
            await client.refused(409, "POST", PATH, {"secret": "s"})
            await client.refused(403, "DELETE", PATH)
            answer, document = await operator.ask("DELETE", PATH)
            assert (answer.status, document["labels"]) == (200, {})

    anyrun(scene())


def test_gateways(anyrun):
    async def scene():
        async with signed_in() as (hub, client):
            _, document = await client.ask("POST", "/api/devices", {"name": "gw", "gateway": True})
            assert (document["gateway"], document["via"]) == (True, None)
            await client.ask("POST", "/api/devices", {"name": "lamp"})
            _, document = await client.ask("PATCH", "/api/devices/lamp", {"via": "gw"})
            assert checked(document, shapes.Device).via == "gw"
            assert hub.catalogue.find("lamp").record.via == "gw/lamp"
            _, document = await client.ask("PATCH", "/api/devices/lamp", {"labels": {"a": "b"}})
            assert document["via"] == "gw"
            _, document = await client.ask("PATCH", "/api/devices/lamp", {"via": None})
            assert document["via"] is None
            assert (await client.refused(400, "PATCH", "/api/devices/lamp", {"via": "lamp"}))["field"] == "via"
            _, document = await client.ask("PATCH", "/api/devices/gw", {"gateway": False})
            assert document["gateway"] is False

    anyrun(scene())
