"""Simulated devices inside the server, for who has no hardware at hand: a greenhouse that is a sine.

One is a session like any other, so everything behind it is real: readings are stored, rules fire, commands are
answered. It says what it is by its dialect and by a label that stays on the device, ends by itself, and makes room for
a real device.
"""

from __future__ import annotations

import asyncio
import logging
import math
import zlib
from typing import TYPE_CHECKING

from ..errors import BadInput, Conflict, HardpointError, RateLimited
from .session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..errors import StorageError
    from ..model import Command, Sample
    from .devices import DeviceState
    from .hub import Hub

logger = logging.getLogger("hardpoint.hub")

EVERY_MS = 2_000
"""Often enough to see a chart move."""
MAX_SIMULATED = 16
"""At a time. They are for looking around; `hardpoint simulate` makes thousands."""
MAX_SIMULATION_S = 3_600.0
"""One that was forgotten ends by itself."""
LABEL = ("simulated", "yes")
"""Set on the device with the first reading, and left there: its history is not of this world."""
PERIOD_S = 300.0


class SimulatedSession(Session):
    """Sends ``temp``, ``hum`` and ``door`` until `end`, and answers every command."""

    __slots__ = ("_hub", "until_ms")

    dialect = "simulated"

    def __init__(self, hub: Hub, until_ms: int) -> None:
        super().__init__()
        self._hub = hub
        self.until_ms = until_ms

    @property
    def peer(self) -> str:
        """Always this machine."""
        return "local"

    def start(self, device: DeviceState) -> None:
        """Attach, and go on until the time is over."""
        self._hub.attach(self, device)
        self._turn()

    def acknowledge(self, receipts: Sequence[object], error: StorageError | None) -> None:
        """Nobody waits: the next reading comes soon, and the hub has logged the error."""

    def deliver(self, command: Command) -> bool:
        """Answer it, once the hub is through with sending it."""
        asyncio.get_running_loop().call_soon(self._answer, command)
        return True

    def end(self, reason: str) -> None:
        """Send nothing more."""
        self.why = reason
        self._hub.detach(self)

    def _turn(self) -> None:
        device, now_ms = self.device, self._hub.clock_ms()
        if device is None or self not in device.sessions:
            return
        if any(not isinstance(other, SimulatedSession) for other in device.sessions):
            self.end("the device itself has come")
            return
        if now_ms >= self.until_ms:
            self.end("the time of the simulation is over")
            return
        try:
            self._hub.ingest(self, device, simulated_samples(device.id, now_ms), None)
        except HardpointError as error:
            logger.info("a simulated reading was not taken: %s", error.message)
        self._hub.alerting.agenda.at(now_ms + EVERY_MS, self._turn)

    def _answer(self, command: Command) -> None:
        try:
            if self.device is not None:
                self._hub.answer(self.device, command.id, True, {"simulated": True, "method": command.method})
        except HardpointError as error:
            logger.info("a simulated answer came too late: %s", error.message)


class Simulations:
    """The simulated devices of a hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def until_ms(self, device: DeviceState) -> int:
        """When the simulation of a device ends; 0: it is not simulated."""
        return max((each.until_ms for each in device.sessions if isinstance(each, SimulatedSession)), default=0)

    async def switch(self, device: DeviceState, for_s: float) -> int:
        """Simulate the device for so long from now, or, with 0, no longer. Returns when that ends, in ms, or 0.

        Raises:
            BadInput: longer than `MAX_SIMULATION_S`.
            Conflict: the device itself is attached.
            RateLimited: `MAX_SIMULATED` devices are simulated.
        """
        if not 0 <= for_s <= MAX_SIMULATION_S:
            raise BadInput(f"for_s is from 0 to {MAX_SIMULATION_S:.0f} seconds", field="for_s")
        if not for_s:
            for session in _simulated(device):
                session.end("the simulation was stopped")
            return 0
        if any(not isinstance(each, SimulatedSession) for each in device.sessions):
            raise Conflict(f"{device.id} itself is attached: it needs no simulation")
        if not _simulated(device) and self._count() >= MAX_SIMULATED:
            raise RateLimited(f"{MAX_SIMULATED} devices are simulated already")
        key, value = LABEL
        if device.record.labels.get(key) != value:
            await self._hub.change_device(device, lambda record: {"labels": {**record.labels, key: value}})
        until_ms = self._hub.clock_ms() + round(for_s * 1000)
        if running := _simulated(device):
            running[0].until_ms = until_ms
        else:
            SimulatedSession(self._hub, until_ms).start(device)
        return until_ms

    def _count(self) -> int:
        return sum(bool(_simulated(device)) for device in self._hub.catalogue)


def _simulated(device: DeviceState) -> list[SimulatedSession]:
    return [each for each in device.sessions if isinstance(each, SimulatedSession)]


def simulated_samples(device_id: str, now_ms: int) -> list[Sample]:
    """What a greenhouse may say at that time: every device another one, each the same at each call."""
    seed = zlib.crc32(device_id.encode())
    phase = 2 * math.pi * (now_ms / 1000 / PERIOD_S + seed % 97 / 97)
    # Noise without a generator to keep: a hash of the time has all the digits one needs.
    noise = zlib.crc32(b"%d" % (now_ms // EVERY_MS), seed) / 2**32 - 0.5
    return [
        (None, "temp", round(22 + 4 * math.sin(phase) + 0.4 * noise, 2)),
        (None, "hum", round(60 - 12 * math.sin(phase) + 2 * noise, 1)),
        (None, "door", math.sin(3 * phase) > 0.9),
    ]
