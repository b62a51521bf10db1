"""Which handler answers which method and path.

A pattern is a path whose segments may be ``{name}`` (one segment, percent-decoded), ``{name:int}`` (an integer of at
most 18 digits) or, last, ``{name:path}`` (all that is left, slashes included, perhaps nothing). Where several match,
the earliest segment to differ decides: a literal wins over ``int``, that over a plain one, that over ``path``. The
order in which routes are declared makes no difference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import unquote

from ..errors import BadInput, NotFound
from .errors import problem
from .messages import Response

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from ..wire.http1 import RequestHead
    from .messages import Answer, Handler, Request
    from .websocket import WebSocketHandler
    from .websocket_connection import WebSocketOptions

H = TypeVar("H", bound="Handler")
W = TypeVar("W", bound="WebSocketHandler")

ANY_METHOD = "*"
"""The method of a route that takes every one no other route of its path takes."""
KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
MAX_RECENT_PATHS = 4096
"""Paths whose captures are kept: a look-up takes a tenth of a walk through the tree. When there are more they are all
forgotten, which is cheaper than to know which one was used least.
"""
MAX_RECENT_PATH_LENGTH = 256
"""With the number above, 1 MB at most."""
_SEGMENT = re.compile(r"\{([a-z_][a-z0-9_]*)(?::(int|path))?\}")
_INT = re.compile(r"-?[0-9]{1,18}")


class BodyPlan(NamedTuple):
    """How a request's body is to be received."""

    stream: bool
    """Whether the handler is called before it is whole, and reads it as it comes."""
    max_bytes: int | None
    """How large it may be; None for the server's limit."""


WHOLE = BodyPlan(stream=False, max_bytes=None)


@dataclass(slots=True, frozen=True)
class Route:
    """One method on one path. ``meta`` is what was said at its declaration, for guards and descriptions. The router
    itself reads of it:

    - ``head``: False keeps HEAD from a GET whose handler has an effect, as one that waits for something and takes it
      away has;
    - ``stream``: True calls the handler when the head is there; it reads the body by `Request.stream` or `read`;
    - ``max_body_bytes``: for a body that may be larger, or must be smaller, than the server's limit says.
    """

    method: str
    path: str
    handler: Handler
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def plan(self) -> BodyPlan:
        """How its requests' bodies are to be received."""
        return BodyPlan(bool(self.meta.get("stream", False)), self.meta.get("max_body_bytes"))

    @property
    def answers_head(self) -> bool:
        """Whether HEAD may call the handler, of a GET."""
        return bool(self.meta.get("head", True))


@dataclass(slots=True)
class _Node:
    """The routes whose paths share their segments so far."""

    literal: dict[str, _Node] = field(default_factory=dict)
    integer: _Node | None = None
    plain: _Node | None = None
    rest: _Leaf | None = None
    leaf: _Leaf | None = None


@dataclass(slots=True)
class _Leaf:
    """The routes of one path shape; ``names`` are those of its captured segments, by method."""

    methods: dict[str, Route] = field(default_factory=dict)
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    allow: str = ""


