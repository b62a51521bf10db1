"""``hardpoint bugreport``: what is in it, and what is never."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from hardpoint.checks import Check
from hardpoint.cli import checks
from hardpoint.web import diagnostics

from .conftest import Script, error
from .serving import serving

TOKEN = "hp_" + "a1B2" * 8


@pytest.fixture(autouse=True)
def _one_check(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Check("data", "ok", f"/home/x, beside mqtt://ada:geheim@broker and {TOKEN}")
    monkeypatch.setattr(checks, "run_checks", lambda config: iter([found]))


def parts_of(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as bundle:
        assert {entry.name.partition("/")[0] for entry in bundle} == {bundle.getnames()[0].partition("/")[0]}
    return diagnostics.unpack(file.read_bytes())


def test_of_a_running_server(hardpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with serving(retention={"rules": ["grandma-bed:* drop 30d"]}) as data:
        monkeypatch.setenv("HARDPOINT_DATA", str(data))
        result = hardpoint("bugreport")
        assert result.code == 0
        (file,) = tmp_path.glob("hardpoint-*.tar.gz")
        assert file.stat().st_mode & 0o777 == 0o600
        parts = parts_of(file)
        listed = [line.split()[0] for line in result.out.splitlines()[1:]]
        assert listed == list(parts)
        assert {"README.txt", "health.json", "system.json", "metrics.txt", "log.txt", "doctor.json"} <= parts.keys()
        assert b"grandma-bed" in parts["settings.json"]
        assert b'"seen": "/home/x, beside mqtt://[left out]broker and [left out]"' in parts["doctor.json"]

        report = hardpoint("bugreport", "--hide-names", "--json", "private.tar.gz").json
        assert (report["schema"], report["names"]) == ("hardpoint.bugreport.v1", False)
        hidden = parts_of(tmp_path / "private.tar.gz")
        assert list(hidden) == list(report["parts"])
        assert b"grandma-bed" not in b"".join(hidden.values())
        assert diagnostics.NAMES_HIDDEN.encode() in hidden["README.txt"]


def test_where_none_runs_the_rest_is_made_without_it(hardpoint, tmp_path: Path) -> None:
    result = hardpoint("bugreport", "r.tar.gz")
    assert result.code == 0
    assert "without the server's part" in result.err
    assert set(parts_of(tmp_path / "r.tar.gz")) == {"README.txt", "doctor.json", "about.json", "settings.json"}


def test_elsewhere_there_is_nothing_without_the_server(hardpoint, script: Script, tmp_path: Path) -> None:
    gone = hardpoint("bugreport", "r.tar.gz", "--server", "http://127.0.0.1:9")
    assert gone.code == 69
    assert not (tmp_path / "r.tar.gz").exists()


@pytest.mark.parametrize("answer", [b"", b"no tar", b"\x1f\x8b" + b"\0" * 30])
def test_what_is_no_bundle_is_said(hardpoint, script: Script, tmp_path: Path, answer: bytes) -> None:
    script.answers["GET /api/system/bundle"] = (200, answer)
    result = hardpoint("bugreport", "r.tar.gz")
    assert result.code == 1
    assert "not a diagnostics bundle" in result.err


def test_one_of_a_server_that_fails_says_why(hardpoint, script: Script, tmp_path: Path) -> None:
    script.answers["GET /api/system/bundle"] = (500, error("internal", "the disk is gone"))
    result = hardpoint("bugreport", "r.tar.gz")
    assert result.code == 0
    assert "without its log: the disk is gone" in result.err


def test_a_file_that_exists_is_left_alone(hardpoint, tmp_path: Path) -> None:
    (tmp_path / "r.tar.gz").write_text("mine")
    assert hardpoint("bugreport", "r.tar.gz").code == 1
    assert (tmp_path / "r.tar.gz").read_text() == "mine"
