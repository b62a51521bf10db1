"""The device HTTP API: ThingsBoard's, at ``/api/v1/{token}/…`` (WIRE.md §1), so that its firmware attaches unchanged.

The token is in the path. An unknown one is answered 401 with an empty body, success 200 with an empty body, a long
poll that saw nothing 408: what the clients in the field were written against. 200 means durable.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from ..errors import BadInput, HardpointError, NotAdopted, NotFound, Unauthorized
from ..http import Response
from ..http.errors import error_response
from ..http.files import attachment, send_file
from ..hub.claims import Claims
from ..hub.provisioning import Provisioning
from ..hub.session import Session
from ..hub.tokens import hash_token
from ..tls.peer import certificate_name, is_encrypted
from ..wire.telemetry import decode_json, parse_attributes, parse_telemetry
from .http_frames import PROVISION_PATH, note_refused, note_taken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..errors import StorageError
    from ..http import Deferred, Request, Router
    from ..http.connection import HttpConnection
    from ..http.messages import Handler
    from ..http.streams import StreamResponse
    from ..hub.devices import DeviceState
    from ..hub.hub import Hub
    from ..hub.packages import Packages
    from ..model import Command, Json

DEFAULT_POLL_MS = 60_000
MAX_POLL_MS = 300_000
"""ThingsBoard's ``transport.http.request_timeout`` and ``max_request_timeout``."""

BY_CERTIFICATE = "me"
"""In the token's place in a path: the device that the client's certificate names."""

_EMPTY_OK = Response.empty(200)
_OF_PROXIES = ("via", "forwarded", "x-forwarded-for")


class HttpSession(Session):
    """What is handed in over one HTTP connection; a receipt is the `Deferred` answer of its request."""

    __slots__ = ("_connection", "handed", "token", "token_hash")

    dialect = "http"

    def __init__(self, connection: HttpConnection) -> None:
        super().__init__()
        self._connection = connection
        self.handed: Command | None = None
        """The last answer over this connection was this command: a further request shows that it has arrived."""
        self.token = self.token_hash = ""
        """The last one that opened a device as its own, and what it hashes to: a device that posts repeats its token,
        and hashing it again would be a tenth of what taking a reading costs."""

    @property
    def encrypted(self) -> bool:
        """Whether it goes over TLS."""
        return is_encrypted(self._connection.transport)

    def acknowledge(self, receipts: Sequence[object], error: StorageError | None) -> None:
        """Answer each request: 200, or 507 and why."""
        for receipt in receipts:
            cast("Deferred", receipt).respond(_EMPTY_OK if error is None else error_response(error))

    def pause_reading(self) -> None:
        """The store is behind."""
        self._connection.pause_reading()

    def resume_reading(self) -> None:
        """The store has caught up."""
        self._connection.resume_reading()


