"""The certificates of a running server: opened at its start, loaded anew when files change, renewed in time."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, HardpointError
from .authority import CA_FILE, CERT_FILE, make_authority, make_certificate, own_names
from .certificates import Certificates, describe

if TYPE_CHECKING:
    from pathlib import Path

    from ..config import Tls

logger = logging.getLogger("hardpoint.tls")

LOOK_S = 30.0
"""How often the files are looked at. A few `stat` calls; whoever cannot wait sends SIGHUP."""
REMIND_S = 86_400.0
"""How often a certificate that nears its end is spoken of."""


def open_certificates(settings: Tls, folder: Path) -> Certificates:
    """Load what is configured; where nothing is, the certificate of our own in ``folder``, which is made the first
    time. Reads, writes and computes for some tenths of a second: call it on a thread.

    Raises:
        ConfigError: a file cannot be used, or the package that makes certificates is not installed.
    """
    if settings.cert is None and not (folder / CERT_FILE).exists():
        if not (folder / CA_FILE).exists():
            make_authority(folder)
        names = own_names()
        make_certificate(folder, names)
        logger.info("made a certificate for %s in %s", ", ".join(names), folder)
    certificates = Certificates(settings, folder)
    certificates.load()
    return certificates


class CertificateWatch:
    """Looks after a server's certificates on its loop, from `start` to `stop`."""

    def __init__(self, certificates: Certificates, *, look_s: float = LOOK_S) -> None:
        self.certificates = certificates
        self._look_s = look_s
        self._timer: asyncio.TimerHandle | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._reminded_s = -REMIND_S

    @property
    def trust(self) -> str | None:
        """What clients need to trust the certificate, where it is the server's own."""
        path = self.certificates.ca_path
        return None if path is None else str(path)

    def start(self) -> None:
        """Look now, and every `LOOK_S`."""
        self.look()
        self._timer = asyncio.get_running_loop().call_later(self._look_s, self.start)

    async def stop(self) -> None:
        """Look no more. A renewal that is under way is waited for: it writes files."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._renewal is not None:
            await asyncio.wait({self._renewal})  # what it raised is said by the loop, and must not stop the stop

    def use(self, settings: Tls) -> Tls:
        """Go on with other settings, and read every file anew. Returns the settings in force: what cannot be used is
        said, and changes nothing.
        """
        try:
            self.certificates.use(settings)
        except ConfigError as error:
            logger.error("certificates not reloaded: %s", error.message)  # noqa: TRY400 - a person's slip
        return self.certificates.settings

    def describe(self) -> list[dict[str, Any]]:
        """What `/api/health` says of those that are shown; any client sees as much."""
        now_s = time.time()
        return [
            {
                "names": list(each.names),
                "fingerprint": each.fingerprint,
                "not_after": int(each.not_after_s * 1000),
                "days_left": each.days_left(now_s),
            }
            for each in self.certificates.shown
        ]

    def look(self) -> None:
        """Take over what has changed; renew, or speak of, what ends soon."""
        self.certificates.reload()
        if self.certificates.needs_renewal() and self._renewal is None:
            self._renewal = asyncio.get_running_loop().create_task(self._renew(), name="renew certificate")
        self._remind()

    def _remind(self) -> None:
        now = time.monotonic()
        ending = self.certificates.ending()
        if ending and now - self._reminded_s >= REMIND_S:
            self._reminded_s = now
            for each in ending:
                days = each.days_left(time.time())
                when = f"ends in {days} days" if days >= 0 else "has ended: clients refuse it"
                logger.warning("the certificate %s %s", describe(each), when)

    async def _renew(self) -> None:
        try:
            names = own_names(self.certificates.shown[0].names)
            await asyncio.to_thread(make_certificate, self.certificates.folder, names)
        except HardpointError as error:
            logger.error("the certificate could not be renewed: %s", error.message)  # noqa: TRY400 - no bug of ours
            return  # the task stays, so that this is tried and said once; the reminder goes on
        self._renewal = None
        self.certificates.reload()
