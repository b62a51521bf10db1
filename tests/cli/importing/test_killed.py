"""An import that is killed at each of its steps: the same call ends what is left, and counts nothing twice."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

READINGS, BATCH = 23, 5

# A process that forks: the child runs the import and kills itself at the k-th step, another one ends it. A step is what
# the world outside sees: a batch is about to reach the server, is on its disk, is answered; the note's bytes are half
# written, are written, are in place; the note is gone.
DRIVER = """
import io, json, os, signal, sys
from datetime import UTC
from pathlib import Path
from hardpoint.cli.importing import job
from hardpoint.cli.importing.columns import Columns, as_it_is
from hardpoint.cli.importing.records import Records

folder, readings, job.BATCH_READINGS = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
left = None

def step():
    global left
    if left is not None:
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

class Server:
    def __init__(self, path):
        self.path = path
    def get(self, *path):
        pass
    def call(self, method, *path, body, timeout_s):
        step()
        with self.path.open("ab") as disk:
            disk.write(bytes(body) + b"\\n")
        step()

def write_bytes(path, data, real=Path.write_bytes):
    real(path, data[:-5])
    step()
    real(path, data)
    step()

def replace(path, target, real=Path.replace):
    real(path, target)
    step()

def unlink(path, missing_ok=False, real=Path.unlink):
    step()
    real(path, missing_ok)
    step()

Path.write_bytes, Path.replace, Path.unlink = write_bytes, replace, unlink
lines = b"".join(b'{"ts":%d,"device":"a","t":%d}\\n' % (n, n) for n in range(readings))

def run(here, steps):
    '''Its end and how many readings it says are stored, in this run and before.'''
    global left
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        left = steps
        records = Records(io.BytesIO(lines), "ndjson")
        notes = job.Notes(here / "note", "this")
        one = job.Import(records, Columns(None, None, UTC), as_it_is, Server(here / "server"), notes)
        one.go_on()
        report = one.run(lambda record, report: None)
        os.write(into, json.dumps([report.readings, report.stored_before]).encode())
        os._exit(0)
    os.close(into)
    _, status = os.waitpid(pid, 0)
    with open(out, "rb") as told:
        said = told.read()
    return os.waitstatus_to_exitcode(status), json.loads(said) if said else None

for steps in range(1000):
    here = folder / str(steps)
    here.mkdir()
    first = run(here, steps)
    second = run(here, None) if first[0] else None
    stored = [json.loads(line) for line in (here / "server").read_bytes().splitlines()]
    points = [ts for body in stored for series in body["series"] for ts, _ in series["points"]]
    left_over = sorted(path.name for path in here.iterdir())
    print(json.dumps([first[0], (second or first)[1], points, left_over]), flush=True)
    if first[0] == 0:
        break
"""


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, list[int], list[int], list[str]]]:
    """Of each step: how the first run ended, what the last one said, what both sent, what lies beside the file."""
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-c", DRIVER, str(folder), str(READINGS), str(BATCH)]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def test_it_was_killed_at_every_step(ends: list[tuple[int, list[int], list[int], list[str]]]) -> None:
    # Five batches of two steps, four notes of three, and the note's end of two.
    assert [code for code, _, _, _ in ends] == [-9] * (5 * 2 + 4 * 3 + 2) + [0]


def test_all_is_stored_and_counted_once(ends: list[tuple[int, list[int], list[int], list[str]]]) -> None:
    for step, (_, said, sent, beside) in enumerate(ends):
        assert set(sent) == set(range(READINGS)), step
        # At most one batch is sent again; all of them where all was done, and the note gone: nobody can know it.
        assert len(sent) <= READINGS + (READINGS if step == len(ends) - 2 else BATCH), step
        assert sum(said) == READINGS, step
        assert [name for name in beside if name != "note.partial"] == ["server"], step


def test_what_was_noted_is_not_sent_again(ends: list[tuple[int, list[int], list[int], list[str]]]) -> None:
    assert {said[1] for _, said, _, _ in ends} == {0, 5, 10, 15, 20}, "each note was gone on from"