class PollSession(Session):
    """A device that waits for something with a long poll: it is connected for as long as it waits."""

    __slots__ = ("_again", "_answer", "_encrypted", "_hub", "_peer", "_request", "_timer", "_wants")

    brief = True
    dialect = "http"

    def __init__(self, hub: Hub, request: Request, wants: str) -> None:
        super().__init__()
        self._hub = hub
        self._peer = request.peer
        self._encrypted = request.connection is not None and is_encrypted(request.connection.transport)
        self._wants = wants
        self._request = request
        self._again: asyncio.TimerHandle | None = None  # when a command may be repeated
        self._answer = request.defer()
        self._answer.on_abort = self._finish
        self._timer: asyncio.TimerHandle | None = None

    @property
    def peer(self) -> str:
        """``ip:port`` of the request."""
        return self._peer

    @property
    def encrypted(self) -> bool:
        """Whether the request came over TLS."""
        return self._encrypted

    def wait(self, who: DeviceState | NotAdopted, timeout_ms: int) -> Deferred:
        """Attach, or wait to be adopted, and answer when there is something to say or the time is up."""
        nothing = Response.empty(401 if isinstance(who, NotAdopted) else 408)
        self._timer = asyncio.get_running_loop().call_later(timeout_ms / 1000, self._respond, nothing)
        if isinstance(who, NotAdopted):
            self._hub.adoption.wait(self, who.number)
        else:
            self._hub.attach(self, who)
        return self._answer

    def deliver(self, command: Command) -> bool:
        """The first command that waits is the answer: also one that was sent before and whose arrival nothing has
        shown, but that at its own pace (`Ledger.repeat_in_s`).
        """
        if self._wants != "rpc" or self._timer is None or command.state == "delivered":
            return False
        wait_s = self._hub.ledger.repeat_in_s(command)
        if wait_s:
            if self._again is None:
                self._again = asyncio.get_running_loop().call_later(wait_s, self._repeat)
            return False
        if self._shows_arrival():
            _session(self._request).handed = command
        self._respond(Response.json({"id": command.id, "method": command.method, "params": command.params}))
        return True

    def attributes_changed(self, changed: dict[str, Json], deleted: Sequence[str]) -> None:
        """Flat, as ThingsBoard's code does (its documents show another form)."""
        if self._wants == "attributes" and self._timer is not None:
            self._respond(Response.json(changed | ({"deleted": list(deleted)} if deleted else {})))

    def _repeat(self) -> None:
        self._again = None
        if self.device is not None:
            self._hub.ledger.deliver_queued(self.device)

    def _shows_arrival(self) -> bool:
        """Whether a further request over this connection will show that the answer has arrived. Not where the client
        sends requests before it has read answers, or a proxy does so for several clients.
        """
        request = self._request
        assert request.connection is not None
        between = request.connection.proxied or any(name in request.headers for name in _OF_PROXIES)
        return not between and not request.connection.pipelines

    def end(self, reason: str) -> None:
        """Poll again; or not, if the device is gone (ThingsBoard's words)."""
        if self.device is None:  # it was about to be adopted
            self._respond(Response.empty(401))
            return
        gone = self.device.id not in self._hub.catalogue.by_id
        self._respond(Response.text("Device was deleted!", status=403) if gone else Response.empty(408))

    def _respond(self, response: Response) -> None:
        if self._timer is not None:
            self._finish()
            self._answer.respond(response)

    def _finish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            if self._again is not None:
                self._again.cancel()
            # Not from within the hub's own walk over the device's sessions.
            asyncio.get_running_loop().call_soon(self._hub.detach, self, "it polled no more")


