"""Dashboards as a person meets them: live cards, controls with their life, edits by mouse and by keys, links."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import LineDevice, Server, expect

Attach = Callable[[Server, str], LineDevice]


def make_board(server: Server, name: str, *cards: dict[str, Any]) -> str:
    return str(server.call("POST", "/dashboards", {"name": name, "cards": list(cards)})["id"])


def value(card_id: str, device: str, key: str = "temp") -> dict[str, Any]:
    return {"kind": "value", "id": card_id, "device": device, "key": key}


def titles(page: Any) -> list[str]:
    return [str(text) for text in page.locator(".board-card h2").all_inner_texts()]


def test_cards_are_live_and_say_what_is_stale(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("live-1", site="north"))
    assert device.say("temp=21.5") == "OK 1"
    old = int(time.time() * 1000) - 3_600_000
    server.add("old-1")
    series = {"device": "old-1", "key": "temp", "points": [[old, 9.5]]}
    server.call("POST", "/readings", {"series": [series]})
    gauge = {"kind": "gauge", "id": "g", "device": "live-1", "key": "temp", "low": 0, "high": 40, "warn": 30, "bad": 35}
    chart = {"kind": "chart", "id": "h", "size": "l", "series": [{"device": "live-1", "key": "temp"}], "span_s": 900}
    board = make_board(server, "Live", value("a", "live-1"), value("b", "old-1"), gauge, chart, value("c", "nowhere"))
    page = open_page(server, f"/dashboards/{board}")
    page.locator("[data-card=a] .card-value").get_by_text("21.5").wait_for()
    page.locator("[data-card=h] .u-over").wait_for()
    page.locator("[data-card=b] .card-age.is-stale").get_by_text("1 hr. ago").wait_for()
    page.locator("[data-card=c]").get_by_text("This device is gone").wait_for()
    assert page.locator("[data-card=a] .is-stale").count() == 0
    assert device.say("temp=36") == "OK 1"
    page.locator("[data-card=a] .card-value").get_by_text("36").wait_for()
    page.get_by_role("img", name="36 °C, between 0 and 40. Alarm").wait_for()
    page.locator("[data-card=h] .legend").get_by_text("36 °C").wait_for()


def test_a_switch_shows_the_life_of_its_command(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("fan-1"))
    device.say("fan=false")
    act = {"does": "command", "method": "fan", "param": "on"}
    switch = {"kind": "switch", "id": "s", "device": "fan-1", "key": "fan", "title": "Fan", "act": act}
    page = open_page(server, f"/dashboards/{make_board(server, 'Fans', switch)}")
    control = page.get_by_role("switch", name="Fan")
    expect(control).to_be_enabled()  # when the device is loaded
    expect(control).to_have_attribute("aria-checked", "false")
    control.focus()
    page.keyboard.press("Space")
    line = device.read()
    assert line.split(" ", 1)[1] == 'fan {"on":true}'
    page.get_by_text("Sent").wait_for()
    expect(control, "what was asked for shows before it is done").to_have_attribute("aria-checked", "true")
    device.lines.write(f"{line.split(' ')[0]} OK true\n")
    device.lines.flush()
    page.get_by_text("Done").wait_for()
    device.say("fan=true")
    control.click()
    device.lines.write(f"{device.read().split(' ')[0]} ERR it is stuck\n")
    device.lines.flush()
    page.get_by_text("it is stuck").wait_for()
    page.locator("[role=switch][aria-checked=true]").wait_for()


def test_a_slider_writes_a_shared_attribute_and_a_button_asks(
    server: Server, open_page: Any, line_device: Attach
) -> None:
    device = line_device(server, server.add("vents-1"))
    slider = {
        "kind": "slider", "id": "v", "device": "vents-1", "title": "Vents", "high": 50, "step": 10,
        "act": {"does": "attribute", "key": "vents"},
    }  # fmt: skip
    button = {
        "kind": "button", "id": "b", "device": "vents-1", "title": "Ring", "ask": True, "value": {"times": 2},
        "act": {"does": "command", "method": "ring"},
    }  # fmt: skip
    page = open_page(server, f"/dashboards/{make_board(server, 'Vents', slider, button)}")
    page.locator("input[type=range]:not([disabled])").focus()  # it is disabled until the device is loaded
    page.keyboard.press("ArrowRight")
    page.get_by_text("Written").wait_for()
    assert server.call("GET", "/devices/vents-1/attributes?scope=shared") == {"vents": 10}
    page.get_by_role("button", name="Ring").click()
    page.get_by_role("button", name="Press again to do it").click()
    assert "vents" in device.read()
    assert device.read().endswith('ring {"times":2}')


def test_cards_are_moved_sized_and_removed_by_keys(server: Server, open_page: Any) -> None:
    for name in ("one", "two", "three"):
        server.add(name)
    board = make_board(server, "Keys", *(value(name, name, name) for name in ("one", "two", "three")))
    page = open_page(server, f"/dashboards/{board}")
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("button", name="Move three", exact=True).focus()
    page.keyboard.press("ArrowLeft")
    page.get_by_text("three: place 2 of 3").wait_for(state="attached")
    page.keyboard.press("Home")
    page.get_by_text("three: place 1 of 3").wait_for(state="attached")
    assert titles(page) == ["three", "one", "two"]
    page.locator("[aria-label='Move three']:focus").wait_for()
    page.get_by_role("group", name="Size of three").get_by_role("button", name="Large").press("Enter")
    page.get_by_role("button", name="Remove one").press("Enter")
    page.locator("[aria-label='Move two']:focus").wait_for()
    page.get_by_role("textbox", name="Name of the dashboard").fill("By keys")
    page.get_by_role("button", name="Save").press("Enter")
    page.get_by_role("heading", name="By keys").wait_for()
    shown = server.call("GET", f"/dashboards/{board}")
    assert [(card["id"], card["size"]) for card in shown["cards"]] == [("three", "l"), ("two", "s")]
    assert (shown["name"], shown["version"]) == ("By keys", 2)


def test_cards_are_dragged_and_added_by_mouse(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("dragged"))
    device.say("temp=1 hum=2")
    board = make_board(server, "Mouse", value("a", "dragged"), value("b", "dragged", "hum"))
    page = open_page(server, f"/dashboards/{board}?edit=1")
    for card in "ab":  # what comes later moves what is there
        page.locator(f"[data-card={card}] .card-value").wait_for()
    page.evaluate("document.fonts.ready")
    handle = page.get_by_role("button", name="Move hum", exact=True).bounding_box()
    target = page.locator("[data-card=a]").bounding_box()
    page.mouse.move(handle["x"] + 5, handle["y"] + 5)
    page.mouse.down()
    page.mouse.move(target["x"] + 20, target["y"] + 40, steps=6)
    page.mouse.up()
    page.locator(".board-card:first-child h2").get_by_text("hum").wait_for()
    page.get_by_role("button", name="Add a card").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Gauge").click()
    dialog.get_by_label("Device").select_option("dragged")
    dialog.get_by_label("Key", exact=True).fill("temp")
    dialog.get_by_label("Title, if it needs one").fill("Heat")
    dialog.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("heading", name="Heat").wait_for()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Edit").wait_for()
    kinds = [(card["kind"], card["key"]) for card in server.call("GET", f"/dashboards/{board}")["cards"]]
    assert kinds == [("value", "hum"), ("value", "temp"), ("gauge", "temp")]


@pytest.mark.parametrize(("choice", "name"), [("Take theirs", "Theirs"), ("Save mine over it", "Mine")])
def test_two_who_edit_at_once_lose_nothing_unasked(server: Server, open_page: Any, choice: str, name: str) -> None:
    board = make_board(server, "Both")
    page = open_page(server, f"/dashboards/{board}?edit=1")
    page.get_by_role("textbox", name="Name of the dashboard").fill("Mine")
    server.call("PUT", f"/dashboards/{board}", {"version": 1, "name": "Theirs", "cards": []})
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name=choice).click()
    page.get_by_role("heading", name=name).wait_for()
    assert server.call("GET", f"/dashboards/{board}")["name"] == name


def test_an_open_dashboard_follows_changes(server: Server, open_page: Any) -> None:
    board = make_board(server, "Before")
    page = open_page(server, f"/dashboards/{board}")
    page.get_by_role("heading", name="Before").wait_for()
    server.call("PUT", f"/dashboards/{board}", {"version": 1, "name": "After", "cards": []})
    page.get_by_role("heading", name="After").wait_for()


def test_every_label_has_a_dashboard_that_can_be_kept(server: Server, open_page: Any, line_device: Attach) -> None:
    for n in (1, 2):
        line_device(server, server.add(f"auto-{n}", hall="east")).say(f"temp={20 + n}")
    page = open_page(server, "/dashboards")
    page.get_by_role("link", name="hall: east").click()
    page.get_by_text("21 °C").first.wait_for()
    page.locator(".u-over").first.wait_for()
    page.get_by_role("button", name="Keep as my own").click()
    page.get_by_role("dialog").get_by_role("button", name="Create").click()
    page.get_by_role("button", name="Edit").wait_for()
    assert any(board["name"] == "hall: east" for board in server.call("GET", "/dashboards")["items"])


def test_a_wall_shows_the_dashboard_alone_and_comes_back_by_itself(
    fresh_server: Server, open_page: Any, line_device: Attach
) -> None:
    server = fresh_server
    server.set_up()
    token = server.add("wall")
    device = line_device(server, token)
    device.say("temp=20")
    page = open_page(server, f"/dashboards/{make_board(server, 'Wall', value('a', 'wall'))}?kiosk=1")
    page.get_by_text("20").first.wait_for()
    assert page.locator("header.top, nav").count() == 0
    device.close()
    server.stop()
    page.get_by_text("Connection lost").first.wait_for()
    server.start()
    device = line_device(server, token)
    device.say("temp=23")
    page.locator(".card-value").get_by_text("23").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Edit").wait_for()


def test_a_link_shows_one_dashboard_to_a_stranger_until_it_is_removed(
    server: Server, open_page: Any, line_device: Attach
) -> None:
    device = line_device(server, server.add("shown-1"))
    device.say("temp=20 private=7")
    act = {"does": "command", "method": "fan"}
    switch = {"kind": "switch", "id": "s", "device": "shown-1", "key": "temp", "title": "Fan", "act": act}
    chart = {"kind": "chart", "id": "h", "series": [{"device": "shown-1", "key": "temp"}], "span_s": 900}
    board = make_board(server, "Hall", value("a", "shown-1"), chart, switch)
    page = open_page(server, f"/dashboards/{board}")
    page.get_by_role("button", name="Actions for this dashboard").click()
    page.get_by_role("menuitem", name="Share by a link").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("For whom or where").fill("Screen")
    dialog.get_by_role("button", name="Make a link").click()
    address = dialog.locator(".code pre").inner_text()

    stranger = open_page(server, "")
    stranger.context.clear_cookies()
    stranger.goto(address)
    stranger.locator("[data-card=a] .card-value").get_by_text("20").wait_for()
    stranger.locator("[data-card=h] .u-over").wait_for()
    device.say("temp=21")
    stranger.locator("[data-card=a] .card-value").get_by_text("21").wait_for()
    expect(stranger.get_by_role("switch")).to_be_disabled()
    expect(stranger.locator("a")).to_have_count(0)
    dialog.get_by_role("button", name="Remove the link Screen").click()
    stranger.get_by_role("heading", name="This link is over").wait_for()


def test_a_viewer_may_look(server: Server, open_page: Any) -> None:
    server.call("POST", f"/v1/{server.add('seen')}/telemetry", {"temp": 20})
    act = {"does": "command", "method": "fan"}
    switch = {"kind": "switch", "id": "s", "device": "seen", "title": "Fan", "act": act}
    board = make_board(server, "Look", value("a", "seen"), switch)
    made = server.call("POST", "/users", {"name": "vera", "password": "correct horse 2", "role": "viewer"})
    assert made
    page = open_page(server, "")
    page.context.clear_cookies()
    page.goto(f"{server.url}/login?next=/dashboards/{board}")
    page.get_by_label("Name").fill("vera")
    page.get_by_label("Password", exact=True).fill("correct horse 2")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Look").wait_for()
    page.locator("[data-card=a] .card-value").get_by_text("20").wait_for()  # the device is loaded: now it would work
    expect(page.get_by_role("switch", name="Fan")).to_be_disabled()
    expect(page.get_by_role("button", name="Edit")).to_have_count(0)
