"""Where a device reaches the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hardpoint.cli import doors
from hardpoint.cli.client import Address
from hardpoint.web.snippets import Doors

from .conftest import HEALTH

if TYPE_CHECKING:
    import pytest


class TestDoors:
    def test_an_origin_has_brackets_around_an_ipv6_address(self) -> None:
        health = {"listeners": [{"url": "http://[fe80::1]:8080", "port": 8080}]}
        assert doors.doors(health, Address(path="/x")) == Doors(http="http://[fe80::1]:8080")

    def test_none_is_open(self) -> None:
        assert doors.doors({"listeners": []}, Address(path="/x")) == Doors()

    def test_behind_a_proxy_the_address_is_the_one_this_command_got_through(self) -> None:
        found = doors.doors(HEALTH, Address(scheme="https", host="box.example", port=443))
        assert found == Doors(line=("box.example", 9000), https="https://box.example:443", relayed=True)
        assert not doors.doors(HEALTH, Address(host="box", port=8080)).relayed


class TestReachable:
    def test_a_listener_on_every_address_is_dialled_where_the_command_found_the_server(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(doors, "lan_address", lambda: "192.168.1.20")
        assert doors.reachable(HEALTH, Address(path="/x"), "line") == ("192.168.1.20", 9000)
        assert doors.reachable(HEALTH, Address(host="box", port=80), "line") == ("box", 9000)

    def test_one_on_one_address_is_dialled_there(self) -> None:
        assert doors.reachable(HEALTH, Address(host="box", port=80), "http") == ("127.0.0.1", 8080)

    def test_one_port_for_everything(self) -> None:
        health = {"listeners": [{"url": "any://10.0.0.1:9000", "port": 9000}, {"url": "https://h:1", "port": 1}]}
        for scheme in ("line", "http", "mqtt", "any"):
            assert doors.reachable(health, Address(), scheme) == ("10.0.0.1", 9000)
        assert doors.reachable(health, Address(), "https") == ("h", 1)
        assert doors.reachable(health, Address(), "lines") is None, "it has no certificate"
        health["certificates"] = [{"names": ["h"]}]
        assert doors.reachable(health, Address(), "lines") == ("10.0.0.1", 9000)
        found = doors.doors(health, Address(path="/x"), "pem")
        assert (found.http, found.https, found.ca) == ("http://10.0.0.1:9000", "https://h:1", "pem")

    def test_none(self) -> None:
        assert doors.reachable(HEALTH, Address(), "mqtt") is None
