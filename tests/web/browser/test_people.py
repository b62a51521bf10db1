"""People, keys, one's own account and the activity log as a person meets them."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import NAME, WAIT_MS, WAIT_S, expect

if TYPE_CHECKING:
    from .conftest import Server

PASSWORD = "correct horse"


def sign_in(page: Any, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Devices").wait_for()


@pytest.fixture
def stranger(browser: Any) -> Any:
    """Opens a page of somebody who is not signed in, in a browser of their own."""
    contexts = []

    def open_one(server: Server, path: str) -> Any:
        context = browser.new_context(locale="en-GB")
        contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.goto(server.url + path)
        return page

    yield open_one
    for context in contexts:
        context.close()


def test_a_person_who_is_added_sees_just_their_devices(server: Server, open_page: Any, stranger: Any) -> None:
    server.add("north-1", site="north")
    server.add("south-1", site="south")
    page = open_page(server, "/devices")
    page.get_by_role("button", name="Account").click()
    page.get_by_role("menuitem", name="People and keys").click()
    page.get_by_role("button", name="Add a person").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("bob")
    dialog.get_by_role("radio", name="Operator").check()
    dialog.get_by_role("button", name="site:north").click()
    dialog.get_by_label("First password").fill(PASSWORD)
    dialog.get_by_role("button", name="Add a person").click()
    entry = page.locator(".people li", has_text="bob")
    entry.get_by_text("site:north").wait_for()

    bobs = stranger(server, "/login")
    sign_in(bobs, "bob")
    bobs.get_by_text("north-1").first.wait_for()
    expect(bobs.get_by_text("south-1")).to_have_count(0)
    bobs.get_by_role("button", name="Account").click()
    bobs.get_by_role("menuitem", name="Sign out").wait_for()
    expect(bobs.get_by_role("menuitem", name="People and keys")).to_have_count(0)
    bobs.goto(server.url + "/people")
    bobs.get_by_text("This is for administrators").wait_for()

    page.goto(server.url + "/people/sessions")
    session = page.locator(".people li", has_text="bob")
    session.get_by_role("button").click()
    session.wait_for(state="detached")
    bobs.goto(server.url + "/devices")
    bobs.get_by_role("button", name="Sign in").wait_for()

    page.goto(server.url + "/people")
    entry.get_by_role("button", name="Change bob").click()
    page.get_by_role("dialog").get_by_label("May not sign in").check()
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    entry.get_by_text("May not sign in").wait_for()
    entry.get_by_role("button", name="Remove bob").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    entry.wait_for(state="detached")
    page.locator(".people li", has_text="ada").get_by_role("button", name="Remove ada").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    page.get_by_role("alert").get_by_text("nobody else may do everything").wait_for()


def test_a_token_is_shown_once_and_opens_until_it_is_removed(server: Server, open_page: Any) -> None:
    page = open_page(server, "/people/tokens")
    page.get_by_role("button", name="Make a token").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("grafana")
    dialog.get_by_role("button", name="Make a token").click()
    token = dialog.locator(".token code").inner_text()
    dialog.get_by_role("button", name="Done").click()
    request = urllib.request.Request(f"{server.url}/api/devices", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
        assert answer.status == 200
    page.reload()
    entry = page.locator(".people li", has_text="grafana")
    entry.get_by_text("until").wait_for()
    assert token not in page.content()
    entry.get_by_role("button", name="Remove the token grafana").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    entry.wait_for(state="detached")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request, timeout=WAIT_S)


def test_ones_own_password_and_sessions(server: Server, open_page: Any, stranger: Any) -> None:
    server.call("POST", "/users", {"name": "eve", "password": PASSWORD})
    first, second = stranger(server, "/login"), stranger(server, "/login")
    for page in (first, second):
        sign_in(page, "eve")
    first.goto(server.url + "/account")
    first.locator(".people li").nth(1).wait_for()
    first.get_by_label("Current password").fill("wrong")
    first.get_by_label("New password").fill("another horse")
    first.get_by_role("button", name="Change password").click()
    first.get_by_text("This is not your password").wait_for()
    first.get_by_label("Current password").fill(PASSWORD)
    first.get_by_role("button", name="Change password").click()
    first.get_by_text("Your password was changed").wait_for()
    first.locator(".people li").nth(1).wait_for(state="detached")
    second.goto(server.url + "/devices")
    second.get_by_role("button", name="Sign in").wait_for()
    sign_in(second, "eve", "another horse")
    server.call("DELETE", "/users/eve")


def test_activity_tells_who_did_what(server: Server, open_page: Any) -> None:
    server.add("fan", site="hall")
    server.call("POST", "/devices/fan/commands", {"method": "spin", "params": {"secret": "network-key"}})
    server.call("PATCH", "/devices/fan", {"name": "Fan 2"})
    page = open_page(server, "/activity")
    page.locator(".deed", has_text="sent a command to Fan 2 spin").wait_for()
    page.locator(".deed", has_text="name: fan → Fan 2").wait_for()
    assert "network-key" not in page.content()
    page.get_by_label("Kind").select_option("session")
    page.locator(".deed", has_text="sent a command").first.wait_for(state="detached")
    assert page.url.endswith("/activity?what=session")
    page.get_by_label("By whom").fill("nobody")
    page.get_by_label("By whom").press("Enter")
    page.get_by_role("button", name="Show everything").click()
    page.locator(".deed", has_text="Fan 2").first.wait_for()


def test_activity_names_what_was_changed_and_leads_there(server: Server, open_page: Any) -> None:
    rule = server.call("POST", "/rules", {"name": "Draughty", "when": {"key": "wind", "is": "above", "value": 9}})
    server.call("PATCH", f"/rules/{rule['id']}", {"when": {"key": "wind", "is": "above", "value": 12}})
    server.call("POST", f"/rules/{rule['id']}/mute", {"for_s": 0})
    board = server.call("POST", "/dashboards", {"name": "Hall", "cards": []})
    server.call("POST", f"/dashboards/{board['id']}/links", {"name": "Porch"})
    settings = {"topic": "hall", "server": "http://127.0.0.1:9"}
    channel = server.call("POST", "/channels", {"name": "Pager", "kind": "ntfy", "settings": settings})
    server.call("PATCH", f"/channels/{channel['id']}", {"name": "Beeper"})
    server.call("POST", "/users", {"name": "Zoe", "password": "correct horse"})
    server.call("PATCH", "/users/Zoe", {"disabled": True})
    page = open_page(server, "/activity")
    for said, more in (
        ("changed the account of Zoe", "locked out: no → yes"),
        ("changed the channel Beeper", "name: Pager → Beeper"),
        ("shared the dashboard Hall", "link: Porch"),
        ("unmuted the rule Draughty", ""),
        ("changed the rule Draughty", "condition: key=wind, is=above, value=9 → key=wind, is=above, value=12"),
    ):
        page.locator(".deed", has_text=said).filter(has_text=more).wait_for()
    server.call("DELETE", "/users/Zoe")
    server.call("DELETE", f"/channels/{channel['id']}")
    page.get_by_role("link", name="Draughty").first.click()
    page.get_by_role("heading", name="Draughty").wait_for()
    page.goto(server.url + "/")
    page.locator(".events").get_by_role("link", name="Hall").first.click()
    page.get_by_role("heading", name="Hall").wait_for()


def test_activity_is_live_and_narrowed_by_its_address(server: Server, open_page: Any) -> None:
    server.add("lamp")
    server.add("pump")
    page = open_page(server, "/activity?device=lamp")
    page.locator(".deed", has_text="added the device lamp").wait_for()
    expect(page.locator(".deed")).to_have_count(1)
    server.call("POST", "/devices/pump/commands", {"method": "start"})
    server.call("POST", "/devices/lamp/commands", {"method": "dim"})
    page.locator(".deed.fresh", has_text="sent a command to lamp dim").wait_for()
    expect(page.locator(".deed")).to_have_count(2)
    expect(page.get_by_text("1 new entry")).to_have_count(1)
    page.get_by_label("On which device").fill("")
    page.get_by_label("On which device").press("Enter")
    page.locator(".deed", has_text="sent a command to pump start").wait_for()
    page.locator(".deed-who").first.click()
    page.wait_for_url(f"**/activity?who={NAME}")
