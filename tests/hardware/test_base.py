from __future__ import annotations

import pytest

from hardpoint.hardware.base import Rate, key_part
from hardpoint.model import KEY_PATTERN


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("eth0", "eth0"),
        ("eth0.100", "eth0_100"),
        ("/var/lib", "var_lib"),
        ("Package id 0", "Package_id_0"),
        ("cpu-thermal", "cpu-thermal"),
        ("℃", "unnamed"),
        ("x" * 200, "x" * 32),
    ],
)
def test_key_part(text, part):
    assert key_part(text) == part
    assert KEY_PATTERN.fullmatch(f"a.{part}")


def test_rate_is_the_rise_a_second():
    now = [100.0]
    rate = Rate(lambda: now[0])
    assert rate.update(1000) is None
    now[0] += 10
    assert rate.update(6000) == 500


def test_rate_repeats_itself_within_the_smallest_window():
    now = [0.0]
    rate = Rate(lambda: now[0])
    rate.update(0)
    now[0] = 0.5
    assert rate.update(100) is None
    now[0] = 2
    assert rate.update(200) == 100
    now[0] = 2.9
    assert rate.update(9999) == 100
    now[0] = 4
    assert rate.update(600) == 200


def test_rate_starts_over_when_the_counter_fell():
    now = [0.0]
    rate = Rate(lambda: now[0])
    rate.update(1000)
    now[0] = 10
    assert rate.update(10) is None
    now[0] = 20
    assert rate.update(110) == 10
