"""Topic filters: the standard's own examples, and both trees against the plain definition."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardpoint.errors import BadInput
from hardpoint.hub.topics import FilterTree, NameTree, checked_filter, fits


@dataclass(frozen=True)
class Held:
    key: int
    filter: str


FITS = [  # §4.7.1 and §4.7.2
    ("sport/tennis/player1/#", "sport/tennis/player1", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
    ("sport/#", "sport", True),
    ("#", "a/b", True),
    ("sport/tennis/+", "sport/tennis/player1", True),
    ("sport/tennis/+", "sport/tennis/player1/ranking", False),
    ("sport/+", "sport", False),
    ("sport/+", "sport/", True),
    ("+/+", "/finance", True),
    ("/+", "/finance", True),
    ("+", "/finance", False),
    ("#", "$SYS/x", False),
    ("+/monitor/Clients", "$SYS/monitor/Clients", False),
    ("$SYS/#", "$SYS/", True),
    ("$SYS/monitor/+", "$SYS/monitor/Clients", True),
    ("ACCOUNTS", "Accounts", False),  # [MQTT-4.7.3-4]
    ("a/b", "a/b", True),
    ("a/b", "a/b/c", False),
    ("a/+/#", "a/$b/c", True),
]


@pytest.mark.parametrize(("topic_filter", "topic", "expected"), FITS)
def test_which_filter_fits_which_name(topic_filter, topic, expected):
    assert fits(topic_filter, topic) is expected
    filters: FilterTree[Held] = FilterTree()
    filters.add(topic_filter, Held(1, topic_filter))
    assert bool(filters.match(topic)) is expected
    names: NameTree[str] = NameTree()
    names.set(topic, topic)
    assert list(names.select(topic_filter)) == ([topic] if expected else [])


@pytest.mark.parametrize(
    ("topic_filter", "expected"),
    [
        ("a/b", (None, "a/b")),
        ("#", (None, "#")),
        ("/", (None, "/")),
        ("$share/g/a/#", ("g", "a/#")),
        ("$share/g//", ("g", "/")),
        ("$shared/a", (None, "$shared/a")),
    ],
)
def test_filters_that_can_be_used(topic_filter, expected):
    assert checked_filter(topic_filter) == expected


@pytest.mark.parametrize(
    "topic_filter",
    [
        "",
        "a#",
        "#/a",
        "a/#/b",
        "a+",
        "+a/b",
        "$share/",
        "$share/g",
        "$share/g/",
        "$share//a",
        "$share/g+/a",
        "$share/#/a",
        "/".join("a" * 129),
    ],
)
def test_filters_that_cannot(topic_filter):
    with pytest.raises(BadInput):
        checked_filter(topic_filter)


LEVEL = st.sampled_from(["a", "b", "", "$a", "+", "#"])
NAMES = st.lists(st.lists(st.sampled_from(["a", "b", "", "$a"]), min_size=1, max_size=4).map("/".join), max_size=8)


def usable(topic_filter):
    try:
        checked_filter(topic_filter)
    except BadInput:
        return False
    return True


FILTERS = st.lists(st.lists(LEVEL, min_size=1, max_size=4).map("/".join).filter(usable), max_size=8)


@given(FILTERS, NAMES, st.sets(st.integers(0, 7)))
def test_filter_tree_agrees_with_the_definition(filters, names, removed):
    tree: FilterTree[Held] = FilterTree()
    for key, topic_filter in enumerate(filters):
        tree.add(topic_filter, Held(key, topic_filter))
        tree.add(topic_filter, Held(key, topic_filter))
    left = {key: topic_filter for key, topic_filter in enumerate(filters) if key not in removed}
    for key in removed:
        if key < len(filters):
            tree.remove(filters[key], key)
            tree.remove(filters[key], key)
    for name in names:
        expected = sorted(key for key, topic_filter in left.items() if fits(topic_filter, name))
        assert sorted(held.key for held in tree.match(name)) == expected
    for key, topic_filter in left.items():
        tree.remove(topic_filter, key)
    assert not tree.wildcards
    assert not tree._exact
    assert tree._root.children is None


@given(FILTERS, NAMES, st.sets(st.integers(0, 7)))
def test_name_tree_agrees_with_the_definition(filters, names, removed):
    tree: NameTree[str] = NameTree()
    for name in names:
        tree.set(name, name)
    left = set(names) - {names[number] for number in removed if number < len(names)}
    for name in set(names) - left:
        assert tree.remove(name) == name
        assert tree.remove(name) is None
    assert sorted(tree) == sorted(left)
    assert len(tree) == len(left)
    for topic_filter in filters:
        assert sorted(tree.select(topic_filter)) == sorted(name for name in left if fits(topic_filter, name))
    for name in left:
        assert tree.get(name) == name
        tree.remove(name)
    assert tree._root.children is None
