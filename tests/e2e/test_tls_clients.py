"""TLS and the one port for everything with clients that nobody here wrote: curl, openssl, ncat and another
netcat, mosquitto, and Python's ssl module, on each of the three loops.
"""

from __future__ import annotations

import itertools
import json
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from serving import DEADLINE_S, Account, ServerProcess, run_hardpoint, wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.conformance

EXPECTED = (
    r"certificates reloaded",
    r"reloaded: nothing has changed",
    r"does not trust the certificate it was shown: it needs .*/tls/ca\.pem",
    r"speaks lines without TLS at a port that wants TLS",
    r"tries TLS at a port for plain (lines|HTTP|MQTT): (lines|https|mqtts):// is for that",
    r"SIGHUP",
)


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


@pytest.fixture(scope="module", params=["hardpoint", "asyncio", "uvloop"])
def secure(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with every kind of listener, on each loop; its certificate is made at this first start."""
    folder = tmp_path_factory.mktemp("secure") / "data"
    listen = [f"--listen={scheme}://127.0.0.1:0" for scheme in ("lines", "https", "mqtts", "mqtt", "any")]
    client_ca = f"--set=tls.client_ca={folder / 'tls' / 'ca.pem'}"
    server = ServerProcess(folder, *listen, client_ca, f"--loop={request.param}")
    server.expected_log.extend(EXPECTED)
    assert run_hardpoint("tls", "init", "--data", str(folder)).returncode == 0
    try:
        yield server.start()
        assert server.stop() == 0
    finally:
        server.end()
    assert server.unexpected_log() == []


@pytest.fixture
def ca(secure: ServerProcess) -> str:
    return str(secure.folder / "tls" / "ca.pem")


@pytest.fixture
def device(secure: ServerProcess) -> Account:
    name = f"device-{next(_numbers)}"
    return Account(name, secure.api.add_device(name))


_numbers = itertools.count(1)


def shell(command: str) -> str:
    """What a person's command printed, once it has ended by itself."""
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    return done.stdout


def complaint(command: str) -> str:
    """The same with what it complained of."""
    return shell(f"({command}) 2>&1")


@pytest.mark.parametrize("scheme", ["https", "any"])
def test_curl(secure: ServerProcess, ca: str, scheme: str) -> None:
    needs("curl")
    url = f"https://localhost:{secure.ports[scheme]}/api/health"
    out = shell(f"curl -sS --cacert {ca} {url} {url} -w '%{{ssl_verify_result}} %{{num_connects}}\\n'")
    assert '"status":"ok"' in out
    assert [line.rpartition("}")[2] for line in out.splitlines()] == ["0 1", "0 0"], "one connection, verified"
    posted = shell(f"head -c 900000 /dev/zero | curl -sS --cacert {ca} --data-binary @- {url} -w '%{{http_code}}'")
    assert posted.endswith("405"), "a body of many records is read to its end"


def test_curl_plainly_on_the_port_for_everything(secure: ServerProcess) -> None:
    needs("curl")
    assert '"status":"ok"' in shell(f"curl -sS http://127.0.0.1:{secure.ports['any']}/api/health")


def test_curl_without_tls_is_told_where_to_go(secure: ServerProcess) -> None:
    needs("curl")
    where = f"127.0.0.1:{secure.ports['https']}/api/health"
    assert shell(f"curl -sS -w '%{{http_code}}' http://{where}") == f"This port speaks TLS: https://{where}\n400"


def test_curl_that_does_not_trust_us_is_in_the_log(secure: ServerProcess) -> None:
    """It hangs up before it has read everything, so that TCP resets the connection right behind its alert."""
    needs("curl")
    assert "SSL certificate problem" in complaint(f"curl -sS https://127.0.0.1:{secure.ports['https']}/")
    wait_until(lambda: "127.0.0.1 does not trust the certificate" in secure.log)


@pytest.mark.parametrize("scheme", ["line", "http", "mqtt"])
def test_curl_with_tls_at_a_plain_port_ends_at_once(secure: ServerProcess, scheme: str) -> None:
    needs("curl")
    out = complaint(f"curl -sS --max-time 5 https://127.0.0.1:{secure.ports[scheme]}/")
    assert "wrong version number" in out if scheme == "line" else "alert protocol version" in out
    name = {"line": "lines", "http": "HTTP", "mqtt": "MQTT"}[scheme]
    wait_until(lambda: f"tries TLS at a port for plain {name}" in secure.log)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("scheme", ["lines", "any"])
def test_openssl_speaks_lines(secure: ServerProcess, device: Account, ca: str, scheme: str, version: str) -> None:
    needs("openssl")
    out = shell(
        f"printf 'HELLO {device.token}\\ntemp=21.5\\nQUIT\\n' | openssl s_client -quiet {version} -verify_return_error "
        f"-CAfile {ca} -servername localhost -verify_hostname localhost -connect 127.0.0.1:{secure.ports[scheme]}"
    )
    assert out.splitlines()[-3:] == [f"OK {device.name}", "OK 1", "BYE"]


def test_openssl_cannot_go_below_the_floor_nor_renegotiate(secure: ServerProcess) -> None:
    needs("openssl")
    where = f"-connect 127.0.0.1:{secure.ports['lines']}"
    old = complaint(f"openssl s_client -tls1_1 -cipher ALL:@SECLEVEL=0 {where} </dev/null")
    assert "protocol version" in old or "no protocols available" in old
    assert "Cipher is (NONE)" in old
    quiet = f"127.0.0.1:{secure.ports['https']}"  # a greeting in between would be what s_client complains of
    command = ["openssl", "s_client", "-tls1_2", "-connect", quiet]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as again:
        assert again.stdin is not None
        assert again.stderr is not None
        again.stdin.write(b"R\n")  # to s_client itself: renegotiate
        again.stdin.flush()
        assert again.wait(DEADLINE_S) != 0
        assert b"no renegotiation" in again.stderr.read()
    weak = complaint(f"openssl s_client -tls1_2 -cipher AES128-SHA:@SECLEVEL=0 {where} </dev/null")
    assert "handshake failure" in weak, "without forward secrecy"


@pytest.mark.parametrize("scheme", ["lines", "any"])
def test_ncat_ends_its_half_and_still_gets_its_answers(
    secure: ServerProcess, device: Account, ca: str, scheme: str
) -> None:
    needs("ncat")
    for text, answers in (("temp=21.5\\n", ["OK 1"]), ("temp=2", [])):  # ncat sends no close_notify: was it temp=21?
        out = shell(
            f"printf 'HELLO {device.token}\\n{text}' | "
            f"ncat --ssl --ssl-verify --ssl-trustfile {ca} localhost {secure.ports[scheme]}"
        )
        assert out.splitlines()[1:] == [f"OK {device.name}", *answers]


def test_netcat_on_the_port_for_everything(secure: ServerProcess, device: Account) -> None:
    needs("nc.openbsd")
    port = secure.ports["any"]
    out = shell(f"printf 'HELLO {device.token}\\ntemp=21.5' | nc.openbsd -N 127.0.0.1 {port}")
    assert out.splitlines()[1:] == [f"OK {device.name}", "OK 1"]
    silent = shell(f"timeout 2 nc.openbsd -d 127.0.0.1 {port}")
    assert silent.startswith("hardpoint "), "greeted though it says nothing"
    told = complaint(f"printf 'HELLO x\\n' | nc.openbsd -N 127.0.0.1 {secure.ports['lines']}")
    assert told == "ERR bad-line this port speaks TLS\n"


@pytest.mark.parametrize("scheme", ["mqtts", "any", "mqtt"])
def test_mosquitto(secure: ServerProcess, device: Account, ca: str, scheme: str) -> None:
    needs("mosquitto_pub")
    tls = "" if scheme == "mqtt" else f"--cafile {ca}"
    out = complaint(
        f"mosquitto_pub -h localhost -p {secure.ports[scheme]} {tls} -u {device.token} -q 1 "
        f"-t v1/devices/me/telemetry -m '{{\"temp\":22}}'"
    )
    assert out == ""
    assert [value for _, value in secure.api.readings(device.name, "temp")] == [22]


def test_a_certificate_signs_a_device_in(secure: ServerProcess, device: Account, ca: str, tmp_path: Path) -> None:
    needs("openssl")
    pem = tmp_path / "device.pem"
    made = run_hardpoint("tls", "device", device.name, "--out", str(pem), "--data", str(secure.folder))
    assert made.returncode == 0
    out = shell(
        f"printf 'HELLO\\ntemp=21.5\\nQUIT\\n' | openssl s_client -quiet -CAfile {ca} -cert {pem} -key {pem} "
        f"-connect 127.0.0.1:{secure.ports['lines']}"
    )
    assert out.splitlines()[-3:] == [f"OK {device.name}", "OK 1", "BYE"]
    needs("curl")
    url = f"https://localhost:{secure.ports['https']}/api/v1/me/telemetry"
    assert shell(f"curl -sS --cacert {ca} --cert {pem} -d '{{\"hum\":60}}' {url} -w '%{{http_code}}'") == "200"
    assert shell(f"curl -sS --cacert {ca} -d '{{\"hum\":60}}' {url} -w '%{{http_code}}'") == "401"
    needs("mosquitto_pub")
    out = complaint(
        f"mosquitto_pub -h localhost -p {secure.ports['mqtts']} --cafile {ca} --cert {pem} --key {pem} -q 1 "
        f"-t v1/devices/me/telemetry -m '{{\"lux\":5}}'"
    )
    assert out == ""
    assert [value for _, value in secure.api.readings(device.name, "lux")] == [5]


def test_a_renewed_certificate_is_for_new_connections(secure: ServerProcess, ca: str) -> None:
    trusting = ssl.create_default_context(cafile=ca)

    def connect() -> ssl.SSLSocket:
        raw = socket.create_connection(("127.0.0.1", secure.ports["lines"]), DEADLINE_S)
        return trusting.wrap_socket(raw, server_hostname="localhost")

    with connect() as before:
        first = before.getpeercert(binary_form=True)
        renewed = run_hardpoint("tls", "renew", "--data", str(secure.folder))
        assert renewed.returncode == 0
        secure.signal(signal.SIGHUP)

        def newer() -> bytes | None:
            with connect() as after:
                found = after.getpeercert(binary_form=True)
            return found if found != first else None

        wait_until(newer, "the new certificate")
        before.sendall(b"PING\n")
        lines = before.makefile("rb")
        assert [lines.readline()[:10], lines.readline()] == [b"hardpoint ", b"PONG\n"]
        lines.close()


def test_hostile_openings_leave_it_well(secure: ServerProcess) -> None:
    """Half a handshake, rubbish behind a good beginning, nothing at all: each ends, none harms the next."""
    port = secure.ports["lines"]
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    sockets = [socket.create_connection(("127.0.0.1", port), DEADLINE_S) for _ in range(60)]
    try:
        for number, each in enumerate(sockets):
            each.sendall((b"", hello, hello + bytes(600))[number % 3])
        for number, each in enumerate(sockets):
            if number % 3 == 2:
                while each.recv(4096):  # an alert, and the end
                    pass
    finally:
        for each in sockets:
            each.close()
    health = json.loads(shell(f"curl -sS http://127.0.0.1:{secure.ports['http']}/api/health"))
    assert health["status"] == "ok"


def test_banner(secure: ServerProcess, ca: str) -> None:
    for scheme in ("lines", "https", "mqtts", "any"):
        assert f"{scheme}://127.0.0.1:{secure.ports[scheme]}" in secure.banner
    assert shlex.quote(ca) in secure.banner
