"""The composition root: start, stop, what it leaves behind, and what a program that embeds it sees."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hardpoint import Reading, Server
from hardpoint.config import configure
from hardpoint.errors import AddressTaken, BadInput, ConfigError, FolderTaken
from hardpoint.stores.memory import MemoryStore
from hardpoint.testing import HttpDevice, LineDevice
from hardpoint.tls.authority import make_authority, make_device_certificate
from hub.hubs import HeldStore, until

QUIET: dict[str, Any] = {
    "listen": ["line://127.0.0.1:0", "http://127.0.0.1:0"],
    "host": {"enabled": False},
}


async def told(event: asyncio.Event) -> None:
    async with asyncio.timeout(60):
        await event.wait()


def test_a_program_embeds_the_server_on_any_loop(run, tmp_path: Path) -> None:
    seen: list[Reading] = []
    blocking: list[Reading] = []

    async def scene() -> None:
        both = asyncio.Event()
        loop = asyncio.get_running_loop()
        server = Server(data=tmp_path, **QUIET)

        def note() -> None:
            if seen and blocking:
                both.set()

        @server.on(device="green*", key="temp")
        async def on_the_loop(reading: Reading) -> None:
            seen.append(reading)
            note()

        @server.on(key="t?mp")
        def on_a_thread(reading: Reading) -> None:
            blocking.append(reading)
            loop.call_soon_threadsafe(note)

        with pytest.raises(RuntimeError, match="not running"):
            server.hub  # noqa: B018
        async with server:
            assert set(server.ports) == {"line", "http"}
            _, token = await server.hub.create_device("greenhouse-1")
            async with LineDevice("127.0.0.1", server.ports["line"], token) as device:
                assert await device.send(temp=21.5, hum=60) == 2
            await told(both)
            with pytest.raises(RuntimeError, match="running already"):
                await server.start()
        assert server.ports == {}
        assert [(reading.device, reading.key, reading.value) for reading in seen] == [("greenhouse-1", "temp", 21.5)]
        assert [reading.value for reading in blocking] == [21.5]

    run(scene())


def test_it_starts_again_with_what_it_kept(run, tmp_path: Path) -> None:
    async def scene() -> None:
        server = Server(data=tmp_path, **QUIET)
        async with server:
            _, token = await server.hub.create_device("d")
            async with LineDevice("127.0.0.1", server.ports["line"], token) as attached:
                await attached.send(temp=1)
        async with server:
            assert server.hub.authenticate(token).latest()["temp"]["value"] == 1

    run(scene())


def test_a_store_of_ones_own_needs_no_folder_but_for_the_socket(anyrun, tmp_path: Path) -> None:
    async def scene() -> None:
        async with Server(data=tmp_path, store=MemoryStore(), **QUIET) as server:
            await server.hub.create_device("d")
        assert not list(tmp_path.glob("*.db"))

    anyrun(scene())


def test_the_socket_is_its_owners_alone_and_goes_with_the_server(anyrun, tmp_path: Path) -> None:
    async def scene() -> None:
        with socket.socket(socket.AF_UNIX) as left_behind:  # by a server that was killed
            left_behind.bind(str(tmp_path / "hardpoint.sock"))
        async with Server(data=tmp_path, **QUIET):
            mode = os.stat(tmp_path / "hardpoint.sock").st_mode
            assert stat.S_ISSOCK(mode)
            assert stat.S_IMODE(mode) == 0o600
        assert not (tmp_path / "hardpoint.sock").exists()

    anyrun(scene())


def test_a_taken_address_leaves_nothing_open(run, tmp_path: Path) -> None:
    async def scene() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            server = Server(data=tmp_path, listen=["line://127.0.0.1:0", url], host={"enabled": False})
            with pytest.raises(AddressTaken, match=f"cannot listen on {url}: Address already in use"):
                await server.start()
        async with server:  # the folder is free again, and now the port is too
            assert server.ports["http"] == int(url.rpartition(":")[2])

    run(scene())


def test_a_file_in_a_sockets_place_is_left_alone(run, tmp_path: Path) -> None:
    async def scene() -> None:
        path = tmp_path / "precious"
        path.write_text("mine")
        with pytest.raises(AddressTaken, match=f"cannot listen on unix:{path}"):
            await Server(data=tmp_path, listen=[f"unix:{path}"], host={"enabled": False}).start()
        assert path.read_text() == "mine"

    run(scene())


def test_a_host_that_cannot_be_mounted_is_said(anyrun, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        async with Server(data=tmp_path, **QUIET) as server:
            device, _ = await server.hub.create_device("d")
            await server.hub.change_device(device, {"name": "host"})
        async with Server(data=tmp_path, listen=QUIET["listen"]) as server:
            assert server._host_task is not None
            await server._host_task
        assert "sensors are not read: there is already a device 'host'" in caplog.text

    anyrun(scene())


def test_a_fault_of_a_driver_is_said(
    anyrun, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise OSError("no such bus")

    async def scene() -> None:
        monkeypatch.setattr("hardpoint.hardware.mount.mount_host", broken)
        async with Server(data=tmp_path, listen=QUIET["listen"]) as server:
            assert server._host_task is not None
            await asyncio.wait({server._host_task})
        assert "sensors are not read" in caplog.text
        assert "no such bus" in caplog.text

    anyrun(scene())


def test_sighup_before_it_is_ready_changes_nothing(tmp_path: Path) -> None:
    config = configure(data=tmp_path, **QUIET)
    server = Server(config, reload=lambda: dataclasses.replace(config, log_level="debug"))
    server._reload()
    assert server.config is config


def test_one_server_a_folder(anyrun, tmp_path: Path) -> None:
    async def scene() -> None:
        async with Server(data=tmp_path, **QUIET):
            with pytest.raises(FolderTaken, match=str(os.getpid())):
                await Server(data=tmp_path, **QUIET).start()

    anyrun(scene())


@pytest.mark.parametrize("given", [{"listne": []}, {"config": configure(), "data": "x"}])
def test_settings_that_cannot_be(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Server(**given)


def test_accepted_sockets_are_watched_by_the_kernel(run, tmp_path: Path) -> None:
    async def scene() -> None:
        async with Server(data=tmp_path, **QUIET) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.ports["line"])
            await reader.readline()
            (session,) = server._running.factories["line"].connections
            sock = session._transport.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
            writer.close()
            await writer.wait_closed()

    run(scene())


def test_sighup_takes_over_limits_and_names_what_needs_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole program in this process: `run`, its signals and its ports file, on our own loop."""
    ports_file = tmp_path / "ports.json"
    first = configure(data=tmp_path / "data", ports_file=ports_file, **QUIET)
    second = dataclasses.replace(
        first,
        allow_anonymous=True,
        limits=dataclasses.replace(first.limits, max_open_commands_per_device=1),
        retention=dataclasses.replace(first.retention, drop_after_s=3600.0),
    )
    answers: list[Any] = [second, ConfigError("hardpoint.toml:3: listne is no setting")]

    def reload() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    server = Server(first, reload=reload)

    async def drive() -> None:
        loop = asyncio.get_running_loop()
        while not ports_file.exists():
            await asyncio.sleep(0)
        device, _ = await server.hub.create_device("d")
        os.kill(os.getpid(), signal.SIGHUP)
        while server.hub.limits.max_open_commands_per_device != 1:
            await asyncio.sleep(0)
        assert server.hub.retention.policy.rules[0].drop_after_s == 3600.0
        await server.hub.ledger.queue(device, "one")
        with pytest.raises(Exception, match=r"max_open_commands_per_device \(1\)"):
            await server.hub.ledger.queue(device, "two")
        os.kill(os.getpid(), signal.SIGHUP)
        while answers:
            await asyncio.sleep(0)
        assert json.loads(ports_file.read_text())["ports"] == server.ports
        loop.call_soon(os.kill, os.getpid(), signal.SIGTERM)

    tasks = []
    start = server.start

    async def started() -> None:
        await start()
        tasks.append(asyncio.get_running_loop().create_task(drive()))

    server.start = started  # type: ignore[method-assign]
    level = logging.getLogger().level
    try:
        with caplog.at_level("WARNING", "hardpoint"):
            server.run()
    finally:
        logging.getLogger().setLevel(level)
    assert tasks[0].exception() is None
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        (
            "reloaded: limits.max_open_commands_per_device, retention.drop_after_s; "
            "a restart is needed for allow_anonymous"
        ),
        "not reloaded: hardpoint.toml:3: listne is no setting",
    ]
    assert "Try it     printf 'HELLO hp_" in capsys.readouterr().out


