"""The device list: live rows, filters, keys, and names that try to be markup."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import LineDevice, Server

Attach = Callable[[Server, str], LineDevice]


def row(page: Any, name: str) -> Any:
    return page.locator("tbody tr").filter(has=page.get_by_role("link", name=name, exact=True))


def test_a_row_follows_its_device(server: Server, open_page: Any, line_device: Attach) -> None:
    token = server.add("follower", site="north")
    page = open_page(server, "/devices")
    row(page, "follower").get_by_text("Never seen").wait_for()
    device = line_device(server, token)
    assert device.say("temp=21.5 door=true") == "OK 2"
    row(page, "follower").get_by_text("21.5").wait_for()
    row(page, "follower").get_by_text("Online").wait_for()
    assert device.say("temp=22.75") == "OK 1"
    row(page, "follower").get_by_text("22.8").wait_for()
    row(page, "follower").locator(".spark-line").wait_for(state="attached")
    # A short interval, so that its allowance is soon over.
    server.call("PATCH", "/devices/follower", {"expected_every_s": 0.5})
    row(page, "follower").get_by_text("Late").wait_for()
    device.close()
    row(page, "follower").get_by_text("Offline").wait_for()


def test_a_device_that_posted_its_first_reading_is_online(server: Server, open_page: Any) -> None:
    token = server.add("poster")
    page = open_page(server, "/devices")
    row(page, "poster").get_by_text("Never seen").wait_for()
    server.call("POST", f"/v1/{token}/telemetry", {"temp": 21.5})
    row(page, "poster").get_by_text("Online").wait_for()
    row(page, "poster").locator(".spark-dot").wait_for(state="attached")


def test_devices_come_and_go_by_themselves(server: Server, open_page: Any) -> None:
    page = open_page(server, "/devices")
    page.get_by_role("link", name="host").wait_for()
    server.add("newcomer")
    row(page, "newcomer").wait_for()
    server.call("PATCH", "/devices/newcomer", {"name": "renamed"})
    row(page, "renamed").wait_for()
    server.call("DELETE", "/devices/newcomer")
    row(page, "renamed").wait_for(state="detached")


def test_the_filter_and_the_words_stay_in_the_address(server: Server, open_page: Any) -> None:
    server.add("alpha", site="barn")
    server.add("beta", site="roof")
    page = open_page(server, "/devices")
    row(page, "alpha").wait_for()
    page.keyboard.press("/")
    page.keyboard.type("site:ba")
    row(page, "beta").wait_for(state="detached")
    assert row(page, "alpha").count() == 1
    assert "q=site%3Aba" in page.url
    page.reload()
    row(page, "alpha").wait_for()
    assert row(page, "beta").count() == 0
    page.get_by_role("button", name="Never seen").click()
    assert "is=never" in page.url
    page.get_by_role("searchbox").fill("no such thing")
    page.get_by_role("heading", name="No device matches").wait_for()
    page.get_by_role("button", name="Clear the filter").click()
    row(page, "beta").wait_for()


@pytest.mark.parametrize(
    "name",
    ["<img src=x onerror=alert(1)>", "${html`x`}", "a/b?c#d%", "设备一号"],
)
def test_hostile_names_and_values_stay_text(server: Server, open_page: Any, line_device: Attach, name: str) -> None:
    device = line_device(server, server.add(name, note="<b>x</b>"))
    assert device.say('note="<img src=x onerror=alert(2)>"') == "OK 1"
    page = open_page(server, "/devices")
    link = page.locator(".device-name").filter(has_text=name.strip())
    link.wait_for()
    assert page.locator("main img, main b").count() == 0
    link.click()
    page.locator("h1").filter(has_text=name).wait_for()
    page.get_by_text("<img src=x onerror=alert(2)>").wait_for()
    assert page.locator("main img, main b").count() == 0


def test_many_rows_come_in_batches(server: Server, open_page: Any) -> None:
    for number in range(80):
        server.add(f"zz-{number:03}")
    page = open_page(server, "/devices")
    row(page, "zz-000").wait_for()
    assert page.locator("tbody tr").count() < 80
    page.mouse.wheel(0, 20_000)
    row(page, "zz-079").wait_for()


def test_without_a_mouse(server: Server, open_page: Any) -> None:
    server.add("keyed")
    page = open_page(server, "/devices")
    row(page, "keyed").wait_for()
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keyboard shortcuts").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    page.keyboard.press("n")
    page.get_by_role("dialog", name="Add a device").wait_for()
    assert page.evaluate("document.activeElement.id") == "device-name"
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    page.get_by_role("link", name="keyed").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="keyed").wait_for()
    page.get_by_role("button", name="Actions for this device").focus()
    page.keyboard.press("Enter")
    page.get_by_role("menu").wait_for()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.textContent") == "New token…"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Actions for this device"
    page.keyboard.press("g")
    page.keyboard.press("d")
    page.get_by_role("heading", name="Devices", exact=True).wait_for()


def test_a_taken_name_is_said_at_its_box(server: Server, open_page: Any) -> None:
    server.add("taken")
    page = open_page(server, "/devices")
    page.get_by_role("button", name="Add device").click()
    page.get_by_role("dialog").get_by_label("Name").fill("taken")
    page.get_by_role("dialog").get_by_role("button", name="Add device").click()
    page.get_by_role("dialog").get_by_text("taken").last.wait_for()
    assert page.get_by_role("dialog", name="Add a device").count() == 1
    page.get_by_role("dialog").locator(".field-error, .notice.bad").wait_for()


def test_an_address_that_is_none(server: Server, open_page: Any) -> None:
    page = open_page(server, "/nowhere/at/all")
    page.get_by_role("heading", name="There is nothing at this address").wait_for()
    page.get_by_role("link", name="To the devices").click()
    page.get_by_role("heading", name="Devices", exact=True).wait_for()
