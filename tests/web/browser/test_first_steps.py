"""What a newcomer does: the one-time link, an account, a device, one pasted line, and the reading on screen."""

from __future__ import annotations

import re
import subprocess
from typing import Any

from .conftest import NAME, PASSWORD, WAIT_S, Server, expect


def test_from_the_link_to_a_live_reading(fresh_server: Server, open_page: Any) -> None:
    page = open_page(fresh_server, f"/welcome#{fresh_server.link}")
    page.get_by_role("heading", name="Welcome to Hardpoint").wait_for()
    assert page.url.endswith("/welcome"), "the secret leaves the address bar"
    page.get_by_label("Name").fill(NAME)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()

    page.get_by_role("button", name="Add device").first.click()
    page.get_by_role("dialog").get_by_label("Name").fill("greenhouse 1")
    page.get_by_role("dialog").get_by_role("button", name="Add device").click()
    page.get_by_text("Listening…").wait_for()
    token = page.locator(".token code").inner_text()
    shown = page.locator(".code pre").inner_text()
    assert f"nc 127.0.0.1 {fresh_server.ports['line']}" in shown
    assert token not in shown, "masked on screen"
    line = shown.replace(token[:6] + "•" * 8, token)

    # The line as pasted, with what every machine has in place of nc.
    program = re.sub(r"\| nc (\S+) (\d+)$", r"| { exec 3<>/dev/tcp/\1/\2; cat >&3; cat <&3; }", line)
    answers = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=WAIT_S, check=True).stdout
    assert answers.splitlines()[-2:] == ["OK 1", "BYE"], "the server closes, so that no kind of nc stays"

    page.get_by_text("It works. First reading received").wait_for()
    expect(page.locator(".listening")).to_contain_text("temp = 21.5 °C")
    page.get_by_role("link", name="Open device").click()
    page.get_by_role("heading", name="greenhouse 1").wait_for()
    page.locator(".chart .u-over").wait_for()
    expect(page.locator(".chart-value")).to_contain_text("21.5")


def test_a_link_that_no_longer_works_says_what_does(fresh_server: Server, open_page: Any) -> None:
    link = fresh_server.link
    fresh_server.set_up()
    fresh_server.cookie = ""
    page = open_page(fresh_server, f"/welcome#{link}")
    page.get_by_role("heading", name="This link no longer works").wait_for()
    expect(page.locator(".gate-card p")).to_have_text(["Open the newest link that hardpoint serve printed."])
    expect(page.get_by_role("alert"), "said once").to_have_count(0)
    page.get_by_role("button", name="I have an account").click()
    page.get_by_role("heading", name="Sign in").wait_for()


def test_an_account_half_made_is_finished_first(fresh_server: Server, open_page: Any) -> None:
    fresh_server.call("POST", "/login", {"link": fresh_server.link})
    page = open_page(fresh_server, "/devices")
    page.get_by_role("heading", name="Welcome to Hardpoint").wait_for()
    page.get_by_label("Password", exact=True).fill("short")
    page.get_by_role("button", name="Create account").click()
    assert page.get_by_label("Password", exact=True).evaluate("box => !box.validity.valid")
    assert page.url.endswith("/welcome")


def test_signing_in_leads_back_to_where_one_was_going(server: Server, open_page: Any) -> None:
    server.add("destination")
    cookie, server.cookie = server.cookie, ""
    page = open_page(server, "/devices/destination?range=6h")
    server.cookie = cookie
    page.get_by_label("Name").fill(NAME)
    page.get_by_label("Password", exact=True).fill("wrong horse")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").get_by_text("wrong name or password").wait_for()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password", exact=True).press("Enter")
    page.get_by_role("heading", name="destination").wait_for()
    assert page.url.endswith("/devices/destination?range=6h")


def test_next_never_leads_off_the_site(server: Server, open_page: Any) -> None:
    page = open_page(server, "/login?next=//example.org/")
    page.wait_for_url(server.url + "/")
    page.get_by_role("button", name="Account").wait_for()


def test_signing_out_closes_the_stream_and_the_pages(server: Server, open_page: Any) -> None:
    page = open_page(server, "/devices")
    page.get_by_role("button", name="Account").click()
    page.get_by_role("menuitem", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    page.goto(server.url + "/devices")
    page.get_by_role("heading", name="Sign in").wait_for()
    server.cookie = ""
    server.call("POST", "/login", {"name": NAME, "password": PASSWORD})
