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
            f"{iso(step['from'])} - {iso(step['to'])}",
            iso(step["due"]),
        )
        for step in found["steps"]
    ]
    table(("series", "what", "because of", "readings", "frees", "those of", "from"), rows)
    if found["more_steps"]:
        say(f"… and {found['more_steps']} steps more")
    for rule in found["rules"]:
        ages = [(name, rule[f"{name}_after_s"]) for name in ("thin", "drop") if rule[f"{name}_after_s"] is not None]
        said = ", ".join(f"{name} after {span(age_s)}" for name, age_s in ages) or "keep"
        say(f"{rule['device']}:{rule['key']}  {said}")
    limit = "no limit" if found["max_bytes"] is None else f"at most {size(found['max_bytes'])}"
    say(f"the store has {size(found['size_bytes'])}, {limit}; this frees about {size(found['freed_bytes'])}")
    if not found["rules"] and found["max_bytes"] is None:
        say("nothing is ever thinned or dropped: [retention] in hardpoint.toml says otherwise")
