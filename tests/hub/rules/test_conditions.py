"""Conditions: every kind at its bounds, with its hysteresis, and everything that is none."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from simpleeval import SimpleEval

from hardpoint.errors import BadInput
from hardpoint.hub.fields import Field
from hardpoint.hub.rules.conditions import MAX_SAMPLES, NOTHING_CALM, Unusable, only_key, parse_condition
from hardpoint.hub.rules.expressions import FUNCTIONS, Expression, operators

ABOVE = {"key": "temp", "is": "above", "value": 30, "until": 28}
BELOW = {"key": "temp", "is": "below", "value": 5, "until": 7}
OUTSIDE = {"key": "temp", "is": "outside", "low": 5, "high": 30, "until": [7, 28]}
INSIDE = {"key": "temp", "is": "inside", "low": 5, "high": 30, "until": [4, 31]}


def holds(when, value, held=False, key="temp"):
    return parse_condition(when).probe({}).holds(key, 1, value, held)


@pytest.mark.parametrize(
    ("when", "told", "plain"),
    [
        (ABOVE, "Air is above 30 °C", "temp is above 30"),
        (BELOW, "Air is below 5 °C", "temp is below 5"),
        (OUTSIDE, "Air is outside 5 to 30 °C", "temp is outside 5 to 30"),
        (INSIDE, "Air is 5 to 30 °C", "temp is 5 to 30"),
        ({"key": "temp", "is": "equal", "value": 3}, "Air is 3 °C", "temp is 3"),
        ({"key": "temp", "is": "unequal", "value": True}, "Air is not true", "temp is not true"),
        ({"key": "temp", "is": "equal", "value": "high"}, "Air is high", "temp is high"),
        (
            {"key": "temp", "is": "changing", "by": 5, "within_s": 60},
            "Air changes by more than 5 °C within 60 s",
            "temp changes by more than 5 within 60 s",
        ),
        ({"key": "temp", "is": "missing"}, "Air is missing", "temp is missing"),
        ({"key": "*", "is": "missing"}, "nothing comes", "nothing comes"),
        ({"is": "expression", "text": "temp > 3"}, "temp > 3", "temp > 3"),
        ({"key": "door", "is": "above", "value": 1.5}, "door is above 1.5", "door is above 1.5"),
    ],
)
def test_is_told_in_words(when, told, plain):
    condition = parse_condition(when)
    assert condition.told({"temp": Field("Air", "°C", 1), "hum": Field(unit="%")}) == told
    assert str(condition) == plain


@pytest.mark.parametrize(
    ("when", "key"),
    [
        (ABOVE, "temp"),
        ({"is": "expression", "text": "hum > 3 and hum < 9"}, "hum"),
        ({"is": "expression", "text": "hum > temp"}, None),
        ({"key": "*", "is": "missing"}, None),
        ({}, None),
    ],
)
def test_has_one_key_or_none(when, key):
    assert only_key(when) == key


@pytest.mark.parametrize(
    ("when", "value", "at_first", "once_held"),
    [
        (ABOVE, 30, False, True),
        (ABOVE, 30.1, True, True),
        (ABOVE, 28, False, False),
        (ABOVE, 28.1, False, True),
        ({"key": "temp", "is": "above", "value": 30}, 30, False, False),
        (BELOW, 5, False, True),
        (BELOW, 4.9, True, True),
        (BELOW, 7, False, False),
        (OUTSIDE, 5, False, True),
        (OUTSIDE, 4.9, True, True),
        (OUTSIDE, 30.1, True, True),
        (OUTSIDE, 7, False, False),
        (OUTSIDE, 28.5, False, True),
        (INSIDE, 5, True, True),
        (INSIDE, 4.5, False, True),
        (INSIDE, 3.9, False, False),
        (INSIDE, 31.1, False, False),
        ({"key": "door", "is": "equal", "value": "open"}, "open", True, True),
        ({"key": "door", "is": "equal", "value": "open"}, "shut", False, False),
        ({"key": "door", "is": "equal", "value": True}, 1, False, False),
        ({"key": "door", "is": "equal", "value": 1}, True, False, False),
        ({"key": "door", "is": "equal", "value": 1}, 1.0, True, True),
        ({"key": "door", "is": "unequal", "value": "shut"}, {"a": 1}, True, True),
        ({"key": "door", "is": "unequal", "value": "shut"}, "shut", False, False),
        ({"key": "temp", "is": "missing"}, None, False, False),
    ],
)
def test_at_its_bounds(when, value, at_first, once_held):
    assert holds(when, value) is at_first
    assert holds(when, value, held=True) is once_held


@pytest.mark.parametrize(
    "when", [ABOVE, BELOW, OUTSIDE, INSIDE, {"key": "temp", "is": "changing", "by": 1, "within_s": 9}]
)
@pytest.mark.parametrize("value", ["31", True, None, [31], {"v": 31}])
def test_what_is_no_number_cannot_be_judged(when, value):
    with pytest.raises(Unusable, match=r"temp is .*, not a number"):
        holds(when, value)


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (ABOVE, "temp is above 30"),
        (BELOW, "temp is below 5"),
        (OUTSIDE, "temp is outside 5 to 30"),
        (INSIDE, "temp is 5 to 30"),
        ({"key": "door", "is": "equal", "value": True}, "door is true"),
        ({"key": "door", "is": "unequal", "value": "shut"}, "door is not shut"),
        ({"key": "t", "is": "changing", "by": 2.5, "within_s": 60}, "t changes by more than 2.5 within 60 s"),
        ({"key": "t", "is": "missing"}, "t is missing"),
        ({"key": "*", "is": "missing"}, "nothing comes"),
        ({"is": "expression", "text": "temp > 30"}, "temp > 30"),
    ],
)
def test_in_words(when, words):
    assert str(parse_condition(when)) == words


class TestChanging:
    def probe(self, by=5, within_s=60):
        return parse_condition({"key": "t", "is": "changing", "by": by, "within_s": within_s}).probe({})

    def test_looks_back_so_far_and_no_farther(self):
        probe = self.probe()
        assert not probe.holds("t", 0, 20, False)
        assert not probe.holds("t", 30_000, 25, False), "more than 5, not 5"
        assert probe.holds("t", 59_999, 25.1, False)
        assert not probe.holds("t", 60_000, 25.1, False), "the 20 is a minute old"

    def test_falls_count_like_rises(self):
        probe = self.probe()
        probe.holds("t", 0, 20, False)
        assert probe.holds("t", 1, 14.9, False)

    def test_a_fast_sensor_costs_no_more_memory(self):
        probe = self.probe()
        for ts in range(0, 120_000, 10):
            probe.holds("t", ts, ts / 1000, False)
        assert len(probe._samples) <= MAX_SAMPLES + 2
        assert probe.holds("t", 120_000, 120, False)


class TestExpressions:
    def test_look_at_several_keys(self):
        when = {"is": "expression", "text": 'temp > 30 and key("door.open")', "until": "temp < 28"}
        condition = parse_condition(when)
        assert set(condition.keys) == {"temp", "door.open"}
        probe = condition.probe({"door.open": True, "other": 1})
        assert not probe.holds("temp", 1, 30, False)
        assert probe.holds("temp", 2, 31, False)
        assert probe.holds("temp", 3, 29, True), "until it is below 28"
        assert not probe.holds("temp", 4, 27, True)
        assert not probe.holds("door.open", 5, False, False)

    @pytest.mark.parametrize(
        ("text", "values", "why"),
        [
            ("temp > 30 and hum < 40", {"temp": 31}, "hum has no reading yet"),
            ("temp > 30", {"temp": "hot"}, "'>' not supported"),
            ("1 / temp > 1", {"temp": 0}, "division by zero"),
            ("temp > 30", {"temp": [1]}, "temp is neither a number"),
            ("temp * 10 == 1", {"temp": "a"}, "strings cannot be multiplied"),
            ("temp % 1 == 1", {"temp": "%999999999d"}, "a string has no remainder"),
        ],
    )
    def test_say_what_they_cannot_judge(self, text, values, why):
        ((key, value),) = values.items()
        probe = parse_condition({"is": "expression", "text": text}).probe({})
        with pytest.raises(Unusable, match=why):
            probe.holds(key, 1, value, False)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            " ",
            "x" * 501,
            "1 > 0",
            "temp >",
            "9**9**9 > temp",
            "temp.__class__",
            "[t for t in temp]",
            "lambda: temp",
            "open('/etc/passwd') == temp",
            "__import__('os').system('true') or temp",
            "temp['a']",
            "f'{temp}'",
            "temp == None",
            "temp == b'a'",
            "(temp := 1)",
            "temp if",
            "min",
            "key",
            "key(temp)",
            "key('a b')",
            "key('a', 'b')",
            "min(temp, key=abs)",
            "abs.__self__(temp)",
            "+".join(["temp"] * 150),
            "(" * 400 + "temp" + ")" * 90,
        ],
    )
    def test_refuse_what_is_not_of_the_language(self, text):
        with pytest.raises(BadInput) as caught:
            parse_condition({"is": "expression", "text": text})
        assert caught.value.field == "when.text"

    def test_true_and_false_are_words(self):
        assert holds({"is": "expression", "text": "temp == true"}, True)
        assert holds({"is": "expression", "text": "(temp != false) == true"}, 2)

    def test_have_functions(self):
        text = "avg(temp, 30) == 25 and abs(-temp) == 20 and min(temp, 3) == 3 and max(temp, 3) == round(20.4)"
        assert holds({"is": "expression", "text": text}, 20)


NUMBERS = st.sampled_from(["-3", "0", "1.5", "30", "9007199254740993"])
VALUES = st.one_of(st.sampled_from([-3, 0, 1.5, 30, True, "30", "a"]), st.floats(-40, 40), st.integers(-(2**60), 2**60))


def compared(draw_from):
    """Expressions that only compare ``t`` and ``key("u")``, if both are asked for, with numbers."""
    sides = st.tuples(st.one_of(NUMBERS, draw_from), st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), draw_from)
    simple = st.one_of(
        sides.map(" ".join),
        st.tuples(NUMBERS, draw_from, NUMBERS).map(lambda parts: f"{parts[0]} < {parts[1]} <= {parts[2]}"),
        st.sampled_from(["true", "false"]),
    )
    return st.recursive(
        simple,
        lambda inner: st.one_of(
            st.tuples(inner, inner).map(lambda two: f"({two[0]} and {two[1]})"),
            st.tuples(inner, inner).map(lambda two: f"({two[0]} or {two[1]})"),
            st.tuples(inner, inner, inner).map(lambda three: f"({three[0]} if {three[1]} else {three[2]})"),
            inner.map(lambda one: f"(not {one})"),
        ),
        max_leaves=6,
    )


def computed():
    """Any expressions."""
    terms = st.recursive(
        st.one_of(NUMBERS, st.sampled_from(["t", 'key("u")', "true", "'30'"])),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner).map(
                lambda three: f"({' '.join(three)})"
            ),
            inner.map(lambda one: f"(-{one})"),
            inner.map(lambda one: f"abs({one})"),
            st.tuples(inner, inner).map(lambda two: f"max({two[0]}, {two[1]})"),
        ),
        max_leaves=5,
    )
    return compared(terms)


class TestExpressionsAgainstSimpleeval:
    """What an expression means is simpleeval's: ours are only quicker."""

    @given(computed(), VALUES, VALUES)
    def test_the_same_is_true_and_the_same_is_refused(self, text, t, u):
        try:
            expression = Expression(text)
        except BadInput:
            assume(False)
        values = {"t": t, "u": u}
        named = values | {"true": True, "false": False}
        reference = SimpleEval(operators=operators(), functions=FUNCTIONS | {"key": values.__getitem__}, names=named)
        try:
            expected = bool(reference.eval(text))
        except Exception as error:
            with pytest.raises(ValueError, match=re.escape(str(error).partition("\n")[0])):
                expression.is_true(values)
        else:
            assert expression.is_true(values) is expected

    @given(compared(st.just("t")), st.one_of(st.none(), compared(st.just("t"))), VALUES, VALUES, st.booleans())
    def test_what_is_calm_changes_nothing(self, text, until, first, then, held):
        when = {"is": "expression", "text": text} | ({} if until is None else {"until": until})
        try:
            probe = parse_condition(when).probe({})
        except BadInput:
            assume(False)
        try:
            before = probe.holds("t", 1, first, held)
        except Unusable:
            assert probe.calm(held) == NOTHING_CALM
            return
        low, high = probe.calm(before)
        if type(then) in (int, float) and low <= then <= high:
            assert probe.holds("t", 2, then, before) == before

    @pytest.mark.parametrize(
        ("text", "value", "calm"),
        [
            ("t > 100 and t < 300", 20, (-math.inf, math.nextafter(100, 0))),
            ("not (-5 <= t <= 5)", 0, NOTHING_CALM),  # it holds not, and was not held
            ("t == 1", 1.5, (math.nextafter(1, 2), math.inf)),
            ("t > 100", 100, NOTHING_CALM),
            ("t + 1 > 100", 20, NOTHING_CALM),
            ("t > 9007199254740993", 20, NOTHING_CALM),
            ("t > u", 20, NOTHING_CALM),
            ("t > 100", "x", NOTHING_CALM),
        ],
    )
    def test_where_it_is_calm(self, text, value, calm):
        probe = parse_condition({"is": "expression", "text": text}).probe({"t": value, "u": 300})
        assert probe.calm(text.startswith("not")) == calm


