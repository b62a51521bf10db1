"""``hardpoint doctor``: what it prints and how it ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hardpoint.checks import Check
from hardpoint.cli import checks

FINE = Check("a", "ok", "seen\x1b")
ODD = Check("b", "warn", "half", "mend it")
LEFT = Check("c", "skip", "absent", "not needed")
BAD = Check("d", "fail", "broken", "replace it")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def set_checks(*results: Check) -> None:
        monkeypatch.setattr(checks, "run_checks", lambda config: iter(results))

    return set_checks


def test_text(hardpoint, found) -> None:
    found(FINE, ODD, LEFT, BAD)
    result = hardpoint("doctor")
    assert result.code == 1
    assert result.out.splitlines() == [
        r"ok    a           seen\x1b",
        "warn  b           half",
        "                  fix: mend it",
        "-     c           absent",
        "FAIL  d           broken",
        "                  fix: replace it",
    ]


def test_a_warning_is_no_failure(hardpoint, found) -> None:
    found(FINE, ODD, LEFT)
    assert hardpoint("doctor").code == 0


def test_json(hardpoint, found) -> None:
    found(FINE, BAD)
    result = hardpoint("doctor", "--json")
    assert result.code == 1
    assert result.json == {
        "schema": "hardpoint.doctor.v1",
        "ok": False,
        "checks": [
            {"id": "a", "status": "ok", "seen": "seen\x1b", "fix": None},
            {"id": "d", "status": "fail", "seen": "broken", "fix": "replace it"},
        ],
    }


def test_a_wrong_file_is_the_configurations_exit_code(hardpoint, tmp_path) -> None:
    (tmp_path / "x.toml").write_text("nope = 1")
    assert hardpoint("doctor", "--config", "x.toml").code == 78
