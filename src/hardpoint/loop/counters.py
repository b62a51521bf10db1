"""What a loop and its connections have done so far, counted where it happens."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """The four events of a connection's two kernel buffers, and what passed through them.

    *Not empty* wakes the reader and *empty* sends it back to sleep; *full* stops the writer and *not full* lets it go
    on. A read that returned as much as was asked for may have left something behind, so it counts as not empty only.
    """

    not_empty: int = 0
    """Reads that returned bytes."""
    empty: int = 0
    """Reads that took all there was."""
    full: int = 0
    """Writes of which the kernel took only a part, or nothing."""
    not_full: int = 0
    """Times the kernel had room again for what was waiting."""
    writes: int = 0
    """Calls of ``transport.write`` that went to the kernel at once."""
    bytes_in: int = 0
    bytes_out: int = 0

    def add(self, other: Counters) -> None:
        """Add another connection's figures to these."""
        self.not_empty += other.not_empty
        self.empty += other.empty
        self.full += other.full
        self.not_full += other.not_full
        self.writes += other.writes
        self.bytes_in += other.bytes_in
        self.bytes_out += other.bytes_out


@dataclass(slots=True)
class LoopCounters(Counters):
    """`Counters` summed over every connection, open and closed, and the loop's own."""

    turns: int = 0
    accepted: int = 0
    """Connections accepted by listeners."""
    accept_pauses: int = 0
    """Times a listener had to pause because descriptors or memory ran out."""
    connections: int = 0
    """Stream connections open now."""
