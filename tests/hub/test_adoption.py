"""The list of unknown devices: who gets into it, who makes room, and whom the token goes to."""

from __future__ import annotations

import pytest

from hardpoint.errors import BadInput, Conflict, NotAdopted, NotFound, RateLimited, Unauthorized
from hardpoint.hub import adoption
from hardpoint.hub.tap import Frame
from hardpoint.hub.tokens import API_PREFIX, new_token
from hardpoint.model import UnknownDevice
from hub.hubs import NotingSession, open_hub, turn

HERE, THERE = "192.0.2.1:50000", "192.0.2.2:50000"


class Waiter(NotingSession):
    """A connection of a device that has no token yet."""

    def __init__(self, **kind):
        super().__init__(**kind)
        self.became = None

    def adopted(self, device):
        self.became = device


def knock(hub, name="esp", peer=HERE):
    """The number under which it waits."""
    with pytest.raises(NotAdopted) as refused:
        hub.sign_in(peer, name)
    return refused.value.number


def waits(hub, name="esp", peer=HERE, **kind):
    session = Waiter(**kind)
    number = knock(hub, name, peer)
    hub.adoption.wait(session, number)
    return number, session


def names(hub, *, ignored=False):
    return [each["name"] for each in hub.adoption.list() if each["ignored"] is ignored]


class TestList:
    def test_holds_who_has_named_itself_and_what_it_first_said(self, anyrun, clock):
        async def scene():
            async with open_hub(clock=clock, adopt=True) as hub:
                number, session = waits(hub)
                begin_ms = clock()
                clock.advance(5)
                assert knock(hub) == number
                for body in ("a", "b", "c", "d" * 2000, "not kept"):
                    hub.adoption.note(number, Frame("line", "in", body, peer=HERE))
                hub.adoption.note(99, Frame("line", "in", "of nobody"))
                [shown] = hub.adoption.list()
                frames = shown.pop("frames")
                assert shown == {
                    "id": number,
                    "name": "esp",
                    "address": "192.0.2.1",
                    "dialect": "line",
                    "first_seen": begin_ms,
                    "last_seen": begin_ms + 5_000,
                    "tries": 2,
                    "connected": True,
                    "ignored": False,
                    "known": None,
                    "adopted": None,
                }
                assert [(frame["body"], frame["cut"]) for frame in frames] == [
                    ("a", False), ("b", False), ("c", False), ("d" * adoption.MAX_FIRST_CHARS, True),
                ]  # fmt: skip
                hub.detach(session)
                assert hub.adoption.list()[0]["connected"] is False

        anyrun(scene())

    def test_is_closed_unless_it_was_asked_for(self, anyrun):
        async def scene():
            async with open_hub() as hub:
                with pytest.raises(Unauthorized, match="belongs to no device"):
                    hub.sign_in(HERE, "esp")
                assert len(hub.adoption) == 0

        anyrun(scene())

    @pytest.mark.parametrize(
        "given",
        [
            *("", " x", "a\x00b", "x" * 1000, API_PREFIX + "x", "host"),
            pytest.param(new_token(), id="token"),  # not by its value: that is another one each time
            pytest.param(new_token()[:-1], id="most of a token"),
        ],
    )
    def test_holds_no_tokens_and_nothing_that_is_no_name(self, anyrun, given):
        async def scene():
            async with open_hub(adopt=True) as hub:
                await hub.create_device("host")
                with pytest.raises(Unauthorized) as refused:
                    hub.sign_in(HERE, given)
                assert type(refused.value) is Unauthorized
                assert len(hub.adoption) == 0

        anyrun(scene())

    def test_a_token_with_a_claimed_name_is_a_wrong_token(self, anyrun):
        async def scene():
            async with open_hub(adopt=True) as hub:
                with pytest.raises(Unauthorized):
                    hub.sign_in(HERE, "esp", claimed="pump")
                assert len(hub.adoption) == 0

        anyrun(scene())

    def test_one_address_cannot_fill_it_but_may_go_on_trying(self, anyrun):
        async def scene():
            async with open_hub(adopt=True, sign_in_failures_per_min=2) as hub:
                knock(hub, "a")
                knock(hub, "b")
                with pytest.raises(RateLimited):
                    hub.sign_in(HERE, "c")
                for _ in range(5):
                    knock(hub, "a")
                assert names(hub) == ["a", "b"]

        anyrun(scene())

    def test_who_was_heard_least_lately_makes_room_and_who_waits_does_not(self, anyrun, monkeypatch):
        async def scene():
            monkeypatch.setattr(adoption, "MAX_UNKNOWN", 3)
            async with open_hub(adopt=True) as hub:
                waits(hub, "connected")
                knock(hub, "a")
                knock(hub, "b")
                knock(hub, "a")
                knock(hub, "c")
                assert (names(hub), hub.adoption.dropped) == (["c", "a", "connected"], 1)
                waits(hub, "a")
                waits(hub, "c")
                with pytest.raises(Unauthorized) as refused:
                    hub.sign_in(HERE, "d")
                assert type(refused.value) is Unauthorized
                assert (len(hub.adoption), hub.adoption.dropped) == (3, 2)

        anyrun(scene())

    def test_few_connections_wait_under_one_name(self, anyrun):
        async def scene():
            async with open_hub(adopt=True) as hub:
                sessions = [waits(hub)[1] for _ in range(adoption.MAX_SESSIONS_PER_ENTRY + 1)]
                assert [bool(session.ended) for session in sessions] == [True, False, False, False, False]

        anyrun(scene())


