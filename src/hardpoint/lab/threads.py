"""Blocking: a thread a connection, which sleeps in ``recv`` until the kernel's buffer is not empty."""

from __future__ import annotations

import socket
import time
from _thread import start_new_thread

from .limits import thread_limit
from .service import MAX_READ_BYTES, Service

REST_S = 0.1
"""Pause after an accept that failed: descriptors have run out, and the kernel reports the same at once again."""


def serve(listener: socket.socket, service: Service) -> None:
    """Accept for ever. A connection that gets no thread is closed."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError as error:
            service.refuse(str(error))
            time.sleep(REST_S)
            continue
        try:
            # The bare call: threading.Thread would add an object, an event and a lock to each.
            start_new_thread(converse, (connection, service))
        except RuntimeError as error:
            connection.close()
            service.refuse(f"{error}: {thread_limit()}")
        else:
            service.served += 1


def converse(connection: socket.socket, service: Service) -> None:
    """Everything about one connection, from top to bottom: what makes this model so easy to read."""
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while data := connection.recv(MAX_READ_BYTES):  # sleeps until there is something
                connection.sendall(service.answer(data))  # sleeps while the peer's buffer is full
        except ConnectionError:
            pass  # the peer has gone