@pytest.mark.parametrize(
    ("when", "field"),
    [
        ({}, "when.is"),
        ({"is": "hot"}, "when.is"),
        ({"is": ["above"]}, "when.is"),
        ({"is": "above", "value": 1}, "when.key"),
        ({"is": "above", "key": "a b", "value": 1}, "a b"),
        ({"is": "above", "key": "t"}, "when.value"),
        ({"is": "above", "key": "t", "value": "1"}, "when.value"),
        ({"is": "above", "key": "t", "value": True}, "when.value"),
        ({"is": "above", "key": "t", "value": float("nan")}, "when.value"),
        ({"is": "above", "key": "t", "value": 10**400}, "when.value"),
        ({"is": "above", "key": "t", "value": 1, "until": 2}, "when.until"),
        ({"is": "below", "key": "t", "value": 1, "until": 0}, "when.until"),
        ({"is": "above", "key": "t", "value": 1, "low": 0}, "when.low"),
        ({"is": "above", "key": "*", "value": 1}, "*"),
        ({"is": "outside", "key": "t", "low": 2, "high": 1}, "when.low"),
        ({"is": "outside", "key": "t", "low": 1, "high": 2, "until": [0, 1]}, "when.until"),
        ({"is": "inside", "key": "t", "low": 1, "high": 2, "until": [1, 1]}, "when.until"),
        ({"is": "outside", "key": "t", "low": 1, "high": 2, "until": 1}, "when.until"),
        ({"is": "outside", "key": "t", "low": 1, "high": 2, "until": [1, "2"]}, "when.until"),
        ({"is": "equal", "key": "t", "value": None}, "when.value"),
        ({"is": "equal", "key": "t", "value": [1]}, "when.value"),
        ({"is": "changing", "key": "t", "by": 0, "within_s": 1}, "when.by"),
        ({"is": "changing", "key": "t", "by": 1, "within_s": 0}, "when.within_s"),
        ({"is": "changing", "key": "t", "by": 1, "within_s": 10**6}, "when.within_s"),
        ({"is": "expression"}, "when.text"),
        ({"is": "expression", "text": "t > 1", "until": 5}, "when.until"),
    ],
)
def test_what_is_no_condition_is_refused_with_its_place(when, field):
    with pytest.raises(BadInput) as caught:
        parse_condition(when)
    assert caught.value.field == field


def test_a_device_cannot_make_an_expression_work_for_hours():
    probe = parse_condition({"is": "expression", "text": "round(5, digits) > 1"}).probe({})
    assert not probe.holds("digits", 1, -999_999_999, False)
    assert parse_condition({"is": "expression", "text": "round(t, 1) == 2.5"}).probe({}).holds("t", 1, 2.51, False)


EQUALS = [
    {"key": "temp", "is": kind, "value": value}
    for kind in ("equal", "unequal")
    for value in (3, -2.5, 2**60 + 1, "x", True)
]
numbers = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-50, 50),
    st.sampled_from([1, 3.0, 2**60, 2**60 + 1]),
)


@given(st.sampled_from([ABOVE, BELOW, OUTSIDE, INSIDE, *EQUALS]), st.booleans(), numbers)
def test_what_is_calm_changes_nothing(when, held, value):
    probe = parse_condition(when).probe({})
    low, high = probe.calm(held)
    if low <= value <= high:
        assert probe.holds("temp", 1, value, held) == held
