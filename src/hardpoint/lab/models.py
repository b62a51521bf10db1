"""The five models, in the order in which the story tells them."""

from __future__ import annotations

import socket
from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from .service import Service

Serve = Callable[[socket.socket, Service], None]
"""Serve a listening socket for ever, on this thread."""


class Model(NamedTuple):
    """One way to wait for many connections at once."""

    name: str
    """As in ``--models``."""
    title: str
    work: str
    """What one wake-up costs, in words; n is every connection, k those that have something."""
    serve: str
    """Where its server is: ``module:function`` of this package."""

    def load(self) -> Serve:
        """Its server, imported now."""
        module, _, function = self.serve.partition(":")
        found: Serve = getattr(import_module(f".{module}", __package__), function)
        return found


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model("threads", "blocking, a thread a connection", "O(k), and a stack a connection", "threads:serve"),
        Model("busy", "non-blocking, busy polling", "O(n) for ever, also when nothing comes", "busy:serve"),
        Model("select", "select", "O(n) a wake-up, up to 1,024 descriptors", "loops:serve_select"),
        Model("poll", "poll", "O(n) a wake-up", "loops:serve_poll"),
        Model("epoll", "epoll", "O(k) a wake-up", "loops:serve_epoll"),
    )
}
