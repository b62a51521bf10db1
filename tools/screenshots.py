"""Take the pictures in docs/pictures anew: a server with a day of made-up history and live devices, seen by Chromium.

make .venv/.test && .venv/bin/python tools/screenshots.py [NAME …]

Some two minutes. It needs the default ports, so that the pictures show them, and Chromium (`apt-get install chromium`,
or HARDPOINT_TEST_CHROMIUM). Look at each picture before it is committed.
"""

from __future__ import annotations

import json
import math
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
MAX_BYTES = 150_000
"""Of one picture: a clone of the repository brings every version of each."""
HOST = "hardpoint.local"
"""What the browser calls the server, told where it is by a flag: no name has to exist in the network."""
WIDTH, HEIGHT = 1280, 800
HISTORY_S, STEP_S = 24 * 3600, 120
START_S = 20.0
WARM_UP_S = 8.0
"""Live readings before the first picture, so that rates and presence say something."""

Curve = Callable[[float], float]


def daily(mean: float, swing: float, noise: float, decimals: int = 1, peak_h: float = 15.0) -> Curve:
    """A value that follows the sun: ``mean`` ± ``swing``, greatest at ``peak_h`` o'clock (UTC)."""
    dice = random.Random(mean)

    def at(now_s: float) -> float:
        angle = (now_s / 3600 - peak_h) / 24 * 2 * math.pi
        return round(mean + swing * math.cos(angle) + dice.gauss(0, noise), decimals)

    return at


def cycling(low: float, high: float, period_s: float, noise: float) -> Curve:
    """Something that a thermostat switches: it climbs, and falls once it has reached ``high``."""
    dice = random.Random(high)

    def at(now_s: float) -> float:
        part = now_s % period_s / period_s
        return round(low + (high - low) * (part / 0.7 if part < 0.7 else (1 - part) / 0.3) + dice.gauss(0, noise), 1)

    return at


DEVICES: dict[str, tuple[dict[str, str], dict[str, Curve]]] = {
    "greenhouse-north": (
        {"site": "garden"},
        {"temp": daily(24, 6, 0.05), "hum": daily(62, -14, 0.2), "soil_moisture": daily(41, -4, 0.08)},
    ),
    "greenhouse-south": (
        {"site": "garden"},
        {"temp": daily(26, 7, 0.05), "hum": daily(57, -13, 0.2), "soil_moisture": daily(35, -3, 0.08)},
    ),
    "beehive": ({"site": "garden"}, {"weight_kg": daily(38.4, 0.6, 0.02, 2), "temp": daily(34.6, 0.5, 0.04)}),
    "freezer": ({"site": "house"}, {"temp": cycling(-19.5, -16.8, 2400, 0.05), "power_w": cycling(2, 92, 2400, 1.5)}),
    "weather-mast": (
        {"site": "roof"},
        {"temp": daily(14, 5, 0.1), "wind_ms": daily(4.2, 2, 0.2), "pressure_hpa": daily(992, 3, 0.3, 0)},
    ),
    "boiler": ({"site": "house"}, {"temp": cycling(48, 66, 5400, 0.2), "pressure_bar": daily(1.6, 0.1, 0.01, 2)}),
}
"""Name → labels, and the curve of each key."""


class Server:
    """A server on a folder of its own, at the default ports, and the app API as its first admin."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "log.txt"
        command = [sys.executable, "-m", "hardpoint", "serve", "--data", str(folder / "data")]
        for url in (
            "line://127.0.0.1:9000",
            "http://127.0.0.1:8080",
            "mqtt://127.0.0.1:1883",
            "lines://127.0.0.1:9443",
        ):
            command += ["--listen", url]
        with self._log.open("w") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        self.cookie = ""
        deadline = time.monotonic() + START_S
        while not (found := re.search(r"/welcome#(\S+)[\s\S]*\n  Data ", self._log.read_text())):
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"the server did not start:\n{self._log.read_text()}")
            time.sleep(0.05)
        self.call("POST", "/login", {"link": found[1]})
        self.call("POST", "/setup", {"name": "ada", "password": "correct horse battery"})

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request of the app API; its decoded answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Cookie": self.cookie}
        request = urllib.request.Request(f"http://127.0.0.1:8080/api{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            self.cookie = (response.headers["Set-Cookie"] or self.cookie).partition(";")[0]
            text = response.read()
        return json.loads(text) if text else None


def furnish(server: Server) -> dict[str, str]:
    """Devices with a day of history, rules of which one fires, a dashboard. Returns the devices' tokens."""
    now_s = time.time()
    server.call("DELETE", "/devices/first-device")
    tokens = {}
    for name, (labels, curves) in DEVICES.items():
        tokens[name] = server.call("POST", "/devices", {"name": name, "labels": labels})["token"]
        times = range(int(now_s) - HISTORY_S, int(now_s), STEP_S)
        rows = [{"ts": at * 1000, "values": {key: curve(at) for key, curve in curves.items()}} for at in times]
        server.call("POST", f"/v1/{tokens[name]}/telemetry", rows)
    garden = {"key": "temp", "is": "above", "value": 30, "until": 28}
    server.call(
        "POST", "/rules", {"name": "Greenhouse too hot", "when": garden, "scope": "label:site=garden", "for_s": 300}
    )
    cold = {"key": "temp", "is": "above", "value": -25}
    server.call(
        "POST", "/rules", {"name": "Freezer warms up", "when": cold, "scope": "device:freezer", "severity": "critical"}
    )
    both = [{"device": name, "key": "temp"} for name in ("greenhouse-north", "greenhouse-south")]
    fan = {"device": "greenhouse-south", "act": {"does": "command", "method": "fan"}}
    cards = [
        {"kind": "value", "id": "a", "device": "greenhouse-north", "key": "temp", "title": "North"},
        {"kind": "value", "id": "b", "device": "greenhouse-south", "key": "temp", "title": "South"},
        {
            "kind": "gauge",
            "id": "c",
            "device": "greenhouse-south",
            "key": "soil_moisture",
            "title": "Soil",
            "warn": 30,
            "bad": 20,
        },
        {"kind": "button", "id": "d", "title": "Fan", **fan},
        {"kind": "chart", "id": "e", "size": "l", "title": "Both houses", "series": both, "span_s": 86400},
    ]
    server.call("POST", "/dashboards", {"name": "Greenhouses", "cards": cards})
    return tokens


