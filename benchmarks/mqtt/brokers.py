"""What a message costs, and an idle client weighs: Hardpoint beside mosquitto, amqtt and aedes, in turns.

    python benchmarks/mqtt/brokers.py [--rounds 5] [--seconds 2] [--idle 15000] [--clients 1000] [--only mosquitto]

Each broker has one core, the load (``mqtt_load.c``) the other; the figure is the broker's CPU time of all threads a
message, the smallest of the rounds, and messages a second, the median. All speak MQTT 3.1.1 over TCP without a
password, but for ``readings``: there devices sign in, and a message is acknowledged when its reading is on disk. What
is *not* measured: TLS, latency, messages of more than four bytes.

Peers that are not installed are left out: mosquitto is looked for on the path, amqtt in this Python, and aedes is
fetched by ``npm`` where that is there (``--aedes DIR`` names a folder that has it). Whether all of them run at all is
told in a minute by ``--rounds 1 --seconds 1 --idle 100 --clients 20``. Ratios are to mosquitto; that of
durable readings to its QoS 1, which stores nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import resource
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "server"))
from running import LOAD_CORE, SERVER_CORE, Hardpoint, compile_c, cpu_s, rss_bytes

HERE = Path(__file__).parent
# Name → mode, clients, QoS.
CASES = {
    "fan-in, QoS 0": ("fanin", 1000, 0),
    "fan-in, QoS 1": ("fanin", 1000, 1),
    "publish, QoS 1": ("publish", 64, 1),
    "fan-out, QoS 0": ("fanout", 1000, 0),
    "retained": ("retained", 16, 0),
}
AMQTT = """
import asyncio
from amqtt.broker import Broker
async def main():
    await Broker({"listeners": {"default": {"type": "tcp", "bind": "127.0.0.1:%d", "max_connections": 50000}},
                  "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}}).start()
    await asyncio.Event().wait()
asyncio.run(main())
"""
AEDES = """
const aedes = require('aedes');
(aedes.Aedes ? aedes.Aedes.createBroker() : Promise.resolve(aedes())).then(broker =>
  require('net').createServer(broker.handle).listen(%d, '127.0.0.1'));
"""


class NotStarted(Exception):
    """A peer that is here does not work."""


class Peer:
    """Another broker's process."""

    def __init__(self, command: list[str | Path], port: int, cwd: Path | None = None) -> None:
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=cwd)
        os.sched_setaffinity(self.process.pid, {SERVER_CORE})
        self.pid, self.port = self.process.pid, port
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise NotStarted(f"{command[0]} did not start")
            time.sleep(0.05)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_peers(folder: Path, aedes: Path | None, only: list[str]) -> dict[str, Peer | Hardpoint]:
    """Every broker that is here, running."""
    made: dict[str, Peer | Hardpoint] = {}
    if shutil.which("mosquitto") and (not only or "mosquitto" in only):
        port, file = free_port(), folder / "mosquitto.conf"
        file.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n")
        made["mosquitto"] = Peer(["mosquitto", "-c", file], port)
    mqtt = ["--listen", "mqtt://127.0.0.1:0", "--set", "limits.max_connections=100000"]
    server = Hardpoint(folder, *mqtt, "--allow-anonymous")
    server.port = server.ports["mqtt"]  # type: ignore[attr-defined]
    made["hardpoint"] = server
    if importlib.util.find_spec("amqtt") and (not only or "amqtt" in only):
        port, file = free_port(), folder / "amqtt_broker.py"
        file.write_text(AMQTT % port)
        try:
            made["amqtt"] = Peer([sys.executable, file], port)
        except NotStarted as error:
            print(f"left out: {error}")
    if aedes is not None and shutil.which("node") and (not only or "aedes" in only):
        port = free_port()
        try:
            made["aedes"] = Peer(["node", "-e", AEDES % port], port, cwd=aedes)
        except NotStarted as error:
            print(f"left out: {error}")
    return made


def find_aedes(folder: Path) -> Path | None:
    """The folder, with aedes installed into it; None: it cannot be."""
    if not (shutil.which("node") and shutil.which("npm")):
        return None
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, "aedes@0"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return folder if done.returncode == 0 else None


def run_load(load: Path, arguments: list[str]) -> int | None:
    done = subprocess.run(
        ["taskset", "-c", str(LOAD_CORE), load, *arguments],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    return int(done.stdout) if done.returncode == 0 and int(done.stdout) else None


def measure(peers: dict[str, Peer | Hardpoint], load: Path, rounds: int, seconds: float, most: int) -> float:
    """Every case on every broker, with at most so many clients; what mosquitto's QoS 1 costs, or 0."""
    base = 0.0
    print(f"{'case':<18} {'broker':<12} {'µs/message':>11} {'ratio':>7} {'messages/s':>11}")
    for case, (mode, clients, qos) in CASES.items():
        costs: dict[str, list[float]] = {name: [] for name in peers}
        rates: dict[str, list[float]] = {name: [] for name in peers}
        for _ in range(rounds):
            for name, peer in peers.items():
                before = cpu_s(peer.pid)
                count = run_load(load, [mode, str(peer.port), str(min(clients, most)), str(seconds), str(qos)])
                if count is not None:
                    costs[name].append((cpu_s(peer.pid) - before) / count * 1e6)
                    rates[name].append(count / seconds)
        of_mosquitto = min(costs.get("mosquitto") or [0.0])
        if case == "publish, QoS 1":
            base = of_mosquitto
        print_rows(case, costs, rates, of_mosquitto)
    return base


def print_rows(case: str, costs: dict[str, list[float]], rates: dict[str, list[float]], base: float) -> None:
    for name, values in costs.items():
        if not values:
            print(f"{case:<18} {name:<12} {'failed':>11}")
            continue
        ratio = f"{min(values) / base:.2f}" if base else "-"
        print(f"{case:<18} {name:<12} {min(values):>11.2f} {ratio:>7} {statistics.median(rates[name]):>11,.0f}")


def measure_readings(load: Path, rounds: int, seconds: float, base: float) -> None:
    """Durable readings at QoS 1, with devices that sign in."""
    with tempfile.TemporaryDirectory() as made:
        server = Hardpoint(Path(made), "--listen", "mqtt://127.0.0.1:0")
        try:
            tokens = Path(made) / "tokens"
            names = [f"device-{number}" for number in range(64)]
            secrets = server.make_devices(64)
            tokens.write_text("\n".join(map(" ".join, zip(names, secrets, strict=True))) + "\n")
            costs: dict[str, list[float]] = {"hardpoint": []}
            rates: dict[str, list[float]] = {"hardpoint": []}
            for _ in range(rounds):
                before = cpu_s(server.pid)
                count = run_load(load, ["readings", str(server.ports["mqtt"]), "64", str(seconds), "1", str(tokens)])
                if count:
                    costs["hardpoint"].append((cpu_s(server.pid) - before) / count * 1e6)
                    rates["hardpoint"].append(count / seconds)
            print_rows("durable readings", costs, rates, base)
        finally:
            server.stop()


def idle_client(port: int, number: int) -> socket.socket:
    """Connected and subscribed to a topic of its own."""
    client = socket.create_connection(("127.0.0.1", port), source_address=(f"127.0.0.{2 + number % 8}", 0))
    name, topic = b"idle-%05d" % number, b"idle/%05d/commands" % number
    body = b"\x00\x04MQTT\x04\x02\x00\x00" + struct.pack(">H", len(name)) + name
    ask = struct.pack(">HH", 1, len(topic)) + topic + b"\x00"
    client.sendall(b"\x10" + bytes((len(body),)) + body + b"\x82" + bytes((len(ask),)) + ask)
    return client


def idle_clients(port: int, count: int) -> Iterator[socket.socket]:
    for begin in range(0, count, 500):
        batch = [idle_client(port, number) for number in range(begin, min(begin + 500, count))]
        for client in batch:
            answer = b""
            while len(answer) < 9:
                answer += client.recv(9 - len(answer))
        yield from batch


def measure_idle(peers: dict[str, Peer | Hardpoint], count: int) -> None:
    print(f"\n{'idle clients':<18} {'broker':<12} {'bytes each':>11}   ({count:,} subscribed)")
    for name, peer in peers.items():
        before = rss_bytes(peer.pid)
        try:
            held = list(idle_clients(peer.port, count))
        except OSError as error:
            print(f"{'':<18} {name:<12} failed: {error}")
            continue
        print(f"{'':<18} {name:<12} {(rss_bytes(peer.pid) - before) / count:>11,.0f}")
        for client in held:
            client.close()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=2.0)
    arguments.add_argument("--idle", type=int, default=15_000)
    arguments.add_argument("--clients", type=int, default=1_000, help="at most so many of a case")
    arguments.add_argument("--aedes", type=Path, help="folder with node_modules/aedes")
    arguments.add_argument("--only", action="append", default=[], help="this peer; may be repeated")
    given = arguments.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as made:
        load = compile_c(HERE / "mqtt_load.c", Path(made))
        aedes = given.aedes or (None if given.only and "aedes" not in given.only else find_aedes(Path(made) / "aedes"))
        base = 0.0
        for idle in (True, False):  # memory first: what a load leaves behind would hide it
            (Path(made) / str(idle)).mkdir()
            peers = make_peers(Path(made) / str(idle), aedes, given.only)
            try:
                if idle:
                    measure_idle(peers, min(given.idle, hard - 200))
                    print()
                else:
                    base = measure(peers, load, given.rounds, given.seconds, given.clients)
            finally:
                for peer in peers.values():
                    peer.stop()
        measure_readings(load, given.rounds, given.seconds, base)


if __name__ == "__main__":
    main()
