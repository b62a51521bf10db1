"""The device list: live rows, filters, keys, and names that try to be markup."""

from __future__ import annotations

import re
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from .conftest import LineDevice, Server, expect

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
    expect(row(page, "alpha")).to_have_count(1)
    page.wait_for_url("**q=site%3Aba*")
    page.reload()
    row(page, "alpha").wait_for()
    expect(row(page, "beta")).to_have_count(0)
    page.get_by_role("button", name="Never seen").click()
    page.wait_for_url("**is=never*")
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
    for region in ("States", "State history"):  # latest, and in the strip of what it has been
        page.get_by_role("region", name=region).get_by_text("<img src=x onerror=alert(2)>").first.wait_for()
    assert page.locator("main img, main b").count() == 0


def described(number: int) -> dict[str, Any]:
    presence = {
        "connected": None,
        "last_seen": None,
        "last_reading": None,
        "expected_every_s": None,
        "expected_set": False,
        "late": False,
        "silent": False,
    }
    latest = {"temp": {"value": number % 50, "ts": 1_700_000_000_000}}
    name = f"zz-{number:04}"
    return {"id": name, "name": name, "labels": {}, "created": 0, "presence": presence, "latest": latest}


def test_thousands_of_rows_cost_a_few_screens(server: Server, open_page: Any) -> None:
    page = open_page(server, "")

    def answer(route: Any) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        begin = int(query.get("cursor", ["0"])[0])
        end = min(begin + int(query["limit"][0]), 4_000)
        page_of = {"items": [described(n) for n in range(begin, end)], "total": 4_000}
        route.fulfill(json=page_of | {"next_cursor": str(end) if end < 4_000 else None})

    page.route("**/api/devices?*", answer)
    page.route("**/readings?*", lambda route: route.fulfill(json={"key": "temp", "agg": "raw", "points": []}))
    page.goto(server.url + "/devices")
    row(page, "zz-0000").wait_for()
    expect(page.locator("table.devices")).to_have_attribute("aria-rowcount", "4001")
    assert page.locator("tbody tr").count() <= 120
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    row(page, "zz-3999").wait_for()
    assert row(page, "zz-3999").get_attribute("aria-rowindex") == "4001"
    assert page.locator("tbody tr").count() <= 160
    row(page, "zz-0000").wait_for(state="detached")
    page.get_by_role("searchbox").fill("temp>48 name~zz-3")
    row(page, "zz-3049").wait_for()
    expect(page.locator("tbody tr")).to_have_count(20)
    page.get_by_role("button", name="Device", exact=True).click()
    page.locator("th[aria-sort=descending]").wait_for()
    expect(page.locator("tbody tr .device-name").first).to_have_text("zz-3999")


def test_the_filter_follows_readings_and_says_what_is_wrong(
    server: Server, open_page: Any, line_device: Attach
) -> None:
    cold, hot = (line_device(server, server.add(name)) for name in ("cold-one", "hot-one"))
    cold.say("warmth=10")
    hot.say("warmth=40")
    page = open_page(server, "/devices?q=warmth>30")
    row(page, "hot-one").wait_for()
    expect(row(page, "cold-one")).to_have_count(0)
    page.get_by_role("searchbox").fill("warmth>hot")
    error = page.locator("#filter-error")
    expect(error).to_have_text(re.compile(r"^warmth> is followed by a number.* \(column 1\)\.$"))
    expect(row(page, "hot-one"), "what was last right goes on").to_have_count(1)
    expect(row(page, "cold-one")).to_have_count(0)
    page.get_by_role("searchbox").fill("warmth<30")
    row(page, "cold-one").wait_for()
    row(page, "hot-one").wait_for(state="detached")
    expect(error).to_have_count(0)
    page.get_by_role("button", name="How to filter").click()
    page.get_by_role("dialog").get_by_role("button", name="is:late,offline").click()
    expect(page.get_by_role("searchbox")).to_have_value("is:late,offline")
    with pytest.raises(urllib.error.HTTPError, match="400"):
        server.call("GET", "/devices?filter=is:gone")
    assert [each["id"] for each in server.call("GET", "/devices?filter=warmth%3E30")["items"]] == ["hot-one"]


