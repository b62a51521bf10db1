"""What a handler is given and what it gives back: `Request`, and `Response`, `Deferred` or `EventStream`."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload
from urllib.parse import parse_qsl

import msgspec

from ..errors import BadInput, TooLarge
from ..wire.http1 import encode_fields, encode_interim
from .proxies import Origin
from .streams import EventStream, StreamResponse
from .upgrade import Switch

if TYPE_CHECKING:
    import asyncio

    from ..wire.http1 import Headers, RequestHead
    from .body import Body
    from .connection import HttpConnection
    from .forms import Form, FormLimits
    from .router import Route

T = TypeVar("T")

JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain; charset=utf-8"

_encode_json = msgspec.json.Encoder().encode
# RFC 6265 §4.1.1: a token, then cookie-octets.
_COOKIE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+=[!#-+\--:<-\[\]-~]*")
_AT = re.compile(r"(?s)(.*) - at `\$?\.?(.*)`")


class Query(dict[str, str]):
    """The query's first value for each name; `get_all` has the rest."""

    __slots__ = ("pairs",)

    def __init__(self, text: str) -> None:
        """Decode ``a=1&b=2``: ``+`` is a space, percent escapes are UTF-8.

        Raises:
            BadInput: the escapes are not UTF-8.
        """
        try:
            self.pairs = parse_qsl(text, keep_blank_values=True, errors="strict")
        except UnicodeDecodeError:
            raise BadInput("the query is not UTF-8", field="query") from None
        super().__init__(reversed(self.pairs))

    def get_all(self, name: str) -> list[str]:
        """Every value of that name, in order; empty when there is none."""
        return [value for key, value in self.pairs if key == name]


