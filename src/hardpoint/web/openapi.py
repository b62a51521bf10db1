"""``/api/openapi.json``, made from the routes themselves: what is not routed cannot be described, and the reverse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from . import shapes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..http.router import Route

_CAPTURE = re.compile(r"\{([a-z_]+)(?::(int|path))?\}")
_REF = "#/components/schemas/{name}"

_QUERY = {
    "search": ("string", "Part of a name or id"),
    "filter": ("string", "the list's filter language: site:roof temp>30 is:late -name~pump"),
    "online": ("boolean", "Only devices that are connected, or only those that are not"),
    "label": ("string", "`key:value`, or `key` alone; may be repeated"),
    "anew": ("boolean", "As it is now, and not as it was found within the last minute"),
    "names": ("string", "`hidden`: without the names of devices; `shown` otherwise"),
    "limit": ("integer", "How many a page"),
    "cursor": ("string", "`next_cursor` of the page before"),
    "key": ("string", "The reading's key"),
    "device": ("string", "A device's id or name; for readings a shell pattern of them; may be repeated"),
    "series": ("string", "`device:key`; may be repeated"),
    "every": ("string", "Buckets of this width instead of so many: 30s, 15m, 1h, 1d, 1w, 1mo or 1y"),
    "tz": ("string", "The time zone whose clocks and days `every` goes by, as Europe/Berlin"),
    "format": ("string", "json, ndjson or csv; the last two come while they are read, and have no limit"),
    "origin": ("string", "http:// or https://, host and port: how a device reaches this server"),
    "from": ("integer", "Milliseconds since 1970-01-01 UTC, included"),
    "to": ("integer", "Milliseconds since 1970-01-01 UTC, not included"),
    "points": ("integer", "At most so many points"),
    "agg": ("string", "auto, raw, avg, sum, min, max, first, last, count, minmax or lttb"),
    "within_s": ("integer", "How far ahead to look, in seconds"),
    "repair": ("boolean", "Whether to repair what can be, and to set aside what cannot"),
    "scope": ("string", "client, shared or server"),
    "state": ("string", "firing or resolved"),
    "who": ("string", "Only what this person, token or rule did"),
    "what": ("string", "Only this deed, as `devices.create`, or this family of deeds, as `devices`"),
    "until": ("integer", "Only what was before this time"),
    "user": ("string", "A person's name; `*`: everybody"),
    "after": ("integer", "Only frames with a greater number"),
    "kind": ("string", "fw for firmware, sw for software"),
    "title": ("string", "What a package is called"),
    "version": ("string", "Of a package"),
    "file_name": ("string", "What a package's file is called"),
    "wait_s": ("integer", "Wait so long for the first"),
}


def describe_api(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of every route that has a summary."""
    described = [route for route in routes if "summary" in route.meta]
    types = [kind for route in described for kind in (route.meta.get("body"), route.meta.get("out")) if kind]
    schemas, components = msgspec.json.schema_components([*types, shapes.Failure], ref_template=_REF)
    schema_of = {id(kind): schema for kind, schema in zip([*types, shapes.Failure], schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for route in described:
        path = _CAPTURE.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hardpoint",
            "version": version,
            "description": "Devices, their readings and commands. Times are integer milliseconds since 1970-01-01 UTC.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "hardpoint_session"},
                "token": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _operation(route: Route, schema_of: dict[int, Any]) -> dict[str, Any]:
    meta = route.meta
    operation: dict[str, Any] = {
        "summary": meta["summary"],
        "operationId": f"{route.method.lower()}{_camel(route.path)}",
        "tags": ["device" if meta.get("device") else "app"],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "integer" if kind == "int" else "string"}}
            for name, kind in _CAPTURE.findall(route.path)
        ]
        + [
            {"name": name, "in": "query", "schema": {"type": _QUERY[name][0]}, "description": _QUERY[name][1]}
            for name in meta.get("query", ())
        ],
        "responses": {},
    }
    if meta.get("role"):
        operation["security"] = [{"session": []}, {"token": []}]
        operation["description"] = f"Needs the role {meta['role']}."
    if meta.get("body"):
        content = {"application/json": {"schema": schema_of[id(meta["body"])]}}
        operation["requestBody"] = {"required": True, "content": content}
    status = meta.get("status", 200)
    answer: dict[str, Any] = {"description": "done"}
    if meta.get("out"):
        answer["content"] = {"application/json": {"schema": schema_of[id(meta["out"])]}}
    operation["responses"][str(status)] = answer
    failure = schema_of[id(shapes.Failure)]
    operation["responses"]["default"] = {
        "description": "what went wrong",
        "content": {"application/json": {"schema": failure}},
    }
    return operation


def _camel(path: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", path) if part)
