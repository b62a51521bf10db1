"""The app API's routes of packages: firmware is uploaded, given to devices, and removed (`hub.packages`)."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from ..errors import BadInput
from ..http import Response
from ..hub.packages import KINDS, MAX_PACKAGE_BYTES
from ..model import Package
from . import shapes
from .deeds import tell, to_its_end

if TYPE_CHECKING:
    from ..http import Request, Router
    from ..hub.hub import Hub
    from ..hub.packages import Packages

MAX_FIELD_LENGTH = 200
"""Characters of a file's name and its content type."""


class PackageRoutes:
    """``/api/packages`` and ``/api/devices/{id}/packages/{kind}``."""

    def __init__(self, hub: Hub, packages: Packages) -> None:
        self._hub = hub
        self._packages = packages

    def register(self, router: Router) -> None:
        """Declare the routes."""
        route = router.route
        route(
            "GET",
            "/api/packages",
            self.list,
            role="viewer",
            scope="none",
            summary="Packages of firmware",
            out=shapes.PackageList,
        )
        route(
            "POST",
            "/api/packages",
            self.upload,
            role="operator",
            summary="Upload one: the body is the file",
            query=("kind", "title", "version", "file_name"),
            out=shapes.StoredPackage,
            status=201,
            stream=True,
            max_body_bytes=MAX_PACKAGE_BYTES,
        )
        route("DELETE", "/api/packages/{id}", self.remove, role="operator", summary="Remove a package", status=204)
        route(
            "PUT",
            "/api/devices/{id}/packages/{kind}",
            self.assign,
            role="operator",
            summary="Say which package a device is to have, by its shared attributes",
            body=shapes.Assigned,
            out=dict,
        )

    def list(self, request: Request) -> Response:
        """``GET /api/packages``."""
        return Response.json({"items": [_described(package) for package in self._packages.all()]})

    async def upload(self, request: Request) -> Response:
        """``POST /api/packages``."""
        query = request.query
        kind, title, version = query.get("kind", "fw"), query.get("title", ""), query.get("version", "")
        file_name = query.get("file_name", f"{title}-{version}.bin")
        content_type = request.headers.get("content-type", "application/octet-stream")
        for field, text in (("file_name", file_name), ("content-type", content_type)):
            if not 0 < len(text) <= MAX_FIELD_LENGTH or not text.isprintable():
                raise BadInput(f"{field} has 1 to {MAX_FIELD_LENGTH} visible characters", field=field)
        tell(request, subject=f"{title} {version}")
        self._packages.check_new(kind, title, version)
        upload = self._packages.files.begin()
        try:
            async for piece in request.stream():
                upload.write(piece)
            if not upload.size:
                raise BadInput("a package is not empty")
        except BaseException:
            upload.abort()
            raise
        package = Package(
            f"{kind}-{secrets.token_hex(6)}",
            kind,
            title,
            version,
            upload.size,
            "",
            file_name,
            content_type,
            self._hub.clock_ms(),
        )
        await to_its_end(self._packages.keep(upload, package))
        return Response.json(_described(package), status=201)

    async def remove(self, request: Request) -> Response:
        """``DELETE /api/packages/{id}``."""
        package = self._packages.find(request.params["id"])
        tell(request, subject=f"{package.title} {package.version}")
        await to_its_end(self._packages.remove(package))
        return Response.empty(204)

    async def assign(self, request: Request) -> Response:
        """``PUT /api/devices/{id}/packages/{kind}``: the device's shared attributes."""
        device, kind = self._hub.catalogue.find(request.params["id"]), request.params["kind"]
        if kind not in KINDS:
            raise BadInput(f"kind is one of {', '.join(KINDS)}", field="kind")
        wanted = request.json(shapes.Assigned).package
        package = None if wanted is None else self._packages.find(wanted)
        tell(request, {"package": None if package is None else f"{package.title} {package.version}"})
        self._packages.assign(device, kind, package)
        await self._hub.commits.durable()
        return Response.json(self._hub.attributes(device, "shared"))


def _described(package: Package) -> dict[str, object]:
    return {
        "id": package.id,
        "kind": package.kind,
        "title": package.title,
        "version": package.version,
        "size": package.size,
        "sha256": package.sha256,
        "file_name": package.file_name,
        "content_type": package.content_type,
        "created": package.created_ms,
    }
