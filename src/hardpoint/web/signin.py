"""Who may come in: people by password and cookie, programs by API token, the first person by a one-time link, and
whoever may open the Unix socket.

The guard runs before every handler. A route says in its ``role`` who may use it; ``None`` opens it to everybody, and a
route that says nothing is a bug that a test finds. Its ``scope`` says what it means to those who are limited to labels:

- ``device``: it is about the device ``{id}`` of its path, and for them there is no other than theirs. All routes below
  ``/api/devices/{id}`` are, where nothing else is said;
- ``each``: its handler looks at each device by `Principal.sees` and `Principal.find`;
- ``none``: it shows and changes nothing of devices;
- ``all``: it is not for them. All other routes are, where nothing else is said.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import Conflict, Forbidden, NotFound, Unauthorized
from ..http import Response
from ..hub.principal import Principal
from ..hub.tokens import hash_token
from ..model import User
from . import shapes
from .accounts import LINK_USER, LOCAL_USER, SESSION_S, Accounts
from .deeds import Auditor, tell, to_its_end
from .passwords import Passwords

if TYPE_CHECKING:
    from ..http import Request, Router
    from ..http.router import Route
    from ..hub.hub import Hub

COOKIE = "hardpoint_session"
SCOPES = ("device", "each", "none", "all")
OF_ONE_DEVICE = "/api/devices/{id}"

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

LOCAL_ADMIN = Principal(LOCAL_USER, "admin", "unix")


def scope_of(route: Route) -> str:
    """One of `SCOPES`."""
    of_one = route.path == OF_ONE_DEVICE or route.path.startswith(f"{OF_ONE_DEVICE}/")
    scope: str = route.meta.get("scope", "device" if of_one else "all")
    return scope


class SignIns:
    """The guard of the app API, and the routes of signing in and out."""

    def __init__(self, hub: Hub, version: str) -> None:
        self.auditor = Auditor(hub)
        self.accounts = Accounts(hub)
        self.passwords = Passwords()
        self._hub = hub
        self._version = version
        self._link_hash = ""

    @property
    def setup_needed(self) -> bool:
        """Whether nobody has a password yet."""
        return not self.accounts.users

    def new_link(self) -> str:
        """A secret that signs in until somebody has a password: opening it in a second browser, or closing the first
        one too early, must not lock the owner out. A new one ends the one before.
        """
        link = secrets.token_urlsafe(24)
        self._link_hash = hash_token(link)
        return link

    # -- the guard

    def guard(self, request: Request, route: Route) -> None:
        """Let the request through, or say why not. Sets ``request.user`` on routes that have a role; on the others,
        what the request carries is of no interest, also when it opens nothing.

        Raises:
            Unauthorized: nobody is signed in.
            Forbidden: the role is not enough, or a foreign page is behind the request.
            NotFound: it is about a device that does not exist for them.
        """
        needed = route.meta["role"]
        if needed is None:
            return
        user = request.user = self.identify(request)
        if user is None:
            if "authorization" in request.headers:
                self._hub.throttle.check(request.address)
                self._hub.throttle.failed(request.address)
                raise Unauthorized("this API token opens nothing")
            raise Unauthorized("sign in, or send Authorization: Bearer <api token>")
        try:
            self._check(request, route, user)
        except (Forbidden, NotFound) as error:
            self.auditor.refuse(request, route, user, error)
            raise
        self.auditor.begin(request, route, user)

    def _check(self, request: Request, route: Route, user: Principal) -> None:
        if user.via == "cookie" and request.method not in _SAFE_METHODS:
            refuse_foreign_page(request)
        needed = route.meta["role"]
        if not user.has_role(needed):
            raise Forbidden(f"this needs the role {needed}; yours is {user.role}")
        if user.labels:
            scope = scope_of(route)
            if scope == "device":
                user.find(self._hub.catalogue, request.params["id"])
            elif scope == "all":
                raise Forbidden(f"this is about all devices; yours are those with {', '.join(user.labels)}")

    def identify(self, request: Request) -> Principal | None:
        """Whom a request speaks for; None for a stranger. Refuses nothing, so that a route which is open to everybody
        may ask, and show more to those who are known.
        """
        if request.user is not None:  # came by the Unix socket
            known: Principal = request.user
            return known
        now = self._hub.clock_ms()
        authorization = request.headers.get("authorization")
        if authorization is not None:
            scheme, _, secret = authorization.partition(" ")
            if scheme.lower() != "bearer":
                return None
            return self.accounts.by_token(secret.strip(), now, request.address)
        cookie = request.cookies.get(COOKIE)
        return None if cookie is None else self.accounts.by_cookie(cookie, now)

    # -- routes

    def register(self, router: Router) -> None:
        """Declare the routes of signing in and out, and of setting up."""
        router.guard = self.guard
        route = router.route
        route(
            "GET",
            "/api/session",
            self.session,
            role="viewer",
            scope="none",
            summary="Who is signed in",
            out=shapes.SignedIn,
        )
        route(
            "POST",
            "/api/login",
            self.login,
            role=None,
            summary="Sign in with name and password, or with the one-time link",
            body=shapes.Credentials,
            out=shapes.SignedIn,
        )
        route(
            "POST",
            "/api/logout",
            self.logout,
            role="viewer",
            scope="none",
            deed="session.end",
            summary="Sign out",
            status=204,
        )
        route(
            "POST",
            "/api/setup",
            self.setup,
            role="admin",
            deed="users.create",
            summary="Name the first person, after the one-time link",
            body=shapes.FirstUser,
            out=shapes.SignedIn,
        )

    def session(self, request: Request) -> Response:
        """``GET /api/session``."""
        return self._signed_in(request.user)

    async def login(self, request: Request) -> Response:
        """``POST /api/login``. A session that the browser has already ends: what somebody else may have put there
        (session fixation) opens nothing more than before.
        """
        refuse_foreign_page(request)
        given = request.json(shapes.Credentials)
        address, throttle = request.address, self._hub.throttle
        throttle.check(address)
        throttle.failed(address)  # until it is known better: checking takes long enough for a thousand more
        if given.link:
            name = LINK_USER if self._is_link(given.link) else None
        else:
            name = await self._known(given.name, given.password)
        via = "link" if given.link else "password"
        if name is None:
            # An unknown name is not written down: people type their password there.
            meant = given.name if given.name in self.accounts.users else ""
            self._hub.audit.refuse("session.open", Unauthorized.code, who=meant, via=via, address=address)
            raise Unauthorized("this link is over, or not the newest" if given.link else "wrong name or password")
        throttle.succeeded(address)
        self._hub.audit.note("session.open", who=name, via=via, address=address)
        return await self._open_session(request, name)

    async def logout(self, request: Request) -> Response:
        """``POST /api/logout``."""
        entry = self.accounts.sessions.get(request.user.credential)
        if entry is not None:
            await self.accounts.end_sessions([entry])
        return Response.empty(204, [("Set-Cookie", f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax")])

    async def setup(self, request: Request) -> Response:
        """``POST /api/setup``: the first person; or, over the Unix socket, anybody's new password at any time, which is
        the way back for whoever forgot theirs.
        """
        local = request.user.via == "unix"
        if not self.setup_needed and not local:
            raise Conflict("somebody has a password already: sign in")
        given = request.json(shapes.FirstUser)
        tell(request, subject=given.name)
        if given.name in self.accounts.users and local:
            changes = {"role": "admin", "labels": [], "disabled": 0}
            password_hash = await self.passwords.hash(given.password)
            await to_its_end(self.accounts.change_user(given.name, changes | {"password_hash": password_hash}))
        else:
            self.accounts.check_new_name(given.name)
            password_hash = await self.passwords.hash(given.password)
            user = User(given.name, "admin", password_hash, self._hub.clock_ms())
            await to_its_end(self.accounts.add_user(user, only_first=not local))
        return await self._open_session(request, given.name)

    # -- inside

    def _signed_in(self, user: Principal, headers: list[tuple[str, str]] | None = None) -> Response:
        return Response.json(
            {
                "user": {"name": user.name, "role": user.role, "labels": list(user.labels)},
                "setup_needed": self.setup_needed,
                "version": self._version,
            },
            headers=headers or (),
        )

    def _is_link(self, link: str) -> bool:
        """Whether it is the newest link, and nobody has a password yet."""
        return self.setup_needed and hmac.compare_digest(hash_token(link), self._link_hash)

    async def _known(self, name: str, password: str) -> str | None:
        """The name, if it is somebody's who may come in and the password is theirs. Who may not costs as much."""
        user = self.accounts.users.get(name)
        fits = await self.passwords.fits(password, user.password_hash if user is not None else None)
        user = self.accounts.users.get(name)  # it may have changed meanwhile
        return name if fits and user is not None and not user.disabled else None

    async def _open_session(self, request: Request, name: str) -> Response:
        former = self.accounts.sessions.get(hash_token(request.cookies.get(COOKIE, "")))
        secret, user = await self.accounts.open_session(name, request.address, request.headers.get("user-agent", ""))
        if former is not None:
            await self.accounts.end_sessions([former])
        # Not `__Host-`, and Secure over TLS only: from a page of plain HTTP, as on a LAN, it would never come back.
        secure = "; Secure" if request.scheme == "https" else ""
        cookie = f"{COOKIE}={secret}; Path=/; Max-Age={SESSION_S}; HttpOnly; SameSite=Lax{secure}"
        return self._signed_in(user, [("Set-Cookie", cookie)])


def refuse_foreign_page(request: Request) -> None:
    """Cross-site request forgery: a browser says where a request comes from, in one of two ways.

    Raises:
        Forbidden: from a page that is not ours.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise Forbidden("this request comes from another site's page")
        return
    origin = request.headers.get("origin")
    if origin is None:
        return
    try:
        host = urlsplit(origin).netloc
    except ValueError:  # "http://[": no browser says that
        host = ""
    if not host or host != request.headers.get("host"):
        raise Forbidden("this request comes from another site's page")
