"""``hardpoint rule``: what is watched for, and what happens then."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from ..errors import BadInput, NotFound
from .command import Group, json_option
from .connection import with_client
from .moment import Moment, Span
from .output import document, iso, now_ms, printable, say, shown, span, table, valued
from .send import parse_params
from .sentence import FORMS, parse_when

if TYPE_CHECKING:
    from collections.abc import Callable

    from .client import Client

SEVERITIES = ("info", "warning", "critical")

command = Group(
    "rule",
    help="Raise an alert, tell people or send a command when readings say so.",
    examples="""
    hardpoint rule add "Too hot" --when "temp above 30" --for 5min --until 28
    hardpoint rule test too-hot --since 7d
    hardpoint rule ls
    """,
)


def rule_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The parts of the sentence, all optional."""
    for option in reversed(
        [
            click.option("--when", metavar="CONDITION", help=f"What is waited for: {FORMS}."),
            click.option("--until", metavar="VALUE", help="What ends it, where that is another value than began it."),
            click.option("--for", "for_s", type=Span(), help="How long it must hold before it fires."),
            click.option("--on", "scope", metavar="SCOPE", help="all, a device, or label:NAME or label:NAME=VALUE."),
            click.option("--severity", type=click.Choice(SEVERITIES), help="How grave it is.  [default: warning]"),
            click.option("--tell", "channels", multiple=True, metavar="CHANNEL", help="May be repeated."),
            click.option("--repeat", "repeat_s", type=Span(), help="Tell again this often while it fires."),
            click.option("--send", metavar="COMMAND", help="Send METHOD KEY=VALUE... when it fires."),
            click.option("--send-to", metavar="DEVICE", help="To this device, instead of the one it is about."),
        ]
    ):
        function = option(function)
    return function


def parse_rule(client: Client, given: dict[str, Any]) -> dict[str, Any]:
    """The fields of the app API for the options that were given.

    Raises:
        click.UsageError: options that do not fit each other.
        NotFound: a device or a channel that there is not.
    """
    fields: dict[str, Any] = {
        name: given[name] for name in ("for_s", "severity", "repeat_s") if given[name] is not None
    }
    if given["when"] is not None:
        fields["when"] = parse_when(given["when"], given["until"])
    elif given["until"] is not None:
        raise click.UsageError("--until goes with --when")
    if given["scope"] is not None:
        fields["scope"] = _scope(client, given["scope"])
    if given["channels"]:
        fields["channels"] = [find_channel(client, each)["id"] for each in given["channels"]]
    if given["send"] is not None:
        fields["command"] = _command(client, given["send"], given["send_to"])
    elif given["send_to"] is not None:
        raise click.UsageError("--send-to goes with --send")
    return fields


def find_channel(client: Client, name: str) -> dict[str, Any]:
    """A channel by its id or its name.

    Raises:
        NotFound: there is none.
    """
    items: list[dict[str, Any]] = client.get("/api/channels")["items"]
    for field in ("id", "name"):
        for item in items:
            if item[field] == name:
                return item
    raise NotFound(f"there is no channel {name!r}", hint="hardpoint channel ls")


def _scope(client: Client, text: str) -> str:
    if text == "all" or text.startswith("label:"):
        return text
    device = client.get("/api/devices", text.removeprefix("device:"))
    return f"device:{device['id']}"


def _command(client: Client, text: str, device: str | None) -> dict[str, Any]:
    try:
        method, *words = shlex.split(text) or [""]
    except ValueError as error:
        raise click.UsageError(f"--send {text!r}: {error}") from error
    made: dict[str, Any] = {"method": method}
    if len(words) == 1 and "=" not in words[0]:  # `fan on`
        made["params"] = words[0]
    elif words:
        made["params"] = parse_params(tuple(words), None)
    if device is not None:
        made["device"] = client.get("/api/devices", device)["id"]
    return made


@command.command("ls", examples="hardpoint rule ls")
@json_option
@with_client
def ls(client: Client, as_json: bool) -> None:
    """List rules, and how many alerts of each are firing."""
    rules = client.get("/api/rules")["items"]
    if as_json:
        print(document("rules", {"items": rules}))
        return
    table(
        ("rule", "when", "on", "severity", "firing"),
        [(each["id"], _sentence(each), each["scope"], each["severity"], _state(each)) for each in rules],
    )
    if not rules:
        say('no rules yet: hardpoint rule add "Too hot" --when "temp above 30" makes one')


def _sentence(rule: dict[str, Any]) -> str:
    lasting = f" for {span(rule['for_s'])}" if rule["for_s"] else ""
    return f"{rule['sentence']}{lasting}"


def _state(rule: dict[str, Any]) -> str:
    if not rule["enabled"]:
        return "off"
    return str(rule["firing"]) + (" (muted)" if rule["muted_until"] is not None else "")


@command.command(
    "add",
    examples="""
    hardpoint rule add "Too hot" --when "temp above 30" --for 5min --until 28 --on label:room=greenhouse
    hardpoint rule add Gone --when "any missing" --for 10min --severity critical --tell phone --repeat 1h
    hardpoint rule add Dry --when "soil below 20" --send "pump seconds=30"
    """,
)
@click.argument("name")
@rule_options
@click.option("--id", "rule_id", metavar="ID", help="Its id.  [default: made of the name]")
@json_option
@with_client
def add(client: Client, name: str, rule_id: str | None, as_json: bool, **given: Any) -> None:
    """Make a rule. It looks at every reading from now on."""
    if given["when"] is None:
        raise click.UsageError('a rule needs --when, for example --when "temp above 30"')
    body = {"name": name, **parse_rule(client, given)}
    if rule_id is not None:
        body["id"] = rule_id
    made = client.call("POST", "/api/rules", body=body)
    if as_json:
        print(document("rule", made))
    else:
        print(made["id"])
        say(f"when {printable(_sentence(made))}; see what it would have raised: hardpoint rule test {made['id']}")


