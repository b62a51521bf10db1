"""The commands a mount answers, the same on the server's own device ``host`` and on an agent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..errors import BadInput, NotFound, UnknownVerb

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from ..model import Json, Value
    from .mount import Mount

MIN_INTERVAL_S = 1
MAX_INTERVAL_S = 86_400
"""Once a day."""


class HostCommands:
    """``ping``, ``read`` and ``set-interval``. ``set_interval(s)`` is called on the loop's thread. The mount is
    read on ``executor``, which has one thread: it makes one round at a time anyway.
    """

    def __init__(self, mount: Mount, set_interval: Callable[[float], None], executor: Executor) -> None:
        self._mount = mount
        self._executor = executor
        self._set_interval = set_interval
        self._methods = {"ping": self._ping, "read": self._read, "set-interval": self._set}

    async def answer(self, method: str, params: Json = None) -> Json:
        """The command's result, as JSON can hold it.

        Raises:
            UnknownVerb: no such method.
            BadInput: the parameters are wrong.
            NotFound: ``read`` of a key that no sensor has.
        """
        found = self._methods.get(method)
        if found is None:
            raise UnknownVerb(f"unknown method {method[:40]!r}: this device knows {', '.join(self._methods)}")
        if params is None:
            params = {}
        if not isinstance(params, dict):
            raise BadInput("params must be an object", field="params")
        return await found(params)

    async def _ping(self, params: dict[str, Json]) -> str:
        """Answers ``"pong"``; parameters are of no interest, so that anything may be sent along."""
        return "pong"

    async def _read(self, params: dict[str, Json]) -> dict[str, Value]:
        """Reads now: every sensor, or ``{"key": …}`` alone."""
        key = params.get("key")
        if key is not None and not isinstance(key, str):
            raise BadInput("key must be a string", field="params.key")
        values = await asyncio.get_running_loop().run_in_executor(self._executor, self._mount.read)
        if key is None:
            return values
        if key not in values:
            raise NotFound(f"no sensor has the key {key[:64]!r}")
        return {key: values[key]}

    async def _set(self, params: dict[str, Json]) -> dict[str, float]:
        """Sets the seconds between two rounds, until the process ends."""
        interval_s = params.get("s")
        # NaN is within no range; an integer may be too large for anything but a comparison.
        if (
            isinstance(interval_s, bool)
            or not isinstance(interval_s, (int, float))
            or not MIN_INTERVAL_S <= interval_s <= MAX_INTERVAL_S
        ):
            raise BadInput(f"s must be a number of seconds from {MIN_INTERVAL_S} to {MAX_INTERVAL_S}", field="params.s")
        self._set_interval(interval_s)
        return {"s": interval_s}
