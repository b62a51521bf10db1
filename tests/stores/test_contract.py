"""What `Store` promises, on every implementation."""

from __future__ import annotations

import shutil
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from storing import KINDS, Commit, commit_and_wait, fold_eagerly, make_store

from hardpoint.model import (
    RECORD_TYPES,
    Alert,
    ApiToken,
    Attachment,
    Attribute,
    AuditEntry,
    Channel,
    Claim,
    Command,
    Dashboard,
    Delete,
    DeleteAudit,
    DeleteReadings,
    Delivery,
    Device,
    EndAttachment,
    Habit,
    Keep,
    MqttMessage,
    MqttRetained,
    MqttSession,
    MqttSubscription,
    Package,
    Policy,
    Put,
    QuietHours,
    Record,
    Rule,
    RuleState,
    Series,
    ShareLink,
    SignIn,
    Summary,
    UnknownDevice,
    User,
    Value,
)

if TYPE_CHECKING:
    from hardpoint.stores.base import Store

EVER = (0, 2**62)

VALUES: list[Value] = [
    21.5,
    21.0,
    -0.0,
    5e-324,
    1.7976931348623157e308,
    0,
    21,
    -(2**63),
    2**63 - 1,
    True,
    False,
    None,
    "",
    "two words",
    "naïve 温度 \U0001f321 \x00 end",
    {},
    [],
    {"a": [1, 2.5, {"b": None}], "big": 10**30, "on": True},
    ["x", [["y"]], False],
]

RECORDS: list[Record] = [
    Device("d1", "Greenhouse 1", 1_700_000_000_000, {"room": "north", "größe": "2"}, 2.5, "ab" * 32),
    Device("d2", "bare", 0),
    Series(1, "d1", "temp"),
    Attribute("d1", "shared", "limits", {"max": [1, 2.5, None, True]}, 5),
    Command(3, "d1", "set", {"on": True}, 10, 20, "sent", [["queued", 10, None], ["sent", 11, "x"]], [1, "2"]),
    Device("d3", "in turn", 0, {}, None, "cd" * 32, "ef" * 32, 1_700_000_000_000),
    User("ada", "admin", "$scrypt$…", 1),
    User("bob", "operator", "$scrypt$…", 1, ["site:north", "garden"], 1),
    SignIn("ff" * 32, "ada", 1, 2),
    SignIn("ee" * 32, "bob", 1, 2, "2001:db8::1", "Mozilla/5.0", 3),
    ApiToken("t1", "grafana", "viewer", "cd" * 32, "hp_ab", 3),
    ApiToken("t2", "node-red", "operator", "ab" * 32, "hp_cd", 3, ["site:north"], 9, "ada", 5, "192.0.2.1"),
    AuditEntry(1, 5, "ada", "cookie", "192.0.2.1", "devices.change", "d1", "d1", {"name": ["a", "b"]}, "", "done"),
    AuditEntry(2, 6, "bob", "token", "", "session.create"),
    MqttSession("d/a/board", 60, None, [1, 65535], b"\x00will\xff"),
    MqttSession("d/a/other", 0xFFFFFFFF, 5),
    MqttSubscription("d/a/board", "a/+/#", 13, 268435455),
    MqttMessage("d/a/board", 7, "a/ü", b"\x00\xff", b"", 2, 1, 9, [3, 4], 1, 65535),
    MqttMessage("d/a/board", 8, "t", b"", b"\x81", 1, 0, None, [], 0, 0),
    MqttRetained("a/b", b"on\x00", b"", 1, None),
    Rule("hot", "Zu heiß", "label:room=1", {"key": "temp", "is": "above", "value": 30}, 4, 5.5, "critical", ["c"]),
    RuleState("hot", "d1", "pending", 7),
    Alert(2, "hot", "Zu heiß", "d1", "info", "temp is above 30", {"a": 1.5}, 5, 6, 7, "why", 8, "ada", 9),
    Channel("c", "Ada's phone", "ntfy", {"topic": "t", "to": [1]}, 2),
    Delivery(9, "c", 2, "still firing", "waiting", 1, 2, 3, [["waiting", 4, "HTTP 500"]]),
    QuietHours("0", "22:00", "07:00", "Europe/Berlin", [0, 6], ["c"], None),
    Attachment("d1", 0, 5, None, "192.0.2.1:5", "line", False, None),
    Attachment("d2", 3, 5, 6, "[2001:db8::1]:5", "mqtt", True, "it said goodbye"),
    Habit("d1", 9.5, 1),
    Habit("d2", None, 40),
    Dashboard("db-1", "Halle", 1, [{"kind": "text", "id": "a", "text": "ß"}], 3, 2, "ada"),
    ShareLink("ln-1", "db-1", "hall", "ab" * 32, 1, "ada", None),
    ShareLink("ln-2", "db-1", "", "cd" * 32, 1, "ada", 9),
    Device("d4", "silent", 0, muted_until_ms=2**41),
    Alert(3, "hot", "", "d4", "info", "x", None, 5, 6, told=["c"], when={"key": "ß", "is": "missing"}),
    UnknownDevice(1, "esp ß", "2001:db8::1", "mqtt", 5, 6, 7, 1, [{"body": "HELLO\x00", "cut": False}]),
    UnknownDevice(2, "", "", "", 0, 0, 0),
    Claim("d1", "0f" * 32, 1_700_000_000_000),
    Claim("d2", "", 0),
    Package("fw-1", "fw", "pump", "1.3", 2**31, "ab" * 32, "pump ß.bin", "application/octet-stream", 5),
    Package("sw-1", "sw", "", "", 0, "", "", "", 0),
]


