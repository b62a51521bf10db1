"""The certificates that listeners show: loaded, looked at, chosen by server name, and loaded anew when files change.

A handshake takes `Certificates.context`, whatever it is at that moment; connections that are open keep what they began
with. So loading anew is one assignment, made only when everything new could be loaded.
"""

from __future__ import annotations

import hashlib
import logging
import ssl
import time
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError
from .authority import CA_FILE, CERT_FILE, KEY_FILE
from .peer import common_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..config import Tls

logger = logging.getLogger("hardpoint.tls")

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"
"""Below TLS 1.3: forward secrecy and authenticated encryption only, as Mozilla's "intermediate" list without DHE."""
ALPN = ["http/1.1", "mqtt"]
"""RFC 7301. A client that offers others and none of these goes on without one."""
NO_CHECK_TIME = 0x200000
"""OpenSSL's ``X509_V_FLAG_NO_CHECK_TIME``, which `ssl.VerifyFlags` does not name."""
RENEW_BEFORE_S = 30 * 86_400.0
"""From then on a certificate that nears its end is warned of, and one of our own is renewed."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What there is to say of a certificate that is shown. Times are seconds since 1970."""

    path: Path
    common_name: str
    names: tuple[str, ...]
    """DNS names (perhaps ``*.…``) and addresses it is good for."""
    not_before_s: float
    not_after_s: float
    fingerprint: str
    """SHA-256 of the whole certificate, as ``AB:CD:…``: what a person compares by hand, and openssl prints."""

    def days_left(self, now_s: float) -> int:
        """Whole days until it ends; below 0 it has."""
        return int((self.not_after_s - now_s) // 86_400)

    def names_host(self, name: str) -> bool:
        """Whether it is good for a server name: exactly, or by a ``*`` for its first label (RFC 9525 §6.3)."""
        name = name.lower().rstrip(".")
        return any(
            known.lower() == name
            or (known.startswith("*.") and known[2:].lower() == name.partition(".")[2] and "." in name)
            for known in self.names
        )


class Certificates:
    """Those of one server. `load` before the first handshake."""

    context: ssl.SSLContext
    """For the next handshake."""

    def __init__(self, settings: Tls, folder: Path) -> None:
        """``folder`` is where the certificate of our own is: without ``settings.cert`` that one is shown."""
        self.settings = settings
        self.folder = folder
        self.shown: tuple[Certificate, ...] = ()
        """The first one is for clients that name no server, or one that no other certificate has."""
        self._stamps: object = None

    @property
    def is_own(self) -> bool:
        """Whether the first certificate is signed by our own authority."""
        return self.settings.cert is None

    @property
    def ca_path(self) -> Path | None:
        """What clients are to be told to trust, where the certificate is our own."""
        return self.folder / CA_FILE if self.is_own else None

    def load(self) -> None:
        """Load everything, or change nothing.

        Raises:
            ConfigError: a file is missing, is no certificate, or its key is another's; the message names it.
        """
        stamps = self._look()
        made = [self._make(*pair) for pair in self._pairs()]
        first, others = made[0], made[1:]
        if others:
            _choose_by_name(first, others)
        self.context = first[0]
        self.shown = tuple(certificate for _, certificate in made)
        self._stamps = stamps

    def reload(self) -> bool:
        """`load` once a file has changed. What cannot be loaded is said, once, and the old goes on: certbot replaces
        the certificate and then its key, and between the two they do not fit. Returns whether something was loaded.
        """
        stamps = self._look()
        if stamps == self._stamps:
            return False
        try:
            self.load()
        except ConfigError as error:
            self._stamps = stamps
            logger.warning("certificates not reloaded, the old ones go on: %s", error.message)
            return False
        logger.warning("certificates reloaded: %s", ", ".join(describe(each) for each in self.shown))
        return True

    def use(self, settings: Tls) -> None:
        """Go on with other settings.

        Raises:
            ConfigError: they cannot be used; nothing has changed.
        """
        before, self.settings = self.settings, settings
        try:
            self.load()
        except ConfigError:
            self.settings = before
            raise

    def needs_renewal(self, now_s: float | None = None) -> bool:
        """Whether the certificate of our own nears its end."""
        now_s = time.time() if now_s is None else now_s
        return self.is_own and self.shown[0].not_after_s - now_s < RENEW_BEFORE_S

    def ending(self, now_s: float | None = None) -> Sequence[Certificate]:
        """Those that end soon, or have ended."""
        now_s = time.time() if now_s is None else now_s
        return [each for each in self.shown if each.not_after_s - now_s < RENEW_BEFORE_S]

    def _pairs(self) -> Iterable[tuple[Path, Path]]:
        """Certificate and key of each; one file may be both."""
        cert, key = self.settings.cert, self.settings.key
        if cert is None:
            yield self.folder / CERT_FILE, self.folder / KEY_FILE
        else:
            yield cert, key or cert
        for path in self.settings.more:
            # A folder is what certbot keeps for each name, under /etc/letsencrypt/live.
            yield (path / "fullchain.pem", path / "privkey.pem") if path.is_dir() else (path, path)

    def _look(self) -> object:
        """What tells whether a file was changed or replaced. A missing one is a change as well."""
        paths = {path for pair in self._pairs() for path in pair} | {self.settings.client_ca}
        return {path: _stamp(path) for path in paths if path is not None}

    def _make(self, cert: Path, key: Path) -> tuple[ssl.SSLContext, Certificate]:
        settings = self.settings
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3 if settings.min_version == "1.3" else ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CIPHERS)
        context.set_alpn_protocols(ALPN)
        # A client could make us do the costly half of a handshake as often as it likes, and writes would have to wait.
        context.options |= ssl.OP_NO_RENEGOTIATION
        asked: list[str] = []

        def pass_phrase() -> str:  # without it, OpenSSL would ask at the terminal
            asked.append("")
            return asked[0]

        try:
            context.load_cert_chain(cert, key, password=pass_phrase)
            pem = cert.read_text("ascii")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            why = f"the key in {key} is locked by a pass phrase, which nobody could type when the server starts"
            raise ConfigError(why if asked else _why(error, cert, key)) from error
        if settings.client_ca is not None:
            try:
                context.load_verify_locations(settings.client_ca)
            except OSError as error:
                raise ConfigError(f"tls.client_ca: {settings.client_ca}: {_reason(error)}") from error
            # Not required: a device without one still has its token, and a browser its password.
            context.verify_mode = ssl.CERT_OPTIONAL
        return context, inspect(context, cert, pem)


