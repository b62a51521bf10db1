"""A real series on the device's page: what docs/history.md brings in, and its picture there.

``HARDPOINT_PICTURES=docs pytest tests/web/browser/test_real_data.py`` takes the picture anew.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hardpoint.cli.main import run

from .conftest import Server, expect

CO2 = Path(__file__).parents[2] / "vectors" / "mauna-loa-co2.csv"
BEGIN_MS, END_MS = 31_536_000_000, 1_009_843_200_000
"""1971 to 2001: see the page for why not from 1958."""


def test_thirty_years_of_co2(server: Server, open_page: Any) -> None:
    argv = ["--device", "mauna-loa", "--time-format", "%Y%m%d", "--from", "1971-01-01T00:00Z", "--create", "--quiet"]
    socket = f"unix:{server.folder}/data/hardpoint.sock"
    assert run(["store", "import", str(CO2), *argv, "--server", socket]) == 0
    page = open_page(server, "/devices", width=900, height=620, device_scale_factor=1)
    page.get_by_role("link", name="mauna-loa").first.click()
    page.get_by_role("heading", name="mauna-loa").wait_for()
    page.goto(f"{page.url.partition('?')[0]}?from={BEGIN_MS}&to={END_MS}")
    sums = page.locator(".chart-sums dd")
    expect(sums).to_have_count(3)
    rows = [line.split(",") for line in CO2.read_text().splitlines()[1:]]
    values = [float(value) for date, value in rows if date >= "19710101" and value]
    expect(sums.nth(0)).to_have_text(str(min(values)))
    expect(sums.nth(2)).to_have_text(str(max(values)))
    card = page.locator("section.chart")
    card.scroll_into_view_if_needed()
    if folder := os.environ.get("HARDPOINT_PICTURES"):
        card.screenshot(path=Path(folder) / "history-co2.png")
