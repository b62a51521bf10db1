"""What the first view costs: requests and bytes from an empty cache until the devices are on screen."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import LineDevice, Server

MOST_REQUESTS = 16
MOST_BYTES = 60_000
SOON = """globalThis.setTimeout = ((later) => (call, ms = 0, ...given) =>
  ms < 2_000 ? later(call, ms, ...given) : 0)(setTimeout)"""
"""Nor is what is asked for again every some seconds, when a machine is slow enough for it."""


@pytest.fixture(scope="module")
def reported(server: Server) -> Server:
    """A dozen devices have said something."""
    for n in range(12):
        device = LineDevice(server, server.add(f"device-{n}", site="north"))
        device.say("temp=21.5 hum=60 lux=400")
        device.say("temp=21.6 hum=61 lux=410")
        device.close()
    server.keep_present(*(f"device-{n}" for n in range(12)))
    return server


@pytest.mark.parametrize("path", ["/", "/devices"])
def test_first_view_takes_few_requests_and_bytes(reported: Server, open_page: Any, path: str) -> None:
    server = reported
    page = open_page(server, "")
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    requests: dict[str, str] = {}
    sizes: dict[str, int] = {}
    network.on(
        "Network.requestWillBeSent", lambda event: requests.update({event["requestId"]: event["request"]["url"]})
    )
    # As they come over the wire, with their heads.
    network.on("Network.responseReceived", lambda event: sizes.setdefault(event["requestId"], 0))
    network.on("Network.loadingFinished", lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}))
    # What is fetched when the browser has nothing else to do is no part of the first view.
    page.add_init_script("globalThis.requestIdleCallback = () => 0")
    page.add_init_script(SOON)
    page.goto(server.url + path)
    page.locator(".spark-line").nth(8).wait_for(state="attached")
    page.wait_for_load_state("load")
    told = {url.removeprefix(server.url): sizes.get(number, 0) for number, url in requests.items()}
    assert len(told) <= MOST_REQUESTS, "\n".join(f"{n} {u}" for u, n in told.items())
    assert 20_000 < sum(told.values()) <= MOST_BYTES, "\n".join(f"{n} {u}" for u, n in told.items())


def test_one_copy_of_each_module_is_there(server: Server, open_page: Any) -> None:
    """A page that is fetched later imports the same preact, or it would draw nothing."""
    page = open_page(server, "/devices")
    page.get_by_role("heading", name="Devices", exact=True).wait_for()
    loaded = "performance.getEntriesByType('resource').map((entry) => new URL(entry.name).pathname)"
    page.get_by_role("link", name="Alerts").first.click()
    page.get_by_role("heading", name="Alerts", exact=True).wait_for()
    names = [str(path) for path in page.evaluate(loaded) if str(path).endswith(".mjs")]
    assert any(name.endswith("/first.mjs") for name in names)
    assert not [name for name in names if name.endswith(("/preact.mjs", "/core/api.mjs", "/ui/shell.mjs"))]


def test_the_font_comes_when_all_else_is_there_and_stays(server: Server, open_page: Any) -> None:
    page = open_page(server, "/devices")
    page.locator("html[data-font]").wait_for(state="attached")
    assert page.evaluate("document.fonts.check('1rem Inter')")
    page.add_init_script("globalThis.requestIdleCallback = () => 0")
    page.reload()
    assert page.evaluate("document.documentElement.dataset.font") == ""
