"""An import against a server that is told what to say: batches, pace, going on after an interruption."""

from __future__ import annotations

import errno
import io
import time
import tracemalloc
from datetime import UTC
from pathlib import Path

import msgspec
import pytest

from hardpoint.cli.importing import job
from hardpoint.cli.importing.columns import Columns, as_it_is, from_text
from hardpoint.cli.importing.job import Import, Notes
from hardpoint.cli.importing.records import Records
from hardpoint.errors import BadInput, NotFound, RateLimited, StorageFull


class Server:
    """Stores what is sent; ``refusals`` are raised first, one a request."""

    def __init__(self, devices=("a",), refusals=()):
        self.devices = set(devices)
        self.refusals = list(refusals)
        self.stored = {}
        self.requests = 0

    def get(self, *path):
        if path[-1] not in self.devices:
            raise NotFound(f"there is no device {path[-1]!r}")

    def call(self, method, *path, body, timeout_s=0.0):
        if path[0] == "/api/devices":
            self.devices.add(body["name"])
            return
        if self.refusals and (refusal := self.refusals.pop(0)) is not None:
            raise refusal
        self.requests += 1
        for series in msgspec.json.decode(msgspec.json.encode(body))["series"]:
            for ts, value in series["points"]:
                self.stored[series["device"], series["key"], ts] = value


def lines(count, begin=0):
    return b"".join(b'{"ts":%d,"device":"a","key":"t","value":%d}\n' % (n, n) for n in range(begin, begin + count))


def made(data, server, notes=None, form="ndjson", **options):
    parse = as_it_is if form == "ndjson" else from_text
    records = Records(io.BytesIO(data), form)
    return Import(records, Columns(None, None, UTC), parse, server, notes or Notes(None, ""), **options)


def quiet(record, report):
    pass


def test_everything_is_stored_in_batches(monkeypatch):
    monkeypatch.setattr(job, "BATCH_READINGS", 10)
    server, seen = Server(), []
    report = made(lines(35), server).run(lambda record, report: seen.append((record.line, report.readings)))
    assert (report.readings, report.records, server.requests) == (35, 35, 4)
    assert server.stored == {("a", "t", n): n for n in range(35)}
    assert seen == [(10, 10), (20, 20), (30, 30), (35, 35)]
    told = report.series["a:t"]
    assert (told.readings, told.first, told.last) == (35, 0, 34)


def test_large_values_are_sent_in_parts(monkeypatch):
    monkeypatch.setattr(job, "BATCH_BYTES", 1000)
    server = Server()
    data = b"".join(b'{"ts":%d,"device":"a","v":"%b"}\n' % (n, b"x" * 300) for n in range(8))
    made(data, server).run(quiet)
    assert (len(server.stored), server.requests) == (8, 4)


def test_a_bad_record_stops_it_or_is_left_out(monkeypatch):
    data = lines(3) + b'{"ts":"soon","device":"a","t":1}\n' + lines(3, 3) + b'{"ts":9,"device":"a","t":1,"b c":2}\nno\n'
    with pytest.raises(BadInput, match="line 4: 'soon' is not a time"):
        made(data, Server()).run(quiet)
    server = Server()
    report = made(data, server, skip_bad=True).run(quiet)
    assert (report.readings, report.bad, len(report.problems)) == (6, 3, 3)
    assert len(server.stored) == 6
    dry = made(data, None).run(quiet)
    assert (dry.readings, dry.bad) == (6, 3)


def test_what_lies_outside_is_left_out():
    server = Server()
    data = b'{"ts":-5,"device":"a","t":1}\n' + lines(10)
    report = made(data, server, start_ms=2, end_ms=5).run(quiet)
    assert (report.outside, sorted(ts for _, _, ts in server.stored)) == (8, [2, 3, 4])
    with pytest.raises(BadInput, match="line 1: time stamp -5"):
        made(data, server).run(quiet)


def test_devices_are_made_where_that_is_wanted():
    with pytest.raises(NotFound) as refused:
        made(lines(1), Server(devices=())).run(quiet)
    assert "--create" in (refused.value.hint or "")
    server = Server(devices=())
    assert made(lines(1), server, create=True).run(quiet).made == ["a"]
    assert server.devices == {"a"}


