"""``hardpoint channel quiet``, scripted and against a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .serving import serving

if TYPE_CHECKING:
    from .conftest import Script

NIGHT: dict[str, Any] = {
    "begins": "22:00",
    "ends": "07:00",
    "time_zone": "Europe/Berlin",
    "days": [0, 1, 2, 3, 4, 5, 6],
    "channels": [],
    "but_for": "critical",
}
WEEKEND = {**NIGHT, "days": [5, 6], "channels": ["desk"], "but_for": None}


class TestLs:
    def test_is_a_table(self, hardpoint, script: Script) -> None:
        script.answers["GET /api/quiet-hours"] = (200, {"items": [NIGHT, WEEKEND]})
        rows = hardpoint("channel", "quiet", "ls").out.splitlines()[1:]
        assert " ".join(rows[0].split()) == "1 22:00 07:00 Europe/Berlin every day all critical and above"
        assert " ".join(rows[1].split()) == "2 22:00 07:00 Europe/Berlin sat,sun desk nothing"
        found = hardpoint("channel", "quiet", "ls", "--json").json
        assert (found["schema"], len(found["items"])) == ("hardpoint.quiet-hours.v1", 2)

    def test_says_how_to_begin(self, hardpoint, script: Script) -> None:
        script.answers["GET /api/quiet-hours"] = (200, {"items": []})
        assert "hardpoint channel quiet add" in hardpoint("channel", "quiet", "ls").err


def test_are_added_and_removed(hardpoint, monkeypatch) -> None:
    with serving() as data:
        monkeypatch.setenv("HARDPOINT_DATA", str(data))
        quiet = ("channel", "quiet")
        desk = hardpoint("channel", "add", "desk", "--kind", "ntfy", "--set", "topic=a").out.strip()
        added = hardpoint(*quiet, "add", "22:00", "07:00", "--zone", "Europe/Berlin")
        assert (added.code, added.err) == (0, "quiet from 22:00 to 07:00, Europe/Berlin\n")
        weekend = ("--day", "sun", "--day", "sat", "--channel", "desk", "--but-for", "nothing")
        found = hardpoint(*quiet, "add", "22:00", "07:00", "--zone", "Europe/Berlin", *weekend, "--json").json
        assert found["items"] == [NIGHT, {**WEEKEND, "channels": [desk]}]
        assert hardpoint(*quiet, "rm", "3").code == 1
        removed = hardpoint(*quiet, "rm", "1")
        assert (removed.code, removed.err) == (0, "no longer quiet from 22:00 to 07:00\n")
        assert hardpoint(*quiet, "ls", "--json").json["items"] == [{**WEEKEND, "channels": [desk]}]
        assert hardpoint(*quiet, "rm", "1", "--json").json["items"] == []

        for wrong in (("25:00", "07:00", "--zone", "UTC"), ("22:00", "07:00", "--zone", "Europe")):
            refused = hardpoint(*quiet, "add", *wrong)
            assert refused.code == 1, refused.err
        assert hardpoint(*quiet, "add", "22:00", "07:00", "--zone", "UTC", "--channel", "none").code == 1
        assert hardpoint(*quiet, "add", "22:00", "07:00").code == 2
