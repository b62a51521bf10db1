"""``hardpoint store``: in and out, copied and brought back, against a real server."""

from __future__ import annotations

import gzip
import json
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hardpoint.cli import client, store_copy, store_export, upgrade
from hardpoint.cli.importing import job
from hardpoint.errors import StorageFull
from hardpoint.model import Put, Series
from hardpoint.stores.packages import PackageFiles
from hardpoint.stores.sqlite import SqliteStore

from .conftest import Result, Script
from .serving import serving

Hardpoint = Callable[..., Result]

LINES = "".join(
    f'{{"device":"{device}","key":"{key}","ts":{1_763_880_000_000 + n * 1000},"value":{value}}}\n'
    for device, key, count, value in [
        *(("a", "hum", 3, "60"), ("a", "note", 2, '"two, \\"words\\""')),
        *(("a", "temp", 5, "21.5"), ("b c", "on", 2, "true"), ("b c", "pos", 1, '{"x":[1]}')),
    ]
    for n in range(count)
)
"""As an export writes them: by device, key and time."""


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    with serving(retention={"rules": ["a:* drop 30d"]}) as folder:
        yield folder


@pytest.fixture(autouse=True)
def _here(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARDPOINT_DATA", str(data))


@pytest.fixture(scope="module")
def _filled(data: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    from hardpoint.cli.main import run

    file = tmp_path_factory.mktemp("in") / "all.ndjson"
    file.write_text(LINES)
    assert run(["store", "import", str(file), "--create", "--quiet", "--server", f"unix:{data}/hardpoint.sock"]) == 0


@pytest.mark.usefixtures("_filled")
class TestExport:
    def test_readings_are_counted_and_not_lines(
        self, hardpoint: Hardpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        values = ["two\nlines", '"', 'a\n"b\n', "plain", "\n"]
        text = "".join(json.dumps({"device": "texts", "ts": n, "note": value}) + "\n" for n, value in enumerate(values))
        (tmp_path / "texts.ndjson").write_text(text)
        assert hardpoint("store", "import", "texts.ndjson", "--create", "--quiet").code == 0
        for piece_bytes in (1, 64 * 1024):
            monkeypatch.setattr(client, "READ_BYTES", piece_bytes)
            done = hardpoint("store", "export", "texts.csv", "--device", "texts", "--force")
            assert f"texts.csv: {len(values)} readings" in done.err, done.err
        assert hardpoint("device", "rm", "texts", "--confirm", "texts").code == 0

    def test_what_goes_out_is_what_came_in(self, hardpoint: Hardpoint, tmp_path: Path) -> None:
        done = hardpoint("store", "export", "out.ndjson", "--quiet")
        assert (done.code, done.out) == (0, "")
        assert "13 readings" in done.err
        assert (tmp_path / "out.ndjson").read_text() == LINES.replace('"b c"', '"b-c"')
        assert hardpoint("store", "export", "out.ndjson.gz").code == 0
        assert gzip.decompress((tmp_path / "out.ndjson.gz").read_bytes()) == (tmp_path / "out.ndjson").read_bytes()

    def test_chosen_devices_keys_and_times(self, hardpoint: Hardpoint, tmp_path: Path) -> None:
        where = ["--device", "a", "--key", "t*", "--from", "1763880001000", "--to", "1763880003000"]
        assert hardpoint("store", "export", "some.csv", *where).code == 0
        assert (tmp_path / "some.csv").read_text().splitlines() == [
            "time,device,key,value",
            "2025-11-23T06:40:01.000Z,a,temp,21.5",
            "2025-11-23T06:40:02.000Z,a,temp,21.5",
        ]

    @pytest.mark.parametrize("window", [1, 3, 50_000])
    def test_rows_that_are_wide(
        self, hardpoint: Hardpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int
    ) -> None:
        monkeypatch.setattr(store_export, "WINDOW_READINGS", window)
        assert hardpoint("store", "export", "wide.csv", "--wide", "--device", "a").code == 0
        assert (tmp_path / "wide.csv").read_text().splitlines() == [
            "time,device,hum,note,temp",
            '2025-11-23T06:40:00.000Z,a,60,"two, ""words""",21.5',
            '2025-11-23T06:40:01.000Z,a,60,"two, ""words""",21.5',
            "2025-11-23T06:40:02.000Z,a,60,,21.5",
            "2025-11-23T06:40:03.000Z,a,,,21.5",
            "2025-11-23T06:40:04.000Z,a,,,21.5",
        ]
        assert hardpoint("store", "export", "wide.ndjson", "--wide", "--device", "b*").code == 0
        assert [json.loads(line) for line in (tmp_path / "wide.ndjson").read_text().splitlines()] == [
            {"device": "b-c", "ts": 1_763_880_000_000, "values": {"on": True, "pos": {"x": [1]}}},
            {"device": "b-c", "ts": 1_763_880_001_000, "values": {"on": True}},
        ]
        assert hardpoint("store", "export", "none.csv", "--wide", "--key", "nothing").code == 0
        assert (tmp_path / "none.csv").read_text() == "time,device\n"

    def test_parquet(self, hardpoint: Hardpoint, tmp_path: Path) -> None:
        pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed: make .venv/.parquet")
        assert hardpoint("store", "export", "all.parquet").code == 0
        table = pq.read_table(tmp_path / "all.parquet").to_pylist()
        assert len(table) == 13
        assert [(row["device"], row["key"], row["number"], row["text"]) for row in (table[0], table[3], table[-1])] == [
            *(("a", "hum", 60.0, None), ("a", "note", None, 'two, "words"'), ("b-c", "pos", None, '{"x":[1]}'))
        ]
        assert table[0]["time"].isoformat() == "2025-11-23T06:40:00+00:00"

    def test_nothing_is_replaced_unless_that_is_said(self, hardpoint: Hardpoint, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_text("mine")
        refused = hardpoint("store", "export", "x.csv")
        assert (refused.code, "--force" in refused.err) == (1, True)
        assert (tmp_path / "x.csv").read_text() == "mine"
        assert hardpoint("store", "export", "x.csv", "--force").code == 0
        assert len((tmp_path / "x.csv").read_text().splitlines()) == 14
        assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["x.csv"]

    @pytest.mark.parametrize(
        "argv",
        [["x"], ["-", "--format", "parquet"], ["x.parquet", "--wide"], ["x.parquet.gz"], ["x.txt"]],
    )
    def test_wrong_calls(self, hardpoint: Hardpoint, argv: list[str]) -> None:
        assert hardpoint("store", "export", *argv).code == 2

    def test_a_folder_that_is_not_there(self, hardpoint: Hardpoint) -> None:
        refused = hardpoint("store", "export", "none/x.csv")
        assert (refused.code, "none/x.csv" in refused.err) == (1, True)


class TestImport:
    def test_a_dry_run_looks_and_stores_nothing(self, hardpoint: Hardpoint, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_text(
            "Date;Temp (°C);RH\n23.11.2025 07:40;21.5;60\nnever;1;2\n24.11.2025 07:40;;61\n"
        )
        argv = [
            "x.csv",
            "--device",
            "new",
            "--delimiter",
            ";",
            "--time-format",
            "%d.%m.%Y %H:%M",
            "--tz",
            "Europe/Berlin",
        ]
        argv += ["--map", "Temp (°C)=temp", "--map", "RH=hum", "--dry-run"]
        dry = hardpoint("store", "import", *argv, "--json")
        assert dry.code == 1
        assert dry.json["problems"] == ["line 3: 'never' is not a time"]
        assert dry.json["series"]["new:hum"] == {"readings": 2, "first": 1_763_880_000_000, "last": 1_763_966_400_000}
        assert (dry.json["schema"], dry.json["readings"], dry.json["dry_run"]) == ("hardpoint.import.v1", 3, True)
        assert hardpoint("device", "show", "new").code == 1
        told = hardpoint("store", "import", *argv)
        assert "left out, line 3: 'never' is not a time" in told.err
        assert "3 readings would be stored from 3 records; 1 records that cannot be used" in told.err

    def test_twice_is_once(self, hardpoint: Hardpoint, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_text("time,temp\n2025-11-23T06:40Z,1\n2025-11-23T06:41Z,2\n")
        for _ in range(2):
            done = hardpoint("store", "import", "x.csv", "--device", "twice", "--create")
            assert done.code == 0, done.err
        found = hardpoint(
            "readings", "twice", "--from", "2025-11-23T06:00Z", "--to", "2025-11-23T07:00Z", "--json"
        ).json
        assert found["series"][0]["points"] == [[1_763_880_000_000, 1], [1_763_880_060_000, 2]]
        assert not (tmp_path / "x.csv.hardpoint-import").exists()

    def test_an_import_that_was_interrupted_goes_on(
        self, hardpoint: Hardpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(job, "BATCH_READINGS", 10)
        rows = [f"{1_763_880_000 + n},{n}\n" for n in range(50)]
        (tmp_path / "x.csv").write_text("time,n\n" + "".join(rows))
        real, sent = job.Import._post, []

        def interrupted(self, client, body):
            if len(sent) == 3:
                raise KeyboardInterrupt
            sent.append(body)
            real(self, client, body)

        monkeypatch.setattr(job.Import, "_post", interrupted)
        argv = ["store", "import", "x.csv", "--device", "cut", "--create"]
        assert hardpoint(*argv).code == 130
        assert (tmp_path / "x.csv.hardpoint-import").exists()
        monkeypatch.setattr(job.Import, "_post", real)
        done = hardpoint(*argv)
        assert "going on behind line 31: 30 readings of this file were stored before" in done.err
        assert "20 readings stored from 20 records; 30 were stored before" in done.err
        found = hardpoint(
            "readings", "cut", "--from", "2025-11-23", "--to", "2025-11-24", "--agg", "raw", "--json"
        ).json
        assert [value for _, value in found["series"][0]["points"]] == list(range(50))
        assert not (tmp_path / "x.csv.hardpoint-import").exists()

    def test_from_stdin(self, hardpoint: Hardpoint, monkeypatch: pytest.MonkeyPatch) -> None:
        import io
        import sys

        class Stdin:
            buffer = io.BytesIO(b'{"ts":1763880000000,"device":"piped","v":1}\n')

        monkeypatch.setattr(sys, "stdin", Stdin())
        assert hardpoint("store", "import", "-", "--format", "ndjson", "--create").code == 0
        assert hardpoint("device", "show", "piped", "--json").json["latest"]["v"]["value"] == 1

    @pytest.mark.parametrize(
        ("text", "argv", "said"),
        [
            ("a,b\n1,2\n", [], "no column that looks like a time among a, b"),
            ("time,b\n1,2\n", ["--time", "x"], "no column 'x' among time, b"),
            ("time,b\n1,2\n", ["--map", "c=d"], "--map 'c=d'"),
            ("time,b\n1,2\n", ["--map", "b"], "--map 'b'"),
            ("time,b\n1,2\n", ["--key-column", "k"], "no column 'k'"),
            ("time,b\n1,2\n", ["--tz", "Mars"], "--tz"),
            ("time,b\n1,2\n", ["--delimiter", "::"], "--delimiter"),
            ("time,b\n1,2\n", ["--delimiter", '"'], "--delimiter"),
        ],
    )
    def test_wrong_calls(self, hardpoint: Hardpoint, tmp_path: Path, text: str, argv: list[str], said: str) -> None:
        (tmp_path / "x.csv").write_text(text)
        refused = hardpoint("store", "import", "x.csv", *argv)
        assert (refused.code, said in refused.err) == (2, True), refused.err

    def test_what_the_file_lacks(self, hardpoint: Hardpoint, tmp_path: Path) -> None:
        assert hardpoint("store", "import", "x.txt").code == 2
        assert hardpoint("store", "import", "none.csv").code == 1
        (tmp_path / "x.csv").write_text("time,b\n1763880000,2\n")
        assert "--device NAME" in hardpoint("store", "import", "x.csv").err
        assert "--create" in hardpoint("store", "import", "x.csv", "--device", "nobody").err


@pytest.mark.usefixtures("_filled")
class TestCopies:
    def test_a_backup_of_a_running_server_is_restored(self, hardpoint: Hardpoint, tmp_path: Path) -> None:
        done = hardpoint("store", "backup", "all.db", "--quiet")
        assert done.code == 0, done.err
        assert (tmp_path / "all.db").stat().st_mode & 0o077 == 0
        assert hardpoint("store", "backup", "all.db").code == 1
        restored = hardpoint("store", "restore", "all.db", "--data", "again", "--quiet")
        assert restored.code == 0, restored.err
        check = hardpoint("store", "check", "--data", "again", "--json")
        assert (check.code, check.json["findings"]) == (0, [])
        assert check.json["readings"] >= 13
        again = hardpoint("store", "restore", "all.db", "--data", "again")
        assert (again.code, "holds a store already" in again.err) == (1, True)

    def test_firmware_is_in_it(self, hardpoint: Hardpoint, data: Path, tmp_path: Path) -> None:
        (tmp_path / "pump.bin").write_bytes(b"firmware")
        added = hardpoint("firmware", "add", "pump.bin", "--title", "pump", "--version", "1.3")
        assert added.code == 0, added.err
        (firmware,) = (data / "packages").iterdir()
        try:
            done = hardpoint("store", "backup", "all.db", "--quiet")
            assert ", 1 firmware package in it." in done.err
            restored = hardpoint("store", "restore", "all.db", "--data", "again", "--quiet")
            assert "readings, 1 firmware package, schema" in restored.err
            assert [path.name for path in Path("again/packages").iterdir()] == [firmware.name]
            assert Path("again/packages", firmware.name).read_bytes() == b"firmware"

            with closing(sqlite3.connect("all.db")) as old, old:  # as earlier versions made it
                old.execute("DROP TABLE carried_files")
            restored = hardpoint("store", "restore", "all.db", "--data", "old", "--quiet")
            assert (restored.code, "all.db is without the firmware pump 1.3: add it" in restored.err) == (0, True)

            firmware.unlink()
            done = hardpoint("store", "backup", "lacking.db", "--quiet")
            assert (done.code, "1 firmware package without a file" in done.err) == (0, True)
        finally:
            assert hardpoint("firmware", "rm", "pump", "1.3").code == 0

    def test_firmware_without_room_is_an_error_and_comes_later(
        self, hardpoint: Hardpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "pump.bin").write_bytes(b"firmware")
        assert hardpoint("firmware", "add", "pump.bin", "--title", "pump", "--version", "1.3").code == 0
        assert hardpoint("store", "backup", "all.db", "--quiet").code == 0
        assert hardpoint("firmware", "rm", "pump", "1.3").code == 0

        def full(files: PackageFiles) -> None:
            raise StorageFull("no space left for the package")

        with monkeypatch.context() as disk:
            disk.setattr(PackageFiles, "begin", full)
            refused = hardpoint("store", "restore", "all.db", "--data", "again", "--quiet")
        assert (refused.code, "no room in again for 1 firmware package;" in refused.err) == (1, True)
        assert hardpoint("store", "check", "--data", "again").code == 0  # opens it
        assert [path.read_bytes() for path in Path("again/packages").iterdir()] == [b"firmware"]

    def test_what_is_no_backup_changes_nothing(self, hardpoint: Hardpoint, tmp_path: Path) -> None:
        (tmp_path / "text.db").write_text("no database" * 1000)
        (tmp_path / "empty.db").touch()
        with closing(sqlite3.connect(tmp_path / "other.db")) as other:
            other.execute("CREATE TABLE x (y)")
        for name in ("text.db", "empty.db", "other.db"):
            assert hardpoint("store", "restore", name, "--data", "fresh").code == 1, name
        assert not (tmp_path / "fresh").exists()

    def test_a_database_whose_log_lies_beside_it_is_not_taken_for_a_backup(
        self, hardpoint: Hardpoint, tmp_path: Path
    ) -> None:
        """As of a card that was pulled: what was written last is in the log, and restored it would be missing."""
        pulled = tmp_path / "card"
        store = SqliteStore(tmp_path / "live")
        store.open()
        store.close()  # the tables are in the file
        store.open()
        try:
            committed = threading.Event()
            store.commit([(1, 1000, 1.5)], [Put(Series(1, "d", "t"))], lambda _: committed.set())
            assert committed.wait(60)
            shutil.copytree(tmp_path / "live", pulled)
        finally:
            store.close()
        refused = hardpoint("store", "restore", "card/hardpoint.db", "--data", "fresh")
        assert (refused.code, "hardpoint.db-wal" in refused.err) == (1, True), refused.err
        assert not (tmp_path / "fresh").exists()
        shutil.copytree(pulled, tmp_path / "moved")  # what the hint says
        check = hardpoint("store", "check", "--data", "moved", "--json")
        assert (check.code, check.json["readings"]) == (0, 1)

    def test_nobody_else_reads_a_backup_while_it_is_written(self, tmp_path: Path) -> None:
        """What lies under the partial file's name is not written to: its mode, and where it leads, is not ours."""
        seen: list[int] = []

        def pieces() -> Iterator[bytes]:
            seen.append((tmp_path / ".x.db.partial").stat().st_mode & 0o777)
            yield b"secret"

        left = tmp_path / ".x.db.partial"
        for make in (lambda: left.write_text("old"), lambda: left.symlink_to(tmp_path / "elsewhere")):
            make()
            assert store_copy.write_whole(tmp_path / "x.db", pieces(), lambda _: None) == 6
            assert (tmp_path / "x.db").stat().st_mode & 0o777 == 0o600
            assert not (tmp_path / "x.db").is_symlink()
            assert not (tmp_path / "elsewhere").exists()
            (tmp_path / "x.db").unlink()
        assert seen == [0o600, 0o600]

    def test_into_the_folder_of_a_running_server(self, hardpoint: Hardpoint, data: Path, tmp_path: Path) -> None:
        assert hardpoint("store", "backup", "all.db").code == 0
        refused = hardpoint("store", "restore", "all.db", "--data", str(data))
        assert (refused.code, "holds a store already" in refused.err) == (1, True)

    def test_a_damaged_backup(self, hardpoint: Hardpoint, tmp_path: Path) -> None:
        assert hardpoint("store", "backup", "all.db").code == 0
        whole = (tmp_path / "all.db").read_bytes()
        (tmp_path / "cut.db").write_bytes(whole[: len(whole) // 2])
        refused = hardpoint("store", "restore", "cut.db", "--data", "fresh")
        assert (refused.code, "cut.db" in refused.err) == (1, True)


@pytest.mark.usefixtures("_filled")
class TestLookingAfter:
    def test_the_plan(self, hardpoint: Hardpoint) -> None:
        plan = hardpoint("store", "plan", "--within", "1y")
        assert plan.code == 0
        rows = [line.split() for line in plan.out.splitlines()]
        assert rows[1][:4] == ["a:hum", "drop", "age", "3"]
        assert "a:*  drop after 30 d" in plan.err
        assert "readings are dropped, which frees about" in plan.err
        assert "at the present rate" not in plan.err
        found = hardpoint("store", "plan", "--json").json
        assert found["schema"] == "hardpoint.store-plan.v1"
        assert hardpoint("store", "plan", "--within", "soon").code == 2

    def test_a_check_of_the_running_server(self, hardpoint: Hardpoint) -> None:
        check = hardpoint("store", "check")
        assert (check.code, "nothing is wrong" in check.err) == (0, True)
        assert hardpoint("store", "check", "--repair").code == 0

    def test_a_check_without_server_and_without_store(self, hardpoint: Hardpoint) -> None:
        refused = hardpoint("store", "check", "--data", "nowhere")
        assert (refused.code, "no store in nowhere" in refused.err) == (1, True)
        assert hardpoint("store", "check", "--server", "http://127.0.0.1:9").code == 69


def test_the_plan_says_when_the_limit_is_reached(hardpoint: Hardpoint, script: Script) -> None:
    found = {"size_bytes": 10**6, "max_bytes": 2**30, "freed_bytes": 0, "rules": [], "steps": [], "more_steps": 0}
    said = "at the present rate it has as many in 12 d"
    for days, is_said in ((12.0, True), (0.0, False), (None, False)):
        script.answers["GET /api/store/plan"] = (200, {**found, "at": 0, "days_to_max": days})
        plan = hardpoint("store", "plan")
        assert "at most 1.0 GiB" in plan.err
        assert (said in plan.err.splitlines()) is is_said


@pytest.mark.usefixtures("_filled")
class TestUpgrade:
    def test_a_rehearsal_leaves_everything_as_it_was(self, hardpoint: Hardpoint, data: Path) -> None:
        done = hardpoint("doctor", "--upgrade", "--data", str(data))
        assert done.code == 0, done.out
        assert "nothing will be changed" in done.out
        assert "were read and verified" in done.out
        assert not list(data.glob("rehearsal-*"))

    def test_of_a_store_that_is_written_all_the_time(self, tmp_path: Path) -> None:
        with closing(sqlite3.connect(tmp_path / "hardpoint.db", isolation_level=None, check_same_thread=False)) as busy:
            busy.execute("PRAGMA journal_mode = WAL")
            busy.execute("PRAGMA synchronous = OFF")
            busy.executescript("CREATE TABLE schema_version (number); INSERT INTO schema_version VALUES (3)")
            busy.execute("CREATE TABLE large (data)")
            busy.execute("INSERT INTO large VALUES (zeroblob(40000000))")
            done = threading.Event()

            def write() -> None:
                while not done.is_set():
                    busy.execute("INSERT INTO large VALUES (1)")

            copied: list[int] = []
            copying = threading.Thread(
                target=lambda: copied.append(upgrade._copy(tmp_path / "hardpoint.db", tmp_path / "copy.db"))
            )
            writing = threading.Thread(target=write)
            writing.start()
            copying.start()
            copying.join(60)
            while_it_was_written = [*copied]
            done.set()
            writing.join()
            copying.join()
        assert while_it_was_written == [3]

    def test_of_nothing(self, hardpoint: Hardpoint) -> None:
        assert "there is no store" in hardpoint("doctor", "--upgrade", "--data", "nowhere").out

    def test_a_store_of_a_newer_version(self, hardpoint: Hardpoint, data: Path, tmp_path: Path) -> None:
        assert hardpoint("store", "backup", "all.db").code == 0
        (tmp_path / "newer").mkdir()
        shutil.copy(tmp_path / "all.db", tmp_path / "newer" / "hardpoint.db")
        with closing(sqlite3.connect(tmp_path / "newer" / "hardpoint.db")) as database:
            database.execute("INSERT INTO schema_version VALUES (999, 'future', '', 0)")
            database.commit()
        done = hardpoint("doctor", "--upgrade", "--data", "newer")
        assert (done.code, "could not be migrated" in done.out) == (1, True)
        assert not list((tmp_path / "newer").glob("rehearsal-*"))
