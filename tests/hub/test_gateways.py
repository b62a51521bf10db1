"""Who is behind which gateway, and who may say so."""

from __future__ import annotations

import pytest

from hardpoint.errors import BadInput, Forbidden, TooLarge
from hardpoint.hub.gateways import Gateways

from .hubs import open_hub


def test_a_gateway_speaks_for_whom_it_brought_in_and_nobody_else(anyrun, make_store):
    async def scene():
        async with open_hub(make_store()) as hub:
            gateways = Gateways(hub)
            gateway, _ = await hub.create_device("gw", gateway=True)
            other, _ = await hub.create_device("other", gateway=True)
            plain, _ = await hub.create_device("plain")
            pump = gateways.device(gateway, "Pump 1", "modbus")
            assert (pump.id, pump.record.labels, pump.record.via) == ("pump-1", {"type": "modbus"}, "gw/Pump 1")
            assert gateways.device(gateway, "Pump 1") is pump
            for speaker, name in ((other, "Pump 1"), (gateway, "plain"), (gateway, "gw"), (gateway, "pump-1")):
                with pytest.raises(Forbidden):
                    gateways.device(speaker, name)
            with pytest.raises(Forbidden):
                gateways.device(plain, "new")
            with pytest.raises(BadInput):
                gateways.device(gateway, "")
            await hub.commits.durable()
        async with open_hub(make_store()) as hub:
            gateways = Gateways(hub)
            gateway, pump = hub.catalogue.find("gw"), hub.catalogue.find("pump-1")
            assert gateways.device(gateway, "Pump 1") is pump
            await hub.change_device(pump, {"name": "North pump"})
            assert gateways.device(gateway, "Pump 1") is pump  # the gateway knows nothing of the new name
            with pytest.raises(Forbidden):
                gateways.device(gateway, "North pump")
            assert hub.describe(pump)["via"] == "gw"

    anyrun(scene())


def test_a_person_moves_devices(anyrun):
    async def scene():
        async with open_hub() as hub:
            gateways = Gateways(hub)
            gateway, _ = await hub.create_device("gw", gateway=True)
            other, _ = await hub.create_device("other", gateway=True)
            lamp, _ = await hub.create_device("lamp")
            await hub.change_device(lamp, {"via": "gw/lamp"})
            assert gateways.device(gateway, "lamp") is lamp
            await hub.change_device(lamp, {"via": "other/lamp"})
            assert gateways.device(other, "lamp") is lamp
            with pytest.raises(Forbidden):
                gateways.device(gateway, "lamp")
            await hub.change_device(other, {"gateway": 0})
            with pytest.raises(Forbidden):
                gateways.device(other, "lamp")
            for via in ("nobody/lamp", "lamp/lamp", "other/x"):
                await hub.change_device(lamp, {"via": ""})
                with pytest.raises(BadInput):
                    await hub.change_device(lamp, {"via": via})

    anyrun(scene())


def test_limits(anyrun):
    async def scene():
        async with open_hub(max_devices=4, max_devices_per_gateway=2) as hub:
            gateways = Gateways(hub)
            gateway, _ = await hub.create_device("gw", gateway=True)
            for name in "ab":
                gateways.device(gateway, name)
            with pytest.raises(TooLarge, match="max_devices_per_gateway"):
                gateways.device(gateway, "c")
            await hub.remove_device(hub.catalogue.find("a"))
            gateways.device(gateway, "c")
            other, _ = await hub.create_device("other", gateway=True)
            with pytest.raises(TooLarge, match="max_devices "):
                gateways.device(other, "d")

    anyrun(scene())


def test_whose_gateway_is_removed_is_behind_none(anyrun, make_store):
    async def scene():
        async with open_hub(make_store()) as hub:
            gateways = Gateways(hub)
            gateway, _ = await hub.create_device("gw", gateway=True)
            lamp = gateways.device(gateway, "lamp")
            await hub.remove_device(gateway)
            assert lamp.record.via == ""
            again, _ = await hub.create_device("gw", gateway=True)
            with pytest.raises(Forbidden):
                gateways.device(again, "lamp")
            await hub.commits.durable()
        async with open_hub(make_store()) as hub:
            assert hub.catalogue.find("lamp").record.via == ""

    anyrun(scene())


def test_a_gateway_that_is_one_no_longer_leaves_nothing_to_the_next_of_its_name(anyrun):
    async def scene():
        async with open_hub() as hub:
            gateways = Gateways(hub)
            first, _ = await hub.create_device("gw", gateway=True)
            pump = gateways.device(first, "pump")
            await hub.change_device(first, {"gateway": 0})
            await hub.remove_device(first)
            assert pump.record.via == ""
            second, _ = await hub.create_device("gw", gateway=True)
            assert second.id == first.id
            with pytest.raises(Forbidden):
                gateways.device(second, "pump")

    anyrun(scene())
