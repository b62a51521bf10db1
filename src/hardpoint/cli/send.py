"""``hardpoint send``: a command to a device, and its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..errors import BadInput, HardpointError, TimedOut
from .command import Command, json_option
from .connection import with_client
from .moment import FiniteRange
from .output import document, printable, say, shown

if TYPE_CHECKING:
    from .client import Client


class CommandFailed(HardpointError):
    """The device answered with an error, or the command was cancelled."""

    code = "command_failed"


@click.command(
    "send",
    cls=Command,
    examples="""
    hardpoint send greenhouse ping
    hardpoint send greenhouse blink times=3 colour=red
    hardpoint send greenhouse set-interval --params '{"s": 30}' --no-wait
    """,
)
@click.argument("device")
@click.argument("method")
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--params", metavar="JSON", help="The parameters as one JSON value, instead of KEY=VALUE.")
@click.option("--wait", "wait_s", type=FiniteRange(0.1, 300), default=10.0, help="Seconds to wait for the answer.")
@click.option("--no-wait", is_flag=True, help="Do not wait: print the command's number.")
@click.option("--ttl", "ttl_s", type=FiniteRange(1), default=60.0, help="Seconds after which it expires unsent.")
@json_option
@with_client
def command(
    client: Client,
    device: str,
    method: str,
    pairs: tuple[str, ...],
    params: str | None,
    wait_s: float,
    no_wait: bool,
    ttl_s: float,
    as_json: bool,
) -> None:
    """Send METHOD to a device and print its answer.

    A value that reads as JSON is JSON (3, true, "3"), any other is a string. A device that is away gets the command
    when it attaches, within --ttl. Exits 1 when the device answers with an error, 75 when it does not answer.
    """
    body: dict[str, Any] = {"method": method, "params": parse_params(pairs, params), "ttl_s": ttl_s}
    if no_wait:
        queued = client.call("POST", "/api/devices", device, "commands", body=body)
        print(document("command", queued) if as_json else queued["id"])
        return
    from .client import ANSWER_TIMEOUT_S, Refused

    body["wait_s"] = wait_s
    try:
        ended = client.raw("POST", "/api/devices", device, "commands", body=body, timeout_s=wait_s + ANSWER_TIMEOUT_S)
    except Refused as refused:
        if "command" not in refused.body:
            raise client.error_of(refused) from None
        raise _unanswered(refused.body["command"], device, wait_s) from None
    if as_json:
        print(document("command", ended))
    if ended["state"] != "done":
        raise CommandFailed(f"{printable(device)}: {ended['state']}: {_reason(ended)}")
    if not as_json:
        print(shown(ended["result"]))
        say(f"done: command {ended['id']}")


def parse_params(pairs: tuple[str, ...], params: str | None) -> Any:
    """The parameters to send: an object of the pairs, or the JSON of ``--params``, or None for neither.

    Raises:
        click.UsageError: both were given, or a pair has no ``=``.
        BadInput: ``--params`` is not JSON.
    """
    if params is not None:
        if pairs:
            raise click.UsageError("give KEY=VALUE or --params, not both")
        try:
            return _decoded(params)
        except ValueError as error:
            raise BadInput(f"--params is not JSON: {error}") from error
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f"{pair!r}: write KEY=VALUE")
        found[key] = _json_or_text(value)
    return found or None


def _json_or_text(value: str) -> Any:
    try:
        return _decoded(value)
    except ValueError:
        return value


def _decoded(text: str) -> Any:
    import msgspec

    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _reason(ended: dict[str, Any]) -> str:
    reasons = [step["reason"] for step in ended["steps"] if step["reason"]]
    return printable(reasons[-1]) if reasons else "no reason was given"


def _unanswered(ended: dict[str, Any], device: str, wait_s: float) -> TimedOut:
    away = ended["state"] == "queued"
    state = "it is not attached, the command waits for it" if away else f"the command is {ended['state']}"
    hint = f"hardpoint device show {device} tells when it was last seen" if away else "give it longer: --wait"
    return TimedOut(f"{printable(device)} did not answer within {wait_s:g} s: {state}", hint=hint)