def test_columns_and_order_are_kept(server: Server, open_page: Any, line_device: Attach) -> None:
    for name, level, site in (("col-a", 2, "east"), ("col-b", 10, "west"), ("col-c", 1, "east")):
        line_device(server, server.add(name, site=site)).say(f"level={level}")
    page = open_page(server, "/devices?q=name:col-")
    row(page, "col-a").wait_for()
    page.get_by_role("button", name="Columns").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Latest values").uncheck()
    dialog.get_by_label("level", exact=True).check()
    dialog.get_by_label("site", exact=True).check()
    dialog.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="level", exact=True).click()
    names = page.locator(".device-name")
    expect(names, "as numbers").to_have_text(["col-c", "col-a", "col-b"])
    page.get_by_role("button", name="level", exact=True).click()
    page.locator("th[aria-sort=descending]").wait_for()
    expect(names).to_have_text(["col-b", "col-a", "col-c"])
    page.reload()
    expect(names).to_have_text(["col-b", "col-a", "col-c"])
    heads = [head.split()[0] for head in page.locator("thead th").all_inner_texts() if head]
    assert heads == ["Device", "Presence", "Last", "From", "level", "site"]
    assert row(page, "col-b").locator("td").last.inner_text() == "west"
    page.get_by_role("button", name="Columns").click()
    dialog.get_by_role("button", name="The usual ones").click()
    dialog.get_by_role("button", name="Done").click()
    page.get_by_role("columnheader", name="Latest values").wait_for()


def test_what_is_done_to_many(server: Server, open_page: Any, line_device: Attach) -> None:
    devices = [line_device(server, server.add(f"many-{n}", old="yes")) for n in range(3)]
    page = open_page(server, "/devices?q=many-")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.get_by_label("Select many-1").check()
    page.get_by_text("1 selected").wait_for()
    page.get_by_label("Select all that are listed").check()
    page.get_by_text("3 selected").wait_for()

    page.get_by_role("button", name="Command…").click()
    page.get_by_role("dialog").get_by_label("Method").fill("blink")
    page.get_by_role("dialog").get_by_label("Parameters").fill("times=2")
    page.get_by_role("dialog").get_by_role("button", name="Send").click()
    page.get_by_text("blink was sent to 3 devices.").wait_for()
    assert all(re.fullmatch(r'!\d+ blink {"times":2}', device.read()) for device in devices)
    page.get_by_text("3 selected").wait_for(state="detached")

    page.get_by_label("Select all that are listed").check()
    page.get_by_role("button", name="Label…").click()
    page.get_by_role("dialog").get_by_label("Label", exact=True).fill("room")
    page.get_by_role("dialog").get_by_label("Value").fill("attic")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    row(page, "many-2").get_by_text("room: attic").wait_for()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("room: attic")).to_have_count(0)
    assert server.call("GET", "/devices/many-0")["labels"] == {"old": "yes"}

    page.get_by_label("Select many-0").check()
    page.get_by_label("Select many-2").check()
    page.get_by_role("button", name="Mute the selected devices").click()
    page.get_by_role("menuitem", name="Mute for 1 h").click()
    page.get_by_text("2 devices are muted.").wait_for()
    muted = [bool(server.call("GET", f"/devices/many-{n}")["muted_until"]) for n in range(3)]
    assert muted == [True, False, True]
    for n, device in enumerate(devices):
        device.say(f"weight={n}")
    page.get_by_role("button", name="Export…").click()
    page.get_by_label("Of the last").select_option("7 days")
    with page.expect_download() as exported:
        page.get_by_role("link", name="Download as CSV").click()
    lines = Path(exported.value.path()).read_text().splitlines()
    assert {line.split(",")[1] for line in lines[1:]} == {"many-0", "many-2"}, lines
    page.get_by_role("button", name="Delete…").click()
    delete = page.get_by_role("dialog").get_by_role("button", name="Delete for ever")
    expect(delete).to_be_disabled()
    page.get_by_role("dialog").get_by_label("Type 2 to confirm").fill("2")
    delete.click()
    row(page, "many-0").wait_for(state="detached")
    row(page, "many-2").wait_for(state="detached")
    expect(row(page, "many-1")).to_have_count(1)


