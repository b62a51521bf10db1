"""The app API's routes of alerts, of the channels that tell people, and of when they are silent."""

from __future__ import annotations

import secrets
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from ..errors import BadInput, Conflict, NotFound
from ..http import Response
from ..hub.outbox import NotDelivered
from ..hub.quiet import checked_quiet_hours
from ..hub.rules.alerts import muted_until
from ..model import Channel, QuietHours
from . import shapes
from .deeds import changed_of, tell, to_its_end
from .devices import DEFAULT_PAGE, MAX_PAGE, whole_number

if TYPE_CHECKING:
    from ..http import Request, Router
    from ..hub.hub import Hub
    from ..model import Delivery, Json

MAX_TOLD = 100
"""Numbers of alerts that an entry of the log names."""
_STATES = {"firing": True, "resolved": False}


class AlertRoutes:
    """``/api/alerts``."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._alerts = hub.alerting.alerts

    def register(self, router: Router) -> None:
        """Declare the routes."""
        one = "/api/alerts/{number:int}"
        router.route(
            "GET",
            "/api/alerts",
            self.list,
            role="viewer",
            scope="each",
            summary="Alerts, the newest first",
            query=("state", "device", "limit", "cursor"),
            out=shapes.AlertList,
        )
        router.route("GET", one, self.show, role="viewer", scope="each", summary="One alert", out=shapes.Alert)
        router.route(
            "POST",
            f"{one}/acknowledge",
            self.acknowledge,
            role="operator",
            scope="each",
            summary="Say that somebody sees to it: it is not repeated any more",
            out=shapes.Alert,
        )
        router.route(
            "POST",
            "/api/alerts/acknowledge",
            self.acknowledge_all,
            role="operator",
            scope="each",
            summary="The same of several; those that cannot be are told beside the others",
            body=shapes.Alerts,
            out=shapes.AcknowledgedAlerts,
        )
        router.route(
            "POST",
            "/api/devices/{id}/mute",
            self.mute_device,
            role="operator",
            summary="Tell nobody of alerts on it for a time; 0 ends that",
            body=shapes.Mute,
            out=shapes.Device,
        )
        router.route(
            "POST",
            f"{one}/mute",
            self.mute,
            role="operator",
            scope="each",
            summary="Tell nobody of it for a time; 0 ends that",
            body=shapes.Mute,
            out=shapes.Alert,
        )

    def list(self, request: Request) -> Response:
        """``GET /api/alerts``: the cursor is the number that the page before ended with."""
        state = request.query.get("state")
        if state is not None and state not in _STATES:
            raise BadInput(f"state is one of {', '.join(_STATES)}", field="state")
        name = request.query.get("device")
        user, catalogue = request.user, self._hub.catalogue
        device_id = user.find(catalogue, name).id if name is not None else None
        limit = whole_number(request, "limit", DEFAULT_PAGE, 1, MAX_PAGE)
        alerts = self._alerts.newest_first(
            before_id=whole_number(request, "cursor", 0) or None, firing=_STATES[state] if state else None
        )
        theirs = (
            one for one in alerts if device_id in (None, one.device_id) and user.sees_id(catalogue, one.device_id)
        )
        found = list(islice(theirs, limit + 1))
        more = len(found) > limit
        found = found[:limit]
        return Response.json(
            {"items": [self._alerts.describe(one) for one in found], "next_cursor": str(found[-1].id) if more else None}
        )

    def show(self, request: Request) -> Response:
        """``GET /api/alerts/{number}``."""
        return Response.json(self._alerts.describe(self._alerts.get(self._number(request))))

    async def acknowledge(self, request: Request) -> Response:
        """``POST /api/alerts/{number}/acknowledge``."""
        alert = self._alerts.acknowledge(self._number(request), request.user.name)
        await self._hub.commits.durable()
        return Response.json(self._alerts.describe(alert))

    async def mute(self, request: Request) -> Response:
        """``POST /api/alerts/{number}/mute``."""
        alert = self._alerts.mute(self._number(request), request.json(shapes.Mute).for_s)
        tell(request, {"muted_until": alert.muted_until_ms})
        await self._hub.commits.durable()
        return Response.json(self._alerts.describe(alert))

    async def acknowledge_all(self, request: Request) -> Response:
        """``POST /api/alerts/acknowledge``: each by itself, with one commit for all. That some of them cannot be
        acknowledged any more is no reason to refuse the others: it is told beside them.
        """
        numbers = dict.fromkeys(request.json(shapes.Alerts).alerts)
        seen, refused = [], []
        for number in numbers:
            try:
                self._check_seen(request, number)
                seen.append(self._alerts.acknowledge(number, request.user.name))
            except (NotFound, Conflict) as error:
                refused.append({"id": number, "code": error.code, "message": error.message})
        tell(request, {"acknowledged": [alert.id for alert in seen][:MAX_TOLD]})
        await self._hub.commits.durable()
        return Response.json({"items": [self._alerts.describe(alert) for alert in seen], "refused": refused})

    async def mute_device(self, request: Request) -> Response:
        """``POST /api/devices/{id}/mute``."""
        hub = self._hub
        device = hub.catalogue.find(request.params["id"])
        until_ms = muted_until(hub.clock_ms(), request.json(shapes.Mute).for_s)
        tell(request, {"muted_until": until_ms})
        await to_its_end(hub.change_record(device, lambda record: replace(record, muted_until_ms=until_ms)))
        self._alerts.silence_changed(device_id=device.id)
        return Response.json(hub.describe(device))

    def _number(self, request: Request) -> int:
        """Of the alert that is asked about.

        Raises:
            NotFound: there is none, or none for them.
        """
        number: int = request.params["number"]
        tell(request, device_id=self._check_seen(request, number))
        return number

    def _check_seen(self, request: Request, number: int) -> str:
        """The id of the device that an alert is about.

        Raises:
            NotFound: there is no such alert, or none for them; both are told alike.
        """
        device_id = self._alerts.get(number).device_id
        if not request.user.sees_id(self._hub.catalogue, device_id):
            raise NotFound(f"there is no alert {number}")
        return device_id


class ChannelRoutes:
    """``/api/channels``, ``/api/deliveries`` and ``/api/quiet-hours``."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._outbox = hub.alerting.outbox

    def register(self, router: Router) -> None:
        """Declare the routes. Channels are an admin's: they hold secrets and reach other machines."""
        route, one = router.route, "/api/channels/{id}"
        route(
            "GET",
            "/api/channels",
            self.list,
            role="operator",
            scope="none",
            summary="All channels",
            out=shapes.ChannelList,
        )
        route(
            "POST",
            "/api/channels",
            self.create,
            role="admin",
            summary="Make a channel",
            body=shapes.NewChannel,
            out=shapes.Channel,
            status=201,
        )
        route(
            "PATCH",
            one,
            self.change,
            role="admin",
            summary="Change a channel's name or settings",
            body=shapes.ChangedChannel,
            out=shapes.Channel,
        )
        route("DELETE", one, self.remove, role="admin", summary="Remove a channel that no rule uses", status=204)
        route(
            "POST",
            f"{one}/test",
            self.test,
            role="operator",
            summary="Send a test now; 502 with the reason when it was not taken",
            out=shapes.Said,
        )
        route(
            "GET",
            "/api/deliveries",
            self.deliveries,
            role="operator",
            summary="What was told over which channel, tries and reasons, the newest first",
            query=("limit", "cursor"),
            out=shapes.DeliveryList,
        )
        quiet = "/api/quiet-hours"
        route(
            "GET",
            quiet,
            self.quiet,
            role="viewer",
            scope="none",
            summary="When channels are silent",
            out=shapes.AllQuietHours,
        )
        route(
            "PUT",
            quiet,
            self.set_quiet,
            role="operator",
            summary="Put these in the place of all there were",
            body=shapes.AllQuietHours,
            out=shapes.AllQuietHours,
        )

    def list(self, request: Request) -> Response:
        """``GET /api/channels``."""
        items = [self._describe(channel) for channel in self._outbox.channels.values()]
        return Response.json({"items": items, "kinds": self._outbox.kinds})

    async def create(self, request: Request) -> Response:
        """``POST /api/channels``."""
        given = request.json(shapes.NewChannel)
        tell(request, {"name": given.name, "kind": given.kind})
        made = Channel(f"ch-{secrets.token_hex(4)}", given.name, given.kind, given.settings, self._hub.clock_ms())
        await to_its_end(self._outbox.put_channel(made))
        return Response.json(self._describe(made), status=201, headers=[("Location", f"/api/channels/{made.id}")])

    async def change(self, request: Request) -> Response:
        """``PATCH /api/channels/{id}``."""
        given = request.json(shapes.ChangedChannel)
        channel = self._outbox.channel(request.params["id"])
        tell(request, {"name": channel.name})
        changed = replace(channel)
        if given.name is not UNSET:
            changed.name = given.name
            tell(request, changed_of(channel, {"name": given.name}))
        if given.settings is not UNSET:
            merged = changed.settings | given.settings
            changed.settings = {name: value for name, value in merged.items() if value is not None}
        await to_its_end(self._outbox.put_channel(changed))
        return Response.json(self._describe(changed))

    async def remove(self, request: Request) -> Response:
        """``DELETE /api/channels/{id}``."""
        tell(request, {"name": self._outbox.channel(request.params["id"]).name})
        await to_its_end(self._outbox.remove_channel(request.params["id"], self._hub.alerting.rules.all()))
        return Response(204)

    async def test(self, request: Request) -> Response:
        """``POST /api/channels/{id}/test``."""
        tell(request, {"name": self._outbox.channel(request.params["id"]).name})
        try:
            said = await self._outbox.test_channel(request.params["id"], request.user.name)
        except NotDelivered as error:
            return Response.json({"error": {"code": "not_delivered", "message": str(error)}}, status=502)
        return Response.json({"said": said})

    def deliveries(self, request: Request) -> Response:
        """``GET /api/deliveries``: the cursor is the number that the page before ended with."""
        limit = whole_number(request, "limit", DEFAULT_PAGE, 1, MAX_PAGE)
        before_id = whole_number(request, "cursor", 0)
        below = (one for one in self._outbox.newest_first() if not before_id or one.id < before_id)
        found = list(islice(below, limit + 1))
        more = len(found) > limit
        found = found[:limit]
        return Response.json(
            {"items": [_describe_delivery(one) for one in found], "next_cursor": str(found[-1].id) if more else None}
        )

    def quiet(self, request: Request) -> Response:
        """``GET /api/quiet-hours``."""
        return Response.json({"items": [_describe_quiet(hours) for hours in self._outbox.quiet.values()]})

    async def set_quiet(self, request: Request) -> Response:
        """``PUT /api/quiet-hours``."""
        given = request.json(shapes.AllQuietHours)
        for channel_id in {channel_id for each in given.items for channel_id in each.channels}:
            self._outbox.channel(channel_id)
        hours = [
            checked_quiet_hours(QuietHours(str(number), **msgspec.to_builtins(each)))
            for number, each in enumerate(given.items)
        ]
        await to_its_end(self._outbox.set_quiet(hours))
        return self.quiet(request)

    def _describe(self, channel: Channel) -> dict[str, Json]:
        secret = self._outbox.sender(channel.kind).secret
        settings = {name: None if name in secret else value for name, value in channel.settings.items()}
        return {
            "id": channel.id,
            "name": channel.name,
            "kind": channel.kind,
            "settings": settings,
            "created": channel.created_ms,
        }


def _describe_delivery(delivery: Delivery) -> dict[str, Json]:
    return {
        "id": delivery.id,
        "channel": delivery.channel_id,
        "alert": delivery.alert_id,
        "event": delivery.event,
        "state": delivery.state,
        "created": delivery.created_ms,
        "due": delivery.due_ms,
        "attempts": delivery.attempts,
        "steps": [{"state": state, "at": at, "reason": reason} for state, at, reason in delivery.steps],
    }


def _describe_quiet(hours: QuietHours) -> dict[str, Json]:
    return {
        "begins": hours.begins,
        "ends": hours.ends,
        "time_zone": hours.time_zone,
        "days": hours.days,
        "channels": hours.channels,
        "but_for": hours.but_for,
    }