def stored(store: Store, kind: Any) -> list[Any]:
    return store.commands() if kind is Command else store.load(kind)


def same(value: Value, other: Value) -> bool:
    """Equal and of the same type: 1, 1.0 and True are three different readings, 0.0 and -0.0 two."""
    return type(value) is type(other) and repr(value) == repr(other)


class TestReadings:
    @pytest.mark.parametrize("value", VALUES, ids=repr)
    def test_a_value_comes_back_as_it_was(self, store: Store, commit: Commit, value: Value) -> None:
        assert commit(store, [(1, 5, value)]) is None
        commit(store, [(2, ts, 0.5) for ts in range(4)])  # enough to fold the first on the store that folds eagerly
        assert [ts for ts, _ in store.readings(1, *EVER)] == [5]
        assert all(same(value, got) for _, got in store.readings(1, *EVER))

    def test_are_sorted_by_time_whatever_order_they_came_in(self, store: Store, commit: Commit) -> None:
        commit(store, [(1, 30, "c"), (1, 10, "a")])
        commit(store, [(1, 20, "b"), (2, 15, "other series"), (1, 5, "z")])
        assert list(store.readings(1, *EVER)) == [(5, "z"), (10, "a"), (20, "b"), (30, "c")]

    def test_the_start_is_included_and_the_end_is_not(self, store: Store, commit: Commit) -> None:
        commit(store, [(1, ts, ts) for ts in range(10)])
        assert [ts for ts, _ in store.readings(1, 3, 6)] == [3, 4, 5]
        assert list(store.readings(1, 6, 3)) == []

    def test_the_last_of_one_time_wins(self, store: Store, commit: Commit) -> None:
        commit(store, [(1, 5, "first"), (1, 5, "second")])
        assert list(store.readings(1, *EVER)) == [(5, "second")]
        commit(store, [(1, 5, "third")])
        commit(store, [(2, ts, 0) for ts in range(4)])
        assert list(store.readings(1, *EVER)) == [(5, "third")]
        commit(store, [(1, 5, "fourth")])
        assert list(store.readings(1, *EVER)) == [(5, "fourth")]

    @pytest.mark.parametrize("limit", [0, 1, 7, 100])
    def test_a_limit_takes_the_oldest(self, store: Store, commit: Commit, limit: int) -> None:
        for ts in range(9, -1, -1):
            commit(store, [(1, ts, ts)])
        assert [ts for ts, _ in store.readings(1, *EVER, limit=limit)] == list(range(10))[:limit]

    def test_an_iterator_sees_the_moment_it_was_made(self, store: Store, commit: Commit) -> None:
        commit(store, [(1, ts, "old") for ts in range(10_000)])
        rows = store.readings(1, *EVER)
        newest = store.latest(1)
        commit(store, [(1, ts, "new") for ts in range(10_000)], [DeleteReadings(1, 0, 5_000)])
        assert next(newest) == (1, 9_999, "old")
        assert [value for _, value in rows] == ["old"] * 10_000
        assert {value for _, value in store.readings(1, *EVER)} == {"new"}

    def test_an_iterator_may_be_closed_early(self, store: Store, commit: Commit) -> None:
        commit(store, [(1, ts, ts) for ts in range(10_000)])
        rows = store.readings(1, *EVER)
        assert next(rows) == (0, 0)
        if hasattr(rows, "close"):
            rows.close()
        assert commit(store, [(1, 0, "again")]) is None

    def test_latest_is_the_greatest_time_of_each_series_in_their_order(self, store: Store, commit: Commit) -> None:
        commit(store, [(7, 2, "b"), (3, 9, "x"), (7, 1, "a")])
        commit(store, [(3, 4, "older"), (12, 1, True)])
        assert list(store.latest()) == [(3, 9, "x"), (7, 2, "b"), (12, 1, True)]
        assert list(store.latest(7)) == [(7, 2, "b")]
        assert list(store.latest(8)) == []

    def test_a_range_can_be_deleted(self, store: Store, commit: Commit) -> None:
        commit(store, [(1, ts, ts) for ts in range(6)] + [(2, 3, "stays")])
        assert commit(store, [], [DeleteReadings(1, 2, 5)]) is None
        assert [ts for ts, _ in store.readings(1, *EVER)] == [0, 1, 5]
        assert list(store.readings(2, *EVER)) == [(3, "stays")]

    def test_changes_come_before_the_rows_of_their_commit(self, store: Store, commit: Commit) -> None:
        commit(store, [(1, 1, "old"), (1, 2, "old")])
        commit(store, [(1, 1, "new")], [DeleteReadings(1, *EVER)])
        assert list(store.readings(1, *EVER)) == [(1, "new")]


