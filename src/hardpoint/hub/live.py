"""The live feed: what has just become true, in order, with enough kept to resume after a short absence.

Entries are numbered. A commit of readings is *one* entry, whatever it holds: the batch is kept as it is and grouped
by device only when somebody is listening, so a feed without listeners costs one append a commit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from ..model import Json, Row
    from .devices import SeriesState

MAX_ENTRIES = 4_096
MAX_ROWS = 10_000
"""What is kept for listeners that come back: half a second of a very busy server, hours of a quiet one, some 2 MB."""


Data: TypeAlias = "dict[str, Json] | Callable[[], dict[str, Json]]"


class Entry(NamedTuple):
    """One thing that happened. ``rows`` is set for readings, ``device`` and ``data`` for everything else.

    ``data`` may be a function that gives it: what a device *is* (its presence, its record) is worked out when somebody
    looks, and is then true; thousands of them that nobody looks at cost a reference each.
    """

    number: int
    kind: str
    device: str
    data: Data
    rows: Sequence[Row]
    weight: int

    def describe(self) -> dict[str, Json]:
        """``data``, worked out."""
        return self.data() if callable(self.data) else self.data


class LiveFeed:
    """Numbers, keeps and hands on what happens. `listeners` are called for every entry."""

    def __init__(self, series: dict[int, SeriesState]) -> None:
        self._series = series
        self._kept: deque[Entry] = deque()
        self._kept_weight = 0
        self.number = 0
        """Of the latest entry."""
        self.listeners: set[Callable[[Entry], None]] = set()

    def publish(self, kind: str, device: str, data: Data) -> None:
        """Something about one device: ``presence``, ``command``, ``device``, ``alert``; or, with its id in the device's
        place, about one ``dashboard``; or, with none, about the ``audit`` log.
        """
        self._append(Entry(self.number + 1, kind, device, data, (), 0))

    def publish_rows(self, rows: Sequence[Row], extra_weight: int = 0) -> None:
        """A batch of readings that is now durable; ``extra_weight`` is what large values weigh (`model.weight`)."""
        self._append(Entry(self.number + 1, "reading", "", {}, rows, len(rows) + extra_weight))

    def since(self, number: int) -> list[Entry] | None:
        """Every entry after that number, or None when some of them are no longer kept."""
        if number > self.number:
            return None
        if self._kept and number < self._kept[0].number - 1:
            return None
        return [entry for entry in self._kept if entry.number > number]

    def group(self, rows: Iterable[Row]) -> dict[str, list[tuple[str, int, Json]]]:
        """``{device id: [(key, ts, value), …]}`` of a batch; rows of series that are gone are left out."""
        grouped: dict[str, list[tuple[str, int, Json]]] = {}
        for series_id, ts, value in rows:
            series = self._series.get(series_id)
            if series is not None:
                grouped.setdefault(series.device.record.id, []).append((series.key, ts, value))
        return grouped

    def _append(self, entry: Entry) -> None:
        self.number = entry.number
        kept = self._kept
        kept.append(entry)
        self._kept_weight += entry.weight
        while len(kept) > MAX_ENTRIES or (self._kept_weight > MAX_ROWS and len(kept) > 1):
            self._kept_weight -= kept.popleft().weight
        for listener in tuple(self.listeners):
            listener(entry)
