"""Child processes: ``subprocess_exec`` and ``subprocess_shell``, on which `asyncio.create_subprocess_exec` stands.

On Linux the end of a child is one more descriptor in the poll: a pidfd is readable when its process has ended, and
names the same process for ever, which a number does not. Where there is none (macOS, kernels before 5.3, a sandbox) a
thread waits. Neither touches SIGCHLD, so other code's children are safe, and it works off the main thread as well.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import threading
from typing import TYPE_CHECKING, Any

from .endpoint import logger
from .pollers import READ
from .sendfile import SendFile
from .stdlib import BaseSubprocessTransport

if TYPE_CHECKING:
    from .core import Turn

UNKNOWN_RETURN_CODE = 255
"""asyncio's word for "somebody else has taken the child's status"."""


class Processes(SendFile):
    """The hook behind the ``subprocess_*`` calls, which check their arguments."""

    async def _make_subprocess_transport(
        self,
        protocol: asyncio.BaseProtocol,
        args: Any,
        shell: bool,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        bufsize: int,
        extra: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> ProcessTransport:
        waiter = self.create_future()
        transport = ProcessTransport(
            self, protocol, args, shell, stdin, stdout, stderr, bufsize, waiter=waiter, extra=extra, **kwargs
        )
        watch_for_exit(self, transport)
        try:
            await waiter
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            transport.close()
            await transport._wait()  # noqa: SLF001 - see stdlib.py
            raise
        return transport


class ProcessTransport(BaseSubprocessTransport):
    """asyncio's subprocess transport over our pipes."""

    def _start(self, args: Any, shell: bool, stdin: Any, stdout: Any, stderr: Any, bufsize: int, **kwargs: Any) -> None:
        self._proc = subprocess.Popen(  # noqa: S603 - the command is the caller's
            args, shell=shell, stdin=stdin, stdout=stdout, stderr=stderr, bufsize=bufsize, **kwargs
        )

    def send_signal(self, signal: int) -> None:
        """Send it, unless the process has ended: its number may be another's by now.

        Raises:
            ProcessLookupError: the transport is closed.
        """
        self._check_proc()
        if self._proc.returncode is None:
            try:
                os.kill(self._proc.pid, signal)
            except ProcessLookupError:
                pass  # it has ended, and we shall hear of it

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def reap(self, flags: int) -> bool:
        """Take the ended child's status, if nobody has, and pass it on. False when it still runs."""
        process = self._proc
        if process is None or self._returncode is not None:
            return True
        returncode: int | None = process.returncode
        if returncode is None:  # else Popen has met the end itself, in a poll()
            try:
                pid, status = os.waitpid(process.pid, flags)
            except ChildProcessError:
                returncode = UNKNOWN_RETURN_CODE
                logger.warning("Unknown child process pid %d, will report returncode %d", process.pid, returncode)
            else:
                if pid == 0:
                    return False
                returncode = os.waitstatus_to_exitcode(status)
        self._process_exited(returncode)
        return True


def watch_for_exit(loop: Turn, transport: ProcessTransport) -> None:
    """See to it that `ProcessTransport.reap` is called on the loop's thread when the process has ended."""
    pid = transport.get_pid()
    assert pid is not None
    if hasattr(os, "pidfd_open"):
        try:
            PidfdWatcher(loop, os.pidfd_open(pid), transport)
            return
        except OSError as exc:
            if exc.errno == errno.ESRCH:  # ended, and taken by somebody else
                loop.call_soon(transport.reap, os.WNOHANG)
                return
    threading.Thread(
        target=_wait_in_thread, args=(loop, pid, transport), name=f"hardpoint-child-{pid}", daemon=True
    ).start()


class PidfdWatcher:
    """The watcher of one child's pidfd, which it owns."""

    __slots__ = ("_fd", "_loop", "_transport")

    def __init__(self, loop: Turn, pidfd: int, transport: ProcessTransport) -> None:
        """Watch.

        Raises:
            OSError: the poller does not take it; it is closed.
        """
        self._loop = loop
        self._fd = pidfd
        self._transport = transport
        loop.set_interest(pidfd, 0, READ)
        loop.watch(pidfd, self)

    def on_readable(self) -> None:
        """The process has ended."""
        if self._transport.reap(os.WNOHANG):
            self._loop.set_interest(self._fd, READ, 0)
            self._loop.unwatch(self._fd, self)

    def on_writable(self) -> None:
        """Never asked for."""

    def __del__(self) -> None:
        os.close(self._fd)


def _wait_in_thread(loop: Turn, pid: int, transport: ProcessTransport) -> None:
    """Wait for the end without a pidfd. Only looks where it can: the status is taken on the loop's thread."""
    if hasattr(os, "waitid"):
        try:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            pass  # taken by somebody else: `reap` says so
        exited: tuple[Any, ...] = (transport.reap, 0)
    else:  # macOS before Python 3.13
        try:
            _, status = os.waitpid(pid, 0)
            exited = (_pass_on, transport, os.waitstatus_to_exitcode(status))
        except ChildProcessError:
            exited = (transport.reap, os.WNOHANG)
    try:
        loop.call_soon_threadsafe(*exited)
    except RuntimeError:
        logger.warning("Loop %r that handles pid %r is closed", loop, pid)


def _pass_on(transport: ProcessTransport, returncode: int) -> None:
    if transport.get_returncode() is None:
        transport._process_exited(returncode)  # noqa: SLF001 - see stdlib.py
