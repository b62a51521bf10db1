"""The run: each model in its turn, with more and more idle connections, under the same load.

A model is a server process, with a core of its own where there are two. Beside it one process holds the idle
connections and one is the load. At each number of idle connections the server is first left alone, for its idle CPU,
and then asked, in slices of which the median counts: a neighbour's burst spoils one slice.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Self

import psutil

from .children import Child
from .costs import cpu_s, resident_bytes
from .limits import FREE_DESCRIPTORS, raise_descriptor_limit, thread_limit
from .models import MODELS
from .results import Point, Results, Stop

DEFAULT_CONNECTIONS = (10, 100, 1_000, 5_000, 15_000)
MAX_CONNECTIONS = 100_000
DEFAULT_ACTIVE = 64
MAX_ACTIVE = 512
"""So many connections that ask still fit below select's 1,024 descriptors."""
DEFAULT_RATE = 128
"""Two lines a second from each of 64. So slow that a wake-up brings one line, and its cost is the whole cost of asking
the kernel; at thousands a second one question serves many lines, and what looks at everybody is soon at its end."""
MAX_RATE = 10_000
DEFAULT_SECONDS = 2.0
MAX_SECONDS = 20.0
SLICES = 3
IDLE_SECONDS = 0.4
CROWD_STEP = 100
"""Connections opened at once. Older kernels queue 128 at most and then let a client wait for a second."""
SETTLE_TIMEOUT_S = 30.0
SETTLE_CHECK_S = 0.002
MIN_FREE_BYTES = 200 * 2**20
"""A model that leaves less memory than this to the machine is stopped: a lab must not take its host down."""

Progress = Callable[[str, int, int], None]
"""Told what is being done now, how many points are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    models: Sequence[str] = tuple(MODELS)
    connections: Sequence[int] = DEFAULT_CONNECTIONS
    active: int = DEFAULT_ACTIVE
    rate: int = DEFAULT_RATE
    seconds: float = DEFAULT_SECONDS
    notes: list[str] = field(default_factory=list)
    """What had to be changed to fit this machine, for the person to read."""


def fitted(plan: Plan) -> Plan:
    """The plan with no more connections than this machine's descriptors allow, each number once, in order."""
    room = raise_descriptor_limit() - plan.active - FREE_DESCRIPTORS
    wanted = sorted(set(plan.connections))
    fitting = [number for number in wanted if number <= room]
    notes = list(plan.notes)
    if fitting != wanted:
        fitting.append(room)
        allowed = room + plan.active + FREE_DESCRIPTORS
        notes.append(f"a process may have {allowed:,} descriptors here (ulimit -Hn): at most {room:,} idle connections")
    return Plan(plan.models, fitting, plan.active, plan.rate, plan.seconds, notes)


def run(plan: Plan, progress: Progress) -> Results:
    """Run the plan. Every process that it starts has ended when it returns or raises.

    Raises:
        ChildFailed: a process ended or hung.
    """
    results = Results(machine(), "", plan.active, plan.rate, plan.seconds, thread_limit())
    total = len(plan.models) * len(plan.connections)
    for number, name in enumerate(plan.models):
        done = number * len(plan.connections)
        with Bench(name, plan, results) as bench:
            for step, idle in enumerate(plan.connections):
                progress(f"{MODELS[name].title}: {idle:,} idle connections", done + step, total)
                if not bench.stage(idle):
                    break
            bench.weigh()
    progress("done", total, total)
    return results


