"""Commands and their life."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from .words import Ms

State = Literal["queued", "sent", "delivered", "done", "failed", "expired", "cancelled"]


class NewCommand(Struct, forbid_unknown_fields=True):
    """A command to be sent. With ``wait_s`` the answer is waited for."""

    method: str
    params: Any = None
    ttl_s: float = 60.0
    wait_s: Annotated[float, Meta(gt=0, le=300)] | None = None


class Step(Struct):
    """One step in a command's life."""

    state: State
    at: Ms
    reason: str | None


class Command(Struct):
    """A command and what became of it."""

    id: int
    device: str
    method: str
    params: Any
    state: State
    created: Ms
    expires: Ms
    result: Any
    steps: list[Step]


class QueuedCommand(Struct):
    """A command that was taken."""

    id: int
    state: State


class CommandList(Struct):
    """A page of commands, the newest first."""

    items: list[Command]
    next_cursor: str | None