class TestAdopting:
    def test_makes_the_device_and_tells_it(self, anyrun):
        async def scene():
            async with open_hub(adopt=True) as hub:
                number, session = waits(hub)
                device, token, told = await hub.adoption.adopt(number, labels={"place": "garden"})
                assert told
                assert session.delivered == [(0, "adopt", {"token": token})]
                assert session.became is device
                assert (device.id, device.record.labels) == ("esp", {"place": "garden"})
                assert hub.adoption.list()[0]["adopted"] == "esp"
                with pytest.raises(Conflict):
                    await hub.adoption.adopt(number)
                hub.answer(device, 0, True, None)
                assert hub.adoption.list() == []
                with pytest.raises(NotFound):
                    hub.answer(device, 0, True, None)

        anyrun(scene())

    def test_tells_who_comes_back_until_it_signs_in(self, anyrun):
        async def scene():
            async with open_hub(adopt=True) as hub:
                number, session = waits(hub, takes_commands=False)
                device, token, told = await hub.adoption.adopt(number, "greenhouse")
                assert (device.id, told, session.delivered) == ("greenhouse", False, [])
                for _ in range(2):  # what was sent may not have arrived
                    _, session = waits(hub)
                    await turn()
                    assert session.delivered == [(0, "adopt", {"token": token})]
                assert hub.sign_in(HERE, token) is device
                assert hub.adoption.list() == []

        anyrun(scene())

    def test_tells_nobody_at_another_address(self, anyrun):
        async def scene():
            async with open_hub(adopt=True) as hub:
                number, mine = waits(hub)
                _, other = waits(hub, peer=THERE)
                await hub.adoption.adopt(number)
                _, late = waits(hub, peer=THERE)
                await turn()
                assert (len(mine.delivered), other.delivered, late.delivered) == (1, [], [])
                [other_entry, _] = hub.adoption.list()
                assert (other_entry["address"], other_entry["known"]) == ("192.0.2.2", "esp")

        anyrun(scene())

    def test_is_given_up_when_nobody_fetches_the_token(self, anyrun, clock):
        async def scene():
            async with open_hub(clock=clock, adopt=True) as hub:
                number = knock(hub)
                await hub.adoption.adopt(number)
                clock.advance(adoption.TELL_S - 1)
                hub.alerting.agenda.run_due(clock())
                assert len(hub.adoption) == 1
                clock.advance(1)
                hub.alerting.agenda.run_due(clock())
                assert len(hub.adoption) == 0
                assert "esp" in hub.catalogue.by_id

        anyrun(scene())

    def test_gives_a_known_device_a_new_token_only_when_that_is_meant(self, anyrun):
        async def scene():
            async with open_hub(adopt=True) as hub:
                _, old = await hub.create_device("esp")
                number, session = waits(hub)
                with pytest.raises(Conflict, match="already a device 'esp'"):
                    await hub.adoption.adopt(number)
                device, token, _ = await hub.adoption.adopt(number, replace=True)
                assert session.delivered == [(0, "adopt", {"token": token})]
                assert hub.authenticate(token) is device
                with pytest.raises(Unauthorized):
                    hub.authenticate(old)

        anyrun(scene())

    @pytest.mark.parametrize("change", ["removed", "renewed"])
    def test_is_over_when_the_device_is_removed_or_its_token_changed(self, anyrun, change):
        async def scene():
            async with open_hub(adopt=True) as hub:
                number = knock(hub)
                device, _, _ = await hub.adoption.adopt(number)
                await (hub.remove_device(device) if change == "removed" else hub.new_device_token(device))
                assert hub.adoption.list() == []

        anyrun(scene())

    def test_refuses_what_cannot_be(self, anyrun):
        async def scene():
            async with open_hub(adopt=True) as hub:
                number = knock(hub)
                with pytest.raises(NotFound):
                    await hub.adoption.adopt(number + 1)
                with pytest.raises(BadInput):
                    await hub.adoption.adopt(number, " ")
                await hub.create_device("host")
                with pytest.raises(Conflict):  # the server's own sensors have a session without a token
                    await hub.adoption.adopt(number, "host", replace=True)
                assert hub.adoption.list()[0]["adopted"] is None

        anyrun(scene())


