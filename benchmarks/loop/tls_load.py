"""The load of tls.py: volleys of 64-byte lines over TLS, on blocking sockets.

python tls_load.py PORT CONNECTIONS SECONDS CERTIFICATE; the same conversation on stdin and stdout as load.c.
"""

from __future__ import annotations

import socket
import ssl
import sys
import time

LINE = b"x" * 63 + b"\n"


def connect(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port), timeout=30)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain, server_hostname="localhost")


def volley(connections: list[ssl.SSLSocket]) -> None:
    for connection in connections:
        connection.send(LINE)
    for connection in connections:
        answer = connection.recv(len(LINE))  # a record at a time: the whole line, or the server has cut it
        if answer != LINE:
            raise SystemExit("a wrong answer")


def main() -> None:
    port, count, seconds, certificate = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    context = ssl.create_default_context(cafile=certificate)
    connections = [connect(port, context) for _ in range(count)]
    volley(connections)
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.monotonic()
    trips = 0
    while time.monotonic() < began + seconds:
        volley(connections)
        trips += count
    print(trips, f"{time.monotonic() - began:.6f}", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
