"""CPython's own ``test.test_asyncio``, of the interpreter that runs this, on our loop.

Left out are the modules about the insides of the stock loops (selector_events, proactor_events, windows_*) and those
that never make a loop (protocols, transports, staggered). In the others, tests that reach into the stock loop are
excluded below, each kind with its reason.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from .comparing import compare

MODULES = [
    "base_events",
    "buffered_proto",
    "context",
    "eager_task_factory",
    "events",
    "free_threading",
    "futures",
    "futures2",
    "locks",
    "pep492",
    "queues",
    "runners",
    "sendfile",
    "server",
    "sock_lowlevel",
    "ssl",
    "sslproto",
    "streams",
    "subprocess",
    "taskgroups",
    "tasks",
    "threads",
    "timeouts",
    "unix_events",
    "waitfor",
]

EXCLUDED = {
    "*.BaseEventLoopWithSelectorTests.test_accept_connection_*": "calls the stock loop's _accept_connection with mocks",
    "*.BaseEventLoopWithSelectorTests.test_create_connection_*": "sockets are mocks whose fileno() is no number; the "
    "stock loop's _add_reader and _add_writer are patched to bear that",
    "*.BaseEventLoopWithSelectorTests.test_create_datagram_endpoint_*": "the socket is a mock, as above; events and "
    "sock_lowlevel use real ones",
    "*.BaseEventLoopWithSelectorTests.test_create_server_soreuseport_only_defined": "the socket is a mock, as above",
    "*.BaseEventLoopWithSelectorTests.test_log_slow_callbacks": "patches the name base_events.logger; ours logs the "
    "same line to the same logger, 'asyncio'",
    "*.test_timeout_rounding": "counts turns by patching the stock loop's _selector",
    "*.test_internal_fds": "asks for the stock loop's _ssock and _csock",
    "*.GenericWatcherTests.test_create_subprocess_fails_with_inactive_watcher": "child watchers are not asked: a "
    "pidfd or a thread tells of a child's end; Python 3.14 has no watchers any more",
    "*.test_watcher_implementation": "asks for the stock loop's _watcher",
    "*.test_pid_not_reaped_before_exit_published": "asks for the threads of the stock loop's _watcher",
    "*.SelectorEventLoopSignalTests.*": "patches the name unix_events.signal, or calls _check_signal "
    "and _handle_signal",
    "*.SelectorEventLoopUnixSocketTests.test_create_unix_server_bind_error": "patches the name unix_events.socket",
    "*.SelectorEventLoopUnixSockSendfileTests.*": "calls _sock_sendfile_native_impl, or patches the "
    "name unix_events.os",
}


@pytest.mark.conformance
@pytest.mark.parametrize("module", MODULES)
def test_what_passes_on_the_stock_loop_passes_on_ours(module: str, tmp_path: Path) -> None:
    name = f"test.test_asyncio.test_{module}"
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        pytest.skip("this Python came without its tests (Debian: libpython3-testsuite)")
    if found is None:
        pytest.skip(f"Python {sys.version_info.major}.{sys.version_info.minor} has no {name}")
    if module == "eager_task_factory" and sys.version_info < (3, 12):
        pytest.skip("eager tasks came with Python 3.12")
    command = [sys.executable, "unittest_outcomes.py"]
    compare(f"CPython {module}", command, tmp_path, EXCLUDED, tests=[name])
