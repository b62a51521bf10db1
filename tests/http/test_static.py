"""Files: types, conditions, codings, and that nothing outside the folder is ever reached."""

from __future__ import annotations

import gzip
import os
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from http_client import get

from hardpoint.errors import ConfigError, NotFound
from hardpoint.http import Request, Response, Router, StaticFiles, static
from hardpoint.wire.http1 import HttpLimits, RequestHead, RequestParser

SCRIPT = b"export const a = 1;\n" * 200


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("secret")
    root = tmp_path / "site"
    (root / "sub").mkdir(parents=True)
    (root / "index.html").write_text("<h1>hi</h1>")
    (root / "app.mjs").write_bytes(SCRIPT)
    (root / "noise.bin").write_bytes(os.urandom(5000))
    (root / "photo.JPG").write_bytes(b"a" * 5000)
    (root / "sub" / "index.html").write_text("sub")
    (root / ".hidden").write_text("hidden")
    (root / "a b.txt").write_text("space")
    return root


def ask(app: StaticFiles, target: str, *fields: str) -> Response:
    router = Router()
    router.get("/s/{rest:path}")(app)
    head = RequestParser(HttpLimits()).receive(get(f"/s/{target}", *fields))[0]
    assert isinstance(head, RequestHead)
    answer: Any = router.handle(Request(None, head))
    return answer


def test_a_file(folder: Path) -> None:
    app = StaticFiles(folder, headers=(("X-Own", "1"),))
    page = ask(app, "index.html")
    assert (page.status, page.body, page.content_type) == (200, b"<h1>hi</h1>", "text/html; charset=utf-8")
    headers = dict(page.headers)
    assert headers["Cache-Control"] == "no-cache"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Own"] == "1"
    assert ask(app, "").body == b"<h1>hi</h1>"
    assert ask(app, "sub/").body == b"sub"
    assert ask(app, "a%20b.txt").body == b"space"
    assert ask(app, "noise.bin").content_type == "application/octet-stream"
    assert ask(app, "photo.JPG").content_type == "image/jpeg"
    assert "immutable" in dict(ask(StaticFiles(folder, immutable=True), "app.mjs").headers)["Cache-Control"]


@pytest.mark.parametrize(
    "target",
    ["../secret.txt", "%2e%2e/secret.txt", "..%2fsecret.txt", "sub/../../secret.txt", "/etc/passwd", "//etc/passwd",
     "sub", ".hidden", "nope", "index.html/", "sub/../index.html", "./index.html", "INDEX.HTML"],
)  # fmt: skip
def test_only_what_is_in_the_folder_by_its_own_name(folder: Path, target: str) -> None:
    with pytest.raises(NotFound):
        ask(StaticFiles(folder), target)


def test_conditions(folder: Path) -> None:
    app = StaticFiles(folder)
    tag = dict(ask(app, "index.html").headers)["ETag"]
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        again = ask(app, "index.html", f"If-None-Match: {known}")
        assert (again.status, again.body) == (304, b"")
        assert dict(again.headers)["ETag"] == tag
    for known in ('"x"', tag.strip('"'), ""):
        assert ask(app, "index.html", f"If-None-Match: {known}").status == 200


def test_gzip(folder: Path) -> None:
    app = StaticFiles(folder)
    packed = ask(app, "app.mjs", "Accept-Encoding: br, gzip")
    headers = dict(packed.headers)
    assert gzip.decompress(packed.body) == SCRIPT
    assert (headers["Content-Encoding"], headers["Vary"]) == ("gzip", "Accept-Encoding")
    plain = ask(app, "app.mjs")
    assert (plain.body, dict(plain.headers)["Vary"]) == (SCRIPT, "Accept-Encoding")
    assert dict(plain.headers)["ETag"] != headers["ETag"]
    again = ask(app, "app.mjs", "Accept-Encoding: gzip", f"If-None-Match: {headers['ETag']}")
    assert again.status == 304
    assert "Content-Encoding" not in dict(again.headers)
    for name in ("noise.bin", "photo.JPG", "index.html"):  # does not shrink, is packed already, is small
        assert "Content-Encoding" not in dict(ask(app, name, "Accept-Encoding: gzip").headers)


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True), ("GZIP;q=1", True), ("x-gzip", True), ("*", True), ("br;q=1.0, *;q=0.1", True),
        ("deflate, gzip ; q=0.5", True), ("gzip;q=0", False), ("gzip;q=0.000, *", False), ("*;q=0", False),
        ("identity", False), ("", False), ("gzipped", False), ("gzip;q=x", False),
    ],
)  # fmt: skip
def test_who_accepts_gzip(folder: Path, accepted: str, packed: bool) -> None:
    response = ask(StaticFiles(folder), "app.mjs", f"Accept-Encoding: {accepted}")
    assert ("Content-Encoding" in dict(response.headers)) is packed


def test_a_changed_file_is_read_again_and_a_vanished_one_stays(folder: Path) -> None:
    app = StaticFiles(folder)
    before = ask(app, "index.html")
    (folder / "index.html").write_text("something else")
    after = ask(app, "index.html")
    assert after.body == b"something else"
    assert dict(after.headers)["ETag"] != dict(before.headers)["ETag"]
    (folder / "index.html").unlink()
    assert ask(app, "index.html").body == b"something else"


def test_the_tree_hash_is_that_of_names_and_contents(folder: Path) -> None:
    first = StaticFiles(folder).tree_hash
    assert StaticFiles(folder).tree_hash == first
    (folder / "a b.txt").rename(folder / "ab.txt")
    second = StaticFiles(folder).tree_hash
    (folder / "ab.txt").write_text("other")
    assert len({first, second, StaticFiles(folder).tree_hash}) == 3


def test_resources_of_a_package() -> None:
    app = StaticFiles(files("hardpoint.http"))
    assert b"Files of a folder" in ask(app, "static.py").body


def test_what_cannot_be_served_is_said_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="not a folder"):
        StaticFiles(folder / "nope")
    with pytest.raises(ConfigError, match="not a folder"):
        StaticFiles(folder / "index.html")
    monkeypatch.setattr(static, "MAX_TOTAL_BYTES", 5000)
    with pytest.raises(ConfigError, match="5000 bytes"):
        StaticFiles(folder)
