"""Import and export where things break: the server is killed while it stores, a disk is full, a file is very large."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from base64 import b85encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hardpoint.cli.importing import job
from hardpoint.stores.sqlite import SqliteStore, failpoints
from small_disks import resize, small_disk

from .conftest import Result
from .serving import serving

Hardpoint = Callable[..., Result]

START_MS = 1_763_880_000_000
READINGS = 900
DEADLINE_S = 60
POINTS = sorted(name for name in failpoints.NAMES if name.startswith(("commit", "fold", "compaction")))
"""What an import reaches: each of its batches is noted in the audit too, so it is no commit of readings alone."""

SERVER = """
import sys
from hardpoint.cli.main import main
from hardpoint.stores.sqlite import compaction, failpoints, fold, merge, work
point, after, *arguments = sys.argv[1:]
if point:
    work.FOLD_AT_READINGS, work.FOLD_AT_READINGS_A_SERIES, work.SLICE_S = 100, 0, 0.0
    work.FOLD_AT_LEAST_A_SERIES, fold.MAX_BLOCK_READINGS = 0, 20
    # What skips the blocks leaves compaction one series at a time: a slice of it would always be its last.
    fold.DIRECT_READINGS = 10**6 if point.startswith("compaction") else 40
    compaction.READINGS_A_SERIES, compaction.MAX_BLOCKS = 30, 3
    merge.MIN_READINGS, merge.MAX_READINGS = 20, 60
    failpoints.kill_at(point, int(after))
