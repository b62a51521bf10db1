"""Our persistence in mosquitto's scripts, in the place of their plug-in's module.

They look into the tables of mosquitto's plug-in between two runs of a broker: of that nothing is asked here, and what
the second run knows of the first is what their clients see.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

dir_in, dir_out = 0, 1


def __getattr__(name: str) -> Callable[..., int]:
    """Every look into the tables finds what it looks for."""
    return lambda *_given, **_named: 0


def write_config(filename: str, port: int, additional_config_entries: dict[str, object] | None = None) -> None:
    """The configuration that theirs writes, with our persistence for the plug-in's."""
    lines = [f"listener {port}", "allow_anonymous true", "persistence true"]
    lines += [f"{name} {value}" for name, value in (additional_config_entries or {}).items()]
    Path(filename).write_text("\n".join(lines) + "\n")


def init(port: int, create_db_of_version: list[int] | None = None) -> None:
    """Nothing is there before the first run."""
    assert create_db_of_version is None, "our store has no version of theirs"


@contextlib.contextmanager
def get_connection(port: int, connection: object = None, readonly: bool = True) -> Iterator[None]:
    """No tables."""
    yield None


def cleanup(port: int) -> int:
    """It goes with the folder that the launcher was given."""
    return 0
