"""Rules and alerts as a person meets them: from a template to an alert that is acknowledged and ends."""

from __future__ import annotations

import csv
import json
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING, Any, Self

from .conftest import WAIT_S, expect

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Server

MINUTE_MS = 60_000


def test_from_a_template_to_an_alert_that_ends(server: Server, open_page: Any, line_device: Any) -> None:
    device = line_device(server, server.add("kettle"))
    now = int(time.time() * 1000)
    points = [[now - (60 - i) * MINUTE_MS, 35 if 20 <= i < 30 else 20] for i in range(60)]
    server.call("POST", "/readings", {"series": [{"device": "kettle", "key": "temp", "points": points}]})

    page = open_page(server, "/alerts/rules")
    page.get_by_role("link", name="Too hot").click()
    page.get_by_text("It would have fired 1 time.").wait_for()
    page.locator(".trial .u-over").wait_for()
    page.get_by_label("For how long", exact=True).fill("20")
    page.get_by_text("It would have fired 0 times.").wait_for()
    page.get_by_label("For how long", exact=True).fill("0")
    page.get_by_role("button", name="Make the rule").click()
    page.get_by_text("temp is above 30 °C").wait_for()

    badge = page.locator(".badge-count")
    expect(badge).to_have_count(0)
    device.say("temp=31")
    badge.get_by_text("1 alert firing").wait_for(state="attached")
    page.get_by_role("link", name="Alerts").click()
    alert = page.locator(".alert")
    expect(alert).to_contain_text("31 °C")
    alert.get_by_role("button", name="Acknowledge").click()
    alert.get_by_text("ada sees to it").wait_for()
    alert.get_by_role("button", name="Mute Too hot").click()
    page.get_by_role("menuitem", name="Mute for 8 h").click()
    alert.get_by_text("muted until").wait_for()

    page.goto(server.url + "/devices/kettle")
    page.locator(".facts-list .state.firing").wait_for()
    device.say("temp=29")
    device.say("temp=27")
    page.locator(".facts-list .state.normal").wait_for()
    page.goto(server.url + "/alerts/history")
    expect(page.locator(".rows tbody tr")).to_contain_text("ada")


def test_alerts_are_acknowledged_together_and_muted_with_their_device(
    server: Server, open_page: Any, line_device: Any
) -> None:
    server.call("POST", "/rules", {"name": "Wet", "when": {"key": "wet", "is": "above", "value": 50}})
    devices = [line_device(server, server.add(f"cellar-{number}")) for number in range(3)]
    for device in devices:
        device.say("wet=60")
    page = open_page(server, "/alerts")
    wet = page.locator(".alert", has_text="Wet")
    expect(wet).to_have_count(3)
    page.get_by_label("Choose Wet on cellar-0").check()
    page.get_by_label("Choose Wet on cellar-1").check()
    page.get_by_text("2 chosen").wait_for()
    page.get_by_role("button", name="Acknowledge them").click()
    page.get_by_text("2 alerts are acknowledged.").wait_for()
    expect(wet.get_by_text("ada sees to it")).to_have_count(2)
    expect(page.get_by_label("Choose Wet on cellar-0")).to_have_count(0)
    firing = server.call("GET", "/alerts?state=firing")["items"]
    open_ones = [one["device"] for one in firing if one["name"] == "Wet" and one["acknowledged"] is None]
    assert open_ones == ["cellar-2"]

    wet.filter(has_text="cellar-0").get_by_role("button", name="Mute Wet").click()
    page.get_by_role("menuitem", name="Mute cellar-0 for 8 h").click()
    wet.get_by_text("its device is muted until").wait_for()
    expect(wet.get_by_text("its device is muted until")).to_have_count(1)
    assert server.call("GET", "/devices/cellar-0")["muted_until"] > time.time() * 1000
    wet.filter(has_text="cellar-1").get_by_role("button", name="Mute Wet").click()
    page.get_by_role("menuitem", name="Mute the rule for 8 h").click()
    expect(wet.get_by_text("its rule is muted until")).to_have_count(3)  # for some seconds longer

    page.goto(server.url + "/devices/cellar-0")
    page.locator(".muted-chip", has_text="Muted until").wait_for()
    page.get_by_role("button", name="Actions").first.click()
    page.get_by_role("menuitem", name="Unmute").click()
    expect(page.locator(".muted-chip")).to_have_count(0)
    assert server.call("GET", "/devices/cellar-0")["muted_until"] is None


def test_a_threshold_is_typed_in_the_unit_that_is_seen(server: Server, open_page: Any, line_device: Any) -> None:
    line_device(server, server.add("oven")).say("warmth=20")
    server.call("PATCH", "/devices/oven/fields", {"warmth": {"label": "Oven air", "unit": "°C"}})
    page = open_page(server, "/login")
    page.evaluate("localStorage.setItem('hardpoint.temperature', '°F')")
    page.goto(server.url + "/alerts/new-rule?scope=device%3Aoven")
    page.get_by_label("Reading", exact=True).fill("warmth")
    page.locator(".box-unit", has_text="°F").first.wait_for()
    page.get_by_label("Value", exact=True).fill("86")
    page.get_by_label("Ends at", exact=True).fill("82.4")
    expect(page.get_by_label("Value", exact=True)).to_have_value("86")
    expect(page.get_by_label("Name")).to_have_attribute("placeholder", "Oven air is above 86 °F")
    page.get_by_role("button", name="Make the rule").click()
    page.get_by_text("Oven air is above 86 °F").first.wait_for()
    [made] = [one for one in server.call("GET", "/rules")["items"] if one["scope"] == "device:oven"]
    assert made["when"] == {"key": "warmth", "is": "above", "value": 30, "until": 28}, "in the device's own unit"

    page.goto(f"{server.url}/alerts/rules/{made['id']}")
    expect(page.get_by_label("Value", exact=True)).to_have_value("86")
    expect(page.get_by_label("Ends at", exact=True)).to_have_value("82.4")
    page.get_by_label("Condition", exact=True).select_option(label="changes by more than")
    page.get_by_label("Difference", exact=True).fill("9")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Oven air changes by more than 9 °F").wait_for()
    assert server.call("GET", f"/rules/{made['id']}")["when"]["by"] == 5, "a difference has no zero to move"


