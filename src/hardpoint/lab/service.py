"""What every model serves: each line is answered with a temperature. Only how the bytes come and go differs."""

from __future__ import annotations

import math
import time

from ..hardware.thermal import Thermal

SENSOR_EVERY_S = 1.0
"""A sensor is read at most so often. Some take milliseconds, which would drown what is measured here."""
MADE_UP_MEAN_C = 45.0
MADE_UP_SWING_C = 5.0
MADE_UP_PERIOD_S = 60.0
MAX_READ_BYTES = 1024
"""What a server that reads by itself asks for at once."""


class Service:
    """Answers lines, and keeps count of connections for whoever measures.

    `served` and `refused` are written by the thread that accepts, and by no other.
    """

    def __init__(self) -> None:
        thermal = Thermal()
        without = thermal.probe()
        self._thermal = None if without else thermal
        self.sensor = f"made up, because {without}" if without else "the first thermal zone of this machine"
        """Where the temperature comes from, in words."""
        self.served = 0
        """Connections that were accepted and are, or were, being served."""
        self.refused = 0
        """Connections that were accepted and then could not be served."""
        self.why: str | None = None
        """Why the first one was refused."""
        self._answer = b""
        self._read_again_at = 0.0

    def answer(self, data: bytes) -> bytes:
        r"""One line, as ``45.3\\n``, for each line that ends in ``data``."""
        now = time.monotonic()
        if now >= self._read_again_at:
            self._answer = b"%.1f\n" % self._celsius(now)
            self._read_again_at = now + SENSOR_EVERY_S
        return self._answer * data.count(b"\n")

    def refuse(self, why: str) -> None:
        """A connection could not be served."""
        self.refused += 1
        if self.why is None:
            self.why = why

    def _celsius(self, now: float) -> float:
        if self._thermal is not None:
            try:
                for _, celsius in self._thermal.read():
                    return celsius
            except OSError:
                pass  # the zone sleeps: the made-up one stands in until the next reading
        return MADE_UP_MEAN_C + MADE_UP_SWING_C * math.sin(2 * math.pi * now / MADE_UP_PERIOD_S)
