"""Whoever a request or a subscription speaks for: their role, and the devices they may see.

Operators and viewers may be limited to labels. For whoever is, a device without one of them does not exist: it is
answered as one that was never there, so that names cannot be tried out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import BadInput, Forbidden, NotFound
from ..model import ROLES
from .devices import MAX_LABEL_LENGTH, MAX_LABELS

if TYPE_CHECKING:
    from ..model import Rule
    from .devices import Catalogue, DeviceState


@dataclass(slots=True, frozen=True)
class Principal:
    """A person or a program. ``via`` is ``cookie``, ``token`` or ``unix``; ``credential`` what it is known by again:
    the digest of a cookie, or a token's id.
    """

    name: str
    role: str
    via: str
    labels: tuple[str, ...] = ()
    """What they are limited to, as `model.User.labels`; none: all devices."""
    credential: str = ""

    def has_role(self, needed: str) -> bool:
        """Whether they may do what that role may."""
        return ROLES.index(self.role) >= ROLES.index(needed)

    def sees(self, device: DeviceState) -> bool:
        """Whether the device exists for them."""
        return not self.labels or has_one_of(device.record.labels, self.labels)

    def find(self, catalogue: Catalogue, id_or_name: str) -> DeviceState:
        """A device by its id or its exact name.

        Raises:
            NotFound: there is none, or none for them; both are told alike.
        """
        device = catalogue.find(id_or_name)
        if not self.sees(device):
            raise NotFound(f"there is no device {id_or_name!r}", field="device")
        return device

    def sees_id(self, catalogue: Catalogue, device_id: str) -> bool:
        """Whether the device of that id exists for them. What was of a device that is gone is nobody's but of those who
        see all.
        """
        if not self.labels:
            return True
        device = catalogue.by_id.get(device_id)
        return device is not None and self.sees(device)

    def check_labels(self, labels: Mapping[str, str]) -> None:
        """Whether they may give a device these labels: it must stay one of theirs.

        Raises:
            Forbidden: it would not.
        """
        if self.labels and not has_one_of(labels, self.labels):
            raise Forbidden(f"a device of yours has one of the labels {', '.join(self.labels)}")

    def owns_rule(self, catalogue: Catalogue, rule: Rule) -> bool:
        """Whether the rule concerns and commands no device but theirs, now and whatever devices come."""
        if not self.labels:
            return True
        command_device = (rule.command or {}).get("device")
        if command_device is not None and not self.sees_id(catalogue, command_device):
            return False
        kind, _, what = rule.scope.partition(":")
        if kind == "device":
            return self.sees_id(catalogue, what)
        name, equals, value = what.partition("=")
        if kind != "label" or ":" in name:  # a limit's first colon ends its key
            return False
        return name in self.labels or (bool(equals) and f"{name}:{value}" in self.labels)


def has_one_of(labels: Mapping[str, str], wanted: Sequence[str]) -> bool:
    """Whether one of the wanted (``key:value``, or ``key`` with any value) is among the labels."""
    for each in wanted:
        key, colon, value = each.partition(":")
        if key in labels and (not colon or labels[key] == value):
            return True
    return False


def checked_limits(role: str, labels: Sequence[str]) -> list[str]:
    """The labels that somebody of that role is to be limited to, each once.

    Raises:
        BadInput: too many, one is none, or the role is that of an admin, who sees all.
    """
    if labels and role == "admin":
        raise BadInput("an admin sees all devices: limit operators and viewers", field="labels")
    if len(labels) > MAX_LABELS:
        raise BadInput(f"at most {MAX_LABELS} labels", field="labels")
    for each in labels:
        key, colon, value = each.partition(":")
        for part in (key, value) if colon else (key,):
            if not 0 < len(part) <= MAX_LABEL_LENGTH or not part.isprintable():
                raise BadInput(f"write KEY:VALUE or KEY, each of 1 to {MAX_LABEL_LENGTH} characters", field="labels")
    return list(dict.fromkeys(labels))
