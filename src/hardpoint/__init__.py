"""Hardpoint: the server that hardware attaches to.

``Server`` is the whole server, embeddable; ``hardpoint.loop`` the event loop alone; ``hardpoint.http`` the HTTP
server alone. Names are imported on first use, so ``hardpoint --help`` does not pay for the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .app import Server as Server
    from .model import Command as Command
    from .model import Device as Device
    from .model import Reading as Reading

__version__ = "0.1.0"
__all__ = ["Command", "Device", "Reading", "Server", "__version__"]


def __getattr__(name: str) -> object:
    if name == "Server":
        from .app import Server

        return Server
    if name in ("Command", "Device", "Reading"):
        from . import model

        return getattr(model, name)
    raise AttributeError(f"module 'hardpoint' has no attribute {name!r}")
