"""Model records ↔ table rows. The statements follow from the dataclasses; the tables themselves from `migrations`.

A field of a plain type is a column of that type, any other field (a dict, a list, any JSON) is a column of JSON text.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar, get_type_hints

import msgspec

from ...model import (
    INT64_MAX,
    INT64_MIN,
    Alert,
    ApiToken,
    Attachment,
    Attribute,
    AuditEntry,
    Channel,
    Claim,
    Command,
    Dashboard,
    Delivery,
    Device,
    Habit,
    MqttMessage,
    MqttRetained,
    MqttSession,
    MqttSubscription,
    Package,
    QuietHours,
    Record,
    Rule,
    RuleState,
    Series,
    ShareLink,
    SignIn,
    UnknownDevice,
    User,
)
from ..base import Change, Delete, DeleteAudit, DeleteReadings, EndAttachment, Put

R = TypeVar("R", bound=Record)

_PLAIN_TYPES: frozenset[Any] = frozenset({int, float, str, bytes, int | None, float | None, str | None})


class Statement(NamedTuple):
    """SQL and what is bound to it."""

    sql: str
    parameters: tuple[Any, ...]


class Table(Generic[R]):
    """How one kind of record is kept."""

    def __init__(self, kind: type[R], name: str) -> None:
        fields = [field.name for field in dataclasses.fields(kind)]
        hints = get_type_hints(kind)
        columns = ", ".join(f'"{field}"' for field in fields)
        marks = ", ".join("?" * len(fields))
        where = " AND ".join(f'"{field}" = ?' for field in kind.KEY)
        self.kind = kind
        self.name = name
        self.put_sql = f"INSERT OR REPLACE INTO {name} ({columns}) VALUES ({marks})"  # noqa: S608 - our own names
        self.delete_sql = f"DELETE FROM {name} WHERE {where}"  # noqa: S608
        self.select_sql = f"SELECT {columns} FROM {name}"  # noqa: S608
        self.load_sql = f"{self.select_sql} ORDER BY {', '.join(kind.KEY)}"
        self.of_device_sql = f"{self.select_sql} WHERE device_id = ? ORDER BY {', '.join(kind.KEY)}"
        self._values = attrgetter(*fields)
        self._json = [index for index, field in enumerate(fields) if hints[field] not in _PLAIN_TYPES]
        self._key_values = [attrgetter(field) for field in kind.KEY]

    def encode(self, record: R) -> tuple[Any, ...]:
        """The row, in the order of the columns.

        Raises:
            TypeError: a JSON field holds something that JSON has no word for.
        """
        row = list(self._values(record))
        for index in self._json:
            row[index] = msgspec.json.encode(row[index]).decode()
        return tuple(row)

    def decode(self, row: Sequence[Any]) -> R:
        """The record of a row of `select_sql`."""
        values = list(row)
        for index in self._json:
            values[index] = msgspec.json.decode(values[index])
        return self.kind(*values)

    def key(self, record: R) -> tuple[Any, ...]:
        """What names this record in `delete_sql`."""
        return tuple(value(record) for value in self._key_values)


TABLES: dict[type[Any], Table[Any]] = {
    kind: Table(kind, name)
    for kind, name in (
        (Device, "devices"),
        (Series, "series"),
        (Attribute, "attributes"),
        (Command, "commands"),
        (User, "users"),
        (SignIn, "sign_ins"),
        (ApiToken, "api_tokens"),
        (AuditEntry, "audit"),
        (MqttSession, "mqtt_sessions"),
        (MqttSubscription, "mqtt_subscriptions"),
        (MqttMessage, "mqtt_messages"),
        (MqttRetained, "mqtt_retained"),
        (Rule, "rules"),
        (RuleState, "rule_states"),
        (Alert, "alerts"),
        (Channel, "channels"),
        (Delivery, "deliveries"),
        (QuietHours, "quiet_hours"),
        (Attachment, "attachments"),
        (Habit, "habits"),
        (Dashboard, "dashboards"),
        (ShareLink, "share_links"),
        (Claim, "claims"),
        (Package, "packages"),
        (UnknownDevice, "unknown_devices"),
    )
}

_OF_A_DEVICE = ("series", "attributes", "commands", "rule_states", "alerts", "attachments", "habits", "claims")
_PURGE_SQL = "INSERT INTO purges (series, start_ms, end_ms) VALUES (?, ?, ?)"
_END_ATTACHMENT_SQL = "UPDATE attachments SET ended_ms = ?, why = ? WHERE device_id = ? AND slot = ? AND began_ms = ?"
_PURGE_DEVICE_SQL = "INSERT INTO purges (series, start_ms, end_ms) SELECT id, ?, ? FROM series WHERE device_id = ?"


def removes_readings(change: Change) -> bool:
    """Whether readings go with it: then the journal has to lose some."""
    return isinstance(change, DeleteReadings) or (
        isinstance(change, Delete) and isinstance(change.record, Device | Series)
    )


def statements(change: Change) -> list[Statement]:
    """What makes the change, in order. They hold copies: the record may change afterwards.

    Raises:
        TypeError: a record that cannot be encoded.
    """
    match change:
        case Put(record):
            table = TABLES[type(record)]
            return [Statement(table.put_sql, table.encode(record))]
        case DeleteReadings(series, start_ms, end_ms):
            return [Statement(_PURGE_SQL, (series, start_ms, end_ms))]
        case EndAttachment(device_id, slot, began_ms, ended_ms, why):
            return [Statement(_END_ATTACHMENT_SQL, (ended_ms, why, device_id, slot, began_ms))]
        case DeleteAudit(before_id):
            return [Statement("DELETE FROM audit WHERE id < ?", (before_id,))]
        case Delete(record):
            return [*_owned(record), Statement(TABLES[type(record)].delete_sql, TABLES[type(record)].key(record))]


def _owned(record: Record) -> list[Statement]:
    if isinstance(record, Series):
        return [Statement(_PURGE_SQL, (record.id, INT64_MIN, INT64_MAX))]
    if isinstance(record, Device):
        return [
            Statement(_PURGE_DEVICE_SQL, (INT64_MIN, INT64_MAX, record.id)),
            *(
                Statement(f"DELETE FROM {name} WHERE device_id = ?", (record.id,))  # noqa: S608 - our own names
                for name in _OF_A_DEVICE
            ),
        ]
    return []