class HttpDialect:
    """The routes of the device HTTP API."""

    def __init__(
        self,
        hub: Hub,
        provisioning: Provisioning | None = None,
        claims: Claims | None = None,
        packages: Packages | None = None,
    ) -> None:
        self._hub = hub
        self._claims = claims or Claims(hub)
        self._packages = packages
        self._provisioning = provisioning or Provisioning(hub)

    def register(self, router: Router) -> None:
        """Declare them. Their door is the token in the path, so they have no role."""
        for method, path, handler, summary in (
            ("POST", "telemetry", self.telemetry, "Store readings; 200 means that they are on disk"),
            ("POST", "attributes", self.post_attributes, "Store client attributes"),
            ("GET", "attributes", self.get_attributes, "Client and shared attributes (clientKeys=a,b&sharedKeys=c)"),
            ("GET", "attributes/updates", self.attribute_updates, "Wait for changed shared attributes (timeout=ms)"),
            ("GET", "rpc", self.next_command, "Wait for a command (timeout=ms)"),
            ("POST", "rpc/{id:int}", self.answer, "Answer a command"),
            ("POST", "claim", self.claim, "Offer to be claimed by whoever knows the secret"),
        ):
            router.route(
                method,
                f"/api/v1/{{token}}/{path}",
                self._counted(handler),
                role=None,
                device=True,
                # A poll takes what it is answered with: to HEAD, which has no content, it would be lost.
                head=handler not in (self.attribute_updates, self.next_command),
                summary=summary,
            )

        for path, fetch, summary in (
            ("firmware", self.firmware, "The assigned firmware, whole or a chunk (title, version, size, chunk)"),
            ("software", self.software, "Other software that is assigned, alike"),
        ):
            router.route("GET", f"/api/v1/{{token}}/{path}", fetch, role=None, device=True, summary=summary)
        router.route(
            "POST",
            PROVISION_PATH,
            self.provision,
            role=None,
            device=True,
            summary="Make a device for who knows the key and the secret; the outcome is in status",
        )

    async def provision(self, request: Request) -> Response:
        """``POST provision``: 200 whatever the outcome, as ThingsBoard does; its door is the key in the body."""
        try:
            found = await self._provisioning.answer(request.peer, decode_json(request.body))
        except HardpointError as error:
            self._note_refused(request, error)
            raise
        if found.refused is not None:
            self._note_refused(request, found.refused)
        return Response.json(found.answer)

    def telemetry(self, request: Request) -> Deferred:
        """``POST telemetry``."""
        device = self._device(request)
        samples = parse_telemetry(request.body)
        answer = request.defer()
        self._hub.ingest(_session(request), device, samples, answer)
        return answer

    def post_attributes(self, request: Request) -> Deferred:
        """``POST attributes``."""
        device = self._device(request)
        self._hub.set_attributes(device, "client", parse_attributes(request.body))
        return self._when_durable(request)

    def get_attributes(self, request: Request) -> Response:
        """``GET attributes``: all when no keys are named; a scope of which none is asked or found is left out."""
        device = self._device(request)
        asked = {scope: _keys(request, f"{scope}Keys") for scope in ("client", "shared")}
        everything = asked["client"] is None and asked["shared"] is None
        answer: dict[str, Json] = {}
        for scope, keys in asked.items():
            held = self._hub.attributes(device, scope)
            found = held if everything else {key: held[key] for key in keys or () if key in held}
            if found:
                answer[scope] = found
        return Response.json(answer)

    def attribute_updates(self, request: Request) -> Deferred:
        """``GET attributes/updates``."""
        return self._poll(request, "attributes")

    def next_command(self, request: Request) -> Deferred:
        """``GET rpc``: who waits to be adopted may wait here, and is sent its token as a command."""
        try:
            return self._poll(request, "rpc")
        except NotAdopted as unknown:
            self._hub.note_refused(unknown)
            note_refused(self._hub, request, unknown)
            return PollSession(self._hub, request, "rpc").wait(unknown, _timeout_ms(request))

    def answer(self, request: Request) -> Deferred:
        """``POST rpc/{id}``: an object with the one key ``error`` says that the command failed."""
        device = self._device(request, shows_arrival=False)  # an answer shows more than that
        payload = decode_json(request.body) if request.body else None
        failed = type(payload) is dict and payload.keys() == {"error"}
        self._hub.answer(
            device, request.params["id"], not failed, cast("dict[str, Json]", payload)["error"] if failed else payload
        )
        return self._when_durable(request)

    def claim(self, request: Request) -> Deferred:
        """``POST claim``."""
        self._claims.offer(self._device(request), decode_json(request.body) if request.body else {})
        return self._when_durable(request)

    async def firmware(self, request: Request) -> Response | StreamResponse:
        """``GET firmware``."""
        return await self._package(request, "fw")

    async def software(self, request: Request) -> Response | StreamResponse:
        """``GET software``."""
        return await self._package(request, "sw")

    async def _package(self, request: Request, kind: str) -> Response | StreamResponse:
        """The package that the device is to have, whole or one chunk of it. ``title`` and ``version`` must be those, so
        that a device cannot put together the chunks of two.
        """
        try:
            device = self._device(request)
            package = None if self._packages is None else self._packages.assigned(device, kind)
            if self._packages is None or package is None:
                raise NotFound(f"no {kind} is assigned to {device.id}")
            if (request.query.get("title"), request.query.get("version")) != (package.title, package.version):
                raise BadInput(f"{device.id} is to have {package.title} {package.version}", field="version")
            size, number = _whole(request, "size"), _whole(request, "chunk")
            name, headers = package.file_name, (("x-filename", quote(package.file_name)),)
            if not size:
                path = self._packages.files.path(package.sha256)
                return await send_file(
                    request, path, content_type=package.content_type, download_as=name, headers=headers
                )
            data = await self._packages.chunk(package, size, number)
        except HardpointError as error:
            self._hub.note_refused(error)
            note_refused(self._hub, request, error)
            if isinstance(error, Unauthorized):
                return Response.empty(401)
            raise
        fields = [*headers, ("Content-Disposition", attachment(name))]
        return Response(200, data, content_type=package.content_type, headers=fields)

    def _poll(self, request: Request, wants: str) -> Deferred:
        device = self._device(request)
        return PollSession(self._hub, request, wants).wait(device, _timeout_ms(request))

    def _device(self, request: Request, *, shows_arrival: bool = True) -> DeviceState:
        session = request.connection.context if request.connection is not None else None
        if type(session) is not HttpSession:
            request.user = device = sign_in(self._hub, request)
            return device
        token = request.params["token"]
        known = self._hub.catalogue.by_token_hash.get(session.token_hash) if session.token == token else None
        if known is not None and known.record.token_hash == session.token_hash:
            device = known
        else:
            device = sign_in(self._hub, request)
            token_hash = hash_token(token)
            # By its own token, that is, and none that is being replaced; no certificate, and no name.
            if token_hash == device.record.token_hash:
                session.token, session.token_hash = token, token_hash
        request.user = device
        if shows_arrival and session.handed is not None:
            self._confirm(session, device)
        return device

    def _confirm(self, session: HttpSession, device: DeviceState) -> None:
        command, session.handed = session.handed, None
        if command is not None and command.state == "sent" and command.device_id == device.id:
            self._hub.ledger.advance(command, "delivered", "over http: the next request came over its connection")

    def _when_durable(self, request: Request) -> Deferred:
        answer = request.defer()
        self._hub.commits.wait(_session(request), answer)
        return answer

    def _note_refused(self, request: Request, error: HardpointError) -> None:
        self._hub.note_refused(error)
        note_refused(self._hub, request, error)

    def _counted(self, handler: Callable[[Request], Response | Deferred]) -> Handler:
        """Count what the handler refuses; an unknown token gets the empty 401 that ThingsBoard's clients expect."""
        hub = self._hub

        def handle(request: Request) -> Response | Deferred:
            try:
                answer = handler(request)
            except HardpointError as error:
                self._note_refused(request, error)
                if isinstance(error, Unauthorized):
                    return Response.empty(401)
                raise
            if hub.tap.on:
                return note_taken(hub.tap, request, answer)
            return answer

        return handle