class TestRecords:
    @pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
    def test_comes_back_as_it_was(self, store: Store, commit: Commit, record: Record) -> None:
        assert commit(store, [], [Put(record)]) is None
        assert stored(store, type(record)) == [record]

    @pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
    def test_can_be_deleted(self, store: Store, commit: Commit, record: Record) -> None:
        commit(store, [], [Put(record)])
        commit(store, [], [Delete(record)])
        assert stored(store, type(record)) == []
        assert commit(store, [], [Delete(record)]) is None, "deleting what is not there is no error"

    def test_every_kind_is_covered_here(self) -> None:
        assert {type(record) for record in RECORDS} == set(RECORD_TYPES)

    def test_is_replaced_by_one_with_its_key(self, store: Store, commit: Commit) -> None:
        commit(store, [], [Put(Device("d", "old", 1, {"a": "b"}))])
        commit(store, [], [Put(Device("d", "new", 1))])
        assert store.load(Device) == [Device("d", "new", 1)]

    def test_is_stored_as_it_was_when_handed_in(self, store: Store) -> None:
        device = Device("d", "before", 1, {"a": "before"})
        finished = threading.Event()
        store.commit([], [Put(device)], lambda _: finished.set())
        device.name, device.labels["a"] = "after", "after"
        assert finished.wait(60)
        assert store.load(Device) == [Device("d", "before", 1, {"a": "before"})]

    def test_what_was_loaded_is_the_callers_own(self, store: Store, commit: Commit) -> None:
        commit(store, [], [Put(Device("d", "d", 1, {"a": "b"}))])
        store.load(Device)[0].labels["a"] = "changed"
        assert store.load(Device)[0].labels == {"a": "b"}

    def test_an_attachment_is_ended_unless_its_slot_is_another_ones(self, store: Store, commit: Commit) -> None:
        held = Attachment("d1", 0, 5, None, "192.0.2.1:5", "line", False, None)
        commit(
            store, [], [Put(held), EndAttachment("d1", 0, 4, 6, "of an older one"), EndAttachment("d1", 1, 5, 6, "")]
        )
        assert store.load(Attachment) == [held]
        commit(store, [], [EndAttachment("d1", 0, 5, 9, "it said goodbye")])
        assert store.load(Attachment) == [replace(held, ended_ms=9, why="it said goodbye")]

    def test_come_in_the_order_of_their_key(self, store: Store, commit: Commit) -> None:
        ids = ["b", "a", "Z", "é", "\U0001f321", "\uffee", "a-1"]
        commit(store, [], [Put(Device(one, one, 0)) for one in ids])
        assert [device.id for device in store.load(Device)] == sorted(ids)
        commit(store, [], [Put(Series(number, "a", "k")) for number in (10, 9, 100)])
        assert [series.id for series in store.load(Series)] == [9, 10, 100]

    def test_deleting_a_series_removes_its_readings(self, store: Store, commit: Commit) -> None:
        commit(store, [(1, 1, 1.0), (2, 1, 2.0)], [Put(Series(1, "d", "a")), Put(Series(2, "d", "b"))])
        commit(store, [], [Delete(Series(1, "d", "a"))])
        assert list(store.latest()) == [(2, 1, 2.0)]
        assert store.load(Series) == [Series(2, "d", "b")]

    def test_deleting_a_device_removes_all_it_owns_and_nothing_else(self, store: Store, commit: Commit) -> None:
        for device, number in (("gone", 1), ("kept", 2)):
            commit(
                store,
                [(number, ts, ts) for ts in range(5)],
                [
                    Put(Device(device, device, 0)),
                    Put(Series(number, device, "k")),
                    Put(Attribute(device, "server", "k", 1, 0)),
                    Put(Command(number, device, "m", None, 0, 1)),
                ],
            )
        assert commit(store, [], [Delete(Device("gone", "gone", 0))]) is None
        assert [device.id for device in store.load(Device)] == ["kept"]
        assert [series.device_id for series in store.load(Series)] == ["kept"]
        assert [attribute.device_id for attribute in store.load(Attribute)] == ["kept"]
        assert [command.device_id for command in store.commands()] == ["kept"]
        assert list(store.latest()) == [(2, 4, 4)]


