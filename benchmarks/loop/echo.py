"""What a message costs: server CPU of a 64-byte line echo, against C on epoll, uvloop and stock asyncio.

    python benchmarks/loop/echo.py                 # CPU per message, 64 connections
    python benchmarks/loop/echo.py --memory        # bytes of process memory an idle connection

Server and load generator run on a core each. The figure is the server's user and system time divided by the round
trips; servers take turns, one short round each, many times. Ratios are to C: of the minima, and the median of the
ratios round by round. A busy machine moves even the ratios (caches, batch sizes): run it alone.
Not measured here: latency, TLS, and anything above the loop.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
SERVERS = ("c", "hardpoint", "uvloop", "asyncio")
NS_PER_S = 1e9


class LineEcho(asyncio.Protocol):
    """Answers every line with itself."""

    __slots__ = ("_rest", "_transport")

    def connection_made(self, transport):
        self._transport = transport
        self._rest = b""

    def data_received(self, data):
        if self._rest:
            data = self._rest + data
            self._rest = b""
        if not data.endswith(b"\n"):
            data, _, self._rest = data.rpartition(b"\n")
            if not data:
                return
            data += b"\n"
        self._transport.write(data)


def serve(loop_name: str) -> None:
    """Be a server until killed; print the port."""
    if loop_name == "hardpoint":
        from hardpoint.loop import Loop

        factory = Loop
    elif loop_name == "uvloop":
        from uvloop import new_event_loop as factory
    else:
        factory = asyncio.SelectorEventLoop

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(LineEcho, "127.0.0.1", 0, backlog=4096)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


def compile_c(folder: Path) -> None:
    for name in ("epoll_echo", "load"):
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", folder / name, HERE / f"{name}.c"], check=True, cwd=folder)


@contextlib.contextmanager
def server(name: str, folder: Path, core: int) -> Iterator[tuple[int, int]]:
    """A server process pinned to ``core``; yields its pid and port."""
    command = [folder / "epoll_echo"] if name == "c" else [sys.executable, __file__, "--serve", name]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    os.sched_setaffinity(process.pid, {core})
    try:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def cpu_s(pid: int) -> float:
    """User and system time of the process so far: the scheduler's nanoseconds, not the ticks of /proc/PID/stat."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / NS_PER_S


def measure_cpu(names: list[str], connections: int, rounds: int, round_s: float) -> dict[str, list[float]]:
    """Microseconds of server CPU per message, ``rounds`` times for each server, in turns."""
    cores = sorted(os.sched_getaffinity(0))
    server_core, load_core = cores[0], cores[-1]
    costs: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as made, contextlib.ExitStack() as stack:
        folder = Path(made)
        compile_c(folder)
        running = {name: stack.enter_context(server(name, folder, server_core)) for name in names}
        for _ in range(rounds):
            for name, (pid, port) in running.items():
                before = cpu_s(pid)
                command = [folder / "load", str(port), str(connections), str(round_s)]
                with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
                    os.sched_setaffinity(load.pid, {load_core})
                    output, _ = load.communicate()
                costs[name].append((cpu_s(pid) - before) / int(output) * 1e6)
    return costs


def rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure_memory(name: str, connections: int) -> float:
    """Resident bytes that ``connections`` idle connections add to the server, divided by their number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, connections + 200)), hard))
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        compile_c(folder)
        with server(name, folder, min(os.sched_getaffinity(0))) as (pid, port):
            clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(64)]
            before = settled_rss_bytes(pid, clients)
            # A source address has about 28,000 ports; two of them are always enough.
            more = [
                socket.create_connection(("127.0.0.1", port), source_address=(f"127.0.0.{2 + i % 2}", 0))
                for i in range(connections)
            ]
            after = settled_rss_bytes(pid, more)
            for client in clients + more:
                client.close()
    return (after - before) / connections


def settled_rss_bytes(pid: int, clients: list[socket.socket]) -> int:
    """Resident memory once the server has answered a line on the last of ``clients``, so all are accepted."""
    for client in (clients[-1], clients[0]):
        client.sendall(b"x\n")
        client.recv(2)
    time.sleep(0.2)
    return rss_bytes(pid)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--serve", choices=SERVERS[1:], help=argparse.SUPPRESS)
    parser.add_argument("--servers", default=",".join(SERVERS), help="comma-separated (%(default)s)")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--round-s", type=float, default=1.0)
    parser.add_argument("--memory", action="store_true", help="memory per idle connection instead")
    parser.add_argument("--idle", type=int, default=15_000, help="idle connections for --memory (%(default)s)")
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    names = options.servers.split(",")
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"
    )
    if options.memory:
        print(f"{'server':<12}{'bytes an idle connection':>26}   ({options.idle} of them)")
        for name in names:
            if name != "c":
                print(f"{name:<12}{measure_memory(name, options.idle):>26,.0f}")
        return
    costs = measure_cpu(names, options.connections, options.rounds, options.round_s)
    print(f"{'server':<12}{'min µs':>9}{'median µs':>12}{'min ratio':>12}{'median ratio':>14}")
    base = costs.get("c") or costs[names[0]]
    for name, figures in costs.items():
        paired = [figure / yardstick for figure, yardstick in zip(figures, base, strict=True)]
        low, middle = min(figures), statistics.median(figures)
        print(f"{name:<12}{low:>9.2f}{middle:>12.2f}{low / min(base):>12.2f}{statistics.median(paired):>14.2f}")


if __name__ == "__main__":
    main()
