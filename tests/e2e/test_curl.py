"""What people type with curl, with the flags that change what it sends."""

from __future__ import annotations

import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from serving import DEADLINE_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving import Account, ServerProcess

    Curl = Callable[..., str]

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]


def run_curl(*arguments: str, text: str | None = None) -> str:
    done = subprocess.run(
        ["curl", "-sS", "--max-time", str(DEADLINE_S), *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    return done.stdout


@pytest.fixture
def curl(shared: ServerProcess, device: Account) -> Curl:
    """``curl(path, flags…)``: what it printed; the path is below the device's own."""

    def call(path: str, *flags: str, text: str | None = None) -> str:
        return run_curl(*flags, f"http://127.0.0.1:{shared.ports['http']}/api/v1/{device.token}/{path}", text=text)

    return call


STATUS = ("-w", "%{http_code}")


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("-0",),
        ("-H", "Transfer-Encoding: chunked"),
        ("-H", "Expect: 100-continue"),
        ("-H", "Content-Type: application/json"),
        ("-H", "Connection: close"),
    ],
    ids=["plain", "HTTP/1.0", "chunked", "100-continue", "as JSON", "close"],
)
def test_telemetry(shared: ServerProcess, device: Account, curl: Curl, flags: tuple[str, ...]) -> None:
    assert curl("telemetry", *STATUS, *flags, "-d", '{"temp":21.5}') == "200"
    assert [value for _, value in shared.api.readings(device.name, "temp")] == [21.5]


def test_a_large_body_that_waits_for_100_continue(shared: ServerProcess, device: Account, curl: Curl) -> None:
    points = [{"ts": 1_732_320_000_000 + number, "values": {"n": number}} for number in range(9_000)]
    body = json.dumps(points, separators=(",", ":"))
    assert len(body) > 300_000
    assert curl("telemetry", *STATUS, "-H", "Expect: 100-continue", "--data-binary", "@-", text=body) == "200"
    assert [value for _, value in shared.api.readings(device.name, "n")] == list(range(9_000))


def test_bad_json_is_told_where(curl: Curl) -> None:
    answer = curl("telemetry", "-w", "\n%{http_code}", "-d", '{"temp":21.5,}')
    document, status = answer.rsplit("\n", 1)
    assert status == "400"
    error = json.loads(document)["error"]
    assert error["code"] == "bad_request"
    assert "column 14" in error["message"]


def test_a_wrong_token_is_401_and_says_nothing(shared: ServerProcess) -> None:
    url = f"http://127.0.0.1:{shared.ports['http']}/api/v1/wrong/telemetry"
    assert run_curl(*STATUS, "-d", '{"temp":1}', url) == "401"


def test_attributes(curl: Curl) -> None:
    assert curl("attributes", *STATUS, "-d", '{"fw":"1.2","cores":4}') == "200"
    assert json.loads(curl("attributes?clientKeys=fw")) == {"client": {"fw": "1.2"}}
    assert json.loads(curl("attributes")) == {"client": {"fw": "1.2", "cores": 4}}


def test_a_command_by_long_poll(shared: ServerProcess, device: Account, curl: Curl) -> None:
    with ThreadPoolExecutor(2) as elsewhere:
        polling = elsewhere.submit(curl, "rpc?timeout=20000")
        wait_until(lambda: shared.api.get(f"/api/devices/{device.name}")["presence"]["connected"])
        body = {"method": "blink", "params": {"times": 3}, "wait_s": DEADLINE_S}
        waiting = elsewhere.submit(shared.api.post, f"/api/devices/{device.name}/commands", body)
        command = json.loads(polling.result(DEADLINE_S))
        assert (command["method"], command["params"]) == ("blink", {"times": 3})
        assert curl(f"rpc/{command['id']}", *STATUS, "-d", '"done"') == "200"
        assert waiting.result(DEADLINE_S)["result"] == "done"


def test_two_posts_share_a_connection(shared: ServerProcess, device: Account) -> None:
    url = f"http://127.0.0.1:{shared.ports['http']}/api/v1/{device.token}/telemetry"
    assert run_curl("-d", '{"temp":1}', "-w", "%{num_connects} ", url, url) == "1 0 "


def test_the_live_stream(shared: ServerProcess, device: Account, curl: Curl) -> None:
    socket_path = str(shared.folder / "hardpoint.sock")
    url = f"http://localhost/api/live?device={device.name}"
    with subprocess.Popen(
        ["curl", "-sSN", "--max-time", str(DEADLINE_S), "--unix-socket", socket_path, url],
        stdout=subprocess.PIPE,
        text=True,
    ) as streaming:
        assert streaming.stdout is not None
        assert "hello" in streaming.stdout.readline() + streaming.stdout.readline()
        curl("telemetry", "-d", '{"temp":21.5}')
        lines = []
        while not lines or not lines[-1].startswith("data: "):
            line = streaming.stdout.readline()
            assert line, lines
            lines += [line] if lines or line.startswith("event: reading") else []
        streaming.terminate()
    assert json.loads(lines[-1].removeprefix("data: "))["readings"][0][::2] == ["temp", 21.5]


def test_health_and_metrics_need_no_key_and_the_rest_does(shared: ServerProcess) -> None:
    base = f"http://127.0.0.1:{shared.ports['http']}"
    assert json.loads(run_curl(f"{base}/api/health"))["status"] == "ok"
    assert "hardpoint_readings_total" in run_curl(f"{base}/metrics")
    assert json.loads(run_curl(f"{base}/api/devices"))["error"]["code"] == "unauthorized"
    assert run_curl("-I", f"{base}/api/health").startswith("HTTP/1.1 200 OK\n")


def test_the_page_is_served(shared: ServerProcess) -> None:
    answer = run_curl("-i", f"http://127.0.0.1:{shared.ports['http']}/")
    head, _, page = answer.partition("\n\n")
    assert "content-security-policy: " in head.lower()
    assert "<!doctype html>" in page.lower()
    assert "%UI%" not in page, "every placeholder is filled in"
