"""The wire tap: what is kept, for how long, and what must not be seen in it."""

from __future__ import annotations

import asyncio

import pytest

from hardpoint.errors import BadInput, RateLimited
from hardpoint.hub import tap as tap_module
from hardpoint.hub.tap import MAX_REFUSED, Frame, mask
from hardpoint.hub.tokens import TOKEN_PREFIXES, new_token

from .hubs import NotingSession, attached, open_hub, turn


def frame(body="temp=1", way="in", peer="192.0.2.1:50000", **kind):
    return Frame("line", way, body, peer=peer, **kind)


def refused(body="tmp", **kind):
    made = frame(body, **kind)
    made.refuse(BadInput("no key=value"))
    return made


def bodies(frames):
    return [each.body for each in frames]


def test_a_tap_tells_its_sessions_and_ends_by_itself(run, clock):
    async def scene():
        async with open_hub(clock=clock) as hub:
            device, session = await attached(hub)
            assert (session.tap, hub.tap.until_ms(device.id)) == (None, 0)
            assert hub.tap.switch(device.id, 60) == clock() + 60_000
            assert session.tap is hub.tap
            later = NotingSession()
            hub.attach(later, device)
            assert later.tap is hub.tap
            hub.tap.note(device, frame())
            hub.tap.switch(device.id, 600)
            clock.advance(60)
            hub.alerting.agenda.run_due(clock())
            assert session.tap is hub.tap, "it was asked for anew, for longer"
            clock.advance(540)
            hub.alerting.agenda.run_due(clock())
            assert (session.tap, later.tap, hub.tap.on) == (None, None, {})
            assert bodies(hub.tap.frames(device.id)) == ["temp=1"], "what was heard stays"
            hub.tap.switch(device.id, 60)
            hub.detach(later)
            assert later.tap is None
            hub.tap.switch(device.id, 0)
            assert session.tap is None

    run(scene())


def test_refusals_are_kept_of_devices_and_of_addresses(run):
    async def scene():
        async with open_hub() as hub:
            device, _ = await attached(hub)
            for n in range(MAX_REFUSED + 3):
                hub.tap.note(device, refused(str(n)))
                hub.tap.note(None, refused(str(n), peer=f"192.0.2.7:{n}"))
            expected = [str(n) for n in range(3, MAX_REFUSED + 3)]
            assert bodies(hub.tap.frames(device.id)) == expected
            hub.tap.note(None, refused("new", peer="[2001:db8::1]:9"))
            hub.tap.note(None, refused("local", peer="unix"))
            strangers = hub.tap.strangers()
            assert list(strangers) == ["unix", "2001:db8::1", "192.0.2.7"]
            assert bodies(strangers["192.0.2.7"]) == expected
            shown = hub.tap.frames(device.id)[-1].describe()
            assert (shown["verdict"], shown["reason"], shown["way"]) == ("refused", "bad_request: no key=value", "in")
            await hub.remove_device(device)
            assert hub.tap.frames(device.id) == []

    run(scene())


def test_frames_are_bounded_by_number_length_and_all_together(run, monkeypatch):
    async def scene():
        async with open_hub() as hub:
            tap = hub.tap
            one, _ = await attached(hub, "one")
            two, _ = await attached(hub, "two")
            monkeypatch.setattr(tap_module, "MAX_FRAMES", 5)
            tap.switch(one.id, 60)
            for n in range(7):
                tap.note(one, frame(str(n)))
            assert bodies(tap.frames(one.id)) == ["2", "3", "4", "5", "6"]
            assert bodies(tap.frames(one.id, after=tap.frames(one.id)[3].number)) == ["6"]
            long = frame("x" * 10_000)
            assert (len(long.body), long.cut) == (8_192, True)
            assert not frame("x" * 8_192).cut

            monkeypatch.setattr(tap_module, "MAX_KEPT_CHARS", 3 * (tap_module.FRAME_CHARS + 1))
            tap.note(two, refused("a"))
            assert (bodies(tap.frames(one.id)), bodies(tap.frames(two.id))) == (["5", "6"], ["a"])
            assert tap.dropped == 3
            tap.note(two, refused("b"))
            tap.note(two, refused("c"))
            assert (bodies(tap.frames(one.id)), bodies(tap.frames(two.id))) == ([], ["a", "b", "c"])
            tap.note(two, refused("d"))
            assert bodies(tap.frames(two.id)) == ["b", "c", "d"]
            tap.note(one, frame("again"))
            assert bodies(tap.frames(one.id)) == ["again"]

    run(scene())


def test_the_ring_of_who_was_heard_least_lately_goes_first(run, monkeypatch):
    async def scene():
        async with open_hub() as hub:
            monkeypatch.setattr(tap_module, "MAX_RINGS", 2)
            device, _ = await attached(hub)
            hub.tap.switch(device.id, 60)
            for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
                hub.tap.note(None, refused(peer=f"{address}:1"))
            assert list(hub.tap.strangers()) == ["192.0.2.3"]
            hub.tap.note(device, frame())
            assert bodies(hub.tap.frames(device.id)) == ["temp=1"], "a tap is never dropped"

    run(scene())


def test_taps_are_limited(run, monkeypatch):
    async def scene():
        async with open_hub() as hub:
            monkeypatch.setattr(tap_module, "MAX_TAPS", 1)
            hub.tap.switch("a", 60)
            hub.tap.switch("a", 60)
            with pytest.raises(RateLimited, match="1 devices are tapped"):
                hub.tap.switch("b", 60)
            for for_s in (-1, 3601):
                with pytest.raises(BadInput, match="from 0 to 3600"):
                    hub.tap.switch("a", for_s)

    run(scene())


def test_waiting_for_a_frame(run):
    async def scene():
        async with open_hub() as hub:
            device, _ = await attached(hub)
            assert await hub.tap.wait(device.id, 0, 10) == [], "nothing is tapped, so nothing is waited for"
            hub.tap.switch(device.id, 60)
            assert await hub.tap.wait(device.id, 0, 0.001) == []
            waiting = [asyncio.ensure_future(hub.tap.wait(device.id, 0, 10)) for _ in range(2)]
            await turn()
            hub.tap.note(device, frame("a"))
            assert [bodies(await each) for each in waiting] == [["a"], ["a"]]
            assert bodies(await hub.tap.wait(device.id, 0, 10)) == ["a"]

    run(scene())


@pytest.mark.parametrize("prefix", TOKEN_PREFIXES)
def test_what_looks_like_a_token_is_not_kept(prefix):
    token = new_token(prefix)
    made = frame(f'{{"token":"{token}"}}', head=f"PUBLISH qos=0 retain=0 a/{token}")
    made.refuse(BadInput(f"{token} is no number"))
    assert token not in str(made.describe())
    assert made.body == '{"token":"***"}'
    assert mask("hp_short hpx_") == "hp_short hpx_"


def test_what_was_meant_is_asked_only_of_a_refused_frame_that_is_whole():
    asked = []

    def correct(body):
        asked.append(body)
        return "temp=1"

    assert refused("temp 1", correct=correct).describe()["correction"] == "temp=1"
    assert refused("temp 1").describe()["correction"] is None
    for other in (
        frame(correct=correct),
        refused("00ff", binary=True, correct=correct),
        refused("x" * 9_000, correct=correct),
    ):
        assert other.describe()["correction"] is None
    assert asked == ["temp 1"]
