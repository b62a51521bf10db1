"""Dashboards and the links that show them: what is on each, who changed it last, and what a link may see.

A dashboard is a list of cards in an order. What a card is made of is the web side's to know; here it is a mapping whose
``device``, ``key`` and ``series`` name what it shows.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from ..errors import BadInput, Conflict, NotFound, TooLarge
from ..model import Dashboard, Delete, Json, Put, ShareLink
from .tokens import LINK_PREFIX, hash_token, new_token

if TYPE_CHECKING:
    from .hub import Hub

MAX_DASHBOARDS = 500
MAX_CARDS = 100
"""Of one dashboard: several screens full. A browser keeps each of them live."""
MAX_DASHBOARD_BYTES = 64 * 1024
"""As JSON. With `MAX_DASHBOARDS` it bounds what is kept in memory: 32 MB, of which a real one takes some kilobytes."""
MAX_SERIES_A_CARD = 8
"""As many as there are colours that can be told apart."""
MAX_TEXT_LENGTH = 4_000
MAX_CHOICES = 24
MAX_NAME_LENGTH = 128
MAX_LINKS = 50
"""Of one dashboard."""
MAX_LINK_S = 10 * 366 * 86_400

Series = tuple[str, str]
"""A device's id and a key."""


class Dashboards:
    """Every dashboard and every link, in memory as in the store. One change at a time."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._changing = asyncio.Lock()
        self._boards = {board.id: board for board in hub.store.load(Dashboard)}
        self._links: dict[str, ShareLink] = {}
        self._by_secret: dict[str, ShareLink] = {}  # by its hash: asked by everybody who has a link, and by strangers
        for link in hub.store.load(ShareLink):
            self._keep(link)

    def all(self) -> list[Dashboard]:
        """By name."""
        return sorted(self._boards.values(), key=lambda board: (board.name.lower(), board.id))

    def get(self, board_id: str) -> Dashboard:
        """One dashboard. It must not be changed: `change` replaces it.

        Raises:
            NotFound: there is none.
        """
        board = self._boards.get(board_id)
        if board is None:
            raise NotFound("there is no such dashboard")
        return board

    async def add(self, name: str, cards: list[dict[str, Json]], who: str) -> Dashboard:
        """Make one.

        Raises:
            BadInput, TooLarge: it cannot be used, or there are too many.
        """
        now = self._hub.clock_ms()
        board = checked(Dashboard(f"db-{secrets.token_hex(4)}", name, now, cards, 1, now, who))
        async with self._changing:
            if len(self._boards) >= MAX_DASHBOARDS:
                raise TooLarge(f"there are {MAX_DASHBOARDS} dashboards already")
            await self._store(Put(board))
            self._boards[board.id] = board
        self._tell("added", board)
        return board

    async def change(self, board_id: str, version: int, name: str, cards: list[dict[str, Json]], who: str) -> Dashboard:
        """Put this in its place, if it is still of that version.

        Raises:
            NotFound: it was removed.
            Conflict: somebody else changed it since.
            BadInput, TooLarge: it cannot be used.
        """
        async with self._changing:
            before = self.get(board_id)
            if before.version != version:
                raise Conflict(
                    f"{before.updated_by} changed this dashboard meanwhile: it is at version {before.version}",
                    field="version",
                )
            board = checked(
                replace(
                    before,
                    name=name,
                    cards=cards,
                    version=version + 1,
                    updated_ms=self._hub.clock_ms(),
                    updated_by=who,
                )
            )
            await self._store(Put(board))
            self._boards[board_id] = board
        self._tell("changed", board)
        return board

    async def remove(self, board_id: str) -> None:
        """Remove it, and its links with it.

        Raises:
            NotFound: there is none.
        """
        async with self._changing:
            board = self.get(board_id)
            links = self.links(board_id)
            await self._store(Delete(board), *map(Delete, links))
            del self._boards[board_id]
            for link in links:
                self._drop(link)
        self._tell("removed", board)

    # -- links

    def links(self, board_id: str) -> list[ShareLink]:
        """Those of a dashboard, the oldest first. Expired ones are listed too, until somebody removes them."""
        of_board = (link for link in self._links.values() if link.dashboard_id == board_id)
        return sorted(of_board, key=lambda link: (link.created_ms, link.id))

    async def add_link(self, board_id: str, name: str, expires_s: int | None, who: str) -> tuple[ShareLink, str]:
        """A new link, and its secret, which is not kept.

        Raises:
            NotFound: there is no such dashboard.
            TooLarge: it has too many links.
        """
        secret = new_token(LINK_PREFIX)
        async with self._changing:
            self.get(board_id)
            if len(self.links(board_id)) >= MAX_LINKS:
                raise TooLarge(f"this dashboard has {MAX_LINKS} links already: remove one")
            now = self._hub.clock_ms()
            expires_ms = None if expires_s is None else now + expires_s * 1000
            link = ShareLink(f"ln-{secrets.token_hex(4)}", board_id, name, hash_token(secret), now, who, expires_ms)
            await self._store(Put(link))
            self._keep(link)
        return link, secret

    async def remove_link(self, board_id: str, link_id: str) -> None:
        """The link opens nothing from now on.

        Raises:
            NotFound: this dashboard has no such link.
        """
        async with self._changing:
            link = self._links.get(link_id)
            if link is None or link.dashboard_id != board_id:
                raise NotFound("this dashboard has no such link")
            await self._store(Delete(link))
            self._drop(link)

    def link_of(self, secret: str) -> ShareLink | None:
        """The link that the secret opens now."""
        link = self._by_secret.get(hash_token(secret))
        return link if link is not None and self.is_open(link) else None

    def is_open(self, link: ShareLink) -> bool:
        """Whether the link still opens its dashboard."""
        if self._links.get(link.id) is not link:
            return False
        return link.expires_ms is None or self._hub.clock_ms() < link.expires_ms

    # -- inside

    def _keep(self, link: ShareLink) -> None:
        self._links[link.id] = self._by_secret[link.secret_hash] = link

    def _drop(self, link: ShareLink) -> None:
        del self._links[link.id], self._by_secret[link.secret_hash]

    async def _store(self, *changes: Put | Delete) -> None:
        self._hub.commits.batch.changes.extend(changes)
        await self._hub.commits.durable()

    def _tell(self, action: str, board: Dashboard) -> None:
        self._hub.live.publish("dashboard", board.id, {"action": action, "id": board.id, "version": board.version})


def checked(board: Dashboard) -> Dashboard:
    """The dashboard itself, its name without space around it.

    Raises:
        BadInput: its name cannot be used, or two cards have one id.
        TooLarge: it is over `MAX_DASHBOARD_BYTES`.
    """
    board.name = board.name.strip()
    if not 0 < len(board.name) <= MAX_NAME_LENGTH or not board.name.isprintable():
        raise BadInput(f"a name has 1 to {MAX_NAME_LENGTH} visible characters", field="name")
    ids = [card["id"] for card in board.cards]
    if len(set(ids)) != len(ids):
        raise BadInput("two cards have the same id", field="cards")
    if len(msgspec.json.encode(board.cards)) > MAX_DASHBOARD_BYTES:
        raise TooLarge(f"a dashboard may have at most {MAX_DASHBOARD_BYTES} bytes")
    return board


def devices_of(cards: Iterable[dict[str, Json]]) -> set[str]:
    """The ids of the devices that the cards show or control."""
    found: set[str] = set()
    for card in cards:
        if "device" in card:
            found.add(card["device"])
        found.update(each["device"] for each in card.get("series", ()))
    return found


def series_of(cards: Iterable[dict[str, Json]]) -> set[Series]:
    """The series that the cards show."""
    found: set[Series] = set()
    for card in cards:
        if card.get("key"):
            found.add((card["device"], card["key"]))
        found.update((each["device"], each["key"]) for each in card.get("series", ()))
    return found
