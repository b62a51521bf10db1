"""Every private name of asyncio that this package touches, and where Python versions differ.

Deriving from `asyncio.BaseEventLoop` buys what is plain standard behaviour: address logic, executors, debug mode,
`Handle` and its contexts, exception handlers, asynchronous generators. The price is these names. Checked by the
tests, and by CPython's own on our loop, on 3.11.7, 3.12.1, 3.13.0 and 3.14.8:

===================================================== ==============================================================
``BaseEventLoop._ready`` ``_scheduled`` ``_stopping``  the queue and the heap that the turn works off; unchanged
``BaseEventLoop._timer_cancelled_count``               unchanged
``BaseEventLoop._clock_resolution``                    unchanged
``BaseEventLoop._current_handle`` ``_debug``           unchanged
``BaseEventLoop._thread_id``                           unchanged
``BaseEventLoop._internal_fds``                        unchanged
``BaseEventLoop._check_closed`` ``_ensure_resolved``   unchanged
``BaseEventLoop._create_connection_transport``         unchanged
``BaseEventLoop._run_once``                            hook: one turn
``BaseEventLoop._write_to_self``                       hook: wake the loop from another thread
``BaseEventLoop._start_serving`` ``_stop_serving``     hooks, called by ``Server``
``BaseEventLoop._make_socket_transport``               hook
``BaseEventLoop._make_datagram_transport``             hook
``BaseEventLoop._make_read_pipe_transport``            hook, and ``_make_write_pipe_transport``
``BaseEventLoop._make_subprocess_transport``           hook; child watchers (until 3.13) are not asked
``BaseEventLoop._sendfile_native``                     hook, and ``_sock_sendfile_native``
``BaseEventLoop._make_ssl_transport``                  hook; 3.11 also passes ``call_connection_made``
``Handle._cancelled`` ``_run``                         3.14 adds ``_ThreadSafeHandle``, whose ``_run`` takes a lock
``TimerHandle._when`` ``_scheduled``                   unchanged
``Server._attach`` ``_detach``                         3.13: both are passed the transport
``Server._start_serving``                              unchanged
``transports._FlowControlMixin``                       unchanged; ``loop.sendfile`` insists on it
``base_subprocess.BaseSubprocessTransport``            its hook ``_start``, and ``_proc`` ``_returncode``
                                                       ``_check_proc`` ``_process_exited`` ``_wait``; unchanged
``sslproto.SSLProtocol`` and its ``_app_transport``    unchanged since 3.11; it calls ``transport._force_close``
``trsock.TransportSocket``                             unchanged
``_start_tls_compatible`` ``_sendfile_compatible``     class attributes of transports; unchanged
``futures._set_result_unless_cancelled``               unchanged
``base_events._check_ssl_socket`` ``_format_handle``   unchanged
===================================================== ==============================================================
"""

from __future__ import annotations

import sys
from asyncio import base_events, base_subprocess, constants, futures, sslproto, transports, trsock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable

_base: Any = base_events
_base_subprocess: Any = base_subprocess
_constants: Any = constants
_futures: Any = futures
_sslproto: Any = sslproto
_transports: Any = transports
_trsock: Any = trsock

LOST_WRITES_BEFORE_WARNING: int = _constants.LOG_THRESHOLD_FOR_CONNLOST_WRITES
SENDFILE_NATIVE: Any = _constants._SendfileMode.TRY_NATIVE  # noqa: SLF001

SSLProtocol: Any = _sslproto.SSLProtocol
StockServer: Any = _base.Server

check_not_tls: Callable[[socket.socket], None] = _base._check_ssl_socket  # noqa: SLF001
"""Raises TypeError for an `ssl.SSLSocket`: its handshake does not fit non-blocking calls."""
describe_handle: Callable[[asyncio.Handle], str] = _base._format_handle  # noqa: SLF001
set_result_unless_cancelled: Callable[[asyncio.Future[Any], Any], None] = _futures._set_result_unless_cancelled  # noqa: SLF001
transport_socket: Callable[[socket.socket], Any] = _trsock.TransportSocket
"""What ``get_extra_info("socket")`` returns: a socket without the calls that would disturb the transport."""

if TYPE_CHECKING:

    class BaseSubprocessTransport(asyncio.SubprocessTransport):
        """asyncio's as the type checkers should see it."""

        _proc: Any
        _returncode: int | None

        def __init__(self, *args: Any, **kwargs: Any) -> None: ...
        def _check_proc(self) -> None: ...
        def _process_exited(self, returncode: int) -> None: ...
        async def _wait(self) -> int: ...

    class FlowControlled(asyncio.Transport):
        """The mix-in as the type checkers should see it."""

        __slots__ = ("_high_water", "_loop", "_low_water", "_protocol_paused")

        _protocol_paused: bool
        _high_water: int
        _low_water: int

        def _maybe_pause_protocol(self) -> None: ...
        def _maybe_resume_protocol(self) -> None: ...

else:
    BaseSubprocessTransport = _base_subprocess.BaseSubprocessTransport
    FlowControlled = transports._FlowControlMixin  # noqa: SLF001

if sys.version_info >= (3, 13):

    def attach(server: Any, transport: asyncio.Transport) -> None:
        """Count the connection as one of the server's, for ``wait_closed`` and ``close_clients``."""
        server._attach(transport)  # noqa: SLF001

    def detach(server: Any, transport: asyncio.Transport) -> None:
        """The opposite of `attach`."""
        server._detach(transport)  # noqa: SLF001

else:

    def attach(server: Any, transport: asyncio.Transport) -> None:
        """Count the connection as one of the server's, for ``wait_closed``."""
        server._attach()  # noqa: SLF001

    def detach(server: Any, transport: asyncio.Transport) -> None:
        """The opposite of `attach`."""
        server._detach()  # noqa: SLF001
