"""What a start of the server does not need is not imported: it would double the time to readiness."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from serving import DEADLINE_S, wait_until

OURS = (
    "agent", "bridge", "cli.client", "cli.importing", "dialects.any", "dialects.mqtt.connection", "http.asgi",
    "http.forms", "http.websocket", "lab", "notify.mail", "notify.post", "stores.sqlite.backup", "stores.sqlite.check",
    "testing", "tls.authority", "tls.certificates", "tls.client", "tls.transport", "web.devices", "web.openapi",
    "web.rules", "wire.forwarded", "wire.mqtt.packets", "wire.websocket",
)  # fmt: skip
OTHERS = (
    "apprise", "cryptography", "http.client", "http.server", "multiprocessing", "numpy", "paho", "platformdirs",
    "prometheus_client", "pydoc", "rich", "smtplib", "tomllib", "unittest", "urllib.request", "uvloop", "xml",
)  # fmt: skip
"""The heaviest is rich, of 15 MB."""
if sys.version_info < (3, 13):
    # A device's bytes never go through it. From 3.13 on importlib.metadata, which finds plug-in drivers, imports it.
    OTHERS = (*OTHERS, "json")


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Every module that `hardpoint serve` has imported from its start to its end, with its three default listeners and
    this machine's sensors, and nobody connected.
    """
    folder: Path = tmp_path_factory.mktemp("light")
    ports_file = folder / "ports.json"
    argv = [sys.executable, "-X", "importtime", "-m", "hardpoint", "serve", "--data", str(folder / "data")]
    for scheme in ("line", "http", "mqtt"):
        argv += ["--listen", f"{scheme}://127.0.0.1:0"]
    with (folder / "imports").open("w") as log:
        process = subprocess.Popen([*argv, "--ports-file", str(ports_file)], stdout=subprocess.DEVNULL, stderr=log)
        with process:
            try:
                wait_until(ports_file.exists, "the server is ready")
                process.send_signal(signal.SIGTERM)
                process.wait(DEADLINE_S)
            finally:
                process.kill()
    return set(re.findall(r"^import time:.*\| +(\S+)$", (folder / "imports").read_text(), re.MULTILINE))


def test_the_list_is_of_this_program(imported: set[str]) -> None:
    """Names that do not exist would never be found."""
    assert {"hardpoint.app", "hardpoint.http.server", "hardpoint.loop.core", "sqlite3"} <= imported
    source = Path(__file__).parents[2] / "src" / "hardpoint"
    for name in OURS:
        path = source.joinpath(*name.split("."))
        assert path.is_dir() or path.with_suffix(".py").is_file(), name


@pytest.mark.parametrize("name", [*(f"hardpoint.{name}" for name in OURS), *OTHERS])
def test_it_is_not_imported(imported: set[str], name: str) -> None:
    assert not {found for found in imported if found == name or found.startswith(f"{name}.")}
