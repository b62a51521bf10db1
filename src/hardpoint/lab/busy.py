"""Non-blocking and busy: asks every connection whether it has something, from first to last, again and again."""

from __future__ import annotations

import socket

from .service import MAX_READ_BYTES, Service


def serve(listener: socket.socket, service: Service) -> None:
    """Ask the listener and then every connection, for ever. Never sleeps, so it has a core to itself."""
    listener.setblocking(False)
    connections: list[socket.socket] = []
    while True:
        accept(listener, connections, service)
        gone = [connection for connection in connections if not ask(connection, service)]
        for connection in gone:
            connection.close()
        if gone:
            connections = [connection for connection in connections if connection.fileno() >= 0]


def accept(listener: socket.socket, connections: list[socket.socket], service: Service) -> None:
    """Take in everybody who waits: one a pass would let a crowd wait for minutes."""
    while True:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            service.refuse(str(error))
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connections.append(connection)
        service.served += 1


def ask(connection: socket.socket, service: Service) -> bool:
    """Answer what has come. Whether the connection is still there.

    A peer that does not read what it asked for is cut: this model has no event that would tell when there is room.
    """
    try:
        data = connection.recv(MAX_READ_BYTES)
        if data:
            answer = service.answer(data)
            return connection.send(answer) == len(answer)
    except BlockingIOError:
        return True  # nothing has come: nearly always
    except OSError:
        pass  # the peer has gone
    return False
