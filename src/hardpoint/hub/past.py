"""What was: readings of a range, commands and attachments as the store has them; readings brought in, and removed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from ..errors import NotFound, TooLarge
from ..model import Attachment, DeleteReadings, checked_key, checked_ts, checked_value

if TYPE_CHECKING:
    from ..model import Command, Json, Value
    from .devices import DeviceState
    from .history.query import RangeQuery
    from .hub import Hub

T = TypeVar("T")

MAX_PAST_READINGS = 10_000
"""In one `Past.backfill`: checked within some milliseconds, and stored by one commit."""


class Past:
    """The way to what a hub has stored. Used on its loop's thread; the store is read on others."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._store = hub.store

    async def readings(
        self, device: DeviceState, key: str, start_ms: int, end_ms: int, *, agg: str = "auto", points: int = 600
    ) -> tuple[str, list[tuple[int, Value]]]:
        """`read_range` of ``start_ms <= ts < end_ms``."""
        from .history.query import RangeQuery  # at the first query: 4 ms that the start does not need

        return await self.read_range(device, key, RangeQuery(start_ms, end_ms, agg, points))

    async def read_range(self, device: DeviceState, key: str, query: RangeQuery) -> tuple[str, list[tuple[int, Value]]]:
        """``(agg as it was done, [(ts, value), …])`` of one key; see `history.reduce_range`.

        Raises:
            NotFound: the device never sent that key.
            BadInput, TooLarge: the range or the aggregation cannot be used.
            RateLimited: too many answers are being read.
        """
        from .history.reduce import reduce_range

        series = device.series_of(key)
        query.check()
        with self._hub.reads.answering():
            return await self._hub.reads.run(lambda wanted: reduce_range(self._store, series.id, query, wanted=wanted))

    async def backfill(self, given: Sequence[tuple[DeviceState, str, Sequence[tuple[int, Value]]]]) -> int:
        """Store readings of the past: ``(device, key, [(ts, value), …])``. Returns how many, once they are on disk.
        They replace those with the same key and time. Latest values take them in; the live stream and handlers do not
        see them, for nothing has happened just now.

        Raises:
            BadInput: a key, a time or a value that cannot be. Nothing was taken, as with what follows.
            TooLarge: more than `MAX_PAST_READINGS`, or a device would have too many keys.
            NotFound: a device was removed.
            StorageError: it could not be stored.
        """
        count = sum(len(points) for _, _, points in given)
        if count > MAX_PAST_READINGS:
            raise TooLarge(f"{count} readings at once are more than {MAX_PAST_READINGS}: send them in parts")
        rows = [
            (device, checked_key(key), [(checked_ts(ts), checked_value(value)) for ts, value in points])
            for device, key, points in given
        ]
        while self._hub.commits.pending_rows >= self._hub.limits.max_pending_readings:
            await self._hub.commits.durable()
        series = [(device.series or {}).get(key) or self._hub.new_series(device, key) for device, key, _ in rows]
        batch = self._hub.commits.batch
        for one, (_, _, points) in zip(series, rows, strict=True):
            batch.past.extend([(one.id, ts, value) for ts, value in points])
        await self._hub.commits.durable()
        return count

    async def delete_readings(self, device: DeviceState, key: str, start_ms: int, end_ms: int) -> None:
        """Remove the readings of a key with ``start_ms <= ts < end_ms``.

        Raises:
            NotFound: the device never sent that key.
            BadInput: the range cannot be used.
            StorageError: it could not be stored, and nothing is removed.
        """
        from .history.query import RangeQuery

        series = device.series_of(key)
        RangeQuery(start_ms, end_ms).check()
        self._hub.commits.batch.changes.append(DeleteReadings(series.id, start_ms, end_ms))
        await self._hub.commits.durable()
        if start_ms <= series.ts < end_ms:
            series.ts, series.value = -1, None
            for _, ts, value in await self._read(lambda: list(self._store.latest(series.id))):
                if ts > series.ts:
                    series.ts, series.value = ts, value

    async def command(self, command_id: int) -> Command:
        """A command, open or closed.

        Raises:
            NotFound: there is none of that number.
        """
        found = self._hub.ledger.get(command_id)
        if found is None:
            stored = await self._read(lambda: self._store.commands(before_id=command_id + 1, limit=1))
            found = stored[0] if stored and stored[0].id == command_id else None
        if found is None:
            raise NotFound(f"there is no command {command_id}")
        return found

    async def attachments(self, device: DeviceState) -> list[dict[str, Json]]:
        """The device's last sessions, the newest first, as the app API gives them."""
        return self._hub.attendance.history(device, await self._read(lambda: self._store.load(Attachment, device.id)))

    async def commands(self, device: DeviceState, *, before_id: int | None, limit: int) -> list[Command]:
        """The device's commands, the newest first; the open ones as they are now."""
        stored = await self._read(lambda: self._store.commands(device_id=device.id, before_id=before_id, limit=limit))
        return [self._hub.ledger.get(command.id) or command for command in stored]

    # -- inside

    async def _read(self, query: Callable[[], T]) -> T:
        return await self._hub.reads.run(lambda _: query())
