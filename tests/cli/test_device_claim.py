"""``hardpoint device claim|release|gateway``, scripted and against a real server."""

from __future__ import annotations

from hardpoint.cli.client import Address, Client

from .conftest import DEVICE, Script, error
from .serving import serving

CLAIM = "/api/devices/greenhouse/claim"


def owned(owner: str) -> dict[str, object]:
    return {**DEVICE, "labels": {"owner": owner}}


class TestScripted:
    def test_a_claim_says_whose_it_is(self, hardpoint, script: Script) -> None:
        script.answers[f"POST {CLAIM}"] = (200, owned("anna"))
        assert hardpoint("device", "claim", "greenhouse", "--secret", "s").err == "greenhouse belongs to anna\n"
        assert hardpoint("device", "claim", "greenhouse", "--json").json["labels"] == {"owner": "anna"}

    def test_a_wrong_secret_is_refused(self, hardpoint, script: Script) -> None:
        script.answers[f"POST {CLAIM}"] = (403, error("forbidden", "not with that secret"))
        result = hardpoint("device", "claim", "greenhouse")
        assert (result.code, "not with that secret" in result.err) == (77, True)

    def test_a_release(self, hardpoint, script: Script) -> None:
        script.answers[f"DELETE {CLAIM}"] = (200, DEVICE)
        assert hardpoint("device", "release", "greenhouse").err == "greenhouse belongs to nobody\n"
        assert hardpoint("device", "release", "greenhouse", "--json").json["name"] == "greenhouse"

    def test_a_gateway(self, hardpoint, script: Script) -> None:
        script.answers["PATCH /api/devices/greenhouse"] = (200, {**DEVICE, "gateway": True})
        assert hardpoint("device", "gateway", "greenhouse").err == "greenhouse may attach other devices now\n"
        assert hardpoint("device", "gateway", "greenhouse", "--off").err == "greenhouse is no gateway any more\n"
        assert hardpoint("device", "gateway", "greenhouse", "--json").json["gateway"] is True


def test_against_a_server(hardpoint, monkeypatch) -> None:
    with serving() as data:
        monkeypatch.setenv("HARDPOINT_DATA", str(data))
        token = hardpoint("device", "add", "pump").out.strip()
        assert hardpoint("device", "claim", "pump").code == 77
        client = Client(Address(path=f"{data}/hardpoint.sock"))
        client.call("POST", "/api/v1", token, "claim", body={"secretKey": "4711"})
        assert hardpoint("device", "claim", "pump", "--secret", "4712").code == 77
        assert hardpoint("device", "claim", "pump", "--secret", "4711").err == "pump belongs to local\n"
        assert hardpoint("device", "claim", "pump", "--secret", "4711").code == 77  # that offer is used up
        assert "owner=local" in hardpoint("device", "show", "pump").out
        assert hardpoint("device", "release", "pump").code == 0
        assert hardpoint("device", "gateway", "pump").code == 0
        assert "it may attach other devices" in hardpoint("device", "show", "pump").out
