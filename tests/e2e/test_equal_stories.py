"""One story, told over lines, HTTP, MQTT and WebSocket: it ends in the same ledger and the same alerts, also where the
server is killed between any two of its steps.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from serving import DEADLINE_S, Account, ServerProcess, wait_until

from hardpoint.testing import HttpDevice, LineDevice, MqttDevice, ReceivedCommand, Refused, WebSocketClient

MQTT = ("--listen", "mqtt://127.0.0.1:0")
LOCAL = "127.0.0.1"
RULE = {
    "name": "Too hot",
    "when": {"key": "temp", "is": "above", "value": 30, "until": 28},
    "command": {"method": "vent", "params": None},
}
LEDGER = [("go", "done", 1, ["queued", "sent", "done"]), ("vent", "done", 2, ["queued", "sent", "done"])]


class WebSocketDevice:
    """Of a socket that speaks lines, what the simulators of the other dialects can do."""

    def __init__(self, socket: WebSocketClient) -> None:
        self._socket = socket

    async def next_command(self) -> ReceivedCommand:
        number, method, _ = str(await self._socket.receive()).split(" ", 2)
        return ReceivedCommand(int(number[1:]), method, None)

    async def send(self, **values: float) -> None:
        self._socket.send(" ".join(f"{key}={value}" for key, value in values.items()))
        assert await self._socket.receive() == f"OK {len(values)}"

    async def answer(self, command: ReceivedCommand, result: object) -> None:
        self._socket.send(f"!{command.id} OK {result}")


@contextlib.asynccontextmanager
async def over_websocket(ports: dict[str, int], device: Account) -> AsyncIterator[WebSocketDevice]:
    path = f"/api/v1/{device.token}/ws"
    async with WebSocketClient(LOCAL, ports["http"], path, timeout_s=DEADLINE_S) as socket:
        yield WebSocketDevice(socket)


Attach = Callable[[dict[str, int], Account], contextlib.AbstractAsyncContextManager[Any]]
DIALECTS: dict[str, Attach] = {
    "line": lambda ports, device: LineDevice(LOCAL, ports["line"], device.token, timeout_s=DEADLINE_S),
    "http": lambda ports, device: HttpDevice(LOCAL, ports["http"], device.token, timeout_s=DEADLINE_S),
    "mqtt": lambda ports, device: MqttDevice(LOCAL, ports["mqtt"], device.token, id=device.name, timeout_s=DEADLINE_S),
    "websocket": over_websocket,
}
CONFIRMING = frozenset({"http", "mqtt"})
"""What is acknowledged by the transport: it is not sent again."""


@contextlib.asynccontextmanager
async def attached(attach: Attach, server: ServerProcess, device: Account) -> AsyncIterator[Any]:
    """The device for as long as its connection lives: who kills the server ends it too."""
    ended = False
    try:
        async with attach(server.ports, device) as connection:
            yield connection
            ended = True
    except (OSError, Refused):
        if not ended:
            raise


def ledger(server: ServerProcess, device: Account) -> list[tuple[Any, ...]]:
    """Oldest first; without ``delivered``, which only a transport that acknowledges can say."""
    items = server.api.get(f"/api/devices/{device.name}/commands")["items"]
    steps = [[step["state"] for step in each["steps"] if step["state"] != "delivered"] for each in items]
    return [(each["method"], each["state"], each["result"], taken) for each, taken in zip(items, steps, strict=True)][
        ::-1
    ]


def alerts(server: ServerProcess, device: Account) -> list[tuple[str, str]]:
    items = server.api.get("/api/alerts", device=device.name)["items"]
    return [(each["name"], each["state"]) for each in items]


async def tell(server: ServerProcess, device: Account, dialect: str, between: Callable[[], bool]) -> None:
    """The story; ``between`` its steps, where it may end the server and say so by True."""
    attach = DIALECTS[dialect]
    path = f"/api/devices/{device.name}/commands"
    number = server.api.post(path, {"method": "go", "ttl_s": 600})["id"]
    between()
    async with attached(attach, server, device) as connection:
        command = await connection.next_command()
        assert (command.id, command.method) == (number, "go")
        await connection.send(hum=1)  # a later commit, and a later message: what the step was is on disk
        between()
    state = server.api.get(f"/api/commands/{number}")["state"]
    assert state == ("delivered" if dialect in CONFIRMING else "sent")
    async with attached(attach, server, device) as connection:
        if dialect not in CONFIRMING:
            assert (await connection.next_command()).id == number, "again, with the same number"
        await connection.answer(command, 1)
        await connection.send(hum=2)
        between()
    async with attached(attach, server, device) as connection:
        await connection.send(temp=31)
        killed = between()
        if not killed:  # the command may come over this very connection
            await vent(connection)
    if killed:
        async with attached(attach, server, device) as connection:
            await vent(connection)
            between()
    async with attached(attach, server, device) as connection:
        await connection.send(temp=20)
        between()


async def vent(connection: Any) -> None:
    """Take the rule's command and answer it."""
    command = await connection.next_command()
    assert command.method == "vent"
    await connection.answer(command, 2)
    await connection.send(hum=3)


def check_the_end(server: ServerProcess, device: Account) -> None:
    wait_until(lambda: alerts(server, device) == [("Too hot", "resolved")], "the alert and its end, once")
    assert ledger(server, device) == LEDGER


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One server with every dialect for the stories without a kill."""
    server = ServerProcess(tmp_path_factory.mktemp("shared") / "data", *MQTT).start()
    server.api.post("/api/rules", RULE)
    try:
        yield server
    finally:
        server.end()
    assert server.unexpected_log() == []


@pytest.mark.parametrize("dialect", DIALECTS)
def test_ends_the_same(stories: ServerProcess, dialect: str) -> None:
    device = Account(f"by-{dialect}", stories.api.add_device(f"by-{dialect}"))
    asyncio.run(tell(stories, device, dialect, lambda: False))
    check_the_end(stories, device)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_ends_the_same_though_the_server_is_killed_between_any_two_steps(serve: Any, dialect: str) -> None:
    server: ServerProcess = serve(*MQTT)
    server.keep_ports()
    server.api.post("/api/rules", RULE)
    device = Account("dev", server.api.add_device("dev"))
    kills = 0

    def kill_and_start() -> bool:
        nonlocal kills
        server.kill()
        server.start()
        kills += 1
        return True

    asyncio.run(tell(server, device, dialect, kill_and_start))
    check_the_end(server, device)
    assert kills == 6
