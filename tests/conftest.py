"""Fixtures for every test: the three event loops, and temporary folders."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import hypothesis
import pytest

# The tests must give the same verdict on the same code, so examples are derived from the test alone. `make fuzz` asks
# for many more of them, and for other ones each time.
hypothesis.settings.register_profile("test", derandomize=True, deadline=None, database=None)
hypothesis.settings.register_profile("fuzz", max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")), deadline=None)
hypothesis.settings.load_profile("fuzz" if "FUZZ_EXAMPLES" in os.environ else "test")

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]

LOOPS = ("hardpoint", "asyncio", "uvloop")
RUN_S = 300.0
"""Nothing takes so long by far; it is below `faulthandler_timeout`, so that a wait for ever fails with its place."""


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """The class that makes a loop of that name."""
    if name == "hardpoint":
        from hardpoint.loop import Loop

        return Loop
    if name == "uvloop":
        import uvloop

        return uvloop.new_event_loop
    return asyncio.SelectorEventLoop


def runner(name: str) -> Run[Any]:
    def run(coro: Coroutine[Any, Any, T]) -> T:
        async def bounded() -> T:
            async with asyncio.timeout(RUN_S):
                return await coro

        with asyncio.Runner(loop_factory=loop_factory(name)) as made:
            return made.run(bounded())

    return run


@pytest.fixture(params=LOOPS)
def loop_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(loop_name: str) -> Run[Any]:
    """Run a coroutine to its end, on each of the three loops in turn, for at most `RUN_S`."""
    return runner(loop_name)


@pytest.fixture
def anyrun() -> Run[Any]:
    """Run a coroutine to its end on our own loop only, where the loop makes no difference."""
    return runner("hardpoint")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever asks for the browser is a browser test, and a browser is a client that nobody here wrote. Their files
    run last: Playwright keeps a loop running in this thread until the session ends, and no other can run beside it.
    Of them the largest run first, so that two processes which share the files come to their end together.
    """
    of_browser = [item for item in items if "browser" in getattr(item, "fixturenames", ())]
    for item in of_browser:
        item.add_marker(pytest.mark.browser)
        item.add_marker(pytest.mark.conformance)
    files, sizes = {item.path for item in of_browser}, Counter(item.path for item in items)
    items.sort(key=lambda item: (True, -sizes[item.path]) if item.path in files else (False, 0))
