"""Runs an agent as the program it is: loop, signals, start and end."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import TYPE_CHECKING

from .. import registry
from ..hardware.mount import mount_host
from ..threads import ExitDeadline, call_apart
from .agent import Agent
from .spool import Spool

if TYPE_CHECKING:
    from .settings import AgentSettings

logger = logging.getLogger("hardpoint.agent")

LEFT_BEHIND_S = 1.0
"""How long threads that are still at work may hold up the end."""


def run_agent(settings: AgentSettings) -> None:
    """Runs in the main thread until SIGTERM or SIGINT. A look-up of the server's name that hangs does not hold up the
    end: the process exits with 0 `LEFT_BEHIND_S` after everything else is done.

    Raises:
        Unauthorized: the server refuses the token.
        FolderTaken: another agent uses the folder.
        StorageError: the folder cannot be used.
    """
    deadline = ExitDeadline()
    try:
        with asyncio.Runner(loop_factory=registry.loop_factory(settings.loop)) as runner:
            runner.run(_serve(settings))
            deadline.set(LEFT_BEHIND_S, exit_code=0)
    finally:
        deadline.cancel()


async def _serve(settings: AgentSettings) -> None:
    spool = Spool(settings.data, settings.max_spool_bytes)
    mount = await call_apart("hardpoint-mount", mount_host)
    logger.info("mounted: %s", ", ".join(mount.mounted))
    agent = Agent(settings, mount, spool)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, agent.stop)
    await agent.run()