main(["serve", "--listen", "http://127.0.0.1:0", "--set", "host.enabled=false", *arguments])
"""


@contextmanager
def server(data: Path, point: str = "", after: int = 0) -> Iterator[subprocess.Popen[str]]:
    """A server's process; with a point it does everything in small steps, and is killed there."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HARDPOINT_")}
    command = [sys.executable, "-c", SERVER, point, str(after), "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
        try:
            assert process.stdout is not None
            assert any(line.startswith("  Data ") for line in process.stdout), "it did not start"
            yield process
        finally:
            process.kill()


def rows() -> list[str]:
    """Lines as an export writes them, of one series that grows, one that comes backwards, and one of text."""
    grows = [("grows", START_MS + place, str(place)) for place in range(READINGS // 3)]
    late = [("late", START_MS - place, str(place)) for place in range(READINGS // 3)]
    texts = [("text", START_MS + place, f'"{place} words"') for place in range(READINGS // 3)]
    each = [row for three in zip(grows, late, texts, strict=True) for row in three]
    return [f'{{"device":"d","key":"{key}","ts":{ts},"value":{value}}}' for key, ts, value in each]


def exported(hardpoint: Hardpoint, data: Path) -> list[str]:
    file = data.parent / "out.ndjson"
    done = hardpoint("store", "export", str(file), "--force", "--quiet", "--server", f"unix:{data}/hardpoint.sock")
    assert done.code == 0, done.err
    return file.read_text().splitlines()


@pytest.fixture
def folder() -> Iterator[Path]:
    """With a short path, for a Unix socket."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="hp") as made:
        yield Path(made)


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_the_server_is_killed_while_it_stores(
    hardpoint: Hardpoint, folder: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    monkeypatch.setattr(job, "BATCH_READINGS", 90)
    (folder / "x.ndjson").write_text("\n".join(rows()) + "\n")
    data = folder / "data"
    argv = ["store", "import", str(folder / "x.ndjson"), "--create", "--quiet"]
    argv += ["--server", f"unix:{data}/hardpoint.sock"]
    with server(data, point, after=3 if point.startswith("commit") else 0) as doomed:
        broken = hardpoint(*argv)
        # The import may have come to its end when folding and compaction, which go on behind it, reach the point.
        assert doomed.wait(DEADLINE_S) == -9, f"{point} was not reached: {broken.err}"
    with serving(data=data):
        done = hardpoint(*argv)
        assert done.code == 0, done.err
        stored = re.findall(r"(\d+) (?:readings stored|were stored before)", done.err)
        assert sum(map(int, stored)) == READINGS, done.err
        assert sorted(exported(hardpoint, data)) == sorted(rows())
    store = SqliteStore(data)
    store.open()
    store._do(lambda connection, pending: pending.everything_in_chunks(connection))
    found = store.check()
    store.close()
    assert (found.readings, found.findings) == (READINGS, ())


def test_an_import_goes_on_when_the_servers_disk_has_room_again(
    hardpoint: Hardpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(job, "BATCH_READINGS", 50)
    texts = [b85encode(random.Random(place).randbytes(1600)).decode() for place in range(1000)]
    lines = [
        f'{{"device":"d","key":"t","ts":{START_MS + place},"value":"{text}"}}'.replace("\\", "/")
        for place, text in enumerate(texts)
    ]
    (tmp_path / "x.ndjson").write_text("\n".join(lines) + "\n")
    with small_disk(2048) as disk, serving(data=disk / "data"):
        data = disk / "data"
        argv = ["store", "import", "x.ndjson", "--create", "--quiet", "--server", f"unix:{data}/hardpoint.sock"]
        refused = hardpoint(*argv)
        assert (refused.code, "no space left in" in refused.err) == (1, True), refused.err
        assert "what was sent before is stored: the same command goes on from there" in refused.err
        assert hardpoint(*argv).code == 1, "it is still full"
        resize(disk, 16 * 1024)
        done = hardpoint(*argv)
        assert (done.code, "going on behind line " in done.err) == (0, True), done.err
        stored = re.findall(r"(\d+) (?:readings stored|were stored before)", done.err)
        assert len(stored) == 2
        assert sum(map(int, stored)) == len(lines)
        monkeypatch.chdir(tmp_path)
        hardpoint("store", "export", "out.ndjson", "--server", f"unix:{data}/hardpoint.sock")
    assert (tmp_path / "out.ndjson").read_text().splitlines() == lines


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.ndjson", "wide.csv", "x.parquet", "stdout"])
def test_an_export_to_a_full_disk_leaves_nothing_behind(
    hardpoint: Hardpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if name == "x.parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed: make .venv/.parquet")
    numbers = random.Random(1)
    lines = [f"{START_MS + place},{numbers.random()}\n" for place in range(5000)]
    (tmp_path / "x.csv").write_text("time,n\n" + "".join(lines))
    with small_disk(40) as disk, serving() as data:
        monkeypatch.setenv("HARDPOINT_DATA", str(data))
        assert hardpoint("store", "import", "x.csv", "--device", "d", "--create", "--quiet").code == 0
        if name == "stdout":
            with (disk / "out.csv").open("wb") as out:
                command = [sys.executable, "-m", "hardpoint", "store", "export", "-", "--format", "csv"]
                done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, timeout=300, check=False)
            assert done.returncode == 1
            assert done.stderr == "error: the output cannot be written: No space left on device\n"
            return
        refused = hardpoint("store", "export", str(disk / name), *(["--wide"] if name == "wide.csv" else []), "--quiet")
        assert refused.code == 1
        assert refused.err == f"error: {disk / name} cannot be written: No space left on device\n"
        assert list(disk.iterdir()) == []


def peak_kib(pid: int | str = "self") -> int:
    """The most memory that a process has had so far."""
    (kib,) = re.findall(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(kib)


CLIENT = """
import sys
from pathlib import Path
from hardpoint.cli.main import run
code = run(sys.argv[1:])
print(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")).split()[1])
raise SystemExit(code)
"""


def run_apart(data: Path, *argv: str) -> int:
    """Run a command in a process of its own; the most memory it has had, in KiB."""
    command = [sys.executable, "-c", CLIENT, *argv, "--server", f"unix:{data}/hardpoint.sock"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


@pytest.mark.slow  # twenty seconds of CPU
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="/proc tells how much memory a process has had")
def test_half_a_million_rows_take_no_more_memory_than_fifty_thousand(folder: Path) -> None:
    data, few, many = folder / "data", 50_000, 500_000
    for count in (few, many):
        with (folder / f"{count}.csv").open("w") as file:
            file.write("time,device,key,value\n")
            file.writelines(
                f"{START_MS + place // 10 * 1000},d,k{place % 10},{place % 977 / 10}\n" for place in range(count)
            )
    with server(data) as process:
        peaks = []
        for count in (few, many):
            imported = run_apart(data, "store", "import", str(folder / f"{count}.csv"), "--create", "--quiet")
            exported = run_apart(data, "store", "export", str(folder / "out.csv"), "--force", "--quiet")
            peaks.append((imported, exported, peak_kib(process.pid)))
            with (folder / "out.csv").open() as file:
                assert sum(1 for _ in file) == count + 1
        few_kib, many_kib = peaks
        assert many_kib[0] - few_kib[0] < 8 * 1024, "the import's client"
        assert many_kib[1] - few_kib[1] < 8 * 1024, "the export's client"
        assert many_kib[2] - few_kib[2] < 32 * 1024, "the server"
