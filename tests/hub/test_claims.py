"""Who may claim which device, with what, and until when."""

from __future__ import annotations

import asyncio

import pytest

from hardpoint.errors import BadInput, Conflict, Forbidden, RateLimited
from hardpoint.hub.claims import DEFAULT_CLAIM_S, MAX_CLAIM_S, Claims
from hardpoint.model import Claim
from hardpoint.testing import FakeClock

from .hubs import HeldStore, open_hub, turn

PEER = "192.0.2.1:50000"


def test_whoever_knows_the_secret_becomes_the_owner(anyrun):
    async def scene():
        async with open_hub() as hub:
            claims = Claims(hub)
            device, _ = await hub.create_device("box", {"place": "garden"})
            with pytest.raises(Forbidden):  # it has not offered itself
                await claims.claim(PEER, device, "", "anna")
            claims.offer(device, {"secretKey": "4711"})
            with pytest.raises(Forbidden):
                await claims.claim(PEER, device, "4712", "anna")
            await claims.claim(PEER, device, "4711", "anna")
            assert device.record.labels == {"place": "garden", "owner": "anna"}
            await hub.commits.durable()
            assert hub.store.load(Claim) == []
            claims.offer(device, {"secretKey": "4711"})  # a device does so at every start
            with pytest.raises(Forbidden):
                await claims.claim(PEER, device, "4712", "bob")
            with pytest.raises(Conflict):
                await claims.claim(PEER, device, "4711", "bob")
            with pytest.raises(Forbidden):
                await claims.claim(PEER, None, "4711", "bob")
            await claims.release(device)
            await claims.claim(PEER, device, "4711", "bob")
            assert device.record.labels == {"place": "garden", "owner": "bob"}

    anyrun(scene())


@pytest.mark.parametrize(("asked", "valid_s"), [({}, DEFAULT_CLAIM_S), ({"durationMs": 60_000}, 60.0)])
def test_offers_end(anyrun, asked, valid_s):
    async def scene():
        clock = FakeClock()
        async with open_hub(clock=clock) as hub:
            claims = Claims(hub)
            device, _ = await hub.create_device("box")
            other, _ = await hub.create_device("other")
            claims.offer(device, asked)
            claims.offer(other, asked)
            clock.advance(s=valid_s - 1)
            await claims.claim(PEER, device, "", "anna")
            clock.advance(s=1)
            with pytest.raises(Forbidden):
                await claims.claim(PEER, other, "", "anna")

    anyrun(scene())


@pytest.mark.parametrize(
    "asked",
    [
        [],
        {"secretKey": 4711},
        {"secretKey": "x" * 257},
        {"durationMs": "60000"},
        {"durationMs": 0},
        {"durationMs": True},
        {"durationMs": MAX_CLAIM_S * 1000 + 1},
    ],
)
def test_what_is_no_offer(anyrun, asked):
    async def scene():
        async with open_hub() as hub:
            device, _ = await hub.create_device("box")
            with pytest.raises(BadInput):
                Claims(hub).offer(device, asked)

    anyrun(scene())


def test_guessing_is_throttled(anyrun):
    async def scene():
        async with open_hub(sign_in_failures_per_min=3) as hub:
            claims = Claims(hub)
            device, _ = await hub.create_device("box")
            claims.offer(device, {"secretKey": "right"})
            for _ in range(3):
                with pytest.raises(Forbidden):
                    await claims.claim(PEER, device, "wrong", "eve")
            with pytest.raises(RateLimited):
                await claims.claim(PEER, device, "right", "eve")
            await claims.claim("192.0.2.2:1", device, "right", "anna")

    anyrun(scene())


def test_offers_survive_a_restart_and_go_with_their_device(anyrun, make_store):
    async def scene():
        async with open_hub(make_store()) as hub:
            claims = Claims(hub)
            for name in ("kept", "gone"):
                device, _ = await hub.create_device(name)
                claims.offer(device, {"secretKey": name})
            await hub.commits.durable()
            await hub.remove_device(device)
            assert [claim.device_id for claim in hub.store.load(Claim)] == ["kept"]
            again, _ = await hub.create_device("gone")
            with pytest.raises(Forbidden):
                await claims.claim(PEER, again, "gone", "anna")
        async with open_hub(make_store()) as hub:
            kept = hub.catalogue.find("kept")
            await Claims(hub).claim(PEER, kept, "kept", "anna")
            assert kept.record.labels == {"owner": "anna"}

    anyrun(scene())


def test_of_two_who_claim_at_once_while_the_device_is_being_changed_one_becomes_the_owner(anyrun):
    async def scene():
        store = HeldStore()
        async with open_hub(store) as hub:
            claims = Claims(hub)
            device, _ = await hub.create_device("box", {"place": "garden"})
            claims.offer(device, {"secretKey": "4711"})
            await hub.commits.durable()
            store.held = True
            change = asyncio.ensure_future(hub.change_device(device, {"labels": {"place": "roof"}}))
            await turn()
            both = [asyncio.ensure_future(claims.claim(PEER, device, "4711", owner)) for owner in ("anna", "bob")]
            await turn()
            store.held = False
            store.release()
            await change
            assert [type(each) for each in await asyncio.gather(*both, return_exceptions=True)] == [
                type(None),
                Conflict,
            ]
            assert device.record.labels == {"place": "roof", "owner": "anna"}

    anyrun(scene())