class TestRestart:
    def test_finds_who_waited_and_what_they_said(self, anyrun, clock, make_store):
        async def scene():
            async with open_hub(make_store(), clock, adopt=True) as hub:
                number = knock(hub, "esp")
                hub.adoption.note(number, Frame("line", "in", "HELLO esp", peer=HERE))
                hub.adoption.ignore(knock(hub, "nuisance"))
                clock.advance(1)
                knock(hub, "last")
                before = hub.adoption.list()
            clock.advance(3600)
            async with open_hub(make_store(), clock, adopt=True) as hub:
                assert hub.adoption.list() == before
                assert names(hub, ignored=True) == ["nuisance"]
                assert knock(hub, "esp") == number
                assert knock(hub, "new") == 4
                with pytest.raises(Unauthorized):
                    hub.sign_in(HERE, "nuisance")
                device, _, _ = await hub.adoption.adopt(number)
                hub.answer(device, 0, True, None)
            async with open_hub(make_store(), clock, adopt=True) as hub:
                assert "esp" not in names(hub)
                assert "esp" in hub.catalogue.by_id

        anyrun(scene())

    def test_shows_who_has_not_fetched_its_token_as_one_that_waits(self, anyrun, clock, make_store):
        async def scene():
            async with open_hub(make_store(), clock, adopt=True) as hub:
                await hub.adoption.adopt(knock(hub))
            async with open_hub(make_store(), clock, adopt=True) as hub:
                [shown] = hub.adoption.list()
                assert (shown["known"], shown["adopted"]) == ("esp", None)
                _, session = waits(hub)
                device, token, told = await hub.adoption.adopt(shown["id"], replace=True)
                assert told
                assert session.delivered == [(0, "adopt", {"token": token})]
                assert hub.authenticate(token) is device

        anyrun(scene())

    def test_leaves_the_list_alone_while_it_is_closed(self, anyrun, clock, make_store):
        async def scene():
            async with open_hub(make_store(), clock, adopt=True) as hub:
                knock(hub)
            async with open_hub(make_store(), clock) as hub:
                assert hub.adoption.list() == []
            async with open_hub(make_store(), clock, adopt=True) as hub:
                assert names(hub) == ["esp"]

        anyrun(scene())

    def test_drops_who_was_silent_for_too_long(self, anyrun, clock, make_store):
        async def scene():
            async with open_hub(make_store(), clock, adopt=True) as hub:
                knock(hub, "gone")
                clock.advance(adoption.MAX_SILENT_S / 2)
                knock(hub, "there")
            clock.advance(adoption.MAX_SILENT_S / 2 + 1)
            async with open_hub(make_store(), clock, adopt=True) as hub:
                assert names(hub) == ["there"]
                clock.advance(adoption.MAX_SILENT_S / 2)
                hub.alerting.agenda.run_due(clock())
                assert names(hub) == []
            assert_none_stored(make_store())

        anyrun(scene())

    def test_costs_no_write_for_every_try(self, anyrun, clock):
        async def scene():
            async with open_hub(clock=clock, adopt=True) as hub:
                knock(hub)
                await hub.commits.durable()
                for _ in range(100):
                    clock.advance(1)
                    knock(hub)
                assert not hub.commits.batch
                clock.advance(adoption.STORE_EVERY_MS / 1000)
                knock(hub)
                await hub.commits.durable()
                [stored] = hub.store.load(UnknownDevice)
                assert (stored.tries, stored.last_ms) == (102, clock())

        anyrun(scene())


def assert_none_stored(store):
    store.open()
    assert store.load(UnknownDevice) == []
    store.close()


def test_who_is_ignored_is_refused_as_anybody_else(anyrun):
    async def scene():
        async with open_hub(adopt=True) as hub:
            number, session = waits(hub)
            hub.adoption.ignore(number)
            assert session.ended == "it is not wanted here"
            with pytest.raises(Unauthorized) as refused:
                hub.sign_in(HERE, "esp")
            assert type(refused.value) is Unauthorized
            assert (names(hub), names(hub, ignored=True)) == ([], ["esp"])
            await hub.adoption.adopt(number)
            assert names(hub) == ["esp"]
            with pytest.raises(NotFound):
                hub.adoption.ignore(99)

    anyrun(scene())


def test_the_end_of_the_server_ends_who_waits(anyrun):
    async def scene():
        async with open_hub(adopt=True) as hub:
            _, session = waits(hub)
            hub.adoption.close()
            assert session.ended == "the server is stopping"

    anyrun(scene())
