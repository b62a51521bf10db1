"""The process that holds the idle connections: it opens them, says nothing, and never reads."""

from __future__ import annotations

import socket
import sys
from typing import Any

from .children import answer_questions, arguments
from .limits import raise_descriptor_limit

CONNECT_TIMEOUT_S = 10.0
CONNECTIONS_A_SOURCE = 10_000
"""A source address has about 28,000 ports for one server (ip_local_port_range); Linux has 127.0.0.0/8 to draw from."""
RESET_ON_CLOSE = b"\x01\0\0\0\0\0\0\0"
"""``struct linger`` on, 0 s: closing resets, or each run would leave its ports in TIME_WAIT for a minute."""


class Crowd:
    """Idle connections to one port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._held: list[socket.socket] = []

    def grow(self, question: dict[str, Any]) -> dict[str, Any]:
        """Open connections until there are ``hold`` of them."""
        try:
            while len(self._held) < question["hold"]:
                self._held.append(self._connect())
        except OSError as error:
            return {"held": len(self._held), "why": str(error)}
        return {"held": len(self._held), "why": None}

    def close(self) -> None:
        """Reset every connection."""
        while self._held:
            self._held.pop().close()

    def _connect(self) -> socket.socket:
        connection = open_connection(self._port, 2 + len(self._held) // CONNECTIONS_A_SOURCE)
        connection.setblocking(False)
        return connection


def open_connection(port: int, source: int) -> socket.socket:
    """A connection to this machine's port, from 127.0.0.``source`` where there is such an address.

    Raises:
        OSError: descriptors or ports have run out, or nobody accepts for `CONNECT_TIMEOUT_S`.
    """
    connection = socket.socket()
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        connection.settimeout(CONNECT_TIMEOUT_S)
        if sys.platform == "linux":
            connection.bind((f"127.0.0.{source}", 0))
        connection.connect(("127.0.0.1", port))
    except OSError:
        connection.close()
        raise
    return connection


if __name__ == "__main__":
    raise_descriptor_limit()
    answer_questions(Crowd(*arguments()).grow)
