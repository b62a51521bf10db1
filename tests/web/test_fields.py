"""The route of what is set of keys."""

from __future__ import annotations

from .test_devices import signed_in

PATH = "/api/devices/dev/fields"


def test_they_are_set_shown_and_checked(run):
    async def scene():
        async with signed_in() as (hub, client):
            await hub.create_device("dev")
            _, document = await client.ask("PATCH", PATH, {"temp": {"unit": "°F", "decimals": 0}})
            assert document == {"temp": {"unit": "°F", "decimals": 0}}
            _, document = await client.ask("GET", "/api/devices/dev")
            assert document["fields"] == {"temp": {"unit": "°F", "decimals": 0}}
            for wrong in ({"temp": {"decimals": 10}}, {"temp": {"keep_s": 1}}, {"temp": {"x": 1}}, {"a b": {}}, []):
                await client.refused(400, "PATCH", PATH, wrong)
            _, document = await client.ask("PATCH", PATH, {"temp": None})
            assert document == {}
        async with signed_in(role="viewer") as (hub, client):
            await hub.create_device("dev")
            await client.refused(403, "PATCH", PATH, {})

    run(scene())
