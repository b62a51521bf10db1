"""The suites of uvloop, anyio and aiohttp on our loop: what passes there on stock asyncio must pass here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from .comparing import compare
from .suites import Suite, fetch

pytestmark = pytest.mark.conformance

UVLOOP_EXCLUDED: dict[str, str] = {}
ANYIO_EXCLUDED: dict[str, str] = {}
_STAT = "blockbuster forgives the os.stat of create_unix_server in asyncio's own file only"
AIOHTTP_EXCLUDED: dict[str, str] = {
    "*::test_unix_connector?pyloop?": _STAT,
    "*/test_web_runner.py::test_addresses?pyloop?": _STAT,
    "*::test_concurrent_close_multiple_tasks?pyloop?": "counts on an answer over loopback taking two turns: ours calls "
    "the protocol in the poll and runs what that made ready in the same turn (it fails on uvloop as well)",
}


def command(suite: Suite, *options: str) -> Sequence[str]:
    """pytest in the suite's environment, without the options that its own developers like."""
    plain = ["-p", "pytest_outcomes", "-p", "no:cacheprovider", "-o", "addopts=", "--quiet", "--tb=short"]
    return [suite.python, "-m", "pytest", *plain, *options]


def test_uvloop(tmp_path: Path) -> None:
    """Its tests run each case on uvloop and on asyncio; the second half is what is run here."""
    suite = fetch("uvloop", "0.23.0", ["psutil", "pyOpenSSL", "aiohttp"])
    options = ["-k", "AIO", "--ignore", "tests/test_sourcecode.py"]
    compare("uvloop", command(suite, *options), tmp_path, UVLOOP_EXCLUDED, cwd=suite.folder, tests=["tests"])


def test_anyio(tmp_path: Path) -> None:
    needs = ["trio", "uvloop", "pytest-mock", "pytest-timeout", "psutil", "trustme", "truststore", "hypothesis"]
    suite = fetch("anyio", "4.16.0", [*needs, "blockbuster", "exceptiongroup", "coverage"])
    options = ["-k", "asyncio and not uvloop"]
    compare("anyio", command(suite, *options), tmp_path, ANYIO_EXCLUDED, cwd=suite.folder, tests=["tests"])


def test_aiohttp(tmp_path: Path) -> None:
    needs = ["freezegun", "pkgconfig", "proxy.py", "pytest-cov", "pytest-mock", "pytest-timeout", "pytest-xdist"]
    more = ["blockbuster", "pytest_codspeed", "trustme", "python-on-whales", "isal", "zlib_ng", "re-assert"]
    suite = fetch("aiohttp", "3.14.5", [*needs, *more])
    options = ["-m", "not dev_mode and not autobahn and not internal", "-k", "not uvloop", "--aiohttp-fast"]
    compare("aiohttp", command(suite, *options), tmp_path, AIOHTTP_EXCLUDED, cwd=suite.folder, tests=["tests"])
