"""Peers that are servers, started for one run in a folder of their own, with the settings they come with: each makes a
commit durable before it answers.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

START_S = 60.0
POSTGRES_PLACES = "/usr/lib/postgresql/*/bin"
"""Debian keeps them off the PATH."""


def installed() -> list[str]:
    """The peers, by their names in `peers.PEERS`, that can run here."""
    found = ["sqlite"]
    if importlib.util.find_spec("duckdb"):
        found.append("duckdb")
    if importlib.util.find_spec("psycopg") and _postgres_program("initdb"):
        found.append("postgres")
    if shutil.which("influxd"):
        found.append("influx")
    return found


@contextmanager
def postgres(disk: Path | None) -> Iterator[str]:
    """A new cluster; its DSN. It refuses to run as root, who lends it to the user ``postgres``."""
    with tempfile.TemporaryDirectory(prefix="pg", dir=disk) as made:
        as_user: dict[str, str] = {}
        if os.geteuid() == 0:
            as_user = {"user": "postgres", "group": "postgres"}
            shutil.chown(made, **as_user)
        data = f"{made}/data"
        initialise = [_postgres_program("initdb"), "-D", data, "-A", "trust", "-U", "bench", "-E", "UTF8"]
        subprocess.run(initialise, check=True, stdout=subprocess.DEVNULL, cwd=made, **as_user)  # type: ignore[call-overload]
        serve = [_postgres_program("postgres"), "-D", data, "-k", made, "-c", "listen_addresses="]
        with _running(serve, signal.SIGINT, cwd=made, **as_user):
            ready = [_postgres_program("pg_isready"), "-q", "-h", made]
            _wait(lambda: subprocess.run(ready, check=False).returncode == 0)
            yield f"host={made} user=bench dbname=postgres"


@contextmanager
def influx(disk: Path | None) -> Iterator[str]:
    """InfluxDB 1.x; its address."""
    with tempfile.TemporaryDirectory(prefix="influx", dir=disk) as made:
        http, rpc = _free_port(), _free_port()
        config = Path(made, "influxdb.conf")
        config.write_text(
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{rpc}"\n[meta]\ndir = "{made}/meta"\n'
            f'[data]\ndir = "{made}/data"\nwal-dir = "{made}/wal"\n'
            f'[http]\nbind-address = "127.0.0.1:{http}"\nlog-enabled = false\n'
        )
        address = f"http://127.0.0.1:{http}"
        with _running(["influxd", "-config", str(config)], signal.SIGTERM, stderr=subprocess.DEVNULL):
            _wait(lambda: _answers(f"{address}/ping"))
            yield address


def _postgres_program(name: str) -> str:
    """Its path, of the newest version; empty where there is none."""
    places = sorted(Path("/").glob(POSTGRES_PLACES.lstrip("/")), reverse=True)
    found = [str(place / name) for place in places if (place / name).exists()]
    return found[0] if found else shutil.which(name) or ""


@contextmanager
def _running(command: list[str], end: signal.Signals, **options: object) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **{"stderr": subprocess.DEVNULL, **options})  # type: ignore[call-overload]
    try:
        yield
    finally:
        process.send_signal(end)
        process.wait(START_S)


def _wait(ready: Callable[[], bool]) -> None:
    until = time.monotonic() + START_S
    while not ready():
        if time.monotonic() > until:
            raise TimeoutError("a peer did not start")
        time.sleep(0.1)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=1):
            return True
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
