"""The pure parts of the scripts, called one by one in the browser."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from filter_cases import DEVICE, FAILS, HOLDS, REFUSED
from filter_cases import NOW_MS as NOW
from presence_words import NOW_MS, PRESENCE_WORDS

from .conftest import WAIT_MS

if TYPE_CHECKING:
    from .conftest import Server


@pytest.fixture(scope="module")
def call(server: Server, browser: Any) -> Iterator[Any]:
    """``call("core/format.mjs", "relative(0, 20000)")``: an expression over a module's exports."""
    context = browser.new_context(locale="en-GB", timezone_id="Europe/Berlin")
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    page.goto(server.url + "/login")
    page.locator(".gate-card").wait_for()
    root = page.locator("script[type=module]").get_attribute("src").rpartition("/")[0]

    def call(module: str, expression: str) -> Any:
        names = "Object.keys(module).filter(name => name !== 'default')"
        # The page's policy forbids eval; the debugger's own evaluation is not the page's.
        exports = page.evaluate(f"import('{root}/{module}').then(module => {names})")
        return page.evaluate(f"import('{root}/{module}').then(({{{', '.join(exports)}}}) => ({expression}))")

    yield call
    context.close()


@contextlib.contextmanager
def fahrenheit(call: Any) -> Iterator[None]:
    """For somebody who reads temperatures so."""
    preference = "temperatureUnit.value = '{}'"
    call("core/preferences.mjs", preference.format("°F"))
    try:
        yield
    finally:
        call("core/preferences.mjs", preference.format("°C"))


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("temp", 21.54, ["21.5", "°C"]),
        ("temp", -0.04, ["0", "°C"]),
        ("greenhouse.hum", 60, ["60", "%"]),
        ("cpu.percent", 7.25, ["7.3", "%"]),
        ("mem.available_bytes", 24_750_112_768, ["24.8", "GB"]),
        ("net.eth0.sent_bytes_per_s", 812, ["812", "B/s"]),
        ("disk.free_bytes", 0, ["0", "B"]),
        ("errors_per_s", 3, ["3", "/s"]),
        ("boiler.pressure_bar", 1.62, ["1.62", "bar"]),
        ("pressure", 1013.2, ["1,013", "hPa"]),
        ("weight_kg", 38.4, ["38.4", "kg"]),
        ("wind_ms", 6.1, ["6.1", "m/s"]),
        ("answer_ms", 6.1, ["6.1", "ms"]),
        ("outside_temp_f", 70.25, ["70.3", "°F"]),
        ("soil_temp", 18.2, ["18.2", "°C"]),
        ("soil_moisture", 33, ["33", "%"]),
        ("count", 1234567, ["1,234,567", ""]),
        ("tiny", 0.00001234, ["1.234E-5", ""]),
        ("ratio", 0.12345, ["0.123", ""]),
        ("door", True, ["true", ""]),
        ("note", "<b>", ["<b>", ""]),
        ("place", {"x": 1}, ['{"x":1}', ""]),
    ],
)
def test_values_are_shown_with_the_unit_their_key_tells(call: Any, key: str, value: Any, shown: list[str]) -> None:
    assert call("core/format.mjs", f"valueParts({json.dumps(key)}, {json.dumps(value)})") == shown


@pytest.mark.parametrize(
    ("marks", "unit", "increment", "labels"),
    [
        ([20, 22.5, 25], "°C", 2.5, ["20.0", "22.5", "25.0"]),
        ([0, 50, 100], "%", 50, ["0", "50", "100"]),
        ([22.9, 22.95], "%", 0.05, ["22.90", "22.95"]),
        ([83_800_000_000, 84_000_000_000], "B", 200_000_000, ["83.8 G", "84.0 G"]),
        ([0, 500, 1000], "B/s", 500, ["0.0 k", "0.5 k", "1.0 k"]),
    ],
)
def test_axis_labels_tell_the_marks_apart(
    call: Any, marks: list[float], unit: str, increment: float, labels: list[str]
) -> None:
    assert call("ui/axis.mjs", f"axisLabels({marks}, '{unit}', {increment})") == labels


@pytest.mark.parametrize(
    ("text", "ts"),
    [
        ("2026-11-23T03:00", 1_795_399_200_000),
        ("2026-03-29T01:59", 1_774_745_940_000),  # a minute before the clocks go forward
        ("2026-03-29T03:00", 1_774_746_000_000),
        ("2026-10-25T03:00", 1_792_893_600_000),  # once they have gone back
    ],
)
def test_a_time_as_an_input_has_it(call: Any, text: str, ts: int) -> None:
    assert call("core/format.mjs", f"toWallClock({ts})") == text
    assert call("core/format.mjs", f"fromWallClock('{text}')") == ts
    assert call("core/format.mjs", "Number.isNaN(fromWallClock(''))")


