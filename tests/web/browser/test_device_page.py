"""A device's page: charts, commands, attributes, and what is done to it now and then."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from .conftest import LineDevice, Server, expect

Attach = Callable[[Server, str], LineDevice]
HOUR_MS = 3_600_000


def card(page: Any, key: str) -> Any:
    return page.get_by_role("region", name=key, exact=True)


def expect_rows(page: Any, key: str, *values: str) -> None:
    """The values in a chart's table, newest first."""
    expect(card(page, key).locator("tbody td:last-child")).to_have_text(values)


def test_numbers_get_charts_and_the_rest_gets_rows(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("mixed"))
    device.say('temp=21.5 hum=60 door=true note="two words"')
    page = open_page(server, "/devices/mixed")
    card(page, "temp").locator(".u-over").wait_for()
    card(page, "hum").locator(".u-over").wait_for()
    states = page.get_by_role("region", name="States")
    expect(states.locator("dd:not(.pair-at, .pair-act)")).to_have_text(["true", "two words"])
    expect(card(page, "temp").get_by_role("img")).to_have_attribute("aria-label", re.compile("minimum 21.5 °C"))
    device.say("temp=23.5")
    card(page, "temp").locator(".chart-value").filter(has_text="23.5").wait_for()
    card(page, "temp").get_by_role("button", name="Show as table").click()
    expect_rows(page, "temp", "23.5", "21.5")


COLOURED_PIXELS = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let n = 0;
  for (let i = 0; i < data.length; i += 4) {
    const [low, high] = [Math.min(data[i], data[i + 1], data[i + 2]), Math.max(data[i], data[i + 1], data[i + 2])];
    if (data[i + 3] > 200 && high - low > 60) n += 1;
  }
  return n;
}"""
"""Pixels of a chart's own colour: its axes and its grid are grey."""


def test_one_reading_is_seen_in_its_chart(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("single"))
    device.say(f"temp=21.5 @{int(time.time() * 1000) - 60_000}")
    page = open_page(server, "/devices/single")
    canvas = card(page, "temp").locator("canvas")
    canvas.wait_for()
    page.wait_for_function(f"canvas => ({COLOURED_PIXELS})(canvas) > 8", arg=canvas.element_handle())


