"""Pages of the documentation, command by command: what they show is what happens."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hardpoint.cli.connection import make_client

from .replaying import commands, environment, replay
from .serving import serving

DOCS = Path(__file__).parents[2] / "docs"
NEEDED = {"people": ("curl",), "fleet": ("curl", "nc", "mosquitto_pub"), "dashboards": ("curl", "python3")}
"""Page → the programs that its commands use."""


@pytest.mark.slow
@pytest.mark.parametrize("page", NEEDED)
def test_the_page_is_true(page: str, tmp_path: Path) -> None:
    for program in NEEDED[page]:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    (tmp_path / "provision").write_text("fleet\n4711\n")
    (tmp_path / "password.txt").write_text("correct horse battery\n")
    listen = [f"{scheme}://127.0.0.1:0" for scheme in ("line", "http", "mqtt")]
    with serving(listen=listen, adopt=True, provision={"credentials": tmp_path / "provision"}) as data:
        health = make_client(None, data, None).health()
        ports = {each["url"].partition(":")[0]: each["port"] for each in health["listeners"]}
        told = {
            "192.168.1.20:8080": f"127.0.0.1:{ports['http']}",
            "nc 192.168.1.20 9000": f"nc 127.0.0.1 {ports['line']}",
            "-h 192.168.1.20": f"-h 127.0.0.1 -p {ports['mqtt']}",
        }
        assert replay(DOCS / f"{page}.md", tmp_path, environment(tmp_path, data), told) == len(
            commands(DOCS / f"{page}.md")
        )
