"""The system page, the palette and the settings, as a person meets them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hardpoint.web.diagnostics import unpack

from .conftest import WAIT_S, LineDevice, Server, expect

Attach = Callable[[Server, str], LineDevice]


def open_palette(page: Any) -> Any:
    """By its keys; the keyboard, when the box has the focus."""
    page.keyboard.press("Control+k")
    page.locator("[role=combobox]:focus").wait_for()
    return page.keyboard


def test_the_system_page_counts_and_backs_up(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("counted"))
    page = open_page(server, "/system")
    page.get_by_text("All parts work").wait_for()
    page.get_by_role("row").filter(has_text=f"127.0.0.1:{server.ports['line']}").wait_for()
    page.locator(".pairs div").filter(has_text="line").get_by_text("1", exact=True).wait_for()
    device.say("temp=1 hum=2")
    device.say("nonsense")
    page.locator(".pairs div").filter(has_text="unknown_verb").wait_for()
    page.locator(".system-tile .spark-line").first.wait_for(state="attached")
    page.get_by_role("button", name="Back up now").click()
    page.locator(".system-backups li").wait_for()
    with page.expect_download() as copied:
        page.get_by_role("link", name="Fetch hardpoint-").click()
    assert Path(copied.value.path()).read_bytes().startswith(b"SQLite format 3")
    page.get_by_role("button", name="Remove hardpoint-").click()
    page.get_by_text("No copy is kept yet.").wait_for()
    with page.expect_download() as bundle:
        page.get_by_role("link", name="Diagnostics").click()
    assert "health.json" in unpack(Path(bundle.value.path()).read_bytes())
    with page.expect_download() as unnamed:
        page.get_by_role("link", name="without names of devices").click()
    assert b"Names of devices are left out" in unpack(Path(unnamed.value.path()).read_bytes())["README.txt"]


def doctor(server: Server) -> list[dict[str, str]]:
    """What the command finds on the same machine and folder, as far as it needs somebody."""
    command = [sys.executable, "-m", "hardpoint", "doctor", "--json", "--data", str(server.folder / "data")]
    found = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    return [check for check in json.loads(found.stdout)["checks"] if check["status"] in ("warn", "fail")]


def test_the_system_page_says_what_the_doctor_says(fresh_server: Server, open_page: Any) -> None:
    server = fresh_server
    server.set_up()
    data = server.folder / "data"
    data.chmod(0o755)
    page = open_page(server, "/system")
    [opened] = [check for check in doctor(server) if check["id"] == "data"]
    finding = page.locator(".finding", has_text="Others can read the data folder")
    finding.get_by_text(opened["seen"], exact=True).wait_for()
    finding.get_by_text(opened["fix"], exact=True).wait_for()
    data.chmod(0o700)
    page.get_by_role("button", name="Look again").click()
    expect(finding).to_have_count(0)
    # What else this machine lacks is not ours to say, but both say it.
    titles = page.locator(".finding, .checkup-well")
    titles.first.wait_for()
    expect(page.locator(".finding")).to_have_count(len(doctor(server)))


def test_a_machine_that_is_well_has_one_line(server: Server, open_page: Any) -> None:
    page = open_page(server, "")
    fine = {"id": "space", "status": "ok", "seen": "100.00 GiB free", "fix": None}
    odd = {"id": "clock", "status": "warn", "seen": "not synchronised", "fix": "timedatectl set-ntp true"}
    unmade = {"id": "tls", "status": "warn", "seen": "could not be checked: OSError: x", "fix": None}
    answers = [
        {"at": 0, "done": False, "ok": True, "checks": [fine]},
        {"at": 0, "done": True, "ok": True, "checks": [fine, {**fine, "status": "skip"}]},
        {"at": 0, "done": True, "ok": True, "checks": [fine, unmade, odd, {**odd, "id": "data", "status": "fail"}]},
    ]
    page.route("**/api/system/checks*", lambda route: route.fulfill(json=answers.pop(0) if answers else odd))
    page.goto(server.url + "/system")
    page.get_by_text("1 check is done, the next one takes long…").wait_for()
    page.get_by_text("Nothing on this machine needs you: 2 checks").wait_for()
    expect(page.locator(".finding")).to_have_count(0)
    page.get_by_role("button", name="Look again").click()
    page.get_by_role("heading", name="3 things on this machine need you").wait_for()
    titles = ["Wrong: The data folder cannot be used", "To be seen to: tls: could not be checked"]
    expect(page.locator(".finding h3")).to_have_text([*titles, "To be seen to: Nothing sets the clock right"])


def test_listeners_without_tls_on_the_network_are_told_of(server: Server, open_page: Any) -> None:
    page = open_page(server, "")
    urls = ["line://0.0.0.0:9000", "mqtt://[::]:1883", "http://127.0.0.1:8080", "lines://0.0.0.0:9443", "unix:/x"]

    def answer(route: Any) -> None:
        system = server.call("GET", "/system")
        system["health"]["listeners"] = [{"url": url, "port": 1, "connections": 0} for url in urls]
        route.fulfill(json=system)

    page.route("**/api/system", answer)
    page.goto(server.url + "/system")
    page.get_by_text("2 listeners are open to the network without TLS").wait_for()
    urls[:2] = []
    page.get_by_role("row").filter(has_text="line://").wait_for(state="detached")
    expect(page.get_by_text("without TLS")).to_have_count(0)


def test_the_limit_of_the_store_is_foretold(server: Server, open_page: Any) -> None:
    page = open_page(server, "")
    plan = {"at": 0, "max_bytes": 2e9, "freed_bytes": 0, "rules": [], "steps": [], "more_steps": 0}
    answers = [
        {**plan, "size_bytes": 1e9, "days_to_max": 12.0},
        {**plan, "size_bytes": 1e9, "days_to_max": None},
        {**plan, "size_bytes": 2e9, "days_to_max": 0.0},
    ]
    page.route("**/api/store/plan*", lambda route: route.fulfill(json=answers.pop(0)))
    for said in (
        "At the present rate the store has 2 GB, all that it may, in 12 days.",
        "The oldest readings are thinned and dropped when the store has 2 GB.",
        "The store has all that it may, 2 GB: the oldest readings are thinned and dropped.",
    ):
        page.goto(server.url + "/system")
        page.get_by_text(said).wait_for()
        page.get_by_text("Nothing is thinned or dropped in the next week.").wait_for()


def test_everything_is_reached_by_the_palette_alone(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("heater", room="cellar"))
    page = open_page(server, "/devices")
    page.get_by_role("link", name="heater").wait_for()
    open_palette(page).type("send heat")
    page.get_by_role("option", name="Send a command to heater", selected=True).wait_for()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="heater").wait_for()
    page.locator("#command-method:focus").wait_for()
    page.keyboard.type("warm")
    page.keyboard.press("Enter")
    assert device.read().endswith("warm null")
    open_palette(page).type("cellar")
    page.get_by_role("option", name="room: cellar").click()
    page.get_by_role("heading", name="room: cellar").wait_for()
    open_palette(page).type("no such thing anywhere")
    page.get_by_text("Nothing is called so").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    open_palette(page).type("system")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="System", exact=True).wait_for()


MOST_TABS = 60
"""More than any of our pages has stops."""


def tab_to(page: Any, label: str) -> None:
    """Press Tab until what has that label has the focus."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('aria-label')") == label:
            return
    raise AssertionError(f"nothing called {label!r} can be reached by Tab")


