"""docs/rules.md, command by command: what it shows is what happens. ``…`` stands for anything."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from .serving import serving

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"


def commands() -> list[tuple[str, str]]:
    """``(command, what it prints)`` of each console block, in their order."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    parts = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


@pytest.fixture
def receiver() -> Iterator[str]:
    """Where a webhook is taken."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hook"
        server.shutdown()
        thread.join()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="the page uses curl")
def test_the_page_is_true(tmp_path: Path, receiver: str) -> None:
    program = tmp_path / "bin" / "hardpoint"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m hardpoint "$@"\n')
    program.chmod(0o755)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HARDPOINT_")}
    environ["PATH"] = f"{program.parent}:{environ['PATH']}"
    with serving() as data:
        environ |= {"HARDPOINT_DATA": str(data), "SOCKET": str(data / "hardpoint.sock"), "TZ": "UTC"}
        environ |= {"TOKEN": "", "RECEIVER": receiver}
        for command, expected in commands():
            done = subprocess.run(
                ["sh", "-c", command],
                cwd=tmp_path,
                env=environ,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, (command, done.stderr)
            printed = [line.rstrip() for line in (done.stdout + done.stderr).splitlines()]
            wanted = expected.rstrip("\n").splitlines()
            assert len(printed) >= len(wanted), (command, printed)
            for line, want in zip(printed, wanted, strict=False):
                pattern = ".*".join(re.escape(part) for part in re.split("…", want))
                assert re.fullmatch(re.sub(r"(\\ )+", r"\\s+", pattern), line), (command, line, want)
            if command.startswith("TOKEN="):  # a shell would keep it
                made = subprocess.run(
                    ["sh", "-c", f"{command}; echo $TOKEN"], env=environ, capture_output=True, text=True, check=True
                )
                environ["TOKEN"] = made.stdout.strip()


def test_the_check_of_a_signature_is_right() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    import hashlib
    import hmac

    header = "sha256=" + hmac.new(b"key", b"{}", hashlib.sha256).hexdigest()
    is_ours = names["is_ours"]
    assert callable(is_ours)
    assert is_ours(b"{}", header, "key")
    assert not is_ours(b"{} ", header, "key")