def sign_in(hub: Hub, request: Request) -> DeviceState:
    """The device that the token in the path belongs to, or, for `BY_CERTIFICATE`, the client's certificate names.

    Raises:
        Unauthorized: there is none. `NotAdopted`: it is a name, which waits to be adopted.
        RateLimited: the same, and this address was wrong too often within the last minute.
    """
    token = request.params["token"]
    if token == BY_CERTIFICATE and request.connection is not None:
        certificate = certificate_name(request.connection.transport)
        if certificate:
            return hub.sign_in(request.peer, "", certificate=certificate)
    # Whoever says "me" without a certificate has not named itself.
    return hub.sign_in(request.peer, token, claimed=token if token == BY_CERTIFICATE else "")


def _timeout_ms(request: Request) -> int:
    return min(_whole(request, "timeout") or DEFAULT_POLL_MS, MAX_POLL_MS)


def _whole(request: Request, name: str) -> int:
    text = request.query.get(name, "0")
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise BadInput(f"{name} is a whole number", field=name)
    return int(text)


def _session(request: Request) -> HttpSession:
    """The session of the request's connection, made when it first hands something in."""
    connection = request.connection
    assert connection is not None
    if connection.context is None:
        connection.context = HttpSession(connection)
    return cast("HttpSession", connection.context)


def _keys(request: Request, name: str) -> list[str] | None:
    """Keys joined by commas, or the parameter repeated: ThingsBoard's own client does the one, its SDK the other."""
    given = request.query.get_all(name)
    return [key for text in given for key in text.split(",") if key] if given else None
