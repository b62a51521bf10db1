"""Ports for what cannot be given port 0: other people's programs, and servers that come back where they were."""

from __future__ import annotations

import random
import socket

BELOW_EPHEMERAL = range(20_000, 32_000)
"""Linux gives connections, and who asks for port 0, those from 32768 on; other systems higher ones."""


def free_port() -> int:
    """Free now, and not to be had by accident: while its server is away no connection of a test that runs beside this
    one comes to sit on it, nor the client's own that tries to reach it.
    """
    for port in random.SystemRandom().sample(BELOW_EPHEMERAL, 100):
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("no free port")
