"""Which series are meant: named one by one, or by patterns of devices and keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from ...errors import BadInput, NotFound

if TYPE_CHECKING:
    from ..devices import Catalogue, DeviceState, SeriesState


def select(
    catalogue: Catalogue,
    named: Sequence[str],
    devices: Sequence[str],
    keys: Sequence[str],
    *,
    sees: Callable[[DeviceState], bool] = lambda _: True,
) -> list[SeriesState]:
    """Series by device and key, each once; of devices that whoever asks ``sees``, as if there were no others.

    ``named`` are ``device:key``, which must exist. ``devices`` and ``keys`` are shell patterns of a device's id or name
    and of a key; one of the two left out stands for all. A pattern that fits nothing is no error, a plain name is.

    Raises:
        BadInput: nothing is named at all, or one of ``named`` has no colon.
        NotFound: there is no such device or series.
    """
    if not (named or devices or keys):
        raise BadInput("say which: series=DEVICE:KEY, or device= and key=, each any number of times", field="series")
    found: dict[int, SeriesState] = {}
    for text in named:
        name, colon, key = text.rpartition(":")  # a key has no colon, a device's name may
        if not colon:
            raise BadInput(f"series is DEVICE:KEY, not {text[:200]!r}", field="series")
        series = _find(catalogue, name, sees).series_of(key)
        found[series.id] = series
    if devices or keys:
        for device in _devices(catalogue, devices, sees):
            for key, series in (device.series or {}).items():
                if not keys or any(fnmatchcase(key, pattern) for pattern in keys):
                    found[series.id] = series
    return sorted(found.values(), key=_order)


def _find(catalogue: Catalogue, name: str, sees: Callable[[DeviceState], bool]) -> DeviceState:
    device = catalogue.find(name)
    if not sees(device):
        raise NotFound(f"there is no device {name!r}", field="device")
    return device


def _devices(
    catalogue: Catalogue, patterns: Sequence[str], sees: Callable[[DeviceState], bool]
) -> Iterator[DeviceState]:
    if not patterns:
        yield from filter(sees, catalogue)
        return
    seen: set[str] = set()
    for pattern in patterns:
        fitting: Sequence[DeviceState]
        if any(mark in pattern for mark in "*?["):
            fitting = [
                device
                for device in catalogue
                if sees(device) and (fnmatchcase(device.id, pattern) or fnmatchcase(device.record.name, pattern))
            ]
        else:
            fitting = [_find(catalogue, pattern, sees)]
        for device in fitting:
            if device.id not in seen:
                seen.add(device.id)
                yield device


def _order(series: SeriesState) -> tuple[str, str]:
    return series.device.id, series.key
