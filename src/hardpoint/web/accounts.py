"""Who there is: people, their sessions, and programs' tokens, as they are kept in memory and in the store.

A change is durable before it is answered, and undone when it could not be stored. Only digests are kept of what opens
a door: of a cookie and of a token their SHA-256, of a password its scrypt.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, Conflict, NotFound, StorageError
from ..hub.principal import Principal
from ..hub.tokens import API_PREFIX, SHOWN_PREFIX_LENGTH, hash_token, new_token
from ..model import ApiToken, Delete, Put, SignIn, User

if TYPE_CHECKING:
    from ..hub.hub import Hub

SESSION_S = 30 * 24 * 3600
"""A phone in a greenhouse should not ask for a password every morning."""
MAX_SESSIONS = 10_000
MAX_USERS = 1_000
MAX_API_TOKENS = 1_000
MAX_AGENT_CHARACTERS = 256
"""Of a User-Agent that are kept: browsers say what they are in the first hundred."""
SESSION_ID_LENGTH = 16
"""Of the digest of a session's cookie that name it in lists. A digest opens nothing."""
NOTED_EVERY_MS = 15 * 60_000
"""How often the last use of a session or token is stored. More would be a write to the disk with every request."""
LINK_USER = "setup"
"""Who the one-time link signs in as, until a person has a name."""
LOCAL_USER = "local"
"""Whoever may open the Unix socket."""
EVERYBODY = "*"
"""Whose sessions are meant, in a query."""
_NOBODYS_NAMES = (LINK_USER, LOCAL_USER, EVERYBODY)


