"""Wapiti, a scanner for holes in web applications, let loose on a whole server: on its pages as a stranger, and on the
app API, which it learns from ``/api/openapi.json``, as an operator.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest

from hardpoint import Server

pytestmark = pytest.mark.conformance

OWN = Path(__file__).parents[3] / ".venv/wapiti/bin/wapiti"
WAPITI = os.environ.get("WAPITI") or (str(OWN) if OWN.exists() else shutil.which("wapiti"))
MODULES = "csp,http_headers,cookieflags,csrf,crlf,redirect,file,exec,xss,sql,methods"
SCAN_S, ATTACK_S = 40, 12
"""At most so long for looking around, and for each of its kinds of attack."""


async def scan(folder: Path) -> dict[str, list[dict[str, str]]]:
    """What it found, by its kind."""
    server = Server(data=folder / "data", listen=["http://127.0.0.1:0"], host={"enabled": False})
    async with server:
        await server.hub.create_device("greenhouse", {"site": "north"})
        secret, _ = await server._running.web.accounts.add_token("scanner", "operator", [], None, "test")
        url, report = f"http://127.0.0.1:{server.ports['http']}", folder / "report.json"
        process = await asyncio.create_subprocess_exec(
            *(str(WAPITI), "--url", f"{url}/", "--swagger", f"{url}/api/openapi.json", "--scope", "folder"),
            *("--header", f"Authorization: Bearer {secret}", "--module", MODULES, "--depth", "2"),
            *("--max-scan-time", str(SCAN_S), "--max-attack-time", str(ATTACK_S), "--flush-session"),
            *("--store-session", str(folder), "--format", "json", "--output", str(report), "--no-bugreport"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()[-2000:]
        assert server.hub.commits.failing is False
    found = json.loads(report.read_text("utf-8"))
    return {**found["vulnerabilities"], **found["anomalies"]}


@pytest.mark.skipif(WAPITI is None, reason="no wapiti: make conformance installs it, or pipx install wapiti3")
def test_a_scanner_finds_nothing(tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        found = runner.run(scan(tmp_path))
    assert [
        f"{kind}: {each['method']} {each['path']}: {each['info']}"
        for kind, entries in found.items()
        for each in entries
    ] == []
