"""Who may publish and receive what. One object a principal, asked when a route is made, not with every message.

``devices/<id>/…`` is what the hub knows of a device: readings as they become durable, commands, attributes. Everything
else is open to whoever is signed in, except ``$SYS/…``, which is the server's own to write.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...model import ROLES

DEVICES = "devices/"
SERVER_ONLY = ("$SYS/", "$share/")
THINGSBOARD = ("v1/devices/me/", "v1/gateway/", "v2/")
"""Topics that mean the device which uses them, whoever it is: nothing that others publish there may reach it."""


class Access:
    """The rights of one principal, equal where they are the same. This one has none."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Access) and type(self) is type(other) and self._what() == other._what()

    def __hash__(self) -> int:
        return hash(self._what())

    def _what(self) -> object:
        return None

    def may_publish(self, topic: str) -> bool:
        """Whether a message may be published there."""
        return False

    def may_subscribe(self, topic_filter: str) -> bool:
        """Whether there can be anything under the filter that may be received. ``#`` is granted and gives what is."""
        return False

    def may_receive(self, topic: str) -> bool:
        """Whether messages of that topic may be received."""
        return False


class OpenAccess(Access):
    """Everybody's, with ``allow_anonymous``: everything but writing ``$SYS/…``."""

    __slots__ = ()

    def may_publish(self, topic: str) -> bool:
        """All but what is the server's."""
        return not topic.startswith(SERVER_ONLY)

    def may_subscribe(self, topic_filter: str) -> bool:
        """All."""
        return True

    def may_receive(self, topic: str) -> bool:
        """All."""
        return True


class DeviceAccess(Access):
    """A device's: its own space under ``devices/``, and all that is neither there nor the server's."""

    __slots__ = ("_own", "_space")

    def __init__(self, device_id: str) -> None:
        self._own = DEVICES + device_id
        self._space = f"{self._own}/"

    def _what(self) -> object:
        return self._own

    def may_publish(self, topic: str) -> bool:
        """Its own space, and what is common."""
        if topic.startswith(DEVICES):
            return topic == self._own or topic.startswith(self._space)
        return not topic.startswith(SERVER_ONLY)

    def may_subscribe(self, topic_filter: str) -> bool:
        """Not to another device's space by name, nor to ``$SYS/…``."""
        return self.may_publish(topic_filter) or topic_filter.startswith((DEVICES + "+", DEVICES + "#"))

    def may_receive(self, topic: str) -> bool:
        """What it may publish, but for the topics that mean the device itself: there the server alone speaks to it."""
        return not topic.startswith(THINGSBOARD) and self.may_publish(topic)


PROVISION_REQUEST = "/provision/request"
PROVISION_RESPONSE = "/provision/response"


class ProvisionAccess(Access):
    """Of a client that has no device yet and may ask for one, and nothing else."""

    __slots__ = ()

    def may_publish(self, topic: str) -> bool:
        """The request."""
        return topic == PROVISION_REQUEST

    def may_subscribe(self, topic_filter: str) -> bool:
        """The answer, which comes to whoever has asked alone: nothing is received by what is published there."""
        return topic_filter == PROVISION_RESPONSE


class WaitingAccess(Access):
    """Of an unknown device that waits to be adopted: it may listen where commands to it will come, and nothing else."""

    __slots__ = ("_space",)

    def __init__(self, name: str) -> None:
        self._space = f"{DEVICES}{name}/"

    def _what(self) -> object:
        return self._space

    def may_subscribe(self, topic_filter: str) -> bool:
        """To what the server alone sends to it: nothing is received by what others publish there."""
        return topic_filter.startswith((self._space, *THINGSBOARD))


class RoleAccess(Access):
    """A program's, by its token's role: a viewer sees everything, an operator also publishes. One that is limited to
    labels has the spaces of the devices that it ``sees`` (by id), and nothing else: other topics are no device's.
    """

    __slots__ = ("_labels", "_may_write", "_sees")

    def __init__(self, role: str, labels: Sequence[str] = (), sees: Callable[[str], bool] = lambda _: True) -> None:
        self._may_write = ROLES.index(role) >= ROLES.index("operator")
        self._labels = tuple(labels)
        self._sees = sees

    def _what(self) -> object:
        return self._may_write, self._labels

    def may_publish(self, topic: str) -> bool:
        """Nothing, or all but ``$…``. What a message under ``devices/`` does is the dialect's to say."""
        return self._may_write and not topic.startswith(SERVER_ONLY) and self.may_receive(topic)

    def may_subscribe(self, topic_filter: str) -> bool:
        """All; if limited, what may fit a topic of a device that it sees."""
        if not self._labels or topic_filter == "#" or topic_filter.startswith(("+/", DEVICES + "+", DEVICES + "#")):
            return True
        return self.may_receive(topic_filter)

    def may_receive(self, topic: str) -> bool:
        """All; if limited, what is of a device that it sees."""
        if not self._labels:
            return True
        return topic.startswith(DEVICES) and self._sees(topic[len(DEVICES) :].partition("/")[0])