SELECT_ALL = "Select all that are listed"


def test_nothing_can_be_selected_before_the_filter_is_there(server: Server, open_page: Any) -> None:
    for name in ("early-in", "early-out"):
        server.add(name)
    page = open_page(server, "")
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/core/filter.mjs", hold)
    page.goto(server.url + "/devices?q=early-in")
    page.get_by_role("group", name="Filter by presence").wait_for()  # the devices are there, the grammar is not
    page.locator("main .loading").wait_for()
    expect(page.get_by_role("checkbox")).to_have_count(0)
    expect(page.locator("[data-id]")).to_have_count(0)
    page.locator("main").press("x")
    held[0].continue_()
    row(page, "early-in").wait_for()
    page.get_by_label(SELECT_ALL).check()
    page.get_by_text("1 selected").wait_for()


def test_what_a_filter_leaves_out_is_not_selected(server: Server, open_page: Any, line_device: Attach) -> None:
    devices = [line_device(server, server.add(f"kept-{n}")) for n in range(3)]
    for device in devices:
        device.say("load=10")
    page = open_page(server, "/devices?q=name:kept load<50")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.get_by_label(SELECT_ALL).check()
    page.get_by_text("3 selected").wait_for()
    devices[2].say("load=90")
    row(page, "kept-2").wait_for(state="detached")
    page.get_by_text("2 selected").wait_for()
    page.get_by_role("searchbox").fill("name:kept-1")
    page.get_by_text("1 selected").wait_for()
    page.get_by_role("searchbox").fill("name:kept")
    expect(page.locator("tbody tr")).to_have_count(3)
    expect(page.locator("tr.selected .device-name"), "what comes back is not selected").to_have_text(["kept-1"])
    page.get_by_role("searchbox").fill("name:kept load<")
    page.locator("#filter-error").wait_for()
    expect(page.get_by_label(SELECT_ALL), "the list is not what the box says").to_be_disabled()
    page.reload()
    page.get_by_role("heading", name="The filter cannot be read").wait_for()
    expect(page.get_by_role("checkbox")).to_have_count(0)
    page.get_by_role("button", name="Clear the filter").click()
    row(page, "kept-0").wait_for()
    expect(page.get_by_label(SELECT_ALL)).to_be_enabled()


def test_a_filter_compares_temperatures_as_they_are_seen(server: Server, open_page: Any, line_device: Attach) -> None:
    for name, degrees in (("mild-one", 20), ("warm-one", 31)):
        line_device(server, server.add(name)).say(f"temp={degrees}")
    american = open_page(server, "/settings")
    american.get_by_label("Temperature").select_option("°F")
    american.goto(server.url + "/devices")
    row(american, "warm-one").get_by_text("87.8").wait_for()
    box = american.get_by_role("searchbox")
    box.press_sequentially("name~-one temp>86")
    row(american, "mild-one").wait_for(state="detached")
    row(american, "warm-one").wait_for()
    expect(box, "as it was typed").to_have_value("name~-one temp>86")
    american.wait_for_url("**temp%3E86%C2%B0F")

    other = open_page(server, american.url.removeprefix(server.url))
    row(other, "warm-one").get_by_text("31").wait_for()
    expect(row(other, "mild-one")).to_have_count(0)
    expect(other.get_by_role("searchbox"), "and says in what").to_have_value("name~-one temp>86°F")
    other.get_by_role("searchbox").fill("name~-one temp>86")
    other.get_by_role("heading", name="No device matches").wait_for()
    other.wait_for_url("**temp%3E86%C2%B0C")
    found = server.call("GET", "/devices?filter=name~-one+temp%3E86%C2%B0F")["items"]
    assert [each["id"] for each in found] == ["warm-one"], "the server reads the link alike"


