"""What the loop itself costs, without a socket: callbacks, timers, task switches and wake-ups of futures.

    python benchmarks/loop/micro.py

All loops in one process, in turns of short rounds on one core; nanoseconds of CPU an operation. Ratios are to stock
asyncio: of the minima, and the median of the ratios round by round.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import threading
import time
from collections.abc import Awaitable, Callable

from echo_server import factory
from rig import available, head

Case = Callable[[int], Awaitable[None]]


async def call_soon(count: int) -> None:
    """Callbacks that each schedule the next one: a turn each."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def step(left: int) -> None:
        if left:
            loop.call_soon(step, left - 1)
        else:
            done.set_result(None)

    loop.call_soon(step, count)
    await done


async def call_soon_many(count: int) -> None:
    """Callbacks scheduled all at once: one turn for all of them."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    for _ in range(count - 1):
        loop.call_soon(nothing)
    loop.call_soon(done.set_result, None)
    await done


def nothing() -> None:
    pass


async def call_later(count: int) -> None:
    """Timers that are due within a millisecond, in a shuffled order, and fire."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    left = count

    def fire() -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set_result(None)

    for at in range(count):
        loop.call_later((at * 7919 % count) / count * 0.001, fire)
    await done


async def call_later_cancelled(count: int) -> None:
    """Time-outs as servers use them: set, and cancelled long before they are due."""
    loop = asyncio.get_running_loop()
    for at in range(count):
        loop.call_later(60.0, nothing).cancel()
        if not at % 100:
            await asyncio.sleep(0)


async def task_switch(count: int) -> None:
    """Two tasks that give way to each other."""

    async def give_way() -> None:
        for _ in range(count // 2):
            await asyncio.sleep(0)

    await asyncio.gather(give_way(), give_way())


async def task_create(count: int) -> None:
    """Tasks made, run and awaited, one after another."""

    async def task() -> None:
        pass

    for _ in range(count):
        await asyncio.create_task(task())


async def future_wakeup(count: int) -> None:
    """A task that waits for a future which a callback resolves."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        future = loop.create_future()
        loop.call_soon(future.set_result, None)
        await future


async def threadsafe(count: int) -> None:
    """Callbacks from another thread, while the loop runs: the wake-up included."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def speak() -> None:
        for _ in range(count - 1):
            loop.call_soon_threadsafe(nothing)
        loop.call_soon_threadsafe(done.set_result, None)

    thread = threading.Thread(target=speak)
    thread.start()
    await done
    thread.join()


CASES: dict[str, tuple[Case, int]] = {
    "call_soon, a turn each": (call_soon, 20_000),
    "call_soon, one turn": (call_soon_many, 50_000),
    "call_later, fired": (call_later, 20_000),
    "call_later, cancelled": (call_later_cancelled, 50_000),
    "task switch": (task_switch, 50_000),
    "task created and awaited": (task_create, 20_000),
    "future wake-up": (future_wakeup, 20_000),
    "call_soon_threadsafe": (threadsafe, 20_000),
}
"""Name → what is run, and how many operations a round."""


def cost_ns(loop: asyncio.AbstractEventLoop, case: Case, count: int) -> float:
    """CPU of the whole process, an operation."""
    before = time.process_time_ns()
    loop.run_until_complete(case(count))
    return (time.process_time_ns() - before) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--loops", default="asyncio,hardpoint,uvloop,rloop", help="comma-separated (%(default)s)")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--case", default="", help="only those whose name holds this")
    given = parser.parse_args()
    names = available(given.loops.split(","))
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    head()
    loops = {name: factory(name)() for name in names}
    print(f"{'operation':<28}{'loop':<12}{'min ns':>9}{'median ns':>11}{'of min':>9}{'paired':>9}")
    for title, (case, count) in CASES.items():
        if given.case not in title:
            continue
        for loop in loops.values():
            cost_ns(loop, case, count)  # warm: caches, specialised byte code
        costs: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(given.rounds):
            for name, loop in loops.items():
                costs[name].append(cost_ns(loop, case, count))
        base = costs[names[0]]
        for name, figures in costs.items():
            paired = statistics.median(own / other for own, other in zip(figures, base, strict=True))
            print(
                f"{title if name == names[0] else '':<28}{name:<12}{min(figures):>9.0f}"
                f"{statistics.median(figures):>11.0f}{min(figures) / min(base):>9.2f}{paired:>9.2f}"
            )
    for loop in loops.values():
        loop.close()


if __name__ == "__main__":
    main()
