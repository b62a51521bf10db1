"""What ``hardpoint doctor`` would say, from inside the running server: for the system page and the diagnostics bundle.

The checks are the command's own (`hardpoint.checks`). They ask the disk, the network and other programs, so a thread
makes them; a page that is opened meanwhile waits for the same look.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..http import Response
from ..threads import call_apart
from . import shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..checks import Check
    from ..http import Request, Router

KEPT_MS = 60_000
"""How long a look answers for: what it finds (a disk, a clock, a certificate) changes slowly."""
PATIENCE_S = 10.0
"""A check has some 2 s; one that asks a disk which hangs has no end, and is answered without."""


class _Look:
    """One look at everything: ``found`` grows while ``task`` runs."""

    def __init__(self, checks: Callable[[], Iterator[Check]], at_ms: int) -> None:
        self.at_ms = at_ms
        self.found: list[Check] = []
        self._checks = checks
        self.task = asyncio.get_running_loop().create_task(call_apart("hardpoint-checks", self._work), name="checkup")

    def _work(self) -> None:
        for check in self._checks():  # one by one: the loop's thread reads what there is
            self.found.append(check)

    def answers(self, now_ms: int) -> bool:
        """Whether it need not be made anew yet."""
        return not self.task.done() or (self.task.exception() is None and 0 <= now_ms - self.at_ms < KEPT_MS)


class Checkup:
    """The last look, or the one that is under way. Used on the loop's thread."""

    def __init__(self, checks: Callable[[], Iterator[Check]], clock_ms: Callable[[], int]) -> None:
        """``checks`` makes them one by one, on a thread that nobody waits for at the end."""
        self._checks = checks
        self._clock_ms = clock_ms
        self._look: _Look | None = None

    async def document(self, *, anew: bool = False) -> dict[str, Any]:
        """What was found, as `shapes.Checkup` has it; ``anew``: not what is kept. Where a check takes longer than
        `PATIENCE_S`, what was found before it, and not ``done``.
        """
        look, now_ms = self._look, self._clock_ms()
        if look is None or not look.answers(now_ms) or (anew and look.task.done()):
            look = self._look = _Look(self._checks, now_ms)
        ended, _ = await asyncio.wait([look.task], timeout=PATIENCE_S)
        for task in ended:
            task.result()
        found = list(look.found)
        return {
            "at": look.at_ms,
            "done": bool(ended),
            "ok": not any(check.status == "fail" for check in found),
            "checks": [asdict(check) for check in found],
        }


class CheckupRoutes:
    """``/api/system/checks``."""

    def __init__(self, checkup: Checkup) -> None:
        self._checkup = checkup

    def register(self, router: Router) -> None:
        """Declare the route."""
        router.route(
            "GET",
            "/api/system/checks",
            self.show,
            role="admin",
            summary="What hardpoint doctor finds on the server's machine, of the last minute; anew=true: of now",
            query=("anew",),
            out=shapes.Checkup,
        )

    async def show(self, request: Request) -> Response:
        """``GET /api/system/checks``."""
        return Response.json(await self._checkup.document(anew=request.query.get("anew") == "true"))