@contextmanager
def live(tokens: dict[str, str]) -> Iterator[None]:
    """Every device on a line connection of its own, sending each two seconds."""
    over = threading.Event()

    def play(name: str) -> None:
        with socket.create_connection(("127.0.0.1", 9000)) as connection:
            connection.sendall(f"HELLO {tokens[name]}\n".encode())
            while not over.wait(2):
                values = {key: curve(time.time()) for key, curve in DEVICES[name][1].items()}
                connection.sendall((" ".join(f"{key}={value}" for key, value in values.items()) + "\n").encode())
                connection.recv(65536)

    players = [threading.Thread(target=play, args=(name,)) for name in tokens]
    for each in players:
        each.start()
    time.sleep(WARM_UP_S)
    try:
        yield
    finally:
        over.set()
        for each in players:
            each.join()


def show_devices(page: Page) -> None:
    """The list, live."""
    page.goto("/devices")
    page.locator(".spark-line").nth(8).wait_for()


def show_device(page: Page) -> None:
    """A day of one device."""
    page.goto("/devices/greenhouse-south")
    page.get_by_role("button", name="24 h", exact=True).click()
    page.locator(".u-over").nth(1).wait_for()


def show_connect(page: Page) -> None:
    """A new device and what to paste."""
    page.goto("/devices")
    page.get_by_role("button", name="Add device").first.click()
    page.get_by_role("dialog").get_by_label("Name").fill("greenhouse-west")
    page.get_by_role("dialog").get_by_role("button", name="Add device").click()
    page.get_by_text("Listening…").wait_for()
    page.locator(".code pre").first.wait_for()


def show_rule(page: Page) -> None:
    """A rule being made, tried on the last day."""
    page.goto("/alerts/new-rule?template=hot")
    page.locator(".trial .u-over").wait_for()
    page.locator(".trial-said strong").wait_for()


def show_dashboard(page: Page) -> None:
    """Cards of both houses."""
    page.goto("/dashboards")
    page.get_by_role("link", name="Greenhouses").first.click()
    page.locator(".board .u-over").first.wait_for()


SCENES: dict[str, tuple[Callable[[Page], None], str, str]] = {
    "devices": (show_devices, "light", "body"),
    "devices-dark": (show_devices, "dark", "body"),
    "device": (show_device, "light", "body"),
    "connect": (show_connect, "light", "dialog"),
    "rule": (show_rule, "light", "body"),
    "dashboard": (show_dashboard, "light", "body"),
}
"""Name of the picture → how its screen is reached, the theme, and what of the screen is taken."""


def take(server: Server, names: list[str]) -> None:
    """Write each picture, and refuse one that is too large to be kept."""
    chromium = os.environ.get("HARDPOINT_TEST_CHROMIUM") or shutil.which("chromium")
    flags = ["--no-sandbox", "--disable-gpu", f"--host-resolver-rules=MAP {HOST} 127.0.0.1"]
    with sync_playwright() as playwright, ExitStack() as open_contexts:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        open_contexts.callback(browser.close)
        for name in names:
            show, scheme, part = SCENES[name]
            context = browser.new_context(
                base_url=f"http://{HOST}:8080",
                viewport={"width": WIDTH, "height": HEIGHT},
                locale="en-GB",
                color_scheme=scheme,
                reduced_motion="reduce",
            )
            key, _, value = server.cookie.partition("=")
            context.add_cookies([{"name": key, "value": value, "url": f"http://{HOST}:8080"}])
            page = context.new_page()
            show(page)
            page.evaluate("document.fonts.ready")
            page.wait_for_timeout(2500)  # two live readings, so that what moves has moved
            path = PICTURES / f"{name}.png"
            box = page.locator(part).first.bounding_box() or {}
            page.screenshot(path=path, clip={**box, "height": min(box["height"], HEIGHT)})
            context.close()
            print(f"{path.name}: {path.stat().st_size // 1000} kB")
            if path.stat().st_size > MAX_BYTES:
                sys.exit(f"{path} has more than {MAX_BYTES // 1000} kB")


def main() -> None:
    """Take the pictures that are named, or all."""
    names = sys.argv[1:] or list(SCENES)
    if unknown := set(names) - set(SCENES):
        sys.exit(f"no such picture: {', '.join(sorted(unknown))}. There are {', '.join(SCENES)}")
    PICTURES.mkdir(exist_ok=True)
    # A short path: a Unix socket's has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="hp") as folder:
        server = Server(Path(folder))
        try:
            with live(furnish(server)):
                take(server, names)
        finally:
            server.process.terminate()
            server.process.wait()


if __name__ == "__main__":
    main()
