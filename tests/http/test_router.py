"""Which handler answers what."""

from __future__ import annotations

from typing import Any

import pytest
from http_client import get
from hypothesis import given
from hypothesis import strategies as st

from hardpoint.errors import BadInput, Forbidden, NotFound
from hardpoint.http import BodyPlan, Request, Response, Route, Router
from hardpoint.wire.http1 import HttpLimits, RequestHead, RequestParser


def request(target: str, method: str = "GET") -> Request:
    head = RequestParser(HttpLimits()).receive(get(target, method=method))[0]
    assert isinstance(head, RequestHead)
    return Request(None, head)


def ask(router: Router, target: str, method: str = "GET") -> Any:
    return router.handle(request(target, method))


def declared(*patterns: str, method: str = "GET") -> Router:
    """A router whose handlers tell which pattern matched and what it captured."""
    router = Router()
    for pattern in patterns:
        router.route(method, pattern, lambda made: (made.route.path, made.params))  # type: ignore[arg-type, return-value, union-attr]
    return router


PATTERNS = [
    "/", "/a", "/a/b", "/a/{x}", "/a/{n:int}", "/a/{n:int}/c", "/a/{x}/d", "/a/b/{y}/e", "/{x}/b", "/f/{rest:path}",
    "/f/{x}/g", "/{p}/{q}/{r}",
]  # fmt: skip


@pytest.mark.parametrize(
    ("target", "pattern", "params"),
    [
        ("/", "/", {}),
        ("/a", "/a", {}),
        ("/a?x", "/a", {}),
        ("/a/b", "/a/b", {}),
        ("/%61/b", "/a/b", {}),
        ("/a/1", "/a/{n:int}", {"n": 1}),
        ("/a/-1", "/a/{n:int}", {"n": -1}),
        ("/a/1x", "/a/{x}", {"x": "1x"}),
        ("/a/1234567890123456789", "/a/{x}", {"x": "1234567890123456789"}),
        ("/a/%31", "/a/{x}", {"x": "1"}),
        ("/a/1/c", "/a/{n:int}/c", {"n": 1}),
        ("/a/1/d", "/a/{x}/d", {"x": "1"}),  # back from int to plain
        ("/a/b/d", "/a/{x}/d", {"x": "b"}),  # back from a literal
        ("/a/b/c/e", "/a/b/{y}/e", {"y": "c"}),
        ("/z/b", "/{x}/b", {"x": "z"}),
        ("/a%2Fb/b", "/{x}/b", {"x": "a/b"}),
        ("/%E4%BD%A0/b", "/{x}/b", {"x": "你"}),
        ("/f/", "/f/{rest:path}", {"rest": ""}),
        ("/f/x", "/f/{rest:path}", {"rest": "x"}),
        ("/f/x/g", "/f/{x}/g", {"x": "x"}),
        ("/f/x/h/../i", "/f/{rest:path}", {"rest": "x/h/../i"}),
        ("/1/2/3", "/{p}/{q}/{r}", {"p": "1", "q": "2", "r": "3"}),
    ],
)
def test_the_most_specific_pattern_wins_in_any_order(target: str, pattern: str, params: dict[str, Any]) -> None:
    for patterns in (PATTERNS, PATTERNS[::-1]):
        assert ask(declared(*patterns), target) == (pattern, params)


@pytest.mark.parametrize("target", ["/b", "/a/", "/f", "//", "/a%2Fb", "/x/", "/a//d", "/1/2/3/4"])
def test_no_route(target: str) -> None:
    with pytest.raises(NotFound):
        ask(declared(*PATTERNS), target)


def test_methods() -> None:
    router = Router()

    @router.get("/x/{id}")
    def read(made: Request) -> Response:
        return Response.text(f"read {made.params['id']}")

    @router.delete("/x/{name}")
    def remove(made: Request) -> Response:
        return Response.text(f"remove {made.params['name']}")

    @router.post("/x")
    @router.put("/x")
    def write(made: Request) -> Response:
        return Response.text("write")

    @router.patch("/x")
    def change(made: Request) -> Response:
        return Response.text("change")

    assert ask(router, "/x/1").body == b"read 1"
    assert ask(router, "/x/1", "HEAD").body == b"read 1"
    assert ask(router, "/x/1", "DELETE").body == b"remove 1"
    assert [ask(router, "/x", method).body for method in ("POST", "PUT", "PATCH")] == [b"write", b"write", b"change"]
    assert [(route.method, route.path) for route in router.routes] == [
        ("GET", "/x/{id}"), ("DELETE", "/x/{name}"), ("PUT", "/x"), ("POST", "/x"), ("PATCH", "/x"),
    ]  # fmt: skip
    for method, target, status, allow in [
        ("POST", "/x/1", 405, "DELETE, GET, HEAD, OPTIONS"),
        ("TRACE", "/x/1", 405, "DELETE, GET, HEAD, OPTIONS"),
        ("GET", "/x", 405, "OPTIONS, PATCH, POST, PUT"),
        ("HEAD", "/x", 405, "OPTIONS, PATCH, POST, PUT"),
        ("OPTIONS", "/x", 204, "OPTIONS, PATCH, POST, PUT"),
        ("OPTIONS", "*", 204, "DELETE, GET, OPTIONS, PATCH, POST, PUT"),
    ]:
        response = ask(router, target, method)
        assert (response.status, response.headers) == (status, [("Allow", allow)]), (method, target)
    assert ask(router, "/x", "BREW").status == 501
    assert ask(router, "/nope", "BREW").status == 501
    with pytest.raises(NotFound):
        ask(router, "/nope", "OPTIONS")


