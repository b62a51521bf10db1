"""Unknown devices above the device list: they appear, are adopted under a name, or ignored."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import WAIT_S, Server, run_server
from .test_every_screen import AXE


class Stranger:
    """A device that says its name and a reading, and waits."""

    def __init__(self, server: Server, name: str) -> None:
        self.connection = socket.create_connection(("127.0.0.1", server.ports["line"]), timeout=WAIT_S)
        self.lines = self.connection.makefile("rw", encoding="utf-8", newline="\n")
        self.lines.readline()
        for line in (f"HELLO {name}", "temp=21.5 note=<b>hot</b>"):
            print(line, file=self.lines, flush=True)
            assert self.lines.readline().startswith("ERR unauthorized")

    def read(self) -> str:
        return self.lines.readline().rstrip()

    def close(self) -> None:
        self.lines.close()
        self.connection.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    for server in run_server(tmp_path_factory.mktemp("server"), "--adopt"):
        server.set_up()
        yield server


@pytest.fixture
def stranger(server: Server) -> Iterator[Any]:
    made: list[Stranger] = []

    def make(name: str) -> Stranger:
        made.append(Stranger(server, name))
        return made[-1]

    yield make
    for each in made:
        each.close()


def row(page: Any, name: str) -> Any:
    return page.locator(".unknown").filter(has_text=name)


def name_box(page: Any) -> Any:
    return page.get_by_role("dialog").get_by_label("Name")


def test_one_that_waits_is_adopted_and_told(server: Server, open_page: Any, stranger: Any) -> None:
    device = stranger("esp-4f21")
    page = open_page(server, "/devices")
    row(page, "esp-4f21").get_by_text('temp=21.5 note="<b>hot</b>"').wait_for()
    row(page, "esp-4f21").get_by_role("button", name="Adopt").click()
    name_box(page).fill("Greenhouse")
    page.get_by_role("dialog").get_by_role("button", name="Adopt").click()
    page.get_by_text("Its token is on its way").wait_for()
    assert device.read().startswith('!0 adopt {"token":"hp_')
    print("temp=22", file=device.lines, flush=True)
    assert device.read() == "OK 1"
    page.get_by_role("link", name="Open device").click()
    page.get_by_role("heading", name="Greenhouse").wait_for()


def test_one_that_is_away_has_its_token_shown(server: Server, open_page: Any, stranger: Any) -> None:
    stranger("sleeper").close()
    page = open_page(server, "/devices")
    row(page, "sleeper").get_by_text("tried 1 time").wait_for()
    row(page, "sleeper").get_by_role("button", name="Adopt").click()
    page.get_by_role("dialog").get_by_role("button", name="Adopt").click()
    page.locator(".token code").get_by_text("hp_").wait_for()
    page.get_by_role("button", name="Done").click()
    row(page, "sleeper").get_by_text("Adopted, not back yet").wait_for()


def test_a_name_that_is_taken_is_said_before_a_token_is_replaced(server: Server, open_page: Any, stranger: Any) -> None:
    server.add("pump")
    server.add("lamp")
    device = stranger("pump")
    page = open_page(server, "/devices")
    row(page, "pump").get_by_role("button", name="Adopt").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("There is a device of this name").wait_for()
    name_box(page).fill("pump 2")
    dialog.get_by_text("There is a device of this name").wait_for(state="detached")
    name_box(page).fill("lamp")  # the server finds that it is taken
    dialog.get_by_role("button", name="Adopt").click()
    dialog.get_by_text("There is a device of this name").wait_for()
    name_box(page).fill("pump")
    dialog.get_by_role("button", name="Give it a new token").click()
    page.get_by_text("Its token is on its way").wait_for()
    assert device.read().startswith("!0 adopt")


def test_one_that_is_ignored_is_gone(server: Server, open_page: Any, stranger: Any) -> None:
    device = stranger("unwanted")
    page = open_page(server, "/devices")
    row(page, "unwanted").get_by_role("button", name="Ignore unwanted").click()
    row(page, "unwanted").wait_for(state="detached")
    assert device.read() == "BYE it is not wanted here"


@pytest.mark.parametrize("width", [320, 820, 1280])
@pytest.mark.parametrize(("locale", "scheme"), [("en-GB", "light"), ("zh-CN", "dark")])
def test_it_is_accessible_and_fits(
    server: Server, open_page: Any, stranger: Any, width: int, locale: str, scheme: str
) -> None:
    stranger("a-long-name-of-a-board-" + "x" * 40)
    page = open_page(server, "/devices", width=width, locale=locale, color_scheme=scheme)
    page.locator(".unknown").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [(each["id"], each["nodes"][0]["html"][:160]) for each in found["violations"]] == []


def test_a_server_that_adopts_nobody_is_asked_once(fresh_server: Server, open_page: Any) -> None:
    fresh_server.set_up()
    asked: list[str] = []
    page = open_page(fresh_server, "")
    page.on("request", lambda request: asked.append(request.url) if "unknown-devices" in request.url else None)
    page.clock.install()
    with page.expect_response("**/api/unknown-devices"):
        page.goto(fresh_server.url + "/devices")
    page.clock.run_for(30_000)
    assert len(asked) == 1
