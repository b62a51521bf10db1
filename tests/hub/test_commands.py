"""The command ledger: every step there is and every one there is not, expiry, delivery anew, and failing disks."""

from __future__ import annotations

import asyncio

import pytest

from hardpoint.errors import BadInput, Conflict, NotFound, StorageFull, TooLarge
from hardpoint.hub import batch as batch_module
from hardpoint.hub import commands as commands_module
from hardpoint.hub.commands import TRANSITIONS, describe
from hardpoint.model import COMMAND_FINAL_STATES, COMMAND_STATES, MAX_VALUE_BYTES
from hardpoint.testing import FakeClock

from .hubs import FULL, HeldStore, NotingSession, attached, open_hub, turn


def states(command):
    return [state for state, _, _ in command.steps]


def test_the_life_of_a_command(anyrun, clock):
    async def scene():
        async with open_hub(clock=clock) as hub:
            device, _ = await hub.create_device("dev")
            began = clock()
            command = await hub.ledger.queue(device, "led.set", {"on": True}, ttl_s=60)
            clock.advance(s=1)
            session = NotingSession()
            hub.attach(session, device)
            assert session.delivered == [(1, "led.set", {"on": True})]
            clock.advance(s=1)
            hub.answer(device, 1, True, {"was": False})
            await hub.commits.durable()
            expected = {
                "id": 1,
                "device": "dev",
                "method": "led.set",
                "params": {"on": True},
                "state": "done",
                "created": began,
                "expires": began + 60_000,
                "result": {"was": False},
                "steps": [
                    {"state": "queued", "at": began, "reason": None},
                    {"state": "sent", "at": began + 1000, "reason": "over test"},
                    {"state": "done", "at": began + 2000, "reason": None},
                ],
            }
            assert describe(command) == expected
            assert describe(await hub.past.command(1)) == expected  # from the store
            assert hub.ledger.open_count == 0
            assert device.open_commands is None
            assert hub.ledger.finished["done"] == 1
            events = [(entry.kind, entry.data["state"]) for entry in hub.live.since(0) if entry.kind == "command"]
            assert events == [("command", "queued"), ("command", "sent"), ("command", "done")]

    anyrun(scene())


@pytest.mark.parametrize("begin", COMMAND_STATES)
@pytest.mark.parametrize("end", COMMAND_STATES)
def test_only_the_steps_of_the_table_are_taken(anyrun, begin, end):
    async def scene():
        async with open_hub() as hub:
            device, _ = await hub.create_device("dev")
            command = await hub.ledger.queue(device, "go")
            if begin != "queued":
                hub.ledger.advance(command, begin)
            steps = states(command)
            if end in TRANSITIONS.get(begin, ()):
                hub.ledger.advance(command, end, "because")
                assert command.steps[-1][::2] == [end, "because"]
                assert (hub.ledger.get(1) is None) is (end in COMMAND_FINAL_STATES)
            else:
                with pytest.raises(Conflict, match=f"command 1 is already {begin}"):
                    hub.ledger.advance(command, end)
                assert states(command) == steps

    anyrun(scene())


def test_no_way_leads_out_of_a_final_state_or_back():
    order = {state: number for number, state in enumerate(COMMAND_STATES)}
    assert not TRANSITIONS.keys() & COMMAND_FINAL_STATES
    for state, following in TRANSITIONS.items():
        assert all(order[state] < order[other] for other in following)
        assert following >= COMMAND_FINAL_STATES


def test_there_and_back_takes_two_commits(anyrun, monkeypatch):
    """Each commit is an fsync that the caller waits for: one before the command is sent, one before its answer is."""

    async def scene():
        monkeypatch.setattr(batch_module, "LINGER_S", 3600)
        store = HeldStore()
        async with open_hub(store) as hub:
            device, session = await attached(hub)
            await hub.commits.durable()
            store.batches.clear()
            command = await hub.ledger.queue(device, "go")
            assert session.delivered
            trip = asyncio.ensure_future(hub.ledger.wait(command, 60))
            await turn()
            hub.answer(device, command.id, True, 1)
            assert await trip
            stored = [[change.record.state for change in changes] for _, changes in store.batches]
            assert stored == [["queued"], ["sent", "done"]]

    anyrun(scene())


def test_a_caller_is_told_when_the_answer_cannot_be_stored(anyrun):
    async def scene():
        store = HeldStore()
        async with open_hub(store) as hub:
            device, _ = await attached(hub)
            command = await hub.ledger.queue(device, "go")
            trip = asyncio.ensure_future(hub.ledger.wait(command, 60))
            await turn()
            store.error = FULL
            hub.answer(device, command.id, True, 1)
            with pytest.raises(StorageFull):
                await trip
            store.error = None
            await hub.commits.durable()
            assert [one.state for one in store.commands()] == ["done"], "the answer came, and is not lost"

    anyrun(scene())


