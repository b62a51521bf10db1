"""The snippets as text and over the API; tests/cli/test_end_to_end.py runs them."""

from __future__ import annotations

import ast
import json

import msgspec
import pytest

from hardpoint.errors import BadInput
from hardpoint.web.snippets import KINDS, TOKEN, Doors, Snippets, checked_origin, snippets
from hub.hubs import attached

from .webs import HEALTH, open_web

EVERY = Doors(line=("fe80::1", 9000), http="http://[fe80::1]:8080", mqtt=("fe80::1", 1883))


class TestText:
    def test_only_the_doors_that_are_open(self):
        assert snippets("t", Doors()) == {}
        assert list(snippets("t", Doors(http="http://h:1"))) == ["nodered", "curl", "paho", "websocket"]
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
        assert '"wss://h/api/v1/t/ws"' in snippets("t", Doors(http="https://h"))["websocket"]

    def test_behind_a_proxy_mqtt_goes_over_websocket_to_the_address_outside(self):
        doors = Doors(line=("h.example", 9000), http="https://h.example", mqtt=("h.example", 1883), relayed=True)
        made = snippets("hp_x", doors)
        assert 'connect("h.example", 443)' in made["paho"]
        assert 'transport="websockets"' in made["paho"]
        assert "tls_set()" in made["paho"]
        assert json.loads(made["nodered"])[1]["path"] == "wss://h.example/api/v1/hp_x/ws"
        plain = snippets("hp_x", Doors(http="http://h:8080", mqtt=("h", 1883)))["paho"]
        assert 'connect("h", 1883)' in plain
        assert "websockets" not in plain

    def test_node_red_gets_a_flow_whose_wires_end_at_its_own_nodes(self):
        flow = json.loads(snippets("hp_x", EVERY)["nodered"])
        ids = {node["id"] for node in flow}
        assert len(ids) == len(flow)
        assert {end for node in flow for wires in node.get("wires", ()) for end in wires} <= ids

    def test_esphome_gets_one_file_with_a_broker(self):
        yaml = pytest.importorskip("yaml", reason="PyYAML, which apprise brings, is not installed")
        made = yaml.safe_load(snippets("hp_x", EVERY)["esphome"])
        assert (made["mqtt"]["broker"], made["mqtt"]["port"], made["mqtt"]["username"]) == ("fe80::1", 1883, "hp_x")
        assert made["sensor"][0]["on_value"][0]["mqtt.publish_json"]["payload"].strip() == 'root["temp"] = x;'

    @pytest.mark.parametrize("name", ["python", "micropython", "paho"])
    def test_python_is_python(self, name):
        ast.parse(snippets("t", EVERY)[name])

    def test_each_has_the_token(self):
        assert all("hp_x" in text for text in snippets("hp_x", EVERY).values())


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
                assert (found.token, found.relayed) == (TOKEN, True)
                _, document = await client.ask("GET", "/api/devices/dev/snippets?origin=http://box:8081")
                assert document["relayed"] is False
                assert texts["nc"].endswith("| nc box 9")
                assert "-h box -p 7 -u YOUR_TOKEN" in texts["mqtt"], "one door for everything"
                _, document = await client.ask("GET", "/api/devices/dev/snippets")
                assert f"http://127.0.0.1:{web.port}/api/v1/" in str(document)
                assert (await client.refused(400, "GET", "/api/devices/dev/snippets?origin=h"))["field"] == "origin"
                await client.refused(404, "GET", "/api/devices/none/snippets")

        anyrun(scene())
