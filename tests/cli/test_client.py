"""The client: addresses, answers, errors, live streams."""

from __future__ import annotations

import socket
import threading
from http.server import HTTPServer
from socketserver import ThreadingMixIn

import pytest

from hardpoint.cli import client as client_module
from hardpoint.cli.client import Address, Client, Event
from hardpoint.errors import (
    BadInput,
    Conflict,
    Forbidden,
    HardpointError,
    NotFound,
    RateLimited,
    ServerUnreachable,
    StorageFull,
    TimedOut,
    Unauthorized,
)

from .conftest import HEALTH, Handler, Script, error, serve_script


@pytest.fixture
def client(script: Script) -> Client:
    return Client(Address.parse(script.url))


class TestAddress:
    @pytest.mark.parametrize(
        ("url", "address"),
        [
            ("http://192.168.1.20:8080", Address(host="192.168.1.20", port=8080)),
            ("http://box/", Address(host="box", port=80)),
            ("https://box", Address(scheme="https", host="box", port=443)),
            ("http://[::1]:8080", Address(host="::1", port=8080)),
            ("unix:/run/h.sock", Address(path="/run/h.sock")),
        ],
    )
    def test_parsed(self, url: str, address: Address) -> None:
        assert Address.parse(url) == address
        assert Address.parse(str(address)) == address

    @pytest.mark.parametrize(
        "url",
        ["", "box:8080", "ftp://box", "http://", "http://box:x", "http://box/api", "http://b?q", "unix:", "unix:/a\0b"],
    )
    def test_refused(self, url: str) -> None:
        with pytest.raises(BadInput, match="not a server's address"):
            Address.parse(url)


