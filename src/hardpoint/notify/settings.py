"""Reading a channel's settings, which a person typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..errors import BadInput

if TYPE_CHECKING:
    from ..model import Json

MAX_TEXT_LENGTH = 1024


def refuse_unknown(settings: Mapping[str, Json], known: Sequence[str]) -> None:
    """Raises:
    BadInput: there is a setting that is not among those known.
    """
    for name in settings:
        if name not in known:
            raise BadInput(f"settings are {', '.join(known)}", field=f"settings.{name[:64]}")


def text(settings: Mapping[str, Json], name: str, default: str | None = None) -> str:
    """A setting that is a line of text.

    Raises:
        BadInput: it is not, or it is missing and there is no default.
    """
    value = settings.get(name, default)
    if type(value) is int:  # a chat's number, a password of digits
        value = str(value)
    if (
        not isinstance(value, str)
        or len(value) > MAX_TEXT_LENGTH
        or not (value.isprintable() and (value or default == ""))
    ):
        raise BadInput(f"{name} is a line of text", field=f"settings.{name}")
    return value