def test_a_device_has_every_answer_that_is_due_before_it_is_told_of_the_end(run, tmp_path: Path) -> None:
    async def scene() -> None:
        store = HeldStore()
        server = Server(data=tmp_path, store=store, **QUIET)
        async with server:
            device, token = await server.hub.create_device("d")
            reader, writer = await asyncio.open_connection("127.0.0.1", server.ports["line"])
            writer.write(f"HELLO {token}\n".encode())
            for _ in range(2):  # the greeting, and OK
                await reader.readline()
            store.held = True
            writer.write(b"#1 n=1 @1732320000000\n#2 n=2 @1732320000001\n")
            await until(lambda: store.waiting)
            (session,) = device.sessions
            stopping = asyncio.ensure_future(server.stop())
            await until(lambda: session._ending)  # type: ignore[attr-defined]
            store.held = False
            store.release()
            assert (await reader.read()).decode().splitlines() == ["#1 OK 1", "#2 OK 1", "BYE the server is stopping"]
            writer.close()
            await writer.wait_closed()
            await stopping
        assert [row[2] for rows, _ in store.batches for row in rows] == [1, 2]

    run(scene())


STUCK = """
import asyncio, signal, os, sys, threading
from hardpoint import Server

server = Server(data=sys.argv[1], loop=sys.argv[2], listen=["line://127.0.0.1:0"], host={"enabled": False})
entered = threading.Semaphore(0)

def stuck(reading=None):
    entered.release()
    threading.Event().wait()

@server.on()
def plain(reading):
    stuck()

@server.on()
async def on_the_loops_own_executor(reading):
    await asyncio.to_thread(stuck)

class Nobody:
    def acknowledge(self, receipts, error):
        pass

async def drive():
    device, _ = await server.hub.create_device("d")
    server.hub.ingest(Nobody(), device, [(1, "a", 1)], None)
    for _ in range(2):
        while not entered.acquire(blocking=False):
            await asyncio.sleep(0.001)
    os.kill(os.getpid(), signal.SIGTERM)

start = server.start
async def started():
    await start()
    server.driving = asyncio.ensure_future(drive())
server.start = started
server.run()
"""


