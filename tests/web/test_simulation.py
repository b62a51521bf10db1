"""The route of simulated devices."""

from __future__ import annotations

import msgspec

from hardpoint.web.shapes import Simulated

from .test_devices import signed_in

PATH = "/api/devices/dev/simulation"


def test_a_device_is_simulated_for_a_while(run):
    async def scene():
        async with signed_in() as (hub, client):
            await hub.create_device("dev")
            _, document = await client.ask("GET", PATH)
            assert document == {"simulated_until": None}
            _, document = await client.ask("PUT", PATH, {"for_s": 60})
            until = msgspec.convert(document, Simulated, strict=True).simulated_until
            assert until == hub.clock_ms() + 60_000
            _, document = await client.ask("GET", "/api/devices/dev")
            assert document["presence"]["connected"]["dialect"] == "simulated"
            assert document["labels"] == {"simulated": "yes"}
            _, document = await client.ask("PUT", PATH, {"for_s": 0})
            assert document == {"simulated_until": None}
            await client.refused(400, "PUT", PATH, {"for_s": 4000})
            await client.refused(404, "PUT", "/api/devices/x/simulation", {})
        async with signed_in(role="viewer") as (hub, client):
            await hub.create_device("dev")
            await client.refused(403, "PUT", PATH, {})

    run(scene())