@command.command("show", examples="hardpoint rule show too-hot")
@click.argument("rule")
@json_option
@with_client
def show(client: Client, rule: str, as_json: bool) -> None:
    """Show one rule, and how it stands on each device that it has looked at."""
    found = client.get("/api/rules", rule)
    if as_json:
        print(document("rule", found))
        return
    for name, value in _facts(found):
        print(f"{name:<14}{printable(value)}")
    if found["standings"]:
        print()
        table(
            ("device", "state", "value", "why"),
            [
                (each["device"], each["state"].replace("_", " "), _value(each), each["why"] or "")
                for each in found["standings"]
            ],
        )


def _facts(rule: dict[str, Any]) -> list[tuple[str, str]]:
    command = rule["command"]
    told = [*rule["channels"], *([f"again every {span(rule['repeat_s'])}"] if rule["repeat_s"] else [])]
    facts = [
        ("name", rule["name"]),
        ("id", rule["id"]),
        ("when", _sentence(rule)),
        ("until", shown(rule["when"]["until"]) if rule["when"].get("until") is not None else ""),
        ("on", rule["scope"]),
        ("severity", rule["severity"]),
        ("tells", ", ".join(told)),
        ("sends", f"{command['method']} {shown(command.get('params'))}" if command else ""),
        ("firing", _state(rule)),
        ("muted until", iso(rule["muted_until"]) if rule["muted_until"] else ""),
        ("created", iso(rule["created"])),
    ]
    return [(name, value) for name, value in facts if value]


def _value(entry: dict[str, Any]) -> str:
    return "" if entry["value"] is None else valued(entry, 24)


@command.command(
    "change",
    examples="""
    hardpoint rule change too-hot --when "temp above 32" --until 30
    hardpoint rule change too-hot --off
    """,
)
@click.argument("rule")
@rule_options
@click.option("--name", help="Another name. The id stays.")
@click.option("--enable/--off", "enabled", default=None, help="Look at readings, or at none.")
@json_option
@with_client
def change(client: Client, rule: str, name: str | None, enabled: bool | None, as_json: bool, **given: Any) -> None:
    """Change a rule. With another condition, scope or time it begins anew, and its alerts end."""
    body = parse_rule(client, given)
    if name is not None:
        body["name"] = name
    if enabled is not None:
        body["enabled"] = enabled
    if not body:
        raise click.UsageError("say what to change, for example --when")
    changed = client.call("PATCH", "/api/rules", rule, body=body)
    if as_json:
        print(document("rule", changed))
    else:
        say(f"{changed['id']}: when {printable(_sentence(changed))}")


@command.command("rm", examples="hardpoint rule rm too-hot")
@click.argument("rule")
@with_client
def rm(client: Client, rule: str) -> None:
    """Remove a rule. Its alerts end, and who was told of them is told so."""
    client.call("DELETE", "/api/rules", rule)
    say(f"removed {printable(rule)}")


@command.command(
    "mute",
    examples="""
    hardpoint rule mute too-hot --for 2h
    hardpoint rule mute too-hot --for 0s
    """,
)
@click.argument("rule")
@click.option("--for", "for_s", type=Span(), default="1h", help="How long; 0s ends it.")
@json_option
@with_client
def mute(client: Client, rule: str, for_s: float, as_json: bool) -> None:
    """Tell nobody of a rule's alerts for a time. They are raised and listed all the same."""
    changed = client.call("POST", "/api/rules", rule, "mute", body={"for_s": for_s})
    if as_json:
        print(document("rule", changed))
    elif changed["muted_until"] is None:
        say(f"{printable(rule)} tells again")
    else:
        say(f"{printable(rule)} tells nobody until {iso(changed['muted_until'])}")


@command.command(
    "test",
    examples="""
    hardpoint rule test too-hot --since 7d
    hardpoint rule test --when "temp above 30" --for 5min --on greenhouse
    """,
)
@click.argument("rule", required=False)
@rule_options
@click.option("--since", type=Moment(), default="24h", help="From when on.")
@click.option("--to", type=Moment(), default="now", help="Until when.")
@json_option
@with_client
def test(client: Client, rule: str | None, since: int, to: int, as_json: bool, **given: Any) -> None:
    """Say what a rule, or one that is not made yet, would have raised on what is stored. It raises nothing.

    Options that are given take the place of the rule's own.
    """
    body = parse_rule(client, given)
    if rule is not None:
        held = client.get("/api/rules", rule)
        body = {name: held[name] for name in ("name", "when", "scope", "for_s", "severity")} | body
    elif "when" not in body:
        raise click.UsageError("name a rule, or say what it waits for with --when")
    body = {"name": "test", **body, "from_ms": since, "to_ms": to}
    if since >= to:
        raise BadInput("--since must be before --to")
    run = client.call("POST", "/api/rules/dry-run", body=body)
    if as_json:
        print(document("dry-run", run))
        return
    at = min(to, now_ms())
    table(
        ("device", "since", "fired", "lasted", "value"),
        [
            (each["device"], iso(each["since"]), iso(each["fired"]), _lasted(each, at), _value(each))
            for each in run["firings"]
        ],
    )
    left_out = run["fired"] - len(run["firings"])
    more = f" ({left_out} more are not shown)" if left_out else ""
    say(f"{printable(run['sentence'])}: {run['fired']} alerts in {run['readings']} readings{more}")


def _lasted(firing: dict[str, Any], at: int) -> str:
    if firing["resolved"] is None:
        return f"{span((at - firing['fired']) / 1000)}, still firing"
    return span(max(0, firing["resolved"] - firing["fired"]) / 1000)
