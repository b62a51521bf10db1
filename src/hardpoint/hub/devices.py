"""What the hub keeps in memory of each device and series, and how they are found."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from ..errors import BadInput, Conflict, NotFound, TooLarge
from ..model import MAX_NAME_LENGTH, Device, Series, Value
from .fields import described_fields

if TYPE_CHECKING:
    from ..model import Command, Json
    from .session import Session

MAX_LABELS = 64
MAX_LABEL_LENGTH = 128
MAX_EXPECTED_S = 366 * 24 * 3600.0
"""The longest habit a device may be given."""
NO_LABELS: dict[str, str] = {}
"""Shared by all devices that have none: labels are replaced, never changed in place."""

_NOT_IN_ID = re.compile(r"[^a-z0-9]+")


class SeriesState:
    """One key of one device: its number in the store, and its latest reading."""

    __slots__ = ("device", "id", "key", "stamped_ms", "ts", "value")

    def __init__(self, series_id: int, device: DeviceState, key: str) -> None:
        self.id = series_id
        self.device = device
        self.key = key
        self.ts = -1  # of the latest durable reading; -1: none yet
        self.value: Value = None
        self.stamped_ms = 0  # the last time the server itself gave a reading of this series


class DeviceState:
    """A device's record with everything about it that is not worth a row. Some 15,000 of these idle on a small
    machine, so what many never need (series, attributes, open commands) is made when first used.
    """

    __slots__ = (
        "allowance",
        "allowance_ms",
        "attachments",
        "attributes",
        "awaited",
        "last_reading_ms",
        "last_seen_ms",
        "learnt_every_s",
        "noted_every_s",
        "open_commands",
        "record",
        "report_ms",
        "series",
        "sessions",
    )

    def __init__(self, record: Device) -> None:
        self.record = record
        self.series: dict[str, SeriesState] | None = None
        self.sessions: tuple[Session, ...] = ()
        self.attributes: dict[str, dict[str, Json]] | None = None  # scope → key → value
        self.open_commands: dict[int, Command] | None = None
        self.last_seen_ms: int | None = None
        self.last_reading_ms: int | None = None
        self.awaited = False  # its next report has an entry in the agenda
        self.report_ms = 0
        self.learnt_every_s: float | None = None
        self.noted_every_s: float | None = None  # what of that is stored
        self.attachments = 0  # so far
        self.allowance = 0.0
        self.allowance_ms = 0

    @property
    def id(self) -> str:
        """The record's id."""
        return self.record.id

    def describe(self) -> dict[str, Json]:
        """What its record says and what is set of its keys, as the app API gives it."""
        record = self.record
        return {
            "id": record.id,
            "name": record.name,
            "labels": record.labels,
            "created": record.created_ms,
            "gateway": bool(record.gateway),
            "via": gateway_of(record) or None,
            "muted_until": record.muted_until_ms or None,
            "fields": described_fields(self),
        }

    def latest(self) -> dict[str, dict[str, Json]]:
        """``{key: {"value", "ts"}}`` of every key that has a reading, by key."""
        if not self.series:
            return {}
        return {
            key: {"value": series.value, "ts": series.ts}
            for key, series in sorted(self.series.items())
            if series.ts >= 0
        }

    def series_of(self, key: str) -> SeriesState:
        """The series of a key.

        Raises:
            NotFound: this device never sent that key.
        """
        series = self.series.get(key) if self.series else None
        if series is None:
            raise NotFound(f"{self.id} has no readings of {key}", field="key")
        return series


