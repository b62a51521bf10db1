"""``hardpoint replay``: frames that `hardpoint tap` has written are sent again, to see again what became of them."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from ..errors import BadInput, HardpointError
from .command import Command
from .connection import read_secret, with_client
from .moment import FiniteRange
from .output import printable, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .client import Client
    from .resending import Resender

DIALECTS = {"line": "line", "websocket": "line", "http": "http", "mqtt": "mqtt"}
"""How a frame came → the listener it is sent to. A device's WebSocket speaks lines."""


@click.command(
    "replay",
    cls=Command,
    examples="""
    hardpoint tap greenhouse --json > frames.ndjson
    hardpoint replay frames.ndjson --new greenhouse-again
    hardpoint replay frames.ndjson --device-token-file token --refused
    """,
)
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.option("--new", "new_name", metavar="NAME", help="Make a device of that name, and send as it.")
@click.option(
    "--device-token-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Send as the device whose token is in FILE.",
)
@click.option("--refused", is_flag=True, help="Only what was refused.")
@click.option("--speed", type=FiniteRange(0), default=0.0, help="1: with the pauses it had; 0: without.")
@with_client
def command(
    client: Client, file: TextIO, new_name: str | None, device_token_file: Path | None, refused: bool, speed: float
) -> None:
    """Send the frames of FILE that came from a device again, over the dialect that they came on.

    Prints each frame with the server's answer. What cannot be sent again is left out and said: frames that were cut,
    polls, and packets that are no message. Exits 1 when one was refused.
    """
    if (new_name is None) == (device_token_file is None):
        raise click.UsageError("say who sends: --new NAME or --device-token-file FILE")
    frames = [frame for frame in read_frames(file) if not refused or frame["verdict"] == "refused"]
    device_id, token = "", read_secret(device_token_file) or ""
    if new_name is not None:
        made = client.call("POST", "/api/devices", body={"name": new_name})
        device_id, token = made["id"], made["token"]
    with ExitStack() as stack:
        _send_all(client, frames, device_id, token, speed, stack)


def read_frames(file: TextIO) -> Iterator[dict[str, Any]]:
    """The frames from a device in a file of one JSON object a line.

    Raises:
        BadInput: a line is no frame.
    """
    import msgspec

    number = 0
    while text := _next_line(file, number + 1):
        number += 1
        if not text.strip():
            continue
        try:
            frame = msgspec.json.decode(text)
            known = frame["dialect"] in DIALECTS and isinstance(frame["body"] + frame["head"], str)
            taken = frame["way"] == "in" and isinstance(frame["at"], int) and isinstance(frame["verdict"], str)
            if isinstance(frame["cut"], bool) and frame["binary"]:
                bytes.fromhex("" if frame["cut"] else frame["body"])  # what was cut is not sent
        except (msgspec.MsgspecError, RecursionError, TypeError, KeyError, ValueError):
            known = taken = False
            frame = {}
        if not known and (not isinstance(frame, dict) or frame.get("way") != "out"):
            raise BadInput(f"line {number} of {file.name} is no frame", hint="hardpoint tap DEVICE --json writes them")
        if taken:
            yield frame


def _next_line(file: TextIO, number: int) -> str:
    try:
        return file.readline()
    except UnicodeDecodeError:
        raise BadInput(f"line {number} of {file.name} is no frame: it is not UTF-8") from None


def _send_all(
    client: Client, frames: list[dict[str, Any]], device_id: str, token: str, speed: float, stack: ExitStack
) -> None:
    from .resending import open_resender

    resenders: dict[str, Resender] = {}
    health = client.health()
    refused = left_out = 0
    last_ms = frames[0]["at"] if frames else 0
    for frame in frames:
        scheme = DIALECTS[frame["dialect"]]
        if scheme not in resenders:
            resenders[scheme] = stack.enter_context(open_resender(scheme, health, client.address, device_id, token))
        if speed:
            time.sleep(max(0.0, (frame["at"] - last_ms) / 1000 / speed))
        last_ms = frame["at"]
        shown = " ".join(printable(part) for part in (frame["head"], frame["body"]) if part)
        why = "it was cut" if frame["cut"] else resenders[scheme].cannot(frame)
        if why:
            left_out += 1
            say(f"left out, {why}: {shown}")
            continue
        print(f"→ {shown}")
        for taken, answer in resenders[scheme].send(frame):
            refused += not taken
            print(f"← {printable(answer)}")
    say(f"sent {len(frames) - left_out}, refused {refused}, left out {left_out}")
    if refused:
        raise ReplayRefused(f"{refused} of {len(frames) - left_out} frames were refused")


class ReplayRefused(HardpointError):
    """Something was refused again."""

    code = "replay_refused"
