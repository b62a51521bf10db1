"""Whatever arrives on the two ports: a clear answer where one is due, no growth, and no other device notices."""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from serving import DEADLINE_S, Account, Serve, ServerProcess, wait_until
from talking import LineDevice, flood

SEED = 20261123
MIB = 1024 * 1024
MOST_GROWTH_BYTES = 6 * MIB
"""One connection's kernel-sized reads, its backlog up to the high-water mark, and what the allocator keeps."""
POST = b"POST /api/login HTTP/1.1\r\nHost: x\r\n"


class Neighbour:
    """A device that does its work all the while, a reading at a time."""

    def __init__(self, server: ServerProcess) -> None:
        self.slowest_cpu_s = 0.0
        """What the server did while it let this one wait longest; on a busy machine the clock tells of others' work."""
        self.answered = 0
        self._server = server
        self._failure: BaseException | None = None
        self._stopping = threading.Event()
        self._working = threading.Event()
        self._token = server.api.add_device(f"neighbour-{time.monotonic_ns()}")
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> None:
        self._thread.start()
        assert self._working.wait(DEADLINE_S)

    def __exit__(self, *exc: object) -> None:
        before = self.answered
        if exc[0] is None:
            wait_until(lambda: self.answered > before or self._failure, "the neighbour is answered")
        self._stopping.set()
        self._thread.join(DEADLINE_S)
        if exc[0] is None:
            assert self._failure is None, self._failure
            assert self.slowest_cpu_s < 3

    def _work(self) -> None:
        try:
            with LineDevice(self._server.ports["line"], self._token) as device:
                while not self._stopping.is_set():
                    began_s = self._server.cpu_s()
                    assert device.ask(f"n={self.answered}") == "OK 1"
                    self.slowest_cpu_s = max(self.slowest_cpu_s, self._server.cpu_s() - began_s)
                    self.answered += 1
                    self._working.set()
        except BaseException as error:  # shown by the test's own thread
            self._failure = error


@pytest.fixture(autouse=True)
def neighbour(request: pytest.FixtureRequest) -> Iterator[None]:
    """In every test that uses the shared server there is a device that must not be harmed."""
    if "shared" not in request.fixturenames:
        yield
        return
    with Neighbour(request.getfixturevalue("shared")):
        yield


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)


def read_to_end(sock: socket.socket) -> bytes:
    """Everything until the server closes; a reset counts as the end."""
    received = bytearray()
    try:
        while chunk := sock.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass
    return bytes(received)


def connections(server: ServerProcess, scheme: str = "") -> int:
    """How many the server says it has, on all listeners or on those of a scheme."""
    listeners = server.api.get("/api/health")["listeners"]
    return sum(listener["connections"] for listener in listeners if listener["url"].startswith(scheme))


