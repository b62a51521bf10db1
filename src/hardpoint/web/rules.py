"""The app API's routes of rules: what is waited for, how it stands, and what it would have raised."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from ..errors import BadInput, Forbidden, NotFound
from ..http import Response
from ..hub.fields import described_key, fields_of
from ..hub.rules.alerts import muted_until
from ..hub.rules.conditions import parse_condition
from ..hub.rules.dry_run import dry_run
from ..model import Rule
from . import shapes
from .deeds import changed_of, tell, to_its_end

if TYPE_CHECKING:
    from ..http import Request, Router
    from ..hub.hub import Hub
    from ..model import Json

DRY_RUN_MS = 24 * 3_600_000
"""Up to now, when nobody says from when on."""

_NOT_IN_ID = re.compile(r"[^a-z0-9]+")


class RuleRoutes:
    """``/api/rules`` and ``/api/devices/{id}/rules``."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._rules = hub.alerting.rules

    def register(self, router: Router) -> None:
        """Declare the routes."""
        route, one = router.route, "/api/rules/{id}"
        route("GET", "/api/rules", self.list, role="viewer", scope="each", summary="All rules", out=shapes.RuleList)
        route(
            "POST",
            "/api/rules",
            self.create,
            role="operator",
            scope="each",
            summary="Make a rule; a free expression takes an admin",
            body=shapes.NewRule,
            out=shapes.Rule,
            status=201,
        )
        route(
            "POST",
            "/api/rules/dry-run",
            self.dry_run,
            role="operator",
            deed=None,
            scope="each",
            summary="What a rule would have raised on what is stored, of the last day or from_ms to to_ms",
            body=shapes.TriedRule,
            out=shapes.DryRun,
        )
        route(
            "GET",
            one,
            self.show,
            role="viewer",
            scope="each",
            summary="One rule, and how it stands on each device",
            out=shapes.RuleWithStandings,
        )
        route(
            "PATCH",
            one,
            self.change,
            role="operator",
            scope="each",
            summary="Change a rule; another condition begins anew",
            body=shapes.ChangedRule,
            out=shapes.Rule,
        )
        route(
            "DELETE",
            one,
            self.remove,
            role="operator",
            scope="each",
            summary="Remove a rule; its alerts end",
            status=204,
        )
        self._register_more(router, one)

    def _register_more(self, router: Router, one: str) -> None:
        route = router.route
        route(
            "POST",
            f"{one}/mute",
            self.mute,
            role="operator",
            scope="each",
            summary="Tell nobody of its alerts for a time; 0 ends that",
            body=shapes.Mute,
            out=shapes.Rule,
        )
        route(
            "GET",
            "/api/devices/{id}/rules",
            self.of_device,
            role="viewer",
            summary="The rules that concern a device, and why each did or did not fire",
            out=shapes.StandingList,
        )

    def list(self, request: Request) -> Response:
        """``GET /api/rules``."""
        firing = self._firing()
        mine = [rule for rule in self._rules.all() if request.user.owns_rule(self._hub.catalogue, rule)]
        return Response.json({"items": [self._describe(rule, firing) for rule in mine]})

    async def create(self, request: Request) -> Response:
        """``POST /api/rules``."""
        rule = self._rule(request.json(shapes.NewRule))
        self._check_owned(request, rule)
        self._check_expression(request, rule)
        self._check_channels(rule)
        tell(request, {"name": rule.name})
        await to_its_end(self._rules.add(rule))
        return Response.json(self._describe(rule), status=201, headers=[("Location", f"/api/rules/{rule.id}")])

    async def dry_run(self, request: Request) -> Response:
        """``POST /api/rules/dry-run``."""
        given = request.json(shapes.TriedRule)
        rule = self._rule(given)
        self._check_owned(request, rule)
        self._check_expression(request, rule)
        to_ms = given.to_ms if given.to_ms is not None else self._hub.clock_ms()
        from_ms = given.from_ms if given.from_ms is not None else to_ms - DRY_RUN_MS
        run = await dry_run(self._hub, rule, from_ms, to_ms)
        find, key = self._hub.catalogue.by_id.get, run.rule.key
        fields = {one: fields_of(device) for one in {each.device_id for each in run.firings} if (device := find(one))}
        firings = [
            {
                **described_key(key, fields.get(firing.device_id, {})),
                "device": firing.device_id,
                "since": firing.since_ms,
                "fired": firing.fired_ms,
                "resolved": firing.resolved_ms,
                "value": firing.value,
            }
            for firing in run.firings
        ]
        return Response.json(
            {"sentence": str(run.rule.condition), "firings": firings, "fired": run.fired, "readings": run.readings}
        )

    def show(self, request: Request) -> Response:
        """``GET /api/rules/{id}``."""
        rule = self._found(request)
        return Response.json(self._describe(rule) | {"standings": self._rules.standings(rule.id)})

    async def change(self, request: Request) -> Response:
        """``PATCH /api/rules/{id}``."""
        given = request.json(shapes.ChangedRule)
        changes = {name: value for name in given.__struct_fields__ if (value := getattr(given, name)) is not UNSET}
        if given.command is not UNSET:
            changes["command"] = msgspec.to_builtins(given.command)
        if given.enabled is not UNSET:
            changes["enabled"] = int(given.enabled)
        before = self._found(request)
        rule = replace(before, **changes)
        self._check_owned(request, rule)
        self._check_expression(request, rule)
        self._check_channels(rule)
        # Not the command: its parameters may hold a network's key.
        told = {name: value for name, value in changes.items() if name != "command"}
        tell(request, {"name": before.name} | changed_of(before, told))
        rule = await to_its_end(self._rules.change(rule.id, changes))
        return Response.json(self._describe(rule))

    async def remove(self, request: Request) -> Response:
        """``DELETE /api/rules/{id}``."""
        rule = self._found(request)
        tell(request, {"name": rule.name})
        await to_its_end(self._rules.remove(rule.id))
        return Response(204)

    async def mute(self, request: Request) -> Response:
        """``POST /api/rules/{id}/mute``."""
        until_ms = muted_until(self._hub.clock_ms(), request.json(shapes.Mute).for_s)
        rule = self._found(request)
        tell(request, {"name": rule.name, "muted_until": until_ms})
        rule = await to_its_end(self._rules.change(rule.id, {"muted_until_ms": until_ms}))
        return Response.json(self._describe(rule))

    def of_device(self, request: Request) -> Response:
        """``GET /api/devices/{id}/rules``."""
        device = self._hub.catalogue.find(request.params["id"])
        return Response.json({"items": self._rules.of_device(device)})

    def _rule(self, given: shapes.NewRule) -> Rule:
        return Rule(
            given.id if given.id is not None else _new_id(given.name, {rule.id for rule in self._rules.all()}),
            given.name,
            given.scope,
            given.when,
            self._hub.clock_ms(),
            given.for_s,
            given.severity,
            given.channels,
            msgspec.to_builtins(given.command),
            given.repeat_s,
            int(given.enabled),
        )

    def _found(self, request: Request) -> Rule:
        """The rule that is asked about.

        Raises:
            NotFound: there is none, or none for them.
        """
        rule = self._rules.get(request.params["id"])
        if not request.user.owns_rule(self._hub.catalogue, rule):
            raise NotFound(f"there is no rule {rule.id!r}")
        return rule

    def _check_owned(self, request: Request, rule: Rule) -> None:
        if not request.user.owns_rule(self._hub.catalogue, rule):
            labels = ", ".join(request.user.labels)
            raise Forbidden(f"a rule of yours is about, and commands, devices with {labels} alone", field="scope")

    def _check_expression(self, request: Request, rule: Rule) -> None:
        """A form cannot go wrong; what somebody wrote freely is an administrator's to answer for."""
        if rule.when.get("is") == "expression" and request.user.role != "admin":
            raise Forbidden("a rule with a free expression is an admin's to save")

    def _check_channels(self, rule: Rule) -> None:
        for channel_id in rule.channels:
            if channel_id not in self._hub.alerting.outbox.channels:
                raise BadInput(f"there is no channel {channel_id[:64]!r}", field="channels")

    def _firing(self) -> Counter[str]:
        return Counter(alert.rule_id for alert in self._hub.alerting.alerts.firing)

    def _describe(self, rule: Rule, firing: Counter[str] | None = None) -> dict[str, Json]:
        if firing is None:
            firing = self._firing()
        return {
            "id": rule.id,
            "name": rule.name,
            "scope": rule.scope,
            "when": rule.when,
            "sentence": str(parse_condition(rule.when)),
            "for_s": rule.for_s,
            "severity": rule.severity,
            "channels": rule.channels,
            "command": rule.command,
            "repeat_s": rule.repeat_s,
            "enabled": bool(rule.enabled),
            "muted_until": rule.muted_until_ms if rule.muted_until_ms > self._hub.clock_ms() else None,
            "created": rule.created_ms,
            "firing": firing[rule.id],
        }


def _new_id(name: str, taken: set[str]) -> str:
    """Made of the name's letters and digits; a name of others gets one that says nothing."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    stem = _NOT_IN_ID.sub("-", ascii_name).strip("-")[:48] or f"rule-{secrets.token_hex(3)}"
    rule_id, number = stem, 2
    while rule_id in taken:
        rule_id, number = f"{stem}-{number}", number + 1
    return rule_id