def test_from_the_palette_to_a_muted_alert_without_a_mouse(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("furnace"))
    rule = {"name": "Overheated", "when": {"key": "heat", "is": "above", "value": 90}, "scope": "device:furnace"}
    server.call("POST", "/rules", rule)
    device.say("heat=99")
    page = open_page(server, "/devices")
    page.get_by_role("link", name="furnace").wait_for()
    open_palette(page).type("furnace")
    page.get_by_role("option", name="furnace Device", selected=True).wait_for()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="furnace").wait_for()
    page.locator("#command-method").wait_for()
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "command-method":
            break
    page.keyboard.type("cool")
    page.keyboard.press("Enter")
    assert device.read().endswith("cool null")
    open_palette(page).type("alerts")
    page.get_by_role("option", name=re.compile("^Alerts"), selected=True).wait_for()
    page.keyboard.press("Enter")
    page.locator(".alert").wait_for()
    tab_to(page, "Mute Overheated")
    page.keyboard.press("Enter")
    page.locator("[role=menuitem]:focus").wait_for()
    page.keyboard.press("Enter")
    page.get_by_text("muted until").wait_for()


def test_times_and_units_are_shown_as_chosen(server: Server, open_page: Any, line_device: Attach) -> None:
    device = line_device(server, server.add("warm"))
    device.say("temp=20")
    page = open_page(server, "/settings", timezone_id="Europe/Berlin")
    page.get_by_label("Time zone").select_option("Asia/Shanghai")
    page.get_by_label("Clock").select_option("h12")
    page.get_by_label("Temperatures").select_option("°F")
    page.get_by_text("As in 70.7 °F").wait_for()
    page.locator(".hint").filter(has_text=re.compile("[AP]M$")).wait_for()
    page.goto(server.url + "/devices/warm")
    page.locator(".chart-value").get_by_text("68").wait_for()
    page.reload()
    page.locator(".chart-value").get_by_text("°F").wait_for()
    begin = 1_795_399_200_000  # 2026-11-23T02:00Z, ten o'clock in Shanghai
    page.goto(f"{server.url}/devices/warm?from={begin}&to={begin + 3_600_000}")
    page.get_by_role("button", name="Range…").click()
    expect(page.get_by_label("From")).to_have_value("2026-11-23T10:00")
    page.get_by_label("To", exact=True).fill("2026-11-23T12:30")
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_url(f"**/devices/warm?from={begin}&to={begin + 9_000_000}")


def test_single_keys_can_be_switched_off(server: Server, open_page: Any) -> None:
    page = open_page(server, "/settings")
    page.get_by_label("Single keys do something").uncheck()
    page.get_by_role("heading", name="Settings").click()
    page.keyboard.press("?")
    page.keyboard.press("g")
    page.keyboard.press("d")
    page.keyboard.press("Control+k")
    page.get_by_role("dialog", name="Find and do").wait_for()
    assert page.url.endswith("/settings")