@pytest.mark.parametrize(
    ("ago_s", "words"),
    [(0, "just now"), (9, "just now"), (-5, "just now"), (25, "20 sec ago"), (90, "1 min ago"), (7_300, "2 hr ago")],
)
def test_relative_times(call: Any, ago_s: int, words: str) -> None:
    assert call("core/format.mjs", f"relative(1e12, 1e12 + {ago_s * 1000})").replace(".", "") == words


@pytest.mark.parametrize(("presence", "word"), PRESENCE_WORDS.values(), ids=PRESENCE_WORDS)
def test_presence_in_a_word(call: Any, presence: dict[str, Any], word: str) -> None:
    assert call("core/devices.mjs", f"presenceWord({json.dumps(presence)}, {NOW_MS})") == word


@pytest.mark.parametrize(
    ("path", "name", "params"),
    [
        ("/", "home", {}),
        ("/devices/", "devices", {}),
        ("/devices/a%2Fb%20c", "device", {"id": "a/b c"}),
        ("/devices/%E0%A4%A", "missing", {}),
        ("/devices/a/b", "missing", {}),
        ("/welcome", "welcome", {}),
    ],
)
def test_routes(call: Any, path: str, name: str, params: dict[str, str]) -> None:
    found = call("core/router.mjs", f"match('{path}')")
    assert (found["name"], found["params"]) == (name, params)


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("", None),
        ("pin=4 on=true", {"pin": 4, "on": True}),
        ('name="two words" x=a', {"name": "two words", "x": "a"}),
        ('{"a": [1]}', {"a": [1]}),
        ("42", 42),
    ],
)
def test_parameters_as_typed(call: Any, text: str, params: Any) -> None:
    assert call("pages/device/commands.mjs", f"parseParams({json.dumps(text)}) ?? null") == params


@pytest.mark.parametrize("text", ["{", "pin=4 and more", "="])
def test_parameters_that_are_neither_are_refused(call: Any, text: str) -> None:
    refused = f"(() => {{ try {{ parseParams('{text}') }} catch (error) {{ return error.name }} }})()"
    assert call("pages/device/commands.mjs", refused) == "SyntaxError"


def test_merging_readings_sorts_and_lets_the_later_word_win(call: Any) -> None:
    module = "pages/device/readings.mjs"
    assert call(module, "merge([[1, 1], [2, 2]], [[3, 3]])") == [[1, 1], [2, 2], [3, 3]]
    assert call(module, "merge([[1, 1], [3, 3]], [[2, 2], [3, 9]])") == [[1, 1], [2, 2], [3, 9]]
    assert call(module, "merge([[1, 1], [2, 2]], [[3, 3]], 2)") == [[2, 2], [3, 3]]
    assert call(module, "merge([[1, 1]], [], 2)") == []


def test_of_states_one_before_the_range_is_kept(call: Any) -> None:
    module = "pages/device/readings.mjs"
    assert call(module, "merge([[1, 'a'], [2, 'b'], [3, 'c']], [[5, 'd']], 4, true)") == [[3, "c"], [5, "d"]]
    assert call(module, "merge([[1, 'a'], [2, 'b']], [], 9, true)") == [[2, "b"]]
    assert call(module, "merge([[5, 'a']], [[6, 'b']], 4, true)") == [[5, "a"], [6, "b"]]
    assert call(module, "merge([], [], 4, true)") == []


@pytest.mark.parametrize(
    ("points", "stretches"),
    [
        ([], []),
        ([[5, True]], [(True, 5, 20)]),
        ([[0, True]], [(True, 2, 20)]),
        ([[0, False], [1, True]], [(True, 2, 20)]),
        ([[0, True], [4, True], [6, False], [9, False], [12, True]], [(True, 2, 6), (False, 6, 12), (True, 12, 20)]),
        ([[20, "on"]], [("on", 20, 20)]),
        ([[5, "on"], [30, "off"]], [("on", 5, 20)]),
    ],
)
def test_a_state_holds_until_the_next(call: Any, points: Any, stretches: list[tuple[Any, int, int]]) -> None:
    found = call("pages/device/states.mjs", f"stretchesOf({json.dumps(points)}, 2, 20)")
    assert [(each["value"], each["from"], each["to"]) for each in found] == stretches
    sums = {value: sum(to - since for other, since, to in stretches if other == value) for value, _, _ in stretches}
    held = call("pages/device/states.mjs", f"held(stretchesOf({json.dumps(points)}, 2, 20))")
    assert dict(held) == sums


