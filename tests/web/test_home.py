"""The home page's document: counted, bounded, and of nobody's devices but those that may be seen."""

from __future__ import annotations

import msgspec

from hardpoint.hub.pace import LEAST_READINGS, Sample
from hardpoint.model import Rule
from hardpoint.testing import FakeClock
from hardpoint.web import home as home_module
from hardpoint.web import shapes
from hub.hubs import attached

from .webs import HEALTH, open_web

WARM = {"key": "temp", "is": "above", "value": 30}


async def shown(client):
    answer, found = await client.ask("GET", "/api/home")
    assert answer.status == 200
    return msgspec.convert(found, shapes.Home, strict=True)


async def reporting(hub, name, value=20.0, **labels):
    """A device that has just said one thing, on a connection that is still there."""
    device, session = await attached(hub, name)
    await hub.change_device(device, {"labels": labels, "expected_every_s": 10.0})
    hub.ingest(session, device, [(None, "temp", value)], "r")
    await hub.commits.durable()
    return device, session


def test_every_presence_is_counted_and_the_first_of_them_are_named(anyrun):
    async def scene():
        clock = FakeClock()
        async with open_web(clock=clock) as web, await web.as_role("viewer") as viewer:
            await web.hub.create_device("new")
            _, gone = await reporting(web.hub, "gone")
            web.hub.detach(gone)
            clock.advance(s=40)
            await reporting(web.hub, "late")
            clock.advance(s=20)
            await reporting(web.hub, "Zebra")
            await reporting(web.hub, "apple")
            found = await shown(viewer)
            assert found.presence == shapes.PresenceCounts(online=2, late=1, offline=1, never=1)
            assert found.heard == 4
            assert [device.name for device in found.absent] == ["late", "gone"]
            assert [device.name for device in found.reporting] == ["apple", "Zebra"]
            assert found.reporting[0].latest["temp"].value == 20.0

    anyrun(scene())


def test_a_count_answers_for_a_second_and_of_what_is_gone_for_no_moment(anyrun):
    async def scene():
        clock = FakeClock()
        async with open_web(clock=clock) as web, await web.as_role("viewer") as viewer:
            device, _ = await reporting(web.hub, "first")
            assert (await shown(viewer)).presence.online == 1
            await reporting(web.hub, "second")
            await web.hub.remove_device(device)
            found = await shown(viewer)
            assert (found.presence.online, found.reporting) == (1, [])
            clock.advance(ms=home_module.KEPT_MS)
            found = await shown(viewer)
            assert (found.presence.online, [each.name for each in found.reporting]) == (1, ["second"])

    anyrun(scene())


def test_who_is_limited_is_told_of_their_devices_and_nothing_of_the_machine(anyrun):
    async def scene():
        async with open_web(clock=FakeClock()) as web, await web.as_role("operator", "site:north") as limited:
            for site in ("north", "south"):
                await web.hub.alerting.rules.add(Rule(site, site, f"label:site={site}", WARM, 0))
            for name, site in (("mine", "north"), ("foreign", "south")):
                device, session = await reporting(web.hub, name, site=site)
                web.hub.ingest(session, device, [(None, "temp", 31.5)], "r")
            await web.hub.commits.durable()
            found = await shown(limited)
            assert found.presence.online == 1
            assert [each.name for each in found.reporting] == ["mine"]
            assert ([each.device for each in found.firing], found.firing_total) == (["mine"], 1)
            assert found.names == {"mine": "mine"}
            assert (found.server, found.unknown, found.pace) == (None, None, [])
            device = web.hub.catalogue.find("mine")
            await web.hub.change_device(device, {"labels": {"site": "south"}})
            found = await shown(limited)  # within the second
            assert (found.reporting, found.firing) == ([], [])

    anyrun(scene())


def test_more_than_a_page_shows_are_counted(anyrun):
    async def scene():
        async with open_web(clock=FakeClock()) as web, await web.as_role("operator") as operator:
            await web.hub.alerting.rules.add(Rule("warm", "warm", "all", WARM, 0))
            for n in range(home_module.SHOWN_REPORTING + 2):
                await reporting(web.hub, f"dev-{n}", 31.5)
            found = await shown(operator)
            assert len(found.reporting) == home_module.SHOWN_REPORTING
            assert (len(found.firing), found.firing_total) == (home_module.SHOWN_FIRING, len(found.reporting) + 2)
            assert found.firing[0].id > found.firing[-1].id
            assert found.unknown == 0

    anyrun(scene())


def test_the_server_tells_what_it_needs_and_how_long_its_room_lasts(anyrun, monkeypatch):
    async def scene():
        async with open_web() as web, await web.as_role("viewer") as viewer:
            found = await shown(viewer)
            assert found.server == shapes.ServerState(False, None, None, None)
            store = {"size_bytes": 2_000_000, "free_bytes": 86_400_000, "readings": 1_000_000}
            monkeypatch.setitem(HEALTH, "status", "degraded")
            monkeypatch.setitem(HEALTH, "store", store)
            monkeypatch.setitem(HEALTH, "certificates", [{"days_left": 90}, {"days_left": 3}])
            monkeypatch.setitem(HEALTH, "bridge", {"connected": False, "error": "refused"})
            web.hub.pace.samples.append(Sample(1, 100.0))
            found = await shown(viewer)
            assert found.pace == [(1, 100.0)]
            # 2 bytes a reading, 100 readings a second: 17.28 MB a day.
            assert found.server == shapes.ServerState(True, 3, "refused", shapes.Room(2_000_000, 86_400_000, 5.0))
            store["readings"] = LEAST_READINGS - 1
            assert (await shown(viewer)).server.room.days_left is None

    anyrun(scene())
