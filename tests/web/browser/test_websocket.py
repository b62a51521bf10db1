"""A browser as a device: the line dialect over its own WebSocket."""

from __future__ import annotations

import base64
import hashlib

import pytest

from .conftest import CHROMIUM, FLAGS, WAIT_MS, playwright_api, run_server

TALK = """(url) => new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error("the socket neither opened nor closed")), 60_000);
    const got = [], ws = new WebSocket(url);
    const lines = ["temp=21.5 hum=60", JSON.stringify({ temp: 22 }, null, 2), "GET temp", "QUIT"];
    ws.onopen = () => lines.forEach((line) => ws.send(line));
    ws.onmessage = ({ data }) => got.push(data);
    ws.onclose = ({ code, wasClean }) => resolve({ got, code, wasClean });
})"""


def test_a_page_is_a_device(server, browser):
    token = (server.folder / "data" / "first-device.token").read_text().strip()
    page = browser.new_page()
    page.set_default_timeout(WAIT_MS)
    try:
        # Chromium lets no page of elsewhere connect to this machine without asking a person, and answers of the API let
        # a page connect nowhere.
        page.goto(server.url)
        address = server.url.replace("http:", "ws:")
        told = page.evaluate(TALK, f"{address}/api/v1/{token}/ws")
        assert told["got"][:2] == ["OK 2", "OK 1"]
        assert told["got"][2].startswith("temp=22 @")
        assert told["got"][3] == "BYE"
        assert (told["code"], told["wasClean"]) == (1000, True)
        told = page.evaluate(TALK, f"{address}/api/v1/nonsense/ws")
        assert told == {"got": [], "code": 1006, "wasClean": False}
    finally:
        page.close()


def run_snippet(server, browser, origin, way):
    """Run it as it is in a page of that origin: its reading arrives, and it answers a command."""
    token = server.add("by-websocket")
    found = server.call("GET", f"/devices/by-websocket/snippets?origin={origin}")
    [text] = [item[way] for item in found["items"] if item["name"] == "websocket"]
    page = browser.new_page()
    page.set_default_timeout(WAIT_MS)
    try:
        page.goto(origin)  # answers of the API let a page connect nowhere
        with page.expect_console_message(lambda message: message.text.startswith("OK 1")):
            page.evaluate(text.replace(found["token"], token) + "\nundefined")
        assert server.call("GET", "/devices/by-websocket")["latest"]["temp"]["value"] == 21.5
        command = {"method": "blink", "wait_s": 60}
        assert server.call("POST", "/devices/by-websocket/commands", command)["result"] is True
    finally:
        page.close()


def test_the_snippet_for_a_page_works_as_it_is(server, browser):
    run_snippet(server, browser, server.url, "text")


def test_over_tls_it_works_where_the_authority_is_trusted(tmp_path, browser):
    x509 = pytest.importorskip("cryptography.x509", reason="the server's own authority needs cryptography")
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    for server in run_server(tmp_path, "--listen", "https://127.0.0.1:0"):
        server.set_up()
        origin = f"https://127.0.0.1:{server.ports['https']}"
        with pytest.raises(playwright_api.Error, match="ERR_CERT_AUTHORITY_INVALID"):
            run_snippet(server, browser, origin, "tls")
        server.call("DELETE", "/devices/by-websocket")
        ca = x509.load_pem_x509_certificate((tmp_path / "data" / "tls" / "ca.pem").read_bytes())
        key = ca.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        trusted = base64.b64encode(hashlib.sha256(key).digest()).decode()
        # What a person does in the system's settings; any other authority is refused as ever.
        flag = f"--ignore-certificate-errors-spki-list={trusted}"
        trusting = browser.browser_type.launch(executable_path=CHROMIUM, args=[*FLAGS, flag])
        try:
            run_snippet(server, trusting, origin, "tls")
        finally:
            trusting.close()
