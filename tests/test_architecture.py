"""The house rules, read from the syntax trees: which way imports point, and how large things may grow."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "hardpoint"

# From the top down. A room may import the rooms in the rows below its own, never one beside it.
ROWS: tuple[frozenset[str], ...] = (
    frozenset({"__main__"}),
    frozenset({"cli"}),
    frozenset({"app", "agent", "lab", "testing"}),
    frozenset({"dialects", "web", "notify", "banner", "listeners", "bridge"}),
    frozenset({"http", "checks"}),
    frozenset({"hub", "stores", "hardware", "registry", "tls", "arrivals"}),
    frozenset({"wire"}),
    frozenset({"model", "config", "threads", "rarely", "addresses", "collector"}),
    frozenset({"errors", ""}),  # "": the package itself, for its version
)
ROW_OF = {room: number for number, row in enumerate(ROWS) for room in row}

LOOP_USERS = frozenset({"app", "agent", "cli", "lab", "testing"})
"""The loop is used through asyncio's own interface everywhere else."""
NOT_IN_WIRE = frozenset({"socket", "select", "selectors", "asyncio", "threading", "time", "ssl"})
NOT_IN_HUB = frozenset({"socket", "select", "selectors", "ssl", "sqlite3"})

# (importer, imported) that the rows do not allow, each with its reason.
EXCEPTIONS = {
    ("hardware", "registry"): "the mount makes its drivers by name; the registry holds names and imports nothing",
}

MAX_MEDIAN_FILE_LINES = 200
MAX_FILE_LINES = 700
MAX_FUNCTION_LINES = 70
LONG_FUNCTIONS: dict[str, str] = {}
"""Longer ones, each with its reason."""


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


FILES = sorted(SOURCE.rglob("*.py"))
NAMES = [str(path.relative_to(SOURCE)) for path in FILES]


def room_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).parts
    name = parts[0] if len(parts) > 1 else path.stem
    return "" if name == "__init__" else name


def imports(path: Path, *, typing_too: bool = False) -> Iterator[tuple[str, int]]:
    """Absolute names of what a file imports, without what only the type checker sees."""
    skipped: set[ast.AST] = set()
    package = ["hardpoint", *path.relative_to(SOURCE).parts[:-1]]
    for node in ast.walk(tree(path)):
        if not typing_too and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            skipped.update(inner for statement in node.body for inner in ast.walk(statement))
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            if module in ("hardpoint", ".".join(package)) and not node.module:
                yield from ((f"{module}.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield module, node.lineno


def room_imported(name: str) -> str | None:
    """The room a name belongs to, or None when it is not ours."""
    parts = name.split(".")
    if parts[0] != "hardpoint":
        return None
    if len(parts) == 1 or parts[1].startswith("__"):
        return ""
    return parts[1] if parts[1] in ROW_OF or parts[1] == "loop" else ""


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_imports_point_down(path: Path) -> None:
    room = room_of(path)
    if room == "":  # the package's own lazy names
        return
    for name, line in imports(path):
        target = room_imported(name)
        if target is None or target == room:
            continue
        if target == "loop":
            assert room in LOOP_USERS, f"{path}:{line} imports the loop; write to asyncio's interface"
            continue
        if room == "loop":
            pytest.fail(f"{path}:{line}: the loop stands alone, and imports {name}")
        allowed = ROW_OF[target] > ROW_OF[room] or (room, target) in EXCEPTIONS
        assert allowed, f"{path}:{line}: {room} imports {name}, which is not below it"


@pytest.mark.parametrize("path", [path for path in FILES if room_of(path) == "wire"], ids=str)
def test_wire_does_no_io(path: Path) -> None:
    for name, line in imports(path):
        assert name.partition(".")[0] not in NOT_IN_WIRE, f"{path}:{line} imports {name}"
        room = room_imported(name)
        assert room in (None, "wire", "errors", "model"), f"{path}:{line} imports {name}"


@pytest.mark.parametrize("path", [path for path in FILES if room_of(path) == "hub"], ids=str)
def test_hub_knows_no_socket_and_no_concrete_store(path: Path) -> None:
    for name, line in imports(path):
        assert name.partition(".")[0] not in NOT_IN_HUB, f"{path}:{line} imports {name}"
    for name, line in imports(path, typing_too=True):
        stores = "hardpoint.stores"
        assert not name.startswith(stores) or name == f"{stores}.base", f"{path}:{line} names the store {name}"


def test_only_the_composition_root_and_the_registry_name_concrete_stores_and_drivers() -> None:
    for path in FILES:
        if room_of(path) in ("app", "registry", "stores", "hardware", "testing", "cli"):
            continue
        for name, line in imports(path, typing_too=True):
            assert not name.startswith(("hardpoint.stores.sqlite", "hardpoint.stores.memory")), f"{path}:{line}: {name}"


def test_files_are_short() -> None:
    lengths = {name: len(path.read_text("utf-8").splitlines()) for name, path in zip(NAMES, FILES, strict=True)}
    too_long = {name: length for name, length in lengths.items() if length > MAX_FILE_LINES}
    assert not too_long
    median = statistics.median(length for name, length in lengths.items() if not name.endswith("__init__.py"))
    assert median <= MAX_MEDIAN_FILE_LINES


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_functions_are_short(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            name = f"{path.relative_to(SOURCE)}:{node.name}"
            assert length <= MAX_FUNCTION_LINES or name in LONG_FUNCTIONS, f"{name} has {length} lines"


def test_exceptions_are_still_needed() -> None:
    """A listed exception that nothing uses any more is deleted."""
    lengths = {
        f"{path.relative_to(SOURCE)}:{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in FILES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    for name in LONG_FUNCTIONS:
        assert lengths.get(name, 0) > MAX_FUNCTION_LINES, name
    used = {(room_of(path), room_imported(name)) for path in FILES for name, _ in imports(path)}
    for pair in EXCEPTIONS:
        assert pair in used, pair
