"""The table of what was compared, at the end of the run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .comparing import compared

if TYPE_CHECKING:
    import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """They take a quarter of an hour and fetch from the package index: `make conformance` asks for them by their mark,
    and nothing else does.
    """
    if "conformance" in config.getoption("markexpr"):
        return
    left_out = [item for item in items if HERE in item.path.parents]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tests passed on the stock loop, on ours, and left out with a reason; a suite a line, and their sum."""
    if not compared:
        return
    terminalreporter.section("outside suites: stock asyncio, ours, excluded")
    rows = [(found.suite, found.stock, found.ours, len(found.excluded)) for found in compared]
    rows.append(("together", *(sum(column) for column in zip(*(row[1:] for row in rows), strict=True))))
    for suite, stock, ours, excluded in rows:
        terminalreporter.write_line(f"{suite:<28} {stock:>6} {ours:>6} {excluded:>6}")
