"""The hub: five verbs between the dialects and the store.

A session **attaches**, **ingests** readings, reports **attributes**, **answers** commands, and is told what to
**deliver**. Nothing here knows a byte, a socket, or which store it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..errors import BadInput, HardpointError, NotFound, PeerError, RateLimited, StorageError, TooLarge, Unauthorized
from ..model import (
    ATTRIBUTE_SCOPES,
    Attribute,
    Delete,
    Device,
    Habit,
    Json,
    Put,
    Sample,
    Series,
    checked_json,
    checked_key,
    weight,
)
from .adoption import ADOPT_ID, Adoption
from .agenda import Agenda
from .alerting import Alerting
from .attendance import Attendance
from .audit import Audit
from .batch import Batch, GroupCommit
from .clocks import steady_clock_ms, wall_clock_ms
from .commands import Ledger
from .devices import Catalogue, DeviceState, SeriesState, checked_labels
from .handlers import Handlers
from .history.pool import ReadPool
from .live import LiveFeed
from .pace import Pace
from .past import Past
from .presence import REPORT_GAP_MS, facts, note_report
from .retention import Retention
from .rotation import Rotation
from .session import host_of
from .tap import Tap
from .throttle import Throttle
from .tokens import hash_token, is_well_formed, new_token

if TYPE_CHECKING:
    from ..config import Limits
    from ..stores.base import Store
    from .outbox import Sender
    from .session import Session

logger = logging.getLogger("hardpoint.hub")

HOST_DEVICE_ID = "host"
"""The device whose sensors are mounted on the machine the server runs on."""
MAX_LEAD_MS = 60_000
"""How far the server's stamps of one series may run ahead of its clock. Two readings of a series in the same
millisecond get stamps one apart, or the second would replace the first. So one key takes a thousand readings a second
for as long as it likes, ten thousand for some seconds, and is then told to slow down or to send its own time.
"""
MAX_SESSIONS_PER_DEVICE = 16
"""Attachments of one device at a time; one more ends the oldest. A device reconnects before we notice that its old
connection is dead, a few times perhaps; a firmware that never closes would otherwise take every connection there is.
"""
MAX_OPEN_COMMANDS = 1_000_000
"""Loaded at start. ``max_devices`` times ``max_open_commands_per_device`` could be more; nobody waits for those."""


class Hub:
    """Devices, sessions, presence, latest values and commands, over one store. Used on one event loop's thread."""

    def __init__(
        self,
        store: Store,
        limits: Limits,
        *,
        allow_anonymous: bool = False,
        adopt: bool = False,
        clock_ms: Callable[[], int] = wall_clock_ms,
        steady_ms: Callable[[], int] | None = None,
        senders: Mapping[str, Callable[[], Sender]] | None = None,
    ) -> None:
        """``adopt``: unknown devices that name themselves wait in a list (`adoption`). ``senders``: kinds of channels
        that news of alerts may take. ``steady_ms`` never jumps and begins anywhere;
        by default the system's with the system's clock, and otherwise ``clock_ms``, which then has to be steady.
        """
        self.store = store
        self.limits = limits
        self.allow_anonymous = allow_anonymous
        self.clock_ms = clock_ms
        self.catalogue = Catalogue(limits.max_devices)
        self.live = LiveFeed(self.catalogue.series)
        self.handlers = Handlers()
        self.throttle = Throttle(limits.sign_in_failures_per_min, clock_ms)
        self.commits = GroupCommit(
            store, max_pending_rows=limits.max_pending_readings, on_durable=self._on_durable, on_failed=self._on_failed
        )
        if steady_ms is None:
            steady_ms = steady_clock_ms if clock_ms is wall_clock_ms else clock_ms
        self.steady_ms = steady_ms
        agenda = Agenda(clock_ms, steady_ms)
        self.ledger = Ledger(
            self.catalogue,
            self.commits,
            self.live,
            clock_ms=agenda.now_ms,
            max_open_per_device=limits.max_open_commands_per_device,
        )
        agenda.on_jump.append(self.ledger.clock_jumped)
        self.alerting = Alerting(
            self.catalogue,
            self.commits,
            self.live,
            self.ledger,
            {} if senders is None else senders,  # its length would look for installed plug-ins, 20 ms of a start
            agenda=agenda,
            clock_ms=clock_ms,
        )
        self.attendance = Attendance(
            self.catalogue, self.commits, self.alerting.agenda, clock_ms, self.publish_presence
        )
        self.tap = Tap(self.alerting.agenda, clock_ms, self._tapped)
        self.adoption = Adoption(self, enabled=adopt, never=HOST_DEVICE_ID)
        self.audit = Audit(self)
        self.rotation = Rotation(self)
        self.pace = Pace(self)
        self.readings_total = 0
        self.attached_total = 0
        self.refused_total: dict[str, int] = {}
        """What peers were refused, by error code, for the metrics."""
        self.on_removed: set[Callable[[DeviceState], None]] = set()
        """Called with each device that was removed, before its sessions end."""
        self._changing = asyncio.Lock()  # one change of a device's record at a time
        self._latest_ms = 0  # of the clock
        self._set_back_from_ms = -MAX_LEAD_MS
        self.reads = ReadPool(limits.max_reads)
        self.past = Past(self)
        self.retention = Retention(store, self.catalogue, clock_ms)

    def fill(self) -> None:
        """Take over what the store holds. Before the first session attaches."""
        store = self.store
        self.catalogue.fill(store.load(Device), store.load(Series), store.latest())
        ahead_ms = self.clock_ms() + MAX_LEAD_MS
        for series in self.catalogue.series.values():
            if series.ts < ahead_ms:  # the stamps may have run ahead of the clock before the restart
                series.stamped_ms = series.ts
        for attribute in store.load(Attribute):
            device = self.catalogue.by_id.get(attribute.device_id)
            if device is not None:
                _scope(device, attribute.scope)[attribute.key] = attribute.value
        self.ledger.fill(store.commands(open_only=True, limit=MAX_OPEN_COMMANDS), store.next_command_id())
        self.alerting.fill(store)
        self.attendance.fill(store.load(Habit))
        self.audit.fill()
        self.rotation.fill()
        self.adoption.fill()
        self.pace.begin()

    def use_limits(self, limits: Limits) -> None:
        """Go on with other limits. What is above a lower one now stays; nothing is added to it."""
        self.limits = limits
        self.catalogue.max_devices = limits.max_devices
        self.commits.max_pending_rows = limits.max_pending_readings
        self.ledger.max_open_per_device = limits.max_open_commands_per_device
        self.throttle.max_failures_per_min = limits.sign_in_failures_per_min
        self.reads.max_reads = limits.max_reads

    async def close(self) -> None:
        """Commit what was taken and stop. The store stays open: it is its opener's."""
        self.ledger.close()
        self.pace.close()
        await self.alerting.close()
        await self.audit.close()
        self.attendance.close()
        await self.commits.drain()
        await self.handlers.close()
        self.reads.shutdown()

    # -- the five verbs

    def authenticate(self, token: str) -> DeviceState:
        """The device a token belongs to. With ``allow_anonymous`` a name will do: the device is made on first use.

        Raises:
            Unauthorized: the token opens nothing.
        """
        digest = hash_token(token)
        device = self.catalogue.by_token_hash.get(digest)
        if device is not None and digest == device.record.old_token_hash:
            self.rotation.used(device)
        if device is None and self.allow_anonymous and not is_well_formed(token):  # a token that was revoked is no name
            try:
                device = self.catalogue.named(token)
                if device is None:
                    device = self.make_device_now(token, {})
            except HardpointError as error:
                raise Unauthorized(f"no device can be named that: {error.message}") from None
        if device is None:
            raise Unauthorized("this token belongs to no device")
        return device

    def sign_in(self, peer: str, token: str, *, claimed: str = "", certificate: str = "") -> DeviceState:
        """`authenticate` for whoever comes over a network: wrong tries are counted by address, and too many are told to
        wait. ``peer`` is as `Session.peer` gives it; ``claimed`` the id or name the device says it has, where its
        dialect makes it say one; ``certificate`` the name in a client certificate that was found good: it stands for
        a token where none is given.

        Raises:
            Unauthorized: the token opens nothing, or another device than the claimed one.
            NotAdopted: the same, but it may be an unknown device's name, and that waits to be adopted.
            RateLimited: the same, and this address was wrong too often within the last minute.
        """
        try:
            # Before the throttle: a right token always opens. Behind one address sit the board with an old token, which
            # tries for ever, and all the others.
            device = self._certified(certificate) if certificate and not token else self.authenticate(token)
            if claimed and claimed not in (device.id, device.record.name):
                raise Unauthorized("this token belongs to another device")
        except Unauthorized:
            if not claimed:
                self.adoption.knock(token, peer)
            address = host_of(peer)
            self.throttle.check(address)
            self.throttle.failed(address)
            raise
        self.adoption.confirm(device)
        return device

    def _certified(self, name: str) -> DeviceState:
        try:
            return self.catalogue.find(name)
        except NotFound:
            raise Unauthorized(f"the certificate is for {name[:80]!r}, and no device is called so") from None

    def attach(self, session: Session, device: DeviceState) -> None:
        """The device speaks over this session from now on. What waits for it is delivered."""
        now = self.clock_ms()
        if len(device.sessions) >= MAX_SESSIONS_PER_DEVICE:
            oldest = device.sessions[0]
            oldest.end("taken over: the device is attached too many times")
            self.detach(oldest)  # where it has not done so itself
        session.device = device
        session.attached_ms = device.last_seen_ms = now
        device.sessions = (*device.sessions, session)
        session.tap = self.tap if device.id in self.tap.on else None
        self.attached_total += 1
        self.attendance.came(session, device)
        self.publish_presence(device)
        if device.open_commands:
            self.ledger.attached(device)

    def detach(self, session: Session, why: str = "the device ended it") -> None:
        """The session is over; ``why``, in words, unless the session knows better. Idempotent."""
        device = session.device
        if device is None:
            self.adoption.left(session)
        if device is not None and session in device.sessions:
            device.sessions = tuple(other for other in device.sessions if other is not session)
            session.tap = None
            self.attendance.went(session, device, session.why or why)
            device.last_seen_ms = self.clock_ms()
            self.publish_presence(device)

    def ingest(self, session: Session, device: DeviceState, samples: Iterable[Sample], receipt: object) -> None:
        """Take readings; ``session.acknowledge([receipt], error)`` follows once they are durable, or are not.

        Raises:
            TooLarge: the device has too many keys. Nothing was taken.
            RateLimited: the device sends too fast. Nothing was taken.
            NotFound: the device was removed. Nothing was taken.
        """
        now = self.clock_ms()
        batch = self.commits.batch
        rows = batch.rows
        begin, begin_weight = len(rows), batch.extra_weight
        known = device.series
        try:
            for ts, key, value in samples:
                series = known.get(key) if known is not None else None
                if series is None:
                    series = self.new_series(device, key)
                    known = device.series
                if ts is None:
                    ts = now if series.stamped_ms < now else self._next_stamp(series, now)
                    series.stamped_ms = ts
                if type(value) is not float and type(value) is not int:
                    batch.extra_weight += weight(value)
                rows.append((series.id, ts, value))
            if self.limits.readings_per_s:
                self._spend(device, len(rows) - begin, now)
        except PeerError:  # all of a message, or nothing
            del rows[begin:]
            batch.extra_weight = begin_weight
            raise
        device.last_seen_ms = now
        if len(rows) > begin:  # "{}" is a message, but no reading
            if not 0 <= now - device.report_ms < REPORT_GAP_MS:  # below 0 the clock was set back
                self.alerting.agenda.now_ms()  # or was set forward, which is no pause of the device's
                note_report(device, now)
                self._latest_ms = max(self._latest_ms, now)
                device.last_reading_ms = now
                self.attendance.reported(device)
            device.last_reading_ms = now
        self.commits.wait(session, receipt)

    def new_series(self, device: DeviceState, key: str) -> SeriesState:
        """A key that the device has not had yet. It is stored with the next commit.

        Raises:
            TooLarge: the device has too many.
            NotFound: it was removed.
        """
        self._check_present(device)
        if len(device.series or ()) >= self.limits.max_keys_per_device:
            raise TooLarge(f"limits.max_keys_per_device ({self.limits.max_keys_per_device}) is reached for {device.id}")
        catalogue = self.catalogue
        series = catalogue.add_series(catalogue.next_series_id, device, key)
        catalogue.next_series_id += 1
        self.commits.note(Put(Series(series.id, device.id, key)))
        return series

    def set_attributes(self, device: DeviceState, scope: str, changes: dict[str, Json]) -> None:
        """Merge attributes; a None deletes. Durable with the next commit: `commits.wait` or `commits.durable` tells.

        Raises:
            BadInput: no such scope, or a key that cannot be used.
            TooLarge: the device has too many.
            NotFound: the device was removed.
        """
        self._check_present(device)
        if scope not in ATTRIBUTE_SCOPES:
            raise BadInput(f"scope is one of {', '.join(ATTRIBUTE_SCOPES)}", field="scope")
        for key in changes:
            checked_key(key)
        held = _scope(device, scope)
        limit = self.limits.max_attributes_per_device
        added = sum(value is not None and key not in held for key, value in changes.items())
        if added and added + sum(map(len, (device.attributes or {}).values())) > limit:
            raise TooLarge(f"limits.max_attributes_per_device ({limit}) is reached for {device.id}")
        now = self.clock_ms()
        device.last_seen_ms = now if scope == "client" else device.last_seen_ms
        changed: dict[str, Json] = {}
        deleted: list[str] = []
        for key, value in changes.items():
            if value is None:
                if held.pop(key, None) is not None:
                    deleted.append(key)
                    self.commits.note(Delete(Attribute(device.id, scope, key, None, now)))
            elif key not in held or held[key] != value or type(held[key]) is not type(value):
                held[key] = changed[key] = value
                self.commits.note(Put(Attribute(device.id, scope, key, value, now)))
        if scope == "shared" and (changed or deleted):
            for session in device.sessions:
                session.attributes_changed(changed, deleted)

    def attributes(self, device: DeviceState, scope: str) -> dict[str, Json]:
        """The device's attributes of a scope.

        Raises:
            BadInput: no such scope.
        """
        if scope not in ATTRIBUTE_SCOPES:
            raise BadInput(f"scope is one of {', '.join(ATTRIBUTE_SCOPES)}", field="scope")
        return dict((device.attributes or {}).get(scope, {}))

    def answer(self, device: DeviceState, command_id: int, ok: bool, payload: Json) -> None:
        """The device's answer to a command.

        Raises:
            NotFound: it is no open command of this device.
            TooLarge: the payload is too long, or nested too deep. The command stays open.
        """
        payload = checked_json(payload)
        device.last_seen_ms = self.clock_ms()
        if command_id == ADOPT_ID and self.adoption.confirm(device):
            return
        self.ledger.answer(device, command_id, ok, payload)

    # -- devices

    async def create_device(
        self, name: str, labels: dict[str, str] | None = None, *, gateway: bool = False
    ) -> tuple[DeviceState, str]:
        """Make a device. Returns it with its token, which is shown this once.

        Raises:
            BadInput, Conflict, TooLarge: the name cannot be used, is taken, or there are too many.
            StorageError: it could not be stored, and does not exist.
        """
        device, token = self._make_device(name, checked_labels(labels or {}))
        device.record.gateway = int(gateway)
        self.commits.batch.changes.append(Put(device.record))
        try:
            await self.commits.durable()
        except StorageError:
            self.catalogue.remove(device)
            raise
        self._publish_device("added", device)
        return device, token

    def make_device_now(self, name: str, labels: dict[str, str], via: str = "") -> DeviceState:
        """Make a device that nobody waits for: stored with the next commit, since readings will refer to it.

        Raises:
            BadInput, Conflict, TooLarge: as `create_device`.
        """
        device, _ = self._make_device(name, labels)
        device.record.via = via
        self.commits.note(Put(device.record))
        self._publish_device("added", device)
        return device

    async def change_device(
        self, device: DeviceState, changes: Mapping[str, Json] | Callable[[Device], Mapping[str, Json]]
    ) -> None:
        """Change ``name``, ``labels``, ``expected_every_s`` (None: learn it), ``gateway`` or ``via`` (see `Device`);
        what is left out stays. A function is given the record when it is its turn: changes wait for one another.

        Raises:
            BadInput, Conflict: a value cannot be used, or the name is taken. And whatever the function raises.
            NotFound: the device was removed.
            StorageError: it could not be stored, and nothing changed.
        """
        async with self._changing:
            record = replace(device.record, **(changes(device.record) if callable(changes) else changes))
            self.catalogue.check_record(record, device)
            record.labels = checked_labels(record.labels)
            await self._change_record(device, record)
        self.handlers.renamed()
        self.alerting.rules.device_changed(device)
        self.attendance.changed(device)

    async def new_device_token(self, device: DeviceState, *, keep_old_s: float = 0.0) -> str:
        """Give the device a new token: see `Rotation.new_token`."""
        return await self.rotation.new_token(device, keep_old_s)

    async def change_record(self, device: DeviceState, changed: Callable[[Device], Device]) -> None:
        """Give a device another record, made of the one it has. Raises as `change_device` does."""
        async with self._changing:
            await self._change_record(device, changed(device.record))

    async def remove_device(self, device: DeviceState) -> None:
        """Remove a device with its readings, attributes and commands. From here on it takes nothing more.

        Raises:
            NotFound: it was removed already.
            StorageError: it could not be done, and the device goes on; its open commands are cancelled.
        """
        async with self._changing:
            self._check_present(device)
            self.ledger.drop_device(device)
            known, device.series = device.series, None  # so that `ingest` has to look, and is refused
            numbers = {series.id for series in (known or {}).values()}
            batch = self.commits.batch
            for rows in (batch.rows, batch.past):  # rows are stored behind the changes
                rows[:] = [row for row in rows if row[0] not in numbers]
            batch.changes.append(Delete(device.record))
            self.catalogue.remove(device, known)
            self.catalogue.given_up = (device.id, device.record.name)
            try:
                await self.commits.durable()
            except StorageError:
                device.series = known
                self.catalogue.add(device)
                raise
            finally:
                self.catalogue.given_up = ()
        self.handlers.renamed()
        self.alerting.rules.device_removed(device)
        self.tap.forget(device.id)
        self.adoption.forget(device)
        self.attendance.forget(device)
        for removed in self.on_removed:
            removed(device)
        sessions, device.sessions = device.sessions, ()
        for session in sessions:
            session.end("the device was removed")
        self.live.publish("device", device.id, {"action": "removed", "device": {"id": device.id}})

    def describe(self, device: DeviceState) -> dict[str, Json]:
        """A device as the app API gives it."""
        return {**device.describe(), "presence": self.presence(device), "latest": device.latest()}

    def presence(self, device: DeviceState) -> dict[str, Json]:
        """How the device is now: `presence.facts`, by a clock that was looked at for jumps."""
        return facts(device, self.alerting.agenda.now_ms())

    def publish_presence(self, device: DeviceState) -> None:
        """Tell the live feed how the device is now."""
        self.live.publish("presence", device.id, partial(self._describe_presence, device))

    def _describe_presence(self, device: DeviceState) -> dict[str, Json]:
        return {"device": device.id, "presence": self.presence(device)}

    # -- inside

    def _tapped(self, device_id: str, on: bool) -> None:
        """A tap was switched: tell the device's sessions, which then note what they see, or do not."""
        device = self.catalogue.by_id.get(device_id)
        for session in device.sessions if device is not None else ():
            session.tap = self.tap if on else None

    def _make_device(self, name: str, labels: dict[str, str]) -> tuple[DeviceState, str]:
        token = new_token()
        record = Device(self.catalogue.new_id(name), name, self.clock_ms(), labels, None, hash_token(token))
        device = DeviceState(record)
        self.catalogue.add(device)
        return device, token

    def _check_present(self, device: DeviceState) -> None:
        if self.catalogue.by_id.get(device.id) is not device:
            raise NotFound(f"the device {device.id} was removed", field="device")

    def _publish_device(self, action: str, device: DeviceState) -> None:
        self.live.publish("device", device.id, lambda: {"action": action, "device": self.describe(device)})

    async def _change_record(self, device: DeviceState, record: Device) -> None:
        """With `_changing` held: of two under way, the second would be undone to the first, which failed."""
        self._check_present(device)
        before = device.record
        self.catalogue.replace(device, record)
        self.catalogue.given_up = (before.name,)
        self.commits.batch.changes.append(Put(record))
        try:
            await self.commits.durable()
        except StorageError:
            self.catalogue.replace(device, before)
            raise
        finally:
            self.catalogue.given_up = ()
        self._publish_device("changed", device)

    def _next_stamp(self, series: SeriesState, now_ms: int) -> int:
        """A time for a reading that comes within the millisecond of the one before it, or after the clock was set back.

        Raises:
            RateLimited: the stamps have run too far ahead of the clock.
        """
        if series.stamped_ms - now_ms < MAX_LEAD_MS:
            return series.stamped_ms + 1
        if now_ms < self._latest_ms - REPORT_GAP_MS:
            self._set_back_from_ms, self._latest_ms = self._latest_ms, now_ms
        if series.stamped_ms < self._set_back_from_ms + MAX_LEAD_MS:
            return now_ms  # it was stamped before the clock was set back, and the clock is obeyed
        raise RateLimited(
            f"{series.key} has had more than 1,000 readings a second for a minute: send fewer, or with their own times"
        )

    def _spend(self, device: DeviceState, count: int, now_ms: int) -> None:
        """A token bucket a device: ``readings_per_s``, with a burst of one second's worth. A message of more than that
        is taken when the bucket is full, and paid for afterwards: it could never be taken otherwise.
        """
        rate = self.limits.readings_per_s
        passed_ms = max(0, now_ms - device.allowance_ms)  # below 0 the clock was set back
        refilled = min(float(rate), device.allowance + passed_ms * rate / 1000)
        device.allowance_ms = now_ms
        if refilled < min(count, rate):
            device.allowance = refilled
            wait_s = (min(count, rate) - refilled) / rate
            raise RateLimited(f"limits.readings_per_s ({rate:g}) is passed; try again in {wait_s:.1f} s")
        device.allowance = refilled - count

    def _on_durable(self, batch: Batch) -> None:
        rows = batch.rows
        get = self.catalogue.series.get
        for series_id, ts, value in batch.past:
            series = get(series_id)
            if series is not None and ts > series.ts:
                series.ts, series.value = ts, value
                series.device.last_reading_ms = max(ts, series.device.last_reading_ms or 0)
        self.readings_total += len(rows) + len(batch.past)
        if batch.facts:
            self.audit.stored(batch.facts.values())
        if not rows:
            return
        self.live.publish_rows(rows, batch.extra_weight)
        if self.alerting.rules:
            try:
                self.alerting.rules.feed(rows, self.catalogue.series)
            except Exception:  # a fault in a rule must not cost the latest values
                logger.exception("the rules could not look at a batch")
        for series_id, ts, value in rows:
            series = get(series_id)
            if series is not None and ts >= series.ts:
                series.ts = ts
                series.value = value
        if self.handlers:
            self.handlers.feed(rows, self.catalogue.series)

    def _on_failed(self, batch: Batch, error: StorageError) -> None:
        self.note_refused(error, len(batch.receipts))

    def note_refused(self, error: HardpointError, count: int = 1) -> None:
        """Count what a peer was refused."""
        self.refused_total[error.code] = self.refused_total.get(error.code, 0) + count


def _scope(device: DeviceState, scope: str) -> dict[str, Json]:
    if device.attributes is None:
        device.attributes = {}
    return device.attributes.setdefault(scope, {})
