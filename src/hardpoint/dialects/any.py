"""Listeners on which the first bytes decide: ``any://``, where every language is spoken, plainly or over TLS, and
``lines://``, ``https://`` and the like, where TLS comes first.

A connection is a `Newcomer` until it is known what it speaks; then the protocol of that dialect takes its place on the
transport and gets the bytes that came. Over TLS this happens twice: `tls.transport` lies between, and inside it the
first bytes decide anew, unless only one language is spoken there.

A client of ``any://`` that says nothing for `SILENCE_S` is greeted as a line client, and is one from then on: bytes of
the greeting have left, behind which no other language could begin. One that has begun to say something is waited for.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Mapping, Sized
from typing import TYPE_CHECKING, cast

from ..http import HttpServer, Response
from ..rarely import Rarely
from ..tls.transport import HANDSHAKE_S, TlsTransport
from ..wire.opening import BLYNK, DENIED_TLS, HTTP, LANGUAGES, LINE, REFUSED_TLS, TLS, opening

if TYPE_CHECKING:
    from ..arrivals import Dialect
    from ..http import Request
    from ..tls.certificates import Certificates

logger = logging.getLogger("hardpoint.listeners")

SILENCE_S = 0.3
"""SPEC §1. A client that speaks first has its first bytes right behind the handshake of TCP."""
OPENING_S = 10.0
"""How long the first bytes may take to tell what they are; as long as a head of HTTP."""
MAX_NEWCOMERS = 2_000
"""Connections that are not known yet, or shake hands; one more is cut. An attached device has shown its token, of these
nobody has shown anything, and one that shakes hands holds 50 KB.
"""

_BLYNK_NOT_ALLOWED = 6


class Doorway:
    """The factory of such a listener."""

    def __init__(
        self,
        plain: Mapping[str, Dialect],
        secure: Mapping[str, Dialect],
        certificates: Certificates | None,
        *,
        silence_s: float = SILENCE_S,
        opening_s: float = OPENING_S,
        handshake_s: float = HANDSHAKE_S,
        max_newcomers: int = MAX_NEWCOMERS,
    ) -> None:
        """``plain`` and ``secure`` say by language (`wire.opening`) who speaks it, without TLS and over it. Without
        certificates TLS is refused.
        """
        self.plain = plain
        self.secure = secure
        self.certificates = certificates
        self.silence_s = silence_s
        self.opening_s = opening_s
        self.handshake_s = handshake_s
        self.max_newcomers = max_newcomers
        self.newcomers: set[Newcomer] = set()
        self.handshakes = Counter[str]()
        """TLS handshakes by how they ended: ``done``, or OpenSSL's reason."""
        self.refused = Counter[str]()
        """Connections that were not let in, by the language they spoke, or ``silent``, or ``no-room``."""
        self.rarely = Rarely(logger)
        self.draining = False

    def __call__(self) -> Newcomer:
        """The protocol of a new connection."""
        return Newcomer(self, secure=False)

    def refusing(self, message: str) -> asyncio.Protocol:
        """The protocol of a connection that is not let in. It is told so in the language of its first bytes, where they
        come within `SILENCE_S`; over TLS by an alert, for a handshake is more than it is worth.
        """
        return Newcomer(self, secure=False, refusal=message)

    @property
    def connections(self) -> Sized:
        """Newcomers, and the open connections of whoever may get them: these count on every listener of theirs."""
        return _Together(self.newcomers, *(each.connections for each in self.secure.values()))

    async def drain(self, timeout_s: float) -> None:
        """Cut whoever has not said yet what they speak; the others are drained by those who speak with them."""
        self.draining = True
        for newcomer in list(self.newcomers):
            newcomer.abort()
        for each in self.plain.values():
            if isinstance(each, _TlsHere):
                await each.drain(timeout_s)


