"""Conditions, ranges, files from memory and from the disk, and forms."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Any

import pytest
from http_client import Client, get, post, serving, until
from hypothesis import given
from hypothesis import strategies as st
from test_connection_limits import Clock

from hardpoint.http import Request, Response, Router, StaticFiles, StreamResponse, send_file, static
from hardpoint.http.conditional import MAX_RANGES, http_date, parse_http_date
from hardpoint.http.files import attachment
from hardpoint.http.forms import MAX_FIELDS, FormLimits
from hardpoint.wire.multipart import MultipartLimits

CONTENT = bytes(range(256)) * 40
MODIFIED_S = 1_700_000_000
DATE = http_date(MODIFIED_S)
EARLIER, LATER = http_date(MODIFIED_S - 1), http_date(MODIFIED_S + 1)


@pytest.fixture(params=["kept", "from the disk"])
def app(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Router:
    if request.param == "from the disk":
        monkeypatch.setattr(static, "MAX_KEPT_FILE_BYTES", 100)
    path = tmp_path / "data.bin"
    path.write_bytes(CONTENT)
    os.utime(path, (MODIFIED_S, MODIFIED_S))
    (tmp_path / "empty.bin").write_bytes(b"")
    router = Router()
    router.get("/{rest:path}")(StaticFiles(tmp_path))
    return router


async def tag_of(client: Client) -> str:
    return (await client.ask(get("/data.bin"))).headers["etag"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([], 200),
        (["If-Match: {tag}"], 200),
        (['If-Match: "x", {tag}'], 200),
        (["If-Match: *"], 200),
        (['If-Match: "x"'], 412),
        (["If-Match: W/{tag}"], 412),  # never true weakly
        (["If-Match: {tag}", f"If-Unmodified-Since: {EARLIER}"], 200),  # the second is not looked at
        ([f"If-Unmodified-Since: {EARLIER}"], 412),
        ([f"If-Unmodified-Since: {DATE}"], 200),
        (["If-Unmodified-Since: yesterday"], 200),
        (["If-None-Match: {tag}"], 304),
        (["If-None-Match: W/{tag}"], 304),
        (["If-None-Match: *"], 304),
        (['If-None-Match: "x"', f"If-Modified-Since: {DATE}"], 200),  # nor here
        ([f"If-Modified-Since: {DATE}"], 304),
        ([f"If-Modified-Since: {LATER}"], 304),
        ([f"If-Modified-Since: {EARLIER}"], 200),
        (["If-Modified-Since: yesterday"], 200),
        (["If-Match: {tag}", "If-None-Match: {tag}"], 304),
        (['If-Match: "x"', "If-None-Match: {tag}"], 412),
    ],
)
def test_conditions(anyrun, app: Router, fields: list[str], status: int) -> None:
    async def check() -> None:
        async with serving(app) as served:
            client = await served.client()
            tag = await tag_of(client)
            for method in ("GET", "HEAD"):
                client.send(get("/data.bin", *(each.format(tag=tag) for each in fields), method=method))
                reply = await client.reply(head_only=method == "HEAD")
                assert reply.status == status
                if status in (200, 304):
                    assert (reply.headers["etag"], reply.headers["last-modified"]) == (tag, DATE)

    anyrun(check())


@pytest.mark.parametrize(
    ("asked", "parts"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=5-9", [(5, 10)]),
        ("BYTES=10230-", [(10230, 10240)]),
        ("bytes=-3", [(10237, 10240)]),
        ("bytes=-99999", [(0, 10240)]),
        ("bytes=10239-99999", [(10239, 10240)]),
        ("bytes=0-1, 4-5 ,-1", [(0, 2), (4, 6), (10239, 10240)]),
        ("bytes=0-1,99999-", [(0, 2)]),
        ("bytes=99999-", []),
        ("bytes=-0", []),
        # The whole: what is malformed, unknown, too many or overlapping.
        ("bytes=5-4", None),
        ("bytes=a-b", None),
        ("bytes", None),
        ("lines=0-1", None),
        ("bytes=0-10,5-20", None),
        ("bytes=" + ",".join(f"{2 * n}-{2 * n}" for n in range(MAX_RANGES + 1)), None),
    ],
)
def test_ranges(anyrun, app: Router, asked: str, parts: list[tuple[int, int]] | None) -> None:
    async def check() -> None:
        async with serving(app) as served:
            client = await served.client()
            reply = await client.ask(get("/data.bin", f"Range: {asked}"))
            size = len(CONTENT)
            if parts is None:
                assert (reply.status, reply.body) == (200, CONTENT)
                assert reply.headers["accept-ranges"] == "bytes"
            elif not parts:
                assert (reply.status, reply.headers["content-range"]) == (416, f"bytes */{size}")
            elif len(parts) == 1:
                first, end = parts[0]
                assert (reply.status, reply.body) == (206, CONTENT[first:end])
                assert reply.headers["content-range"] == f"bytes {first}-{end - 1}/{size}"
            else:
                found = re.fullmatch("multipart/byteranges; boundary=(.*)", reply.headers["content-type"])
                assert found is not None
                _, *pieces, last = reply.body.split(b"\r\n--" + found[1].encode())
                assert last == b"--\r\n"
                for (first, end), piece in zip(parts, pieces, strict=True):
                    head, _, content = piece.partition(b"\r\n\r\n")
                    assert f"Content-Range: bytes {first}-{end - 1}/{size}".encode() in head
                    assert content == CONTENT[first:end]
            head = get("/data.bin", f"Range: {asked}", method="HEAD")
            client.send(head)
            assert (await client.reply(head_only=True)).status == 200  # RFC 9110 §14.2: only GET has ranges
            assert (await client.ask(get("/empty.bin"))).body == b""

    anyrun(check())


@pytest.mark.parametrize(
    ("condition", "partial"),
    [("{tag}", True), ("W/{tag}", False), ('"x"', False), (DATE, True), (EARLIER, False), (LATER, False), ("x", False)],
)
def test_if_range(anyrun, app: Router, condition: str, partial: bool) -> None:
    async def check() -> None:
        async with serving(app) as served:
            client = await served.client()
            tag = await tag_of(client)
            reply = await client.ask(get("/data.bin", "Range: bytes=0-4", f"If-Range: {condition.format(tag=tag)}"))
            assert reply.status == (206 if partial else 200)

    anyrun(check())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 784111777),
        ("Sun Nov  6 08:49:37 1994", 784111777),
        ("Sunday, 06-Nov-25 08:49:37 GMT", 1762418977),
        ("Sun, 06 Nov 1994 08:49:37 CET", None),
        ("Sun, 06 Nox 1994 08:49:37 GMT", None),
        ("Sun, 32 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 24:49:37 GMT", None),
        ("", None),
    ],
)
def test_dates(text: str, seconds: int | None) -> None:
    assert parse_http_date(text) == seconds


@given(st.integers(0, 4_000_000_000))
def test_a_date_reads_as_it_was_written(seconds: int) -> None:
    assert parse_http_date(http_date(seconds)) == seconds


def test_a_large_file_comes_from_the_disk_whole(run, tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    path = tmp_path / "large"
    path.write_bytes(content)

    async def download(request: Request) -> Response | StreamResponse:
        return await send_file(request, path, content_type="video/mp4", download_as="über.mp4")

    async def check() -> None:
        async with serving(download) as served:
            client = await served.client()
            reply = await client.ask(get())
            assert reply.body == content
            assert reply.headers["content-type"] == "video/mp4"
            disposition = "attachment; filename=\"_ber.mp4\"; filename*=UTF-8''%C3%BCber.mp4"
            assert reply.headers["content-disposition"] == disposition
            assert (await client.ask(get("/", f"If-None-Match: {reply.headers['etag']}"))).status == 304
            ranged = await client.ask(get("/", "Range: bytes=1000000-1999999"))
            assert ranged.body == content[1_000_000:2_000_000]

    run(check())


async def download(request: Request, path: Path) -> Response | StreamResponse:
    return await send_file(request, path)


def test_a_client_that_takes_nothing_of_a_file_is_cut(run, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(100_000_000)

    async def check() -> None:
        async with serving(lambda request: download(request, path), send_timeout_s=0.05) as served:
            client = await served.client()
            client.send(get())
            await until(lambda: served.server.connections)
            clock, seconds = Clock(served.server), 0
            while not served.server.timed_out["send"]:
                seconds += 1
                clock.at(seconds)  # where the loop does not send files, the sweep sees to it
                await asyncio.sleep(0.001)
            assert served.server.timed_out["send"] == 1
            await until(lambda: not served.server.connections)

    run(check())


def test_a_client_that_is_slow_gets_its_file(anyrun, tmp_path: Path, monkeypatch) -> None:
    """The time-out passes again and again, and each time something has gone out."""
    path = tmp_path / "large"
    content = os.urandom(300_000)
    path.write_bytes(content)
    calls = 0

    async def check() -> None:
        loop = asyncio.get_running_loop()
        at_once = loop.sendfile

        async def slowly(transport, file, offset, count, **given):
            nonlocal calls
            calls += 1
            await at_once(transport, file, offset, min(count, 100_000), **given)
            if count > 100_000:
                await asyncio.Event().wait()
            return count

        monkeypatch.setattr(loop, "sendfile", slowly)
        async with serving(lambda request: download(request, path), send_timeout_s=0.5) as served:
            client = await served.client()
            client.send(get() + get("/next"))
            assert (await client.reply()).body == content
            assert (await client.reply()).body == content

    anyrun(check())
    assert calls == 6


def test_a_file_that_cannot_go_out_inside_the_kernel(anyrun, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "large"
    content = os.urandom(600_000)
    path.write_bytes(content)

    async def check() -> None:
        async def cannot(*args, **given):
            raise asyncio.SendfileNotAvailableError("not on this file system")

        monkeypatch.setattr(asyncio.get_running_loop(), "sendfile", cannot)
        async with serving(lambda request: download(request, path)) as served:
            client = await served.client()
            ranged = await client.ask(get("/", "Range: bytes=0-9,300000-599999"))
            assert ranged.body.count(content[300_000:]) == 1
            assert (await client.ask(get())).body == content

    anyrun(check())


def test_a_client_that_goes_away_within_a_file(run, tmp_path: Path, caplog) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(100_000_000)

    async def check() -> None:
        async with serving(lambda request: download(request, path)) as served:
            client = await served.client()
            client.send(get())
            await client.reader.readexactly(200_000)
            client.writer.transport.abort()
            await until(lambda: not served.server.connections)

    run(check())
    assert not caplog.records


def test_what_is_no_file(anyrun, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    async def download(request: Request) -> Response | StreamResponse:
        return await send_file(request, tmp_path / request.path[1:])

    async def check() -> None:
        async with serving(download) as served:
            client = await served.client()
            for name in ("nope", "fifo", ""):
                assert (await client.ask(get(f"/{name}"))).status == 404

    anyrun(check())


def test_names_of_downloads() -> None:
    assert attachment("a.txt") == 'attachment; filename="a.txt"'
    assert attachment('a"\r\n.txt') == "attachment; filename=\"a___.txt\"; filename*=UTF-8''a%22%0D%0A.txt"


def test_packed_variants(anyrun, tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("1")
    (tmp_path / "a.js.br").write_bytes(b"brotli")
    (tmp_path / "a.js.gz").write_bytes(b"gzip")
    (tmp_path / "alone.gz").write_bytes(b"alone")

    async def check() -> None:
        router = Router()
        router.get("/{rest:path}")(StaticFiles(tmp_path))
        async with serving(router) as served:
            client = await served.client()
            tags = set()
            for accepted, body, coding in [
                ("gzip, br", b"brotli", "br"),
                ("gzip, br;q=0", b"gzip", "gzip"),
                ("zstd", b"1", None),
                ("", b"1", None),
            ]:
                reply = await client.ask(get("/a.js", f"Accept-Encoding: {accepted}"))
                assert (reply.body, reply.headers.get("content-encoding")) == (body, coding)
                assert reply.headers["vary"] == "Accept-Encoding"
                tags.add(reply.headers["etag"])
            assert len(tags) == 3
            assert (await client.ask(get("/a.js.gz"))).status == 404
            assert (await client.ask(get("/alone.gz"))).body == b"alone"

    anyrun(check())


# ---- Forms


def form_app(limits: FormLimits | None = None) -> Router:
    router = Router()

    @router.post("/", stream=True, max_body_bytes=1 << 24)
    async def take(request: Request) -> Response:
        with await request.form(limits) as form:
            files: dict[str, Any] = {
                name: [upload.filename, upload.safe_name, upload.content_type, upload.size, len(upload.file.read())]
                for name, upload in form.uploads
            }
            if form.get("need") is not None:
                form["missing"]
            assert form.upload("nope") is None
            return Response.json({"fields": form.fields, "files": files})

    return router


def multipart(*parts: bytes) -> bytes:
    body = b"".join(b"--B\r\nContent-Disposition: form-data; %b" % each for each in parts) + b"--B--\r\n"
    return post("/", body, "Content-Type: multipart/form-data; boundary=B")


def test_a_multipart_form(run) -> None:
    async def check() -> None:
        large = b"x" * 3_000_000
        async with serving(form_app()) as served:
            client = await served.client()
            request = multipart(
                b'name="a"\r\n\r\n1\r\n',
                b'name="a"\r\n\r\n\xc3\xbc\r\n',
                b'name="f"; filename="C:\\\\dir\\\\..\\\\evil/../x.txt "\r\nContent-Type: image/png\r\n\r\n'
                + large
                + b"\r\n",
            )
            client.send(request[:300])
            client.send(request[300:])
            reply = await client.reply()
            assert reply.status == 200, reply.body
            import json

            assert json.loads(reply.body) == {
                "fields": [["a", "1"], ["a", "ü"]],
                "files": {"f": ["C:\\dir\\..\\evil/../x.txt ", "x.txt", "image/png", 3_000_000, 3_000_000]},
            }

    run(check())


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"a=1&b=%C3%BC&a=+2", 200),
        (b"", 200),
        (b"need=1", 400),
        (b"a=%ff", 400),
        (b"a=\xff", 400),
        (b"&".join([b"a=1"] * (MAX_FIELDS + 1)), 413),
        (b"a=" + b"x" * 2000, 413),
    ],
)
def test_a_plain_form(anyrun, body: bytes, status: int) -> None:
    async def check() -> None:
        limit = 1000 if b"x" * 2000 in body else 1 << 20
        async with serving(form_app(FormLimits(max_fields_bytes=limit))) as served:
            client = await served.client()
            reply = await client.ask(post("/", body, "Content-Type: application/x-www-form-urlencoded; charset=utf-8"))
            assert reply.status == status, reply.body
            if body.startswith(b"a=1&b"):
                assert reply.body == '{"fields":[["a","1"],["b","ü"],["a"," 2"]],"files":{}}'.encode()

    anyrun(check())


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (post("/", b"{}", "Content-Type: application/json"), 400),
        (post("/", b"{}"), 400),
        (multipart(b'name="a"\r\n\r\n\xff\r\n'), 400),
        (multipart(b'name="a"\r\n\r\n' + b"x" * 2000 + b"\r\n"), 413),
        (multipart(*[b'name="a"\r\n\r\n\r\n'] * 5), 413),
        (multipart(b'name="a"\r\n\r\nx\r\n').replace(b"--B--", b"--B--"[:3] + b"xx"), 400),
    ],
)
def test_forms_that_are_refused(anyrun, request_bytes: bytes, status: int) -> None:
    async def check() -> None:
        limits = FormLimits(parts=MultipartLimits(max_parts=4), max_fields_bytes=1000)
        async with serving(form_app(limits)) as served:
            client = await served.client()
            assert (await client.ask(request_bytes)).status == status

    anyrun(check())
