"""Lines as frames of the wire tap: as text, and without secrets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..hub.tap import MASK, MAX_BODY_CHARS, Frame
from ..wire.corrections import corrected_line

if TYPE_CHECKING:
    from ..hub.session import Session

_HELLO = re.compile(r"\b(hello|token)([ \t]+)\S+", re.IGNORECASE)
_SLICE_BYTES = 4 * MAX_BODY_CHARS
"""A character has at most four: no more of an endless line is decoded than a frame holds."""


def line_frame(session: Session, way: str, line: bytes) -> Frame:
    """The frame of one line, with or without its end. What is said to be a token is not shown, also where the verb is
    spelt wrong. Bytes that are no text are shown as hex, the whole line.
    """
    piece = line[:_SLICE_BYTES].rstrip(b"\r\n")
    try:
        whole = "strict" if len(line) <= _SLICE_BYTES else "ignore"  # a character may be cut in two at the end
        text, binary = _HELLO.sub(rf"\1\2{MASK}", piece.decode(errors=whole)), False
    except UnicodeDecodeError:
        text, binary = piece[: MAX_BODY_CHARS // 2].hex(), True
    frame = Frame(session.dialect, way, text, peer=session.peer, binary=binary, correct=corrected_line)
    frame.cut = frame.cut or len(line) > _SLICE_BYTES or (binary and len(line) > MAX_BODY_CHARS // 2)
    return frame
