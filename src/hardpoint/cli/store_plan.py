"""``hardpoint store plan``: what retention will thin and drop, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .command import Command, json_option
from .connection import with_client
from .moment import Span
from .output import document, iso, say, size, span, table

if TYPE_CHECKING:
    from .client import Client

PLAN_TIMEOUT_S = 600.0
"""A plan by size looks at every piece of the store."""


@click.command(
    "plan",
    cls=Command,
    examples="""
    hardpoint store plan
    hardpoint store plan --within 30d
    """,
)
@click.option("--within", "within_s", type=Span(), default="1d", help="How far to look ahead: 12h, 30d, 1y.")
@json_option
@with_client
def plan(client: Client, within_s: float, as_json: bool) -> None:
    """Show what retention will thin and drop, and from when on. Changes nothing.

    What it goes by is [retention] in hardpoint.toml.
    """
    query = {"within_s": round(within_s)}
    found: dict[str, Any] = client.call("GET", "/api/store/plan", query=query, timeout_s=PLAN_TIMEOUT_S)
    if as_json:
        print(document("store-plan", found))
        return
    rows = [
        (
            f"{step['device']}:{step['key']}",
            step["action"],
            step["reason"],
            str(step["readings"]),
            size(step["bytes"]),
            f"{_minute(step['from'])} - {_minute(step['to'])}",
            _minute(step["due"]),
        )
        for step in found["steps"]
    ]
    if rows:
        table(("series", "what", "because of", "readings", "frees", "those of", "when"), rows)
    if found["more_steps"]:
        say(f"… and {found['more_steps']} steps more")
    for rule in found["rules"]:
        ages = [(name, rule[f"{name}_after_s"]) for name in ("thin", "drop") if rule[f"{name}_after_s"] is not None]
        said = ", ".join(f"{name} after {span(age_s)}" for name, age_s in ages) or "keep"
        say(f"{rule['device']}:{rule['key']}  {said}")
    limit = "no limit" if found["max_bytes"] is None else f"at most {size(found['max_bytes'])}"
    say(f"the store has {size(found['size_bytes'])}, {limit}; {_total(found, within_s)}")
    if found.get("days_to_max"):  # none from a server of an earlier version
        say(f"at the present rate it has as many in {span(found['days_to_max'] * 86_400)}")
    if not found["rules"] and found["max_bytes"] is None:
        say("nothing is ever thinned or dropped: [retention] in hardpoint.toml says otherwise")


def _minute(ts_ms: int) -> str:
    return f"{iso(ts_ms)[:16]}Z"


def _total(found: dict[str, Any], within_s: float) -> str:
    """What all steps come to, in words."""
    if not found["steps"]:
        return f"nothing is to be thinned or dropped within {span(within_s)}"
    sums = {how: sum(step["readings"] for step in found["steps"] if step["action"] == how) for how in ("thin", "drop")}
    done = [
        f"{count} readings are {how}" for count, how in ((sums["thin"], "thinned"), (sums["drop"], "dropped")) if count
    ]
    more = "and more of them, " if found["more_steps"] else ""
    return f"{' and '.join(done)}, {more}which frees about {size(found['freed_bytes'])}"
