"""What is handed over: devices to owners, unknown ones to whoever adopts them, packages of firmware to devices."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar


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


@dataclass(slots=True)
class UnknownDevice:
    """Who has named itself at an address and waits to be adopted, or is ignored (1). ``frames`` are the first that were
    refused of it, as the wire tap describes them. ``last_ms`` and ``tries`` are as of some time ago (`hub.adoption`).
    """

    KEY: ClassVar[tuple[str, ...]] = ("id",)

    id: int
    name: str
    address: str
    dialect: str
    first_ms: int
    last_ms: int
    tries: int
    ignored: int = 0
    frames: list[dict[str, Any]] = field(default_factory=list)
