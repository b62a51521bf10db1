"""What the lab found out. Plain data: the table, the chart and the JSON are made of it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Point:
    """One model with one number of idle connections."""

    model: str
    idle: int
    """Idle connections beside the active ones."""
    cpu_us: float
    """Server CPU an answered line: the median of several slices."""
    p50_ms: float
    p99_ms: float
    answered_per_s: float
    """Less than the rate that was asked for: the model cannot keep up."""
    idle_cpu_percent: float
    """Of one core, while no line is sent."""
    resident_bytes: int
    """Memory of the server process."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a model stopped working."""

    model: str
    connections: int
    """Idle and active ones that it served."""
    why: str


@dataclass(slots=True)
class Results:
    """A whole run."""

    machine: str
    """System, processor, cores and interpreter, in words."""
    sensor: str
    """Where the temperature came from."""
    active: int
    rate: int
    """Lines a second over all active connections."""
    seconds: float
    """Under load at every point."""
    thread_limit: str
    """What bounds threads on this machine, in words: most runs end far below it."""
    points: list[Point] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    bytes_a_connection: dict[str, float] = field(default_factory=dict)
    """Model → resident memory that each idle connection adds to its process."""

    def of(self, model: str) -> list[Point]:
        """A model's points, by their number of idle connections."""
        return sorted((point for point in self.points if point.model == model), key=lambda point: point.idle)

    @property
    def models(self) -> list[str]:
        """The models that were run, in their order."""
        return list(dict.fromkeys(point.model for point in self.points))

    def stop_of(self, model: str) -> Stop | None:
        """Where the model stopped, if it did."""
        return next((stop for stop in self.stops if stop.model == model), None)

    def slope_ns(self, model: str) -> float | None:
        """Nanoseconds of CPU that one idle connection adds to a line, from the first point to the last; None of one
        point. About 0 is O(k); the rest is O(n).
        """
        points = self.of(model)
        if len(points) < 2:
            return None
        first, last = points[0], points[-1]
        return (last.cpu_us - first.cpu_us) * 1000 / (last.idle - first.idle)