class TestCommands:
    @pytest.fixture(autouse=True)
    def _some(self, store: Store, commit: Commit) -> None:
        states = ["queued", "sent", "delivered", "done", "failed", "expired", "cancelled"]
        commit(
            store,
            [],
            [Put(Command(i, "even" if i % 2 == 0 else "odd", "m", i, 0, 1, states[i % 7])) for i in range(1, 15)],
        )

    def test_come_newest_first(self, store: Store) -> None:
        assert [command.id for command in store.commands()] == list(range(14, 0, -1))

    def test_of_one_device(self, store: Store) -> None:
        assert [command.id for command in store.commands(device_id="odd")] == [13, 11, 9, 7, 5, 3, 1]
        assert store.commands(device_id="nobody") == []

    def test_page_by_id(self, store: Store) -> None:
        assert [command.id for command in store.commands(before_id=9, limit=3)] == [8, 7, 6]
        assert [command.id for command in store.commands(device_id="even", before_id=9, limit=3)] == [8, 6, 4]

    def test_open_ones(self, store: Store) -> None:
        assert [command.id for command in store.commands(open_only=True)] == [14, 9, 8, 7, 2, 1]
        assert [command.id for command in store.commands(open_only=True, device_id="odd")] == [9, 7, 1]

    def test_the_next_id_was_never_used(self, store: Store, commit: Commit) -> None:
        assert store.next_command_id() == 15
        commit(store, [], [Delete(Device("even", "", 0)), Delete(Device("odd", "", 0))])
        assert store.commands() == []
        assert store.next_command_id() == 15