def test_silence_is_drawn_as_a_gap(call: Any) -> None:
    module = "ui/chart.mjs"
    assert call(module, "withGaps([[0, 1], [10, 2], [20, 3], [90, 4]])") == [[0, 10, 20, 30, 90], [1, 2, 3, None, 4]]
    assert call(module, "withGaps([[0, 1], [10, 2], [40, 3]])") == [[0, 10, 40], [1, 2, 3]]
    assert call(module, "withGaps([])") == [[], []]


def test_long_ranges_are_marked_where_months_and_years_begin(call: Any) -> None:
    """In Berlin: summer's midnight is 22:00 in UTC, winter's 23:00."""
    day = 86_400_000
    marks = "timeMarks(null, null, Date.UTC({}, 8, 15), Date.UTC({}, 1, 15), {}).map(ts => new Date(ts).toISOString())"
    found = call("ui/chart.mjs", marks.format(2025, 2026, 60 * day))
    assert [each[:13] for each in found] == ["2025-10-31T23", "2025-12-31T23"]
    found = call("ui/chart.mjs", marks.format(2025, 2026, 30 * day))
    assert [each[:10] for each in found] == ["2025-09-30", "2025-10-31", "2025-11-30", "2025-12-31", "2026-01-31"]
    found = call("ui/chart.mjs", marks.format(1971, 2002, 120 * 30 * day))
    assert [each[:10] for each in found] == ["1979-12-31", "1989-12-31", "1999-12-31"]


def test_the_value_axis_keeps_air_and_never_collapses(call: Any) -> None:
    low, high = call("ui/chart.mjs", "valueRange(20, 30)")
    assert low < 20 < 30 < high
    low, high = call("ui/chart.mjs", "valueRange(5, 5)")
    assert low < 5 < high
    assert call("ui/chart.mjs", "valueRange(null, null)") == [0, 1]


@pytest.mark.parametrize(
    ("values", "indices"),
    [
        ([], []),
        ([1], [0]),
        ([1, 2], []),
        ([1, None, 2, 3, None, 4, None, 5], [0, 5, 7]),
        ([None, 0, None], [1]),
        ([1, None, 2], [0, 2]),
    ],
)
def test_points_that_no_line_reaches(call: Any, values: list[float | None], indices: list[int]) -> None:
    assert call("ui/chart.mjs", f"isolated({json.dumps(values)})") == indices


def test_sparklines(call: Any) -> None:
    assert call("ui/spark.mjs", "sparkPath([])") is None
    assert call("ui/spark.mjs", "sparkPath([[0, 1]], 10, 10)") == {"dot": "M10 5h0"}, "one reading is seen too"
    assert call("ui/spark.mjs", "sparkPath([[0, 0], [10, 1]], 10, 10)")["line"] == "M0.0 8.0L10.0 2.0"
    assert call("ui/spark.mjs", "sparkPath([[0, 5], [10, 5]], 10, 10)")["line"] == "M0.0 5.0L10.0 5.0"


def test_the_browsers_languages_decide_until_one_is_chosen(call: Any) -> None:
    module = "core/i18n.mjs"
    assert call(module, "preferredLocale('', ['de', 'zh-TW', 'en'])") == "zh-CN"
    assert call(module, "preferredLocale('', ['de'])") == "en"
    assert call(module, "preferredLocale('en', ['zh-CN'])") == "en"
    assert call(module, "preferredLocale('tlh', ['zh'])") == "zh-CN"


def test_headline_keys_prefer_numbers_whose_unit_is_known(call: Any) -> None:
    latest = "{a: {value: 1}, note: {value: 'x'}, temp: {value: 2}, used_bytes: {value: 9}, hum: {value: 3}}"
    assert call("pages/devices/values.mjs", f"headlineKeys({latest})") == ["hum", "temp", "a"]


def test_the_filter_language_is_the_servers(call: Any) -> None:
    told = json.dumps({"device": DEVICE, "holds": HOLDS, "fails": FAILS})
    script = f"""(() => {{
      const {{ device, holds, fails }} = {told};
      const wrong = (texts, wanted) => texts.filter((text) => parseFilter(text)(device, {NOW}) !== wanted);
      return [wrong(holds, true), wrong(fails, false)];
    }})()"""
    assert call("core/filter.mjs", script) == [[], []]


