"""The app API's routes of dashboards and of the links that share them.

Whoever is limited to labels sees cards of their devices only, and changes a dashboard only where they see all of it:
what they cannot see they would remove by saving.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from ..errors import BadInput, Forbidden, NotFound
from ..http import Response
from ..hub.dashboards import devices_of
from . import shapes
from .deeds import changed_of, tell, to_its_end

if TYPE_CHECKING:
    from ..http import Request, Router
    from ..hub.dashboards import Dashboards
    from ..hub.hub import Hub
    from ..model import Dashboard, Json, ShareLink
    from .live import LiveStreams

Cards: TypeAlias = "list[dict[str, Json]]"


class DashboardRoutes:
    """``/api/dashboards`` and what lies below it."""

    def __init__(self, hub: Hub, boards: Dashboards, live: LiveStreams) -> None:
        self._hub = hub
        self._boards = boards
        self._live = live

    def register(self, router: Router) -> None:
        """Declare the routes."""
        route, one = router.route, "/api/dashboards/{id}"
        route(
            "GET",
            "/api/dashboards",
            self.list,
            role="viewer",
            scope="each",
            summary="All dashboards, without their cards",
            out=shapes.DashboardList,
        )
        route(
            "POST",
            "/api/dashboards",
            self.create,
            role="operator",
            scope="each",
            summary="Make a dashboard",
            body=shapes.NewDashboard,
            out=shapes.Dashboard,
            status=201,
        )
        route(
            "GET",
            one,
            self.show,
            role="viewer",
            scope="each",
            summary="One dashboard with its cards",
            out=shapes.Dashboard,
        )
        route(
            "PUT",
            one,
            self.change,
            role="operator",
            scope="each",
            summary="All of it anew, if it is still of the version that this was made from; else 409",
            body=shapes.ChangedDashboard,
            out=shapes.Dashboard,
        )
        route(
            "DELETE",
            one,
            self.remove,
            role="operator",
            scope="each",
            summary="Remove it, and its links with it",
            status=204,
        )
        self._register_links(router, f"{one}/links")

    def _register_links(self, router: Router, links: str) -> None:
        route = router.route
        route(
            "GET",
            links,
            self.links,
            role="operator",
            scope="each",
            summary="The links that share it",
            out=shapes.LinkList,
        )
        route(
            "POST",
            links,
            self.add_link,
            role="operator",
            scope="each",
            summary="Share it: whoever has the link sees this dashboard and nothing else; shown this once",
            body=shapes.NewLink,
            out=shapes.LinkWithSecret,
            status=201,
        )
        route(
            "DELETE",
            f"{links}/{{link}}",
            self.remove_link,
            role="operator",
            scope="each",
            summary="The link opens nothing from now on",
            status=204,
        )

    def list(self, request: Request) -> Response:
        """``GET /api/dashboards``: those with a card that whoever asks may see, and empty ones."""
        items = [
            {
                "id": board.id,
                "name": board.name,
                "cards": len(board.cards),
                "version": board.version,
                "updated": board.updated_ms,
                "updated_by": board.updated_by,
            }
            for board in self._boards.all()
            if self._concerns(request, board)
        ]
        return Response.json({"items": items})

    async def create(self, request: Request) -> Response:
        """``POST /api/dashboards``."""
        given = request.json(shapes.NewDashboard)
        cards = self._cards(request, given.cards)
        tell(request, {"name": given.name})
        board = await to_its_end(self._boards.add(given.name, cards, request.user.name))
        headers = [("Location", f"/api/dashboards/{board.id}")]
        return Response.json(self._describe(request, board), status=201, headers=headers)

    def show(self, request: Request) -> Response:
        """``GET /api/dashboards/{id}``."""
        return Response.json(self._describe(request, self._find(request)))

    async def change(self, request: Request) -> Response:
        """``PUT /api/dashboards/{id}``."""
        given = request.json(shapes.ChangedDashboard)
        board = self._own(request)
        cards = self._cards(request, given.cards)
        tell(request, {"name": board.name} | changed_of(board, {"name": given.name}))
        changed = await to_its_end(self._boards.change(board.id, given.version, given.name, cards, request.user.name))
        return Response.json(self._describe(request, changed))

    async def remove(self, request: Request) -> Response:
        """``DELETE /api/dashboards/{id}``."""
        board = self._own(request)
        tell(request, {"name": board.name})
        await to_its_end(self._boards.remove(board.id))
        self._live.end_closed()
        return Response.empty(204)

    def links(self, request: Request) -> Response:
        """``GET /api/dashboards/{id}/links``."""
        return Response.json({"items": [_describe_link(link) for link in self._boards.links(self._own(request).id)]})

    async def add_link(self, request: Request) -> Response:
        """``POST /api/dashboards/{id}/links``."""
        given = request.json(shapes.NewLink)
        board = self._own(request)
        tell(request, {"name": board.name, "link": given.name})
        link, secret = await to_its_end(self._boards.add_link(board.id, given.name, given.expires_s, request.user.name))
        return Response.json(_describe_link(link) | {"secret": secret}, status=201)

    async def remove_link(self, request: Request) -> Response:
        """``DELETE /api/dashboards/{id}/links/{link}``: streams that it opened end."""
        board = self._own(request)
        tell(request, {"name": board.name})
        await to_its_end(self._boards.remove_link(board.id, request.params["link"]))
        self._live.end_closed()
        return Response.empty(204)

    # -- inside

    def _sees(self, request: Request, device_id: str) -> bool:
        seen: bool = request.user.sees_id(self._hub.catalogue, device_id)
        return seen

    def _sees_all(self, request: Request, cards: Cards) -> bool:
        return all(self._sees(request, device_id) for device_id in devices_of(cards))

    def _concerns(self, request: Request, board: Dashboard) -> bool:
        devices = devices_of(board.cards)
        return not devices or any(self._sees(request, device_id) for device_id in devices)

    def _find(self, request: Request) -> Dashboard:
        board = self._boards.get(request.params["id"])
        if not self._concerns(request, board):
            raise NotFound("there is no such dashboard")
        return board

    def _own(self, request: Request) -> Dashboard:
        board = self._find(request)
        if not self._sees_all(request, board.cards):
            raise Forbidden("this dashboard shows devices that are not yours to see")
        return board

    def _cards(self, request: Request, given: Sequence[shapes.Card]) -> Cards:
        """The cards as they are stored. A device that is gone stays on them: it may come back.

        Raises:
            BadInput: a hidden card was sent back.
            NotFound: a card is about a device that whoever asks may not see; and may not share.
        """
        if any(isinstance(card, shapes.HiddenCard) for card in given):
            raise BadInput("a hidden card stands for one that you may not see: it cannot be stored", field="cards")
        cards: Cards = msgspec.to_builtins(given)
        for device_id in devices_of(cards):
            if not self._sees(request, device_id):
                raise NotFound(f"there is no device {device_id!r}", field="cards")
        return cards

    def _describe(self, request: Request, board: Dashboard) -> dict[str, Json]:
        cards = [
            card
            if self._sees_all(request, [card])
            else {"kind": "hidden", "id": card["id"], "size": card["size"], "title": ""}
            for card in board.cards
        ]
        return {
            "id": board.id,
            "name": board.name,
            "cards": cards,
            "version": board.version,
            "created": board.created_ms,
            "updated": board.updated_ms,
            "updated_by": board.updated_by,
            "may_edit": request.user.has_role("operator") and self._sees_all(request, board.cards),
        }


def _describe_link(link: ShareLink) -> dict[str, Json]:
    return {
        "id": link.id,
        "name": link.name,
        "created": link.created_ms,
        "created_by": link.created_by,
        "expires": link.expires_ms,
    }
