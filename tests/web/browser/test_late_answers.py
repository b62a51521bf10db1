"""Answers that arrive later than events which are newer: what the stream has told is not set back by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .conftest import LineDevice, Server, expect

Attach = Callable[[Server, str], LineDevice]


class Held:
    """Requests of one pattern: the server answers them, and the page gets these answers with `give`."""

    def __init__(self, page: Any, pattern: str) -> None:
        self._page = page
        self._answers: list[tuple[Any, Any]] = []
        self._given = False
        page.route(pattern, self._hold)

    def _hold(self, route: Any) -> None:
        if self._given:
            route.continue_()
        else:
            self._answers.append((route, route.fetch()))

    def wait(self) -> None:
        """Return when the server has answered a request."""
        while not self._answers:
            self._page.evaluate("0")

    def give(self) -> None:
        """Let the page have the answers, and return when it has drawn what they say."""
        self._given = True
        for route, response in self._answers:
            with self._page.expect_response(route.request.url):
                route.fulfill(response=response)
        self._page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_a_commands_card_does_not_go_back(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("fan-late"))
    device.say("fan=false")
    act = {"does": "command", "method": "fan", "param": "on"}
    card = {"kind": "switch", "id": "s", "device": "fan-late", "key": "fan", "title": "Fan", "act": act}
    board = server.call("POST", "/dashboards", {"name": "Late fans", "cards": [card]})["id"]
    page = open_page(server, f"/dashboards/{board}")
    control = page.get_by_role("switch", name="Fan")
    expect(control).to_be_enabled()
    held = Held(page, "**/api/commands/*")
    control.click()
    held.wait()
    device.lines.write(f"{device.read().split(' ')[0]} OK true\n")
    device.lines.flush()
    page.get_by_text("Done").wait_for()
    held.give()
    expect(page.get_by_text("Done")).to_be_visible()
    assert page.get_by_text("Sent").count() == 0


def test_an_alert_is_not_forgotten(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("late-stove", kind="late-stove"))
    for name, limit in (("Late warm", 300), ("Late hot", 400)):
        rule = {"name": name, "when": {"key": "heat", "is": "above", "value": limit}, "scope": "label:kind=late-stove"}
        server.call("POST", "/rules", rule)
    page = open_page(server, "/nowhere")
    held = Held(page, "**/api/alerts?state=firing*")
    page.goto(server.url + "/devices?q=late-stove")
    badge = page.locator("tbody .badge-count")
    page.get_by_role("link", name="late-stove").wait_for()
    held.wait()
    device.say("heat=350")
    expect(badge).to_contain_text("1 alert firing")
    held.give()
    device.say("heat=450")
    expect(badge).to_contain_text("2 alerts firing")


def test_a_reading_is_shown_over_an_older_list(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("late-list"))
    device.say("temp=20.5")
    page = open_page(server, "/nowhere")
    page.add_init_script("""
        const Source = EventSource;
        window.EventSource = class extends Source { constructor(url) { super(url); window.stream = this; } };
    """)
    held = Held(page, "**/api/devices?limit=*")
    page.goto(server.url + "/devices?q=late-list")
    held.wait()
    page.wait_for_function("window.stream?.readyState === EventSource.OPEN")
    page.evaluate("void (window.heard = new Promise((done) => stream.addEventListener('reading', () => done())))")
    device.say("temp=31.5")
    page.evaluate("window.heard")
    held.give()
    page.get_by_text("31.5").first.wait_for()
