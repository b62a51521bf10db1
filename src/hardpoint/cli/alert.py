"""``hardpoint alert``: what rules have raised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..errors import Conflict
from .command import Group, json_option
from .connection import with_client
from .moment import Span
from .output import ago, document, iso, now_ms, printable, say, span, table, valued

if TYPE_CHECKING:
    from .client import Client

command = Group(
    "alert",
    help="List, acknowledge and mute what rules have raised.",
    examples="""
    hardpoint alert ls --firing
    hardpoint alert ack 12 13 14
    """,
)


@command.command(
    "ls",
    examples="""
    hardpoint alert ls
    hardpoint alert ls --firing --device greenhouse
    """,
)
@click.option("--firing/--resolved", "firing", default=None, help="Only those that fire, or that ended.")
@click.option("--device", metavar="DEVICE", help="Only those of this device.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, help="At most so many, the newest.")
@json_option
@with_client
def ls(client: Client, firing: bool | None, device: str | None, limit: int, as_json: bool) -> None:
    """List alerts, the newest first."""
    state = None if firing is None else "firing" if firing else "resolved"
    page = client.get("/api/alerts", query={"state": state, "device": device, "limit": limit})
    if as_json:
        print(document("alerts", {"items": page["items"], "next_cursor": page["next_cursor"]}))
        return
    at = now_ms()
    table(
        ("alert", "state", "severity", "device", "what", "fired"),
        [
            (str(each["id"]), _state(each), each["severity"], each["device"], _what(each), ago(each["fired"], at))
            for each in page["items"]
        ],
    )
    if page["next_cursor"] is not None:
        say("there are more: --limit")


def _state(alert: dict[str, Any]) -> str:
    if alert["state"] == "firing" and alert["acknowledged"] is not None:
        return "acknowledged"
    return str(alert["state"])


def _what(alert: dict[str, Any]) -> str:
    value = "" if alert["value"] is None else f" ({valued(alert, 24)})"
    return f"{alert['name']}: {alert['told']}{value}"


@command.command("show", examples="hardpoint alert show 12")
@click.argument("alert", type=int)
@json_option
@with_client
def show(client: Client, alert: int, as_json: bool) -> None:
    """Show one alert, from its beginning to its end."""
    found = client.get("/api/alerts", str(alert))
    if as_json:
        print(document("alert", found))
        return
    for name, value in _facts(found):
        print(f"{name:<14}{printable(value)}")


def _facts(alert: dict[str, Any]) -> list[tuple[str, str]]:
    facts = [
        ("alert", str(alert["id"])),
        ("state", _state(alert)),
        ("what", _what(alert)),
        ("rule", alert["rule"]),
        ("device", alert["device"]),
        ("severity", alert["severity"]),
        ("since", iso(alert["since"])),
        ("fired", iso(alert["fired"])),
    ]
    if alert["acknowledged"] is not None:
        facts.append(("acknowledged", f"{iso(alert['acknowledged'])} by {alert['acknowledged_by']}"))
    if alert["silent"] is not None:
        by = "" if alert["silent"]["by"] == "alert" else f", as its {alert['silent']['by']} is"
        facts.append(("muted until", f"{iso(alert['silent']['until'])}{by}"))
    if alert["resolved"] is not None:
        lasted = span(max(0, alert["resolved"] - alert["fired"]) / 1000)
        facts.append(("resolved", f"{iso(alert['resolved'])}, after {lasted}"))
        if alert["reason"]:
            facts.append(("because", alert["reason"]))
    return facts


@command.command(
    "ack",
    examples="""
    hardpoint alert ack 12
    hardpoint alert ack 12 13 14
    """,
)
@click.argument("alerts", type=int, nargs=-1, required=True, metavar="ALERT…")
@json_option
@with_client
def ack(client: Client, alerts: tuple[int, ...], as_json: bool) -> None:
    """Say that you see to alerts: they are not told again until they end.

    Of several, those that cannot be acknowledged are named, and the others are: it then ends with 1.
    """
    if len(alerts) == 1:
        changed = client.call("POST", "/api/alerts", str(alerts[0]), "acknowledge")
        if as_json:
            print(document("alert", changed))
        else:
            say(f"alert {alerts[0]} is acknowledged by {printable(changed['acknowledged_by'])}")
        return
    answer = client.call("POST", "/api/alerts/acknowledge", body={"alerts": list(alerts)})
    if as_json:
        print(document("alerts", answer))
    else:
        say(f"{len(answer['items'])} alerts are acknowledged")
    if answer["refused"]:
        raise Conflict("; ".join(printable(each["message"]) for each in answer["refused"]))


@command.command("mute", examples="hardpoint alert mute 12 --for 2h")
@click.argument("alert", type=int)
@click.option("--for", "for_s", type=Span(), default="1h", help="How long; 0s ends it.")
@json_option
@with_client
def mute(client: Client, alert: int, for_s: float, as_json: bool) -> None:
    """Do not tell an alert again for a time. Its end is told all the same."""
    changed = client.call("POST", "/api/alerts", str(alert), "mute", body={"for_s": for_s})
    if as_json:
        print(document("alert", changed))
    elif changed["muted_until"] is None:
        say(f"alert {alert} is told again")
    else:
        say(f"alert {alert} is not told until {iso(changed['muted_until'])}")
