"""Packages of firmware (``fw``) and other software (``sw``) that devices fetch, as ThingsBoard's OTA updates have them.

Which one a device is to have is said by its shared attributes ``fw_title``, ``fw_version``, ``fw_size``,
``fw_checksum`` and ``fw_checksum_algorithm``: `assign` sets them, the device is told as of any shared attribute, and
may fetch what they name. How far it is, it says itself (telemetry ``fw_state``).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..errors import BadInput, Conflict, HardpointError, NotFound, StorageError, TooLarge
from ..model import MAX_NAME_LENGTH, Delete, Package, Put

if TYPE_CHECKING:
    from ..model import Json
    from .devices import DeviceState
    from .hub import Hub

KINDS = ("fw", "sw")
MAX_PACKAGES = 1_000
MAX_PACKAGE_BYTES = 64 * 2**20
"""The flash of the largest boards that are updated so is 16 MiB; a Linux module's image may be several times that."""
MAX_CHUNK_BYTES = 512 * 1024
"""What is read and sent as one piece: half of the largest MQTT packet by default."""


class Upload(Protocol):
    """A package's file that is being written."""

    size: int

    def write(self, data: bytes) -> None:
        """The next piece."""

    def finish(self) -> str:
        """Make it durable; its SHA-256. Blocks."""
        ...

    def abort(self) -> None:
        """Leave nothing behind, unless it is finished."""


class Files(Protocol):
    """Where what is in the packages is kept, by its SHA-256. The composition root knows a concrete one."""

    def begin(self) -> Upload:
        """A new one."""
        ...

    def path(self, sha256: str) -> Path:
        """The file."""
        ...

    def read(self, sha256: str, offset: int, size: int) -> bytes:
        """A part of it; blocks."""
        ...

    def remove(self, sha256: str) -> None:
        """Delete it; blocks."""


class Packages:
    """Every package, and which of them a device is to have."""

    def __init__(self, hub: Hub, files: Files) -> None:
        """Takes over what the store holds."""
        self._hub = hub
        self.files = files
        self._packages = {package.id: package for package in hub.store.load(Package)}
        self._filing = asyncio.Lock()  # a file that one package brings must not go with another of the same content

    def all(self) -> list[Package]:
        """By kind, title and version."""
        return sorted(self._packages.values(), key=lambda each: (each.kind, each.title, each.created_ms))

    def find(self, package_id: str) -> Package:
        """The one of that id.

        Raises:
            NotFound: there is none.
        """
        package = self._packages.get(package_id)
        if package is None:
            raise NotFound(f"there is no package {package_id[:80]!r}", field="package")
        return package

    def check_new(self, kind: str, title: str, version: str) -> None:
        """Whether there may be another one, called so.

        Raises:
            BadInput: it cannot be called that.
            Conflict: there is one of that title and version.
            TooLarge: there are too many.
        """
        if kind not in KINDS:
            raise BadInput(f"kind is one of {', '.join(KINDS)}", field="kind")
        for field, text in (("title", title), ("version", version)):
            if not 0 < len(text) <= MAX_NAME_LENGTH or not text.isprintable() or text != text.strip():
                raise BadInput(f"{field} has 1 to {MAX_NAME_LENGTH} visible characters", field=field)
        if self._named(kind, title, version) is not None:
            raise Conflict(f"there is a package {title} {version} already", field="version")
        if len(self._packages) >= MAX_PACKAGES:
            raise TooLarge(f"there are {MAX_PACKAGES} packages: remove old ones")

    async def keep(self, upload: Upload, package: Package) -> None:
        """Finish an upload, and `add` the package whose file it is; it is given its size and hash. Where that fails,
        nothing stays on disk. Whoever calls sees to it that it is not cancelled: a thread is at the file.

        Raises:
            BadInput, Conflict, TooLarge, StorageError: as `add`.
        """
        async with self._filing:
            try:
                package.sha256 = await asyncio.to_thread(upload.finish)
            finally:
                upload.abort()
            package.size = upload.size
            try:
                await self.add(package)
            except HardpointError:
                await self._drop_file(package.sha256)
                raise

    async def add(self, package: Package) -> None:
        """Keep a package whose file is stored already.

        Raises:
            BadInput, Conflict, TooLarge: as `check_new`, which may have been true when its upload began.
            StorageError: it could not be stored.
        """
        self.check_new(package.kind, package.title, package.version)
        self._packages[package.id] = package
        self._hub.commits.batch.changes.append(Put(package))
        try:
            await self._hub.commits.durable()
        except StorageError:
            del self._packages[package.id]
            raise

    async def remove(self, package: Package) -> None:
        """Forget a package, and its file if no other has the same. Devices that are to have it find it no more.

        Raises:
            NotFound: it was removed already.
            StorageError: it could not be done, and the package stays.
        """
        async with self._filing:
            self.find(package.id)
            self._hub.commits.batch.changes.append(Delete(package))
            await self._hub.commits.durable()
            del self._packages[package.id]
            await self._drop_file(package.sha256)

    def assign(self, device: DeviceState, kind: str, package: Package | None) -> None:
        """Say which package of a kind a device is to have; None: none. Durable with the next commit.

        Raises:
            BadInput: the package is of another kind.
            NotFound, TooLarge: as `Hub.set_attributes`.
        """
        if package is not None and package.kind != kind:
            raise BadInput(f"{package.id} is of the kind {package.kind}", field="package")
        attributes: dict[str, Json] = dict.fromkeys(
            ("title", "version", "tag", "size", "checksum", "checksum_algorithm")
        )
        if package is not None:
            attributes = {
                "title": package.title,
                "version": package.version,
                "tag": f"{package.title} {package.version}",
                "size": package.size,
                "checksum": package.sha256,
                "checksum_algorithm": "SHA256",
            }
        self._hub.set_attributes(device, "shared", {f"{kind}_{name}": value for name, value in attributes.items()})

    def assigned(self, device: DeviceState, kind: str) -> Package | None:
        """The package of that kind which the device is to have."""
        held = self._hub.attributes(device, "shared")
        return self._named(kind, held.get(f"{kind}_title"), held.get(f"{kind}_version"))

    async def chunk(self, package: Package, size: int, number: int) -> bytes:
        """The ``number``-th piece of ``size`` bytes, from 0; ``size`` 0 is all of it. Empty behind the end.

        Raises:
            TooLarge: of more than `MAX_CHUNK_BYTES`.
            NotFound: its file is gone.
        """
        size = size or package.size
        if size > MAX_CHUNK_BYTES:
            raise TooLarge(f"a chunk has at most {MAX_CHUNK_BYTES} bytes: ask for smaller ones")
        if number * size >= package.size:
            return b""
        return await self._hub.reads.run(lambda _: self.files.read(package.sha256, number * size, size))

    async def _drop_file(self, sha256: str) -> None:
        if not any(each.sha256 == sha256 for each in self._packages.values()):
            await self._hub.reads.run(lambda _: self.files.remove(sha256))

    def _named(self, kind: str, title: Json, version: Json) -> Package | None:
        for package in self._packages.values():
            if (package.kind, package.title, package.version) == (kind, title, version):
                return package
        return None