class Newcomer(asyncio.Protocol):
    """One connection until it is known what it speaks."""

    __slots__ = ("_doorway", "_held", "_peer", "_refusal", "_secure", "_speakers", "_timer", "_transport")

    def __init__(self, doorway: Doorway, *, secure: bool, refusal: str = "") -> None:
        """``secure``: inside TLS. With a ``refusal`` it is not let in, and told so."""
        self._doorway = doorway
        self._secure = secure
        self._refusal = refusal
        self._speakers = doorway.secure if secure else doorway.plain
        self._held = b""
        self._peer = "somebody"
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for bytes; for how long depends on whether silence says something here."""
        doorway = self._doorway
        # Asked now: the kernel forgets it with a reset, and who refuses a certificate mostly sends one behind its
        # alert.
        name = transport.get_extra_info("peername")
        if isinstance(name, tuple):
            self._peer = str(name[0])
        self._transport = cast("asyncio.Transport", transport)
        if len(doorway.newcomers) >= doorway.max_newcomers or doorway.draining:
            doorway.refused["no-room"] += 1
            self._transport.abort()
            return
        doorway.newcomers.add(self)
        self._wait(doorway.silence_s if self._refusal or LINE in self._speakers else doorway.opening_s)

    def data_received(self, data: bytes) -> None:
        """Decide, or wait for more: so little can be undecided that it needs no limit of its own."""
        first = not self._held
        self._held += data
        language = opening(self._held)
        if language is not None:
            self._decide(language)
        elif first and not self._refusal:
            self._wait(self._doorway.opening_s)

    def eof_received(self) -> bool:
        """No more will come: what is there is a line without an end, or nothing."""
        if not self._held or LINE not in self._speakers:
            return False
        protocol = self._hand_over(self._speakers[LINE])
        return bool(protocol.eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._leave()

    def abort(self) -> None:
        """Cut the connection."""
        self._leave()
        if self._transport is not None:
            self._transport.abort()

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._time_out)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _leave(self) -> None:
        self._stop_waiting()
        self._doorway.newcomers.discard(self)

    def _time_out(self) -> None:
        """Nothing came, or nothing that tells: where lines are spoken, both are a way to begin."""
        if LINE in self._speakers:
            self._hand_over(self._speakers[LINE])
        else:
            self._doorway.refused["silent"] += 1
            self.abort()

    def _decide(self, language: str) -> None:
        doorway = self._doorway
        if language == TLS and self._refusal:
            self._leave()
            assert self._transport is not None
            self._transport.write(DENIED_TLS)
            self._transport.close()
        elif language == TLS and not self._secure and doorway.certificates is not None:
            self._shake_hands(doorway.certificates.context)
        elif language in self._speakers:
            self._hand_over(self._speakers[language])
        else:
            self._refuse(language)

    def _hand_over(self, factory: Dialect) -> asyncio.Protocol:
        """Put the dialect's protocol in our place, as if it had been there from the beginning."""
        self._leave()
        transport, held, self._held = self._transport, self._held, b""
        assert transport is not None
        protocol = factory.refusing(self._refusal) if self._refusal else factory()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if held and not transport.is_closing():  # closing: there was no room
            protocol.data_received(held)
        return protocol

    def _shake_hands(self, context: ssl.SSLContext) -> None:
        """Begin TLS. We stay a newcomer until it is done."""
        self._stop_waiting()
        assert self._transport is not None
        held, self._held = self._held, b""
        TlsTransport(self._transport, context, self._secured, self._failed, timeout_s=self._doorway.handshake_s).start(
            held
        )

    def _secured(self, transport: TlsTransport) -> asyncio.Protocol:
        """The handshake is done: who speaks inside?"""
        doorway = self._doorway
        self._leave()
        doorway.handshakes["done"] += 1
        if len(doorway.secure) > 1:
            return Newcomer(doorway, secure=True)
        (factory,) = doorway.secure.values()
        return factory()

    def _failed(self, error: BaseException) -> None:
        """The handshake was not done."""
        doorway = self._doorway
        peer = self._peer
        self._leave()
        reason = (error.reason or "unknown") if isinstance(error, ssl.SSLError) else type(error).__name__
        doorway.handshakes[reason.lower().replace("_", "-")] += 1
        logger.info("%s: no TLS: %s", peer, reason)
        if "ALERT_UNKNOWN_CA" in reason or "ALERT_BAD_CERTIFICATE" in reason or "ALERT_CERTIFICATE_UNKNOWN" in reason:
            certificates = doorway.certificates
            path = certificates.ca_path if certificates is not None else None
            doorway.rarely.warn(
                "%s does not trust the certificate it was shown: it needs %s",
                peer,
                path or "the authority that signed it",
            )
        elif "CERTIFICATE_VERIFY_FAILED" in reason:
            doorway.rarely.warn("%s: its client certificate is refused: %s", peer, getattr(error, "verify_message", ""))

    def _refuse(self, language: str) -> None:
        """Say so in its own language where that is possible, and close."""
        doorway, transport, held = self._doorway, self._transport, self._held
        assert transport is not None
        doorway.refused[language] += 1
        peer = self._peer
        if language == TLS and not self._secure:
            doorway.rarely.warn("%s tries TLS, and there is no certificate: 'hardpoint tls init' makes one", peer)
            transport.write(REFUSED_TLS)
        elif language == BLYNK:
            doorway.rarely.warn("%s speaks Blynk, which this version does not", peer)
            transport.write(b"\x00%b\x00%c" % (held[1:3], _BLYNK_NOT_ALLOWED))
        elif language == LINE:
            doorway.rarely.warn("%s speaks lines without TLS at a port that wants TLS", peer)
            transport.write(b"ERR bad-line this port speaks TLS\n")
        else:
            doorway.rarely.warn("%s speaks another dialect than this port does, or without TLS", peer)
        self._leave()
        transport.close()


def any_doorway(speakers: Mapping[str, Dialect], certificates: Certificates | None) -> Doorway:
    """For ``any://``: every language that somebody speaks, plainly and over TLS."""
    spoken = {language: speakers[language] for language in LANGUAGES if language in speakers}
    return Doorway(spoken, spoken, certificates)


def tls_doorway(language: str, factory: Dialect, certificates: Certificates) -> Doorway:
    """For a language over TLS. A browser that was given ``http://`` is told where to go."""
    return Doorway({HTTP: _TlsHere(language == HTTP)}, {language: factory}, certificates)


class _TlsHere(HttpServer):
    """Answers plain HTTP at a TLS port."""

    def __init__(self, is_http: bool) -> None:
        super().__init__(self._tell, keep_alive_s=OPENING_S)
        self._is_http = is_http

    def _tell(self, request: Request) -> Response:
        host = request.headers.get("host", "")
        path = request.head.target if request.head.target.startswith("/") else "/"
        where = f": https://{host}{path}" if self._is_http and host else "" if self._is_http else ", and no HTTP"
        return Response.text(f"This port speaks TLS{where}\n", status=400)


class _Together(Sized):
    """Several collections counted as one."""

    def __init__(self, *parts: Sized) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))
