"""The app API's routes of commands: the ledger (SPEC §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import Conflict, NotFound, TimedOut
from ..http import Response
from ..hub.commands import describe
from ..model import COMMAND_FINAL_STATES
from . import shapes
from .deeds import tell
from .devices import DEFAULT_PAGE, MAX_PAGE, whole_number

if TYPE_CHECKING:
    from ..http import Request, Router
    from ..hub.hub import Hub
    from ..model import Command


class CommandRoutes:
    """``/api/devices/{id}/commands`` and ``/api/commands``."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def register(self, router: Router) -> None:
        """Declare the routes."""
        of_device, one = "/api/devices/{id}/commands", "/api/commands/{number:int}"
        router.route(
            "POST",
            of_device,
            self.send,
            role="operator",
            summary="Send a command; with wait_s, answer with what the device said",
            body=shapes.NewCommand,
            out=shapes.QueuedCommand,
            status=202,
        )
        router.route(
            "GET",
            of_device,
            self.list,
            role="viewer",
            summary="The device's commands, the newest first",
            query=("limit", "cursor"),
            out=shapes.CommandList,
        )
        router.route("GET", one, self.show, role="viewer", scope="each", summary="One command", out=shapes.Command)
        router.route(
            "DELETE",
            one,
            self.cancel,
            role="operator",
            scope="each",
            summary="Cancel a command",
            out=shapes.Command,
        )

    async def send(self, request: Request) -> Response:
        """``POST /api/devices/{id}/commands``."""
        device = self._hub.catalogue.find(request.params["id"])
        given = request.json(shapes.NewCommand)
        tell(request, subject=given.method)  # not its parameters: they may hold a network's key
        ledger = self._hub.ledger
        command = await ledger.queue(device, given.method, given.params, given.ttl_s)
        if given.wait_s is None:
            return Response.json({"id": command.id, "state": "queued"}, status=202)
        if await ledger.wait(command, given.wait_s):
            return Response.json(describe(command))
        error = TimedOut(f"no answer within {given.wait_s:g} s; the command is {command.state}")
        return Response.json(
            {"error": {"code": error.code, "message": error.message}, "command": describe(command)}, status=error.status
        )

    async def list(self, request: Request) -> Response:
        """``GET /api/devices/{id}/commands``: the cursor is the number that the page before ended with."""
        device = self._hub.catalogue.find(request.params["id"])
        limit = whole_number(request, "limit", DEFAULT_PAGE, 1, MAX_PAGE)
        before_id = whole_number(request, "cursor", 0) or None
        found = await self._hub.past.commands(device, before_id=before_id, limit=limit + 1)
        more = len(found) > limit
        found = found[:limit]
        return Response.json(
            {"items": [describe(command) for command in found], "next_cursor": str(found[-1].id) if more else None}
        )

    async def show(self, request: Request) -> Response:
        """``GET /api/commands/{number}``."""
        return Response.json(describe(await self._command(request)))

    async def cancel(self, request: Request) -> Response:
        """``DELETE /api/commands/{number}``: what was sent already may still be carried out; its answer is refused."""
        command = await self._command(request)
        tell(request, device_id=command.device_id)
        if command.state in COMMAND_FINAL_STATES:
            raise Conflict(f"command {command.id} is already {command.state}")
        self._hub.ledger.advance(command, "cancelled", f"by {request.user.name}")
        await self._hub.commits.durable()
        return Response.json(describe(command))

    async def _command(self, request: Request) -> Command:
        """The command that is asked about.

        Raises:
            NotFound: there is none, or none for them.
        """
        number: int = request.params["number"]
        command = await self._hub.past.command(number)
        if not request.user.sees_id(self._hub.catalogue, command.device_id):
            raise NotFound(f"there is no command {number}")
        return command
