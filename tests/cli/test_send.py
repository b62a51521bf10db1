"""``hardpoint send``: parameters, answers, and what became of a command without one."""

from __future__ import annotations

import pytest

from hardpoint.cli.send import parse_params

from .conftest import COMMAND, Script, error

POST = "POST /api/devices/greenhouse/commands"


class TestAnswers:
    def test_done(self, hardpoint, script: Script) -> None:
        script.answers[POST] = (200, COMMAND)
        result = hardpoint("send", "greenhouse", "blink", "times=3", "colour=red")
        assert (result.code, result.out, result.err) == (0, '{"ok":true}\n', "done: command 7\n")
        body = {"method": "blink", "params": {"times": 3, "colour": "red"}, "ttl_s": 60.0, "wait_s": 10.0}
        assert script.last("POST").body == body

    def test_done_as_json(self, hardpoint, script: Script) -> None:
        script.answers[POST] = (200, COMMAND)
        result = hardpoint("send", "greenhouse", "blink", "--json")
        assert result.json == {"schema": "hardpoint.command.v1", **COMMAND}
        assert result.err == ""

    def test_the_device_answers_with_an_error(self, hardpoint, script: Script) -> None:
        steps = [*COMMAND["steps"], {"state": "failed", "at": 0, "reason": "no\x1b such pin"}]
        script.answers[POST] = (200, {**COMMAND, "state": "failed", "steps": steps})
        result = hardpoint("send", "greenhouse", "blink")
        assert (result.code, result.out) == (1, "")
        assert result.err == "error: greenhouse: failed: no\\x1b such pin\n"
        assert hardpoint("send", "greenhouse", "blink", "--json").json["state"] == "failed"

    def test_it_was_cancelled_without_a_word(self, hardpoint, script: Script) -> None:
        script.answers[POST] = (200, {**COMMAND, "state": "cancelled"})
        assert hardpoint("send", "greenhouse", "blink").err == "error: greenhouse: cancelled: no reason was given\n"

    @pytest.mark.parametrize(
        ("state", "said"), [("queued", "it is not attached, the command waits for it"), ("sent", "the command is sent")]
    )
    def test_no_answer_in_time(self, hardpoint, script: Script, state: str, said: str) -> None:
        late = {**error("timed_out", "no answer"), "command": {**COMMAND, "state": state}}
        script.answers[POST] = (504, late)
        result = hardpoint("send", "greenhouse", "blink", "--wait", "2.5")
        assert result.code == 75
        assert f"error: greenhouse did not answer within 2.5 s: {said}\nhint: " in result.err

    def test_another_refusal(self, hardpoint, script: Script) -> None:
        script.answers[POST] = (400, error("bad_request", "too many open commands"))
        assert hardpoint("send", "greenhouse", "blink").err == "error: too many open commands\n"

    def test_without_waiting(self, hardpoint, script: Script) -> None:
        script.answers[POST] = (202, {"id": 7, "state": "queued"})
        assert hardpoint("send", "greenhouse", "blink", "--no-wait", "--ttl", "5").out == "7\n"
        assert script.last("POST").body == {"method": "blink", "params": None, "ttl_s": 5.0}
        assert hardpoint("send", "greenhouse", "blink", "--no-wait", "--json").json["state"] == "queued"


class TestParameters:
    @pytest.mark.parametrize(
        ("pairs", "params", "found"),
        [
            ((), None, None),
            (("a=1", "b=true", "c=null", 'd="5"', "e=[1]"), None, {"a": 1, "b": True, "c": None, "d": "5", "e": [1]}),
            (("a=", "b=007", "c=NaN", "d=x=y", "e=["), None, {"a": "", "b": "007", "c": "NaN", "d": "x=y", "e": "["}),
            ((), "[1, 2]", [1, 2]),
            ((), "null", None),
        ],
    )
    def test_taken(self, pairs: tuple[str, ...], params: str | None, found: object) -> None:
        assert parse_params(pairs, params) == found

    @pytest.mark.parametrize(
        ("argv", "code"),
        [
            (["times"], 2),
            (["=3"], 2),
            (["a=1", "--params", "{}"], 2),
            (["--params", "{"], 1),
            (["--params", "[" * 5000], 1),
            (["--wait", "0"], 2),
            (["--wait", "301"], 2),
            (["--wait", "nan"], 2),
            (["--ttl", "inf"], 2),
        ],
    )
    def test_refused_before_anything_is_sent(self, hardpoint, script: Script, argv: list[str], code: int) -> None:
        assert hardpoint("send", "greenhouse", "blink", *argv).code == code
        assert script.asked == []