class Request:
    """One request: its head and, already received, its ``body``; of a route that asked for a stream, what of it comes
    by `stream` or `read`.

    ``params`` holds what the route's pattern captured. ``user`` is a slot for whoever signs people in, ``audit`` one
    for whoever writes down what they do. ``connection`` outlives the request.
    """

    # What few requests need is a default of the class, and no slot: setting seven of them to None would be half of what
    # making a request costs.
    params: Mapping[str, Any] = MappingProxyType({})
    route: Route | None = None
    user: Any = None
    audit: Any = None
    incoming: Body | None = None
    """The rest of the body while it still arrives; None when ``body`` is all of it."""
    id: str = ""
    """What logs call it, where `with_request_ids` is used."""
    answer_headers: list[tuple[str, str]] | None = None
    """Fields that go with the answer, whichever it is; see `add_header`."""
    began_s = 0.0
    """When it began on the server's clock, where that is logged."""
    _origin: Origin | None = None
    _query: Query | None = None
    _cookies: dict[str, str] | None = None
    _deferred: Deferred | None = None

    def __init__(self, connection: HttpConnection | None, head: RequestHead, body: bytes = b"") -> None:
        self.connection = connection
        self.head = head
        self.body = body

    @property
    def method(self) -> str:
        """As sent: ``GET``."""
        return self.head.method

    @property
    def path(self) -> str:
        """Percent-decoded, without the query."""
        return self.head.path

    @property
    def headers(self) -> Headers:
        """The header fields, by name in any case."""
        return self.head.headers

    @property
    def query(self) -> Query:
        """The decoded query.

        Raises:
            BadInput: its escapes are not UTF-8.
        """
        if self._query is None:
            self._query = Query(self.head.query)
        return self._query

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies sent, by name; of two with one name the first, which is the one with the longer path."""
        if self._cookies is None:
            cookies: dict[str, str] = {}
            # RFC 6265 §5.4: "name=value; name=value". Values stay as they are: quotes belong to them.
            for pair in self.head.headers.get("cookie", "").split(";"):
                name, equals, value = pair.strip(" \t").partition("=")
                if equals:
                    cookies.setdefault(name, value)
            self._cookies = cookies
        return self._cookies

    @property
    def peer(self) -> str:
        """Where it comes from: ``ip:port``, ``[ip6]:port``, or ``unix``; empty when there is no connection. Behind a
        proxy that is trusted, the client's address as that tells it, with port 0 where it tells none.
        """
        return self.origin.peer

    @property
    def address(self) -> str:
        """`peer` without its port."""
        return self.peer.rpartition(":")[0].strip("[]") or self.peer

    @property
    def scheme(self) -> str:
        """``https`` where the client's connection, to us or to a proxy that is trusted, is encrypted; else ``http``."""
        if self.origin.scheme is not None:
            return self.origin.scheme
        connection = self.connection
        encrypted = connection is not None and connection.transport.get_extra_info("ssl_object") is not None
        return "https" if encrypted else "http"

    @property
    def host(self) -> str:
        """The host, and port if given, that the client asked for; as a proxy that is trusted has it, else ``Host``."""
        return self.origin.host or str(self.head.headers.get("host", ""))

    @property
    def origin(self) -> Origin:
        """Where it comes from, as far as that can be trusted."""
        if self._origin is None:
            connection = self.connection
            if connection is None:
                self._origin = Origin("", None, None)
            elif connection.proxied:
                self._origin = connection.server.proxies.origin(connection.peer, self.head.headers)
            else:
                self._origin = Origin(connection.peer, None, None)
        return self._origin

    def add_header(self, name: str, value: str) -> None:
        """Send a field with the answer, whichever it will be: an error, or one that comes later."""
        if self.answer_headers is None:
            self.answer_headers = []
        self.answer_headers.append((name, value))

    @property
    def upgrades(self) -> list[str]:
        """The protocols the client would rather go on with, in lower case (RFC 9110 §7.8): for `Response.switch`."""
        headers = self.head.headers.joined
        connection = headers.get("connection", "").lower()
        if not self.head.minor or "upgrade" not in (option.strip(" \t") for option in connection.split(",")):
            return []
        return [name.strip(" \t") for name in headers.get("upgrade", "").lower().split(",")]

    async def stream(self) -> AsyncIterator[bytes]:
        """The body in pieces, as it comes; of one that is here already, one piece or none. A client is read from no
        faster than this is.

        Raises:
            RequestRefused: it will never be whole; see `Body.receive`.
        """
        if self.incoming is None:
            if self.body:
                yield self.body
            return
        while piece := await self.incoming.receive():
            yield piece

    async def read(self, max_bytes: int | None = None) -> bytes:
        """All of the body; from then on ``body`` has it too.

        Raises:
            TooLarge: it is over ``max_bytes``.
            RequestRefused: it will never be whole; see `Body.receive`.
        """
        pieces = bytearray()
        async for piece in self.stream():
            pieces += piece
            if max_bytes is not None and len(pieces) > max_bytes:
                raise TooLarge(f"the body is over {max_bytes} bytes")
        self.incoming = None
        self.body = bytes(pieces)
        return self.body

    async def form(self, limits: FormLimits | None = None) -> Form:
        """The body as an HTML form of either encoding; see `hardpoint.http.forms`. A route that takes files should ask
        for its body as a stream.

        Raises:
            BadInput: it is no form, or malformed.
            TooLarge: it passes one of the limits.
        """
        from .forms import read_form

        return await read_form(self, limits)

    def inform(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Send an interim answer, such as ``103 Early Hints``, ahead of the one that counts (RFC 9110 §15.2).

        Raises:
            ValueError: the status is not one of these, or a field cannot be sent.
        """
        if self.connection is not None:
            self.connection.inform(encode_interim(status, headers))

    @overload
    def json(self) -> Any: ...
    @overload
    def json(self, type: type[T]) -> T: ...
    def json(self, type: Any = Any) -> Any:  # noqa: A002 - the name msgspec gives it
        """The body as JSON, checked against a type msgspec understands (a Struct, ``dict[str, int]``, …).

        Raises:
            BadInput: there is no body, it is not JSON, or not of that type; ``field`` names the place.
        """
        if not self.body:
            raise BadInput("a JSON body is expected")
        try:
            return msgspec.json.decode(self.body, type=type)
        except msgspec.ValidationError as error:
            text = str(error)
            found = _AT.fullmatch(text)
            if found is None:
                raise BadInput(text) from None
            raise BadInput(f"{found[1]} at {found[2]}", field=found[2]) from None
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadInput(f"the body is not JSON: {error}") from None
        except RecursionError:
            raise BadInput("the body is not JSON: nested too deeply") from None

    def defer(self) -> Deferred:
        """A promise to answer later. Return it from the handler and call its `Deferred.respond` once."""
        if self._deferred is None:
            self._deferred = Deferred()
        return self._deferred


class EncodedFields(list[tuple[str, str]]):
    """Header fields that were checked and encoded before, for whoever sends the same ones again and again. They are
    shared between answers, so nobody may change them.
    """

    __slots__ = ("lines",)

    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        """Raises:
        ValueError: one of them cannot be sent.
        """
        super().__init__(fields)
        self.lines = encode_fields(self)


class Response:
    """A whole answer. ``body`` is sent as it is, with its length; framing and ``Date`` are the server's.

    ``headers`` is a list of ``(name, value)`` and may be added to until the response is returned.
    """

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self,
        status: int = 200,
        body: bytes = b"",
        content_type: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = list(headers) if headers else []

    @classmethod
    def json(cls, obj: Any, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Response:
        """The object as JSON: anything msgspec encodes."""
        return cls(status, _encode_json(obj), JSON_TYPE, headers)

    @classmethod
    def text(cls, text: str, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Response:
        """Plain UTF-8 text."""
        return cls(status, text.encode(), TEXT_TYPE, headers)

    @classmethod
    def html(cls, text: str, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Response:
        """A UTF-8 HTML document."""
        return cls(status, text.encode(), "text/html; charset=utf-8", headers)

    @classmethod
    def redirect(cls, location: str, status: int = 303) -> Response:
        """Go there instead; 303 makes it a GET (RFC 9110 §15.4.4)."""
        return cls(status, headers=(("Location", location),))

    @classmethod
    def empty(cls, status: int = 204, headers: Iterable[tuple[str, str]] = ()) -> Response:
        """An answer without a body."""
        return cls(status, b"", None, headers)

    @staticmethod
    def switch(protocol: asyncio.Protocol, headers: Iterable[tuple[str, str]] = ()) -> Switch:
        """Answer ``101`` and give the connection to another protocol; see `Switch`. ``headers`` name it in ``Upgrade``;
        ``Connection: Upgrade`` is the server's.
        """
        return Switch(protocol, headers)

    def set_cookie(
        self,
        name: str,
        value: str,
        *,
        max_age_s: int | None = None,
        path: str = "/",
        secure: bool = False,
        http_only: bool = True,
        same_site: str = "Lax",
    ) -> None:
        """Have the browser keep a cookie (RFC 6265 §4.1); ``max_age_s`` 0 removes it, None keeps it until it closes.

        Raises:
            ValueError: name or value holds what a cookie cannot (white space, a comma, a semicolon, a quote …).
        """
        if _COOKIE.fullmatch(f"{name}={value}") is None:
            raise ValueError(f"{name!r} with that value is not a cookie")
        parts = [f"{name}={value}", f"Path={path}", f"SameSite={same_site}"]
        if max_age_s is not None:
            parts.append(f"Max-Age={max_age_s}")
        if secure:
            parts.append("Secure")
        if http_only:
            parts.append("HttpOnly")
        self.headers.append(("Set-Cookie", "; ".join(parts)))


class Deferred:
    """An answer that comes later, from `Request.defer`.

    ``on_abort``, when set, is called once if the client goes away first. A client that only ends its sending side
    (``nc`` at the end of its input, but also a browser that closed its tab) counts as gone when ``on_abort`` is set,
    and is still answered when it is not.
    """

    __slots__ = ("aborted", "deliver", "on_abort", "response")

    def __init__(self) -> None:
        self.on_abort: Callable[[], None] | None = None
        self.aborted = False
        """Whether the client went away before the answer."""
        self.response: Response | StreamResponse | EventStream | Switch | None = None
        """The answer, once given."""
        self.deliver: Callable[[Answer], None] | None = None
        """The connection's side: where an answer given after the handler has returned goes."""

    def respond(self, response: Response | StreamResponse | EventStream | Switch) -> bool:
        """Answer, once, on the loop's thread. False when the client is gone and nobody will read it.

        Raises:
            RuntimeError: it was answered before.
        """
        if self.response is not None:
            raise RuntimeError("a request is answered once")
        self.response = response
        deliver, self.deliver = self.deliver, None
        if deliver is not None:
            deliver(response)
            self.taken()
        return not self.aborted

    def taken(self) -> None:
        """The connection's side: the answer is begun, or is one that cannot be sent, and something else is."""

    def abort(self) -> None:
        """The connection's side: the client is gone."""
        self.deliver = None
        if self.response is None and not self.aborted:
            self.aborted = True
            if self.on_abort is not None:
                self.on_abort()


Answer: TypeAlias = Response | Deferred | EventStream | StreamResponse | Switch
Handler: TypeAlias = Callable[[Request], Answer | Awaitable[Answer]]
"""What answers a request. A plain function costs no Task; a coroutine function gets one, which is cancelled when the
connection is lost. A client that has only ended its sending side is still answered."""
