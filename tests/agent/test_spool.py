from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from hardpoint.agent.spool import FILE_NAME, ROW_OVERHEAD_BYTES, Spool
from hardpoint.errors import FolderTaken, StorageError, StorageFull
from properties import examples

MIB = 1024 * 1024


@pytest.fixture
def spool(tmp_path):
    made = Spool(tmp_path, MIB)
    yield made
    made.close()


def texts(spool):
    return [line for _, line in spool.after(0, 10**6)]


def test_first_in_first_out(spool):
    spool.append([b"a", b"b"])
    spool.append([b"c"])
    assert spool.lines == 3
    assert texts(spool) == [b"a", b"b", b"c"]
    [(first, _), (second, _), _] = spool.after(0, 10)
    assert spool.after(first, 1) == [(second, b"b")]
    spool.append([b"d"], [first, second])
    assert texts(spool) == [b"c", b"d"]
    assert spool.size_bytes == 2 * (1 + ROW_OVERHEAD_BYTES)


def test_a_number_is_never_used_again(spool):
    spool.append([b"a"])
    [(first, _)] = spool.after(0, 1)
    spool.append([], [first])
    assert spool.lines == spool.size_bytes == 0
    spool.append([b"b"])
    [(second, _)] = spool.after(0, 1)
    assert second > first


def test_removing_what_is_gone_changes_nothing(spool):
    spool.append([b"a"])
    spool.append([], [999, 999])
    assert (spool.lines, spool.size_bytes) == (1, 1 + ROW_OVERHEAD_BYTES)


def test_lines_and_their_count_outlive_the_process(tmp_path):
    first = Spool(tmp_path, MIB)
    first.append([b"a", b"bcd"])
    size_bytes = first.size_bytes
    first.close()
    second = Spool(tmp_path, MIB)
    assert texts(second) == [b"a", b"bcd"]
    assert (second.lines, second.size_bytes) == (2, size_bytes)
    second.close()


def test_the_oldest_are_dropped_at_the_bound(tmp_path, caplog):
    one = 10 + ROW_OVERHEAD_BYTES
    spool = Spool(tmp_path, 3 * one)
    for n in range(5):
        spool.append([b"line-%05d" % n])
    assert texts(spool) == [b"line-00002", b"line-00003", b"line-00004"]
    assert (spool.lines, spool.size_bytes, spool.dropped) == (3, 3 * one, 2)
    assert len(caplog.records) == 1
    spool.append([b"x" * 4 * one])
    assert (spool.lines, spool.size_bytes, spool.dropped) == (0, 0, 6)
    spool.close()


def test_a_smaller_bound_applies_to_what_is_there(tmp_path):
    spool = Spool(tmp_path, MIB)
    spool.append([b"%09d" % n for n in range(1000)])
    spool.close()
    spool = Spool(tmp_path, 10 * (9 + ROW_OVERHEAD_BYTES))
    spool.append([b"%09d" % 1000])
    assert texts(spool) == [b"%09d" % n for n in range(991, 1001)]
    spool.close()


def test_only_its_owner_may_read_it(tmp_path):
    spool = Spool(tmp_path / "made", MIB)
    spool.append([b"a"])
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "made").iterdir()} == {0o600}
    spool.close()


def test_one_agent_a_folder(tmp_path, spool):
    with pytest.raises(FolderTaken) as caught:
        Spool(tmp_path, MIB)
    assert caught.value.exit_code == 73


def test_a_folder_that_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be used"):
        Spool(tmp_path / "file", MIB)


def test_a_damaged_file_is_moved_aside(tmp_path, caplog):
    (tmp_path / FILE_NAME).write_bytes(b"this is no database" * 100)
    spool = Spool(tmp_path, MIB)
    spool.append([b"a"])
    assert texts(spool) == [b"a"]
    spool.close()
    assert (tmp_path / "agent-spool.damaged").read_bytes().startswith(b"this is no")
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600
    assert "is damaged" in caplog.messages[0]


