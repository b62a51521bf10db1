from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import psutil
import pytest

from hardpoint.cli import lab
from hardpoint.lab import experiment
from hardpoint.lab.models import MODELS

QUICK = ("--models", "epoll,threads", "--connections", "20,4", "--active", "4", "--rate", "200", "--seconds", "0.15")


def test_the_light_module_knows_what_the_heavy_one_has() -> None:
    assert tuple(MODELS) == lab.MODELS
    assert experiment.MAX_CONNECTIONS == lab.MAX_CONNECTIONS
    assert experiment.MAX_ACTIVE == lab.MAX_ACTIVE
    assert experiment.MAX_RATE == lab.MAX_RATE
    assert experiment.MAX_SECONDS == lab.MAX_SECONDS
    defaults = {each.name: each.default for each in lab.command.params}
    assert defaults["rate"] == experiment.DEFAULT_RATE
    assert defaults["active"] == experiment.DEFAULT_ACTIVE
    assert defaults["seconds"] == experiment.DEFAULT_SECONDS
    assert defaults["connections"] == ",".join(map(str, experiment.DEFAULT_CONNECTIONS))


def test_tables_and_a_chart(hardpoint: Callable[..., Any], tmp_path: Path) -> None:
    result = hardpoint("lab", *QUICK, "--chart", "made.svg")
    assert result.code == 0, result.err
    assert "MODEL" in result.out
    assert "Where it stops" in result.out
    assert result.err == "chart: made.svg\n"
    root = ET.fromstring((tmp_path / "made.svg").read_text("utf-8"))
    assert root.tag.endswith("svg")


def test_json(hardpoint: Callable[..., Any]) -> None:
    result = hardpoint("lab", *QUICK, "--json")
    assert result.err == ""
    assert result.json["schema"] == "hardpoint.lab.v1"
    assert [(each["model"], each["idle"]) for each in result.json["points"]] == [
        ("threads", 4),
        ("threads", 20),
        ("epoll", 4),
        ("epoll", 20),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--models", "kqueue"), "no model 'kqueue'"),
        (("--connections", "ten"), "is not numbers"),
        (("--connections", "0"), "must be 1 to 100,000"),
        (("--chart", "x.png"), "does not end in .svg"),
        (("--chart", "no/such/x.svg"), "there is no folder"),
    ],
)
def test_wrong_calls_are_refused_before_anything_runs(
    hardpoint: Callable[..., Any], arguments: tuple[str, ...], message: str
) -> None:
    result = hardpoint("lab", *arguments)
    assert result.code == 2
    assert message in result.err


def test_progress_is_a_line_now_and_then_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lab, "SAY_EVERY_S", 0.0)
    with lab.shown(quiet=False) as progress:
        progress("epoll: 10 idle connections", 3, 25)
    assert capsys.readouterr().err == "3 of 25: epoll: 10 idle connections\n"


def test_progress_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with lab.shown(quiet=False) as progress:
        progress("epoll: 10 idle connections", 3, 25)
    assert "3/25" in capsys.readouterr().err


def test_ctrl_c_ends_every_process() -> None:
    command = [sys.executable, "-m", "hardpoint", "lab", "--models", "busy", "--connections", "10", "--seconds", "20"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    children: list[psutil.Process] = []
    end = time.monotonic() + 60
    while len(children) < 3:
        assert time.monotonic() < end
        children = psutil.Process(process.pid).children()
    os.kill(process.pid, signal.SIGINT)
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in complaints
    # One that was being started at that very moment ends by itself, because its parent's pipe is closed.
    end = time.monotonic() + 60
    while any(alive(child) for child in children):
        assert time.monotonic() < end


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