def test_a_row_says_how_many_of_its_alerts_fire(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("burning", kind="stove"))
    for name, limit in (("Warm", 300), ("Hot", 400)):
        rule = {"name": name, "when": {"key": "heat", "is": "above", "value": limit}, "scope": "label:kind=stove"}
        server.call("POST", "/rules", {**rule, "severity": "critical" if name == "Hot" else "warning"})
    page = open_page(server, "/devices?q=burning")
    row(page, "burning").wait_for()
    device.say("heat=350")
    badge = row(page, "burning").locator(".badge-count")
    expect(badge).to_contain_text("1 alert firing")
    device.say("heat=450")
    expect(badge).to_contain_text("2 alerts firing")
    expect(badge).to_have_class(re.compile("critical"))
    device.say("heat=20")
    expect(badge).to_have_count(0)


def test_on_a_narrow_screen_all_presences_are_at_hand(server: Server, open_page: Any) -> None:
    page = open_page(server, "/devices", width=390, height=844, has_touch=True, is_mobile=True)
    chips = page.locator(".chips-scroll")
    chips.wait_for()
    assert chips.bounding_box()["width"] > 340
    page.locator("tbody input[type=checkbox]").first.check()
    page.get_by_text("1 selected").wait_for()
    none = page.get_by_role("button", name="Select none")
    none.wait_for()
    assert none.bounding_box()["y"] < page.get_by_role("button", name="Label…").bounding_box()["y"]
    page.set_viewport_size({"width": 320, "height": 700})
    page.get_by_role("button", name="Mute the selected devices").click()
    page.get_by_role("menuitem", name="Unmute").wait_for()
    menu = page.get_by_role("menu").bounding_box()
    assert menu["x"] >= 0
    assert menu["x"] + menu["width"] <= 320


def test_rows_have_keys(server: Server, open_page: Any) -> None:
    for name in ("keys-a", "keys-b"):
        server.add(name)
    page = open_page(server, "/devices?q=keys-")
    expect(page.locator("tbody tr")).to_have_count(2)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("tr.selected .device-name")).to_have_text("keys-b")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="keys-a").wait_for()


def test_without_a_mouse(server: Server, open_page: Any) -> None:
    server.add("keyed")
    page = open_page(server, "/devices")
    row(page, "keyed").wait_for()
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keyboard shortcuts").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    page.keyboard.press("n")
    expect(page.get_by_role("dialog", name="Add a device").get_by_label("Name")).to_be_focused()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    page.get_by_role("link", name="keyed").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="keyed").wait_for()
    page.get_by_role("button", name="Actions for this device").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="New token…")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Actions for this device")).to_be_focused()
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


def test_the_list_as_cards_stays_so_and_holds_hundreds(server: Server, open_page: Any) -> None:
    for n in range(60):
        server.add(f"card-{n:02}", deck="cards")
    page = open_page(server, "/devices?q=deck:cards")
    page.get_by_role("button", name="As cards").click()
    page.locator(".tile", has_text="card-00").wait_for()
    expect(page.locator("table.devices")).to_have_count(0)
    expect(page.locator(".tile", has_text="card-59")).to_have_count(0)  # far below: nothing is there but its height
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator(".tile.selected")).to_have_text(re.compile("card-00"))
    page.get_by_text("1 selected").wait_for()
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    page.locator(".tile", has_text="card-59").wait_for()
    page.reload()
    page.locator(".tile", has_text="card-00").wait_for()
    page.get_by_role("button", name="As a table").click()
    page.get_by_role("columnheader", name="Device").wait_for()
