"""From a device's page to a dashboard: what is pinned, where, and what becomes of it when others change it too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .conftest import LineDevice, Server, expect

Attach = Callable[[Server, str], LineDevice]


def cards_of(server: Server, name: str) -> list[dict[str, Any]]:
    board = next(board for board in server.call("GET", "/dashboards")["items"] if board["name"] == name)
    cards: list[dict[str, Any]] = server.call("GET", f"/dashboards/{board['id']}")["cards"]
    return cards


def test_a_chart_makes_a_new_dashboard_and_a_value_joins_it(
    server: Server, open_page: Any, line_device: Attach
) -> None:
    device = line_device(server, server.add("pinned"))
    assert device.say("temp=21.5 note=open") == "OK 2"
    page = open_page(server, "/devices/pinned?range=6h")
    page.get_by_role("button", name="Pin temp to a dashboard").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name of the dashboard").fill("Wall")
    dialog.get_by_role("button", name="Pin", exact=True).click()
    page.get_by_text("Pinned to Wall.").wait_for()
    assert cards_of(server, "Wall") == [
        {
            "kind": "chart",
            "id": "c1",
            "size": "m",
            "title": "",
            "series": [{"device": "pinned", "key": "temp"}],
            "span_s": 21_600,
        }
    ]
    page.get_by_role("button", name="Pin note to a dashboard").click()
    expect(dialog.get_by_label("Dashboard", exact=True)).to_have_value(
        server.call("GET", "/dashboards")["items"][0]["id"]
    )
    dialog.get_by_role("button", name="Pin", exact=True).click()
    page.get_by_role("button", name="Open").last.click()
    page.locator("[data-card=c2] .card-value").get_by_text("open").wait_for()
    page.locator("[data-card=c1] .u-over").wait_for()


def test_a_command_becomes_a_button_and_a_gauge_holds_its_value(
    server: Server, open_page: Any, line_device: Attach
) -> None:
    device = line_device(server, server.add("fan"))
    assert device.say("speed=1250") == "OK 1"
    server.call("POST", "/dashboards", {"name": "Controls", "cards": []})
    server.call("POST", "/devices/fan/commands", {"method": "spin", "params": {"rpm": 900}})
    page = open_page(server, "/devices/fan")
    dialog = page.get_by_role("dialog")
    for name, kind in (("Pin spin as a button", None), ("Pin speed to a dashboard", "Gauge")):
        page.get_by_role("button", name=name).click()
        dialog.get_by_label("Dashboard", exact=True).select_option(label="Controls")
        if kind:
            dialog.get_by_role("button", name=kind).click()
        dialog.get_by_role("button", name="Pin", exact=True).click()
        dialog.wait_for(state="detached")
    button, gauge = cards_of(server, "Controls")
    act = {"does": "command", "method": "spin", "param": ""}
    assert (button["kind"], button["act"], button["value"]) == ("button", act, {"rpm": 900})
    assert (gauge["kind"], gauge["low"], gauge["high"]) == ("gauge", 0, 10_000)


def test_what_somebody_else_pinned_meanwhile_stays(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("shared"))
    assert device.say("temp=21.5") == "OK 1"
    board = server.call("POST", "/dashboards", {"name": "Ours", "cards": []})
    path = f"/dashboards/{board['id']}"
    theirs = {"kind": "text", "id": "c1", "text": "theirs", "size": "s", "title": ""}
    page = open_page(server, "/devices/shared")
    tries: list[int] = []

    def be_faster(route: Any) -> None:
        if route.request.method == "PUT":
            tries.append(1)
            if len(tries) == 1:
                server.call("PUT", path, {"version": board["version"], "name": "Ours", "cards": [theirs]})
        route.continue_()

    page.route(f"**/api{path}", be_faster)
    page.get_by_role("button", name="Pin temp to a dashboard").click()
    page.get_by_role("dialog").get_by_label("Dashboard", exact=True).select_option(label="Ours")
    page.get_by_role("dialog").get_by_role("button", name="Pin", exact=True).click()
    page.get_by_text("Pinned to Ours.").wait_for()
    assert [(card["id"], card["kind"]) for card in cards_of(server, "Ours")] == [("c1", "text"), ("c2", "chart")]
    assert len(tries) == 2


def test_a_viewer_can_pin_nothing(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("looked-at"))
    assert device.say("temp=21.5 note=x") == "OK 2"
    server.call("POST", "/users", {"name": "vera", "password": "correct horse"})
    cookie, server.cookie = server.cookie, ""
    try:
        page = open_page(server, "/login?next=/devices/looked-at")
    finally:
        server.cookie = cookie
    page.get_by_label("Name").fill("vera")
    page.get_by_label("Password", exact=True).fill("correct horse")
    page.keyboard.press("Enter")
    page.locator(".chart-acts button").first.wait_for()  # that shows the readings as a table
    expect(page.get_by_role("button", name="Pin")).to_have_count(0)
