"""What may be asked of a range: which readings, what stands for many of them, and how many points at most."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, tzinfo

from ...errors import BadInput
from ...model import MAX_TS_MS
from .buckets import FOLDS
from .calendar import Width, edges

AGGREGATIONS = ("auto", "raw", *FOLDS, "lttb")
DEFAULT_POINTS = 600
"""About one a pixel pair of a chart on a phone or in a card."""
MAX_POINTS = 10_000
MAX_RAW_POINTS = 100_000
"""In one whole answer, of all its series; whoever wants more asks for a stream, or by ranges."""


@dataclass(slots=True, frozen=True)
class RangeQuery:
    """A range ``start_ms <= ts < end_ms`` and what is wanted of it; `check` says whether it makes sense.

    Buckets are ``points`` equal parts of the range, or as wide as ``every`` says, by the clocks of ``zone``.
    """

    start_ms: int
    end_ms: int
    agg: str = "auto"
    points: int = DEFAULT_POINTS
    every: Width | None = None
    zone: tzinfo = UTC

    def check(self) -> None:
        """Look at all that can be seen without readings.

        Raises:
            BadInput: it cannot be answered; ``field`` names the part.
        """
        if not 0 <= self.start_ms < self.end_ms <= MAX_TS_MS + 1:
            raise BadInput("from must be before to, both in milliseconds since 1970-01-01 UTC", field="from")
        if self.agg not in AGGREGATIONS:
            raise BadInput(f"agg is one of {', '.join(AGGREGATIONS)}", field="agg")
        if not 1 <= self.points <= MAX_POINTS:
            raise BadInput(f"points is between 1 and {MAX_POINTS}", field="points")
        if self.every is not None and self.agg not in FOLDS:
            raise BadInput(f"every needs what a bucket comes to: agg is one of {', '.join(FOLDS)}", field="agg")

    def edges(self) -> list[int]:
        """Where the buckets begin, and the end of the last one.

        Raises:
            BadInput: more than `MAX_POINTS` buckets of that width.
        """
        if self.every is not None:
            return edges(self.every, self.zone, self.start_ms, self.end_ms, MAX_POINTS)
        # Two points a bucket: so many buckets that the points do not become more than were asked for.
        buckets = max(1, self.points // 2) if self.agg == "minmax" else self.points
        width_ms = max(1, -(-(self.end_ms - self.start_ms) // buckets))
        return [*range(self.start_ms, self.end_ms, width_ms), self.end_ms]
