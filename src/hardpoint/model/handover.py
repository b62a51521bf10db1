"""What is handed over: devices to their owners, packages of firmware to devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(slots=True)
class Claim:
    """A device's offer to be claimed by whoever knows the secret, of which this is the SHA-256 in hex."""

    KEY: ClassVar[tuple[str, ...]] = ("device_id",)

    device_id: str
    secret_hash: str
    until_ms: int


@dataclass(slots=True)
class Package:
    """Firmware (``kind`` is ``fw``) or other software (``sw``) that devices fetch; its file is named by ``sha256``."""

    KEY: ClassVar[tuple[str, ...]] = ("id",)

    id: str
    kind: str
    title: str
    version: str
    size: int
    sha256: str
    file_name: str
    content_type: str
    created_ms: int
