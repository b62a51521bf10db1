"""Runs an agent as the program it is: loop, signals, start and end."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import TYPE_CHECKING

from .. import registry
from ..hardware.mount import mount_host
from .agent import Agent
from .spool import Spool

if TYPE_CHECKING:
    from .settings import AgentSettings

logger = logging.getLogger("hardpoint.agent")


def run_agent(settings: AgentSettings) -> None:
    """Runs in the main thread until SIGTERM or SIGINT.

    Raises:
        Unauthorized: the server refuses the token.
        FolderTaken: another agent uses the folder.
        StorageError: the folder cannot be used.
    """
    with asyncio.Runner(loop_factory=registry.loop_factory(settings.loop)) as runner:
        runner.run(_serve(settings))


async def _serve(settings: AgentSettings) -> None:
    spool = Spool(settings.data, settings.max_spool_bytes)
    mount = await asyncio.to_thread(mount_host)
    logger.info("mounted: %s", ", ".join(mount.mounted))
    agent = Agent(settings, mount, spool)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, agent.stop)
    await agent.run()