class TestAudit:
    ENTRIES = (
        AuditEntry(1, 10, "ada", "cookie", "192.0.2.1", "devices.create", "d1", "d1"),
        AuditEntry(2, 20, "bob", "token", "192.0.2.2", "devices.commands", "d1", "reboot"),
        AuditEntry(3, 20, "ada", "cookie", "192.0.2.1", "devices.change", "d2", "d2"),
        AuditEntry(10, 30, "ada", "cookie", "192.0.2.1", "devices", "", ""),
        AuditEntry(11, 40, "ada", "cookie", "192.0.2.1", "devicesque.create", "", ""),
    )

    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ({}, [11, 10, 3, 2, 1]),
            ({"limit": 2}, [11, 10]),
            ({"before_id": 10}, [3, 2, 1]),
            ({"until_ms": 20}, [1]),
            ({"who": "bob"}, [2]),
            ({"who": "bo"}, []),
            ({"what": "devices"}, [10, 3, 2, 1]),
            ({"what": "devices.change"}, [3]),
            ({"what": "device"}, []),
            ({"device_id": "d1"}, [2, 1]),
            ({"device_id": "d1", "who": "ada", "what": "devices", "before_id": 9, "until_ms": 99}, [1]),
        ],
    )
    def test_is_read_newest_first_by_who_what_and_where(
        self, store: Store, commit: Commit, asked: dict[str, Any], found: list[int]
    ) -> None:
        commit(store, [], [Put(entry) for entry in self.ENTRIES])
        assert [entry.id for entry in store.audit(**asked)] == found

    def test_is_cut_at_a_number(self, store: Store, commit: Commit) -> None:
        commit(store, [], [Put(entry) for entry in self.ENTRIES])
        commit(store, [], [DeleteAudit(10)])
        assert store.audit() == [self.ENTRIES[4], self.ENTRIES[3]]

    def test_outlives_the_device_that_it_is_about(self, store: Store, commit: Commit) -> None:
        commit(store, [], [Put(Device("d1", "d1", 0)), *[Put(entry) for entry in self.ENTRIES]])
        commit(store, [], [Delete(Device("d1", "d1", 0))])
        assert len(store.audit()) == len(self.ENTRIES)


class TestWriting:
    def test_an_empty_store(self, store: Store) -> None:
        assert list(store.latest()) == []
        assert list(store.readings(1, *EVER)) == []
        assert all(stored(store, kind) == [] for kind in RECORD_TYPES)
        assert store.next_command_id() == 1

    def test_an_empty_commit_is_done(self, store: Store, commit: Commit) -> None:
        assert commit(store) is None

    def test_done_is_called_on_the_stores_thread_in_the_order_of_commits(self, store: Store) -> None:
        calls: list[tuple[int, str]] = []
        last = threading.Event()
        for number in range(20):

            def done(_: object, number: int = number) -> None:
                calls.append((number, threading.current_thread().name))
                if number == 19:
                    last.set()

            store.commit([(1, number, number)], [], done)
        assert last.wait(60)
        assert calls == [(number, "hardpoint-store") for number in range(20)]

    def test_a_done_that_raises_harms_nobody(
        self, store: Store, commit: Commit, caplog: pytest.LogCaptureFixture
    ) -> None:
        def done(_: object) -> None:
            raise RuntimeError("the loop is closed")

        store.commit([(1, 1, "kept")], [], done)
        assert commit(store, [(1, 2, "kept too")]) is None
        assert len(list(store.readings(1, *EVER))) == 2
        assert "done() failed" in caplog.text

    def test_done_means_that_every_thread_sees_it(self, store: Store, commit: Commit) -> None:
        seen: list[int] = []

        def read() -> None:
            seen.append(len(list(store.readings(1, *EVER))))

        for count in range(1, 6):
            commit(store, [(1, count, 0)])
            thread = threading.Thread(target=read)
            thread.start()
            thread.join()
        assert seen == [1, 2, 3, 4, 5]

    def test_close_twice_and_commit_after_it(self, store: Store, commit: Commit) -> None:
        store.close()
        store.close()
        error = commit(store, [(1, 1, 1)])
        assert error is not None
        assert error.message == "the store is closed"

    def test_describe(self, store: Store, commit: Commit) -> None:
        commit(store, [(1, ts, ts) for ts in range(10)])
        facts = store.describe()
        assert {"kind", "path", "schema", "size_bytes", "free_bytes", "readings"} <= set(facts)
        assert facts["readings"] == 10


def test_readers_see_whole_commits_while_the_writer_folds(store: Store) -> None:
    """Each commit raises every series to one value: a reader that sees two values saw half a commit."""
    series = range(8)
    stop = threading.Event()
    torn: list[object] = []

    def read() -> None:
        while not stop.is_set():
            values = {value for _, _, value in store.latest()}
            if len(values) > 1:
                torn.append(values)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for round_ in range(60):
        assert commit_and_wait(store, [(one, round_, round_) for one in series]) is None
    stop.set()
    for thread in threads:
        thread.join()
    assert torn == []


