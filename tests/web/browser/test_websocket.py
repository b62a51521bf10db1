"""A browser as a device: the line dialect over its own WebSocket."""

from __future__ import annotations

from .conftest import WAIT_MS

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


def test_the_snippet_for_a_page_works_as_it_is(server, browser):
    token = server.add("by-websocket")
    found = server.call("GET", f"/devices/by-websocket/snippets?origin={server.url}")
    [text] = [item["text"] for item in found["items"] if item["name"] == "websocket"]
    page = browser.new_page()
    page.set_default_timeout(WAIT_MS)
    try:
        page.goto(server.url)  # answers of the API let a page connect nowhere
        with page.expect_console_message(lambda message: message.text.startswith("OK 1")):
            page.evaluate(text.replace(found["token"], token) + "\nundefined")
        assert server.call("GET", "/devices/by-websocket")["latest"]["temp"]["value"] == 21.5
        command = {"method": "blink", "wait_s": 60}
        assert server.call("POST", "/devices/by-websocket/commands", command)["result"] is True
    finally:
        page.close()
