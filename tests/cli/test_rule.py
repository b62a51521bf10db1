"""``hardpoint rule``, ``alert`` and ``channel``: what is asked of the server, and what is printed of its answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .conftest import DEVICE, Script, error

NOW_MS = 1_763_880_100_000
RULE: dict[str, Any] = {
    "id": "too-hot",
    "name": "Too hot",
    "scope": "label:room=greenhouse",
    "when": {"key": "temp", "is": "above", "value": 30, "until": 28},
    "sentence": "temp is above 30",
    "for_s": 300.0,
    "severity": "critical",
    "channels": ["ch-1"],
    "command": {"method": "fan", "params": "on"},
    "repeat_s": 3600.0,
    "enabled": True,
    "muted_until": None,
    "created": 1_763_880_000_000,
    "firing": 2,
}
STANDING = {
    "device": "greenhouse",
    "state": "no_data",
    "why": "the last reading came 400 s ago",
    "holds": "firing",
    "since": 1,
    "ts": 1,
    "value": 31.5,
    "key": "temp",
    "label": "temp",
    "unit": None,
    "decimals": None,
}
SHOWN = {"key": "temp", "label": "Air", "unit": "°C", "decimals": None}
ALERT: dict[str, Any] = {
    "id": 12,
    "rule": "too-hot",
    "name": "Too hot",
    "device": "greenhouse",
    "severity": "critical",
    "text": "temp is above 30",
    "told": "Air is above 30 °C",
    "value": 31.5,
    "key": "temp",
    "label": "Air",
    "unit": "°C",
    "decimals": 2,
    "silent": None,
    "state": "firing",
    "since": NOW_MS - 400_000,
    "fired": NOW_MS - 100_000,
    "resolved": None,
    "reason": None,
    "acknowledged": None,
    "acknowledged_by": None,
    "muted_until": None,
}
CHANNEL = {"id": "ch-1", "name": "phone", "kind": "ntfy", "settings": {"topic": "x", "token": None}, "created": 1}
DELIVERY = {
    "id": 3,
    "channel": "ch-1",
    "alert": 12,
    "event": "firing",
    "state": "waiting",
    "created": NOW_MS - 5000,
    "due": NOW_MS,
    "attempts": 2,
    "steps": [{"state": "waiting", "at": 1, "reason": "HTTP 502 \x1b[1mBad"}],
}


@pytest.fixture(autouse=True)
def known(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("alert", "channel", "rule"):
        monkeypatch.setattr(f"hardpoint.cli.{module}.now_ms", lambda: NOW_MS)
    script.answers |= {
        "GET /api/rules": (200, {"items": [RULE, RULE | {"id": "off", "for_s": 0, "enabled": False}]}),
        "GET /api/rules/too-hot": (200, RULE | {"standings": [STANDING]}),
        "POST /api/rules": (201, RULE),
        "PATCH /api/rules/too-hot": (200, RULE),
        "DELETE /api/rules/too-hot": (204, None),
        "GET /api/devices/greenhouse": (200, DEVICE),
        "GET /api/channels": (200, {"items": [CHANNEL], "kinds": ["ntfy", "mail"]}),
        "GET /api/alerts": (200, {"items": [ALERT], "next_cursor": "12"}),
        "GET /api/deliveries": (200, {"items": [DELIVERY], "next_cursor": None}),
    }


class TestRule:
    def test_ls(self, hardpoint) -> None:
        head, hot, off = hardpoint("rule", "ls").out.splitlines()
        assert head.split() == ["RULE", "WHEN", "ON", "SEVERITY", "FIRING"]
        assert hot.split("  ") == ["too-hot", "temp is above 30 for 5 min", "label:room=greenhouse", "critical", "2"]
        assert off.endswith("critical  off")
        assert hardpoint("rule", "ls", "--json").json["schema"] == "hardpoint.rules.v1"

    def test_the_first_step_is_told(self, hardpoint, script: Script) -> None:
        script.answers["GET /api/rules"] = (200, {"items": []})
        assert "hardpoint rule add" in hardpoint("rule", "ls").err

    def test_add_is_the_sentence(self, hardpoint, script: Script) -> None:
        sentence = (
            "--when", "temp above 30", "--for", "5min", "--until", "28", "--on", "label:room=greenhouse",
            "--severity", "critical", "--tell", "phone", "--repeat", "1h", "--send", "fan on",
        )  # fmt: skip
        result = hardpoint("rule", "add", "Too hot", *sentence)
        assert (result.code, result.out) == (0, "too-hot\n")
        assert script.last("POST").body == {
            "name": "Too hot",
            "when": {"key": "temp", "is": "above", "value": 30, "until": 28},
            "for_s": 300.0,
            "scope": "label:room=greenhouse",
            "severity": "critical",
            "channels": ["ch-1"],
            "repeat_s": 3600.0,
            "command": {"method": "fan", "params": "on"},
        }

    @pytest.mark.parametrize(
        ("argv", "fields"),
        [
            (("--on", "greenhouse"), {"scope": "device:greenhouse"}),
            (("--on", "device:greenhouse"), {"scope": "device:greenhouse"}),
            (("--on", "all", "--id", "mine"), {"scope": "all", "id": "mine"}),
            (("--send", "ping"), {"command": {"method": "ping"}}),
            (
                ("--send", "blink times=3 colour='deep red'", "--send-to", "greenhouse"),
                {"command": {"method": "blink", "params": {"times": 3, "colour": "deep red"}, "device": "greenhouse"}},
            ),
            (("--send", "fan off", "--enable"), None),
        ],
    )
    def test_parts(self, hardpoint, script: Script, argv: tuple[str, ...], fields: dict[str, Any] | None) -> None:
        result = hardpoint("rule", "add", "R", "--when", "temp missing", *argv)
        if fields is None:
            assert result.code == 2, "a new rule is on"
            return
        assert result.code == 0
        assert script.last("POST").body == {"name": "R", "when": {"key": "temp", "is": "missing"}} | fields

    @pytest.mark.parametrize(
        ("code", "argv"),
        [
            (2, ("add", "R")),
            (2, ("add", "R", "--until", "3")),
            (2, ("add", "R", "--when", "temp missing", "--send-to", "greenhouse")),
            (2, ("add", "R", "--when", "temp missing", "--send", "'")),
            (2, ("add", "R", "--when", "temp missing", "--send", "a b c")),
            (1, ("add", "R", "--when", "temp missing", "--tell", "pager")),
            (1, ("add", "R", "--when", "temp missing", "--on", "nobody")),
            (2, ("change", "too-hot")),
            (2, ("change", "too-hot", "--until", "3")),
            (2, ("test",)),
            (1, ("test", "too-hot", "--since", "now", "--to", "1h")),
            (1, ("show", "none")),
        ],
    )
    def test_what_cannot_be(self, hardpoint, code: int, argv: tuple[str, ...]) -> None:
        result = hardpoint("rule", *argv)
        assert (result.code, result.out) == (code, "")
        assert result.err.startswith("error: ")

    def test_show_says_why(self, hardpoint) -> None:
        out = hardpoint("rule", "show", "too-hot").out
        for line in ("when          temp is above 30 for 5 min", "until         28", "sends         fan on"):
            assert line in out.splitlines()
        assert "tells         ch-1, again every 60 min" in out
        assert out.splitlines()[-1] == "greenhouse  no data  31.5   the last reading came 400 s ago"

    def test_change_sends_what_is_given(self, hardpoint, script: Script) -> None:
        assert hardpoint("rule", "change", "too-hot", "--off", "--name", "Hot").code == 0
        assert script.last("PATCH").body == {"name": "Hot", "enabled": False}

    def test_rm_and_mute(self, hardpoint, script: Script) -> None:
        assert "removed too-hot" in hardpoint("rule", "rm", "too-hot").err
        script.answers["POST /api/rules/too-hot/mute"] = (200, RULE | {"muted_until": NOW_MS})
        assert "until 2025-11-23T06:41:40.000Z" in hardpoint("rule", "mute", "too-hot", "--for", "2h").err
        assert script.last("POST").body == {"for_s": 7200.0}
        script.answers["POST /api/rules/too-hot/mute"] = (200, RULE)
        assert "too-hot tells again" in hardpoint("rule", "mute", "too-hot", "--for", "0s").err

    def test_a_dry_run_of_a_rule_with_something_else(self, hardpoint, script: Script) -> None:
        firings = [
            {"device": "greenhouse", "since": 0, "fired": 300_000, "resolved": 900_000, "value": 31} | SHOWN,
            {"device": "greenhouse", "since": 0, "fired": NOW_MS - 180_000, "resolved": None, "value": None} | SHOWN,
        ]
        body = {"sentence": "temp is above 35", "firings": firings, "fired": 5, "readings": 100}
        script.answers["POST /api/rules/dry-run"] = (200, body)
        result = hardpoint("rule", "test", "too-hot", "--when", "temp above 35", "--since", "1000", "--to", str(NOW_MS))
        assert script.last("POST").body == {
            "name": "Too hot",
            "when": {"key": "temp", "is": "above", "value": 35},
            "scope": "label:room=greenhouse",
            "for_s": 300.0,
            "severity": "critical",
            "from_ms": 1000,
            "to_ms": NOW_MS,
        }
        _, first, second = result.out.splitlines()
        assert first.split() == [
            "greenhouse",
            "1970-01-01T00:00:00.000Z",
            "1970-01-01T00:05:00.000Z",
            "10",
            "min",
            "31",
            "°C",
        ]
        assert second.endswith("3 min, still firing")
        assert result.err == "temp is above 35: 5 alerts in 100 readings (3 more are not shown)\n"


class TestAlert:
    def test_ls(self, hardpoint, script: Script) -> None:
        result = hardpoint("alert", "ls", "--firing", "--device", "greenhouse", "--limit", "1")
        assert script.last("GET").target == "/api/alerts?state=firing&device=greenhouse&limit=1"
        (row,) = result.out.splitlines()[1:]
        assert row == "12     firing  critical  greenhouse  Too hot: Air is above 30 °C (31.50 °C)  100 s ago"
        assert "there are more" in result.err

    def test_show(self, hardpoint, script: Script) -> None:
        seen = {"acknowledged": NOW_MS, "acknowledged_by": "ada\x1b", "silent": {"until": NOW_MS, "by": "rule"}}
        ended = ALERT | seen | {"state": "resolved", "resolved": NOW_MS, "reason": "the rule was removed"}
        script.answers["GET /api/alerts/12"] = (200, ended)
        lines = hardpoint("alert", "show", "12").out.splitlines()
        assert r"acknowledged  2025-11-23T06:41:40.000Z by ada\x1b" in lines
        assert "resolved      2025-11-23T06:41:40.000Z, after 100 s" in lines
        assert "because       the rule was removed" in lines
        assert "muted until   2025-11-23T06:41:40.000Z, as its rule is" in lines
        assert hardpoint("alert", "show", "12", "--json").json["id"] == 12

    def test_ack_and_mute(self, hardpoint, script: Script) -> None:
        seen = ALERT | {"acknowledged": NOW_MS, "acknowledged_by": "ada"}
        script.answers["POST /api/alerts/12/acknowledge"] = (200, seen)
        assert "acknowledged by ada" in hardpoint("alert", "ack", "12").err
        script.answers["POST /api/alerts/12/mute"] = (200, ALERT | {"muted_until": NOW_MS})
        assert "is not told until" in hardpoint("alert", "mute", "12").err
        script.answers["POST /api/alerts/12/mute"] = (200, ALERT)
        assert "is told again" in hardpoint("alert", "mute", "12", "--for", "0s").err
        late = {"id": 13, "code": "conflict", "message": "alert 13 has ended"}
        script.answers["POST /api/alerts/acknowledge"] = (200, {"items": [seen], "refused": [late]})
        result = hardpoint("alert", "ack", "12", "13")
        assert result.code == 1
        assert "1 alerts are acknowledged" in result.err
        assert "alert 13 has ended" in result.err
        assert script.last("POST").body == {"alerts": [12, 13]}
        script.answers["POST /api/alerts/acknowledge"] = (200, {"items": [seen, seen], "refused": []})
        result = hardpoint("alert", "ack", "12", "13", "--json")
        assert (result.code, len(result.json["items"])) == (0, 2)
        script.answers["POST /api/alerts/12/acknowledge"] = (409, error("conflict", "alert 12 has ended"))
        assert hardpoint("alert", "ack", "12").code == 1


class TestChannel:
    def test_ls_keeps_secrets(self, hardpoint, script: Script) -> None:
        assert hardpoint("channel", "ls").out.splitlines()[1] == "ch-1     phone  ntfy  topic=x token=(secret)"
        script.answers["GET /api/channels"] = (200, {"items": [], "kinds": ["ntfy", "mail"]})
        assert "--kind ntfy|mail" in hardpoint("channel", "ls").err

    def test_add(self, hardpoint, script: Script, tmp_path: Path) -> None:
        script.answers["POST /api/channels"] = (201, CHANNEL)
        key = tmp_path / "key"
        key.write_text("s3cret\nmore\n")
        settings = ("--set", "host=h", "--set", "port=25", "--set", 'to=["a@b","c@d"]', "--set-file", f"password={key}")
        assert hardpoint("channel", "add", "phone", "--kind", "mail", *settings).out == "ch-1\n"
        assert script.last("POST").body == {
            "name": "phone",
            "kind": "mail",
            "settings": {"host": "h", "port": 25, "to": ["a@b", "c@d"], "password": "s3cret"},
        }

    @pytest.mark.parametrize(
        ("code", "argv"),
        [(2, ("--set", "url")), (1, ("--set", "to=[")), (1, ("--set-file", "secret=/nowhere/at/all"))],
    )
    def test_what_cannot_be(self, hardpoint, code: int, argv: tuple[str, ...]) -> None:
        assert hardpoint("channel", "add", "c", "--kind", "webhook", *argv).code == code

    def test_test_and_rm(self, hardpoint, script: Script) -> None:
        script.answers["POST /api/channels/ch-1/test"] = (200, {"said": "HTTP 200"})
        assert hardpoint("channel", "test", "phone").out == "HTTP 200\n"
        script.answers["POST /api/channels/ch-1/test"] = (502, error("not_delivered", "HTTP 404 Not Found"))
        result = hardpoint("channel", "test", "ch-1")
        assert (result.code, "HTTP 404 Not Found" in result.err) == (1, True)
        script.answers["DELETE /api/channels/ch-1"] = (204, None)
        assert "removed phone" in hardpoint("channel", "rm", "phone").err
        assert hardpoint("channel", "rm", "nobody").code == 1

    def test_log(self, hardpoint) -> None:
        (row,) = hardpoint("channel", "log").out.splitlines()[1:]
        assert row == r"3         ch-1     12     firing  waiting  2      HTTP 502 \x1b[1mBad  5 s ago"
