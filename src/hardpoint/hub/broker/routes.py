"""Who gets a topic: the subscriptions that fit it, worked out once and kept while nobody subscribes anew.

A client whose subscriptions overlap gets a message once, with the greatest QoS of them and all their identifiers
([MQTT-3.3.4-2], [MQTT-3.3.4-3], §3.3.4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..topics import FilterTree, checked_filter, has_wildcard

if TYPE_CHECKING:
    from .session import ClientSession, Subscription

_DEVICES = ("devices/", "#", "+/")

MAX_CACHED_ROUTES = 8_192
MAX_CACHED_TARGETS = 100_000
"""What is kept of topics seen before; a megabyte or some ten. When either is reached it starts again."""


class Target:
    """One client of a route."""

    __slots__ = ("identifiers", "no_local", "qos", "retain_as_published", "session")

    def __init__(self, subscription: Subscription) -> None:
        self.session = subscription.session
        self.qos = subscription.qos
        self.no_local = subscription.no_local
        self.retain_as_published = subscription.retain_as_published
        self.identifiers = (subscription.identifier,) if subscription.identifier else ()

    def join(self, subscription: Subscription) -> None:
        """Another subscription of the same client fits as well."""
        self.qos = max(self.qos, subscription.qos)
        self.no_local = self.no_local and subscription.no_local
        self.retain_as_published = self.retain_as_published or subscription.retain_as_published
        if subscription.identifier:
            self.identifiers = (*self.identifiers, subscription.identifier)


class Share:
    """The clients that share one filter (§4.8.2): each message goes to one of them, in turn. Chosen once, it stays that
    client's, also while it is away and when its session ends ([MQTT-4.8.2-4], -5).
    """

    __slots__ = ("_next", "key", "members")

    def __init__(self, key: str) -> None:
        self.key = key
        """``$share/<group>/<filter>``."""
        self.members: list[Subscription] = []
        self._next = 0

    def choose(self, topic: str) -> Target | None:
        """Whose turn it is: one that is connected and reads, if there is one, else one whose session is kept."""
        count = len(self.members)
        second: Subscription | None = None
        for step in range(count):
            member = self.members[(self._next + step) % count]
            session = member.session
            if not session.access.may_receive(topic):
                continue
            if session.client is not None and not session.client.full:
                self._next = (self._next + step + 1) % count
                return Target(member)
            second = second or member
        self._next += 1
        return None if second is None else Target(second)


class Route:
    """Where a topic goes. True if it goes anywhere."""

    __slots__ = ("shares", "targets")

    def __init__(self, targets: list[Target], shares: list[Share]) -> None:
        self.targets = targets
        self.shares = shares

    def __bool__(self) -> bool:
        return bool(self.targets or self.shares)


class Routes:
    """Every subscription of every session."""

    def __init__(self) -> None:
        self._tree: FilterTree[Subscription | Share] = FilterTree()
        self._shares: dict[str, Share] = {}
        self._cache: dict[str, Route] = {}
        self._cached_targets = 0
        self.count = 0
        self.watches_devices = 0
        """Subscriptions whose filter may fit a topic under ``devices/``."""

    def find(self, topic: str) -> Route:
        """Where the topic goes now."""
        route = self._cache.get(topic)
        return route if route is not None else self._make(topic)

    def add(self, subscription: Subscription) -> bool:
        """Take a checked subscription, in place of the session's former one to that filter. True if there was none."""
        session = subscription.session
        if session.subscriptions is None:
            session.subscriptions = {}
        before = session.subscriptions.get(subscription.filter)  # [MQTT-3.8.4-3]
        session.subscriptions[subscription.filter] = subscription
        group, topic_filter = checked_filter(subscription.filter)
        if group is None:
            self._tree.add(topic_filter, subscription)
        else:
            share = self._shares.get(subscription.filter)
            if share is None:
                share = self._shares[subscription.filter] = Share(subscription.filter)
                self._tree.add(topic_filter, share)
            if before is not None:
                share.members.remove(before)
            share.members.append(subscription)
        if before is None:
            self.count += 1
            self.watches_devices += topic_filter.startswith(_DEVICES)
        self._forget(topic_filter)
        return before is None

    def remove(self, session: ClientSession, topic_filter: str) -> bool:
        """Take a subscription away; whether there was one. Filters are compared as they are ([MQTT-3.10.4-1], -2)."""
        subscription = (session.subscriptions or {}).pop(topic_filter, None)
        if subscription is None:
            return False
        if not session.subscriptions:
            session.subscriptions = None
        group, rest = checked_filter(topic_filter)
        if group is None:
            self._tree.remove(rest, session.key)
        else:
            share = self._shares[topic_filter]
            share.members.remove(subscription)
            if not share.members:
                del self._shares[topic_filter]
                self._tree.remove(rest, share.key)
        self.count -= 1
        self.watches_devices -= rest.startswith(_DEVICES)
        self._forget(rest)
        return True

    def clear(self) -> None:
        """Forget what was worked out: somebody's rights have changed."""
        self._cache.clear()
        self._cached_targets = 0

    def _forget(self, topic_filter: str) -> None:
        if has_wildcard(topic_filter):
            self.clear()
            return
        route = self._cache.pop(topic_filter, None)
        if route is not None:
            self._cached_targets -= len(route.targets)

    def _make(self, topic: str) -> Route:
        targets: dict[str, Target] = {}
        shares: list[Share] = []
        for found in self._tree.match(topic):  # [MQTT-3.3.2-3]
            if isinstance(found, Share):
                shares.append(found)
            elif found.session.access.may_receive(topic):
                target = targets.get(found.session.key)
                if target is None:
                    targets[found.session.key] = Target(found)
                else:
                    target.join(found)
        route = Route(list(targets.values()), shares)
        if len(self._cache) >= MAX_CACHED_ROUTES or self._cached_targets >= MAX_CACHED_TARGETS:
            self.clear()
        self._cache[topic] = route
        self._cached_targets += len(route.targets)
        return route
