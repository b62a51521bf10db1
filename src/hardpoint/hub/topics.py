"""Topic names and filters (MQTT 5.0 §4.7): which filters fit a name, and which names a filter.

Filters without a wildcard are nearly all there are where thousands of clients wait for their own commands, so these are
one dict by name, and only the others make a tree by level. A tree's node costs some 300 bytes, a dict's entry a third.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, Protocol, TypeVar, cast

from ..errors import BadInput

MAX_LEVELS = 128
"""Of a name or a filter: each level of a filter is a node of the tree (mosquitto allows 200)."""
SHARE = "$share/"

V = TypeVar("V")


class Keyed(Protocol):
    """What a `FilterTree` holds: each filter has one value of a key at most."""

    @property
    def key(self) -> Hashable: ...  # noqa: D102 - said above


K = TypeVar("K", bound=Keyed)


def checked_filter(topic_filter: str) -> tuple[str | None, str]:
    """``(group, filter)`` of what a client subscribes to; the group is None unless it is ``$share/<group>/<filter>``.

    Raises:
        BadInput: it is no filter; the message says what is wrong with it.
    """
    group: str | None = None
    shown, rest = topic_filter[:80], topic_filter
    if topic_filter.startswith(SHARE):  # §4.8.2
        group, slash, rest = topic_filter[len(SHARE) :].partition("/")
        if not group or not slash or not rest or "#" in group or "+" in group:  # [MQTT-4.8.2-1], [MQTT-4.8.2-2]
            raise BadInput(f"{shown!r} must be $share/<group>/<filter>, the group without wildcards")
    if not rest:  # [MQTT-4.7.3-1]
        raise BadInput("an empty topic filter")
    levels = rest.split("/")
    if len(levels) > MAX_LEVELS:
        raise BadInput(f"a topic filter may have at most {MAX_LEVELS} levels")
    for number, level in enumerate(levels):
        if "#" in level and (level != "#" or number != len(levels) - 1):  # [MQTT-4.7.1-1]
            raise BadInput(f"{shown!r}: # stands alone and at the end")
        if "+" in level and level != "+":  # [MQTT-4.7.1-2]
            raise BadInput(f"{shown!r}: + stands for a whole level")
    return group, rest


def has_wildcard(topic_filter: str) -> bool:
    """Whether it may fit more than one name."""
    return "#" in topic_filter or "+" in topic_filter


def fits(topic_filter: str, topic: str) -> bool:
    """Whether the filter fits the name."""
    wanted, levels = topic_filter.split("/"), topic.split("/")
    if levels[0].startswith("$") and wanted[0] in ("#", "+"):  # [MQTT-4.7.2-1]
        return False
    for number, level in enumerate(wanted):
        if level == "#":  # also the parent: a/# fits a (§4.7.1.2)
            return True
        if number >= len(levels) or level not in ("+", levels[number]):  # [MQTT-4.7.3-4]: no folding of any kind
            return False
    return len(wanted) == len(levels)


class _Node(Generic[V]):
    __slots__ = ("children", "held")

    def __init__(self) -> None:
        self.children: dict[str, _Node[V]] | None = None
        self.held: V | None = None


class FilterTree(Generic[K]):
    """Values under filters; `match` finds those whose filter fits a name."""

    def __init__(self) -> None:
        self._exact: dict[str, K | dict[Hashable, K]] = {}
        """A value alone stands for itself: most filters without a wildcard are of one client."""
        self._root: _Node[dict[Hashable, K]] = _Node()
        self.wildcards = 0
        """Values under filters that have one."""

    def add(self, topic_filter: str, value: K) -> None:
        """Put a value under a filter, in place of the one with its key."""
        if not has_wildcard(topic_filter):
            held = self._exact.get(topic_filter)
            if held is None:
                self._exact[topic_filter] = value
            elif isinstance(held, dict):
                held[value.key] = value
            else:
                self._exact[topic_filter] = {held.key: held, value.key: value}
            return
        node = self._root
        for level in topic_filter.split("/"):
            if node.children is None:
                node.children = {}
            child = node.children.get(level)
            if child is None:
                child = node.children[level] = _Node()
            node = child
        if node.held is None:
            node.held = {}
        self.wildcards += value.key not in node.held
        node.held[value.key] = value

    def remove(self, topic_filter: str, key: Hashable) -> None:
        """Take the value with that key from under a filter, if it is there."""
        if not has_wildcard(topic_filter):
            held = self._exact.get(topic_filter)
            if isinstance(held, dict):
                held.pop(key, None)
                if not held:
                    del self._exact[topic_filter]
            elif held is not None and held.key == key:
                del self._exact[topic_filter]
            return
        path = [self._root]
        levels = topic_filter.split("/")
        for level in levels:
            child = (path[-1].children or {}).get(level)
            if child is None:
                return
            path.append(child)
        held = path[-1].held
        if held is None or held.pop(key, None) is None:
            return
        self.wildcards -= 1
        path[-1].held = held or None
        for node, parent, level in zip(path[:0:-1], path[-2::-1], levels[::-1], strict=True):
            if node.held is not None or node.children:
                break
            children = cast("dict[str, _Node[dict[Hashable, K]]]", parent.children)
            del children[level]
            parent.children = children or None

    def match(self, topic: str) -> list[K]:
        """Every value whose filter fits the name."""
        found: list[K] = []
        held = self._exact.get(topic)
        if held is not None:
            if isinstance(held, dict):
                found += held.values()
            else:
                found.append(held)
        if self.wildcards:
            self._match_wildcards(topic.split("/"), found)
        return found

    def _match_wildcards(self, levels: list[str], found: list[K]) -> None:
        nodes = [self._root]
        wild = not levels[0].startswith("$")  # [MQTT-4.7.2-1]
        for level in levels:
            following: list[_Node[dict[Hashable, K]]] = []
            for node in nodes:
                children = node.children
                if children is None:
                    continue
                if wild:
                    rest = children.get("#")
                    if rest is not None and rest.held is not None:
                        found += rest.held.values()
                    one = children.get("+")
                    if one is not None:
                        following.append(one)
                child = children.get(level)
                if child is not None:
                    following.append(child)
            if not following:
                return
            nodes, wild = following, True
        for node in nodes:
            if node.held is not None:
                found += node.held.values()
            rest = node.children.get("#") if node.children else None
            if rest is not None and rest.held is not None:
                found += rest.held.values()


class NameTree(Generic[V]):
    """One value under each name; `select` finds those whose name a filter fits."""

    def __init__(self) -> None:
        self._by_name: dict[str, V] = {}
        self._root: _Node[str] = _Node()

    def __len__(self) -> int:
        return len(self._by_name)

    def __iter__(self) -> Iterator[V]:
        return iter(self._by_name.values())

    def get(self, topic: str) -> V | None:
        """The value under that very name."""
        return self._by_name.get(topic)

    def set(self, topic: str, value: V) -> None:
        """Put a value under a name, in place of the one that was there."""
        if topic not in self._by_name:
            node = self._root
            for level in topic.split("/"):
                if node.children is None:
                    node.children = {}
                node = node.children.setdefault(level, _Node())
            node.held = topic
        self._by_name[topic] = value

    def remove(self, topic: str) -> V | None:
        """Take the value under that name away and return it."""
        value = self._by_name.pop(topic, None)
        if value is None:
            return None
        path = [self._root]
        levels = topic.split("/")
        for level in levels:
            path.append(cast("dict[str, _Node[str]]", path[-1].children)[level])
        path[-1].held = None
        for node, parent, level in zip(path[:0:-1], path[-2::-1], levels[::-1], strict=True):
            if node.held is not None or node.children:
                break
            children = cast("dict[str, _Node[str]]", parent.children)
            del children[level]
            parent.children = children or None
        return value

    def select(self, topic_filter: str) -> Iterator[V]:
        """Every value whose name the filter fits. The tree must not be changed meanwhile."""
        if not has_wildcard(topic_filter):
            value = self._by_name.get(topic_filter)
            if value is not None:
                yield value
            return
        nodes = [self._root]
        for number, level in enumerate(topic_filter.split("/")):
            if level == "#":
                for node in nodes:
                    yield from self._below(node, top=number == 0)
                return
            following: list[_Node[str]] = []
            for node in nodes:
                children = node.children or {}
                if level != "+":
                    following += [children[level]] if level in children else []
                elif number:
                    following += children.values()
                else:  # [MQTT-4.7.2-1]
                    following += [child for name, child in children.items() if not name.startswith("$")]
            nodes = following
        for node in nodes:
            if node.held is not None:
                yield self._by_name[node.held]

    def _below(self, node: _Node[str], *, top: bool) -> Iterator[V]:
        waiting = [node]
        while waiting:
            node = waiting.pop()
            if node.held is not None:
                yield self._by_name[node.held]
            for name, child in (node.children or {}).items():
                if not (top and name.startswith("$")):  # [MQTT-4.7.2-1]
                    waiting.append(child)
            top = False
