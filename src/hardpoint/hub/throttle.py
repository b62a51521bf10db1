"""Sign-in throttling: how often one address may be wrong. Shared by every door."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import AddressValueError, IPv6Address

from ..errors import RateLimited

WINDOW_MS = 60_000
MAX_ADDRESSES = 10_000
"""Kept at a time; beyond it the one that was wrong longest ago is forgotten. An attacker with that many addresses is
not stopped by counting them: 256-bit tokens and a slow password hash are.
"""


class Throttle:
    """Counts failures by address in windows of a minute; of IPv6 by /64, which is what one customer is given at least:
    2^64 addresses to be wrong from (RFC 6177 §2).
    """

    def __init__(self, max_failures_per_min: int, clock_ms: Callable[[], int]) -> None:
        self.max_failures_per_min = max_failures_per_min
        self._clock_ms = clock_ms
        self._failures: OrderedDict[str, tuple[int, int]] = OrderedDict()  # address → (window's begin, count)

    def check(self, address: str) -> None:
        """May this address try?

        Raises:
            RateLimited: it was wrong too often within the last minute.
        """
        begin, count = self._failures.get(_counted(address), (0, 0))
        left_ms = begin + WINDOW_MS - self._clock_ms()
        if count >= self.max_failures_per_min and 0 < left_ms <= WINDOW_MS:  # beyond it the clock was set back
            raise RateLimited(f"too many failed sign-ins from {address}; try again in {left_ms // 1000 + 1} s")

    def succeeded(self, address: str) -> None:
        """What was counted as `failed` in advance was right: a try that takes long is counted before it is known, or
        a thousand at once would all be the first.
        """
        address = _counted(address)
        begin, count = self._failures.get(address, (0, 0))
        if count > 1:
            self._failures[address] = (begin, count - 1)
        else:
            self._failures.pop(address, None)

    def failed(self, address: str) -> None:
        """This address was wrong."""
        now = self._clock_ms()
        address = _counted(address)
        begin, count = self._failures.get(address, (now, 0))
        if not 0 <= now - begin < WINDOW_MS:
            begin, count = now, 0
        self._failures[address] = (begin, count + 1)
        self._failures.move_to_end(address)
        if len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)


def _counted(address: str) -> str:
    """What an address is counted as: an IPv6 one as its /64, and one that stands for IPv4 (``::ffff:192.0.2.1``, on a
    socket for both) as that. ``[…]`` around it and a zone behind it are of no interest.
    """
    if ":" not in address:
        return address
    try:
        found = IPv6Address(address.strip("[]").partition("%")[0])
    except AddressValueError:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{IPv6Address(int(found) >> 64 << 64)}/64"
