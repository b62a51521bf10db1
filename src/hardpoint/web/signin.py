"""Who may come in: people by password and cookie, programs by API token, the first person by a one-time link, and
whoever may open the Unix socket.

The guard runs before every handler. A route says in its ``role`` who may use it; ``None`` opens it to everybody, and a
route that says nothing is a bug that a test finds.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import BadInput, Conflict, Forbidden, NotFound, Unauthorized
from ..http import Response
from ..hub.tokens import API_PREFIX, SHOWN_PREFIX_LENGTH, hash_token, new_token
from ..model import ROLES, ApiToken, Delete, Put, SignIn, User
from . import shapes

if TYPE_CHECKING:
    from ..http import Request, Router
    from ..http.router import Route
    from ..hub.devices import Catalogue
    from ..hub.hub import Hub

COOKIE = "hardpoint_session"
SESSION_S = 30 * 24 * 3600
"""A phone in a greenhouse should not ask for a password every morning."""
LINK_USER = "setup"
"""Who the one-time link signs in as, until a person has a name."""
MAX_SESSIONS = 10_000
MAX_API_TOKENS = 1_000
SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**14, 8, 5
"""On OWASP's list; 16 MiB and some 0.2 s a try, on a thread."""

_PHC = re.compile(r"\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(slots=True, frozen=True)
class Principal:
    """Whoever a request speaks for. ``via`` is ``cookie``, ``token`` or ``unix``."""

    name: str
    role: str
    via: str

    def has_role(self, needed: str) -> bool:
        """Whether they may do what that role may."""
        return ROLES.index(self.role) >= ROLES.index(needed)

    def sees_id(self, _catalogue: Catalogue, _device_id: str) -> bool:
        """Whether the device of that id exists for them: everybody sees all."""
        return True


LOCAL_ADMIN = Principal("local", "admin", "unix")


class SignIns:
    """People, their sessions, and API tokens; the guard of the app API."""

    def __init__(self, hub: Hub, version: str) -> None:
        self._hub = hub
        self._version = version
        store = hub.store
        now = hub.clock_ms()
        self._users = {user.name: user for user in store.load(User)}
        self._sessions = {entry.id_hash: entry for entry in store.load(SignIn) if entry.expires_ms > now}
        self._tokens = {token.token_hash: token for token in store.load(ApiToken)}
        self.token_removed: Callable[[str], None] | None = None
        """Told the id of an API token that is no more: other doors end what it had opened."""
        self._link_hash = ""
        # Hashing 16 MiB at a time must not let ten guesses take 160: the rest wait their turn.
        self._hashing = asyncio.Semaphore(2)

    @property
    def setup_needed(self) -> bool:
        """Whether nobody has a password yet."""
        return not self._users

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
        """
        needed = route.meta["role"]
        if needed is None:
            return
        user = request.user = self.identify(request)
        if user is None:
            if "authorization" in request.headers:
                address = request.peer.rpartition(":")[0]
                self._hub.throttle.check(address)
                self._hub.throttle.failed(address)
                raise Unauthorized("this API token opens nothing")
            raise Unauthorized("sign in, or send Authorization: Bearer <api token>")
        if user.via == "cookie" and request.method not in _SAFE_METHODS:
            _refuse_foreign_page(request)
        if ROLES.index(user.role) < ROLES.index(needed):
            raise Forbidden(f"this needs the role {needed}; yours is {user.role}")

    def identify(self, request: Request) -> Principal | None:
        """Whom a request speaks for; None for a stranger. Refuses nothing, so that a route which is open to everybody
        may ask, and show more to those who are known.
        """
        if request.user is not None:  # came by the Unix socket
            known: Principal = request.user
            return known
        authorization = request.headers.get("authorization")
        if authorization is not None:
            scheme, _, secret = authorization.partition(" ")
            token = self._tokens.get(hash_token(secret.strip())) if scheme.lower() == "bearer" else None
            return None if token is None else Principal(token.name, token.role, "token")
        cookie = request.cookies.get(COOKIE)
        if cookie is None:
            return None
        entry = self._sessions.get(hash_token(cookie))
        if entry is None or entry.expires_ms <= self._hub.clock_ms():
            return None
        user = self._users.get(entry.user)
        if user is not None:
            return Principal(user.name, user.role, "cookie")
        return Principal(LINK_USER, "admin", "cookie") if entry.user == LINK_USER and self.setup_needed else None

    # -- routes

    def register(self, router: Router) -> None:
        """Declare the routes of signing in and out, of setting up, and of API tokens."""
        router.guard = self.guard
        route = router.route
        route("GET", "/api/session", self.session, role="viewer", summary="Who is signed in", out=shapes.SignedIn)
        route(
            "POST",
            "/api/login",
            self.login,
            role=None,
            summary="Sign in with name and password, or with the one-time link",
            body=shapes.Credentials,
            out=shapes.SignedIn,
        )
        route("POST", "/api/logout", self.logout, role="viewer", summary="Sign out", status=204)
        route(
            "POST",
            "/api/setup",
            self.setup,
            role="admin",
            summary="Name the first person, after the one-time link",
            body=shapes.NewUser,
            out=shapes.SignedIn,
        )
        route("GET", "/api/tokens", self.list_tokens, role="admin", summary="API tokens", out=shapes.TokenList)
        route(
            "POST",
            "/api/tokens",
            self.add_token,
            role="admin",
            summary="Make an API token; it is shown this once",
            body=shapes.NewToken,
            out=shapes.TokenWithSecret,
            status=201,
        )
        route("DELETE", "/api/tokens/{id}", self.remove_token, role="admin", summary="Remove an API token", status=204)

    def session(self, request: Request) -> Response:
        """``GET /api/session``."""
        return self._signed_in(request.user)

    async def login(self, request: Request) -> Response:
        """``POST /api/login``."""
        _refuse_foreign_page(request)
        given = request.json(shapes.Credentials)
        address = request.peer.rpartition(":")[0]
        self._hub.throttle.check(address)
        self._hub.throttle.failed(address)  # until it is known better: checking takes long enough for a thousand more
        if given.link:
            name = LINK_USER if self._is_link(given.link) else None
        else:
            name = await self._check_password(given.name, given.password)
        if name is None:
            raise Unauthorized("this link is over, or not the newest" if given.link else "wrong name or password")
        self._hub.throttle.succeeded(address)
        return await self._open_session(request, name)

    async def logout(self, request: Request) -> Response:
        """``POST /api/logout``."""
        entry = self._sessions.pop(hash_token(request.cookies.get(COOKIE, "")), None)
        if entry is not None:
            self._hub.commits.note(Delete(entry))
            await self._hub.commits.durable()
        return Response.empty(204, [("Set-Cookie", f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax")])

    async def setup(self, request: Request) -> Response:
        """``POST /api/setup``: the first person; or, over the Unix socket, anybody's new password at any time, which is
        the way back for whoever forgot theirs.
        """
        local = request.user is LOCAL_ADMIN
        if not self.setup_needed and not local:
            raise Conflict("somebody has a password already: sign in")
        given = request.json(shapes.NewUser)
        if given.name != given.name.strip() or not given.name.isprintable() or given.name == LINK_USER:
            raise BadInput("this name cannot be used", field="name")
        user = User(given.name, "admin", await self._hash_password(given.password), self._hub.clock_ms())
        if not self.setup_needed and not local:
            raise Conflict("somebody was faster: sign in")
        before = self._users.get(user.name)
        self._users[user.name] = user
        self._hub.commits.batch.changes.append(Put(user))
        try:
            await self._hub.commits.durable()
        except Exception:
            if before is None:
                del self._users[user.name]
            else:
                self._users[user.name] = before
            raise
        return await self._open_session(request, user.name)

    def list_tokens(self, request: Request) -> Response:
        """``GET /api/tokens``."""
        return Response.json(
            {
                "items": [
                    {
                        "id": token.id,
                        "name": token.name,
                        "role": token.role,
                        "prefix": token.prefix,
                        "created": token.created_ms,
                    }
                    for token in self._tokens.values()
                ]
            }
        )

    async def add_token(self, request: Request) -> Response:
        """``POST /api/tokens``."""
        given = request.json(shapes.NewToken)
        if len(self._tokens) >= MAX_API_TOKENS:
            raise Conflict(f"there are {MAX_API_TOKENS} API tokens already")
        secret = new_token(API_PREFIX)
        token = ApiToken(
            secrets.token_hex(6),
            given.name,
            given.role,
            hash_token(secret),
            secret[:SHOWN_PREFIX_LENGTH],
            self._hub.clock_ms(),
        )
        self._hub.commits.batch.changes.append(Put(token))
        await self._hub.commits.durable()
        self._tokens[token.token_hash] = token
        return Response.json({"id": token.id, "name": token.name, "role": token.role, "token": secret}, status=201)

    async def remove_token(self, request: Request) -> Response:
        """``DELETE /api/tokens/{id}``."""
        for token in self._tokens.values():
            if token.id == request.params["id"]:
                del self._tokens[token.token_hash]
                self._hub.commits.note(Delete(token))
                await self._hub.commits.durable()
                if self.token_removed is not None:
                    self.token_removed(token.id)
                return Response.empty(204)
        raise NotFound("there is no such API token")

    # -- for other doors

    def find_token(self, secret: str) -> ApiToken | None:
        """The API token of that secret."""
        return self._tokens.get(hash_token(secret))

    def token_by_id(self, token_id: str) -> ApiToken | None:
        """The API token of that id."""
        return next((token for token in self._tokens.values() if token.id == token_id), None)

    # -- inside

    def _signed_in(self, user: Principal, headers: list[tuple[str, str]] | None = None) -> Response:
        return Response.json(
            {
                "user": {"name": user.name, "role": user.role},
                "setup_needed": self.setup_needed,
                "version": self._version,
            },
            headers=headers or (),
        )

    def _is_link(self, link: str) -> bool:
        """Whether it is the newest link, and nobody has a password yet."""
        return self.setup_needed and hmac.compare_digest(hash_token(link), self._link_hash)

    async def _open_session(self, request: Request, name: str) -> Response:
        now = self._hub.clock_ms()
        for old in [entry for entry in self._sessions.values() if entry.expires_ms <= now]:
            del self._sessions[old.id_hash]
            self._hub.commits.note(Delete(old))
        while len(self._sessions) >= MAX_SESSIONS:
            oldest = self._sessions.pop(next(iter(self._sessions)))
            self._hub.commits.note(Delete(oldest))
        secret = secrets.token_urlsafe(32)
        entry = SignIn(hash_token(secret), name, now, now + SESSION_S * 1000)
        self._sessions[entry.id_hash] = entry
        self._hub.commits.note(Put(entry))
        try:
            await self._hub.commits.durable()
        except BaseException:  # nobody will ever have its secret
            del self._sessions[entry.id_hash]
            self._hub.commits.note(Delete(entry))
            raise
        # Not `__Host-`, and Secure over TLS only: from a page of plain HTTP, as on a LAN, it would never come back.
        secure = "; Secure" if request.scheme == "https" else ""
        cookie = f"{COOKIE}={secret}; Path=/; Max-Age={SESSION_S}; HttpOnly; SameSite=Lax{secure}"
        user = self._users.get(name)
        principal = Principal(name, user.role if user is not None else "admin", "cookie")
        return self._signed_in(principal, [("Set-Cookie", cookie)])

    async def _check_password(self, name: str, password: str) -> str | None:
        """The name if the password is right. An unknown name takes as long as a known one."""
        user = self._users.get(name)
        found = _PHC.fullmatch(user.password_hash) if user is not None else None
        if found is None:
            await self._derive(password, b"0123456789abcdef", SCRYPT_N, SCRYPT_R, SCRYPT_P)
            return None
        ln, r, p, salt, expected = found.groups()
        key = await self._derive(password, _unb64(salt), 2 ** int(ln), int(r), int(p))
        return name if hmac.compare_digest(key, _unb64(expected)) else None

    async def _hash_password(self, password: str) -> str:
        """A PHC string: ``$scrypt$ln=14,r=8,p=5$<salt>$<key>``."""
        salt = secrets.token_bytes(16)
        key = await self._derive(password, salt, SCRYPT_N, SCRYPT_R, SCRYPT_P)
        return f"$scrypt$ln={SCRYPT_N.bit_length() - 1},r={SCRYPT_R},p={SCRYPT_P}${_b64(salt)}${_b64(key)}"

    async def _derive(self, password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
        def derive() -> bytes:
            # OpenSSL counts 128·N·r·(p + 2) bytes and a little; its default cap of 32 MiB is below that.
            return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=32)

        async with self._hashing:
            return await asyncio.to_thread(derive)


def _refuse_foreign_page(request: Request) -> None:
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


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))