def test_a_refusal_of_the_device_is_a_failure_with_its_reason(anyrun):
    async def scene():
        async with open_hub() as hub:
            device, _ = await attached(hub)
            first = await hub.ledger.queue(device, "go")
            hub.answer(device, first.id, False, "no such pin")
            assert (first.state, first.steps[-1][2], first.result) == ("failed", "no such pin", "no such pin")
            second = await hub.ledger.queue(device, "go")
            hub.answer(device, second.id, False, {"code": 5})
            assert (second.state, second.steps[-1][2], second.result) == ("failed", None, {"code": 5})

    anyrun(scene())


def test_only_the_device_that_was_asked_may_answer_and_only_once(anyrun):
    async def scene():
        async with open_hub() as hub:
            device, _ = await attached(hub)
            other, _ = await attached(hub, "other")
            command = await hub.ledger.queue(device, "go")
            for wrong_device, number in ((other, command.id), (device, 99)):
                with pytest.raises(NotFound, match="is not waiting for an answer"):
                    hub.answer(wrong_device, number, True, None)
            hub.answer(device, command.id, True, None)
            with pytest.raises(NotFound):
                hub.answer(device, command.id, True, None)

    anyrun(scene())


def test_an_answer_that_cannot_be_stored_leaves_the_command_open(anyrun):
    async def scene():
        async with open_hub() as hub:
            device, _ = await attached(hub)
            command = await hub.ledger.queue(device, "go")
            nested = []
            for _ in range(100):
                nested = [nested]
            for payload in (nested, "x" * (MAX_VALUE_BYTES + 1)):
                with pytest.raises(TooLarge):
                    hub.answer(device, command.id, True, payload)
            assert command.state == "sent"
            hub.answer(device, command.id, True, {"n": [2**70]})
            assert command.result == {"n": [str(2**70)]}

    anyrun(scene())


def test_what_waits_goes_out_in_order_and_again_until_it_is_answered(anyrun):
    async def scene():
        async with open_hub() as hub:
            device, _ = await hub.create_device("dev")
            for n in range(3):
                await hub.ledger.queue(device, "go", n)
            deaf, first, second = NotingSession(takes_commands=False), NotingSession(), NotingSession()
            hub.attach(deaf, device)
            assert hub.ledger.get(1).state == "queued"
            hub.attach(first, device)
            assert first.delivered == [(1, "go", 0), (2, "go", 1), (3, "go", 2)]
            hub.answer(device, 2, True, None)
            hub.detach(first)
            hub.attach(second, device)
            assert second.delivered == [(1, "go", 0), (3, "go", 2)]
            assert states(hub.ledger.get(1)) == ["queued", "sent"]  # sent twice is one step
            hub.ledger.advance(hub.ledger.get(1), "delivered")
            third = NotingSession()
            hub.attach(third, device)
            assert third.delivered == [(3, "go", 2)]  # what was acknowledged is there
            hub.detach(third)
            # The newest session is asked first, and another when it cannot.
            hub.attach(NotingSession(takes_commands=False), device)
            await hub.ledger.queue(device, "more")
            assert second.delivered[-1] == (4, "more", None)

    anyrun(scene())


class TestNotDurableYet:
    def test_is_not_sent(self, anyrun):
        async def scene():
            store = HeldStore()
            async with open_hub(store) as hub:
                device, session = await attached(hub)
                store.held = True
                queueing = asyncio.ensure_future(hub.ledger.queue(device, "go"))
                await turn()
                late = NotingSession()
                hub.attach(late, device)
                assert session.delivered == late.delivered == []
                store.held = False
                store.release()
                await queueing
                assert late.delivered == [(1, "go", None)]

        anyrun(scene())

    def test_is_undone_when_the_disk_is_full(self, anyrun):
        async def scene():
            store = HeldStore()
            async with open_hub(store) as hub:
                device, session = await attached(hub)
                store.error = FULL
                with pytest.raises(StorageFull):
                    await hub.ledger.queue(device, "go")
                assert hub.ledger.open_count == 0
                assert session.delivered == []
                store.error = None
                await hub.commits.durable()
                assert store.commands() == []
                assert (await hub.ledger.queue(device, "go")).id == 2  # no number is used twice

        anyrun(scene())

    def test_a_step_taken_before_is_not_overwritten(self, anyrun, make_store):
        """The caller cancels, or the device's answer comes, in the very commit that stores the command."""

        async def scene():
            async with open_hub(make_store()) as hub:
                device, _ = await hub.create_device("dev")
                queueing = asyncio.ensure_future(hub.ledger.queue(device, "go"))
                await asyncio.sleep(0)
                hub.ledger.advance(hub.ledger.get(1), "cancelled", "by a test")
                command = await queueing
                assert command.state == "cancelled"
                [stored] = hub.store.commands()
                assert (stored.state, states(stored)) == ("cancelled", ["queued", "cancelled"])

        anyrun(scene())

    def test_is_cancelled_when_its_caller_goes_away(self, anyrun):
        async def scene():
            store = HeldStore()
            async with open_hub(store) as hub:
                device, session = await attached(hub)
                store.held = True
                queueing = asyncio.ensure_future(hub.ledger.queue(device, "go"))
                await turn()
                queueing.cancel()
                await asyncio.gather(queueing, return_exceptions=True)
                store.held = False
                store.release()
                await hub.commits.durable()
                [stored] = store.commands()
                assert stored.steps[-1][::2] == ["cancelled", "its caller went away before it was stored"]
                assert session.delivered == []
                assert hub.ledger.open_count == 0

        anyrun(scene())


