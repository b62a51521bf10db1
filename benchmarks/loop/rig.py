"""What the loop's benchmarks share: servers and loads as pinned processes, what they cost, and how rounds are compared.

**Why volleys.** A closed-loop load on a core of its own makes the figure depend on who is faster. A server that outruns
the load sleeps after nearly every line and pays for a wake-up each; one that lags finds many lines at once and shares
one `epoll_wait` among them. Whether C on epoll is the one or the other changes with the hour on a virtual machine, and
the ratio with it: the same build gave 1.12 by the minima and 1.44 by the medians. In a volley, load and server take
turns on one core, so every server finds the same number of lines at every wake-up, and clock and caches are the same
for all. "Lines a wake-up" stands beside each figure as the proof.

**Why pairs.** Servers take turns in short rounds; the ratio is taken within a round and its median over the rounds.
Whatever slows a machine for seconds slows both sides of a pair.

**Why a new process a round.** Where things lie in a process's memory is drawn once in its life, and figures show it.
The extreme is stock asyncio: it reads into a new 256 KiB each time, and in some processes the C library gives that back
to the kernel after each read and faults it in again: 28 µs a line with two page faults, 9 µs without. One process over
all rounds would be one draw; "faults/line" shows what was drawn.
"""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from echo_server import LOOPS, factory

HERE = Path(__file__).parent
CERTIFICATE = HERE.parent.parent / "tests" / "loop" / "localhost.pem"
SERVERS = ("c", *LOOPS)
CPUCLOCK_SCHED = 2
"""The clock of what the scheduler gave a process: clock_getcpuclockid(3), include/linux/posix-timers.h."""
CONNECTIONS_A_SOURCE = 10_000
"""A source address has about 28,000 ports (ip_local_port_range)."""


class LoadFailed(Exception):
    """The server refused, answered wrongly, or did not answer for ten seconds."""


@dataclass(frozen=True)
class Server:
    name: str
    pid: int
    port: int


@dataclass(frozen=True)
class Round:
    """One server under one load, once."""

    cpu_us: float
    """Server CPU a line, all threads."""
    lines_per_s: float
    lines_a_wakeup: float
    """Lines for each time the server went to sleep."""
    faults_a_line: float
    """Page faults of the server that needed no disk."""


def available(names: Sequence[str]) -> list[str]:
    """Those of the servers that can be had here; says which are left out."""
    found = []
    for name in names:
        if name not in SERVERS:
            raise SystemExit(f"no server {name!r}; there are {', '.join(SERVERS)}")
        if name != "c":
            try:
                factory(name)
            except ImportError:
                print(f"{name} is not installed and left out", file=sys.stderr)
                continue
        found.append(name)
    return found


def compile_c(folder: Path) -> None:
    for name in ("epoll_echo", "load"):
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", folder / name, HERE / f"{name}.c"], check=True, cwd=folder)


def cores() -> tuple[int, int]:
    """The server's core and another one, which is the same where there is one only."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def pinned(core: int, command: Sequence[object]) -> list[str]:
    """The command on one core, where it preempts nobody (SCHED_BATCH)."""
    return ["taskset", "-c", str(core), "chrt", "-b", "0", *map(str, command)]


@contextlib.contextmanager
def server(name: str, folder: Path, *, tls: bool = False) -> Iterator[Server]:
    """A server process on the server's core, until the end of the block."""
    command: list[object] = [folder / "epoll_echo"] if name == "c" else [sys.executable, HERE / "echo_server.py", name]
    if tls:
        command.append(CERTIFICATE)
    with subprocess.Popen(pinned(cores()[0], command), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Server(name, process.pid, int(process.stdout.readline()))
        finally:
            process.kill()


def cpu_s(pid: int) -> float:
    """User and system time of all threads so far."""
    return time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED)


def sleeps(pid: int) -> int:
    """How often any thread of the process has gone to sleep by itself."""
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                total += int(line.split()[1])
    return total


def page_faults(pid: int) -> int:
    """Minor ones so far: the tenth field of /proc/PID/stat (proc_pid_stat(5)), the eighth behind the name."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])


def play(target: Server, core: int, command: Sequence[object]) -> Round:
    """One round. The command is a load that says ``ready``, begins at a line on its stdin, says ``TRIPS SECONDS``, and
    ends at another line.

    Raises:
        LoadFailed: it did not.
    """
    with subprocess.Popen(
        pinned(core, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as load:
        try:
            assert load.stdin is not None
            assert load.stdout is not None
            if load.stdout.readline() != "ready\n":
                raise LoadFailed(target.name)
            faults_before, sleeps_before, cpu_before = page_faults(target.pid), sleeps(target.pid), cpu_s(target.pid)
            load.stdin.write("\n")
            said = load.stdout.readline().split()
            cpu, slept = cpu_s(target.pid) - cpu_before, sleeps(target.pid) - sleeps_before
            faults = page_faults(target.pid) - faults_before
            load.stdin.write("\n")
        except BaseException:
            load.kill()
            raise
    if load.returncode or len(said) != 2:
        raise LoadFailed(target.name)
    lines, seconds = int(said[0]), float(said[1])
    return Round(cpu * 1e6 / lines, lines / seconds, lines / max(1, slept), faults / lines)


def take_turns(found: dict[str, list[Round]], rounds: int, one: Callable[[str], Round]) -> None:
    """Fill ``found`` with rounds of each of its names. One that fails is left out from then on, and that is said."""
    for _ in range(rounds):
        for name in list(found):
            try:
                found[name].append(one(name))
            except LoadFailed:
                print(f"{name} failed under the load, in round {len(found[name]) + 1}: left out", file=sys.stderr)
                del found[name]


def idle_connections(port: int, count: int) -> list[socket.socket]:
    """So many connections that say nothing. They reset when closed: no port is left in TIME_WAIT for a minute."""
    held = []
    for at in range(count):
        source = (f"127.0.0.{2 + at // CONNECTIONS_A_SOURCE}", 0)
        connection = socket.create_connection(("127.0.0.1", port), timeout=30, source_address=source)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        held.append(connection)
    return held


def allow_descriptors(count: int) -> None:
    """Let this process and its children have so many, or say that they may not."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise SystemExit(f"{count} descriptors are needed and {hard} allowed (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def head() -> None:
    """What the figures belong to."""
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"
    )


def compare(found: dict[str, list[Round]], base: str) -> None:
    """A line a server: cost, its ratio to the base by the minima and by the paired rounds, throughput, batch."""
    print(
        f"{'server':<20}{'min µs':>9}{'median µs':>11}{'of min':>9}{'paired':>9}{'25-75 %':>14}"
        f"{'lines/s':>11}{'lines/wake-up':>15}{'faults/line':>13}"
    )
    for name, rounds in found.items():
        costs = [each.cpu_us for each in rounds]
        yardstick = [each.cpu_us for each in found[base]]
        ratios = [cost / other for cost, other in zip(costs, yardstick, strict=True)]
        low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else (ratios[0],) * 3
        print(
            f"{name:<20}{min(costs):>9.2f}{statistics.median(costs):>11.2f}{min(costs) / min(yardstick):>9.2f}"
            f"{statistics.median(ratios):>9.2f}{f'{low:.2f}-{high:.2f}':>14}"
            f"{statistics.median(each.lines_per_s for each in rounds):>11,.0f}"
            f"{statistics.median(each.lines_a_wakeup for each in rounds):>15.1f}"
            f"{statistics.median(each.faults_a_line for each in rounds):>13.2f}"
        )
