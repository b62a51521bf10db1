"""A real server in this process, on a thread with a loop of its own, for commands that are called in this one."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hardpoint.app import Server


@contextmanager
def serving(**settings: object) -> Iterator[Path]:
    """Its data folder. The path is short: a Unix socket's has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="hp") as folder:
        data = Path(folder, "data")
        ready, stopping = threading.Event(), threading.Event()
        failed: list[BaseException] = []

        async def serve() -> None:
            given = {"data": data, "listen": ["http://127.0.0.1:0"], "host": {"enabled": False}, **settings}
            async with Server(**given):
                ready.set()
                await asyncio.to_thread(stopping.wait)

        def run() -> None:
            try:
                asyncio.run(serve())
            except BaseException as error:  # told below, on the test's thread
                failed.append(error)
                ready.set()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            assert ready.wait(60)
            assert not failed, failed
            yield data
        finally:
            stopping.set()
            thread.join(60)
        assert not failed, failed
