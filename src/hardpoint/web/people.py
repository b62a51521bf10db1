"""The app API's routes of people, of their sessions, and of programs' tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from msgspec import UNSET

from ..errors import Conflict, Forbidden, NotFound
from ..http import Response
from ..hub.principal import checked_limits
from ..model import User
from . import shapes
from .accounts import EVERYBODY, SESSION_ID_LENGTH
from .deeds import changed_of, tell, to_its_end

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..http import Request, Router
    from ..hub.hub import Hub
    from ..model import ApiToken, SignIn
    from .signin import SignIns


class PeopleRoutes:
    """``/api/users``: an admin's. ``/api/session/password``: everybody's own."""

    def __init__(self, hub: Hub, sign_ins: SignIns) -> None:
        self._hub = hub
        self._accounts = sign_ins.accounts
        self._passwords = sign_ins.passwords

    def register(self, router: Router) -> None:
        """Declare the routes."""
        route, one = router.route, "/api/users/{name}"
        route("GET", "/api/users", self.list, role="admin", summary="People who may sign in", out=shapes.UserList)
        route(
            "POST",
            "/api/users",
            self.create,
            role="admin",
            summary="Add a person with a first password",
            body=shapes.NewUser,
            out=shapes.User,
            status=201,
        )
        route(
            "PATCH",
            one,
            self.change,
            role="admin",
            summary="Change a person's role, labels or password, or whether they may sign in",
            body=shapes.ChangedUser,
            out=shapes.User,
        )
        route("DELETE", one, self.remove, role="admin", summary="Remove a person, and end their sessions", status=204)
        route(
            "POST",
            "/api/session/password",
            self.own_password,
            role="viewer",
            scope="none",
            summary="Change one's own password; all other sessions of one's own end",
            body=shapes.ChangedPassword,
            status=204,
        )

    def list(self, request: Request) -> Response:
        """``GET /api/users``."""
        users = sorted(self._accounts.users.values(), key=lambda user: (user.name.lower(), user.name))
        of_user: dict[str, list[SignIn]] = {}
        for entry in self._accounts.sessions.values():
            of_user.setdefault(entry.user, []).append(entry)
        return Response.json({"items": [_describe_user(user, of_user.get(user.name, ())) for user in users]})

    async def create(self, request: Request) -> Response:
        """``POST /api/users``."""
        given = request.json(shapes.NewUser)
        self._accounts.check_new_name(given.name)
        labels = checked_limits(given.role, given.labels)
        tell(request, {"role": given.role, "labels": labels}, subject=given.name)
        password_hash = await self._passwords.hash(given.password)
        user = User(given.name, given.role, password_hash, self._hub.clock_ms(), labels)
        await to_its_end(self._accounts.add_user(user))
        location = f"/api/users/{quote(user.name, safe='')}"
        return Response.json(_describe_user(user, ()), status=201, headers=[("Location", location)])

    async def change(self, request: Request) -> Response:
        """``PATCH /api/users/{name}``. Who becomes an admin is limited no more."""
        given = request.json(shapes.ChangedUser)
        user = self._accounts.user(request.params["name"])
        role = user.role if given.role is UNSET else given.role
        labels = given.labels
        if labels is UNSET:
            labels = user.labels if role != "admin" else []
        changes: dict[str, Any] = {"role": role, "labels": checked_limits(role, labels)}
        if given.disabled is not UNSET:
            changes["disabled"] = int(given.disabled)
        tell(request, changed_of(user, changes))
        if given.password is not UNSET:
            changes["password_hash"] = await self._passwords.hash(given.password)
        changed = await to_its_end(self._accounts.change_user(user.name, changes, keep_session=request.user.credential))
        return Response.json(_describe_user(changed, self._accounts.sessions_of(changed.name)))

    async def remove(self, request: Request) -> Response:
        """``DELETE /api/users/{name}``."""
        await to_its_end(self._accounts.remove_user(request.params["name"]))
        return Response.empty(204)

    async def own_password(self, request: Request) -> Response:
        """``POST /api/session/password``. Whoever found a browser open must not take the account with it, so the
        current one is asked for, and wrong ones are counted.
        """
        given = request.json(shapes.ChangedPassword)
        user = self._accounts.users.get(request.user.name)
        if request.user.via != "cookie" or user is None:
            raise Conflict("only who signed in with a password has one to change")
        throttle = self._hub.throttle
        throttle.check(request.address)
        throttle.failed(request.address)
        if not await self._passwords.fits(given.current, user.password_hash):
            raise Forbidden("this is not your password", field="current")
        throttle.succeeded(request.address)
        password_hash = await self._passwords.hash(given.new)
        change = {"password_hash": password_hash}
        await to_its_end(self._accounts.change_user(user.name, change, keep_session=request.user.credential))
        return Response.empty(204)


class SessionRoutes:
    """``/api/sessions``: everybody's own, and an admin's all."""

    def __init__(self, hub: Hub, sign_ins: SignIns) -> None:
        self._hub = hub
        self._accounts = sign_ins.accounts

    def register(self, router: Router) -> None:
        """Declare the routes."""
        route, all_of = router.route, "/api/sessions"
        route(
            "GET",
            all_of,
            self.list,
            role="viewer",
            scope="none",
            summary="One's own sessions; for an admin those of a user, or with user=* all",
            query=("user",),
            out=shapes.SessionList,
        )
        route(
            "DELETE",
            all_of,
            self.end_others,
            role="viewer",
            scope="none",
            summary="End all of one's own sessions but this one; with user, an admin ends all of a person",
            query=("user",),
            status=204,
        )
        route(
            "DELETE",
            f"{all_of}/{{id}}",
            self.end,
            role="viewer",
            scope="none",
            summary="End one of one's own sessions; an admin, anybody's",
            status=204,
        )

    def list(self, request: Request) -> Response:
        """``GET /api/sessions``."""
        found = sorted(self._chosen(request), key=lambda entry: (-entry.used_ms, entry.id_hash))
        return Response.json({"items": [self._describe(entry, request.user.credential) for entry in found]})

    async def end_others(self, request: Request) -> Response:
        """``DELETE /api/sessions``."""
        await self._accounts.end_sessions(
            [entry for entry in self._chosen(request) if entry.id_hash != request.user.credential]
        )
        return Response.empty(204)

    async def end(self, request: Request) -> Response:
        """``DELETE /api/sessions/{id}``. Another's is not there for whoever is no admin."""
        for entry in self._accounts.sessions.values():
            if entry.id_hash[:SESSION_ID_LENGTH] == request.params["id"]:
                if entry.user != _own_name(request) and request.user.role != "admin":
                    break
                tell(request, subject=entry.user)
                await self._accounts.end_sessions([entry])
                return Response.empty(204)
        raise NotFound("there is no such session")

    def _chosen(self, request: Request) -> Sequence[SignIn]:
        """The sessions that are asked about.

        Raises:
            Forbidden: they are another's, and this is no admin.
        """
        own = _own_name(request)
        name = request.query.get("user", own)
        if name != own and request.user.role != "admin":
            raise Forbidden("these are another's sessions")
        now = self._hub.clock_ms()
        open_ones = [entry for entry in self._accounts.sessions.values() if entry.expires_ms > now]
        return open_ones if name == EVERYBODY else [entry for entry in open_ones if entry.user == name]

    def _describe(self, entry: SignIn, current: str) -> dict[str, Any]:
        return {
            "id": entry.id_hash[:SESSION_ID_LENGTH],
            "user": entry.user,
            "created": entry.created_ms,
            "used": max(entry.used_ms, entry.created_ms),
            "expires": entry.expires_ms,
            "address": entry.address,
            "agent": entry.agent,
            "current": entry.id_hash == current,
        }


