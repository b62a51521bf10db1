"""Both of Debian's netcats, as people call them: with and without a flag that ends them, with and without a last
newline, and with the line ends of other systems.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from serving import DEADLINE_S, Account, ServerProcess, wait_until

pytestmark = pytest.mark.conformance

STAYING = ["nc.openbsd", "nc.traditional"]
"""These go on listening until the server closes."""


Typed = Callable[[str, str], str]
Stored = Callable[[str], list[Any]]


@pytest.fixture
def typed(shared: ServerProcess, device: Account) -> Typed:
    """``typed(netcat, text)``: the shell command that a person types; ``text`` is printf's."""

    def type_(netcat: str, text: str) -> str:
        program = netcat.split()[0]
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian: netcat-openbsd, netcat-traditional)")
        text = text.replace("TOKEN", device.token)
        return f"printf {shlex.quote(text)} | {netcat} 127.0.0.1 {shared.ports['line']}"

    return type_


@pytest.fixture
def stored(shared: ServerProcess, device: Account) -> Stored:
    """``stored(key)``: the values in the store."""
    return lambda key: [value for _, value in shared.api.readings(device.name, key)]


def run(command: str) -> list[str]:
    """Every line that netcat showed, once it has ended by itself."""
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("netcat", ["nc.openbsd -N", "nc.openbsd -q1", "nc.traditional -q1"])
@pytest.mark.parametrize(
    "text",
    ["HELLO TOKEN\\ntemp=21.5", "HELLO TOKEN\\ntemp=21.5\\n", "HELLO TOKEN\\r\\ntemp=21.5\\r\\n"],
    ids=["no newline", "LF", "CRLF"],
)
def test_a_reading_is_stored_and_said_to_be(
    typed: Typed, stored: Stored, device: Account, netcat: str, text: str
) -> None:
    greeting, *answers = run(typed(netcat, text))
    assert greeting.startswith("hardpoint ")
    assert answers == [f"OK {device.name}", "OK 1"]
    assert stored("temp") == [21.5]


@pytest.mark.parametrize("netcat", ["nc.openbsd -q0", "nc.traditional -q0"])
def test_a_netcat_that_does_not_wait_for_the_answer_still_delivers(
    typed: Typed, stored: Stored, device: Account, netcat: str
) -> None:
    run(typed(netcat, "HELLO TOKEN\\ntemp=21.5\\n"))
    wait_until(lambda: stored("temp") == [21.5])


@pytest.mark.parametrize("netcat", STAYING)
def test_the_printed_command_with_any_netcat(typed: Typed, stored: Stored, device: Account, netcat: str) -> None:
    """Without a flag it stays, as a person expects who goes on typing: the answers are there all the same."""
    with subprocess.Popen(
        ["sh", "-c", typed(netcat, "HELLO TOKEN\\ntemp=21.5\\n")],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        assert running.stdout is not None
        shown = [running.stdout.readline() for _ in range(3)]
        os.killpg(running.pid, signal.SIGINT)
    assert shown[1:] == [f"OK {device.name}\n", "OK 1\n"]
    assert stored("temp") == [21.5]


@pytest.mark.parametrize("netcat", STAYING)
def test_quit_ends_every_netcat(typed: Typed, stored: Stored, device: Account, netcat: str) -> None:
    answers = run(typed(netcat, "HELLO TOKEN\\ntemp=1\\nQUIT\\n"))
    assert answers[1:] == [f"OK {device.name}", "OK 1", "BYE"]


def test_a_whole_conversation(typed: Typed, device: Account) -> None:
    text = 'HELLO TOKEN\\ntemp=21.5 door=true note="two words"\\nGET note\\nATTR fw=1.2\\nnonsense\\n#7 PING\\nQUIT\\n'
    answers = run(typed("nc.openbsd -N", text))[1:]
    assert answers[:2] == [f"OK {device.name}", "OK 3"]
    assert answers[2].startswith('note="two words" @')
    assert answers[3] == "OK 1"
    assert answers[4].startswith("ERR unknown-verb ")
    assert answers[5:] == ["#7 PONG", "BYE"]


def test_a_large_file_piped_in_is_answered_line_by_line(shared: ServerProcess, device: Account, stored: Stored) -> None:
    """``cat log | nc``: 20,000 back-filled readings, which netcat sends faster than a disk commits."""
    lines = "".join(f"n={number} @{1_732_320_000_000 + number}\n" for number in range(20_000))
    done = subprocess.run(
        ["nc.openbsd", "-N", "127.0.0.1", str(shared.ports["line"])],
        input=f"HELLO {device.token}\n{lines}",
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    answers = done.stdout.splitlines()[2:]
    assert answers == ["OK 1"] * 20_000
    assert stored("n") == list(range(20_000))