def test_a_refused_rule_names_its_place(server: Server, open_page: Any) -> None:
    page = open_page(server, "/alerts/new-rule?template=hot")
    page.get_by_label("Ends at", exact=True).fill("40")
    page.get_by_role("alert").get_by_text("until is not above value").wait_for()
    page.get_by_role("button", name="Make the rule").click()
    expect(page.locator("[aria-invalid=true]")).to_have_attribute("aria-label", "Ends at")


class Receiver(BaseHTTPRequestHandler):
    """Takes what is posted to /take, refuses the rest. ``server.taken`` has the bodies."""

    server: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/take":
            self.server.taken.put(json.loads(body))
        self.send_response(200 if self.path == "/take" else 403)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: pytest's output is no place for it."""


class Sink(HTTPServer):
    """On a thread of its own while it is entered."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.taken: Queue[dict[str, Any]] = Queue()
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = Thread(target=self.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


def test_a_breach_is_told_to_people_and_so_is_its_end(server: Server, open_page: Any, line_device: Any) -> None:
    """From a template over a device that breaks it to a receiver; between the two thresholds nothing is said."""
    device = line_device(server, server.add("furnace", plant="1"))
    with Sink() as sink:
        hook = {"name": "Siren", "kind": "webhook", "settings": {"url": f"{sink.url}/take"}}
        channel = server.call("POST", "/channels", hook)
        page = open_page(server, "/alerts/new-rule?template=hot")
        page.get_by_label("Name").fill("Furnace too hot")
        page.get_by_label("For how long", exact=True).fill("0")
        page.get_by_label("Devices", exact=True).select_option(label="furnace")
        page.get_by_role("button", name="Siren").click()
        page.get_by_role("button", name="Make the rule").click()
        page.locator(".rule", has_text="Furnace too hot").wait_for()
        for values, event in (((29, 31), "firing"), ((29, 30.5, 29, 27, 29), "resolved")):
            for value in values:
                assert device.say(f"temp={value}") == "OK 1"
            [news] = sink.taken.get(timeout=WAIT_S)["news"]
            alert = news["alert"]
            assert (news["event"], alert["name"], alert["device"]) == (event, "Furnace too hot", "furnace")
        page.goto(server.url + "/alerts/history")
        expect(page.locator(".rows tbody tr", has_text="Furnace too hot")).to_have_count(1)
        [rule] = [one for one in server.call("GET", "/rules")["items"] if one["name"] == "Furnace too hot"]
        server.call("DELETE", f"/rules/{rule['id']}")
        server.call("DELETE", f"/channels/{channel['id']}")


def test_a_channel_is_tried_and_says_what_was_answered(server: Server, open_page: Any) -> None:
    with Sink() as sink:
        page = open_page(server, "/alerts/channels")
        page.get_by_role("button", name="Add channel").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Webhook").click()
        dialog.get_by_label("Name").fill("hook")
        dialog.get_by_label("URL").fill(f"{sink.url}/take")
        dialog.get_by_role("button", name="Save").click()
        page.get_by_role("button", name="Send test").click()
        page.get_by_text("Taken: HTTP 200").wait_for()
        page.get_by_role("button", name="Edit hook").click()
        dialog.get_by_label("URL").fill(f"{sink.url}/refuse")
        dialog.get_by_role("button", name="Save").click()
        dialog.wait_for(state="detached")
        page.get_by_role("button", name="Send test").click()
        page.get_by_text("Not taken: HTTP 403").wait_for()


def test_quiet_hours_are_kept(server: Server, open_page: Any) -> None:
    page = open_page(server, "/alerts/quiet-hours")
    page.get_by_role("button", name="Add quiet hours").click()
    page.get_by_role("button", name="Sun").click()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("The quiet hours were saved.").wait_for()
    [night] = server.call("GET", "/quiet-hours")["items"]
    assert (night["begins"], night["ends"], night["days"]) == ("22:00", "07:00", [0, 1, 2, 3, 4, 5])


def test_the_charts_readings_come_as_a_file(server: Server, open_page: Any, line_device: Any, tmp_path: Path) -> None:
    line_device(server, server.add("filed")).say("temp=21.5")
    page = open_page(server, "/devices/filed")
    page.locator(".u-over").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download these readings as CSV").click()
    download.value.save_as(tmp_path / "filed.csv")
    [head, row] = csv.reader((tmp_path / "filed.csv").read_text("utf-8").splitlines())
    assert head == ["time", "device", "key", "value"]
    assert row[1:] == ["filed", "temp", "21.5"]