FOREIGN = {
    "random": random.Random(SEED).randbytes(20_000),
    "TLS": bytes.fromhex("16030100a5010000a10303") + random.Random(SEED + 1).randbytes(154),
    "MQTT": b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00",
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "zeros": bytes(100_000),
    "newlines": b"\n" * 100_000,
    "brackets": b"[" * 8000 + b"\n" + b'{"a":' * 1500 + b"\n",
    "controls": b"\x1b[2J\x07HELLO \x00\xff\xfe\n\xc0\xaf=1\n\xed\xa0\x80=1\n",
    "numbers": b"n=" + b"9" * 8000 + b"\nn=1e999\nn=NaN\nn=1 @" + b"9" * 30 + b"\n",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_bytes_on_the_line_port(shared: ServerProcess, device: Account, name: str) -> None:
    with connect(shared.ports["line"]) as sock:
        sock.sendall(f"HELLO {device.token}\n".encode())
        sock.sendall(FOREIGN[name])
        sock.shutdown(socket.SHUT_WR)
        greeting, hello, *answers = read_to_end(sock).decode().splitlines()
    if name == "TLS":
        shared.expected_log.append("tries TLS at a port for plain lines: lines:// is for that")
    assert greeting.startswith("hardpoint ")
    assert hello == f"OK {device.name}"
    assert all(answer.startswith("ERR ") for answer in answers if answer != "OK 1"), answers
    assert all(answer.isprintable() for answer in answers), "nothing comes back that could move a cursor"
    assert name in ("newlines", "TLS") or answers, "it is told what is wrong, in words unless it speaks TLS"


@pytest.mark.parametrize("name", sorted(FOREIGN.keys() - {"HTTP"}))
def test_foreign_bytes_on_the_http_port(shared: ServerProcess, name: str) -> None:
    with connect(shared.ports["http"]) as sock:
        sock.sendall(FOREIGN[name])
        sock.shutdown(socket.SHUT_WR)
        answer = read_to_end(sock)
    if name == "TLS":
        shared.expected_log.append("tries TLS at a port for plain HTTP: https:// is for that")
        assert answer == bytes.fromhex("15 0303 0002 02 46"), "RFC 8446 §6: fatal, protocol_version"
    else:
        assert answer.startswith(b"HTTP/1.1 4") or not FOREIGN[name].strip(b"\r\n"), answer


@pytest.mark.parametrize("port", ["line", "http"])
def test_random_bytes_in_random_pieces(shared: ServerProcess, port: str) -> None:
    chosen = random.Random(SEED)
    alphabet = b'HELO GETPOS/1.\r\n\r\n{}":=#!@ \x00\xff0123'
    for _ in range(60):
        with connect(shared.ports[port]) as sock:
            try:
                for _ in range(chosen.randrange(1, 6)):
                    sock.send(bytes(chosen.choices(alphabet, k=chosen.randrange(1, 2000))))
            except OSError:  # refused in the middle, which is its right
                continue
            if chosen.random() < 0.5:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not an end


def test_an_endless_line_is_refused_once_and_costs_nothing(shared: ServerProcess, device: Account) -> None:
    before = shared.memory_bytes()
    with LineDevice(shared.ports["line"], device.token) as line:
        for _ in range(64):
            line.sock.sendall(b"x" * MIB)
        assert line.read().startswith("ERR too-long ")
        line.send("")
        assert line.ask("PING") == "PONG", "and the connection goes on"
    assert shared.memory_bytes() - before < MOST_GROWTH_BYTES


@pytest.mark.parametrize(
    ("begin", "more", "status"),
    [
        (b"GET /", b"x" * 65536, 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: ", b"x" * 65536, 431),
        (POST + b"Content-Length: 1000000000\r\n\r\n", b"x" * 65536, 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n", 413),
    ],
    ids=["target", "header", "length", "chunks"],
)  # fmt: skip
def test_an_endless_request_is_refused(shared: ServerProcess, begin: bytes, more: bytes, status: int) -> None:
    before = shared.memory_bytes()
    with connect(shared.ports["http"]) as sock:
        sock.sendall(begin)
        try:
            for _ in range(1000):
                sock.sendall(more)
        except OSError:  # it does not listen for ever to what it has refused
            pass
        answer = read_to_end(sock)
    # TCP may drop the answer when the client goes on sending behind it; what counts is that it was let go.
    assert not answer or answer.startswith(f"HTTP/1.1 {status} ".encode()), answer
    assert shared.memory_bytes() - before < MOST_GROWTH_BYTES


def test_half_requests_that_vanish_leave_nothing(shared: ServerProcess) -> None:
    before = connections(shared)
    socks = []
    for number in range(100):
        sock = connect(shared.ports["http" if number % 2 else "line"])
        sock.sendall(
            b"POST /api/v1/x/telemetry HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{" if number % 2 else b"HEL"
        )
        if number % 3 == 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socks.append(sock)
    wait_until(lambda: connections(shared) >= before + 90)
    for sock in socks:
        sock.close()
    wait_until(lambda: connections(shared) <= before + 2)


def test_half_requests_that_stay_are_timed_out(serve: Serve) -> None:
    limits = ("head_timeout_s", "body_timeout_s", "keep_alive_s")
    server = serve(*(word for name in limits for word in ("--set", f"limits.{name}=1")))
    with Neighbour(server):
        for text, answer in [
            (b"GET / HT", b"HTTP/1.1 408 "),
            (POST + b"Content-Length: 50\r\n\r\n{", b"HTTP/1.1 408 "),
            (b"", b""),
        ]:
            with connect(server.ports["http"]) as sock:
                sock.sendall(text)
                assert read_to_end(sock).startswith(answer)


QUESTIONS = {
    "HELP": ("line", b"HELP\n", b"PING  TIME  HELP"),
    "GET": ("line", b"GET note\n", b"note="),
    "GET behind a reading": ("line", b"n=1\nGET note\n", b"note="),
    "errors": ("line", b"?\n", b"ERR unknown-verb "),
    "HTTP": ("http", b"GET /api/v1/TOKEN/attributes HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 OK"),
}
"""Port, question, and what begins its answer. Answers are up to a thousand times as long as their questions."""


@pytest.fixture
def asking(shared: ServerProcess, device: Account) -> Iterator[Callable[[str], tuple[socket.socket, bytes, bytes]]]:
    """``asking(name)``: a connection that can ask one of `QUESTIONS`."""
    with LineDevice(shared.ports["line"], device.token) as line:
        for prefix in ("", "ATTR "):
            assert line.ask(f'{prefix}note="{"x" * 4000}"') == "OK 1"
    with socket.socket() as sock:
        sock.settimeout(DEADLINE_S)

        def connected(name: str) -> tuple[socket.socket, bytes, bytes]:
            port, question, mark = QUESTIONS[name]
            sock.connect(("127.0.0.1", shared.ports[port]))
            if port == "line":
                sock.sendall(f"HELLO {device.token}\n".encode())
            return sock, question.replace(b"TOKEN", device.token.encode()), mark

        yield connected


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_client_that_never_reads_is_paused(
    shared: ServerProcess, asking: Callable[[str], tuple[socket.socket, bytes, bytes]], name: str
) -> None:
    before = shared.memory_bytes()
    sock, question, _ = asking(name)
    taken = flood(sock, question * 500)
    assert taken < 16 * MIB, "its questions are not taken any more"
    assert shared.memory_bytes() - before < MOST_GROWTH_BYTES


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_client_that_was_paused_gets_every_answer(
    asking: Callable[[str], tuple[socket.socket, bytes, bytes]], name: str
) -> None:
    sock, question, mark = asking(name)
    asked = 1 + 100_000 // len(question)  # two reads' worth
    sender = threading.Thread(target=lambda: (sock.sendall(question * asked), sock.shutdown(socket.SHUT_WR)))
    sender.start()
    answers = read_to_end(sock)
    sender.join(DEADLINE_S)
    assert answers.count(mark) == asked


def test_a_device_that_never_reads_its_acknowledgements_is_paused(shared: ServerProcess, device: Account) -> None:
    before = shared.memory_bytes()
    with LineDevice(shared.ports["line"], device.token, buffer_bytes=4096) as deaf:
        flood(deaf.sock, b"n=1 @1732320000000\n" * 2000, most_bytes=2 * MIB)
    assert shared.memory_bytes() - before < 2 * MOST_GROWTH_BYTES


def test_the_third_wrong_token_closes(shared: ServerProcess, device: Account) -> None:
    with LineDevice(shared.ports["line"]) as line:
        line.read()
        assert line.ask("HELLO wrong").startswith("ERR unauthorized ")
        assert line.ask("temp=1").startswith("ERR unauthorized ")
        assert line.ask("HELLO hp_also_wrong").startswith("ERR unauthorized ")
        line.send("HELLO still", f"HELLO {device.token}")
        answers = line.read_to_end()
    assert [answer.partition(" this")[0] for answer in answers] == ["ERR unauthorized"], "and no fourth is heard"


def test_wrong_tokens_of_one_board_do_not_lock_out_another_at_the_same_address(serve: Serve) -> None:
    """Behind one router sit the board with the old token, which tries for ever, and all the others."""
    server = serve()
    for _ in range(30):
        with LineDevice(server.ports["line"]) as wrong:
            wrong.read()
            wrong.send("HELLO wrong", "HELLO wrong", "HELLO wrong")
            assert wrong.read_to_end()[0].startswith("ERR ")
    with LineDevice(server.ports["line"], server.first_token) as device:
        assert device.ask("temp=1") == "OK 1"
    connection = http.client.HTTPConnection("127.0.0.1", server.ports["http"], timeout=DEADLINE_S)
    for token, status in [("wrong", 429), (server.first_token, 200)]:
        connection.request("POST", f"/api/v1/{token}/telemetry", b'{"temp":2}')
        with connection.getresponse() as answer:
            answer.read()
            assert answer.status == status
    connection.close()


def test_more_connections_than_allowed_are_told(serve: Serve) -> None:
    server = serve("--set", "limits.max_connections=5")
    devices = [LineDevice(server.ports["line"], server.first_token) for _ in range(5)]
    with LineDevice(server.ports["line"]) as refused:
        (answer,) = refused.read_to_end()
        assert answer.startswith("ERR rate-limited limits.max_connections (5)")
    assert devices[0].ask("temp=1") == "OK 1"
    devices.pop().close()
    wait_until(lambda: connections(server, "line") < 5)
    with LineDevice(server.ports["line"], server.first_token) as device:
        assert device.ask("temp=1") == "OK 1"
    for device in devices:
        device.close()
