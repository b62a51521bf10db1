"""The machine the server runs on, as the device ``host``: its mounted sensors are read every few seconds and take the
same path as every other reading. No wire at all: the simplest dialect there is.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ..errors import HardpointError
from ..hardware.commands import HostCommands
from ..hub.hub import HOST_DEVICE_ID
from ..hub.session import Session
from ..threads import DaemonExecutor

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from ..errors import StorageError
    from ..hardware.mount import Mount
    from ..hub.hub import Hub
    from ..model import Command

logger = logging.getLogger("hardpoint.host")


class HostSession(Session):
    """Reads the mount every ``interval_s`` and hands it in; answers the host's commands."""

    __slots__ = ("_commands", "_hub", "_interval_s", "_sensors", "_tasks", "_wake", "mount")

    dialect = "host"

    def __init__(self, hub: Hub, mount: Mount, interval_s: float) -> None:
        super().__init__()
        self._hub = hub
        self.mount = mount
        self._interval_s = interval_s
        self._wake = asyncio.Event()
        # A daemon thread: a sensor that never answers must not hold up the end of the server.
        self._sensors = DaemonExecutor("hardpoint-sensors")
        self._commands = HostCommands(mount, self._set_interval, self._sensors)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def peer(self) -> str:
        """Always this machine."""
        return "local"

    async def start(self) -> None:
        """Attach as the device ``host``, making it if need be, and read from now on."""
        hub = self._hub
        device = hub.catalogue.by_id.get(HOST_DEVICE_ID)
        if device is None:
            device, _ = await hub.create_device(HOST_DEVICE_ID)
        hub.attach(self, device)
        self._spawn(self._read_for_ever())

    async def close(self) -> None:
        """Stop reading; a round that is under way is not waited for."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._sensors.shutdown()
        self._hub.detach(self)

    def acknowledge(self, receipts: Sequence[object], error: StorageError | None) -> None:
        """Nobody waits: the next round comes soon, and the hub has logged the error."""

    def deliver(self, command: Command) -> bool:
        """Answer it from here."""
        self._spawn(self._answer(command.id, command.method, command.params))
        return True

    def end(self, reason: str) -> None:
        """The device ``host`` was removed: stop reading. The next start of the server makes it anew."""
        logger.warning("this machine's sensors are read no longer: %s", reason)
        for task in self._tasks:
            task.cancel()

    def _set_interval(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._wake.set()

    async def _read_for_ever(self) -> None:
        while self.device is not None:
            values = await asyncio.get_running_loop().run_in_executor(self._sensors, self.mount.read)
            try:
                self._hub.ingest(self, self.device, [(None, key, value) for key, value in values.items()], None)
            except HardpointError as error:
                logger.warning("the host's readings were not taken: %s", error.message)
            self._wake.clear()
            try:
                async with asyncio.timeout(self._interval_s):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _answer(self, command_id: int, method: str, params: object) -> None:
        ok, payload = True, None
        try:
            payload = await self._commands.answer(method, params)
        except HardpointError as error:
            ok, payload = False, error.message
        try:
            if self.device is not None:
                self._hub.answer(self.device, command_id, ok, payload)
        except HardpointError as error:
            logger.info("an answer came too late: %s", error.message)

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
