"""docs/rules.md, command by command: what it shows is what happens. ``…`` stands for anything."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from .replaying import environment, replay
from .serving import serving

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"


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
    with serving() as data:
        environ = environment(tmp_path, data) | {"TOKEN": "", "RECEIVER": receiver}
        replay(PAGE, tmp_path, environ, {})


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
