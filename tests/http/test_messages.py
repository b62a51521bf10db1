"""Requests and responses as handlers see them, and how an exception becomes an answer."""

from __future__ import annotations

import logging

import msgspec
import pytest
from http_client import get, post

from hardpoint.errors import BadInput, HardpointError, NotFound, RateLimited, StorageFull, TimedOut, Unauthorized
from hardpoint.http import Query, Request, Response, error_response
from hardpoint.wire.http1 import HttpLimits, RequestHead, RequestParser


def request(data: bytes) -> Request:
    head, *rest = RequestParser(HttpLimits()).receive(data)
    assert isinstance(head, RequestHead)
    return Request(None, head, b"".join(piece for piece in rest if isinstance(piece, bytes)))


def test_the_query() -> None:
    query = request(get("/?a=1&b=%E4%BD%A0+x&a=2&c&d=")).query
    assert dict(query) == {"a": "1", "b": "你 x", "c": "", "d": ""}
    assert query.get_all("a") == ["1", "2"]
    assert query.get_all("z") == []
    assert query.get("z", "default") == "default"
    assert Query("") == {}
    assert Query("a=1;b=2&c=100%") == {"a": "1;b=2", "c": "100%"}  # WHATWG: only & parts, a lone % stays
    with pytest.raises(BadInput) as caught:
        _ = request(get("/?a=%ff")).query
    assert caught.value.field == "query"


def test_cookies() -> None:
    made = request(get("/", 'Cookie: a=1;  b="x y"; a=2; junk; c=d=e'))
    assert made.cookies == {"a": "1", "b": '"x y"', "c": "d=e"}
    assert made.cookies is made.cookies
    assert request(get()).cookies == {}


def test_headers_and_peer() -> None:
    made = request(get("/x%20y", "X-One: 1"))
    assert (made.method, made.path, made.headers["x-ONE"], made.body, made.peer) == ("GET", "/x y", "1", b"", "")
    assert (made.params, made.user, made.route) == ({}, None, None)


class Point(msgspec.Struct):
    x: int
    tags: dict[str, list[int]] = {}


def test_json() -> None:
    assert request(post("/", b'{"a": [1, 2.5, null]}')).json() == {"a": [1, 2.5, None]}
    assert request(post("/", b'{"x": 1}')).json(Point) == Point(1)


@pytest.mark.parametrize(
    ("body", "kind", "field", "words"),
    [
        (b"", object, None, "a JSON body"),
        (b"{", object, None, "not JSON"),
        (b"NaN", object, None, "not JSON"),
        (b'"\xff"', object, None, "not JSON"),
        (b"[" * 100_000, object, None, "not JSON"),
        (b"{}", Point, None, "required field `x`"),
        (b'{"x": "1"}', Point, "x", "Expected `int`, got `str` at x"),
        (b'{"x": 1, "tags": {"a": [1, "b"]}}', Point, "tags[...][1]", "at tags[...][1]"),
        (b'{"a": "b"}', dict[str, int], "[...]", "Expected `int`"),
        (b"1", Point, None, "Expected `object`, got `int`"),
    ],
)
def test_json_that_cannot_be_used_names_the_place(body: bytes, kind: type, field: str | None, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        request(post("/", body)).json(kind)
    assert caught.value.field == field
    assert words in caught.value.message


def test_responses() -> None:
    assert (Response().status, Response().body, Response().content_type, Response().headers) == (200, b"", None, [])
    made = Response.json({"a": None}, 201, [("X", "1")])
    assert (made.status, made.body, made.content_type, made.headers) == (
        201, b'{"a":null}', "application/json", [("X", "1")],
    )  # fmt: skip
    assert Response.text("é").body == "é".encode()
    assert Response.html("<p>").content_type == "text/html; charset=utf-8"
    assert Response.redirect("/x").headers == [("Location", "/x")]
    assert Response.redirect("/x").status == 303
    assert Response.empty(304).status == 304


def test_set_cookie() -> None:
    made = Response()
    made.set_cookie("session", "abc", max_age_s=60, secure=True)
    made.set_cookie("theme", "dark", http_only=False, path="/ui", same_site="Strict")
    assert made.headers == [
        ("Set-Cookie", "session=abc; Path=/; SameSite=Lax; Max-Age=60; Secure; HttpOnly"),
        ("Set-Cookie", "theme=dark; Path=/ui; SameSite=Strict"),
    ]
    for name, value in [("a b", "1"), ("a", "1;2"), ("a", "1\r\nX: y"), ("", "1"), ("a", 'x"'), ("a", "é")]:
        with pytest.raises(ValueError):
            made.set_cookie(name, value)


@pytest.mark.parametrize(
    ("error", "status", "document", "header"),
    [
        (BadInput("no", field="a.b"), 400, {"code": "bad_request", "message": "no", "field": "a.b"}, None),
        (NotFound("gone"), 404, {"code": "not_found", "message": "gone"}, None),
        (Unauthorized("who"), 401, {"code": "unauthorized", "message": "who"}, ("WWW-Authenticate", "Bearer")),
        (RateLimited("slow"), 429, {"code": "rate_limited", "message": "slow"}, ("Retry-After", "10")),
        (StorageFull("full"), 507, {"code": "storage_full", "message": "full"}, ("Retry-After", "10")),
        (TimedOut("late"), 504, {"code": "timed_out", "message": "late"}, None),
    ],
)
def test_an_error_becomes_its_answer(
    error: HardpointError, status: int, document: dict[str, str], header: tuple[str, str] | None
) -> None:
    response = error_response(error)
    assert response.status == status
    assert msgspec.json.decode(response.body) == {"error": document}
    assert response.headers == ([] if header is None else [header])


def test_our_own_failure_tells_the_log_and_not_the_client(caplog: pytest.LogCaptureFixture) -> None:
    for error in (KeyError("secret"), HardpointError("secret")):
        response = error_response(error)
        assert response.status == 500
        assert b"secret" not in response.body
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert "secret" in caplog.text


def test_a_deferred_is_answered_once() -> None:
    made = request(get())
    deferred = made.defer()
    assert made.defer() is deferred
    assert deferred.respond(Response.text("a"))
    with pytest.raises(RuntimeError):
        deferred.respond(Response.text("b"))
    deferred.abort()
    assert not deferred.aborted  # it has its answer
