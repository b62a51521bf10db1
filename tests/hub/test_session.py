"""Where a session comes from."""

from __future__ import annotations

import pytest

from hardpoint.hub.session import host_of


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("192.0.2.1:50000", "192.0.2.1"),
        ("[2001:db8::7]:50000", "2001:db8::7"),
        ("[fe80::1%eth0]:0", "fe80::1%eth0"),
        ("unix", "unix"),
        ("", ""),
    ],
)
def test_the_host_of_a_peer_has_no_port_and_no_brackets(peer, host):
    assert host_of(peer) == host
