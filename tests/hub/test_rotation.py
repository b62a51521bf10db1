"""New tokens for devices: the old one for a time, and no longer, over restarts and failures."""

from __future__ import annotations

import pytest

from hardpoint.errors import BadInput, StorageFull, Unauthorized
from hardpoint.hub.rotation import MAX_KEEP_S
from hardpoint.model import Device

from .hubs import HeldStore, NotingSession, open_hub


def come_in(hub, token):
    """A session of whoever has this token."""
    session = NotingSession()
    hub.attach(session, hub.sign_in("192.0.2.1:1", token))
    return session


def opens(hub, token):
    try:
        hub.authenticate(token)
    except Unauthorized:
        return False
    return True


def pass_s(hub, clock, seconds):
    clock.advance(s=seconds)
    hub.alerting.agenda.run_due(clock.now_ms)


class TestWithoutAGap:
    def test_both_open_until_the_time_is_up_and_what_the_new_one_opened_stays(self, anyrun, clock):
        async def scene():
            async with open_hub(clock=clock) as hub:
                device, old = await hub.create_device("dev")
                before = come_in(hub, old)
                new = await hub.new_device_token(device, keep_old_s=60)
                assert device.record.old_token_until_ms == clock.now_ms + 60_000
                clock.advance(s=1)
                late = come_in(hub, old)
                clock.advance(s=1)
                newer = come_in(hub, new)
                pass_s(hub, clock, 57)
                assert [session.ended for session in (before, late, newer)] == [None] * 3
                pass_s(hub, clock, 1)
                assert before.ended == late.ended == "the time of the device's old token is up"
                assert newer.ended is None
                assert (opens(hub, old), opens(hub, new)) == (False, True)

        anyrun(scene())

    def test_one_that_is_older_still_ends(self, anyrun, clock):
        async def scene():
            async with open_hub(clock=clock) as hub:
                device, first = await hub.create_device("dev")
                second = await hub.new_device_token(device, keep_old_s=60)
                pass_s(hub, clock, 30)
                third = await hub.new_device_token(device, keep_old_s=60)
                assert [opens(hub, token) for token in (first, second, third)] == [False, True, True]
                pass_s(hub, clock, 31)  # the first one's time: of no interest any more
                assert [opens(hub, token) for token in (first, second, third)] == [False, True, True]
                pass_s(hub, clock, 30)
                assert [opens(hub, token) for token in (first, second, third)] == [False, False, True]

        anyrun(scene())

    def test_a_new_one_without_a_time_ends_all_of_them_at_once(self, anyrun, clock):
        async def scene():
            async with open_hub(clock=clock) as hub:
                device, first = await hub.create_device("dev")
                second = await hub.new_device_token(device, keep_old_s=60)
                session = come_in(hub, first)
                third = await hub.new_device_token(device)
                assert session.ended == "the device's token was changed"
                assert [opens(hub, token) for token in (first, second, third)] == [False, False, True]
                pass_s(hub, clock, 61)
                assert opens(hub, third)

        anyrun(scene())

    def test_a_restart_does_not_prolong_it(self, anyrun, clock):
        async def scene():
            store = HeldStore()
            async with open_hub(store, clock) as hub:
                device, old = await hub.create_device("dev")
                new = await hub.new_device_token(device, keep_old_s=60)
            async with open_hub(store, clock) as hub:
                assert (opens(hub, old), opens(hub, new)) == (True, True)
                pass_s(hub, clock, 60)
                assert (opens(hub, old), opens(hub, new)) == (False, True)
                await hub.commits.durable()
                [record] = store.load(Device)
                assert (record.old_token_hash, record.old_token_until_ms) == ("", 0)

        anyrun(scene())

    def test_a_device_that_was_removed_takes_both_along(self, anyrun, clock):
        async def scene():
            async with open_hub(clock=clock) as hub:
                device, old = await hub.create_device("dev")
                new = await hub.new_device_token(device, keep_old_s=60)
                await hub.remove_device(device)
                assert (opens(hub, old), opens(hub, new)) == (False, False)
                pass_s(hub, clock, 60)
                assert not hub.catalogue.by_token_hash

        anyrun(scene())

    def test_one_that_could_not_be_stored_changes_nothing(self, anyrun, clock, caplog):
        async def scene():
            store = HeldStore()
            async with open_hub(store, clock) as hub:
                device, old = await hub.create_device("dev")
                session = come_in(hub, old)
                store.error = StorageFull("no space left")
                for keep_old_s in (0, 60):
                    with pytest.raises(StorageFull):
                        await hub.new_device_token(device, keep_old_s=keep_old_s)
                store.error = None
                assert opens(hub, old)
                assert session.ended is None
                assert len(hub.catalogue.by_token_hash) == 1

        anyrun(scene())

    @pytest.mark.parametrize("keep_old_s", [-1, MAX_KEEP_S + 1, float("nan")])
    def test_has_a_limit(self, anyrun, keep_old_s):
        async def scene():
            async with open_hub() as hub:
                device, old = await hub.create_device("dev")
                with pytest.raises(BadInput, match="keep_old_s is between 0 and"):
                    await hub.new_device_token(device, keep_old_s=keep_old_s)
                assert opens(hub, old)

        anyrun(scene())
