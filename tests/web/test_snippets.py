"""The snippets as text and over the API; tests/cli/test_end_to_end.py runs them."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import re
from dataclasses import replace
from typing import ClassVar

import msgspec
import pytest

from hardpoint.errors import BadInput
from hardpoint.web import programs
from hardpoint.web import snippets as web_snippets
from hardpoint.web.snippets import (
    KINDS,
    TOKEN,
    Doors,
    Snippets,
    checked_origin,
    doors_at,
    snippets,
)
from hub.hubs import attached

from .webs import HEALTH, open_web

EVERY = Doors(
    line=("fe80::1", 9000),
    http="http://[fe80::1]:8080",
    mqtt=("fe80::1", 1883),
    lines=("fe80::1", 9443),
    https="https://[fe80::1]:8443",
    mqtts=("fe80::1", 8883),
)
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\nAg==\n-----END CERTIFICATE-----\n"
OWN = replace(EVERY, ca=PEM)


class TestText:
    def test_only_the_doors_that_are_open(self):
        assert snippets("t", Doors()) == {}
        assert list(snippets("t", Doors(http="http://h:1"))) == [
            "homeassistant",
            "nodered",
            "curl",
            "paho",
            "websocket",
        ]
        assert list(snippets("t", Doors(mqtt=("h", 1)))) == ["esphome", "mqtt", "paho"]
        assert list(snippets("t", EVERY)) == list(KINDS)

    def test_the_line_for_nc_ends_the_connection_itself(self):
        made = snippets("hp_x", Doors(line=("h", 1)))
        assert made["nc"] == r"printf 'HELLO hp_x\ntemp=21.5\nQUIT\n' | nc h 1"

    def test_an_ipv6_host_has_brackets_where_a_port_follows_it(self):
        made = snippets("hp_x", EVERY)
        assert made["nc"].endswith("| nc fe80::1 9000")
        assert made["agent"] == "hardpoint agent --server [fe80::1]:9000 --token hp_x"
        assert "http://[fe80::1]:8080/api/v1/hp_x/telemetry" in made["curl"]
        assert 'WebSocket("ws://[fe80::1]:8080/api/v1/hp_x/ws")' in made["websocket"]

    def test_a_page_behind_tls_speaks_websocket_over_tls(self):
        assert '"wss://h/api/v1/t/ws"' in snippets("t", Doors(https="https://h"), tls=True)["websocket"]

    def test_behind_a_proxy_mqtt_goes_over_websocket_to_the_address_outside(self):
        doors = Doors(
            line=("h.example", 9000),
            lines=("h.example", 9443),
            https="https://h.example",
            mqtts=("h.example", 8883),
            relayed=True,
            ca=PEM,
        )
        made = snippets("hp_x", doors, tls=True)
        assert "ca.pem" not in made["curl"] + made["paho"], "a proxy shows a certificate of its own"
        assert "ca.pem" in made["nc"]
        assert "https://h.example/api/v1/hp_x/telemetry" in made["homeassistant"]
        assert list(snippets("hp_x", doors)) == [
            "nc",
            "python",
            "arduino",
            "micropython",
            "node",
            "go",
            "powershell",
            "agent",
        ]
        assert 'connect("h.example", 443)' in made["paho"]
        assert 'transport="websockets"' in made["paho"]
        assert "tls_set()" in made["paho"]
        assert json.loads(made["nodered"])[1]["path"] == "wss://h.example/api/v1/hp_x/ws"
        assert 'connect("h.example", 443)' in snippets("t", replace(doors, mqtts=None, relayed=False), tls=True)["paho"]
        plain = snippets("hp_x", Doors(http="http://h:8080", mqtt=("h", 1883)))["paho"]
        assert 'connect("h", 1883)' in plain
        assert "websockets" not in plain

    @pytest.mark.parametrize(("doors", "tls"), [(EVERY, False), (EVERY, True), (OWN, True)])
    def test_node_red_gets_a_flow_whose_wires_end_at_its_own_nodes(self, doors, tls):
        flow = json.loads(snippets("hp_x", doors, tls=tls)["nodered"])
        ids = {node["id"] for node in flow}
        assert len(ids) == len(flow)
        assert {end for node in flow for wires in node.get("wires", ()) for end in wires} <= ids
        assert flow[1]["tls"] in (ids if tls else {""})
        assert [node["ca"] for node in flow if node["type"] == "tls-config"] == ["ca.pem" if doors.ca else ""] * tls

    @pytest.mark.parametrize("tls", [False, True])
    def test_esphome_gets_one_file_with_a_broker(self, tls):
        yaml = pytest.importorskip("yaml", reason="PyYAML, which apprise brings, is not installed")
        made = yaml.safe_load(snippets("hp_x", OWN, tls=tls)["esphome"])
        assert (made["mqtt"]["broker"], made["mqtt"]["port"]) == ("fe80::1", 8883 if tls else 1883)
        assert made["mqtt"]["username"] == "hp_x"
        assert made["mqtt"].get("certificate_authority") == (PEM.strip() if tls else None)
        assert made["sensor"][0]["on_value"][0]["mqtt.publish_json"]["payload"].strip() == 'root["temp"] = x;'

    @pytest.mark.parametrize("tls", [False, True])
    @pytest.mark.parametrize("name", ["python", "micropython", "paho"])
    def test_python_is_python(self, name, tls):
        ast.parse(snippets("t", OWN, tls=tls)[name])

    @pytest.mark.parametrize(("doors", "tls"), [(EVERY, False), (EVERY, True), (OWN, True)])
    def test_each_has_the_token(self, doors, tls):
        made = snippets("hp_x", doors, tls=tls)
        assert set(made) == set(KINDS) - ({"homeassistant"} if doors.ca else set())
        assert all("hp_x" in text for text in made.values())


class TestTrust:
    """Over TLS each says whom to trust, and what is without TLS says nothing of it."""

    IN_A_FILE = ("nc", "nodered", "python", "curl", "mqtt", "paho", "node", "go", "agent")

    def test_by_a_file_or_by_the_text(self):
        made = snippets("t", OWN, tls=True)
        assert {name for name, text in made.items() if "ca.pem" in text} == set(self.IN_A_FILE)
        assert PEM.strip() in made["arduino"]
        assert 'CA = "MIIBAg=="' in made["micropython"]

    def test_whom_the_machine_knows_needs_no_file(self):
        made = snippets("t", EVERY, tls=True)
        assert not any("ca.pem" in text for text in made.values())
        assert "--tls-use-os-certs" in made["mqtt"]
        assert programs.ITS_CERTIFICATE in made["arduino"]

    def test_without_tls_there_is_nobody_to_trust(self):
        for text in snippets("t", OWN).values():
            assert not re.search(r"ca\.pem|CERTIFICATE|tls_set|ssl|https|lines:|os-certs", text)

    def test_a_change_to_what_is_not_there_is_a_mistake(self):
        with pytest.raises(ValueError, match="not in it once"):
            programs._changed("a b a", ("a", "c"))
        with pytest.raises(ValueError, match="not in it once"):
            programs._changed("a b a", ("x", "c"))


class TestDoors:
    LISTENERS: ClassVar = [
        {"url": f"{scheme}://0.0.0.0:{port}", "port": port}
        for scheme, port in (("line", 9), ("http", 80), ("https", 443), ("lines", 90), ("any", 7))
    ]

    def test_both_ways_in_are_told_of_whichever_was_taken(self):
        for origin in ("http://h", "https://h"):
            found = doors_at(origin, "h", self.LISTENERS, certified=True, ca="pem")
            assert (found.relayed, found.ca) == (False, "pem")
            assert {found.http, found.https} >= {origin}
        assert doors_at("http://h", "h", self.LISTENERS).https == "https://h:443"
        assert doors_at("https://[::1]", "::1", self.LISTENERS).http == "http://[::1]:80"

    def test_any_speaks_tls_once_it_has_a_certificate(self):
        assert doors_at("http://h", "h", self.LISTENERS, certified=True).mqtts == ("h", 7)
        found = doors_at("http://h:7", "h", [self.LISTENERS[-1]])
        assert found == Doors(("h", 7), "http://h:7", ("h", 7))

    def test_past_a_proxy_only_its_own_origin_is_sure(self):
        found = doors_at("https://h:444", "h", self.LISTENERS)
        assert (found.relayed, found.http, found.https) == (True, None, "https://h:444")


class TestOrigin:
    @pytest.mark.parametrize(
        ("origin", "host"),
        [("http://h:8080", "h"), ("https://a.example", "a.example"), ("http://[::1]:80", "::1")],
    )
    def test_host(self, origin, host):
        assert checked_origin(origin) == host

    @pytest.mark.parametrize(
        "origin",
        [
            "",
            "h:80",
            "ftp://h",
            "http://",
            "http://h/path",
            "http://u@h",
            "http://h:x",
            "http://h'$(id)",
            "http://[::1",
        ],
    )
    def test_what_is_none_or_would_need_quoting(self, origin):
        with pytest.raises(BadInput):
            checked_origin(origin)


class TestRoute:
    def test_has_a_place_for_the_token_and_the_host_that_was_asked(self, anyrun, monkeypatch):
        ports = (("line", 9), ("any", 7), ("http", 8081))
        listeners = [{"url": f"{scheme}://0.0.0.0:{port}", "port": port} for scheme, port in ports]
        monkeypatch.setitem(HEALTH, "listeners", listeners)

        async def scene():
            async with open_web() as web, await web.as_role("viewer") as client:
                await attached(web.hub)
                _, document = await client.ask("GET", "/api/devices/dev/snippets?origin=http://box:8080")
                found = msgspec.convert(document, Snippets, strict=True)
                texts = {one.name: one.text for one in found.items}
                assert (found.token, found.relayed, found.hosts, found.ca) == (TOKEN, True, [], None)
                assert [one.tls for one in found.items] == [None] * len(found.items)
                _, document = await client.ask("GET", "/api/devices/dev/snippets?origin=http://box:8081")
                assert document["relayed"] is False
                assert texts["nc"].endswith("| nc box 9")
                assert "-h box -p 7 -u YOUR_TOKEN" in texts["mqtt"], "one door for everything"
                _, document = await client.ask("GET", "/api/devices/dev/snippets")
                assert f"http://127.0.0.1:{web.port}/api/v1/" in str(document)
                _, document = await client.ask("GET", "/api/devices/dev/snippets?origin=http://localhost:7")
                assert document["hosts"] == ["192.0.2.7"], "localhost is of no use to a device"
                assert (await client.refused(400, "GET", "/api/devices/dev/snippets?origin=h"))["field"] == "origin"
                await client.refused(404, "GET", "/api/devices/none/snippets")
                await client.refused(404, "GET", "/api/ca.pem")

        monkeypatch.setattr(web_snippets, "lan_addresses", lambda: ["192.0.2.7"])
        anyrun(scene())

    def test_over_tls_with_the_file_that_it_needs(self, anyrun, monkeypatch):
        monkeypatch.setitem(HEALTH, "listeners", [{"url": "any://127.0.0.1:7", "port": 7}])
        monkeypatch.setitem(HEALTH, "certificates", [{"names": ["box"]}])
        monkeypatch.setattr("web.webs.CA", [PEM])

        async def scene():
            async with open_web() as web, await web.as_role("viewer") as client, web.anyone() as stranger:
                await attached(web.hub)
                _, document = await client.ask("GET", "/api/devices/dev/snippets?origin=https://127.0.0.1:7")
                found = msgspec.convert(document, Snippets, strict=True)
                assert (found.hosts, found.ca.pem) == ([], PEM), "it listens on no other address"
                digest = hashlib.sha256(base64.b64decode("MIIBAg==")).hexdigest().upper()
                assert found.ca.fingerprint.replace(":", "") == digest
                curl = next(one for one in found.items if one.name == "curl")
                assert curl.text.startswith("curl -f -X POST http://127.0.0.1:7/")
                assert curl.tls.startswith("curl -f --cacert ca.pem -X POST https://127.0.0.1:7/")
                answer, _ = await stranger.ask("GET", "/api/ca.pem")
                assert (answer.status, answer.body) == (200, PEM.encode())
                assert answer.headers["content-type"] == "application/x-x509-ca-cert"

        anyrun(scene())
