"""The promise of SPEC §8 at the hub: what is acknowledged is stored, what failed is not, and everybody hears of theirs
once and in order, whatever order things happen in.
"""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from hardpoint.loop import Loop
from hardpoint.model import Series
from properties import examples

from .hubs import FULL, HeldStore, attached, open_hub, turn

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("ingest"), st.integers(0, 2), st.integers(1, 4)),
        st.tuples(st.just("release"), st.booleans(), st.just(0)),
        st.tuples(st.just("turn"), st.just(0), st.just(0)),
        st.tuples(st.just("detach"), st.integers(0, 2), st.just(0)),
    ),
    max_size=40,
)


@given(ACTIONS)
@examples(60)
def test_acknowledged_means_stored(actions):
    async def scene():
        store = HeldStore()
        async with open_hub(store) as hub:
            sessions = [(await attached(hub, f"dev-{n}"))[1] for n in range(3)]
            store.held = True
            handed_in: list[list[list[tuple[int, str]]]] = [[], [], []]
            count = 0
            for action, first, second in actions:
                if action == "ingest":
                    session = sessions[first]
                    samples = [(count + n, f"k{n}", count + n) for n in range(second)]
                    count += second
                    receipt = len(handed_in[first])
                    handed_in[first].append([(ts, key) for ts, key, _ in samples])
                    hub.ingest(session, session.device, samples, receipt)
                elif action == "release" and store.waiting:
                    store.release(None if first else FULL)
                    await turn(5)
                elif action == "detach":
                    hub.detach(sessions[first])  # the device hangs up; its readings were taken all the same
                else:
                    await turn()
            store.held = False
            while store.waiting:
                store.release()
                await turn(5)
            await hub.commits.durable()
            series = {entry.id: (entry.device_id, entry.key) for entry in store.load(Series)}
            stored = {(*series[number], ts) for number in series for ts, _ in store.readings(number, 0, 10**9)}
            expected = set()
            for session, lines in zip(sessions, handed_in, strict=True):
                told = [(receipt, error) for receipts, error in session.acknowledged for receipt in receipts]
                assert [receipt for receipt, _ in told] == list(range(len(lines)))
                for receipt, error in told:
                    if error is None:
                        expected |= {(session.device.id, key, ts) for ts, key in lines[receipt]}
            assert stored == expected

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(scene())