class Router:
    """Routes, and the answers that need none: 404, 405, HEAD by way of GET, OPTIONS."""

    def __init__(self) -> None:
        self.guard: Callable[[Request, Route], None] | None = None
        """Called before each handler; it refuses by raising a `HardpointError`."""
        self._exact: dict[str, _Leaf] = {}  # paths without captures: one look-up
        self._root = _Node()
        self._recent: dict[str, tuple[_Leaf, tuple[Any, ...]]] = {}
        self._routes: list[Route] = []

    @property
    def routes(self) -> Iterator[Route]:
        """Every route, in the order of declaration."""
        return iter(self._routes)

    def get(self, path: str, **meta: Any) -> Callable[[H], H]:
        """Declare the handler of ``GET path`` (and so of HEAD, unless ``head=False``)."""
        return self._declare("GET", path, meta)

    def post(self, path: str, **meta: Any) -> Callable[[H], H]:
        """Declare the handler of ``POST path``."""
        return self._declare("POST", path, meta)

    def put(self, path: str, **meta: Any) -> Callable[[H], H]:
        """Declare the handler of ``PUT path``."""
        return self._declare("PUT", path, meta)

    def patch(self, path: str, **meta: Any) -> Callable[[H], H]:
        """Declare the handler of ``PATCH path``."""
        return self._declare("PATCH", path, meta)

    def delete(self, path: str, **meta: Any) -> Callable[[H], H]:
        """Declare the handler of ``DELETE path``."""
        return self._declare("DELETE", path, meta)

    def mount(self, prefix: str, handler: Handler, **meta: Any) -> None:
        """Give a path and all below it to one handler, whatever the method: HEAD and OPTIONS are its own too. Routes
        that are more specific go before it. ``params["rest"]`` is what follows the prefix and its slash.
        """
        prefix = prefix.rstrip("/")
        self.route(ANY_METHOD, prefix or "/", handler, **meta)
        self.route(ANY_METHOD, f"{prefix}/{{rest:path}}", handler, **meta)

    def websocket(
        self,
        path: str,
        *,
        subprotocols: Sequence[str] = (),
        origins: Collection[str] | None = None,
        options: WebSocketOptions | None = None,
        **meta: Any,
    ) -> Callable[[W], W]:
        """Declare the handler of WebSockets at ``path``, an ``async def handler(ws: WebSocket)``; the arguments are
        those of `hardpoint.http.websocket.check_handshake`.
        """
        from .websocket import websocket_route

        def declare(handler: W) -> W:
            upgrade = websocket_route(handler, subprotocols=subprotocols, origins=origins, options=options)
            self.route("GET", path, upgrade, head=False, **meta)
            return handler

        return declare

    def _declare(self, method: str, path: str, meta: dict[str, Any]) -> Callable[[H], H]:
        def declare(handler: H) -> H:
            self.route(method, path, handler, **meta)
            return handler

        return declare

    def route(self, method: str, path: str, handler: Handler, **meta: Any) -> Route:
        """Declare one route.

        Raises:
            ValueError: the path is no pattern, or is taken for that method.
        """
        names, leaf = self._leaf_for(path)
        self._recent.clear()  # a more specific route may have been declared
        if method in leaf.methods:
            raise ValueError(f"{method} {path} has a handler: {leaf.methods[method].path}")
        made = Route(method, path, handler, meta)
        leaf.methods[method] = made
        leaf.names[method] = names
        allowed = {*leaf.methods, "OPTIONS"}
        allowed.discard(ANY_METHOD)
        if "GET" in allowed and leaf.methods["GET"].answers_head:
            allowed.add("HEAD")
        leaf.allow = ", ".join(sorted(allowed))
        self._routes.append(made)
        return made

    def _leaf_for(self, path: str) -> tuple[tuple[str, ...], _Leaf]:
        if not path.startswith("/"):
            raise ValueError(f"{path!r} does not start with /")
        if "{" not in path and "}" not in path:
            return (), self._exact.setdefault(path, _Leaf())
        node, names = self._root, []
        segments = path[1:].split("/")
        for position, segment in enumerate(segments):
            if "{" not in segment and "}" not in segment:
                node = node.literal.setdefault(segment, _Node())
                continue
            found = _SEGMENT.fullmatch(segment)
            if found is None or found[1] in names or (found[2] == "path" and position != len(segments) - 1):
                raise ValueError(f"{segment!r} in {path!r} is no pattern")
            names.append(found[1])
            if found[2] == "path":
                node.rest = node.rest or _Leaf()
                return tuple(names), node.rest
            if found[2] == "int":
                node.integer = node = node.integer or _Node()
            else:
                node.plain = node = node.plain or _Node()
        node.leaf = node.leaf or _Leaf()
        return tuple(names), node.leaf

    def handle(self, request: Request) -> Answer | Awaitable[Answer]:
        """Find the route, ask the guard, call the handler.

        Raises:
            HardpointError: from the guard or the handler; `NotFound` when no route has the path. Anything else a
                handler raises comes through as it is.
        """
        head = request.head
        path = head.raw_path
        leaf = self._exact.get(path)  # as `_leaf` does first; the call would be a tenth of what a request costs
        values: tuple[Any, ...] = ()
        if leaf is None:
            found = self._leaf(path)
            if found is None:
                return self._unrouted(request)
            leaf, values = found
        method = head.method
        route = leaf.methods.get(method)
        if route is None:
            route = _instead(leaf, method)
            if route is None:
                return _without_handler(method, leaf.allow)
        if values:
            request.params = dict(zip(leaf.names[route.method], values, strict=True))
        request.route = route
        if self.guard is not None:
            self.guard(request, route)
        return route.handler(request)

    def plan(self, head: RequestHead) -> BodyPlan:
        """How the body behind this head is to be received."""
        try:
            found = self._leaf(head.raw_path)
        except BadInput:  # `handle` will say so
            found = None
        if found is None:
            return WHOLE
        leaf = found[0]
        route = leaf.methods.get(head.method) or _instead(leaf, head.method)
        return WHOLE if route is None else route.plan

    def _leaf(self, path: str) -> tuple[_Leaf, tuple[Any, ...]] | None:
        """The routes of a path as sent, and what its captures hold.

        Raises:
            BadInput: a captured segment decodes to no text.
        """
        leaf = self._exact.get(path)
        if leaf is not None:
            return leaf, ()
        found = self._recent.get(path)  # a device posts to one path again and again
        if found is None:
            found = self._find(path)
            if found is not None:
                self._remember(path, found)
        return found

    def _remember(self, path: str, found: tuple[_Leaf, tuple[Any, ...]]) -> None:
        if len(path) <= MAX_RECENT_PATH_LENGTH:
            if len(self._recent) >= MAX_RECENT_PATHS:
                self._recent.clear()
            self._recent[path] = found

    def _unrouted(self, request: Request) -> Response:
        if request.path == "*":
            return _without_handler(request.method, ", ".join(sorted({"OPTIONS", *(r.method for r in self._routes)})))
        if request.method not in KNOWN_METHODS:
            return _without_handler(request.method, "")
        raise NotFound("there is nothing at this path")

    def _find(self, raw_path: str) -> tuple[_Leaf, tuple[Any, ...]] | None:
        """The leaf for a path as sent, and what its captures hold.

        Raises:
            BadInput: a captured segment decodes to no text.
        """
        if not raw_path.startswith("/"):
            return None
        if "%" in raw_path and "%2f" not in raw_path.lower():
            # An escaped slash is part of a segment, so such a path is never a path of literals.
            leaf = self._exact.get(_decoded(raw_path))
            if leaf is not None:
                return leaf, ()
        return _match(self._root, raw_path[1:].split("/"), 0, ())


