"""Name → class, for everything that can be added from outside. Only this file and ``app.py`` name concrete classes.

Each table is the built-in set, imported on first use; an installed package adds its own by an entry point in the
group ``hardpoint.<table>`` (``hardpoint.drivers``), and may replace a built-in one by its name.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

DRIVERS: dict[str, str] = {
    "thermal": "hardpoint.hardware.thermal:Thermal",
    "load": "hardpoint.hardware.load:Load",
    "memory": "hardpoint.hardware.memory:Memory",
    "disk": "hardpoint.hardware.disk:Disk",
    "network": "hardpoint.hardware.network:Network",
    "temperatures": "hardpoint.hardware.temperatures:Temperatures",
}
"""Hardware mounted on this host: name → ``module:Class``, in the order in which they are read."""

STORES: dict[str, str] = {
    "memory": "hardpoint.stores.memory:MemoryStore",
    "sqlite": "hardpoint.stores.sqlite:SqliteStore",
}

TABLES = {"drivers": DRIVERS, "stores": STORES}


def names(table: str) -> list[str]:
    """Every name in a table, the built-in ones first and in their order."""
    found = dict.fromkeys(TABLES[table])
    found.update(dict.fromkeys(point.name for point in entry_points(group=f"hardpoint.{table}")))
    return list(found)


def load(table: str, name: str) -> Any:
    """The class of that name.

    Raises:
        KeyError: no such name in the table.
    """
    for point in entry_points(group=f"hardpoint.{table}", name=name):
        return point.load()
    module, _, attribute = TABLES[table][name].partition(":")
    return getattr(import_module(module), attribute)