def test_a_busy_server_is_waited_for(monkeypatch):
    waits = []
    monkeypatch.setattr(time, "sleep", waits.append)
    server = Server(refusals=[RateLimited("busy"), RateLimited("busy")])
    made(lines(1), server).run(quiet)
    assert (waits, len(server.stored)) == ([job.BUSY_WAIT_S] * 2, 1)
    with pytest.raises(RateLimited):
        made(lines(1), Server(refusals=[RateLimited("busy")] * 99)).run(quiet)


@pytest.mark.parametrize("form", ["ndjson", "csv"])
@pytest.mark.parametrize("fails_at", range(5))
def test_it_goes_on_where_it_stopped(monkeypatch, tmp_path, fails_at, form):
    monkeypatch.setattr(job, "BATCH_READINGS", 10)
    data = lines(40) if form == "ndjson" else b"time,device,t\n" + b"".join(b"%d,a,%d\n" % (n, n) for n in range(40))
    path = tmp_path / "x.hardpoint-import"
    server = Server(refusals=[None] * fails_at + [StorageFull("full")])
    first = made(data, server, Notes(path, "this"), form)
    if fails_at == 4:
        first.run(quiet)
        assert not path.exists()
        return
    with pytest.raises(StorageFull) as refused:
        first.run(quiet)
    assert "goes on from there" in (refused.value.hint or "")
    assert path.exists() is (fails_at > 0)
    stored = len(server.stored)
    assert stored == 10 * fails_at
    second = made(data, server, Notes(path, "this"), form)
    assert Notes(path, "another").read() is None
    place = second.go_on()
    assert (0 if place is None else place.readings) == stored
    report = second.run(quiet)
    assert (report.records, report.stored_before) == (40 - stored, stored)
    assert len(server.stored) == 40
    assert not path.exists()


def test_a_folder_that_cannot_be_written_only_costs_the_note(tmp_path):
    notes = Notes(tmp_path / "none" / "x", "this")
    data = lines(1)
    made(data, Server(), notes).run(quiet)
    notes.write(next(iter(Records(io.BytesIO(data), "ndjson"))), 1)
    assert notes.read() is None


def test_interrupted_twice_it_still_knows_how_much_is_stored(monkeypatch, tmp_path):
    monkeypatch.setattr(job, "BATCH_READINGS", 10)
    path, server = tmp_path / "note", Server()
    for batches, stored_before in ((2, 0), (1, 20)):
        server.refusals = [*[None] * batches, StorageFull("full")]
        run = made(lines(40), server, Notes(path, "this"))
        run.go_on()
        assert run.report.stored_before == stored_before
        with pytest.raises(StorageFull):
            run.run(quiet)
    last = made(lines(40), server, Notes(path, "this"))
    last.go_on()
    report = last.run(quiet)
    assert (report.stored_before, report.readings) == (30, 10)


def test_a_note_that_finds_no_room_costs_a_batch_sent_twice(monkeypatch, tmp_path):
    monkeypatch.setattr(job, "BATCH_READINGS", 10)
    path, server = tmp_path / "note", Server(refusals=[None, None, StorageFull("full")])
    real = Path.write_bytes

    def full(path, data):
        real(path, data[:7])
        if server.requests > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, data)

    with monkeypatch.context() as disk:
        disk.setattr(Path, "write_bytes", full)
        with pytest.raises(StorageFull) as refused:
            made(lines(40), server, Notes(path, "this")).run(quiet)
    assert "sends some of it again" in (refused.value.hint or "")
    assert [each.name for each in tmp_path.iterdir()] == ["note"], "half a note would keep the disk full"
    second = made(lines(40), server, Notes(path, "this"))
    second.go_on()
    report = second.run(quiet)
    assert (report.stored_before, report.readings, len(server.stored)) == (10, 30, 40)


def test_memory_does_not_grow_with_the_file(tmp_path):
    class Sink(Server):
        def call(self, method, *path, body, timeout_s=0.0):
            self.requests += 1

    path = tmp_path / "big.csv"
    with path.open("wb") as file:
        file.write(b"time,device,t\n")
        for begin in range(0, 20_000, 1000):
            file.write(b"".join(b"%d,a,21.5\n" % (n * 10_000_000) for n in range(begin, begin + 1000)))
    tracemalloc.start()
    with path.open("rb") as file:
        server, columns = Sink(), Columns(None, None, UTC)
        report = Import(Records(file, "csv"), columns, from_text, server, Notes(None, ""), skip_bad=True).run(quiet)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (report.records, server.requests) == (20_000, 4)
    assert peak < 6 * 2**20
