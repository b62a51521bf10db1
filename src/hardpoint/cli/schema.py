"""The JSON Schema of ``hardpoint.toml``, made from the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..config import FILE_NAME, SECTIONS, UNITS, settings

if TYPE_CHECKING:
    from ..config import Setting


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of ``hardpoint.toml``, for editors (Even Better TOML, taplo)."""
    root: dict[str, Any] = {}
    tables = {"": root, **{section: {} for section in SECTIONS}}
    for each in settings().values():
        section, _, name = each.path.rpartition(".")
        tables[section][name] = _property(each)
    for section, owner in SECTIONS.items():
        root[section] = {
            "type": "object",
            "description": " ".join((owner.__doc__ or "").split()),
            "additionalProperties": False,
            "properties": tables[section],
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": FILE_NAME,
        "type": "object",
        "additionalProperties": False,
        "properties": root,
    }


def _property(each: Setting) -> dict[str, Any]:
    described: dict[str, Any] = {"description": each.help}
    match each.kind:
        case "strings" | "paths":
            described["type"] = ["string", "array"]
            described["items"] = {"type": "string"}
        case "path" | "string":
            described["type"] = "string"
        case "integer" | "number" if each.unit in UNITS:
            described["type"] = [each.kind, "string"]
        case _:
            described["type"] = each.kind
    optional = {
        "enum": list(each.choices),
        "minimum": each.minimum,
        "maximum": each.maximum,
        "default": each.default,
    }
    return described | {name: value for name, value in optional.items() if value not in (None, [], ())}
