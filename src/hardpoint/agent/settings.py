"""What an agent is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_PORT = 9000


@dataclass(slots=True, frozen=True)
class AgentSettings:
    """One agent: one token, one server, one folder. ``data`` holds the spool and is made when missing."""

    host: str
    port: int
    token: str = field(repr=False)
    data: Path
    interval_s: float = 10.0
    """Between two rounds of readings; the command ``set-interval`` changes it until the agent ends."""
    loop: str = "hardpoint"
    """``hardpoint``, ``asyncio`` or ``uvloop``."""
    max_spool_bytes: int = 64 * 1024 * 1024
    """Lines kept while the server is away. At 300 bytes a round of 10 s, some three weeks."""
    connect_timeout_s: float = 15.0
    """For the connection with its name look-up, and again for the answer to HELLO."""
    ping_s: float = 30.0
    """When the server was silent for so long it is pinged; silent for as long again, it is given up."""
    tls: bool = False
    """Whether the server's listener is ``lines://``."""
    ca: Path | None = None
    """Who signs its certificate, as PEM; None: whom the system trusts."""
