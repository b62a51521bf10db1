"""The home page: what needs attention, what is live, and how one begins where nothing is there yet."""

from __future__ import annotations

from typing import Any

from .conftest import LineDevice, Server, expect


def test_without_a_device_it_is_the_way_to_the_first_one(
    fresh_server: Server, open_page: Any, line_device: Any
) -> None:
    fresh_server.set_up()
    page = open_page(fresh_server, "/")
    page.get_by_role("heading", name="Connect your first device").wait_for()
    page.locator(".tile", has_text="host").wait_for()  # the machine's own sensors are there from the start
    assert page.locator(".home-steps li").count() == 3
    page.get_by_role("button", name="Add device").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("first")
    dialog.get_by_role("button", name="Add device").click()
    token = dialog.locator(".token code").inner_text()
    page.keyboard.press("Escape")
    page.get_by_role("heading", name="Connect your first device").wait_for()
    device: LineDevice = line_device(fresh_server, token)
    assert device.say("temp=21.5").startswith("OK")
    page.get_by_role("heading", name="Home", exact=True).wait_for()
    page.locator(".tile", has_text="first").get_by_text("21.5").wait_for()
    page.locator(".home-words").get_by_role("link", name="Online").click()
    page.wait_for_url("**/devices?is=online")


def test_it_says_what_needs_attention_and_takes_it_back(server: Server, open_page: Any, line_device: Any) -> None:
    hot = {"key": "temp", "is": "above", "value": 30, "until": 28}
    server.call("POST", "/rules", {"name": "Too hot", "when": hot, "severity": "critical"})
    server.keep_present("host")
    page = open_page(server, "/")
    attention = page.get_by_role("region", name="Needs attention")
    attention.get_by_text("All is well").wait_for()
    device: LineDevice = line_device(server, server.add("Kettle", site="kitchen"))
    server.keep_present("Kettle")
    assert device.say("temp=31").startswith("OK")
    line = attention.locator(".attend.critical")
    line.get_by_role("link", name="Too hot").wait_for()
    expect(line).to_contain_text("Kettle")
    expect(line).to_contain_text("temp is above 30 °C")
    events = page.get_by_role("region", name="What happened")
    events.get_by_text("fires on").wait_for()
    events.locator("li", has_text="added the device").get_by_role("link", name="Kettle").wait_for()
    tile = page.locator(".tile", has_text="Kettle")
    tile.get_by_text("31").wait_for()
    assert device.say("temp=27").startswith("OK")
    tile.get_by_text("27").wait_for()
    attention.get_by_text("All is well").wait_for()
    events.get_by_text("ended on").wait_for()


def test_who_is_limited_sees_their_devices_and_nothing_of_the_machine(
    server: Server, open_page: Any, line_device: Any
) -> None:
    line_device(server, server.add("Theirs", site="roof")).say("temp=20")
    server.call(
        "POST", "/users", {"name": "bob", "password": "correct horse", "role": "viewer", "labels": ["site:roof"]}
    )
    cookie, server.cookie = server.cookie, ""
    try:
        page = open_page(server, "/login")
    finally:
        server.cookie = cookie
    page.get_by_label("Name").fill("bob")
    page.get_by_label("Password", exact=True).fill("correct horse")
    page.keyboard.press("Enter")
    page.get_by_role("region", name="Reporting now").get_by_role("link", name="Theirs").wait_for()
    assert page.locator(".home-card").count() == 1
    assert page.get_by_role("link", name="Activity").count() == 0
