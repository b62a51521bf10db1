"""Strips of a device's page: what state something was in, and when."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from .conftest import LineDevice, Server, expect

Attach = Callable[[Server, str], LineDevice]
MINUTE_MS = 60_000


def strip(page: Any, name: str) -> Any:
    """The strip of a key."""
    return page.locator(".strip-row").filter(has=page.get_by_role("heading", name=name, exact=True))


def expect_stretches(page: Any, name: str, *words: str) -> None:
    expect(strip(page, name).locator(".stretch > span")).to_have_text(words)


def past(server: Server, device: str, key: str, *points: tuple[int, object]) -> None:
    """Store readings of some minutes ago."""
    now = int(time.time() * 1000)
    stamped = [[now - ago * MINUTE_MS, value] for ago, value in points]
    server.call("POST", "/readings", {"series": [{"device": device, "key": key, "points": stamped}]})


def test_a_state_is_a_strip_that_goes_on(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("door"))
    past(server, "door", "open", (300, True), (40, False), (38, False), (20, True))
    assert device.say("open=true temp=21") == "OK 2"
    page = open_page(server, "/devices/door?range=1h")
    expect_stretches(page, "open", "true", "false", "true")  # the first began before the range
    drawn = strip(page, "open").get_by_role("img")
    expect(drawn).to_have_attribute("aria-label", re.compile("^open: true since .*, 2 changes in this range$"))
    assert device.say("open=false") == "OK 1"
    expect_stretches(page, "open", "true", "false", "true", "false")
    expect(drawn).to_have_attribute("aria-label", re.compile("^open: false since .*, 3 changes in this range$"))
    page.get_by_role("region", name="State history").get_by_role("button", name="Show as table").click()
    rows = strip(page, "open").locator("tbody td:first-child")
    expect(rows).to_have_text(["false", "true", "false", "true"])  # the newest first
    expect(page.get_by_role("heading", name="temp"), "a number has a chart").to_have_count(1)
    expect(page.locator(".strip-row")).to_have_count(1)


def test_a_state_that_did_not_change_is_that_of_long_ago(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("valve"))
    past(server, "valve", "valve", (3 * 24 * 60, "shut"))
    now = int(time.time() * 1000)
    assert device.say(f"valve=shut @{now - 120 * MINUTE_MS}") == "OK 1"
    page = open_page(server, "/devices/valve?range=1h")
    expect_stretches(page, "valve", "shut")
    expect(strip(page, "valve").get_by_role("img")).to_have_attribute("aria-label", "valve: shut all the time")


def test_states_are_gone_through_with_the_keys(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("fridge"))
    past(server, "fridge", "mode", (50, "idle"), (30, "cooling"))
    assert device.say("mode=defrost") == "OK 1"
    page = open_page(server, "/devices/fridge?range=1h")
    expect_stretches(page, "mode", "idle", "cooling", "defrost")
    strip(page, "mode").get_by_role("img").focus()
    told = strip(page, "mode").locator(".strip-at")
    for key, word in [("End", "defrost"), ("ArrowLeft", "cooling"), ("ArrowLeft", "idle"), ("ArrowRight", "cooling")]:
        page.keyboard.press(key)
        expect(told).to_contain_text(f"{word} ·")
    expect(told).to_have_text(re.compile(r"cooling · .+ – .+ · \d+(\.\d)? min$"))
    page.keyboard.press("Tab")
    expect(strip(page, "mode").locator(".strip-sums li")).to_have_count(3)


def test_what_a_device_that_is_gone_would_say_is_not_known(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("gone"))
    assert device.say("running=true") == "OK 1"
    server.call("PATCH", "/devices/gone", {"expected_every_s": 0.5})
    device.close()
    page = open_page(server, "/devices/gone?range=5m")
    expect_stretches(page, "running", "true", "not known")


def test_texts_that_are_no_states_are_not_drawn(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("talker"))
    past(server, "talker", "job", *((40 - n, f"job {n}") for n in range(9)))
    assert device.say('job="job 9" message="longer than what a state is called" hot=false') == "OK 3"
    page = open_page(server, "/devices/talker?range=1h")
    strip(page, "job").get_by_text("10 different texts in this range: too many to draw.").wait_for()
    expect_stretches(page, "hot", "false")
    expect(page.locator(".strip-row h3")).to_have_text(["hot", "job"])


def test_a_hostile_state_stays_text(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("hostile"))
    past(server, "hostile", "state", (30, "<img src=x onerror=alert(1)>"))
    assert device.say("state=ok") == "OK 1"
    page = open_page(server, "/devices/hostile?range=1h")
    expect_stretches(page, "state", "<img src=x onerror=alert(1)>", "ok")
    expect(page.locator("main img")).to_have_count(0)