@pytest.mark.parametrize("loop_name", ["hardpoint", "asyncio", "uvloop"])
def test_handlers_that_hang_do_not_hold_up_the_end(tmp_path: Path, loop_name: str) -> None:
    """SPEC §8: SIGTERM exits with 0 within 10 s; with 1 once `EXIT_S` is over."""
    ended = subprocess.run(
        [sys.executable, "-c", STUCK, str(tmp_path), loop_name], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "handler plain does not end: it is left behind" in ended.stderr
    assert "the end waits no longer; at work are still: " in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "is ready after" in ended.stdout, "what was printed is flushed"


def test_the_first_devices_token_is_kept_for_its_owner_until_it_is_worth_nothing(anyrun, tmp_path: Path) -> None:
    async def scene() -> None:
        server = Server(data=tmp_path, **QUIET)
        path = tmp_path / "first-device.token"
        async with server:
            token = await server._first_token()
            assert token == path.read_text().strip()
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            device = server.hub.authenticate(token)
        async with server:
            assert await server._first_token() == token
            await server.hub.new_device_token(server.hub.catalogue.find(device.id))
            assert await server._first_token() is None
        path.unlink()
        async with server:  # there are devices: nobody needs a line to try things with
            assert await server._first_token() is None
            with pytest.raises(BadInput):
                await server.hub.create_device("")

    anyrun(scene())


def test_one_door_for_everything_and_doors_with_tls(run, tmp_path: Path) -> None:
    """Each listener with TLS, a certificate made at the first start, and the same device through all of them."""

    async def ask(port: int, tls: ssl.SSLContext | None, said: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None
        )
        writer.write(said)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    async def scene() -> None:
        listen = ["lines://127.0.0.1:0", "https://127.0.0.1:0", "any://127.0.0.1:0"]
        async with Server(data=tmp_path, listen=listen, host={"enabled": False}) as server:
            _, token = await server.hub.create_device("d")
            trusting = ssl.create_default_context(cafile=tmp_path / "tls" / "ca.pem")
            lines = f"HELLO {token}\ntemp=21.5\nQUIT\n".encode()
            get = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            for port, tls in (("lines", trusting), ("any", trusting), ("any", None)):
                answer = await ask(server.ports[port], tls, lines)
                assert answer.splitlines()[1:] == [b"OK d", b"OK 1", b"BYE"]
            for port, tls in (("https", trusting), ("any", trusting), ("any", None)):
                head, _, body = (await ask(server.ports[port], tls, get)).partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 OK")
            health = json.loads(body)
            assert [each["url"].partition(":")[0] for each in health["listeners"]] == ["lines", "https", "any"]
            assert "localhost" in health["certificates"][0]["names"]
            plain = await ask(server.ports["https"], None, get)
            assert plain.startswith(b"HTTP/1.1 400 ")
            for port, tls in (("https", trusting), ("any", None)):
                link = json.dumps({"link": server._running.web.sign_ins.new_link()}).encode()
                login = b"POST /api/login HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                answer = await ask(server.ports[port], tls, login % (len(link), link))
                assert answer.startswith(b"HTTP/1.1 200 ")
                assert (b"; Secure\r\n" in answer) is (tls is not None), "a cookie that never crosses the wire readable"
            metrics = {name: values for name, _, _, values in server._metrics()}
            assert metrics["tls_handshakes_total"] == {"done": 5}

    run(scene())


def test_any_goes_on_without_tls_and_https_does_not(
    anyrun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with Server(data=tmp_path, listen=["any://127.0.0.1:0"], host={"enabled": False}) as server:
            assert server._health()["certificates"] == []
        with pytest.raises(ConfigError, match="cryptography"):
            await Server(data=tmp_path, listen=["https://127.0.0.1:0"], host={"enabled": False}).start()

    monkeypatch.setitem(sys.modules, "cryptography", None)
    anyrun(scene())
    assert "no TLS on any://: making a certificate needs the package cryptography" in caplog.text


def test_a_device_signs_in_by_its_certificate(run, tmp_path: Path) -> None:
    async def scene() -> None:
        folder = tmp_path / "tls"
        make_authority(folder)
        device_file = tmp_path / "device.pem"
        device_file.write_bytes(make_device_certificate(folder, "greenhouse"))
        settings: dict[str, Any] = QUIET | {"tls": {"client_ca": folder / "ca.pem"}}
        settings["listen"] = ["any://127.0.0.1:0"]
        async with Server(data=tmp_path, **settings) as server:
            device, _ = await server.hub.create_device("greenhouse")
            known = ssl.create_default_context(cafile=folder / "ca.pem")
            known.load_cert_chain(device_file)
            port = server.ports["any"]
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=known, server_hostname="localhost")
            writer.write(b"HELLO\ntemp=21.5\n")
            for expected in (b"hardpoint ", b"OK greenhouse", b"OK 1"):
                assert (await reader.readline()).startswith(expected)
            connected = server.hub.describe(device)["presence"]["connected"]
            assert (connected["dialect"], connected["encrypted"]) == ("line", True)
            writer.close()
            await writer.wait_closed()
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=known, server_hostname="localhost")
            post = b'POST /api/v1/%b/telemetry HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n{"temp":22}'
            for token, status in ((b"me", b"200"), (b"greenhouse", b"401")):
                writer.write(post % token)
                assert (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1] == status
            writer.close()
            await writer.wait_closed()
            assert device.latest()["temp"]["value"] == 22

    run(scene())


