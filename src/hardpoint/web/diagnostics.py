"""The diagnostics bundle: all that helps to find a fault, in one file that may be given away.

``hardpoint bugreport`` and the system page make the same one. It is built of parts that hold no secret in the first
place; that some text holds one all the same (an error that quotes an address, a line of a plug-in's) is what `redact`
is for.
"""

from __future__ import annotations

import io
import re
import tarfile
import time
import zlib
from typing import TYPE_CHECKING, Any

import msgspec

from ..config import settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ..config import Config
    from ..hub.outbox import Outbox

MEDIA_TYPE = "application/gzip"
MAX_BYTES = 64 * 2**20
"""Of what a bundle is unpacked to: a log has 4 MB at most, and everything else together less than one."""
MIN_SECRET_LENGTH = 4
"""Of a channel's secret that is looked for as it is: a shorter one is part of half of all words."""
LEFT_OUT = "[left out]"

_SECRET = re.compile(
    rb"hp[as]?_[0-9A-Za-z]{8,}"  # tokens of every kind, also one that was cut
    rb"|(?<=/api/v1/)[^/\s\"]+(?=/)"  # where ThingsBoard's paths have one, whatever it looks like
    rb"|(?<=/welcome#)[\w-]+"  # the one-time sign-in link
    rb"|(?<=://)[^/@\s\"]+@"  # who signs in where, within a URL
    rb"|(?i:(?<=bearer )|(?<=basic )|(?<=password=)|(?<=token=)|(?<=secret=))[^\s\"&]+"
)
NAMING_SETTINGS = frozenset({"retention.rules", "bridge.topics_out", "bridge.topics_in", "bridge.client_id", "mount"})
"""Settings whose text may name devices or say what they measure."""

ABOUT = """\
What is in this file, for whoever looks for a fault:

about.json     versions and the machine
health.json    readiness of every part
system.json    counters and the process
metrics.txt    every metric, as /metrics gives it
settings.json  every setting, its value and where it came from; secrets lie in files of their own and are not here
log.txt        the last lines of the log
doctor.json    what 'hardpoint doctor' finds on the machine

A part that is missing could not be had: no server answered. Nowhere is a token, a password or a reading. {names}
"""
NAMES_SHOWN = "Names of devices may be in the log and in settings: look through them, or leave them out (--hide-names)."
NAMES_HIDDEN = "Names of devices are left out, and with them all text in the log that came from outside."


def redact(text: bytes, known: Iterable[str] = ()) -> bytes:
    """The text without what looks like a secret, and without these ``known`` ones, as they are or as JSON has them."""
    for secret in sorted(known, key=len, reverse=True):
        for form in (secret.encode("utf-8", "surrogatepass"), msgspec.json.encode(secret)[1:-1]):
            text = text.replace(form, LEFT_OUT.encode())
    return _SECRET.sub(LEFT_OUT.encode(), text)


def secrets_of(outbox: Outbox) -> set[str]:
    """What the channels' senders keep to themselves, and their addresses: a webhook's URL is often all it asks for."""
    found: set[str] = set()
    for channel in outbox.channels.values():
        kept = outbox.sender(channel.kind).secret
        for name, value in channel.settings.items():
            found.update(text for text in _texts(value) if name in kept or "://" in text)
    return {text for text in found if len(text) >= MIN_SECRET_LENGTH}


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each)


def about(health: Mapping[str, Any], process: Mapping[str, Any]) -> bytes:
    """``about.json``."""
    return as_json({"version": health["version"], **{name: process[name] for name in ("python", "sqlite", "platform")}})


def settings_part(listed: Mapping[str, Mapping[str, Any]], *, hide_names: bool) -> bytes:
    """``settings.json``: of what `Config.listed` gives."""
    hidden = NAMING_SETTINGS if hide_names else frozenset()
    return as_json(
        {
            path: {**each, "value": LEFT_OUT} if path in hidden and each["value"] else each
            for path, each in listed.items()
        }
    )


def readme(*, hide_names: bool) -> bytes:
    """``README.txt``."""
    return ABOUT.format(names=NAMES_HIDDEN if hide_names else NAMES_SHOWN).encode()


def as_json(document: object) -> bytes:
    """For a person to read; what JSON has no word for (a path, a listener's URL) as text."""
    return msgspec.json.format(msgspec.json.encode(document, enc_hook=str), indent=2) + b"\n"


def file_name(now_s: float) -> str:
    """``hardpoint-20261123T164500Z.tar.gz``."""
    return f"hardpoint-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now_s))}.tar.gz"


def pack(parts: Mapping[str, bytes], now_s: float, known: Iterable[str] = ()) -> bytes:
    """The bundle: each part redacted, all in one folder that is named as the file."""
    folder = file_name(now_s).removesuffix(".tar.gz")
    known = tuple(known)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as bundle:
        for name, content in parts.items():
            clean = redact(content, known)
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mtime, entry.mode = len(clean), int(now_s), 0o600
            bundle.addfile(entry, io.BytesIO(clean))
    return packed.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """The parts of a bundle by their names.

    Raises:
        ValueError: it is none.
    """
    parts = {}
    left = MAX_BYTES
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as bundle:
            for entry in bundle:
                left -= entry.size
                file = bundle.extractfile(entry) if entry.isreg() and left >= 0 else None
                if file is None:
                    raise ValueError("not a diagnostics bundle")
                parts[entry.name.partition("/")[2]] = file.read()
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise ValueError(f"not a diagnostics bundle: {error}") from error
    return parts


def listed_settings(config: Config) -> dict[str, dict[str, Any]]:
    """Every setting by its path: ``{"value", "from"}``."""
    return {path: {"value": config.value(path), "from": str(config.origin(path))} for path in sorted(settings())}
