"""The home page's document: what needs attention and what is live, in one answer of a few kilobytes.

Presence is worked out for every device, so on a large server the loop breathes in between, and those who see the same
devices share the counts of the last second.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from ..http import Response, with_compression
from ..hub.hub import HOST_DEVICE_ID
from ..hub.presence import WORDS, facts, presence_word
from . import shapes

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..http import Request, Router
    from ..hub.devices import DeviceState
    from ..hub.hub import Hub
    from ..hub.principal import Principal
    from ..model import Alert

SHOWN_ABSENT = 6
SHOWN_REPORTING = 6
SHOWN_FIRING = 5
"""As many of each as a page shows that one looks at in passing."""
KEPT_MS = 1_000
"""How long one count of the presence answers for: two hundred open pages cost as much as one."""
MAX_KEPT = 64
"""Counts that are kept at a time, one for each set of labels that somebody is limited to."""
DEVICES_A_TURN = 500
"""Some 2 ms of the loop; what devices send meanwhile waits no longer."""


class Survey(NamedTuple):
    """The devices that somebody sees, by presence; of some of them the first few."""

    at_ms: int
    counts: dict[str, int]
    heard: int
    absent: list[DeviceState]
    reporting: list[DeviceState]


class HomeRoutes:
    """``/api/home``."""

    def __init__(self, hub: Hub, health: Callable[[], dict[str, Any]]) -> None:
        self._hub = hub
        self._health = health
        self._kept: dict[tuple[str, ...], Survey] = {}

    def register(self, router: Router) -> None:
        """Declare the route."""
        router.route(
            "GET",
            "/api/home",
            with_compression(self.show),  # a quarter of it, and no secret in it
            role="viewer",
            scope="each",
            summary="What needs attention and what is live, for the home page",
            out=shapes.Home,
        )

    async def show(self, request: Request) -> Response:
        """``GET /api/home``."""
        hub, user = self._hub, request.user
        survey = await self._survey(user)
        theirs = [
            one for one in hub.alerting.alerts.newest_first(firing=True) if user.sees_id(hub.catalogue, one.device_id)
        ]
        # What is about all devices, or about the machine, is not for those who are limited to some.
        everything = not user.labels
        return Response.json(
            {
                "at": hub.clock_ms(),
                "presence": survey.counts,
                "heard": survey.heard,
                "absent": [hub.describe(device) for device in survey.absent],
                "reporting": [hub.describe(device) for device in survey.reporting],
                "firing": [hub.alerting.alerts.describe(one) for one in theirs[:SHOWN_FIRING]],
                "firing_total": len(theirs),
                "names": self._names(theirs[:SHOWN_FIRING]),
                "pace": list(hub.pace.samples) if everything else [],
                "unknown": self._waiting() if everything and user.has_role("operator") else None,
                "server": await self._server() if everything else None,
            }
        )

    def _names(self, alerts: list[Alert]) -> dict[str, str]:
        devices = self._hub.catalogue.by_id
        return {one.device_id: devices[one.device_id].record.name for one in alerts if one.device_id in devices}

    def _waiting(self) -> int:
        return sum(not each["ignored"] and each["adopted"] is None for each in self._hub.adoption.list())

    async def _survey(self, user: Principal) -> Survey:
        now_ms = self._hub.clock_ms()
        kept = self._kept.get(user.labels)
        if kept is not None and 0 <= now_ms - kept.at_ms < KEPT_MS:
            # One of them may have been removed since, or have lost the label it was seen by.
            there = self._hub.catalogue.by_id

            def still(devices: list[DeviceState]) -> list[DeviceState]:
                return [device for device in devices if device.id in there and user.sees(device)]

            return kept._replace(absent=still(kept.absent), reporting=still(kept.reporting))
        survey = await self._look(user, now_ms)
        self._kept.pop(user.labels, None)
        if len(self._kept) >= MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[user.labels] = survey
        return survey

    async def _look(self, user: Principal, now_ms: int) -> Survey:
        counts: dict[str, int] = dict.fromkeys(WORDS, 0)
        heard = 0
        absent: list[DeviceState] = []
        reporting: list[DeviceState] = []
        for number, device in enumerate(list(self._hub.catalogue), 1):
            if number % DEVICES_A_TURN == 0:
                await asyncio.sleep(0)
            if not user.sees(device):
                continue
            word = presence_word(facts(device, now_ms), now_ms)
            counts[word] += 1
            heard += word != "never" and device.id != HOST_DEVICE_ID
            if word in ("late", "offline"):
                absent.append(device)
            elif word == "online" and device.last_reading_ms is not None:
                reporting.append(device)
        absent.sort(key=lambda device: -(device.last_seen_ms or 0))
        reporting.sort(key=lambda device: device.record.name.casefold())  # an order in which they stay
        return Survey(now_ms, counts, heard, absent[:SHOWN_ABSENT], reporting[:SHOWN_REPORTING])

    async def _server(self) -> dict[str, Any]:
        # On a thread: it asks the disk for its free space.
        health = await asyncio.to_thread(self._health)
        bridge = health.get("bridge")
        days = [certificate["days_left"] for certificate in health.get("certificates", ())]
        return {
            "failing": health["status"] != "ok",
            "certificate_days": min(days, default=None),
            "bridge_error": bridge["error"] if bridge is not None and not bridge["connected"] else None,
            "room": self._room(health["store"]),
        }

    def _room(self, store: dict[str, Any]) -> dict[str, Any] | None:
        if "size_bytes" not in store:  # a store of somebody else's that does not say
            return None
        size, free = store["size_bytes"], store.get("free_bytes")
        days_left = None if free is None else self._hub.pace.days_until(free, size, store.get("readings", 0))
        return {"size_bytes": size, "free_bytes": free, "days_left": days_left}
