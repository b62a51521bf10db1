"""Every screen in both themes and languages, narrow and wide: accessible, within the policy, nothing cut off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import LineDevice, Server, expect

AXE = (Path(__file__).parent / "vendor/axe.min.js").read_text("utf-8")
WIDTHS = (320, 390, 820, 1280)
CUT_OFF_MS = 60_000
"""What is still wider than the screen by then stays so."""

SCREENS: dict[str, Callable[[Any, Server], None]] = {
    "login": lambda page, server: (page.context.clear_cookies(), page.goto(server.url + "/login")),
    "home": lambda page, server: page.goto(server.url + "/"),
    "devices": lambda page, server: page.goto(server.url + "/devices"),
    "cards": lambda page, server: (
        page.goto(server.url + "/devices"),
        page.locator(".segments.icons button").last.click(),
    ),
    "pin": lambda page, server: (
        page.goto(server.url + "/devices/shown"),
        page.locator(".chart-acts button").first.click(),
    ),
    "phone": lambda page, server: (
        page.goto(server.url + "/devices/shown"),
        page.locator(".device-menu button").click(),
        page.locator("[role=menuitem]").nth(2).click(),
    ),
    "add": lambda page, server: (page.goto(server.url + "/devices"), page.locator(".page-head .button").click()),
    "device": lambda page, server: page.goto(server.url + "/devices/shown"),
    "device-log": lambda page, server: page.goto(server.url + "/devices/shown/log"),
    "device-settings": lambda page, server: page.goto(server.url + "/devices/shown/settings"),
    "columns": lambda page, server: (
        page.goto(server.url + "/devices"),
        page.locator(".toolbar-end > button").last.click(),
    ),
    "filter-help": lambda page, server: (
        page.goto(server.url + "/devices?q=temp>hot"),
        page.locator(".toolbar-end button").first.click(),
    ),
    "selected": lambda page, server: (
        page.goto(server.url + "/devices"),
        page.locator("tbody input[type=checkbox]").first.check(),
        page.locator(".selection-bar .button").first.click(),
    ),
    "export": lambda page, server: (
        page.goto(server.url + "/devices"),
        page.locator("tbody input[type=checkbox]").first.check(),
        page.locator(".selection-bar .button").nth(2).click(),
    ),
    "new-device": lambda page, server: page.goto(server.url + "/devices/silent"),
    "delete": lambda page, server: (
        page.goto(server.url + "/devices/shown"),
        page.locator(".device-menu button").click(),
        page.locator("[role=menuitem].danger").click(),
    ),
    "menu": lambda page, server: (page.goto(server.url + "/devices"), page.locator(".top-end button").last.click()),
    "missing": lambda page, server: page.goto(server.url + "/nowhere"),
    "alerts": lambda page, server: page.goto(server.url + "/alerts"),
    "history": lambda page, server: page.goto(server.url + "/alerts/history"),
    "rules": lambda page, server: page.goto(server.url + "/alerts/rules"),
    "rule": lambda page, server: page.goto(server.url + "/alerts/rules/too-hot"),
    "new-rule": lambda page, server: page.goto(server.url + "/alerts/new-rule?template=silent"),
    "channels": lambda page, server: page.goto(server.url + "/alerts/channels"),
    "add-channel": lambda page, server: (
        page.goto(server.url + "/alerts/channels"),
        page.locator(".page-head .button").click(),
    ),
    "quiet": lambda page, server: page.goto(server.url + "/alerts/quiet-hours"),
    "dashboards": lambda page, server: page.goto(server.url + "/dashboards"),
    "dashboard": lambda page, server: page.goto(board_of(page, server)),
    "edit-dashboard": lambda page, server: page.goto(board_of(page, server) + "?edit=1"),
    "add-card": lambda page, server: (
        page.goto(board_of(page, server) + "?edit=1"),
        page.locator("#add-card").click(),
    ),
    "label": lambda page, server: page.goto(server.url + "/dashboards/label/site%3Agreenhouse"),
    "kiosk": lambda page, server: page.goto(board_of(page, server) + "?kiosk=1"),
    "share": lambda page, server: (
        page.goto(board_of(page, server)),
        page.locator(".page-head .menu-anchor button").click(),
        page.locator("[role=menuitem]").first.click(),
    ),
    "people": lambda page, server: page.goto(server.url + "/people"),
    "add-person": lambda page, server: (
        page.goto(server.url + "/people"),
        page.locator(".page-head .button").click(),
    ),
    "tokens": lambda page, server: page.goto(server.url + "/people/tokens"),
    "add-token": lambda page, server: (
        page.goto(server.url + "/people/tokens"),
        page.locator(".page-head .button").click(),
    ),
    "sessions": lambda page, server: page.goto(server.url + "/people/sessions"),
    "account": lambda page, server: page.goto(server.url + "/account"),
    "activity": lambda page, server: page.goto(server.url + "/activity"),
    "system": lambda page, server: page.goto(server.url + "/system"),
    "settings": lambda page, server: page.goto(server.url + "/settings"),
    "palette": lambda page, server: (
        page.goto(server.url + "/devices"),
        page.locator(".device-name").first.wait_for(),
        page.keyboard.press("Control+k"),
        page.locator("[role=option]").first.wait_for(),
        page.keyboard.type("s"),
    ),
    "shared-over": lambda page, server: page.goto(server.url + "/shared#nothing"),
}
READY = {
    "login": ".gate-card",
    "home": ".event-words",
    "devices": ".spark-line",
    "cards": ".tile .spark-line",
    "pin": "dialog[open] select",
    "phone": ".qr",
    "add": "dialog[open]",
    "device": ".u-over",
    "device-log": ".sessions tr",
    "device-settings": ".fields input",
    "columns": ".choices",
    "filter-help": ".filter-examples",
    "selected": "#label-key",
    "export": "#export-span",
    "new-device": ".empty",
    "delete": "dialog[open]",
    "menu": "[role=menu]",
    "missing": ".empty",
    "alerts": ".alert",
    "history": ".rows",
    "rules": ".rule",
    "rule": ".trial .u-over",
    "new-rule": ".trial-said strong",
    "channels": ".channel",
    "add-channel": "dialog[open]",
    "quiet": ".quiet",
    "dashboards": ".board-tile",
    "dashboard": ".board .u-over",
    "edit-dashboard": ".card-tools",
    "add-card": "dialog[open]",
    "label": ".board .u-over",
    "kiosk": ".kiosk .u-over",
    "share": ".link-row",
    "people": ".people li",
    "add-person": "dialog[open] .pick",
    "tokens": ".people li",
    "add-token": "dialog[open] .pick",
    "sessions": ".people li",
    "account": ".people li",
    "activity": ".deed",
    "system": ".system-backups, .system-grid .hint",
    "settings": ".settings select",
    "palette": "[role=option]",
    "shared-over": ".gate .empty",
}


def furnish_alerts(server: Server, device: LineDevice) -> None:
    """An alert that fires and one that ended, rules on and off, a channel, quiet hours."""
    when = {"key": "temp", "is": "above", "value": 22, "until": 20}
    server.call("POST", "/rules", {"name": "Too hot", "when": when, "scope": "label:site=greenhouse"})
    door = {"key": "door", "is": "equal", "value": True}
    server.call("POST", "/rules", {"name": "Door open", "when": door, "severity": "info"})
    dry = {"key": "hum", "is": "below", "value": 1}
    server.call("POST", "/rules", {"name": "Dry", "when": dry, "severity": "critical", "enabled": False})
    device.say("temp=23 door=true")
    device.say("door=false")
    settings = {"topic": "greenhouse", "server": "http://127.0.0.1:9"}
    server.call("POST", "/channels", {"name": "Ada's phone", "kind": "ntfy", "settings": settings})
    night = {"begins": "22:00", "ends": "07:00", "time_zone": "Europe/Berlin"}
    server.call("PUT", "/quiet-hours", {"items": [night]})


def furnish_people(server: Server) -> None:
    """People of each role, one limited and one who may not sign in; tokens; and things done and refused."""
    limited = {"name": "Bob", "password": "correct horse", "role": "operator", "labels": ["site:greenhouse", "row"]}
    server.call("POST", "/users", limited)
    server.call("POST", "/users", {"name": "老王", "password": "correct horse"})
    server.call("PATCH", "/users/%E8%80%81%E7%8E%8B", {"disabled": True})
    server.call("POST", "/tokens", {"name": "grafana", "labels": ["site:greenhouse"], "expires_s": 864_000})
    server.call("POST", "/tokens", {"name": "node-red", "role": "admin"})


def board_of(page: Any, server: Server) -> str:
    """Address of the furnished dashboard."""
    return f"{server.url}/dashboards/{server.call('GET', '/dashboards')['items'][0]['id']}"


def furnish_dashboard(server: Server) -> None:
    """A dashboard with a card of each kind, and a link to it."""
    shown = {"device": "shown"}
    act = {"does": "command", "method": "blink"}
    cards = [
        {"kind": "text", "id": "a", "size": "l", "title": "Greenhouse", "text": "Two\nlines"},
        {"kind": "value", "id": "b", "key": "temp", **shown},
        {"kind": "value", "id": "c", "key": "door", **shown},
        {"kind": "gauge", "id": "d", "key": "hum", "warn": 50, "bad": 90, **shown},
        {"kind": "chart", "id": "e", "size": "m", "series": [shown | {"key": "temp"}, shown | {"key": "hum"}]},
        {"kind": "switch", "id": "f", "key": "door", "act": act, **shown},
        {"kind": "button", "id": "g", "title": "Blink", "act": act, **shown},
        {"kind": "slider", "id": "h", "title": "Limit", "act": {"does": "attribute", "key": "limit"}, **shown},
        {"kind": "choice", "id": "i", "title": "Mode", "act": act, "values": ["auto", 1, False], **shown},
        {"kind": "value", "id": "j", "key": "temp", "device": "gone"},
    ]
    board = server.call("POST", "/dashboards", {"name": "Greenhouse", "cards": cards})
    server.call("POST", f"/dashboards/{board['id']}/links", {"name": "Hall"})


@pytest.fixture(scope="module")
def furnished(server: Server) -> Iterator[Server]:
    """A device with numbers, states, a command and attributes; and one that has said nothing."""
    device = LineDevice(server, server.add("shown", site="greenhouse", row="north"))
    device.say('temp=21.5 hum=60 door=true note="half open"')
    device.say("temp=22.5 hum=61")
    device.say("ATTR fw=1.2 model=esp32")
    server.add("silent")
    furnish_alerts(server, device)
    furnish_dashboard(server)
    furnish_people(server)
    server.call("POST", "/devices/silent/commands", {"method": "wake", "ttl_s": 600})
    server.call("POST", "/devices/shown/commands", {"method": "blink", "params": {"pin": 4}})
    number = device.read().split(" ")[0]
    device.lines.write(f"{number} ERR no such pin\n")
    device.lines.flush()
    yield server
    device.close()


@pytest.mark.parametrize(("scheme", "locale"), [("light", "en-GB"), ("dark", "zh-CN")])
@pytest.mark.parametrize("screen", SCREENS)
def test_screen(furnished: Server, open_page: Any, screen: str, scheme: str, locale: str) -> None:
    page = open_page(furnished, "/nowhere", locale=locale, color_scheme=scheme, reduced_motion="reduce")
    SCREENS[screen](page, furnished)
    page.locator(READY[screen]).first.wait_for(state="attached")
    page.evaluate("document.fonts.ready")
    assert page.evaluate("document.documentElement.lang") == {"en-GB": "en"}.get(locale, locale)
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [
        (violation["id"], [node["html"][:160] for node in violation["nodes"]]) for violation in found["violations"]
    ] == []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 844})
        # Charts take their new width a frame later.
        page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width, timeout=CUT_OFF_MS)


def test_a_chosen_theme_and_language_stay(furnished: Server, open_page: Any) -> None:
    page = open_page(furnished, "/devices/shown", color_scheme="light")
    page.locator(".u-over").first.wait_for()
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("menuitemradio", name="Dark").click()
    expect(page.locator("html")).to_have_css("color-scheme", "dark")
    page.get_by_role("button", name="Language").click()
    page.get_by_role("menuitemradio", name="简体中文").click()
    page.get_by_role("heading", name="指令").wait_for()
    page.reload()
    page.get_by_role("heading", name="指令").wait_for()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_touch_targets_are_large_enough(furnished: Server, open_page: Any) -> None:
    page = open_page(furnished, "/devices", width=390, height=844, has_touch=True, is_mobile=True)
    page.locator(".metric").first.wait_for(state="attached")
    page.locator(".page-head .button").wait_for()
    buttons = page.locator("header button:visible, .page-head .button:visible").all()
    assert len(buttons) >= 4
    for button in buttons:
        box = button.bounding_box()
        assert min(box["width"], box["height"]) >= 44


@pytest.mark.parametrize("width", [320, 390])
def test_snippets_are_whole_on_a_narrow_screen(server: Server, open_page: Any, width: int) -> None:
    page = open_page(server, "/devices", width=width, height=844, has_touch=True, is_mobile=True)
    page.locator(".search").wait_for()
    expect(page.locator(".search kbd"), "a key is no hint without a keyboard").to_be_hidden()
    page.locator(".page-head .button").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Add device").click()
    dialog.locator(".code pre").wait_for()
    *snippets, simulated = dialog.locator(".segments button").all()
    assert len(snippets) >= 7
    for tab in snippets:
        tab.click()
        expect(tab).to_have_attribute("aria-pressed", "true")
        for part in (".chips-scroll", ".code pre"):
            box = dialog.locator(part)
            assert box.evaluate("box => box.scrollWidth - box.clientWidth") == 0, "nothing is cut off"
        code, copy = dialog.locator(".code pre").bounding_box(), dialog.locator(".code button").bounding_box()
        assert code["x"] + code["width"] <= copy["x"], "the button is beside the text"
    simulated.click()
    box = dialog.locator(".simulate")
    assert box.evaluate("box => box.scrollWidth - box.clientWidth") == 0, "nothing is cut off"
    page.keyboard.press("Escape")
