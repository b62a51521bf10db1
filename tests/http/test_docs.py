"""docs/http-server.md does what it says: its Python is run, and the server it builds is asked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from http_client import get, post, serving
from test_streaming import chunks

PAGE = Path(__file__).parents[2] / "docs" / "http-server.md"


def built() -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "docs"}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL):
        exec(compile(block, str(PAGE), "exec", dont_inherit=True), namespace)
    return namespace


def test_the_page(anyrun) -> None:
    async def check() -> None:
        made = built()
        async with serving(made["app"], plan=made["server"].plan) as served:
            client = await served.client()
            item = await client.ask(get("/items/7?unit=F", "Origin: https://app.example.org"))
            assert json.loads(item.body) == {"id": 7, "unit": "F"}
            assert item.headers["access-control-allow-origin"] == "https://app.example.org"
            assert "x-request-id" in item.headers
            stored = await client.ask(post("/readings", b'{"key":"temp","value":21.5}'))
            assert (stored.status, stored.headers["set-cookie"][:10]) == (201, "last=temp;")
            assert (await client.ask(post("/readings", b'{"key":"x","value":1}'))).status == 404
            wrong = await client.ask(post("/readings", b'{"key":"temp","value":"warm"}'))
            assert (wrong.status, json.loads(wrong.body)["error"]["field"]) == (400, "value")
            client.send(get("/size", "Content-Length: 2000000", method="PUT"))
            client.send(b"x" * 2_000_000)
            assert (await client.reply()).body == b'{"bytes":2000000}'
            await client.ask(get("/count"))
            assert await chunks(client) == b"0\n1\n2\n"
            form = (
                b'--B\r\nContent-Disposition: form-data; name="title"\r\n\r\nsun\r\n'
                b'--B\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\nJFIF\r\n--B--\r\n'
            )
            photo = await client.ask(post("/photos", form, "Content-Type: multipart/form-data; boundary=B"))
            assert photo.body == b'{"title":"sun","bytes":4}'
            report = await client.ask(get("/report"))
            assert report.headers["content-disposition"] == 'attachment; filename="report.html"'
            assert (await client.ask(get("/site/"))).body == b"<h1>hi</h1>"

    anyrun(check())