class TestExpiry:
    def test_says_whether_the_device_was_there(self, anyrun, clock):
        async def scene():
            async with open_hub(clock=clock) as hub:
                absent, _ = await hub.create_device("absent")
                silent, _ = await attached(hub, "silent")
                first = await hub.ledger.queue(absent, "go", ttl_s=5)
                second = await hub.ledger.queue(silent, "go", ttl_s=5)
                third = await hub.ledger.queue(silent, "go", ttl_s=6)
                clock.advance(s=4.999)
                hub.ledger._expire()
                assert (first.state, second.state) == ("queued", "sent")
                clock.advance(ms=1)
                hub.ledger._expire()
                assert first.steps[-1][::2] == ["expired", "the device was not there"]
                assert second.steps[-1][::2] == ["expired", "the device did not answer in time"]
                assert third.state == "sent"
                with pytest.raises(NotFound):
                    hub.answer(silent, second.id, True, None)

        anyrun(scene())

    def test_happens_by_itself(self, anyrun):
        async def scene():
            from hardpoint.hub.clocks import wall_clock_ms

            async with open_hub(clock=wall_clock_ms) as hub:
                device, _ = await hub.create_device("dev")
                long = await hub.ledger.queue(device, "go", ttl_s=3600)
                command = await hub.ledger.queue(device, "go", ttl_s=0.02)
                assert await hub.ledger.wait(command, 60)
                assert (command.state, long.state) == ("expired", "queued")

        anyrun(scene())

    def test_of_what_ran_out_while_the_server_was_down(self, anyrun, make_store, clock):
        async def scene():
            async with open_hub(make_store(), clock) as hub:
                device, _ = await hub.create_device("dev")
                await hub.ledger.queue(device, "go", ttl_s=5)
            clock.advance(s=10)
            async with open_hub(make_store(), clock) as hub:
                command = hub.ledger.get(1)
                assert await hub.ledger.wait(command, 60)
                assert command.state == "expired"

        anyrun(scene())

    def test_finished_commands_do_not_pile_up_in_its_heap(self, anyrun, monkeypatch):
        async def scene():
            monkeypatch.setattr(commands_module, "MIN_EXPIRIES", 10)
            async with open_hub() as hub:
                device, _ = await attached(hub)
                for _ in range(50):
                    command = await hub.ledger.queue(device, "go", ttl_s=86_400)
                    hub.answer(device, command.id, True, None)
                    assert len(hub.ledger._expiries) <= 12

        anyrun(scene())


class TestWaiting:
    def test_ends_with_the_answer_and_with_the_time(self, anyrun):
        async def scene():
            async with open_hub() as hub:
                device, _ = await attached(hub)
                command = await hub.ledger.queue(device, "go")
                assert await hub.ledger.wait(command, 0.001) is False
                waiting = [asyncio.ensure_future(hub.ledger.wait(command, 30)) for _ in range(2)]
                await turn()
                gone = asyncio.ensure_future(hub.ledger.wait(command, 30))
                await turn()
                gone.cancel()
                hub.answer(device, command.id, True, 5)
                assert await asyncio.gather(*waiting) == [True, True]
                assert await hub.ledger.wait(command, 30) is True  # it is over already
                assert hub.ledger._waiting == {}
                assert hub.store.commands()[0].state == "done"  # durable before it is told

        anyrun(scene())

    def test_ends_when_the_device_is_removed(self, anyrun):
        async def scene():
            async with open_hub() as hub:
                device, _ = await attached(hub)
                command = await hub.ledger.queue(device, "go")
                waiting = asyncio.ensure_future(hub.ledger.wait(command, 30))
                await turn()
                await hub.remove_device(device)
                assert await waiting is True
                assert command.steps[-1][::2] == ["cancelled", "the device was removed"]

        anyrun(scene())


