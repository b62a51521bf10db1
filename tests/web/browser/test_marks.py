"""What happened while a chart was drawn, the keys that move it, and its address for a phone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .conftest import LineDevice, Server, expect

Attach = Callable[[Server, str], LineDevice]


def test_alerts_commands_and_connections_are_on_the_chart(server: Server, open_page: Any, line_device: Attach) -> None:
    token = server.add("marked")
    first = line_device(server, token)
    assert first.say("temp=20 hum=50") == "OK 2"
    page = open_page(server, "/devices/marked")
    temp = page.get_by_role("img", name=re.compile("^temp: minimum"))
    temp.wait_for()
    hot = {"key": "temp", "is": "above", "value": 30}
    server.call("POST", "/rules", {"name": "Too hot", "when": hot, "scope": "device:marked"})
    assert first.say("temp=31") == "OK 1"
    expect(temp).to_have_attribute("aria-label", re.compile(r"°C\. 1 alert\.$"))
    server.call("POST", "/devices/marked/commands", {"method": "blink"})
    expect(temp).to_have_attribute("aria-label", re.compile(r"1 alert\. 1 command\.$"))
    first.close()
    line_device(server, token)
    expect(temp).to_have_attribute("aria-label", re.compile(r"1 alert\. 1 command\. Connected again 1 time\.$"))
    humidity = page.get_by_role("img", name=re.compile("^hum: minimum"))
    expect(humidity).to_have_attribute("aria-label", re.compile(r"%\. 1 command\. Connected again 1 time\.$"))


def test_keys_stop_and_move_the_charts_and_open_the_menu(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("keyed"))
    assert device.say("temp=20") == "OK 1"
    page = open_page(server, "/devices/keyed?range=15m")
    page.locator(".u-over").wait_for()
    page.keyboard.press("l")
    page.get_by_role("button", name="Back to live").wait_for()
    held = {name: int(value) for name, value in re.findall(r"(from|to)=(\d+)", page.url)}
    assert held["to"] - held["from"] == 900_000
    page.keyboard.press("[")
    page.wait_for_url(re.compile(rf"from={held['from'] - 450_000}&"))
    page.keyboard.press("=")  # + without shift
    page.wait_for_url(re.compile(rf"from={held['from'] - 225_000}&"))
    page.keyboard.press("l")
    page.get_by_role("button", name="Live", exact=True).wait_for()
    page.keyboard.press(".")
    page.get_by_role("menuitem", name="Open on a phone").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    keys = page.get_by_role("dialog").locator("kbd")
    expect(keys.first).to_be_visible()
    assert {"l", "[", "]", "−", "+", "0", "."} <= set(keys.all_inner_texts())


def test_keys_that_are_switched_off_do_nothing(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("unkeyed"))
    assert device.say("temp=20") == "OK 1"
    page = open_page(server, "/devices/unkeyed")
    page.locator(".u-over").wait_for()
    page.evaluate("localStorage.setItem('hardpoint.keys', 'off')")
    page.reload()
    page.locator(".u-over").wait_for()
    for key in ("l", "[", "."):
        page.keyboard.press(key)
    page.get_by_role("button", name="Live", exact=True).click()
    page.get_by_role("button", name="Back to live").wait_for()
    page.keyboard.press("0")
    page.wait_for_function("() => location.search.includes('from=')")
    expect(page.get_by_role("menu")).to_have_count(0)


def test_the_page_is_offered_to_a_phone(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("carried"))
    assert device.say("temp=20") == "OK 1"
    page = open_page(server, "/devices/carried")
    page.locator(".device-menu button").click()
    page.get_by_role("menuitem", name="Open on a phone").click()
    code = page.get_by_role("img", name=f"QR code of {server.url}/devices/carried")
    code.wait_for()
    drawn = code.locator("path").get_attribute("d")
    # The finder pattern: seven dark modules, in the corner inside four of quiet (ISO/IEC 18004).
    assert drawn.startswith("M4 4h7v1H4z")
    assert page.get_by_role("dialog").locator(".notice.warn").count() == 1, "127.0.0.1 is no address for a phone"