def test_applications_beside_our_own_routes(anyrun, tmp_path, monkeypatch):
    (tmp_path / "mounted_site.py").write_text(
        "told = []\n"
        "async def app(scope, receive, send):\n"
        "    told.append(scope['type'])\n"
        "    if scope['type'] == 'lifespan':\n"
        "        for kind in ('startup', 'shutdown'):\n"
        "            await receive()\n"
        "            await send({'type': f'lifespan.{kind}.complete'})\n"
        "        told.append('end')\n"
        "        return\n"
        "    await send({'type': 'http.response.start', 'status': 200})\n"
        "    await send({'type': 'http.response.body', 'body': scope['path'].encode()})\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    async def scene():
        settings = {"data": tmp_path / "data", "listen": ["http://127.0.0.1:0"], "host": {"enabled": False}}
        async with (
            Server(**settings, mount=["/app=mounted_site:app"]) as server,
            HttpDevice("127.0.0.1", server.ports["http"]) as client,
        ):
            assert (await client.request("GET", "/app/x")).body == b"/app/x"
            assert (await client.request("GET", "/api/health")).status == 200
        with pytest.raises(ConfigError):
            await Server(**settings, mount=["/app=mounted_site:none"]).start()

    anyrun(scene())
    import mounted_site

    assert mounted_site.told == ["lifespan", "http", "end"]
