"""What the server says when it is ready: the doors that are really there."""

from __future__ import annotations

from typing import Any

import pytest

from hardpoint.banner import describe_start


def told(**given: Any) -> str:
    listeners = [f"{scheme}://10.0.0.1:{port}" for scheme, port in given["ports"].items()]
    fields: dict[str, Any] = {"link": "L", "token": "T", "store": {}, "devices": 0, "allow_anonymous": False}
    return describe_start(version="1", listeners=listeners, **fields | given)


@pytest.mark.parametrize(
    ("ports", "page", "try_it"),
    [
        ({"line": 9000, "http": 8080}, "http://10.0.0.1:8080/welcome#L", "nc 10.0.0.1 9000"),
        ({"any": 9000}, "http://10.0.0.1:9000/welcome#L", "nc 10.0.0.1 9000"),
        (
            {"lines": 9443, "https": 8443},
            "https://10.0.0.1:8443/welcome#L",
            "openssl s_client -quiet -connect 10.0.0.1:9443",
        ),
        ({"any": 1, "https": 8443, "lines": 2}, "https://10.0.0.1:8443/welcome#L", "nc 10.0.0.1 1"),
        ({"mqtt": 1883}, None, None),
    ],
)
def test_page_and_line(ports: dict[str, int], page: str | None, try_it: str | None) -> None:
    lines = told(ports=ports).splitlines()
    assert [line.split()[1] for line in lines if "Dashboard" in line] == ([page] if page else [])
    found = [line.rpartition(" | ")[2] for line in lines if "Try it" in line]
    assert found == ([try_it] if try_it else [])
    for scheme, port in ports.items():
        assert any(line.endswith(f"{scheme}://10.0.0.1:{port}") for line in lines)


def test_what_clients_are_to_trust() -> None:
    assert "  Trust      /d/tls/ca.pem is what TLS clients need" in told(ports={"https": 1}, trust="/d/tls/ca.pem")
    assert "Trust" not in told(ports={"https": 1})