class Catalogue:
    """Every device by id, by name and by its token's hash, and every series by its number."""

    def __init__(self, max_devices: int) -> None:
        self.by_id: dict[str, DeviceState] = {}
        self._renamed: dict[str, DeviceState] = {}  # by a name that is not its id: most have one string for both
        self.by_token_hash: dict[str, DeviceState] = {}
        self.series: dict[int, SeriesState] = {}
        self.next_series_id = 1
        self.max_devices = max_devices
        self.given_up: Collection[str] = ()
        """Of the change under way: a name and an id that nobody else may take yet, for it may fail."""

    def __len__(self) -> int:
        return len(self.by_id)

    def __iter__(self) -> Iterator[DeviceState]:
        return iter(self.by_id.values())

    def fill(
        self, devices: Iterable[Device], series: Iterable[Series], latest: Iterable[tuple[int, int, Value]]
    ) -> None:
        """Take what the store holds, at start."""
        for record in devices:
            record.labels = record.labels or NO_LABELS
            if record.name == record.id:
                record.name = record.id  # one string for both, as `new_id` makes them
            self.add(DeviceState(record))
        for entry in series:
            self.next_series_id = max(self.next_series_id, entry.id + 1)
            device = self.by_id.get(entry.device_id)
            if device is not None:
                self.add_series(entry.id, device, entry.key)
        for series_id, ts, value in latest:
            state = self.series.get(series_id)
            if state is not None:
                state.ts, state.value = ts, value
                device = state.device
                device.last_reading_ms = device.last_seen_ms = max(ts, device.last_reading_ms or 0)

    def named(self, id_or_name: str) -> DeviceState | None:
        """A device by its id or its exact name: no device is called as another one's id is."""
        return self.by_id.get(id_or_name) or self._renamed.get(id_or_name)

    def find(self, id_or_name: str) -> DeviceState:
        """A device by its id or its exact name.

        Raises:
            NotFound: there is none.
        """
        device = self.named(id_or_name)
        if device is None:
            raise NotFound(f"there is no device {id_or_name!r}", field="device")
        return device

    def new_id(self, name: str) -> str:
        """An id for a new device of that name: its letters and digits, made unique.

        Raises:
            BadInput, Conflict, TooLarge: the name cannot be used, is taken, or there are too many devices.
        """
        self.check_name(name)
        if len(self.by_id) >= self.max_devices:
            raise TooLarge(f"limits.max_devices ({self.max_devices}) is reached")
        ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()  # ä → a
        stem = _NOT_IN_ID.sub("-", ascii_name).strip("-")[:48] or "device"
        device_id = stem if self._is_free(stem) else f"{stem}-{self._free_number(stem)}"
        return name if device_id == name else device_id  # one string for both where it will do

    def _is_free(self, id_or_name: str) -> bool:
        return self.named(id_or_name) is None and id_or_name not in self.given_up

    def _free_number(self, stem: str) -> int:
        """A number that makes an id of a stem that is taken: the one behind the last, where none was removed. Sought by
        halving: a thousand devices called 温度 are all ``device``, and one after another would be tried for each.
        """
        free = 2
        while not self._is_free(f"{stem}-{free}"):
            free *= 2
        taken = free // 2
        while free - taken > 1:
            middle = (taken + free) // 2
            if self._is_free(f"{stem}-{middle}"):
                free = middle
            else:
                taken = middle
        return free

    def check_name(self, name: str, owner: DeviceState | None = None) -> None:
        """Whether ``owner`` (or a new device) may be called that.

        Raises:
            BadInput: empty, too long, or with characters that cannot be seen.
            Conflict: another device has it as its name or id.
        """
        if not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable() or name != name.strip():
            raise BadInput(
                f"a name has 1 to {MAX_NAME_LENGTH} visible characters and no space at either end", field="name"
            )
        taken = self.named(name)
        if (taken is not None and taken is not owner) or name in self.given_up:
            raise Conflict(f"there is already a device {name!r}", field="name")

    def check_record(self, record: Device, device: DeviceState) -> None:
        """Whether the device may have that record: its name, its interval, and the gateway that it is behind.

        Raises:
            BadInput: one of them cannot be.
            Conflict: another device has the name.
        """
        self.check_name(record.name, device)
        if record.expected_every_s is not None and not 0 < record.expected_every_s <= MAX_EXPECTED_S:
            raise BadInput(f"expected_every_s is between 0 and {MAX_EXPECTED_S:.0f}", field="expected_every_s")
        via = gateway_of(record)
        if via != gateway_of(device.record):
            gateway = self.by_id.get(via)
            if via and (gateway is None or not gateway.record.gateway or gateway is device):
                raise BadInput(f"{via[:80]!r} is no other device that is a gateway", field="via")

    def add(self, device: DeviceState) -> None:
        """Make a device and its series findable."""
        self.by_id[device.record.id] = device
        if device.record.name != device.record.id:
            self._renamed[device.record.name] = device
        if device.record.token_hash:
            self.by_token_hash[device.record.token_hash] = device
        if device.record.old_token_hash:
            self.by_token_hash[device.record.old_token_hash] = device
        for series in (device.series or {}).values():
            self.series[series.id] = series

    def remove(self, device: DeviceState, series: dict[str, SeriesState] | None = None) -> None:
        """Forget a device and these series of it."""
        record = device.record
        del self.by_id[record.id]
        self._renamed.pop(record.name, None)
        self._forget_tokens(record)
        for entry in (series or {}).values():
            self.series.pop(entry.id, None)

    def replace(self, device: DeviceState, record: Device) -> None:
        """Give a device a changed record (same id)."""
        self._renamed.pop(device.record.name, None)
        self._forget_tokens(device.record)
        device.record = record
        self.add(device)

    def _forget_tokens(self, record: Device) -> None:
        self.by_token_hash.pop(record.token_hash, None)
        self.by_token_hash.pop(record.old_token_hash, None)

    def add_series(self, series_id: int, device: DeviceState, key: str) -> SeriesState:
        """Make a series findable."""
        state = SeriesState(series_id, device, key)
        if device.series is None:
            device.series = {}
        device.series[key] = self.series[series_id] = state
        return state


def gateway_of(record: Device) -> str:
    """The id of the gateway that a device is behind; empty: none."""
    return record.via.partition("/")[0]


def checked_labels(labels: dict[str, str]) -> dict[str, str]:
    """The labels themselves; `NO_LABELS` when there are none.

    Raises:
        BadInput: too many, or one is empty, too long or not text that can be seen.
    """
    if not labels:
        return NO_LABELS
    if len(labels) > MAX_LABELS:
        raise BadInput(f"a device has at most {MAX_LABELS} labels", field="labels")
    for key, value in labels.items():
        for text in (key, value):
            if not 0 < len(text) <= MAX_LABEL_LENGTH or not text.isprintable():
                raise BadInput(f"labels have 1 to {MAX_LABEL_LENGTH} visible characters", field=f"labels.{key[:64]}")
    return labels
