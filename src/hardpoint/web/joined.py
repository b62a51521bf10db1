"""The modules of the first view as one file, joined when the server starts.

A browser fetches a module, reads its imports, and fetches those: some twenty requests before the first view. Joined
they are one, and a third smaller packed, without a build step: the files that are edited are the files that are
served. A module becomes a function that is called at once and gives back what it exports, in the order in which the
modules need each other. An import map leads everybody who imports one of them later to this file, so that there is one
of each.

Only the forms that these modules are written in are understood; a test joins them all, and refuses others.
"""

from __future__ import annotations

import re
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_IMPORT = re.compile(
    r"""^import\s+(?:(?P<default>\w+)\s+from\s*|\{(?P<names>[^}]*)\}\s*from\s*)?["'](?P<path>\.[^"']+)["'];?[ \t]*$""",
    re.MULTILINE,
)
_EXPORTED = re.compile(
    r"^export (?P<default>default )?"
    r"(?=(?:async )?function\*? (?P<function>\w+)|class (?P<class>\w+)|const (?P<const>\w+))",
    re.MULTILINE,
)
_COMMENT = re.compile(r"^[ \t]*(?://.*|/\*\*(?:.|\n)*?\*/)[ \t]*\n", re.MULTILINE)
"""Whole lines of comment: a fifth of the packed bytes, in which nobody reads them."""
_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)
"""A fiftieth of the scripts and a twelfth of the sheets, packed. In templates htm drops it as well."""
_EXPORT_LIST = re.compile(r"\bexport\s*\{([^}]*)\};?\s*$")  # how a vendored bundle ends
_SHEET_COMMENT = re.compile(r"[ \t]*/\*.*?\*/[ \t]*\n?", re.DOTALL)
_KEY = re.compile(r"""["'`]([a-z]+\.[a-z0-9_]+)["'`]""")
_FAMILY = re.compile(r"`([a-z]+\.[a-z0-9_]*)\$\{")
_PLURAL = re.compile(r"\.(?:zero|one|two|few|many|other)$")
_LEFT_OVER = re.compile(r"^(?:import|export|await)\b.*$", re.MULTILINE)


class Module(NamedTuple):
    """One module: the paths it imports in their order, its body as a function's, and what it exports: name → what
    that is called inside.
    """

    path: str
    imports: list[str]
    body: str
    exports: dict[str, str]


def read_module(root: Traversable, path: str) -> Module:
    """Read one.

    Raises:
        ValueError: it is written in a form that cannot be joined.
    """
    text = _COMMENT.sub("", root.joinpath(*path.split("/")).read_text("utf-8"))
    imports: list[str] = []
    exports: dict[str, str] = {}

    def bind(found: re.Match[str]) -> str:
        target = normpath(join(dirname(path), found["path"]))
        imports.append(target)
        names = f"default: {found['default']}" if found["default"] else _renamed(found["names"] or "", ": ")
        return f"const {{ {names} }} = {_name(target)};" if names else ""

    def declare(found: re.Match[str]) -> str:
        name = found["function"] or found["class"] or found["const"]
        exports["default" if found["default"] else name] = name
        return ""

    def collect(found: re.Match[str]) -> str:
        for each in filter(None, map(str.strip, found[1].split(","))):
            inside, _, outside = each.partition(" as ")
            exports[outside or inside] = inside
        return ""

    body = _EXPORT_LIST.sub(collect, _EXPORTED.sub(declare, _IMPORT.sub(bind, text)))
    left = _LEFT_OVER.search(body)
    if left is not None:
        raise ValueError(f"{path} cannot be joined: {left[0][:80]}")
    return Module(path, imports, body.replace("import.meta.url", "$url"), exports)


def modules_of(root: Traversable, entries: list[str]) -> list[Module]:
    """These modules and all that they import statically, each behind those that it needs.

    Raises:
        ValueError: one cannot be joined, or needs itself.
    """
    found: dict[str, Module] = {}
    under_way: list[str] = []

    def visit(path: str) -> None:
        if path in found:
            return
        if path in under_way:
            raise ValueError(f"modules import each other: {' → '.join([*under_way, path])}")
        under_way.append(path)
        module = read_module(root, path)
        for needed in module.imports:
            visit(needed)
        under_way.pop()
        found[path] = module

    for entry in entries:
        visit(entry)
    return list(found.values())


def join_modules(modules: list[Module]) -> str:
    """One module that exports what all of them do. It stands at the root of their tree.

    Raises:
        ValueError: two of them export the same name.
    """
    parts: list[str] = []
    owners: dict[str, str] = {}
    for module in modules:
        for name in module.exports:
            if name in owners:
                raise ValueError(f"{owners[name]} and {module.path} both export {name}")
            owners[name] = module.path
        url = f'  const $url = new URL("{module.path}", import.meta.url).href;\n' if "$url" in module.body else ""
        given = ", ".join(name if name == inside else f"{name}: {inside}" for name, inside in module.exports.items())
        parts.append(f"const {_name(module.path)} = (() => {{\n{url}{module.body}\nreturn {{ {given} }};\n}})();\n")
        names = ", ".join(name for name in module.exports if name != "default")
        if names:
            parts.append(f"export const {{ {names} }} = {_name(module.path)};\n")
        if "default" in module.exports:
            parts.append(f"export default {_name(module.path)}.default;\n")
    return _INDENT.sub("", "".join(parts))


def join_sheets(sheets: list[str]) -> str:
    """Style sheets one behind the other, without comments."""
    return _INDENT.sub("", "\n".join(_SHEET_COMMENT.sub("", sheet) for sheet in sheets))


def first_words(catalogue: dict[str, str], text: str) -> dict[str, str]:
    """Of a catalogue what the joined module may say: keys it names, and families it names by their beginning, as in
    ``t(`presence.${word}`)``.
    """
    named = set(_KEY.findall(text))
    families = tuple(_FAMILY.findall(text))
    return {
        key: words
        for key, words in catalogue.items()
        if _PLURAL.sub("", key) in named or key in named or key.startswith(families)
    }


def _name(path: str) -> str:
    """What a module is called in the joined one."""
    return "$" + re.sub(r"\W", "_", path.removesuffix(".mjs"))


def _renamed(names: str, between: str) -> str:
    """``a, b as c`` of an import as the pattern that takes an object apart."""
    return ", ".join(between.join(each.split(" as ")) for each in filter(None, map(str.strip, names.split(","))))