class TestCalls:
    def test_json_both_ways(self, script: Script, client: Client) -> None:
        script.answers["POST /api/devices"] = (201, {"id": "x"})
        assert client.call("POST", "/api/devices", body={"name": "wärm"}) == {"id": "x"}
        asked = script.last("POST")
        assert asked.body == {"name": "wärm"}
        assert asked.headers["Content-Type"] == "application/json"
        assert "Authorization" not in asked.headers

    def test_segments_are_escaped_and_queries_encoded(self, script: Script, client: Client) -> None:
        script.answers["GET /api/devices/a%2Fb%3Fc%20d/latest"] = (200, {})
        assert client.get("/api/devices", "a/b?c d", "latest", query={"k": ["a", "b&"], "none": None, "n": 1}) == {}
        assert script.last("GET").target.endswith("/latest?k=a&k=b%26&n=1")

    @pytest.mark.parametrize("call", [("/api/devices", "\udcff"), ("/api/devices",)])
    def test_an_argument_that_is_no_text(self, script: Script, client: Client, call: tuple[str, ...]) -> None:
        with pytest.raises(BadInput, match="not UTF-8"):
            client.call("POST", *call, query={"k": "\udcff"} if len(call) > 1 else None, body={"name": "\udcff"})
        assert script.asked == []

    def test_an_empty_answer_is_none(self, script: Script, client: Client) -> None:
        script.answers["DELETE /api/devices/x"] = (204, None)
        assert client.call("DELETE", "/api/devices", "x") is None

    def test_health_of_a_server_that_is_not_well(self, script: Script, client: Client) -> None:
        script.answers["GET /api/health"] = (503, {**HEALTH, "status": "degraded"})
        assert client.health()["status"] == "degraded"
        script.answers["GET /api/health"] = (503, error("internal", "starting"))
        with pytest.raises(HardpointError, match="starting"):
            client.health()

    def test_over_tcp_with_a_token(self, script: Script) -> None:
        class Server(ThreadingMixIn, HTTPServer):
            daemon_threads = True

        server = Server(("127.0.0.1", 0), Handler)
        server.script = Script(script.path)  # type: ignore[attr-defined]
        for served in serve_script(server):
            served.answers["GET /api/session"] = (200, {"user": None})
            address = Address.parse(f"http://127.0.0.1:{server.server_port}")
            assert Client(address, "secret").get("/api/session") == {"user": None}
            assert served.last("GET").headers["Authorization"] == "Bearer secret"


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "kind", "exit_code"),
        [
            (400, BadInput, 1),
            (401, Unauthorized, 77),
            (403, Forbidden, 77),
            (404, NotFound, 1),
            (409, Conflict, 1),
            (429, RateLimited, 75),
            (504, TimedOut, 75),
            (507, StorageFull, 1),
            (500, HardpointError, 1),
            (302, HardpointError, 1),
        ],
    )
    def test_a_status_is_the_exception_that_the_server_raised(
        self, script: Script, client: Client, status: int, kind: type[HardpointError], exit_code: int
    ) -> None:
        script.answers["GET /x"] = (status, error("code", "what is wrong", field="name"))
        with pytest.raises(kind) as caught:
            client.get("/x")
        assert type(caught.value) is kind
        assert caught.value.message == "what is wrong (name)"
        assert caught.value.exit_code == exit_code

    @pytest.mark.parametrize("body", [None, [], {}, {"error": "text"}, {"error": {}}])
    def test_an_error_without_a_message(self, script: Script, client: Client, body: object) -> None:
        script.answers["GET /x"] = (500, body)
        with pytest.raises(HardpointError, match="the server answered 500"):
            client.get("/x")

    @pytest.mark.parametrize("body", [b"<html>", b"\xff", b"[" * 5000])
    def test_something_else_answers(self, script: Script, client: Client, body: bytes) -> None:
        script.answers["GET /x"] = (200, body)
        with pytest.raises(ServerUnreachable, match="not a Hardpoint server"):
            client.get("/x")

    def test_no_server(self, tmp_path) -> None:
        with pytest.raises(ServerUnreachable) as caught:
            Client(Address(path=str(tmp_path / "hardpoint.sock"))).get("/x")
        assert caught.value.hint == f"start it: hardpoint serve --data {tmp_path} (or name another: --data, --server)"
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        with pytest.raises(ServerUnreachable, match="Connection refused"):
            Client(Address(host="127.0.0.1", port=port)).get("/x")
        with pytest.raises(ServerUnreachable, match=r"no server at http://a\.\.b:80"):
            Client(Address.parse("http://a..b:80")).get("/x")  # a name that cannot even be asked for

    def test_one_that_may_not_be_asked(self, monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
        def refuse(self: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(client_module._UnixConnection, "connect", refuse)
        with pytest.raises(Forbidden, match="Permission denied"):
            client.get("/x")

    def test_one_that_does_not_answer(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            client = Client(Address(host="127.0.0.1", port=silent.getsockname()[1]))
            with pytest.raises(TimedOut, match="no answer"):
                client.call("GET", "/x", timeout_s=0.05)

    def test_one_that_breaks_off(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:

            def answer() -> None:
                connection, _ = server.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

            thread = threading.Thread(target=answer)
            thread.start()
            with pytest.raises(ServerUnreachable, match="broke off"):
                Client(Address(host="127.0.0.1", port=server.getsockname()[1])).get("/x")
            thread.join()


class TestLiveStream:
    def test_events_and_the_id_to_resume_after(self, script: Script, client: Client) -> None:
        script.hold.set()
        script.answers["GET /api/live"] = [
            b': hello\n\nid: b-1\nevent: reading\ndata: {"a":1}\n\ndata: 2\n\nid: b-3\n\nevent: cut\ndata: off'
        ]
        with client.events("/api/live", query={"device": ("x", "y")}, last_id="b-0") as events:
            assert list(events) == [Event("reading", {"a": 1}), Event("message", 2)]
            assert events.last_id == "b-3"
        asked = script.last("GET")
        assert asked.target == "/api/live?device=x&device=y"
        assert asked.headers["Last-Event-ID"] == "b-0"

    def test_a_refusal(self, script: Script, client: Client) -> None:
        script.answers["GET /api/live"] = (404, error("not_found", "no device x"))
        with pytest.raises(NotFound, match="no device x"), client.events("/api/live"):
            pass

    def test_something_else_streams(self, script: Script, client: Client) -> None:
        script.answers["GET /api/live"] = [b"data: {\n\n"]
        with client.events("/api/live") as events, pytest.raises(ServerUnreachable, match="live stream"):
            list(events)

    def test_silence_ends_it(self, script: Script, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(client_module, "SILENCE_TIMEOUT_S", 1.0)
        script.answers["GET /api/live"] = [b"data: 1\n\n"]
        with client.events("/api/live") as events:
            assert list(events) == [Event("message", 1)]
