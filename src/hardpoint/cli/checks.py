"""The checks as a command makes them: of the machine that it runs on, and of the server that it finds on the folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import checks
from ..errors import HardpointError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..checks import Check
    from ..config import Config


def run_checks(config: Config) -> Iterator[Check]:
    """Every check in its order."""
    return checks.run_checks(config, health_of(config))


def health_of(config: Config) -> dict[str, Any] | HardpointError:
    """What the folder's running server says, or why it says nothing."""
    from .client import Address, Client

    try:
        return Client(Address(path=str(config.socket_path))).health()
    except HardpointError as error:
        return error