@pytest.mark.parametrize(
    ("method", "params", "ttl_s", "error"),
    [
        ("", None, 60, BadInput),
        ("two words", None, 60, BadInput),
        ("1st", None, 60, BadInput),
        ("x" * 65, None, 60, BadInput),
        ("a\n", None, 60, BadInput),
        ("go", None, 0, BadInput),
        ("go", None, -1, BadInput),
        ("go", None, float("nan"), BadInput),
        ("go", None, 31 * 86_400, BadInput),
        ("go", "x" * MAX_VALUE_BYTES, 60, TooLarge),
    ],
)
def test_a_command_that_cannot_be_is_refused(anyrun, method, params, ttl_s, error):
    async def scene():
        async with open_hub() as hub:
            device, session = await attached(hub)
            with pytest.raises(error):
                await hub.ledger.queue(device, method, params, ttl_s)
            assert (hub.ledger.open_count, session.delivered) == (0, [])

    anyrun(scene())


def test_the_number_of_open_commands_is_bounded(anyrun):
    async def scene():
        async with open_hub(max_open_commands_per_device=2) as hub:
            device, _ = await attached(hub)
            other, _ = await attached(hub, "other")
            for _ in range(2):
                await hub.ledger.queue(device, "go")
            with pytest.raises(TooLarge, match=r"max_open_commands_per_device \(2\) is reached for dev"):
                await hub.ledger.queue(device, "go")
            await hub.ledger.queue(other, "go")
            hub.answer(device, 1, True, None)
            await hub.ledger.queue(device, "go")

    anyrun(scene())


def test_the_list_is_the_newest_first_and_the_open_ones_as_they_are(anyrun, make_store):
    async def scene():
        async with open_hub(make_store()) as hub:
            device, _ = await hub.create_device("dev")
            for n in range(5):
                await hub.ledger.queue(device, "go", n)
            hub.ledger.advance(hub.ledger.get(3), "cancelled")
            await hub.commits.durable()
            found = await hub.past.commands(device, before_id=None, limit=2)
            assert [command.id for command in found] == [5, 4]
            found = await hub.past.commands(device, before_id=4, limit=10)
            assert [(command.id, command.state) for command in found] == [
                (3, "cancelled"),
                (2, "queued"),
                (1, "queued"),
            ]
            assert found[1] is hub.ledger.get(2)
            for number in (0, 6, -1, 10**17):
                with pytest.raises(NotFound, match=f"no command {number}"):
                    await hub.past.command(number)

    anyrun(scene())


def test_a_command_lasts_as_long_as_it_was_to_when_the_clock_is_set(anyrun, clock):
    async def scene():
        steady, store = FakeClock(0), HeldStore()

        def pass_s(seconds):
            clock.advance(seconds)
            steady.advance(seconds)

        async with open_hub(store, clock, steady_ms=steady) as hub:
            device, _ = await hub.create_device("dev")
            before = await hub.ledger.queue(device, "before", ttl_s=3600)
            clock.advance(s=86_400)  # set, and nobody has noticed yet
            after = await hub.ledger.queue(device, "after", ttl_s=3600)
            assert before.expires_ms == after.expires_ms == clock() + 3_600_000
            await hub.commits.durable()
            assert {each.expires_ms for each in store.commands(open_only=True, limit=9)} == {after.expires_ms}
            pass_s(3599)
            hub.ledger._expire()
            assert hub.ledger.open_count == 2
            pass_s(1)
            hub.ledger._expire()
            assert hub.ledger.open_count == 0

    anyrun(scene())


def test_a_command_of_before_the_start_keeps_its_time_when_the_clock_is_set(anyrun, clock):
    """It was written down by a clock that had been set: a machine without a battery starts in the past."""

    async def scene():
        steady, store = FakeClock(0), HeldStore()
        async with open_hub(store, clock, steady_ms=steady) as hub:
            device, _ = await hub.create_device("dev")
            await hub.ledger.queue(device, "go", ttl_s=3600)
        clock.advance(s=-600)
        async with open_hub(store, clock, steady_ms=steady) as hub:
            clock.advance(s=600 + 3599)
            hub.ledger._expire()
            assert hub.ledger.open_count == 1
            clock.advance(s=1)
            hub.ledger._expire()
            assert hub.ledger.open_count == 0

    anyrun(scene())
