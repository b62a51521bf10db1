"""What 1,000 rules over 5,000 devices add to the server's CPU for a reading, at 20,000 readings a second.

    python benchmarks/server/rules.py [--rounds 10] [--seconds 3] [--devices 5000] [--rules 1000] [--micro]

Two servers on one core, one with the rules and one without, are loaded in turns from the other core: every device is a
line connection and sends four readings in one line, once a second. A device has 30 rules in the median: most are
thresholds on a label, some on all devices, a tenth wait for silence, and some are equalities and free expressions. One
reading in a thousand is outside what it should be, so alerts fire and end. What is *not* measured: telling people.

``--micro`` measures the evaluation alone, in this process, without a store or a socket: nanoseconds a reading by kind.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import selectors
import socket
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from running import LOAD_CORE, Hardpoint, cpu_s, hardpoint

KEYS = ("temp", "hum", "soil", "volt")
GROUPS = 100
ON_ALL_SHARE = 50
"""One rule in so many looks at every device."""
ODD_SHARE = 1000
"""One line in so many has a value outside."""


def rule(number: int, kind: str | None = None) -> dict[str, Any]:
    """The app API's body of a rule."""
    key = KEYS[number % len(KEYS)]
    kind = kind or ("missing", "expression", "equal", *["above"] * 12, *["outside"] * 5)[number % 20]
    when: dict[str, Any] = {
        "above": {"key": key, "is": "above", "value": 100 + number % 10, "until": 90},
        "outside": {"key": key, "is": "outside", "low": 0, "high": 100 + number % 10},
        "missing": {"key": key, "is": "missing"},
        "equal": {"key": key, "is": "equal", "value": 200},
        "expression": {"is": "expression", "text": f"{key} > 100 and {key} < 300"},
    }[kind]
    scope = "all" if number % ON_ALL_SHARE == ON_ALL_SHARE - 1 else f"label:group={number % GROUPS}"
    for_s = 3600 if kind == "missing" else 0
    return {"id": f"r{number}", "name": f"Rule {number}", "when": when, "scope": scope, "for_s": for_s}


class Crowd:
    """Line connections of one server, from this process."""

    def __init__(self, server: Hardpoint, devices: int) -> None:
        self.server = server
        self.sockets: list[socket.socket] = []
        self.selector = selectors.DefaultSelector()
        for number in range(devices):
            body = {"name": f"device-{number}", "labels": {"group": str(number % GROUPS)}}
            token = server.call("POST", "/api/devices", body)["token"]
            made = socket.create_connection(("127.0.0.1", server.ports["line"]))
            made.sendall(f"HELLO {token}\n".encode())
            with made.makefile("rb") as file:
                greeting, answer = file.readline(), file.readline()
            if not answer.startswith(b"OK"):
                raise SystemExit(f"{greeting!r} {answer!r}")
            made.setblocking(False)
            self.sockets.append(made)
            self.selector.register(made, selectors.EVENT_READ)

    def round(self, seconds: float, lines_per_s: int) -> int:
        """Send at that rate for so long; how many readings were acknowledged."""
        begun = time.monotonic()
        sent = acknowledged = 0
        while acknowledged < sent or time.monotonic() - begun < seconds:
            passed_s = time.monotonic() - begun
            due = int(min(passed_s, seconds) * lines_per_s)
            for number in range(sent, due):
                value = 150 if number % ODD_SHARE == 0 else 20 + number % 7
                line = " ".join(f"{key}={value}" for key in KEYS)
                self.sockets[number % len(self.sockets)].send(f"{line}\n".encode())
            sent = max(sent, due)
            for key, _ in self.selector.select(0.01):
                acknowledged += key.fileobj.recv(65536).count(b"OK 4\n")  # type: ignore[union-attr]
            if passed_s > seconds + 30:
                raise SystemExit(f"only {acknowledged} of {sent} lines were acknowledged")
        return acknowledged * len(KEYS)

    def close(self) -> None:
        for each in self.sockets:
            each.close()


