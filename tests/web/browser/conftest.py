"""A real server in a process of its own, and a real Chromium that looks at it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = os.environ.get("HARDPOINT_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
NAME, PASSWORD = "ada", "correct horse battery"
START_S = 120.0
WAIT_S = 120
"""Nothing takes three seconds on an idle machine; on a busy one a browser is the first that has to wait."""
WAIT_MS = WAIT_S * 1000

expect = playwright_api.expect
"""Asserts what a person would see in the end. A look at a page that still draws is a race, and one at what is not
there (no button, a box that is off) is right before anything is.
"""
expect.set_options(timeout=WAIT_MS)


@dataclass
class Server:
    """`hardpoint serve` on a folder. ``link`` is the one-time token of its first start."""

    folder: Path
    flags: tuple[str, ...] = ()
    process: subprocess.Popen[str] | None = None
    ports: dict[str, int] = field(default_factory=dict)
    link: str = ""
    cookie: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['http']}"

    def start(self) -> None:
        """Start, on the same ports as before where it ran before, and wait until it accepts."""
        ports_file = self.folder / "ports.json"
        ports_file.unlink(missing_ok=True)
        line, http = self.ports.get("line", 0), self.ports.get("http", 0)
        command = [sys.executable, "-m", "hardpoint", "serve", "--data", str(self.folder / "data")]
        command += ["--listen", f"line://127.0.0.1:{line}", "--listen", f"http://127.0.0.1:{http}"]
        command += ["--ports-file", str(ports_file), *self.flags]
        output = self.folder / "output.txt"
        with output.open("w") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, text=True)
        deadline = time.monotonic() + START_S
        # The banner comes last; its last line is the data folder.
        while "\n  Data " not in output.read_text() or not ports_file.exists():
            assert self.process.poll() is None, output.read_text()
            assert time.monotonic() < deadline, f"the server did not start in time: {output.read_text()}"
            time.sleep(0.02)
        self.ports = json.loads(ports_file.read_text())["ports"]
        if found := re.search(r"/welcome#(\S+)", output.read_text()):
            self.link = found[1]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the process and wait for it."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(START_S)
            self.process = None

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request of the app API, signed in."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Cookie": self.cookie}
        request = urllib.request.Request(self.url + "/api" + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=WAIT_S) as response:
            self.cookie = (response.headers["Set-Cookie"] or self.cookie).partition(";")[0]
            text = response.read()
        return json.loads(text) if text else None

    def set_up(self) -> None:
        """Use the one-time link and make the first account."""
        self.call("POST", "/login", {"link": self.link})
        self.call("POST", "/setup", {"name": NAME, "password": PASSWORD})

    def add(self, name: str, **labels: str) -> str:
        """Make a device; its token."""
        return str(self.call("POST", "/devices", {"name": name, "labels": labels})["token"])

    def keep_present(self, *names: str) -> None:
        """Devices that are late only after a day. By themselves they learn an interval, and two readings with a second
        between them teach one after which they are soon gone.
        """
        for name in names:
            self.call("PATCH", f"/devices/{name}", {"expected_every_s": 86_400})


class LineDevice:
    """A device on the line dialect, as small as they come."""

    def __init__(self, server: Server, token: str) -> None:
        self.connection = socket.create_connection(("127.0.0.1", server.ports["line"]), timeout=WAIT_S)
        self.lines = self.connection.makefile("rw", encoding="utf-8", newline="\n")
        self.read()
        assert self.say(f"HELLO {token}").startswith("OK")

    def read(self) -> str:
        return self.lines.readline().rstrip()

    def say(self, line: str) -> str:
        """Send a line; the answer."""
        self.lines.write(line + "\n")
        self.lines.flush()
        return self.read()

    def close(self) -> None:
        self.lines.close()
        self.connection.close()


@pytest.fixture
def line_device() -> Iterator[Any]:
    """Makes devices that are closed at the end of the test."""
    made: list[LineDevice] = []

    def make(server: Server, token: str) -> LineDevice:
        made.append(LineDevice(server, token))
        return made[-1]

    yield make
    for device in made:
        device.close()


def run_server(folder: Path, *flags: str) -> Iterator[Server]:
    server = Server(folder, flags)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for a test file, its account made."""
    for server in run_server(tmp_path_factory.mktemp("server")):
        server.set_up()
        yield server


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[Server]:
    """A server on an empty folder that nobody has signed in to."""
    yield from run_server(tmp_path)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium, or set HARDPOINT_TEST_CHROMIUM")
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=WAIT_MS)
        yield browser
        browser.close()


class Watch:
    """What a page did that no page of ours may do."""

    def __init__(self, page: Any, server: Server) -> None:
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
        page.on("console", self.on_console)
        page.on("request", lambda request: self.on_request(request.url, server.url))

    def on_console(self, message: Any) -> None:
        # A refused answer (401 before sign-in) is logged by the browser and expected; a CSP report is not.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.problems.append(f"console: {message.text}")

    def on_request(self, url: str, ours: str) -> None:
        if not url.startswith((ours + "/", "data:")):
            self.problems.append(f"request to {url}")


@pytest.fixture
def open_page(browser: Any) -> Iterator[Any]:
    """Opens a page on a server, signed in where that is set up (no path: a blank one). None may have done wrong."""
    contexts: list[Any] = []
    watches: list[Watch] = []

    def open_page(server: Server, path: str, *, width: int = 1280, height: int = 900, **options: Any) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": height}, locale=options.pop("locale", "en-GB"), **options
        )
        contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        if server.cookie:
            name, _, value = server.cookie.partition("=")
            context.add_cookies([{"name": name, "value": value, "url": server.url}])
        page = context.new_page()
        watches.append(Watch(page, server))
        if path:
            page.goto(server.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [problem for watch in watches for problem in watch.problems] == []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test that takes the browser is marked so."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")