def test_a_full_disk_changes_nothing_and_goes_on_when_there_is_room(spool):
    spool.append([b"a"])
    [(pages,)] = spool._db.execute("PRAGMA page_count").fetchall()
    spool._db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StorageFull):
        spool.append([b"x" * 4000] * 10)
    assert texts(spool) == [b"a"]
    assert (spool.lines, spool.size_bytes) == (1, 1 + ROW_OVERHEAD_BYTES)
    spool._db.execute("PRAGMA max_page_count=1000000")
    spool.append([b"b"])
    assert texts(spool) == [b"a", b"b"]


def test_a_failure_in_the_middle_leaves_nothing_of_it(spool):
    with pytest.raises(StorageError):
        spool.append([b"a"], [object()])
    assert spool.lines == 0
    assert texts(spool) == []
    spool.append([b"b"])
    assert texts(spool) == [b"b"]


def test_a_commit_waits_for_the_disk(spool):
    """No test can cut the power, so this one reads what SQLite will do: 2 is FULL, an fsync each commit."""
    assert spool._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert spool._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_reading_a_broken_table_is_a_storage_error(spool):
    spool._db.execute("DROP TABLE lines")
    with pytest.raises(StorageError):
        spool.after(0, 1)
    with pytest.raises(StorageError):
        spool.append([b"a"])


WRITER = """
import pathlib, sys
from hardpoint.agent.spool import Spool
spool = Spool(pathlib.Path(sys.argv[1]), 2**30)
n = int(sys.argv[2])
while True:
    spool.append([b"%d" % n, b"%d" % (n + 1)])
    n += 2
    print(n, flush=True)
"""


def test_nothing_appended_is_lost_by_sigkill(tmp_path):
    """Killed at whatever moment the Nth line of its output falls on; every acknowledged append is there, whole."""
    appended = 0
    for round_ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(appended)], stdout=subprocess.PIPE, text=True
        ) as child:
            for _ in range(1 + 7 * round_):
                acknowledged = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            # What it still managed to say was acknowledged too.
            acknowledged = max([acknowledged, *map(int, child.stdout.read().split("\n")[:-1])])
            assert child.wait() == -signal.SIGKILL
        spool = Spool(tmp_path, 2**30)
        found = [int(line) for line in texts(spool)]
        spool.close()
        assert found == list(range(len(found)))
        assert len(found) >= acknowledged
        assert len(found) % 2 == 0
        appended = len(found)


class AgainstAList(RuleBasedStateMachine):
    """Whatever is appended, removed, reopened: the same lines in the same order as in a list of (size, line)."""

    MAX_BYTES = 20 * (20 + ROW_OVERHEAD_BYTES)

    @initialize()
    def start(self):
        import tempfile
        from pathlib import Path

        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        self.spool = Spool(self.path, self.MAX_BYTES)
        self.model = []

    def teardown(self):
        if hasattr(self, "spool"):
            self.spool.close()
            self.folder.cleanup()

    def size(self):
        return sum(len(line) + ROW_OVERHEAD_BYTES for line in self.model)

    @rule(lines=st.lists(st.binary(min_size=1, max_size=40), max_size=8))
    def append(self, lines):
        self.spool.append(lines)
        self.model += lines
        while self.size() > self.MAX_BYTES:
            self.model.pop(0)
        self.check()

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data):
        places = data.draw(st.sets(st.integers(0, len(self.model) - 1), max_size=5))
        rows = self.spool.after(0, 1000)
        self.spool.append([], [rows[place][0] for place in places])
        self.model = [line for place, line in enumerate(self.model) if place not in places]
        self.check()

    @rule()
    def reopen(self):
        self.spool.close()
        self.spool = Spool(self.path, self.MAX_BYTES)
        self.check()

    def check(self):
        assert texts(self.spool) == self.model
        assert (self.spool.lines, self.spool.size_bytes) == (len(self.model), self.size())


AgainstAList.TestCase.settings = examples(15, stateful_step_count=15)
TestAgainstAList = AgainstAList.TestCase


def test_the_file_is_an_ordinary_database(tmp_path, spool):
    """So that `sqlite3` can look into it when the agent is stopped."""
    spool.append([b"temp=21.5 @1732320000000"])
    spool.close()
    db = sqlite3.connect(tmp_path / FILE_NAME)
    assert db.execute("SELECT line FROM lines").fetchall() == [(b"temp=21.5 @1732320000000",)]
    db.close()
    assert os.listdir(tmp_path) == [FILE_NAME]