def test_ranges_and_zoom(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("ranged"))
    now = int(time.time() * 1000)
    for ago_ms, value in ((20 * HOUR_MS, 10), (5 * HOUR_MS, 20), (HOUR_MS // 2, 30), (1000, 40)):
        device.say(f"temp={value} @{now - ago_ms}")
    page = open_page(server, "/devices/ranged?range=1h")
    card(page, "temp").get_by_role("button", name="Show as table").click()
    expect_rows(page, "temp", "40", "30")
    page.get_by_role("button", name="6 h").click()
    expect_rows(page, "temp", "40", "30", "20")
    page.get_by_role("button", name="24 h").click()
    expect_rows(page, "temp", "40", "30", "20", "10")
    page.wait_for_url("**range=24h*")

    card(page, "temp").get_by_role("button", name="Show as chart").click()
    card(page, "temp").locator(".u-over").hover()  # it has its place
    box = card(page, "temp").locator(".u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.95, box["y"] + 40, steps=4)
    page.mouse.up()
    page.get_by_role("button", name="Back to live").wait_for()
    card(page, "temp").get_by_role("button", name="Show as table").click()
    expect_rows(page, "temp", "20")  # only what was dragged over, fetched anew
    page.get_by_role("button", name="Back to live").click()
    expect_rows(page, "temp", "40", "30", "20", "10")


def test_a_command_and_its_life(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("commanded"))
    page = open_page(server, "/devices/commanded")
    page.get_by_role("combobox", name="Method").fill("blink")
    page.get_by_role("textbox", name="Parameters").fill("pin=4 on=true")
    page.get_by_role("button", name="Send").click()
    number, method, params = device.read().split(" ", 2)
    assert (method, params) == ("blink", '{"pin":4,"on":true}')
    device.lines.write(f'{number} OK {{"blinked":3}}\n')
    device.lines.flush()
    page.locator(".command-state.done").wait_for()
    expect(page.locator(".command-result")).to_have_text('{"blinked":3}')
    life = page.locator(".life li.reached span").all_inner_texts()
    assert life[0] == "queued"
    assert life[-1] == "done"

    page.get_by_role("combobox", name="Method").fill("blink")
    page.get_by_role("textbox", name="Parameters").fill("{not json")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Parameters are JSON").wait_for()
    expect(page.locator(".command")).to_have_count(1)


def test_a_command_waits_for_a_device_that_is_away_and_can_be_cancelled(
    server: Server, open_page: Any, line_device: Attach
) -> None:
    token = server.add("sleeper")
    page = open_page(server, "/devices/sleeper")
    page.get_by_role("combobox", name="Give up after").select_option("600")
    page.get_by_role("combobox", name="Method").fill("wake")
    page.get_by_role("button", name="Send").click()
    page.locator(".command-state.queued").wait_for()
    page.get_by_role("button", name="Cancel this command").click()
    page.locator(".command-state.cancelled").wait_for()
    page.get_by_role("combobox", name="Method").fill("rise")
    page.get_by_role("button", name="Send").click()
    page.locator(".command-state.queued").wait_for()
    device = line_device(server, token)
    number = re.match(r"!(\d+) rise", device.read())
    assert number is not None, "and not the one that was cancelled"
    page.locator(".command-state.sent, .command-state.delivered").wait_for()
    device.lines.write(f"!{number[1]} OK true\n")
    device.lines.flush()
    page.locator(".command-state.done").wait_for()


def test_attributes(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("described"))
    device.say("ATTR fw=1.2")
    page = open_page(server, "/devices/described")
    attributes = page.get_by_role("region", name="Attributes")
    attributes.get_by_text("fw").wait_for()
    own = attributes.get_by_role("button", name="Edit fw")
    expect(own, "the device's own cannot be written here").to_have_count(0)

    attributes.get_by_role("button", name="Notes").click()
    attributes.get_by_role("button", name="Add an attribute").click()
    attributes.get_by_label("Key").fill("place")
    attributes.get_by_label("Value").fill("shelf 2")
    attributes.get_by_label("Value").press("Enter")
    attributes.locator("dd").filter(has_text="shelf 2").wait_for()
    assert server.call("GET", "/devices/described/attributes?scope=server") == {"place": "shelf 2"}

    attributes.get_by_role("button", name="Edit place").click()
    attributes.get_by_label("Value").fill("3")
    attributes.get_by_role("button", name="Save").click()
    attributes.locator("dd").filter(has_text="3").wait_for()
    assert server.call("GET", "/devices/described/attributes?scope=server") == {"place": 3}
    attributes.get_by_role("button", name="Remove place").click()
    attributes.locator("dt").wait_for(state="detached")
    assert server.call("GET", "/devices/described/attributes?scope=server") == {}


def choose(page: Any, item: str) -> Any:
    page.get_by_role("button", name="Actions for this device").click()
    page.get_by_role("menuitem", name=item).click()
    return page.get_by_role("dialog")


def test_name_labels_and_interval(server: Server, open_page: Any) -> None:
    server.add("before", site="barn")
    page = open_page(server, "/devices/before")
    dialog = choose(page, "Edit…")
    dialog.get_by_label("Name").fill("after")
    dialog.get_by_label("Labels, one a line").fill("site: roof\nrow: north")
    dialog.get_by_label("Expected interval").fill("30")
    dialog.get_by_role("button", name="Save").click()
    page.get_by_role("heading", name="after").wait_for()
    device = server.call("GET", "/devices/before")
    assert (device["name"], device["labels"]) == ("after", {"site": "roof", "row": "north"})
    assert device["presence"]["expected_every_s"] == 30
    dialog = choose(page, "Edit…")
    dialog.get_by_label("Labels, one a line").fill("no colon here")
    dialog.get_by_role("button", name="Save").click()
    dialog.get_by_role("alert").get_by_text("no colon here").wait_for()


def test_the_name_in_the_address_becomes_the_id(server: Server, open_page: Any) -> None:
    server.add("Named One")
    page = open_page(server, "/devices/Named%20One?range=6h")
    page.get_by_role("heading", name="Named One").wait_for()
    device_id = server.call("GET", "/devices/Named%20One")["id"]
    page.wait_for_url(f"**/devices/{device_id}?range=6h")


def test_a_new_token_ends_the_old_one(server: Server, open_page: Any, line_device: Attach) -> None:
    old = line_device(server, server.add("rotated"))
    page = open_page(server, "/devices/rotated")
    dialog = choose(page, "New token…")
    dialog.get_by_role("button", name="Make a new token").click()
    token = page.locator(".token code").inner_text()
    assert old.read() == "BYE the device's token was changed"
    new = line_device(server, token)
    new.say("temp=20")
    dialog.get_by_text("It works. First reading received").wait_for()


def test_deleting_asks_for_the_name(server: Server, open_page: Any) -> None:
    server.add("doomed")
    page = open_page(server, "/devices/doomed")
    dialog = choose(page, "Delete…")
    dialog.get_by_label("Type doomed to confirm").fill("doome")
    expect(dialog.get_by_role("button", name="Delete for ever")).to_be_disabled()
    dialog.get_by_label("Type doomed to confirm").fill("doomed")
    dialog.get_by_role("button", name="Delete for ever").click()
    page.get_by_text("doomed was deleted.").wait_for()
    page.goto(server.url + "/devices/doomed")
    page.get_by_role("heading", name="There is no such device").wait_for()


def test_a_viewer_is_offered_nothing_that_would_be_refused(server: Server, open_page: Any) -> None:
    server.add("looked-at")
    page = open_page(server, "/login")
    page.route("**/api/session", lambda route: route.fulfill(json={
        "user": {"name": "eve", "role": "viewer"}, "setup_needed": False, "version": "0"}))  # fmt: skip
    page.goto(server.url + "/devices/looked-at")
    for shown in ("Waiting for the first reading", "No commands yet."):  # where the buttons would be
        page.get_by_text(shown).wait_for()
    for name in ("Send", "Connect this device"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    page.get_by_role("button", name="Actions for this device").click()
    expect(page.get_by_role("menuitem")).to_have_text(["Open on a phone"])
