"""The pages' shell, when reading the pages is disturbed."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hardpoint.web import site as site_module
from hardpoint.web.site import Site

REQUEST = cast("Any", SimpleNamespace(headers={}))  # the shell is the same for everybody


def test_a_client_that_leaves_early_takes_the_pages_from_nobody(anyrun, monkeypatch):
    """Its task is cancelled while the pages are read, at the start."""
    may_read = threading.Event()
    load = site_module._load

    def slowly():
        assert may_read.wait(60)
        return load()

    monkeypatch.setattr(site_module, "_load", slowly)

    async def scene():
        may_read.clear()
        site = Site()
        early = asyncio.ensure_future(site.shell(REQUEST))
        await asyncio.sleep(0)
        early.cancel()
        await asyncio.gather(early, return_exceptions=True)
        may_read.set()
        assert (await site.shell(REQUEST)).status == 200

    anyrun(scene())


def test_pages_that_could_not_be_read_are_read_again(anyrun, monkeypatch):
    """No descriptor was left, say."""
    load = site_module._load

    def fail():
        raise OSError("too many open files")

    async def scene():
        site = Site()
        monkeypatch.setattr(site_module, "_load", fail)
        with pytest.raises(OSError, match="too many"):
            await site.shell(REQUEST)
        monkeypatch.setattr(site_module, "_load", load)
        assert (await site.shell(REQUEST)).status == 200
        assert site.load() is site.load()

    anyrun(scene())
