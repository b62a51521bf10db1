"""The device page's other parts: charts by unit, the wire tap, sessions, what is set of keys, desired and reported."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import LineDevice, Server, expect

Attach = Callable[[Server, str], LineDevice]
DAY_MS = 86_400_000


def test_keys_of_one_unit_share_a_chart(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("twin"))
    device.say("temp.in=21 temp.out=5 count=3")
    page = open_page(server, "/devices/twin")
    chart = page.get_by_role("region", name="temp.in, temp.out")
    chart.locator(".u-over").wait_for()
    expect(page.locator(".chart")).to_have_count(2)
    inside = chart.get_by_role("button", name=re.compile("temp.in"))
    expect(inside).to_have_text(re.compile(r"^\s*temp\.in\s*21\s*°C\s*$"))
    inside.click()
    expect(inside).to_have_attribute("aria-pressed", "false")
    inside.click(modifiers=["Alt"])
    expect(chart.get_by_role("button", name=re.compile("temp.out"))).to_have_attribute("aria-pressed", "false")
    expect(inside).to_have_attribute("aria-pressed", "true")
    device.say("temp.in=22.5")
    inside.get_by_text("22.5").wait_for()


@pytest.mark.parametrize(("minutes", "span"), [(1, "5 min"), (6, "15 min"), (30, "1 h")])
def test_a_young_device_opens_with_all_its_life(
    server: Server, open_page: Any, line_device: Attach, minutes: int, span: str
) -> None:
    device = line_device(server, server.add(f"young-{minutes}"))
    device.say("level=1")
    page = open_page(server, "")
    page.clock.set_fixed_time(time.time() + minutes * 60)
    page.goto(f"{server.url}/devices/young-{minutes}")
    page.locator(".chart .u-over").wait_for()
    ranges = page.get_by_role("group", name="Range")
    expect(ranges.locator("[aria-pressed=true]")).to_have_text(span)


def test_a_long_range_has_a_band_and_an_address(server: Server, open_page: Any) -> None:
    server.add("band")
    now = int(time.time() * 1000)
    points = [[now - DAY_MS + n * 10_000, float(n % 40)] for n in range(8_000)]
    server.call("POST", "/readings", {"series": [{"device": "band", "key": "level", "points": points}]})
    page = open_page(server, f"/devices/band?from={now - DAY_MS}&to={now}")
    page.locator(".chart .u-over").wait_for()
    sums = page.locator(".chart-sums[title]")
    expect(sums).to_have_attribute("title", "The band is the least and the greatest of each 9.6 min.")
    page.get_by_role("button", name="Back to live").wait_for()
    page.locator(".chart-body").focus()
    page.keyboard.press("ArrowLeft")
    page.locator(".chart-at").wait_for()
    page.keyboard.press("]")
    page.get_by_role("button", name="Back to live").wait_for(state="detached")
    page.keyboard.press("-")
    page.wait_for_url("**from=*")
    page.get_by_role("button", name="Range…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("From").fill("2026-01-02T00:00")
    dialog.get_by_label("To", exact=True).fill("2026-01-01T00:00")
    expect(dialog.get_by_role("button", name="Show")).to_be_disabled()
    dialog.get_by_label("To", exact=True).fill("2026-01-03T00:00")
    dialog.get_by_role("button", name="Show").click()
    page.get_by_text("No readings in this range.").wait_for()


def test_the_wire_tap_and_the_sessions(server: Server, open_page: Any, line_device: Attach) -> None:
    token = server.add("tapped")
    line_device(server, token).close()
    device = line_device(server, token)
    page = open_page(server, "/devices/tapped")
    page.get_by_role("link", name="Log").click()
    page.get_by_role("button", name="Show everything for 10 min").click()
    page.get_by_text("Every frame is kept until").wait_for()
    device.say('note="<img src=x>"')
    page.locator(".frame.in pre").filter(has_text="<img src=x>").wait_for()
    page.locator(".frame.out pre").filter(has_text="OK 1").wait_for()
    device.say("temp 5")
    page.locator(".frame.refused .frame-why").wait_for()
    expect(page.locator(".frame.refused .code pre")).to_have_text("temp=5")
    page.get_by_label("only refused").check()
    expect(page.locator(".frame")).to_have_count(1)
    page.get_by_label("only refused").uncheck()
    page.get_by_label("Filter the frames").fill("note")
    page.locator(".frame.refused").wait_for(state="detached")
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Only what was refused is kept.").wait_for()
    sessions = page.locator(".sessions tbody tr")
    ended = sessions.first.locator("td").nth(1)
    expect(ended).to_have_text("attached")
    device.close()
    expect(ended).not_to_have_text("attached")
    page.reload()
    page.get_by_role("heading", name="Sessions").wait_for()
    assert page.url.endswith("/devices/tapped/log")


def test_how_a_key_is_shown_is_set_and_kept(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("shown"))
    device.say("t1=21.456 mode=on")
    page = open_page(server, "/devices/shown/settings")
    page.get_by_label("t1: Label").fill("Air <b>")
    page.get_by_label("t1: Unit").fill("°F")
    page.get_by_label("t1: Decimals").fill("2")
    page.get_by_label("t1: Keep, days").fill("30")
    page.locator("form:has(.fields)").get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    assert server.call("GET", "/devices/shown/fields") == {
        "t1": {"label": "Air <b>", "unit": "°F", "decimals": 2, "keep_s": 2_592_000.0}
    }
    page.get_by_role("link", name="Live").click()
    chart = page.get_by_role("region", name="Air <b>")
    chart.locator(".u-over").wait_for()
    expect(chart.locator(".chart-value")).to_have_text(re.compile(r"^\s*21\.46\s*°F\s*$"))
    page.get_by_role("link", name="Devices", exact=True).click()
    page.locator("tr").filter(has_text="shown").get_by_text("Air <b>").wait_for()


def test_what_is_desired_is_compared_with_what_is_reported(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("wanted"))
    server.call("PUT", "/devices/wanted/attributes?scope=shared", {"interval": 10})
    page = open_page(server, "/devices/wanted")
    page.get_by_role("button", name="To device").click()
    page.get_by_text("Not reported yet").wait_for()
    device.read()  # the attribute itself
    assert device.say("ATTR interval=10") == "OK 1"
    page.get_by_text("The device does so").wait_for()
