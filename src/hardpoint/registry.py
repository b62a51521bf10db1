"""Name → class, for everything that can be added from outside. Only this file and ``app.py`` name concrete classes.

Each table is the built-in set, imported on first use; an installed package adds its own by an entry point in the
group ``hardpoint.<table>`` (``hardpoint.drivers``). Built-in names come first, so that finding one reads nothing:
asking every installed package for its entry points takes 30 ms, which starting the server does not wait for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import ConfigError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from importlib.metadata import EntryPoints

DRIVERS: dict[str, str] = {
    "thermal": "hardpoint.hardware.thermal:Thermal",
    "load": "hardpoint.hardware.load:Load",
    "memory": "hardpoint.hardware.memory:Memory",
    "disk": "hardpoint.hardware.disk:Disk",
    "network": "hardpoint.hardware.network:Network",
    "temperatures": "hardpoint.hardware.temperatures:Temperatures",
}
"""Hardware mounted on this host: name → ``module:Class``, in the order in which they are read."""

SENDERS: dict[str, str] = {
    "webhook": "hardpoint.notify.webhook:Webhook",
    "mail": "hardpoint.notify.mail:Mail",
    "ntfy": "hardpoint.notify.ntfy:Ntfy",
    "telegram": "hardpoint.notify.telegram:Telegram",
    "apprise": "hardpoint.notify.apprise:Apprise",
}
"""Kinds of channels that news of alerts take: name → ``module:Class``."""

STORES: dict[str, str] = {
    "memory": "hardpoint.stores.memory:MemoryStore",
    "sqlite": "hardpoint.stores.sqlite:SqliteStore",
}

LOOPS: dict[str, str] = {
    "hardpoint": "hardpoint.loop:Loop",
    "asyncio": "asyncio:SelectorEventLoop",
    "uvloop": "uvloop:new_event_loop",
}
"""Event loops: name → what makes one. Whoever runs a program finds its loop here; nobody else needs one by name."""

TABLES = {"drivers": DRIVERS, "senders": SENDERS, "stores": STORES, "loops": LOOPS}


def names(table: str) -> list[str]:
    """Every name in a table, the built-in ones first and in their order."""
    return list(dict.fromkeys([*TABLES[table], *(point.name for point in _entry_points(table))]))


def load(table: str, name: str) -> Any:
    """The class of that name.

    Raises:
        KeyError: no such name in the table.
        ImportError: it needs a package that is not installed.
    """
    built_in = TABLES[table].get(name)
    if built_in is not None:
        module, _, attribute = built_in.partition(":")
        return getattr(import_module(module), attribute)
    for point in _entry_points(table):
        if point.name == name:
            return point.load()
    raise KeyError(name)


class Makers(Mapping[str, Callable[[], Any]]):
    """A table as ``name → makes one``. Nothing is looked up or imported before it is asked for."""

    def __init__(self, table: str) -> None:
        self._table = table

    def __getitem__(self, name: str) -> Callable[[], Any]:
        """What makes one of that name.

        Raises:
            KeyError: there is none.
            ImportError: it needs a package that is not installed.
        """
        made: Callable[[], Any] = load(self._table, name)
        return made

    def __iter__(self) -> Iterator[str]:
        return iter(names(self._table))

    def __len__(self) -> int:
        return len(names(self._table))


def _entry_points(table: str) -> EntryPoints:
    from importlib.metadata import entry_points

    return entry_points(group=f"hardpoint.{table}")


def loop_factory(name: str) -> Callable[[], AbstractEventLoop]:
    """What makes an event loop of that name.

    Raises:
        ConfigError: it needs a package that is not installed.
    """
    try:
        factory: Callable[[], AbstractEventLoop] = load("loops", name)
    except ImportError:
        raise ConfigError(f"the loop {name} is not installed", hint="pip install 'hardpoint[fast]'") from None
    return factory
