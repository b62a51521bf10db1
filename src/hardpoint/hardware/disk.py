"""File systems: how full they are."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, ClassVar

import psutil

from .base import Driver, key_part

if TYPE_CHECKING:
    from collections.abc import Iterator

ALWAYS_FULL = frozenset({"squashfs", "iso9660", "udf", "erofs", "cramfs"})
"""File systems that are written once: 100 % is their nature (snaps, CDs, firmware images), not an alarm."""
MAX_FILE_SYSTEMS = 16


class Disk(Driver):
    """``disk.root.percent`` and ``disk.root.free_bytes``, and the same for each other disk by its mount point
    (``disk.var_lib.percent``).
    """

    name: ClassVar[str] = "disk"

    def probe(self) -> str | None:
        """Every machine has a root."""
        return None

    def read(self) -> Iterator[tuple[str, float]]:
        """Full as root's own quota leaves it: what only the superuser may still fill counts as used, as in ``df``."""
        seen: Counter[str] = Counter()
        for mount_point in mount_points():
            part = "root" if mount_point == "/" else key_part(mount_point)
            seen[part] += 1
            # /root, and /srv/a.b beside /srv/a_b: the second is disk.root_2, as with zones of one name.
            part = part if seen[part] == 1 else f"{part}_{seen[part]}"
            try:
                usage = psutil.disk_usage(mount_point)
            except OSError:
                # Unplugged between the list and the look, or a FUSE mount of another user.
                continue
            yield f"disk.{part}.percent", usage.percent
            yield f"disk.{part}.free_bytes", usage.free


def mount_points() -> list[str]:
    """The root and the mount points of local disks, each disk once, at most `MAX_FILE_SYSTEMS`.

    Network file systems are left out (``all=False``): asking one whose server is away blocks without end. The root is
    put in because a container's overlay is no physical disk, and is the one that fills up.
    """
    points = {"/": "/"}
    for partition in psutil.disk_partitions(all=False):
        if partition.mountpoint == "/":
            points.pop("/", None)
            points = {partition.device: "/", **points}
        elif partition.fstype not in ALWAYS_FULL and os.path.isdir(partition.mountpoint):
            # A bind mount shows the same device again; a container has files (/etc/hosts) mounted so.
            points.setdefault(partition.device, partition.mountpoint)
    return list(points.values())[:MAX_FILE_SYSTEMS]
