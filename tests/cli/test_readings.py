"""``hardpoint readings``: times as people write them, and three ways to print."""

from __future__ import annotations

import time
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import click
import pytest

from hardpoint.cli.moment import Moment, Span

from .conftest import Script, error

NOW_MS = 1_763_880_000_000
READINGS = "GET /api/devices/greenhouse/readings"


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: NOW_MS * 1_000_000)


class TestMoment:
    @pytest.mark.parametrize(
        ("text", "ms"),
        [
            ("now", NOW_MS),
            ("90s", NOW_MS - 90_000),
            ("-1.5h", NOW_MS - 5_400_000),
            ("2min", NOW_MS - 120_000),
            ("1 d", NOW_MS - 86_400_000),
            ("1w", NOW_MS - 604_800_000),
            ("1763880000123", 1_763_880_000_123),
            ("2025-11-23T06:40:00Z", NOW_MS),
            ("2025-11-23T07:40:00.5+01:00", NOW_MS + 500),
            ("2025-11-23", round(datetime(2025, 11, 23).timestamp() * 1000)),  # noqa: DTZ001 - local time is meant
        ],
    )
    def test_taken(self, text: str, ms: int) -> None:
        assert Moment().convert(text, None, None) == ms

    @pytest.mark.parametrize("text", ["", "yesterday", "1y", "h", "2025-13-01", "-5", "²", "9" * 5000, "9" * 400 + "d"])
    def test_refused(self, text: str) -> None:
        with pytest.raises(click.UsageError, match="is not a time: write 6h"):
            Moment().convert(text, None, None)


def test_a_span_beyond_all_numbers() -> None:
    with pytest.raises(click.UsageError, match="is not a span"):
        Span().convert("9" * 400 + "d", None, None)


class TestPrinting:
    @pytest.fixture(autouse=True)
    def stored(self, script: Script) -> None:
        script.answers["GET /api/devices/greenhouse/latest"] = (200, {"note": {}, "temp": {}})
        points = [[NOW_MS - 1000, 21.5], [NOW_MS - 10, 'a,"b"\x1b']]
        script.answers[READINGS] = (200, {"key": "temp", "agg": "raw", "points": points})

    def test_a_table(self, hardpoint) -> None:
        assert hardpoint("readings", "greenhouse", "--key", "temp").out.splitlines() == [
            "TIME                      KEY   VALUE",
            "2025-11-23T06:39:59.000Z  temp  21.5",
            '2025-11-23T06:39:59.990Z  temp  a,"b"\\x1b',
        ]

    def test_csv_has_every_byte(self, hardpoint) -> None:
        assert hardpoint("readings", "greenhouse", "--key", "temp", "--csv").out.splitlines() == [
            "time,key,value",
            "2025-11-23T06:39:59.000Z,temp,21.5",
            '2025-11-23T06:39:59.990Z,temp,"a,""b""\x1b"',
        ]

    def test_json_of_every_key(self, hardpoint, script: Script) -> None:
        found = hardpoint("readings", "greenhouse", "--json").json
        assert found["schema"] == "hardpoint.readings.v1"
        assert (found["from"], found["to"]) == (NOW_MS - 3_600_000, NOW_MS)
        assert len(found["series"]) == 2
        assert [parse_qs(urlsplit(asked.target).query).get("key") for asked in script.asked] == [
            *(None, ["note"], ["temp"])
        ]

    def test_what_is_asked(self, hardpoint, script: Script) -> None:
        argv = ["--key", "temp", "--from", "2h", "--to", "1h", "--points", "10", "--agg", "avg"]
        assert hardpoint("readings", "greenhouse", *argv).code == 0
        assert parse_qs(urlsplit(script.last("GET").target).query) == {
            "key": ["temp"],
            "from": [str(NOW_MS - 7_200_000)],
            "to": [str(NOW_MS - 3_600_000)],
            "points": ["10"],
            "agg": ["avg"],
        }

    def test_widths_by_the_calendar(self, hardpoint, script: Script) -> None:
        argv = ["--key", "temp", "--from", "2h", "--every", "1h", "--tz", "Europe/Berlin"]
        assert hardpoint("readings", "greenhouse", *argv).code == 0
        asked = parse_qs(urlsplit(script.last("GET").target).query)
        assert (asked["every"], asked["tz"], "agg" in asked) == (["1h"], ["Europe/Berlin"], False)

    def test_a_chart_of_what_is_hardly_a_number(self, hardpoint, script: Script) -> None:
        far = [NOW_MS - 30, -1.5e308], [NOW_MS - 20, 1.5e308], [NOW_MS - 10, None]
        script.answers[READINGS] = (200, {"key": "temp", "agg": "avg", "points": far})
        drawn = hardpoint(
            "readings", "greenhouse", "--key", "temp", "--from", str(NOW_MS - 30), "--chart", "--points", 3
        )
        assert drawn.out == "temp  -1.5e+308 ▁█ 1.5e+308\n"
        script.answers[READINGS] = (200, {"key": "temp", "agg": "avg", "points": [[NOW_MS - 10, None]]})
        assert hardpoint("readings", "greenhouse", "--key", "temp", "--chart").out == ""

    def test_a_chart_is_a_line_a_key(self, hardpoint, script: Script) -> None:
        points = [[NOW_MS - 3_600_000 + n * 60_000, n % 15] for n in (*range(20), 59)]
        script.answers[READINGS] = (200, {"key": "temp", "agg": "avg", "points": points})
        drawn = hardpoint("readings", "greenhouse", "--key", "temp", "--chart").out
        assert drawn == f"temp  0 ▁▁▂▃▃▃▄▅▅▅▆▇▇▇█▁▁▂▃▃{' ' * 39}█ 14\n"
        assert parse_qs(urlsplit(script.last("GET").target).query)["points"] == ["60"]
        script.answers[READINGS] = (200, {"key": "temp", "agg": "avg", "points": [[NOW_MS - 5, 7.5]]})
        assert hardpoint("readings", "greenhouse", "--key", "temp", "--chart").out.split() == [
            "temp",
            "7.5",
            "▁",
            "7.5",
        ]
        script.answers[READINGS] = (200, {"key": "temp", "agg": "avg", "points": []})
        assert hardpoint("readings", "greenhouse", "--key", "temp", "--chart").out == ""
        assert hardpoint("readings", "greenhouse", "--chart", "--json").code == 2

    def test_nothing(self, hardpoint, script: Script) -> None:
        script.answers[READINGS] = (200, {"key": "temp", "agg": "raw", "points": []})
        result = hardpoint("readings", "greenhouse")
        assert (result.out, result.code) == ("TIME  KEY  VALUE\n", 0)
        assert "earlier --from" in result.err

    def test_wrong_calls(self, hardpoint, script: Script) -> None:
        assert hardpoint("readings", "greenhouse", "--csv", "--json").code == 2
        assert hardpoint("readings", "greenhouse", "--from", "1h", "--to", "2h").code == 2
        script.answers["GET /api/devices/nope/latest"] = (404, error("not_found", "no device"))
        assert hardpoint("readings", "nope").code == 1
