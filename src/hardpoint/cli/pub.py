"""``hardpoint pub``: a message to a topic."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from .command import Command
from .connection import with_client
from .output import say

if TYPE_CHECKING:
    from .client import Client


@click.command(
    "pub",
    cls=Command,
    examples="""
    hardpoint pub lights/hall on
    hardpoint pub lights/hall on --retain --qos 1
    date | hardpoint pub clock -
    """,
)
@click.argument("topic")
@click.argument("payload", default="")
@click.option("--qos", type=click.IntRange(0, 2), default=1, help="Quality of service.", show_default=True)
@click.option("--retain", is_flag=True, help="Keep it for those who subscribe later; an empty PAYLOAD removes it.")
@with_client
def command(client: Client, topic: str, payload: str, qos: int, retain: bool) -> None:
    """Publish PAYLOAD to an MQTT topic; - is stdin.

    At QoS 1 and 2 it waits until the server has taken the message, durably where somebody's session is kept.
    """
    from ..wire.mqtt.reasons import NO_MATCHING_SUBSCRIBERS
    from .mqtt_client import open_mqtt

    data = sys.stdin.buffer.read() if payload == "-" else os.fsencode(payload)  # its bytes as they were typed
    with open_mqtt(client, "operator") as mqtt:
        # A retained message waits for whoever subscribes.
        if mqtt.publish(topic, data, qos=qos, retain=retain) == NO_MATCHING_SUBSCRIBERS and not retain:
            say("nobody has subscribed to it")