def end_to_end(given: argparse.Namespace) -> None:
    costs: dict[str, list[float]] = {"without rules": [], "with rules": []}
    with tempfile.TemporaryDirectory() as made:
        folders = [Path(made, name) for name in ("without", "with")]
        for folder in folders:
            folder.mkdir()
        with hardpoint(folders[0]) as plain, hardpoint(folders[1]) as ruled:
            os.sched_setaffinity(0, {LOAD_CORE})
            crowds = dict(zip(costs, [Crowd(server, given.devices) for server in (plain, ruled)], strict=True))
            for number in range(given.rules):
                ruled.call("POST", "/api/rules", rule(number))
            for crowd in crowds.values():
                crowd.round(2, given.devices)
            for _ in range(given.rounds):
                for name, crowd in crowds.items():
                    before = cpu_s(crowd.server.pid)
                    readings = crowd.round(given.seconds, given.devices)
                    costs[name].append((cpu_s(crowd.server.pid) - before) / readings * 1e6)
            alerts = ruled.call("GET", "/api/alerts?limit=1")["items"]
            for crowd in crowds.values():
                crowd.close()
    for name, values in costs.items():
        print(f"{name:<14} {min(values):>7.2f} µs/reading min  {statistics.median(values):>7.2f} median")
    added = statistics.median(
        ruled / plain - 1 for plain, ruled in zip(costs["without rules"], costs["with rules"], strict=True)
    )
    print(f"{given.rules} rules add {100 * added:.1f} %; the last alert: {alerts[0]['id'] if alerts else 'none'}")


async def micro(given: argparse.Namespace) -> None:
    from hardpoint.config import Limits
    from hardpoint.hub.hub import Hub
    from hardpoint.model import Rule
    from hardpoint.stores.memory import MemoryStore

    async def measure(bodies: list[dict[str, Any]]) -> float:
        store = MemoryStore()
        store.open()
        hub = Hub(store, Limits())
        hub.fill()
        catalogue, rows = hub.catalogue, []
        for number in range(given.devices):
            device, _ = hub._make_device(f"d{number}", {"group": str(number % GROUPS)})
            for key in KEYS:
                series = catalogue.add_series(catalogue.next_series_id, device, key)
                catalogue.next_series_id += 1
                rows.append((series.id, 1, 20.5))
        for body in bodies:
            fields = ("id", "name", "scope", "when")
            await hub.alerting.rules.add(Rule(*(body[name] for name in fields), 0, body["for_s"]))
        rules = hub.alerting.rules
        rules.feed(rows, catalogue.series)
        best = float("inf")
        for turn in range(given.rounds):
            batch = [(series, 2 + turn, value) for series, _, value in rows]
            begun = time.perf_counter()
            rules.feed(batch, catalogue.series)
            best = min(best, time.perf_counter() - begun)
        await hub.close()
        store.close()
        return best / len(rows) * 1e9

    print(f"{'rules':<24} {'ns/reading':>10}")
    for kind in ("above", "outside", "missing", "equal", "expression"):
        print(f"{kind:<24} {await measure([rule(number, kind) for number in range(given.rules)]):>10.0f}")
    print(f"{'as in the load':<24} {await measure([rule(number) for number in range(given.rules)]):>10.0f}")
    print(f"{'one that fits nobody':<24} {await measure([rule(0) | {'scope': 'device:none'}]):>10.0f}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--rounds", type=int, default=10)
    arguments.add_argument("--seconds", type=float, default=3.0)
    arguments.add_argument("--devices", type=int, default=5000)
    arguments.add_argument("--rules", type=int, default=1000)
    arguments.add_argument("--micro", action="store_true")
    given = arguments.parse_args()
    if given.micro:
        asyncio.run(micro(given))
    else:
        end_to_end(given)


if __name__ == "__main__":
    main()