class StoreMachine(RuleBasedStateMachine):
    """Any sequence of commits against a plain dictionary that does the same."""

    kind = "memory"
    series = Bundle("series")

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.patch = pytest.MonkeyPatch()
        if self.kind == "sqlite-folding":
            fold_eagerly(self.patch)
        self.store = make_store(self.kind, self.folder)
        self.store.open()
        self.rows: dict[int, dict[int, Value]] = {}
        self.devices: dict[str, Device] = {}
        self.owner: dict[int, str] = {}

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.patch.undo()
            shutil.rmtree(self.folder)

    @rule(rows=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 12), st.sampled_from(VALUES)), max_size=9))
    def append(self, rows: list[tuple[int, int, Value]]) -> None:
        assert commit_and_wait(self.store, rows) is None
        for series, ts, value in rows:
            self.rows.setdefault(series, {})[ts] = value

    @rule(series=st.integers(1, 4), start=st.integers(0, 13), end=st.integers(0, 13))
    def delete_range(self, series: int, start: int, end: int) -> None:
        assert commit_and_wait(self.store, [], [DeleteReadings(series, start, end)]) is None
        kept = {ts: value for ts, value in self.rows.get(series, {}).items() if not start <= ts < end}
        self.rows[series] = kept

    @rule(device=st.sampled_from("ab"), name=st.text(max_size=3), number=st.integers(1, 4))
    def put(self, device: str, name: str, number: int) -> None:
        records = [Device(device, name, 0, {"name": name}), Series(number, device, "k")]
        assert commit_and_wait(self.store, [], [Put(record) for record in records]) is None
        self.devices[device] = records[0]  # type: ignore[assignment]
        self.owner[number] = device

    @rule(device=st.sampled_from("ab"))
    def delete_device(self, device: str) -> None:
        assert commit_and_wait(self.store, [], [Delete(Device(device, "", 0))]) is None
        self.devices.pop(device, None)
        for number in [number for number, owner in self.owner.items() if owner == device]:
            del self.owner[number]
            self.rows.pop(number, None)

    @rule()
    def reopen(self) -> None:
        if self.kind == "memory":
            return
        self.store.close()
        self.store = make_store(self.kind, self.folder)
        self.store.open()

    @invariant()
    def holds_the_same(self) -> None:
        if not hasattr(self, "store"):
            return
        for series in range(1, 5):
            expected = sorted((ts, repr(value)) for ts, value in self.rows.get(series, {}).items())
            assert [(ts, repr(value)) for ts, value in self.store.readings(series, 0, 100)] == expected
            times = [ts for ts, _ in expected]
            backwards = list(self.store.stretches(series, 3, 11, newest_first=True))
            assert [ts for piece in reversed(backwards) for ts in piece.times] == [ts for ts in times if 3 <= ts < 11]
            assert self.store.extent(series) == ((times[0], times[-1]) if times else None)
            pieces = list(self.store.overview(series, 2, 12, (5, 9)))
            counts = [piece.count if isinstance(piece, Summary) else len(piece.times) for piece in pieces]
            assert sum(counts) == len([ts for ts in times if 2 <= ts < 12])
        assert [(series, ts) for series, ts, _ in self.store.latest()] == [
            (series, max(rows)) for series, rows in sorted(self.rows.items()) if rows
        ]
        assert self.store.load(Device) == [self.devices[one] for one in sorted(self.devices)]
        assert {one.id: one.device_id for one in self.store.load(Series)} == self.owner


@pytest.mark.parametrize("kind", KINDS)
def test_any_sequence_of_commits(kind: str) -> None:
    machine = type("Machine", (StoreMachine,), {"kind": kind}).TestCase
    machine.settings = settings(
        max_examples=30,
        stateful_step_count=15,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    machine("runTest").runTest()


@pytest.mark.parametrize("age_s", [3e22, float("inf")])
def test_an_age_that_nothing_reaches_keeps_everything(store: Store, commit: Commit, age_s: float) -> None:
    assert commit(store, [(1, 1000, 1.5)], [Put(Device("d", "d", 0)), Put(Series(1, "d", "temp"))]) is None
    policy = Policy((Keep(thin_after_s=age_s, drop_after_s=age_s),))
    assert store.plan(policy, 2_000_000_000_000).steps == ()
    assert store.retain(policy, 2_000_000_000_000).steps == ()
    assert list(store.readings(1, 0, 2000)) == [(1000, 1.5)]
