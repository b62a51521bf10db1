"""The server's end of a TLS connection, on top of another stream transport, of any loop, by asyncio's public interface.

Why not asyncio's own ``SSLProtocol``: it keeps a buffer of 256 KiB a connection, which for 10,000 devices that say
nothing is 2.5 GB; it drops the answers to a client that has sent its close_notify, as ``printf … | ncat --ssl`` does
(allowed since TLS 1.3, RFC 8446 §6.1); and it cannot begin with bytes that were read before it was known that they are
TLS. OpenSSL does the work in both (`ssl.SSLObject` on two `ssl.MemoryBIO`); what is here moves bytes between three:

- *lower*, the transport that carries records; we are its protocol,
- the two BIOs and the `SSLObject` between them,
- the protocol above, made when the handshake is done; we are its transport.

What is written is encrypted at once and waits, if it must, in the lower transport. So there is one buffer in each
direction, and the lower transport's water marks hold.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HANDSHAKE_S = 10.0
"""From the first byte to the end of the handshake. A microcontroller without an accelerator needs two or three seconds
for its part of the arithmetic; nginx and asyncio wait 60."""
RECORD_BYTES = 16 * 1024
"""What one record holds at most (RFC 8446 §5.1), and one ``SSL_read`` gives."""


class TlsTransport(asyncio.Protocol, asyncio.Transport):
    """One connection; ``opened`` makes the protocol above it once the handshake is done.

    ``connection_made`` follows at once, then ``data_received`` with what came behind the handshake. A handshake that
    fails or takes longer than ``timeout_s`` closes the connection and is told to ``failed``, once, with the reason:
    an `ssl.SSLError`, a `TimeoutError`, or what the connection was lost by.

    At the end of the stream the protocol decides, by what ``eof_received`` returns, whether it still writes. Without a
    close_notify that end is not to be trusted: anybody on the way can cut a connection, and what was cut may still look
    whole (RFC 8446 §6.1). ``get_extra_info("truncated")`` is true then.
    """

    __slots__ = (
        "_at_end",
        "_closing",
        "_failed",
        "_goodbye_sent",
        "_incoming",
        "_lower",
        "_opened",
        "_outgoing",
        "_protocol",
        "_reading_paused",
        "_ssl",
        "_timer",
        "_truncated",
    )

    def __init__(
        self,
        lower: asyncio.Transport,
        context: ssl.SSLContext,
        opened: Callable[[TlsTransport], asyncio.BaseProtocol],
        failed: Callable[[BaseException], None],
        *,
        timeout_s: float = HANDSHAKE_S,
    ) -> None:
        """`start` must follow. ``super().__init__`` is not called: it would make a dictionary a connection."""
        self._lower = lower
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._opened: Callable[[TlsTransport], asyncio.BaseProtocol] | None = opened
        self._failed: Callable[[BaseException], None] | None = failed
        self._protocol: Any = None
        self._reading_paused = False
        self._at_end = False  # nothing more will come, by a close_notify or without
        self._truncated = False
        self._goodbye_sent = False
        self._closing = False
        self._timer = asyncio.get_running_loop().call_later(timeout_s, self._time_out)

    def start(self, received: bytes) -> None:
        """Take over the lower transport, which must not be paused, and begin with what was read from it already."""
        self._lower.set_protocol(self)
        self.data_received(received)

    # ---- As the lower transport's protocol

    def data_received(self, data: bytes) -> None:
        """Records, or pieces of them."""
        if self._at_end or self._closing:
            return
        self._incoming.write(data)
        if self._protocol is not None or self._shake_hands():
            self._read()

    def _shake_hands(self) -> bool:
        """Go on with the handshake. True: it is done, and the protocol above is connected."""
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as error:
            self._flush()  # the alert that tells the peer
            self._refuse(error)
            self._lower.close()
            return False
        self._flush()
        self._timer.cancel()
        opened, self._opened, self._failed = self._opened, None, None  # they hold what is needed no more
        assert opened is not None
        protocol: Any = opened(self)
        self._protocol = protocol
        protocol.connection_made(self)
        return True

    def _read(self) -> None:
        """Hand on what can be decrypted, until there is no more or the protocol wants no more."""
        incoming, connection = self._incoming, self._ssl
        # Asked before: the exception for "nothing there" costs more than decrypting a line.
        while (incoming.pending or connection.pending()) and not (self._reading_paused or self._closing):
            try:
                data = connection.read(RECORD_BYTES)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:  # the same as no data, behind our own close_notify
                data = b""
            except ssl.SSLError:
                self._break()
                return
            if not data:
                self._end_of_data()
                return
            self._protocol.data_received(data)
        self._flush()  # OpenSSL answers a key update by itself

    def _break(self) -> None:
        """What came is no TLS, or was tampered with. After our own goodbye it is of no interest."""
        if not self._goodbye_sent:
            self._flush()  # the alert
            self._closing = True
            self._lower.close()

    def _end_of_data(self) -> None:
        """The peer's close_notify, or the end of the stream below without one."""
        self._at_end = True
        if not self._protocol.eof_received():
            self.close()

    def eof_received(self) -> bool:
        """The stream has ended below: behind a close_notify, or, as ``ncat --ssl`` and many a device do, without."""
        if not self._at_end and self._protocol is not None:
            self._truncated = True
            self._end_of_data()
        return self._at_end and not self._closing

    def pause_writing(self) -> None:
        """The peer does not take what is written."""
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """It does again."""
        if self._protocol is not None:
            self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The lower connection is gone."""
        self._timer.cancel()
        self._closing = True
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connection_lost(exc)
        else:
            self._refuse(exc or ConnectionResetError("the client closed the connection"))

    def _time_out(self) -> None:
        self._refuse(TimeoutError("the handshake was not finished in time"))
        self.abort()

    def _refuse(self, error: BaseException) -> None:
        self._closing = True
        self._timer.cancel()
        failed, self._failed, self._opened = self._failed, None, None
        if failed is not None:
            failed(error)

    # ---- As the transport of the protocol above

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send.

        Raises:
            TypeError: not bytes-like.
            RuntimeError: after `write_eof`.
        """
        if self._closing:
            return
        if self._goodbye_sent:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not data:
            return
        try:
            sent = self._ssl.write(data)
            if sent != len(data):  # one record was written; the rest is more of them
                rest = memoryview(data).cast("B")
                while sent < len(rest):
                    sent += self._ssl.write(rest[sent:])
        except ssl.SSLError:  # the connection is broken: it has failed to read already
            self._lower.abort()
            return
        self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._lower.write(self._outgoing.read())

    def can_write_eof(self) -> bool:
        """Always: a close_notify, and the end of the stream below."""
        return True

    def write_eof(self) -> None:
        """End our half; what still comes is handed on."""
        if not (self._closing or self._goodbye_sent):
            self._say_goodbye()
            if self._lower.can_write_eof():
                self._lower.write_eof()

    def _say_goodbye(self) -> None:
        """Send close_notify. Nobody waits for the peer's: RFC 8446 §6.1 does not ask it, and one that vanished would
        be waited for long.
        """
        if not self._goodbye_sent:
            self._goodbye_sent = True
            try:
                self._ssl.unwrap()
            except ssl.SSLError:
                pass  # the peer's has not come, or data stands before it
            self._flush()

    def close(self) -> None:
        """Read no more, send what waits and a close_notify, then close."""
        if self._closing:
            return
        if self._protocol is None:
            self.abort()
            return
        self._say_goodbye()
        self._closing = True
        self._lower.close()

    def abort(self) -> None:
        """Close now; what waits is dropped."""
        self._closing = True
        self._lower.abort()

    def is_closing(self) -> bool:
        """Whether `close` or `abort` was called, or the connection has failed."""
        return self._closing or self._lower.is_closing()

    def pause_reading(self) -> None:
        """Call ``data_received`` no more until `resume_reading`."""
        if not (self._reading_paused or self.is_closing()):
            self._reading_paused = True
            self._lower.pause_reading()

    def resume_reading(self) -> None:
        """Go on reading, in a later turn with what is here already."""
        if self._reading_paused and not self.is_closing():
            self._reading_paused = False
            self._lower.resume_reading()
            if self._incoming.pending or self._ssl.pending():
                asyncio.get_running_loop().call_soon(self._read_on)

    def _read_on(self) -> None:
        if self._protocol is not None:
            self._read()

    def is_reading(self) -> bool:
        """Neither paused nor closing."""
        return not (self._reading_paused or self.is_closing())

    def get_write_buffer_size(self) -> int:
        """Encrypted bytes that wait for the kernel to have room."""
        return self._lower.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """``(low, high)`` in bytes."""
        return self._lower.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Those of the lower transport, which count encrypted bytes."""
        self._lower.set_write_buffer_limits(high, low)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Whom to call from now on; its ``connection_made`` is not called."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who is called now; None before the handshake is done and after ``connection_lost``."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """``ssl_object``, ``sslcontext``, ``peercert`` (`ssl.SSLSocket.getpeercert`), ``cipher`` and ``truncated``; all
        else is asked of the lower transport.
        """
        if name == "truncated":
            return self._truncated
        if name == "ssl_object":
            return self._ssl
        if name == "sslcontext":
            return self._ssl.context
        if name == "peercert":
            return self._ssl.getpeercert() or default
        if name == "cipher":
            return self._ssl.cipher()
        return self._lower.get_extra_info(name, default)

    def __repr__(self) -> str:
        state = "closing" if self.is_closing() else "shaking hands" if self._protocol is None else "open"
        return f"<{type(self).__name__} {state} over {self._lower!r}>"
