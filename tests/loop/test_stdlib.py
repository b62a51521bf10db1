"""The private names of asyncio that the loop stands on exist in this Python."""

from __future__ import annotations

import asyncio
import inspect
import re
from asyncio import base_events, sslproto, transports

import pytest

from hardpoint.loop import stdlib

TABLE = [line for line in stdlib.__doc__.splitlines() if line.startswith("``")]


def named(prefix):
    """The names of a prefix in the table, such as ``BaseEventLoop``."""
    rows = [line for line in TABLE if line.startswith(f"``{prefix}")]
    assert rows, f"no row for {prefix}"
    for row in rows:
        yield from re.findall(r"``(?:[\w.]+\.)?(_\w+)``", row.split("  ")[0])


@pytest.mark.parametrize("name", sorted(set(named("BaseEventLoop."))))
def test_the_loops_names_exist(name):
    class Bare(asyncio.BaseEventLoop):
        pass

    loop = Bare()
    has = hasattr(loop, name)
    loop.close()
    # Server calls these two, and only loops that serve have them.
    assert has or name in {"_start_serving", "_stop_serving"}


@pytest.mark.parametrize("name", sorted(set(named("Handle."))))
def test_the_handles_names_exist(name):
    assert hasattr(asyncio.Handle, name)


@pytest.mark.parametrize("name", sorted(set(named("TimerHandle."))))
def test_the_timers_names_exist(name):
    assert name in asyncio.TimerHandle.__slots__


def test_the_flow_control_mix_in_keeps_what_the_transport_sets():
    slots = set(transports._FlowControlMixin.__slots__) | set(transports.BaseTransport.__slots__)
    assert slots == {"_loop", "_protocol_paused", "_high_water", "_low_water", "_extra"}


def test_the_server_takes_what_attach_passes():
    takes_transport = len(inspect.signature(base_events.Server._attach).parameters) == 2
    passed = []

    class FakeServer:
        if takes_transport:

            def _attach(self, transport):
                passed.append(transport)

        else:

            def _attach(self):
                passed.append("attached")

    stdlib.attach(FakeServer(), "attached")
    assert passed == ["attached"]


def test_the_tls_protocol_takes_what_is_passed():
    parameters = inspect.signature(sslproto.SSLProtocol).parameters
    assert list(parameters)[:6] == ["loop", "app_protocol", "sslcontext", "waiter", "server_side", "server_hostname"]
    assert {"call_connection_made", "ssl_handshake_timeout", "ssl_shutdown_timeout"} <= set(parameters)