class Accounts:
    """People by name, sessions by the digest of their cookie, tokens by their digest."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        store, now = hub.store, hub.clock_ms()
        self.users = {user.name: user for user in store.load(User)}
        self.sessions = {entry.id_hash: entry for entry in store.load(SignIn) if entry.expires_ms > now}
        self.tokens = {token.token_hash: token for token in store.load(ApiToken)}
        self.rights_changed: list[Callable[[], None]] = []
        """Called when somebody lost or got rights: doors that are open look anew at who goes through."""
        self._changing = asyncio.Lock()  # one change of people at a time: two admins may not remove one another
        for token in self.tokens.values():
            self._expect_end(token)
        hub.alerting.agenda.on_jump.append(self._clock_jumped)

    # -- who is it

    def by_cookie(self, cookie: str, now_ms: int) -> Principal | None:
        """Whose session it is; None: nobody's, or no longer."""
        entry = self.sessions.get(hash_token(cookie))
        return None if entry is None else self._of_session(entry, now_ms)

    def by_token(self, secret: str, now_ms: int, address: str = "") -> Principal | None:
        """Whose API token it is; None: nobody's, or no longer."""
        token = self.find_token(secret)
        if token is None:
            return None
        token.used_from = address
        if now_ms - token.used_ms >= NOTED_EVERY_MS:
            token.used_ms = now_ms
            self._hub.commits.note(Put(token))
        return _of_token(token)

    def find_token(self, secret: str) -> ApiToken | None:
        """The API token of that secret, unless its time is up."""
        return self._live(self.tokens.get(hash_token(secret)))

    def again(self, before: Principal) -> bool:
        """Whether whoever went through a door may still stay behind it, with the rights they had then."""
        if before.via == "token":
            token = self.live_token(before.credential)
            return token is not None and _of_token(token) == before
        if before.via == "cookie":
            entry = self.sessions.get(before.credential)
            return entry is not None and self._of_session(entry, self._hub.clock_ms()) == before
        return True

    def live_token(self, token_id: str) -> ApiToken | None:
        """The API token of that id, unless its time is up."""
        return self._live(self.token_by_id(token_id))

    def token_by_id(self, token_id: str) -> ApiToken | None:
        """The API token of that id, also when its time is up."""
        return next((token for token in self.tokens.values() if token.id == token_id), None)

    def _live(self, token: ApiToken | None) -> ApiToken | None:
        return None if token is None or is_over(token, self._hub.clock_ms()) else token

    def _of_session(self, entry: SignIn, now_ms: int) -> Principal | None:
        if entry.expires_ms <= now_ms:
            return None
        if now_ms - entry.used_ms >= NOTED_EVERY_MS:
            entry.used_ms = now_ms
            self._hub.commits.note(Put(entry))
        user = self.users.get(entry.user)
        if user is not None:
            if user.disabled:
                return None
            return Principal(user.name, user.role, "cookie", tuple(user.labels), entry.id_hash)
        if entry.user == LINK_USER and not self.users:
            return Principal(LINK_USER, "admin", "cookie", (), entry.id_hash)
        return None

    # -- people

    def user(self, name: str) -> User:
        """A person by name.

        Raises:
            NotFound: there is nobody of that name.
        """
        user = self.users.get(name)
        if user is None:
            raise NotFound(f"there is nobody called {name!r}", field="name")
        return user

    def check_new_name(self, name: str) -> None:
        """Whether a person may be called that.

        Raises:
            BadInput: it cannot be a name.
            Conflict: somebody is called so.
        """
        if name != name.strip() or not name.isprintable() or name in _NOBODYS_NAMES:
            raise BadInput("this name cannot be used", field="name")
        if name in self.users:
            raise Conflict(f"there is already somebody called {name!r}", field="name")

    async def add_user(self, user: User, *, only_first: bool = False) -> None:
        """Take a new person.

        Raises:
            Conflict: the name is taken, there are too many, or they would not be the first.
            StorageError: it could not be stored, and they are nobody.
        """
        async with self._changing:
            if only_first and self.users:
                raise Conflict("somebody was faster: sign in")
            if user.name in self.users:
                raise Conflict(f"there is already somebody called {user.name!r}", field="name")
            if len(self.users) >= MAX_USERS:
                raise Conflict(f"there are {MAX_USERS} people already")
            await self._put_user(user)

    async def change_user(self, name: str, changes: dict[str, Any], *, keep_session: str = "") -> User:
        """Give a person another role, other labels, a password's hash, or none of it and close their door. Who has a
        new password or may come in no more loses all sessions but the one of that digest.

        Raises:
            NotFound: there is nobody of that name.
            Conflict: nobody would be left who may do everything.
            StorageError: it could not be stored, and nothing changed.
        """
        async with self._changing:
            user = replace(self.user(name), **changes)
            if user.role != "admin" or user.disabled:
                self._check_admin_left(without=name)
            ended: list[SignIn] = []
            if "password_hash" in changes or user.disabled:
                ended = [each for each in self.sessions_of(name) if each.id_hash != keep_session]
            await self._put_user(user, ended)
            return user

    async def remove_user(self, name: str) -> None:
        """Remove a person and all their sessions.

        Raises:
            NotFound: there is nobody of that name.
            Conflict: nobody would be left who may do everything.
            StorageError: it could not be stored, and they stay.
        """
        async with self._changing:
            user = self.user(name)
            self._check_admin_left(without=name)
            ended = self.sessions_of(name)
            del self.users[name]
            await self._durable(Delete(user), ended, lambda: self.users.update({name: user}))

    async def _put_user(self, user: User, ended: Sequence[SignIn] = ()) -> None:
        before = self.users.get(user.name)
        self.users[user.name] = user

        def undo() -> None:
            if before is None:
                del self.users[user.name]
            else:
                self.users[user.name] = before

        await self._durable(Put(user), ended, undo)

    async def _durable(self, change: Put | Delete, ended: Sequence[SignIn], undo: Callable[[], None]) -> None:
        """Store a change of a person, and with it the end of these sessions; all of it or nothing."""
        for entry in ended:
            del self.sessions[entry.id_hash]
        self._hub.commits.batch.changes += [change, *map(Delete, ended)]
        try:
            await self._hub.commits.durable()
        except StorageError:
            self.sessions.update({entry.id_hash: entry for entry in ended})
            undo()
            raise
        self._tell()

    def sessions_of(self, name: str) -> list[SignIn]:
        """A person's, whether their time is up or not."""
        return [entry for entry in self.sessions.values() if entry.user == name]

    def _check_admin_left(self, *, without: str) -> None:
        if not any(user.role == "admin" and not user.disabled for user in self.users.values() if user.name != without):
            raise Conflict("nobody else may do everything: make another admin first")

    # -- sessions

    async def open_session(self, name: str, address: str, agent: str) -> tuple[str, Principal]:
        """Sign somebody in: the cookie's value, which is known to nobody else from now on, and who they are.

        Raises:
            StorageError: it could not be stored, and opens nothing.
        """
        hub = self._hub
        now = hub.clock_ms()
        over = [entry for entry in self.sessions.values() if entry.expires_ms <= now]
        if len(self.sessions) - len(over) >= MAX_SESSIONS:
            over.append(next(iter(self.sessions.values())))
        self._forget_sessions(over)
        secret = secrets.token_urlsafe(32)
        expires_ms = now + SESSION_S * 1000
        entry = SignIn(hash_token(secret), name, now, expires_ms, address, agent[:MAX_AGENT_CHARACTERS], now)
        self.sessions[entry.id_hash] = entry
        hub.commits.note(Put(entry))
        try:
            await hub.commits.durable()
        except BaseException:  # nobody will ever have its secret
            self._forget_sessions([entry])
            raise
        user = self.users.get(name)
        role, labels = ("admin", ()) if user is None else (user.role, tuple(user.labels))
        return secret, Principal(name, role, "cookie", labels, entry.id_hash)

    async def end_sessions(self, entries: Iterable[SignIn]) -> None:
        """End sessions. They are over at once; when they could not be removed from the disk that is tried again."""
        self._forget_sessions(list(entries))
        self._tell()
        await self._hub.commits.durable()

    def _forget_sessions(self, entries: Iterable[SignIn]) -> None:
        for entry in entries:
            if self.sessions.pop(entry.id_hash, None) is not None:
                self._hub.commits.note(Delete(entry))

    # -- tokens

    async def add_token(
        self, name: str, role: str, labels: list[str], expires_ms: int | None, made_by: str
    ) -> tuple[str, ApiToken]:
        """Make an API token; its secret is shown this once.

        Raises:
            Conflict: there are too many.
            StorageError: it could not be stored, and opens nothing.
        """
        if len(self.tokens) >= MAX_API_TOKENS:
            raise Conflict(f"there are {MAX_API_TOKENS} API tokens already")
        secret = new_token(API_PREFIX)
        digest, shown = hash_token(secret), secret[:SHOWN_PREFIX_LENGTH]
        now = self._hub.clock_ms()
        token = ApiToken(secrets.token_hex(6), name, role, digest, shown, now, labels, expires_ms, made_by)
        self.tokens[digest] = token  # before it is stored, so that it counts; nobody knows its secret yet
        self._hub.commits.batch.changes.append(Put(token))
        try:
            await self._hub.commits.durable()
        except BaseException:  # nobody will ever know it
            if self.tokens.pop(digest, None) is not None:
                self._hub.commits.note(Delete(token))
            raise
        self._expect_end(token)
        return secret, token

    async def remove_token(self, token_id: str) -> ApiToken:
        """Remove an API token; what it had opened ends.

        Raises:
            NotFound: there is none of that id.
        """
        token = self.token_by_id(token_id)
        if token is None:
            raise NotFound("there is no such API token")
        del self.tokens[token.token_hash]
        self._hub.alerting.agenda.forget(lambda about: about is token)
        self._hub.commits.note(Delete(token))
        self._tell()
        await self._hub.commits.durable()
        return token

    def _expect_end(self, token: ApiToken) -> None:
        """See to it that what a token has opened ends with it."""
        if token.expires_ms is not None and not is_over(token, self._hub.clock_ms()):
            self._hub.alerting.agenda.at(token.expires_ms, lambda: self._end(token), token)

    def _clock_jumped(self, by_ms: int) -> None:
        """What waits has moved with the clock; but a token ends on a date, whatever the clock was when it was made."""
        self._hub.alerting.agenda.forget(lambda about: isinstance(about, ApiToken))
        for token in self.tokens.values():
            self._expect_end(token)
        self._tell()

    def _end(self, token: ApiToken) -> None:
        self._tell()
        self._expect_end(token)  # the clock was set back: it has not come to its end

    def _tell(self) -> None:
        for tell in self.rights_changed:
            tell()


def is_over(token: ApiToken, now_ms: int) -> bool:
    """Whether its time is up."""
    return token.expires_ms is not None and token.expires_ms <= now_ms


def _of_token(token: ApiToken) -> Principal:
    return Principal(token.name, token.role, "token", tuple(token.labels), token.id)
