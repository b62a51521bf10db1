"""The snippets' text; that they work is tested against a real server in test_end_to_end.py."""

from __future__ import annotations

import ast
import ipaddress
import socket
from typing import TYPE_CHECKING

from hardpoint.cli import snippets
from hardpoint.cli.client import Address

from .conftest import HEALTH

if TYPE_CHECKING:
    import pytest


def test_only_the_dialects_that_listen() -> None:
    assert snippets.snippets("t", None, None) == {}
    assert list(snippets.snippets("t", None, ("h", 1))) == ["curl"]
    assert list(snippets.snippets("t", ("h", 1), None)) == ["nc", "python"]


def test_the_line_for_nc_ends_the_connection_itself() -> None:
    made = snippets.snippets("hp_x", ("h", 1), None)
    assert made["nc"] == r"printf 'HELLO hp_x\ntemp=21.5\nQUIT\n' | nc h 1"


def test_an_ipv6_host() -> None:
    made = snippets.snippets("t", ("fe80::1", 9000), ("fe80::1", 8080))
    assert made["nc"].endswith("| nc fe80::1 9000")
    assert "'http://[fe80::1]:8080/api/v1/t/telemetry'" in made["curl"]
    ast.parse(made["python"])


class TestReachable:
    def test_a_listener_on_every_address_is_dialled_where_the_command_found_the_server(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(snippets, "lan_address", lambda: "192.168.1.20")
        assert snippets.reachable(HEALTH, Address(path="/x"), "line") == ("192.168.1.20", 9000)
        assert snippets.reachable(HEALTH, Address(host="box", port=80), "line") == ("box", 9000)

    def test_one_on_one_address_is_dialled_there(self) -> None:
        assert snippets.reachable(HEALTH, Address(host="box", port=80), "http") == ("127.0.0.1", 8080)

    def test_one_port_for_everything(self) -> None:
        health = {"listeners": [{"url": "any://10.0.0.1:9000", "port": 9000}, {"url": "https://h:1", "port": 1}]}
        for scheme in ("line", "http", "mqtt", "any"):
            assert snippets.reachable(health, Address(), scheme) == ("10.0.0.1", 9000)
        assert snippets.reachable(health, Address(), "https") == ("h", 1)
        assert snippets.reachable(health, Address(), "lines") is None

    def test_none(self) -> None:
        assert snippets.reachable(HEALTH, Address(), "mqtt") is None


class TestLanAddress:
    def test_it_is_one_of_this_machine(self) -> None:
        address = snippets.lan_address()
        assert ipaddress.ip_address(address).version == 4
        with socket.socket() as probe:
            probe.bind((address, 0))

    def test_without_a_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Unreachable(socket.socket):
            def connect(self, address: object) -> None:
                raise OSError(101, "Network is unreachable")

        monkeypatch.setattr(snippets.socket, "socket", Unreachable)
        assert snippets.lan_address() == "127.0.0.1"
