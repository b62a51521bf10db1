"""Connect a device: the proof on the same screen, also when what came was wrong, and a device for who has none."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .conftest import WAIT_S, LineDevice, Server, expect, run_server

if TYPE_CHECKING:
    import pytest

Attach = Callable[[Server, str], LineDevice]


def add(page: Any, name: str) -> str:
    """Make a device in the dialog; its token."""
    page.get_by_role("button", name="Add device").first.click()
    page.get_by_role("dialog").get_by_label("Name").fill(name)
    page.get_by_role("dialog").get_by_role("button", name="Add device").click()
    page.get_by_text("Listening…").wait_for()
    return str(page.locator(".token code").inner_text())


def test_what_was_wrong_is_shown_with_what_was_meant(server: Server, open_page: Any, line_device: Attach) -> None:
    page = open_page(server, "/devices")
    token = add(page, "clumsy")
    device = line_device(server, token)
    page.get_by_text("Connected", exact=True).wait_for()
    assert device.say("temp: 21.5 <img src=x>").startswith("ERR")
    refusal = page.locator(".refusal")
    refusal.get_by_text("Something came from 127.0.0.1 over line, and was refused").wait_for()
    assert refusal.locator(".refusal-sent").inner_text() == "temp: 21.5 <img src=x>", "hostile text stays text"
    assert device.say("temp 21.5").startswith("ERR")
    page.locator(".refusal").nth(1).wait_for()
    assert page.locator(".refusal .code pre").first.inner_text() == "temp=21.5"
    assert device.say("temp=21.5") == "OK 1"
    page.get_by_text("It works. First reading received").wait_for()


def test_a_wrong_token_is_seen_as_well(server: Server, open_page: Any) -> None:
    page = open_page(server, "/devices")
    with page.expect_response("**/api/strangers"):  # what was refused before this one is no news
        token = add(page, "mistyped")
    with socket.create_connection(("127.0.0.1", server.ports["line"]), timeout=WAIT_S) as connection:
        connection.sendall(b"hello " + token.encode() + b"\n")
        page.locator(".refusal-why").filter(has_text="capitals").wait_for()
        connection.sendall(b"HELLO hp_wrong\n")
        page.locator(".refusal-why").filter(has_text="unauthorized").wait_for()
    assert token not in page.locator(".refusals").inner_text()
    assert page.locator(".refusal .code pre").all_inner_texts() == ["HELLO <token>"] * 2


def test_a_command_goes_back_at_once(server: Server, open_page: Any, line_device: Attach) -> None:
    page = open_page(server, "/devices")
    device = line_device(server, add(page, "answers"))
    device.say("temp=21.5")
    page.get_by_role("button", name="Send a command back: blink").click()
    number = re.match(r"!(\d+) blink", device.read())
    assert number is not None
    device.lines.write(f'!{number[1]} OK "on <b>"\n')
    device.lines.flush()
    page.get_by_text('It answered "on <b>"').wait_for()


def test_the_server_plays_the_device(server: Server, open_page: Any) -> None:
    page = open_page(server, "/devices")
    add(page, "played")
    page.get_by_role("button", name="Simulated device").click()
    page.get_by_role("button", name="Start the simulation").click()
    page.get_by_text("It works. First reading received").wait_for()
    page.get_by_text(re.compile("It runs until")).wait_for()
    page.get_by_role("button", name="Send a command back: blink").click()
    page.get_by_text('It answered {"simulated":true,"method":"blink"}').wait_for()
    page.get_by_role("dialog").get_by_role("button", name="Done").click()
    row = page.get_by_role("row").filter(has_text="played")
    row.get_by_text("simulated: yes").wait_for()
    assert server.call("GET", "/devices/played")["presence"]["connected"]["dialect"] == "simulated"
    server.call("PUT", "/devices/played/simulation", {"for_s": 0})
    assert server.call("GET", "/devices/played")["presence"]["connected"] is None


def test_behind_a_proxy_what_goes_past_it_is_said(server: Server, open_page: Any) -> None:
    page = open_page(server, "/devices")
    page.route(
        "**/snippets?*",
        lambda route: route.continue_(url=re.sub(r"origin=.*", "origin=https%3A%2F%2Fhp.example", route.request.url)),
    )
    add(page, "proxied")
    page.get_by_text("is a proxy that hands on HTTP").wait_for()
    page.get_by_role("button", name="Python, MQTT").click()
    shown = page.locator(".code pre").first
    expect(shown).to_contain_text('client.connect("hp.example", 443)')
    expect(shown).to_contain_text('ws_set_options("/mqtt")')
    expect(page.get_by_text("is a proxy that hands on HTTP")).to_have_count(0)


def test_tls_is_a_switch_and_its_file_is_at_hand(tmp_path_factory: pytest.TempPathFactory, open_page: Any) -> None:
    flags = ("--listen", "https://127.0.0.1:0", "--listen", "lines://127.0.0.1:0")
    for server in run_server(tmp_path_factory.mktemp("tls"), *flags):
        server.set_up()
        page = open_page(server, "/devices")
        token = add(page, "sealed")
        shown = page.locator(".code pre").first
        expect(shown).to_contain_text("| nc 127.0.0.1")
        page.get_by_role("button", name="TLS", exact=True).click()
        expect(shown).to_contain_text(f"-CAfile ca.pem -connect 127.0.0.1:{server.ports['lines']}")
        with page.expect_download() as download:
            page.get_by_role("link", name="Download ca.pem").click()
        ca = Path(download.value.path()).read_text()
        fingerprint = sha256(ssl.PEM_cert_to_DER_cert(ca)).digest().hex(":").upper()
        expect(page.locator(".connect-ca code")).to_have_text(fingerprint)
        page.get_by_role("button", name="Arduino / ESP32").click()
        expect(shown).to_contain_text(ca.split("\n")[1])
        page.get_by_text("whose certificate is in the text").wait_for()
        page.get_by_role("button", name="Home Assistant").click()
        page.get_by_text("This one goes without TLS only.").wait_for()
        page.get_by_role("button", name="Python", exact=True).click()
        trust = ssl.create_default_context(cadata=ca)
        with (
            socket.create_connection(("127.0.0.1", server.ports["lines"]), timeout=WAIT_S) as plain,
            trust.wrap_socket(plain, server_hostname="127.0.0.1") as device,
        ):
            device.sendall(f"HELLO {token}\ntemp=21.5\n".encode())
            page.get_by_text("It works. First reading received").wait_for()
        page.reload()
        add(page, "sealed too")
        page.get_by_role("button", name="TLS", exact=True, pressed=True).wait_for()


def test_on_this_computer_another_address_can_be_had(server: Server, open_page: Any) -> None:
    page = open_page(server, "/devices")

    def answer(route: Any) -> None:
        """As of a server that listens on every address; this one does not."""
        found = route.fetch()
        route.fulfill(response=found, json={**found.json(), "hosts": ["192.0.2.7", "2001:db8::7"]})

    page.route("**/snippets?*", answer)
    add(page, "elsewhere")
    page.get_by_text("127.0.0.1 works only on this computer").wait_for()
    page.get_by_label("Address").select_option("192.0.2.7")
    expect(page.locator(".code pre").first).to_contain_text("| nc 192.0.2.7")
    expect(page.get_by_text("works only on this computer")).to_have_count(0)
    page.get_by_label("Address").select_option("2001:db8::7")
    expect(page.locator(".code pre").first).to_contain_text("| nc 2001:db8::7")
