"""The routes of packages: firmware is uploaded, given to devices and fetched over HTTP."""

from __future__ import annotations

import hashlib

import msgspec

from hardpoint.dialects.http import HttpDialect
from hardpoint.hub.packages import MAX_CHUNK_BYTES, Packages
from hardpoint.stores.packages import PackageFiles
from hardpoint.web import shapes
from hardpoint.web.packages import PackageRoutes

from .test_devices import checked
from .webs import open_web

UPLOAD = "/api/packages?title=pump&version=1.3&file_name=pump.bin"


def test_from_an_upload_to_a_device(anyrun, tmp_path):
    async def scene():
        async with open_web() as web, await web.as_role("operator") as client, await web.as_role("viewer") as viewer:
            packages = Packages(web.hub, PackageFiles(tmp_path))
            PackageRoutes(web.hub, packages).register(web.app.router)
            HttpDialect(web.hub, packages=packages).register(web.app.router)
            _, token = await web.hub.create_device("box")
            data = bytes(range(256)) * (MAX_CHUNK_BYTES // 128)
            answer = await client.request("POST", UPLOAD, data, client.headers | {"Content-Type": "a/b"})
            assert answer.status == 201
            made = checked(answer.json(), shapes.StoredPackage)
            assert (made.kind, made.size, made.content_type) == ("fw", len(data), "a/b")
            assert made.sha256 == hashlib.sha256(data).hexdigest()
            for query, status in (("title=pump&version=1.3", 409), ("title=a", 400), ("title=b&version=1", 400)):
                refused = await client.request("POST", f"/api/packages?{query}", b"", client.headers)
                assert refused.status == status
            assert (await viewer.request("POST", UPLOAD, b"x", viewer.headers)).status == 403
            _, document = await viewer.ask("GET", "/api/packages")
            assert [each.id for each in checked(document, shapes.PackageList).items] == [made.id]

            assert (await client.request("GET", f"/api/v1/{token}/firmware")).status == 404
            await client.refused(400, "PUT", "/api/devices/box/packages/xx", {"package": None})
            await client.refused(404, "PUT", "/api/devices/box/packages/fw", {"package": "none"})
            _, document = await client.ask("PUT", "/api/devices/box/packages/fw", {"package": made.id})
            assert document["fw_checksum"] == made.sha256
            assert (await client.request("GET", f"/api/v1/{token}/firmware?title=pump&version=2")).status == 400
            path = f"/api/v1/{token}/firmware?title=pump&version=1.3"
            whole = await client.request("GET", path)
            assert (whole.status, whole.body, whole.headers["x-filename"]) == (200, data, "pump.bin")
            assert whole.headers["content-type"] == "a/b"
            part = await client.request("GET", f"{path}&size=1000&chunk=3")
            assert (part.status, part.body) == (200, data[3000:4000])
            assert part.headers["content-disposition"] == 'attachment; filename="pump.bin"'
            assert (await client.request("GET", f"{path}&size=1000&chunk=999999")).body == b""
            assert (await client.request("GET", f"{path}&size={MAX_CHUNK_BYTES + 1}")).status == 413
            assert (await client.request("GET", "/api/v1/hp_wrong/firmware")).status == 401
            assert (await client.request("GET", f"/api/v1/{token}/software")).status == 404
            _, document = await client.ask("PUT", "/api/devices/box/packages/fw", {"package": None})
            assert document == {}

            answer, _ = await client.ask("DELETE", f"/api/packages/{made.id}")
            assert answer.status == 204
            assert msgspec.json.decode((await viewer.request("GET", "/api/packages", b"", viewer.headers)).body) == {
                "items": []
            }

    anyrun(scene())
