"""Devices on plain sockets: what a small board's firmware or a person with ``nc`` does, step by step."""

from __future__ import annotations

import http.client
import json
import select
import socket
from typing import Any, Self

from serving import DEADLINE_S, request_json


class LineDevice:
    """A line connection. With a token it has said HELLO when it is made."""

    def __init__(
        self, port: int, token: str | None = None, *, source: str = "127.0.0.1", buffer_bytes: int = 0
    ) -> None:
        self.sock = socket.socket()
        if buffer_bytes:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        self.sock.settimeout(DEADLINE_S)
        self.sock.bind((source, 0))
        self.sock.connect(("127.0.0.1", port))
        self._file = self.sock.makefile("rb")
        if token is not None:
            try:
                self._attach(token)
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _attach(self, token: str) -> None:
        greeting = self.read()
        assert greeting.startswith("hardpoint "), greeting
        answer = self.ask(f"HELLO {token}")
        assert answer.startswith("OK "), answer

    def send(self, *lines: str) -> None:
        self.sock.sendall("".join(f"{line}\n" for line in lines).encode())

    def read(self) -> str:
        """The next line without its end.

        Raises:
            EOFError: the server has closed, perhaps in the middle of a line.
        """
        line = self._file.readline().decode()
        if not line.endswith("\n"):
            raise EOFError(line)
        return line[:-1]

    def ask(self, line: str) -> str:
        self.send(line)
        return self.read()

    def read_to_end(self) -> list[str]:
        return self._file.read().decode().splitlines()

    def close(self) -> None:
        self._file.close()
        self.sock.close()


class HttpDevice:
    """A keep-alive connection of the device HTTP API."""

    def __init__(self, port: int, token: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        self._path = f"/api/v1/{token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        return request_json(self.connection, "POST", f"{self._path}/{path}", body)

    def get(self, path: str) -> tuple[int, Any]:
        return request_json(self.connection, "GET", f"{self._path}/{path}")

    def close(self) -> None:
        self.connection.close()


class LiveStream:
    """One ``GET /api/live``: events by name, as a page gets them."""

    def __init__(self, connection: http.client.HTTPConnection, query: str = "", last_id: str | None = None) -> None:
        self.last_id: str | None = last_id
        """Of the latest event that had one: what a page sends when it comes back."""
        self._connection = connection
        connection.request("GET", f"/api/live?{query}", headers={} if last_id is None else {"Last-Event-ID": last_id})
        self._response = connection.getresponse()
        assert self._response.status == 200
        assert (self._response.getheader("content-type") or "").startswith("text/event-stream")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._response.close()
        self._connection.close()

    def next(self, name: str) -> Any:
        """The data of the next event of that name; others are passed over.

        Raises:
            EOFError: the stream has ended.
        """
        while True:
            fields: dict[str, str] = {}
            while line := self._read_line():
                field, _, value = line.partition(":")
                fields[field] = value.removeprefix(" ")
            self.last_id = fields.get("id", self.last_id)
            if fields.get("event") == name:
                return json.loads(fields["data"])

    def _read_line(self) -> str:
        line = self._response.readline().decode()
        if not line.endswith("\n"):
            raise EOFError(line)
        return line[:-1]


def flood(sock: socket.socket, chunk: bytes, most_bytes: int = 64 * 1024 * 1024, patience_s: float = 0.5) -> int:
    """Send without reading, until the peer has taken nothing for ``patience_s`` or ``most_bytes`` are gone; how many
    bytes it took.
    """
    sock.setblocking(False)
    sent = 0
    try:
        while sent < most_bytes and select.select([], [sock], [], patience_s)[1]:
            sent += sock.send(chunk)
    finally:
        sock.settimeout(DEADLINE_S)
    return sent
