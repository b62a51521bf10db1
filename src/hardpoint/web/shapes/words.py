"""The words that several documents share."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Ms = Annotated[int, Meta(ge=0, description="milliseconds since 1970-01-01 UTC")]
Role = Literal["viewer", "operator", "admin"]
Severity = Literal["info", "warning", "critical"]
ForS = Annotated[float, Meta(ge=0, description="seconds")]


class Problem(Struct):
    """What is wrong, and where."""

    code: str
    message: str
    field: str | None = None


class Failure(Struct):
    """Every error has this form."""

    error: Problem
