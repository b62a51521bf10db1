"""What a device's presence facts are called: one table, for the commands and for the page in its browser."""

from __future__ import annotations

from typing import Any

NOW_MS = 1_000_000_000
LINE = {"dialect": "line", "since": NOW_MS - 900_000, "from": "192.168.1.23:51000"}


def _facts(
    *,
    connected: bool = False,
    seen_ago_s: float | None = None,
    read_ago_s: float | None = None,
    every_s: float | None = None,
    late: bool = False,
) -> dict[str, Any]:
    return {
        "connected": LINE if connected else None,
        "last_seen": None if seen_ago_s is None else round(NOW_MS - seen_ago_s * 1000),
        "last_reading": None if read_ago_s is None else round(NOW_MS - read_ago_s * 1000),
        "expected_every_s": every_s,
        "expected_set": False,
        "late": late,
    }


PRESENCE_WORDS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing was ever seen": (_facts(), "never"),
    "nothing was ever seen, an interval set": (_facts(every_s=10), "never"),
    "connected, silent so far": (_facts(connected=True, seen_ago_s=900), "online"),
    "connected, no interval known": (_facts(connected=True, seen_ago_s=900, read_ago_s=900), "online"),
    "connected, in time": (_facts(connected=True, seen_ago_s=1, read_ago_s=15, every_s=10), "online"),
    "connected, overdue": (_facts(connected=True, seen_ago_s=1, read_ago_s=15.001, every_s=10), "late"),
    "connected, long overdue": (_facts(connected=True, seen_ago_s=1, read_ago_s=999, every_s=10), "late"),
    "connected, late by the server's clock": (
        _facts(connected=True, seen_ago_s=1, read_ago_s=1, every_s=10, late=True),
        "late",
    ),
    "posted its first reading": (_facts(seen_ago_s=0, read_ago_s=0), "online"),
    "posted once, a minute ago": (_facts(seen_ago_s=60, read_ago_s=60), "online"),
    "posted once, longer ago": (_facts(seen_ago_s=60.001, read_ago_s=60.001), "offline"),
    "said something but sent no reading": (_facts(seen_ago_s=30), "online"),
    "sent a reading, and something since": (_facts(seen_ago_s=30, read_ago_s=300), "online"),
    "within one and a half intervals": (_facts(seen_ago_s=15, read_ago_s=15, every_s=10), "online"),
    "after one and a half intervals": (_facts(seen_ago_s=15.001, read_ago_s=15.001, every_s=10), "late"),
    "within three intervals": (_facts(seen_ago_s=30, read_ago_s=30, every_s=10, late=True), "late"),
    "after three intervals": (_facts(seen_ago_s=30.001, read_ago_s=30.001, every_s=10, late=True), "offline"),
    "a short interval and its two seconds": (_facts(seen_ago_s=3, read_ago_s=3, every_s=1), "online"),
    "a short interval, after them": (_facts(seen_ago_s=3.001, read_ago_s=3.001, every_s=1), "offline"),
    "seen in time, its reading overdue": (_facts(seen_ago_s=1, read_ago_s=20, every_s=10, late=True), "online"),
    "stamped by a clock ahead": (_facts(seen_ago_s=-5, read_ago_s=-5, every_s=10), "online"),
}
"""Case → the facts at `NOW_MS`, and the word for them."""
