"""The server goes away and comes back: the page says so, and misses and doubles nothing."""

from __future__ import annotations

import signal
from typing import Any

from .conftest import LineDevice, Server, expect

SAID = """globalThis.said = new Set();
new MutationObserver(() => document.querySelectorAll(".toast").forEach((toast) => said.add(toast.textContent.trim())))
  .observe(document, { childList: true, subtree: true });"""
"""Keeps what was said for some seconds only."""


def test_a_killed_server_comes_back_without_a_gap(fresh_server: Server, open_page: Any) -> None:
    server = fresh_server
    server.set_up()
    token = server.add("steady")
    device = LineDevice(server, token)
    try:
        for value in (1, 2, 3):
            assert device.say(f"level={value}") == "OK 1"
        page = open_page(server, "")
        page.add_init_script(SAID)
        page.goto(server.url + "/devices/steady")
        page.get_by_role("button", name="Show as table").click()
        page.locator(".chart-table tbody tr").nth(2).wait_for()

        server.stop(signal.SIGKILL)
        page.get_by_text("Connection lost. Reconnecting…").wait_for()
        expect(page.locator("main.stale")).to_have_count(1)
        device.close()

        server.start()
        device = LineDevice(server, token)
        for value in (4, 5):
            assert device.say(f"level={value}") == "OK 1"
        page.wait_for_function("() => [...said].some((text) => text.startsWith('Connected again.'))")
        page.locator(".chart-table tbody tr").nth(4).wait_for()
        assert device.say("level=6") == "OK 1"
        expect(page.locator(".chart-table tbody td:last-child")).to_have_text(["6", "5", "4", "3", "2", "1"])
        expect(page.locator("main.stale")).to_have_count(0)
    finally:
        device.close()


def test_a_session_that_ended_leads_to_sign_in(fresh_server: Server, open_page: Any) -> None:
    fresh_server.set_up()
    fresh_server.add("quiet")
    page = open_page(fresh_server, "/devices/quiet")
    attributes = page.get_by_role("region", name="Attributes")
    attributes.get_by_text("The device has not said anything").wait_for()
    page.context.clear_cookies()
    # Whatever asks next is refused: this press, or the page by itself a moment before it.
    page.evaluate("() => [...document.querySelectorAll('button')].find((one) => one.innerText === 'Notes')?.click()")
    page.get_by_role("heading", name="Sign in").wait_for()
    assert page.url.endswith("/login?next=%2Fdevices%2Fquiet")


def test_a_page_wanted_while_the_server_is_away_opens_when_it_is_back(fresh_server: Server, open_page: Any) -> None:
    server = fresh_server
    server.set_up()
    server.add("wanted")
    page = open_page(server, "")
    # Not fetched ahead: here the click comes first.
    page.add_init_script("globalThis.requestIdleCallback = () => {}")
    page.goto(server.url + "/devices")
    page.get_by_role("link", name="wanted").wait_for()

    server.stop(signal.SIGKILL)
    page.get_by_role("link", name="wanted").click()
    page.get_by_role("heading", name="The server cannot be reached.").wait_for()
    expect(page.locator("header.top"), "the shell stays").to_have_count(1)
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("link", name="Devices", exact=True).click()
    page.get_by_role("link", name="wanted").wait_for()
    page.go_back()
    page.get_by_role("heading", name="The server cannot be reached.").wait_for()

    server.start()
    page.get_by_role("heading", name="wanted").wait_for()
    assert page.url.endswith("/devices/wanted")


def test_the_other_pages_are_fetched_ahead(fresh_server: Server, open_page: Any) -> None:
    server = fresh_server
    server.set_up()
    server.add("near")
    page = open_page(server, "")
    with (
        # The page of a device asks for its sheet when all its modules are there.
        page.expect_request("**/css/device.css"),
        page.expect_request_finished(lambda request: request.url.endswith("/ui/shortcuts.mjs")),
        page.expect_request_finished(lambda request: request.url.endswith("/i18n/en.json")),
    ):
        page.goto(server.url + "/devices")
    page.get_by_role("link", name="near").wait_for()

    server.stop(signal.SIGKILL)
    page.get_by_text("Connection lost.").wait_for()
    page.get_by_role("link", name="near").click()
    page.get_by_role("heading", name="near").wait_for()
    page.keyboard.press("?")
    page.get_by_role("dialog").get_by_text("Keyboard shortcuts").wait_for()
