"""The message broker: sessions, subscriptions, retained messages and wills, as MQTT has them.

In reading order: `messages` (what is published, and how one is on its way to one client), `session` (what is kept of a
client), `routes` (who gets a topic), `retained`, `keeper` (what of all this is on disk), `broker` (the verbs). Bytes of
the protocol are the dialect's: here are messages and `Client` objects.
"""

from __future__ import annotations

from .access import Access, DeviceAccess, OpenAccess, ProvisionAccess, RoleAccess, WaitingAccess
from .broker import Broker
from .messages import Message, Will
from .session import Client, ClientSession, Request

__all__ = [
    "Access",
    "Broker",
    "Client",
    "ClientSession",
    "DeviceAccess",
    "Message",
    "OpenAccess",
    "ProvisionAccess",
    "Request",
    "RoleAccess",
    "WaitingAccess",
    "Will",
]