class TokenRoutes:
    """``/api/tokens``: programs' keys, an admin's to make."""

    def __init__(self, hub: Hub, sign_ins: SignIns) -> None:
        self._hub = hub
        self._accounts = sign_ins.accounts

    def register(self, router: Router) -> None:
        """Declare the routes."""
        route = router.route
        route("GET", "/api/tokens", self.list, role="admin", summary="API tokens", out=shapes.TokenList)
        route(
            "POST",
            "/api/tokens",
            self.create,
            role="admin",
            summary="Make an API token; it is shown this once",
            body=shapes.NewToken,
            out=shapes.TokenWithSecret,
            status=201,
        )
        route("DELETE", "/api/tokens/{id}", self.remove, role="admin", summary="Remove an API token", status=204)

    def list(self, request: Request) -> Response:
        """``GET /api/tokens``: also those whose time is up, until they are removed."""
        return Response.json({"items": [_describe_token(token) for token in self._accounts.tokens.values()]})

    async def create(self, request: Request) -> Response:
        """``POST /api/tokens``."""
        given = request.json(shapes.NewToken)
        labels = checked_limits(given.role, given.labels)
        expires_ms = None if given.expires_s is None else self._hub.clock_ms() + int(given.expires_s * 1000)
        tell(request, {"role": given.role, "labels": labels, "expires": expires_ms}, subject=given.name)
        secret, token = await to_its_end(
            self._accounts.add_token(given.name, given.role, labels, expires_ms, request.user.name)
        )
        return Response.json(
            {
                "id": token.id,
                "name": token.name,
                "role": token.role,
                "labels": token.labels,
                "expires": token.expires_ms,
                "token": secret,
            },
            status=201,
        )

    async def remove(self, request: Request) -> Response:
        """``DELETE /api/tokens/{id}``: what it had opened ends."""
        token = await self._accounts.remove_token(request.params["id"])
        tell(request, subject=token.name)
        return Response.empty(204)


def _own_name(request: Request) -> str:
    """Whose sessions are one's own: a program's token may be called as anybody is, and has none."""
    name: str = request.user.name if request.user.via == "cookie" else ""
    return name


def _describe_user(user: User, sessions: Sequence[SignIn]) -> dict[str, Any]:
    return {
        "name": user.name,
        "role": user.role,
        "labels": user.labels,
        "disabled": bool(user.disabled),
        "created": user.created_ms,
        "sessions": len(sessions),
        "used": max((entry.used_ms for entry in sessions), default=None),
    }


def _describe_token(token: ApiToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "role": token.role,
        "labels": token.labels,
        "prefix": token.prefix,
        "created": token.created_ms,
        "expires": token.expires_ms,
        "made_by": token.made_by,
        "used": token.used_ms or None,
        "used_from": token.used_from,
    }
