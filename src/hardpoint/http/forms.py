"""HTML forms, as `Request.form` reads them: fields in memory, files in memory while they are small, else on disk."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Self

from ..errors import BadInput, TooLarge
from ..wire.multipart import MultipartLimits, MultipartParser, PartEnd, PartHead, boundary_of, parse_parameters

if TYPE_CHECKING:
    from .messages import Request

MAX_FIELDS = 1000
"""Of a form that is not multipart."""
_PATH = re.compile(r".*[/\\]")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(slots=True, frozen=True)
class FormLimits:
    """What one form may take, beside the body's own limit (`Route`'s ``max_body_bytes``)."""

    parts: MultipartLimits = field(default_factory=MultipartLimits)
    max_fields_bytes: int = 1024 * 1024
    """All plain fields together, which are kept in memory: 413."""
    max_memory_bytes: int = 1024 * 1024
    """A file beyond this goes to the disk."""


class Upload:
    """One uploaded file. ``file`` is open for reading, at its start, until the form is closed."""

    __slots__ = ("content_type", "file", "filename", "size")

    def __init__(self, filename: str, content_type: str, file: IO[bytes]) -> None:
        self.filename = filename
        """As sent: never to be used as a path."""
        self.content_type = content_type
        self.file = file
        self.size = 0

    @property
    def safe_name(self) -> str:
        """The last part of the name, without what no file system takes; empty when nothing is left."""
        name = _UNPRINTABLE.sub("", _PATH.sub("", self.filename)).strip(" .")
        return name[:255]


class Form:
    """What a form says. To be closed (``with await request.form() as form``): its files go then."""

    def __init__(self) -> None:
        self.fields: list[tuple[str, str]] = []
        self.uploads: list[tuple[str, Upload]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __getitem__(self, name: str) -> str:
        """The first value of a field.

        Raises:
            BadInput: there is none.
        """
        value = self.get(name)
        if value is None:
            raise BadInput(f"the form has no field {name}", field=name)
        return value

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of a field, or the default."""
        return next(self.get_all(name), default)

    def get_all(self, name: str) -> Iterator[str]:
        """Every value of a field, in order."""
        return (value for key, value in self.fields if key == name)

    def upload(self, name: str) -> Upload | None:
        """The first file of that name."""
        return next((upload for key, upload in self.uploads if key == name), None)

    def close(self) -> None:
        """Delete the files. Whoever wants one has copied it by now."""
        for _, upload in self.uploads:
            upload.file.close()


async def read_form(request: Request, limits: FormLimits | None = None) -> Form:
    """The form in a request's body, of either encoding. A route that takes files should ask for its body as a stream.

    Raises:
        BadInput: it is no form, or malformed.
        TooLarge: it passes one of the limits.
    """
    limits = FormLimits() if limits is None else limits
    content_type = request.headers.get("content-type", "")
    if parse_parameters(content_type)[0] == "application/x-www-form-urlencoded":
        return _urlencoded(await request.read(limits.max_fields_bytes))
    reader = _FormReader(limits, MultipartParser(boundary_of(content_type), limits.parts))
    try:
        async for piece in request.stream():
            await reader.receive(piece)
        reader.finish()
    except BaseException:
        reader.form.close()
        raise
    return reader.form


def _urlencoded(body: bytes) -> Form:
    from urllib.parse import parse_qsl

    form = Form()
    try:
        form.fields = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except UnicodeError:
        raise BadInput("the form is not UTF-8") from None
    except ValueError:
        raise TooLarge(f"the form has more than {MAX_FIELDS} fields") from None
    return form


class _FormReader:
    """Puts the parts of one multipart body where they belong."""

    def __init__(self, limits: FormLimits, parser: MultipartParser) -> None:
        self.form = Form()
        self._limits = limits
        self._parser = parser
        self._head: PartHead | None = None
        self._value = bytearray()
        self._upload: Upload | None = None
        self._fields_bytes = 0

    async def receive(self, data: bytes) -> None:
        """Take a piece of the body."""
        for event in self._parser.receive(data):
            if isinstance(event, PartHead):
                self._begin(event)
            elif isinstance(event, PartEnd):
                self._end()
            elif self._upload is not None:
                await self._write(self._upload, event)
            else:
                self._fields_bytes += len(event)
                if self._fields_bytes > self._limits.max_fields_bytes:
                    raise TooLarge(f"the form's fields are over {self._limits.max_fields_bytes} bytes")
                self._value += event

    def finish(self) -> None:
        """The body is whole."""
        self._parser.finish()

    def _begin(self, head: PartHead) -> None:
        self._head = head
        self._value = bytearray()
        if head.filename is None:
            return
        import tempfile

        file = tempfile.SpooledTemporaryFile(self._limits.max_memory_bytes)  # noqa: SIM115 - the form closes it
        self._upload = Upload(head.filename, head.content_type, file)
        self.form.uploads.append((head.name, self._upload))

    async def _write(self, upload: Upload, piece: bytes) -> None:
        upload.size += len(piece)
        if upload.size <= self._limits.max_memory_bytes:
            upload.file.write(piece)
        else:
            await asyncio.to_thread(upload.file.write, piece)

    def _end(self) -> None:
        head, self._head = self._head, None
        assert head is not None
        if self._upload is not None:
            self._upload.file.seek(0)
            self._upload = None
            return
        try:
            self.form.fields.append((head.name, self._value.decode()))
        except UnicodeDecodeError:
            raise BadInput("a field of the form is not UTF-8", field=head.name) from None