@pytest.mark.parametrize("path", ["/next", "/next/{id}"])
def test_head_does_not_call_a_get_that_has_an_effect(path: str) -> None:
    router = Router()
    target = path.replace("{id}", "1")
    taken: list[str] = []

    @router.get(path, head=False)
    def take(made: Request) -> Response:
        taken.append(made.method)
        return Response.text("taken")

    refused = ask(router, target, "HEAD")
    assert (refused.status, refused.headers) == (405, [("Allow", "GET, OPTIONS")])
    assert ask(router, target, "OPTIONS").headers == [("Allow", "GET, OPTIONS")]
    assert not taken
    assert ask(router, target).body == b"taken"

    router.route("HEAD", path, lambda made: Response.text("looked"))
    assert ask(router, target, "HEAD").body == b"looked"
    assert ask(router, target, "OPTIONS").headers == [("Allow", "GET, HEAD, OPTIONS")]
    assert taken == ["GET"]


def test_an_explicit_head_or_options_handler_is_asked() -> None:
    router = declared("/x", method="OPTIONS")
    assert ask(router, "/x", "OPTIONS") == ("/x", {})
    router = declared("/x", method="HEAD")
    assert ask(router, "/x", "HEAD") == ("/x", {})


def test_the_guard_sees_the_route_before_the_handler() -> None:
    router = declared("/open")
    router.route("GET", "/secret/{id}", lambda made: Response(), role="admin")
    seen: list[tuple[Route, dict[str, Any]]] = []

    def guard(made: Request, route: Route) -> None:
        seen.append((route, made.params))
        if route.meta.get("role"):
            raise Forbidden("not yours")

    router.guard = guard
    assert ask(router, "/open") == ("/open", {})
    with pytest.raises(Forbidden):
        ask(router, "/secret/1")
    assert [(route.path, route.meta, params) for route, params in seen] == [
        ("/open", {}, {}),
        ("/secret/{id}", {"role": "admin"}, {"id": "1"}),
    ]


@pytest.mark.parametrize(
    "pattern", ["x", "", "/{", "/{1}", "/{a}{b}", "/a{b}", "/{a:float}", "/{a:path}/b", "/{a}/{a}"]
)
def test_a_bad_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError):
        declared(pattern)


@pytest.mark.parametrize(("first", "second"), [("/a", "/a"), ("/{a}/b", "/{c}/b"), ("/{a:path}", "/{b:path}")])
def test_a_route_is_declared_once(first: str, second: str) -> None:
    with pytest.raises(ValueError):
        declared(first, second)


def test_a_segment_that_is_no_text() -> None:
    made = request("/a/x")
    made.head.raw_path = "/a/%ff"
    with pytest.raises(BadInput):
        declared("/a/{x}").handle(made)


segments = st.text("ab1{}%/ü你.", min_size=1, max_size=5)


@given(st.lists(segments, min_size=1, max_size=4))
def test_any_text_comes_through_a_pattern_as_it_was(texts: list[str]) -> None:
    from urllib.parse import quote

    router = declared("/" + "/".join(f"{{s{n}}}" for n in range(len(texts))))
    target = "/" + "/".join(quote(text, safe="") for text in texts)
    assert ask(router, target)[1] == {f"s{n}": text for n, text in enumerate(texts)}


def test_a_route_declared_later_wins_over_a_remembered_path() -> None:
    router = Router()
    router.route("GET", "/items/{name}", lambda request: Response.text("plain"))
    assert ask(router, "/items/7").body == b"plain"
    router.route("GET", "/items/{number:int}", lambda request: Response.text("number"))
    assert ask(router, "/items/7").body == b"number"


def test_remembered_paths_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hardpoint.http.router.MAX_RECENT_PATHS", 4)
    router = Router()
    router.route("GET", "/items/{name}", lambda request: Response.text(request.params["name"]))
    for number in range(20):
        assert ask(router, f"/items/{number}").body == str(number).encode()
    assert len(router._recent) <= 4
    ask(router, "/items/" + "x" * 1000)
    assert all(len(path) < 1000 for path in router._recent)


def test_a_mount_takes_every_method_below_its_path() -> None:
    router = declared("/app/own")
    router.mount("/app/", lambda made: (made.method, made.params), stream=True)  # type: ignore[arg-type, return-value]
    for method in ("GET", "HEAD", "OPTIONS", "BREW"):
        assert ask(router, "/app", method) == (method, {})
        assert ask(router, "/app/", method) == (method, {"rest": ""})
        assert ask(router, "/app/a/b%20c", method) == (method, {"rest": "a/b c"})
    assert ask(router, "/app/own") == ("/app/own", {})
    assert ask(router, "/app/own", "POST").status == 405
    with pytest.raises(NotFound):
        ask(router, "/apple")


def test_a_route_says_how_it_wants_its_body() -> None:
    router = declared("/plain")
    router.post("/up", stream=True, max_body_bytes=9)(lambda made: Response.empty())
    router.mount("/app", lambda made: Response.empty(), stream=True)
    whole = BodyPlan(stream=False, max_bytes=None)
    for target, method in [("/up", "GET"), ("/plain", "HEAD"), ("/no", "GET")]:
        assert router.plan(request(target, method).head) == whole
    assert router.plan(request("/up", "POST").head) == BodyPlan(stream=True, max_bytes=9)
    assert router.plan(request("/app/x", "PUT").head) == BodyPlan(stream=True, max_bytes=None)