def _match(
    node: _Node, segments: list[str], position: int, values: tuple[Any, ...]
) -> tuple[_Leaf, tuple[Any, ...]] | None:
    """Depth first, the most specific branch first. A path has at most four ways on at each segment that a route
    declares, so the work is bounded by the routes, not by the path.
    """
    if position == len(segments):
        return None if node.leaf is None else (node.leaf, values)
    segment = segments[position]
    literal = node.literal.get(segment)
    if literal is None and "%" in segment:
        literal = node.literal.get(unquote(segment))
    if literal is not None:
        found = _match(literal, segments, position + 1, values)
        if found is not None:
            return found
    if node.integer is not None and _INT.fullmatch(segment):
        found = _match(node.integer, segments, position + 1, (*values, int(segment)))
        if found is not None:
            return found
    if node.plain is not None and segment:
        found = _match(node.plain, segments, position + 1, (*values, _decoded(segment)))
        if found is not None:
            return found
    if node.rest is not None:
        return node.rest, (*values, _decoded("/".join(segments[position:])))
    return None


def _instead(leaf: _Leaf, method: str) -> Route | None:
    """The route for a method that has none of its own here."""
    if method == "HEAD":
        # RFC 9110 §9.3.2: as GET; the connection leaves the content out.
        route = leaf.methods.get("GET")
        if route is not None and route.answers_head:
            return route
    return leaf.methods.get(ANY_METHOD)


def _decoded(text: str) -> str:
    if "%" not in text:
        return text
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise BadInput("the path is not UTF-8") from None


def _without_handler(method: str, allow: str) -> Response:
    """The answer of a path that has no handler for the method."""
    if method == "OPTIONS":
        return Response.empty(204, [("Allow", allow)])
    if method not in KNOWN_METHODS:
        return problem(501, "not_implemented", "no such method is known here")  # RFC 9110 §9.1
    response = problem(405, "method_not_allowed", f"this path allows {allow}")
    response.headers.append(("Allow", allow))
    return response
