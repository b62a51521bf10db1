"""The JSON Schema of the file."""

from __future__ import annotations

from hardpoint.cli.schema import schema
from hardpoint.config import settings


class TestSchema:
    def test_it_is_printed(self, hardpoint) -> None:
        assert hardpoint("config", "schema").json["title"] == "hardpoint.toml"

    def test_it_has_every_setting_and_no_other(self) -> None:
        root = schema()
        found = set()
        for name, described in root["properties"].items():
            if described["type"] == "object":
                assert described["additionalProperties"] is False
                found |= {f"{name}.{below}" for below in described["properties"]}
            else:
                found.add(name)
        assert found == set(settings())
        assert root["additionalProperties"] is False

    def test_ranges_choices_and_units(self) -> None:
        properties = schema()["properties"]
        line = properties["limits"]["properties"]["max_line_bytes"]
        assert (line["type"], line["minimum"], line["maximum"]) == (["integer", "string"], 256, 2**24)
        assert properties["loop"]["enum"] == ["hardpoint", "asyncio", "uvloop"]
        assert properties["allow_anonymous"] == {
            "description": settings()["allow_anonymous"].help,
            "type": "boolean",
            "default": False,
        }
