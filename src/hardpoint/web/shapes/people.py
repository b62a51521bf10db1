"""People, their sessions, and the keys of programs."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from .words import Ms, Role

Password = Annotated[str, Meta(min_length=8, max_length=256)]
Secret = Annotated[str, Meta(max_length=256)]
PersonName = Annotated[str, Meta(min_length=1, max_length=64)]
Labels = Annotated[list[str], Meta(description="`key:value` or `key`; see only devices with one of them; none: all")]
ExpiresS = Annotated[float, Meta(gt=0, le=100 * 366 * 86_400, description="seconds from now")]


# -- what comes in


class Credentials(Struct, forbid_unknown_fields=True):
    """Either ``name`` and ``password``, or the one-time ``link`` that the server printed."""

    name: str = ""
    password: Secret = ""
    link: str = ""


class FirstUser(Struct, forbid_unknown_fields=True):
    """The first person, who may do everything."""

    name: PersonName
    password: Password


class NewUser(FirstUser):
    """A person to be added."""

    role: Role = "viewer"
    labels: Labels = []


class ChangedUser(Struct, forbid_unknown_fields=True):
    """What may be changed of a person; what is left out stays. ``disabled`` or a new password ends their sessions."""

    role: Role | UnsetType = UNSET
    labels: Labels | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    password: Password | UnsetType = UNSET


class ChangedPassword(Struct, forbid_unknown_fields=True):
    """One's own password. All other sessions of one's own end."""

    current: Secret
    new: Password


class NewToken(Struct, forbid_unknown_fields=True):
    """An API token to be made. ``expires_s`` null: it opens until it is removed."""

    name: PersonName
    role: Role = "viewer"
    labels: Labels = []
    expires_s: ExpiresS | None = None


# -- what goes out


class Person(Struct):
    """Who is signed in."""

    name: str
    role: Role
    labels: list[str]


class SignedIn(Struct):
    """The session. ``setup_needed``: nobody has a password yet."""

    user: Person
    setup_needed: bool
    version: str


class User(Struct):
    """A person. ``sessions`` are open now; ``used`` is when one of them was last used, to some minutes."""

    name: str
    role: Role
    labels: list[str]
    disabled: bool
    created: Ms
    sessions: int
    used: Ms | None


class UserList(Struct):
    """Everybody with a password, by name."""

    items: list[User]


class Session(Struct):
    """Somebody's session of a browser. ``current``: the one that asks. ``used`` is true to some minutes."""

    id: str
    user: str
    created: Ms
    used: Ms
    expires: Ms
    address: str
    agent: str
    current: bool


class SessionList(Struct):
    """Sessions, those used last first."""

    items: list[Session]


class Token(Struct):
    """An API token as lists show it. ``used`` is true to some minutes."""

    id: str
    name: str
    role: Role
    labels: list[str]
    prefix: str
    created: Ms
    expires: Ms | None
    made_by: str
    used: Ms | None
    used_from: str


class TokenWithSecret(Struct):
    """A new API token. The token is shown this once."""

    id: str
    name: str
    role: Role
    labels: list[str]
    expires: Ms | None
    token: str


class TokenList(Struct):
    """All API tokens."""

    items: list[Token]
