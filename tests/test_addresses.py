"""What others in the network dial to reach this machine."""

from __future__ import annotations

import ipaddress
import socket
from types import SimpleNamespace

import psutil
import pytest

from hardpoint import addresses


class Unreachable(socket.socket):
    """Of a machine without a way out of its network."""

    def connect(self, address: object) -> None:
        raise OSError(101, "Network is unreachable")


@pytest.fixture
def interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET, "127.0.0.1"),
        (socket.AF_PACKET, "02:42:ac:11:00:02"),
        (socket.AF_INET6, "fe80::1%eth0"),
        (socket.AF_INET6, "2001:db8::7"),
        (socket.AF_INET, "169.254.3.4"),
        *((socket.AF_INET, f"192.168.{number}.20") for number in range(1, 20)),
    ]
    cards = {"all": [SimpleNamespace(family=family, address=address) for family, address in found]}
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: cards)


def test_it_is_one_of_this_machine() -> None:
    address = addresses.lan_address()
    assert ipaddress.ip_address(address).version == 4
    with socket.socket() as probe:
        probe.bind((address, 0))


def test_in_a_network_that_leads_nowhere(monkeypatch: pytest.MonkeyPatch, interfaces: None) -> None:
    monkeypatch.setattr(addresses.socket, "socket", Unreachable)
    assert addresses.lan_address() == "192.168.1.20"


def test_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses.socket, "socket", Unreachable)
    monkeypatch.setattr(psutil, "net_if_addrs", dict)
    assert addresses.lan_address() == "127.0.0.1"


def test_those_that_mean_something_elsewhere(interfaces: None) -> None:
    found = addresses.lan_addresses()
    assert len(found) == addresses.MAX_SHOWN
    assert set(found) < {f"192.168.{number}.20" for number in range(1, 20)}
