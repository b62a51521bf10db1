"""People, their sessions, and the keys of programs."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from .words import Ms, Role

Password = Annotated[str, Meta(min_length=8, max_length=256)]
PersonName = Annotated[str, Meta(min_length=1, max_length=64)]


class Credentials(Struct, forbid_unknown_fields=True):
    """Either ``name`` and ``password``, or the one-time ``link`` that the server printed."""

    name: str = ""
    password: str = ""
    link: str = ""


class NewUser(Struct, forbid_unknown_fields=True):
    """The first person, who may do everything."""

    name: PersonName
    password: Password


class NewToken(Struct, forbid_unknown_fields=True):
    """An API token to be made."""

    name: PersonName
    role: Role = "viewer"


class Person(Struct):
    """Who is signed in."""

    name: str
    role: Role


class SignedIn(Struct):
    """The session. ``setup_needed``: nobody has a password yet."""

    user: Person
    setup_needed: bool
    version: str


class Token(Struct):
    """An API token as lists show it."""

    id: str
    name: str
    role: Role
    prefix: str
    created: Ms


class TokenWithSecret(Struct):
    """A new API token. The token is shown this once."""

    id: str
    name: str
    role: Role
    token: str


class TokenList(Struct):
    """All API tokens."""

    items: list[Token]
