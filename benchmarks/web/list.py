"""What the device list costs a browser while its devices report: CPU, the longest task, memory.

    python benchmarks/web/list.py [--devices 500] [--per-s 200] [--seconds 60] [--path /devices]

The list is on screen, scrolled to its beginning, and then, in a second round, scrolled through. CPU is that of
Chromium's processes by their kind: the renderer runs the page's scripts, layout and paint; without a graphics card, as
here, the one named gpu draws the pixels in software. Long tasks are the browser's own count (over 50 ms). Needs
Playwright and Chromium (HARDPOINT_TEST_CHROMIUM). What is *not* measured: a graphics card, a phone's processor.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
from devices import make_devices, reporting
from playwright.sync_api import sync_playwright
from running import cpu_s, hardpoint

LONG_TASKS = """
globalThis.longTasks = [];
new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((entry) => entry.duration)))
  .observe({ type: "longtask", buffered: true });
"""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def browser_cpu_s() -> Counter[str]:
    """CPU seconds of the browser's processes so far, by kind."""
    spent: Counter[str] = Counter()
    for process in psutil.Process().children(recursive=True):
        try:
            words = process.cmdline()
            if not words or "chrom" not in words[0]:
                continue
            kind = next((word.removeprefix("--type=") for word in words if word.startswith("--type=")), "browser")
            spent[kind.replace("-process", "")] += cpu_s(process.pid)
        except psutil.NoSuchProcess:
            continue
    return spent


def watch(page: Any, seconds: float, *, scroll: bool) -> tuple[Counter[str], list[float], float]:
    """Percent of a core by kind of process, long tasks in ms, the page's heap in MB at the end."""
    page.evaluate("longTasks.length = 0")
    before, began = browser_cpu_s(), time.perf_counter()
    while time.perf_counter() - began < seconds:
        if scroll:
            page.mouse.wheel(0, 400)
        page.wait_for_timeout(250)
    took = time.perf_counter() - began
    spent = browser_cpu_s()
    percent = Counter({kind: 100 * (spent[kind] - before[kind]) / took for kind in spent})
    heap_mb = page.evaluate("performance.memory ? performance.memory.usedJSHeapSize / 1e6 : 0")
    return percent, page.evaluate("longTasks"), heap_mb


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=500)
    parser.add_argument("--per-s", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--path", default="/devices")
    args = parser.parse_args()
    chromium = os.environ.get("HARDPOINT_TEST_CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as made, hardpoint(Path(made)) as server, sync_playwright() as playwright:
        tokens = make_devices(server, args.devices)
        server.call("POST", "/api/setup", {"name": "bench", "password": "of no importance"})
        token = str(server.call("POST", "/api/tokens", {"name": "bench", "role": "viewer"})["token"])
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(extra_http_headers={"Authorization": f"Bearer {token}"})
        page.add_init_script(LONG_TASKS)
        with reporting(server, tokens, args.per_s) as reports:
            page.goto(f"http://127.0.0.1:{server.ports['http']}{args.path}")
            page.locator(".spark, .board-card").first.wait_for(state="attached")
            page.wait_for_timeout(5_000)
            print(f"{args.devices} devices, {args.per_s:g} readings/s, {args.path}, {args.seconds:g} s a round")
            for name, scroll in (("still", False), ("scrolled", True)):
                sent, began = reports.sent, time.perf_counter()
                percent, tasks, heap_mb = watch(page, args.seconds, scroll=scroll)
                rate = (reports.sent - sent) / (time.perf_counter() - began)
                parts = ", ".join(f"{kind} {value:.1f} %" for kind, value in percent.most_common() if value >= 0.05)
                longest = f"{max(tasks):.0f} ms" if tasks else "none"
                told = f"{len(tasks)} long tasks, longest {longest}; heap {heap_mb:.1f} MB"
                print(f"{name:9} {rate:5.0f}/s  {parts}; {told}")
        browser.close()


if __name__ == "__main__":
    main()