def inspect(context: ssl.SSLContext, path: Path, pem: str) -> Certificate:
    """Shake hands with ourselves, in memory: what a client would learn of the certificate, by the standard library
    alone. It is also the proof that this certificate and key work.

    Raises:
        ConfigError: no client could use it: it is not for servers, or its chain is not in order.
    """
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    # Whoever signed it, and even when it has ended: that is for real clients to judge.
    client_context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(NO_CHECK_TIME)
    client_context.load_verify_locations(cadata=pem)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    try:
        for end in (client, server, client, server):  # hello, hello and certificate, finished, finished
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
        found = client.getpeercert()
        der = client.getpeercert(binary_form=True)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(f"{path}: no client can use this certificate: {_reason(error)}") from error
    assert found is not None
    assert der is not None
    digest = hashlib.sha256(der).hexdigest().upper()
    return Certificate(
        path=path,
        common_name=common_name(found),
        names=tuple(_name(str(entry[0]), str(entry[1])) for entry in found.get("subjectAltName", ())),
        not_before_s=ssl.cert_time_to_seconds(str(found["notBefore"])),
        not_after_s=ssl.cert_time_to_seconds(str(found["notAfter"])),
        fingerprint=":".join(digest[at : at + 2] for at in range(0, len(digest), 2)),
    )


def _name(kind: str, value: str) -> str:
    """A subject alternative name. OpenSSL writes addresses at full length: ``0:0:0:0:0:0:0:1``."""
    return str(ip_address(value.strip())) if kind == "IP Address" else value


def describe(certificate: Certificate) -> str:
    """A line for the log."""
    until = time.strftime("%Y-%m-%d", time.gmtime(certificate.not_after_s))
    return f"{certificate.path} for {certificate.common_name or certificate.names[:1]}, until {until}"


def _choose_by_name(
    first: tuple[ssl.SSLContext, Certificate], others: Sequence[tuple[ssl.SSLContext, Certificate]]
) -> None:
    """Have the first context answer with another's certificate when the client names a server that one is for."""

    def choose(connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        if name is not None and not first[1].names_host(name):
            for context, certificate in others:
                if certificate.names_host(name):
                    connection.context = context
                    return

    first[0].sni_callback = choose


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()  # through symbolic links: certbot moves those
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _why(error: Exception, cert: Path, key: Path) -> str:
    if isinstance(error, ssl.SSLError):
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"the key in {key} is not that of the certificate in {cert}"
        return f"{cert} and {key} hold no certificate and key in PEM that can be used: {_reason(error)}"
    if isinstance(error, OSError):
        missing = next((path for path in (cert, key) if _stamp(path) is None), key)
        return f"cannot read {missing}: {error.strerror or error}"
    return f"{cert} is not PEM"


def _reason(error: Exception) -> str:
    """OpenSSL's words without its file names and numbers."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)