class Bench:
    """One model's processes."""

    def __init__(self, name: str, plan: Plan, results: Results) -> None:
        self._name = name
        self._plan = plan
        self._results = results
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        server_core, load_core = cores()
        with ExitStack() as stack:
            self._server = stack.enter_context(Child("server", self._name, core=server_core))
            told = self._server.ask()
            self._results.sensor = told["sensor"]
            port = told["port"]
            self._load = stack.enter_context(Child("load", self._server.pid, port, self._plan.active, core=load_core))
            self._crowd = stack.enter_context(Child("crowd", port, core=load_core))
            self._settle(self._plan.active)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def stage(self, idle: int) -> bool:
        """Grow the crowd and measure. False when the model has stopped: it was then measured at what it bore."""
        held = self._grow(idle)
        if held is not None:
            self._results.points.append(self._measure(held))
        stopped = self._results.stop_of(self._name) is not None
        return not stopped

    def weigh(self) -> None:
        """Work out what an idle connection weighs, from the first point to the last."""
        points = self._results.of(self._name)
        if len(points) > 1:
            more = points[-1].resident_bytes - points[0].resident_bytes
            self._results.bytes_a_connection[self._name] = more / (points[-1].idle - points[0].idle)

    def _grow(self, idle: int) -> int | None:
        """Open idle connections step by step. How many there are in the end, None for none more than before."""
        points = self._results.of(self._name)
        held = points[-1].idle if points else 0
        before = held
        while held < idle:
            wanted = min(idle, held + CROWD_STEP)
            grown = self._crowd.ask(hold=wanted)
            told = self._settle(self._plan.active + grown["held"])
            held = told["served"] - self._plan.active
            why = told["why"] or grown["why"] or short_of_memory()
            if why:
                self._results.stops.append(Stop(self._name, told["served"], why))
                break
        return held if held > before else None

    def _settle(self, connections: int) -> Any:
        """Wait until the server has served or refused so many, and for `SETTLE_CHECK_S` no more; what it then says.

        A connection may be served at first and refused a turn later, which the second look finds.
        """
        until = time.monotonic() + SETTLE_TIMEOUT_S
        before = None
        while True:
            told = self._server.ask()
            complete = told["served"] + told["refused"] >= connections
            if (complete and told == before) or time.monotonic() > until:
                return told
            before = told
            time.sleep(SETTLE_CHECK_S)

    def _measure(self, idle: int) -> Point:
        pid = self._server.pid
        began, cpu_before = time.perf_counter(), cpu_s(pid)
        time.sleep(IDLE_SECONDS)
        idle_cpu = (cpu_s(pid) - cpu_before) / (time.perf_counter() - began)
        slices = [self._load.ask(rate=self._plan.rate, seconds=self._plan.seconds / SLICES) for _ in range(SLICES)]
        waits_us = sorted(wait for each in slices for wait in each["waits_us"])
        return Point(
            model=self._name,
            idle=idle,
            cpu_us=statistics.median(each["cpu_s"] * 1e6 / max(1, each["answered"]) for each in slices),
            p50_ms=percentile(waits_us, 50) / 1000,
            p99_ms=percentile(waits_us, 99) / 1000,
            answered_per_s=sum(each["answered"] for each in slices) / sum(each["seconds"] for each in slices),
            idle_cpu_percent=idle_cpu * 100,
            resident_bytes=resident_bytes(pid),
        )


def percentile(ascending: Sequence[int], percent: int) -> int:
    """The smallest value that so many percent of them do not exceed (nearest rank); 0 of none."""
    if not ascending:
        return 0
    return ascending[max(0, -(-len(ascending) * percent // 100) - 1)]


def cores() -> tuple[int | None, int | None]:
    """A core for the server and another for the load; no choice where there is one only, or no way to choose."""
    if sys.platform != "linux":
        return None, None
    available = sorted(os.sched_getaffinity(0))
    return (available[0], available[-1]) if len(available) > 1 else (None, None)


def short_of_memory() -> str | None:
    """Why to stop, when the machine has nearly no memory left."""
    free: int = psutil.virtual_memory().available
    if free >= MIN_FREE_BYTES:
        return None
    return f"the lab leaves the machine {MIN_FREE_BYTES >> 20} MiB of memory, and there are {free >> 20} MiB"


def machine() -> str:
    """What the figures belong to."""
    count = os.cpu_count() or 1
    return (
        f"{platform.system()} {platform.release()}, {platform.machine()}, {count} core{'s' if count > 1 else ''}, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )
