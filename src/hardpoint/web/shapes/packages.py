"""Packages of firmware."""

from __future__ import annotations

from msgspec import Struct

from .words import Ms


class StoredPackage(Struct):
    """A package: ``kind`` is ``fw`` (firmware) or ``sw`` (other software)."""

    id: str
    kind: str
    title: str
    version: str
    size: int
    sha256: str
    file_name: str
    content_type: str
    created: Ms


class PackageList(Struct):
    """All of them."""

    items: list[StoredPackage]


class Assigned(Struct, forbid_unknown_fields=True):
    """Which package a device is to have; null: none."""

    package: str | None
