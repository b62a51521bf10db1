"""``hardpoint firmware``, against a real server."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from .serving import serving

if TYPE_CHECKING:
    from .conftest import Script


def test_from_a_file_to_a_device(hardpoint, monkeypatch, tmp_path: Path) -> None:
    file = tmp_path / "pump.bin"
    file.write_bytes(b"\x00\xff" * 1000)
    with serving() as data:
        monkeypatch.setenv("HARDPOINT_DATA", str(data))
        assert "no packages yet" in hardpoint("firmware", "ls").err
        result = hardpoint("firmware", "add", str(file), "--title", "pump", "--version", "1.3")
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        assert result.err == f"stored pump 1.3, 2,000 bytes, SHA-256 {digest}\n"
        assert (data / "packages" / digest).read_bytes() == file.read_bytes()
        made = hardpoint("firmware", "add", str(file), "--title", "t", "--version", "1", "--software", "--json").json
        assert (made["kind"], made["schema"]) == ("sw", "hardpoint.package.v1")
        assert hardpoint("firmware", "add", str(file), "--title", "pump", "--version", "1.3").code == 1
        rows = hardpoint("firmware", "ls").out.splitlines()[1:]
        assert [row.split()[:4] for row in rows] == [["fw", "pump", "1.3", "2,000"], ["sw", "t", "1", "2,000"]]
        assert len(hardpoint("firmware", "ls", "--json").json["items"]) == 2
        hardpoint("device", "add", "north")
        assert hardpoint("firmware", "give", "pump", "1.3", "north").err == "north is to have pump 1.3\n"
        assert hardpoint("firmware", "give", "pump", "1.4", "north").code == 1
        assert hardpoint("firmware", "withdraw", "north").err == "north is to have none\n"
        assert hardpoint("firmware", "rm", "pump", "1.3").err == "removed pump 1.3\n"
        assert [row.split()[1] for row in hardpoint("firmware", "ls").out.splitlines()[1:]] == ["t"]


def test_a_package_that_is_not_there(hardpoint, script: Script) -> None:
    script.answers["GET /api/packages"] = (200, {"items": []})
    result = hardpoint("firmware", "rm", "pump", "1")
    assert (result.code, "there is no package pump 1" in result.err) == (1, True)