@pytest.mark.parametrize(
    ("text", "in_celsius", "in_fahrenheit"),
    [
        ("temp>30", "temp>30°C", "temp>30°F"),
        (
            'roof -soil_temp<=4.5 temp!="30" hum>60',
            *(f'roof -soil_temp<=4.5{u} temp!="30{u}" hum>60' for u in ("°C", "°F")),
        ),
        ("temp>86F temp<30°C", "temp>86F temp<30°C", "temp>86F temp<30°C"),
        ("oven_temp_f>200", "oven_temp_f>200°F", "oven_temp_f>200°F"),
        ("temp:30 temp~30 temp=high seen>5m pump", *["temp:30 temp~30 temp=high seen>5m pump"] * 2),
        ("temp>30 temp>", "temp>30°C temp>", "temp>30°F temp>"),
        ('temp>30 "open', 'temp>30 "open', 'temp>30 "open'),
    ],
)
def test_a_filter_in_a_link_says_its_units(call: Any, text: str, in_celsius: str, in_fahrenheit: str) -> None:
    assert call("core/filter.mjs", f"withUnits({json.dumps(text)})") == in_celsius
    with fahrenheit(call):
        assert call("core/filter.mjs", f"withUnits({json.dumps(text)})") == in_fahrenheit


def test_a_bare_number_is_compared_with_what_is_seen(call: Any) -> None:
    """30.5 °C is 86.9 °F; the oven sends °F, and shows them to everybody."""
    told = json.dumps(DEVICE)
    fits = f"['temp>30.5', 'temp=86.9', 'temp=30.5', 'oven=212', 'count=3'].map((f) => parseFilter(f)({told}, {NOW}))"
    assert call("core/filter.mjs", fits) == [False, False, True, True, True]
    with fahrenheit(call):
        assert call("core/filter.mjs", fits) == [True, True, False, True, True]


@pytest.mark.parametrize(("text", "column"), REFUSED)
def test_a_wrong_filter_names_its_place(call: Any, text: str, column: int) -> None:
    refused = (
        f"(() => {{ try {{ parseFilter({json.dumps(text)}) }} catch (error) {{ return error.params.column }} }})()"
    )
    assert call("core/filter.mjs", refused) == column


def test_times_of_other_series_isolate_nothing(call: Any) -> None:
    assert call("ui/chart.mjs", "isolated([1, undefined, 2, undefined, null, 3, undefined, null])") == [5]


def test_new_entries_join_those_that_are_known_unless_something_lies_between(call: Any) -> None:
    known = [{"id": 3, "result": "begun"}, {"id": 2}]
    page = [{"id": 4}, {"id": 3, "result": "done"}]
    joined = call("pages/activity.mjs", f"withNewest({json.dumps(known)}, {json.dumps(page)})")
    assert joined == [*page, {"id": 2}]
    full = [{"id": n} for n in range(100, 50, -1)]
    assert call("pages/activity.mjs", f"withNewest({json.dumps(known)}, {json.dumps(full)})") == full
    reaching = [{"id": n} for n in range(52, 2, -1)]
    joined = call("pages/activity.mjs", f"withNewest({json.dumps(known)}, {json.dumps(reaching)})")
    assert joined == [*reaching, {"id": 2}]


def test_marks_are_those_of_the_range_and_the_key(call: Any) -> None:
    alert = {"name": "Too hot", "text": "temp is above 30", "key": "temp", "since": 1_000, "resolved": 2_000}
    sessions = [{"from": 3_000, "dialect": "line"}, {"from": 500, "dialect": "line"}]
    made = f"marksOf([{json.dumps(alert)}], [{{created: 2500, method: 'blink'}}], {json.dumps(sessions)})"

    def within(start: int, end: int, key: str) -> list[str]:
        found = call("pages/device/markers.mjs", f"marksWithin({made}, {start}, {end}, ['{key}'])")
        return [mark["kind"] for mark in found]

    assert within(0, 9_000, "temp") == ["alert", "command", "session"]
    assert within(0, 9_000, "hum") == ["command", "session"]
    assert within(1_500, 1_600, "temp") == ["alert"]
    assert within(2_100, 2_400, "temp") == []
    near = call("pages/device/markers.mjs", f"markAt({made}, 2_510, 20)")
    assert near.startswith("blink · ")
    assert call("pages/device/markers.mjs", f"markAt({made}, 2_700, 20)") is None
