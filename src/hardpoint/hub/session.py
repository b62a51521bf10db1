"""A session: one attachment of one device (or none yet) over one dialect. A dialect's connection *is* one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..errors import StorageError
    from ..model import Command, Json
    from .devices import DeviceState
    from .tap import Tap


def host_of(peer: str) -> str:
    """The host of a `Session.peer`, an IPv6 one without its brackets: what wrong tries are counted by, and what people
    are shown. A peer without a port (``unix``, or ``""``) is its own.
    """
    return peer.rpartition(":")[0].strip("[]") or peer


class Session:
    """What the hub tells a dialect's connection. The dialect subclasses this and fills in the four verbs below.

    The hub calls them on the loop's thread, never from within a call that the session itself made into the hub,
    except `pause_reading` (from `Hub.ingest`).
    """

    __slots__ = ("attached_ms", "device", "paused_by_hub", "slot", "tap", "why")

    brief: ClassVar[bool] = False
    """It is one of many short ones, as a long poll is: in the history they are one."""
    dialect: ClassVar[str] = "?"
    """The name presence shows: ``line``, ``http``, ``mqtt``, …"""

    device: DeviceState | None
    attached_ms: int
    slot: int
    """Of the row that tells of it; see `Attachment`."""
    paused_by_hub: bool
    why: str
    """Why it ends, once that is known: set by whoever ends it."""
    tap: Tap | None
    """Set while the device is tapped: what goes in and out is to be noted there."""

    def __init__(self) -> None:
        self.device = None
        self.attached_ms = 0
        self.slot = 0
        self.paused_by_hub = False
        self.tap = None
        self.why = ""

    @property
    def peer(self) -> str:
        """Where it comes from, as ``host:port``, ``[ip6]:port`` or ``unix``, or ``""`` when it cannot be told."""
        return ""

    @property
    def encrypted(self) -> bool:
        """Whether nobody on the way can read along."""
        return False

    def acknowledge(self, receipts: Sequence[object], error: StorageError | None) -> None:
        """What was handed in with these receipts is durable, or, with an error, is not. Called once per commit and
        session with all receipts in the order they were handed in, so that one write answers them all.
        """
        raise NotImplementedError

    def deliver(self, command: Command) -> bool:
        """Send a command to the device. True when it was handed to the transport; the hub then notes ``sent``.
        False leaves it queued.
        """
        return False

    def adopted(self, device: DeviceState) -> None:
        """It waited without a device, which was adopted now and has been sent its token: attach, where what has begun
        without a device can go on with one. Elsewhere the device signs in anew.
        """

    def attributes_changed(self, changed: dict[str, Json], deleted: Sequence[str]) -> None:
        """Shared attributes have changed. A dialect without a way to say so leaves this as it is."""

    def pause_reading(self) -> None:
        """The store is behind: take no more bytes from the device until `resume_reading`."""

    def resume_reading(self) -> None:
        """The store has caught up."""

    def end(self, reason: str) -> None:
        """The hub ends this session (device removed, token changed, taken over): say why and close."""
