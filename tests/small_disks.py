"""Disks that are soon full: small file systems in memory, mounted for one test."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(size_kib: int) -> Iterator[Path]:
    """A real file system of that size. Skips the test where mounting one is not allowed.

    Not under pytest's own folder: were this process killed, the mount left behind would fail every later clean-up.
    """
    point = Path(tempfile.mkdtemp(prefix="hp-disk-"))  # short, for a Unix socket's path
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", str(point)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        point.rmdir()
        pytest.skip("mounting a small tmpfs needs root")
    try:
        yield point
    finally:
        # Lazily: a test that failed has files on it open still.
        subprocess.run(["umount", "--lazy", str(point)], check=True)
        point.rmdir()


def resize(point: Path, size_kib: int) -> None:
    """Make it larger, as somebody does who tidies up."""
    subprocess.run(["mount", "-o", f"remount,size={size_kib}k", str(point)], check=True)
