"""CONNECT: who is let in and how it is told, sessions and take-over, keep-alive, ends."""

from __future__ import annotations

import pytest

from hardpoint.dialects.mqtt.connecting import Step
from hardpoint.dialects.mqtt.sign_in import Principal
from hardpoint.hub.broker import OpenAccess
from hardpoint.wire.mqtt import properties as p
from hardpoint.wire.mqtt.packets import Auth, ConnAck, Connect, Disconnect, Ping, Publish, Will
from hardpoint.wire.mqtt.reasons import PacketRefused

from .mqtts import Apps, Client, HeldStore, connected, open_dialect, turn

PONG = [Ping(p.PINGRESP)]


class TestSignIn:
    @pytest.mark.parametrize("version", [3, 4, 5])
    def test_a_device_by_its_token(self, anyrun, version):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                device, token = await dialect.hub.create_device("Box 1")
                client = await connected(dialect, version=version, username=token)
                assert device.sessions == (client.connection,)
                by_id = await connected(dialect, "d", version, username=device.id, password=token.encode())
                assert device.sessions[-1] is by_id.connection
                assert dialect.hub.describe(device)["presence"]["connected"]["dialect"] == "mqtt"
                client.transport.lose()
                by_id.transport.lose()
                assert device.sessions == ()

        anyrun(scene())

    def test_a_device_by_its_certificate(self, anyrun):
        shown = {"subject": ((("commonName", "Box 1"),),)}

        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                device, _ = await dialect.hub.create_device("Box 1")
                client = Client(dialect, peercert=shown, sslcontext=object())
                assert (await client.connect()).reason == 0
                assert device.sessions == (client.connection,)
                assert client.connection.encrypted
                stranger = Client(dialect, peercert={"subject": ((("commonName", "Box 2"),),)})
                assert (await stranger.connect()).reason == 4
                wrong = Client(dialect, peercert=shown)
                assert (await wrong.connect(username="hp_wrong")).reason == 4, "a token that is given counts"

        anyrun(scene())

    @pytest.mark.parametrize("step", [1, 100])
    def test_tls_at_a_plain_port_is_said_and_answered_in_its_own_language(self, anyrun, caplog, step):
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"

        async def scene():
            async with open_dialect() as dialect:
                client = Client(dialect)
                for at in range(0, len(hello), step):
                    if not client.transport.is_closing():
                        client.transport.feed(hello[at : at + step])
                await turn()
                assert client.transport.take() == b"\x15\x03\x03\x00\x02\x02\x46"
                assert client.closed

        anyrun(scene())
        assert "tries TLS at a port for plain MQTT: mqtts:// is for that" in caplog.text

    @pytest.mark.parametrize(
        ("fields", "reason", "code"),
        [
            ({}, 0x87, 5),  # [MQTT-3.1.4-2]
            ({"username": "hp_wrong"}, 0x86, 4),
            ({"username": "other", "password": b"TOKEN"}, 0x86, 4),
            ({"username": "hpa_unknown"}, 0x86, 4),
        ],
    )
    def test_nobody_else(self, anyrun, fields, reason, code):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                _, token = await dialect.hub.create_device("box")
                if fields.get("password") == b"TOKEN":
                    fields["password"] = token.encode()
                for version, expected in ((5, reason), (4, code)):
                    client = Client(dialect, version)
                    answer = await client.connect(**fields)
                    assert answer.reason == expected
                    assert client.closed
                    assert bool(answer.properties) is (version == 5)  # a reason in words
                assert dialect.broker.sessions == {}

        anyrun(scene())

    def test_an_app_by_its_token(self, anyrun):
        async def scene():
            apps = Apps(a="viewer", b="operator")
            async with open_dialect(anonymous=False, apps=apps) as dialect:
                viewer = await connected(dialect, username="hpa_viewer")
                operator = await connected(dialect, username="me", password=b"hpa_operator", version=5)
                assert (await viewer.subscribe("#"))[0] == [0]
                assert (await operator.publish("a", qos=1))[0].reason == 0
                assert await viewer.messages() == [("a", b"x")]
                del apps.tokens["hpa_viewer"]
                dialect.look_at_apps()
                await turn()
                assert viewer.closed
                assert not operator.closed

        anyrun(scene())

    def test_anybody_where_it_is_allowed(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                for fields in ({}, {"username": "u", "password": b"p"}):
                    client = await connected(dialect, **fields)
                    assert client.connection.device is None
                named = await connected(dialect, "n", username="box")
                assert named.connection.device is dialect.hub.catalogue.by_id["box"]

        anyrun(scene())

    def test_a_refusal_has_words_only_where_they_fit(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                for most, told in ((20, False), (500, True)):
                    answer = await Client(dialect, 5).connect(username="hp_x", properties={p.MAXIMUM_PACKET_SIZE: most})
                    assert (answer.reason, p.REASON_STRING in answer.properties) == (0x86, told)

        anyrun(scene())

    def test_too_many_wrong_tries_are_told_to_wait(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False, limits={"sign_in_failures_per_min": 1}) as dialect:
                first, second = Client(dialect, 5), Client(dialect, 5)
                assert (await first.connect(username="hp_x")).reason == 0x86
                assert (await second.connect(username="hp_x")).reason == 0x9F

        anyrun(scene())


class TestConnack:
    @pytest.mark.parametrize("version", [3, 4, 5])
    def test_takes_every_client_id_that_the_standard_names(self, anyrun, version):
        names = ["0123456789abcdefghijklm", "nopqrstuvwxyzABCDEFGHIJ", "KLMNOPQRSTUVWXYZ"]  # 23 at most: [MQTT-3.1.3-5]

        async def scene():
            async with open_dialect() as dialect:
                for name in names:
                    assert (await Client(dialect, version).connect(name)).reason == 0

        anyrun(scene())

    def test_tells_a_client_of_5_what_differs(self, anyrun):
        async def scene():
            async with open_dialect(
                max_session_expiry_s=60, max_keep_alive_s=30, receive_maximum=7, max_topic_aliases=3
            ) as dialect:
                client = Client(dialect, 5)
                wanted = {p.SESSION_EXPIRY_INTERVAL: 100, p.REQUEST_RESPONSE_INFORMATION: 1}
                answer = await client.connect("", keep_alive_s=100, properties=wanted)
                found = answer.properties
                name = found[p.ASSIGNED_CLIENT_IDENTIFIER]  # [MQTT-3.1.3-7]
                assert found == {
                    p.RECEIVE_MAXIMUM: 7,
                    p.MAXIMUM_PACKET_SIZE: 1 << 20,
                    p.TOPIC_ALIAS_MAXIMUM: 3,
                    p.ASSIGNED_CLIENT_IDENTIFIER: name,
                    p.SESSION_EXPIRY_INTERVAL: 60,
                    p.SERVER_KEEP_ALIVE: 30,
                    p.RESPONSE_INFORMATION: f"responses/{name}/",
                }

        anyrun(scene())

    @pytest.mark.parametrize(
        ("version", "fields", "reason"),
        [
            (4, {"client_id": "", "clean_start": False}, 2),  # [MQTT3-3.1.3-8]
            (3, {"client_id": ""}, 2),
            (5, {"client_id": "x" * 1025}, 0x85),
            (5, {"properties": {p.AUTHENTICATION_METHOD: "SCRAM"}}, 0x8C),  # [MQTT-4.12.0-1]
        ],
    )
    def test_refuses(self, anyrun, version, fields, reason):
        async def scene():
            async with open_dialect() as dialect:
                client = Client(dialect, version)
                assert (await client.connect(**fields)).reason == reason
                assert client.closed

        anyrun(scene())

    def test_of_another_version_and_of_no_version(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                client = Client(dialect, 4)
                client.transport.feed(b"\x10\x0d\x00\x04MQTT\x09\x02\x00\x00\x00\x01c")
                assert await client.read() == [ConnAck(False, 1)]  # [MQTT-3.1.2-2]
                assert client.closed
                stranger = Client(dialect, 4)
                stranger.transport.feed(b"GET / HTTP/1.1\r\n")
                assert await stranger.read() == []
                assert stranger.closed

        anyrun(scene())

    def test_is_the_first_packet_although_the_disk_is_slow(self, anyrun):
        async def scene():
            store = HeldStore()
            async with open_dialect(store) as dialect:
                sender = await connected(dialect, "s")
                store.held = True
                client = Client(dialect, 4)
                client.send(Connect(4, "c", clean_start=False), Ping(p.PINGREQ))
                await turn()
                assert client.transport.take() == b""  # the session is not durable yet
                assert client.transport.reading_paused
                sender.send(Publish("a", b"x"))
                store.held = False
                store.release()
                assert [type(packet) for packet in await client.read()] == [ConnAck, Ping]

        anyrun(scene())

    def test_a_full_server_takes_no_more_sessions(self, anyrun):
        async def scene():
            async with open_dialect(max_sessions=1) as dialect:
                await connected(dialect, "a")
                assert (await Client(dialect, 5).connect("b")).reason == 0x97
                assert (await Client(dialect, 4).connect("b")).reason == 3

        anyrun(scene())

    def test_beyond_the_limit_connections_are_cut(self, anyrun):
        async def scene():
            async with open_dialect(limits={"max_connections": 1}) as dialect:
                await connected(dialect, "a")
                assert Client(dialect).transport.aborted

        anyrun(scene())

    def test_what_follows_a_refused_connect_is_not_looked_at(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                client = Client(dialect, 5)
                said = await client.ask(Connect(5, "c", username="hp_wrong"), Publish("a", b"x", 1, packet_id=1))
                assert [type(each) for each in said] == [ConnAck]
                assert dialect.broker.published == 0

        anyrun(scene())


class TestAuth:
    class Knock:
        """Lets in whoever says ``knock`` and then ``please``."""

        def __init__(self):
            self.heard = []

        def step(self, connect, data):
            self.heard.append(data)
            if self.heard[0] != b"knock":
                raise PacketRefused(0x87, "knock first")
            return Step(principal=Principal("", OpenAccess())) if data == b"please" else Step(b"who?")

    def hello(self, data):
        return {"properties": {p.AUTHENTICATION_METHOD: "KNOCK", p.AUTHENTICATION_DATA: data}}

    def test_goes_back_and_forth(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                dialect.connecting.authenticators["KNOCK"] = self.Knock
                client = Client(dialect, 5)
                said = await client.ask(Connect(5, "c", **self.hello(b"knock")))
                assert said == [Auth(0x18, {p.AUTHENTICATION_METHOD: "KNOCK", p.AUTHENTICATION_DATA: b"who?"})]
                said = await client.ask(Auth(0x18, self.hello(b"please")["properties"]))
                assert (said[0].reason, said[0].properties[p.AUTHENTICATION_METHOD]) == (0, "KNOCK")  # [MQTT-4.12.0-4]
                assert await client.ping() == PONG
                said = await client.ask(Auth(0x19, self.hello(b"knock")["properties"]))
                assert said[0].reason == 0x18
                said = await client.ask(Auth(0x18, self.hello(b"please")["properties"]))
                assert said == [Auth(0, {p.AUTHENTICATION_METHOD: "KNOCK"})]
                assert await client.ping() == PONG

        anyrun(scene())

    def test_refuses(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                dialect.connecting.authenticators["KNOCK"] = self.Knock
                assert (await Client(dialect, 5).connect(**self.hello(b"bang"))).reason == 0x87
                client = Client(dialect, 5)
                assert (await client.ask(Auth(0x18)))[0:] == []
                assert client.closed
                client = Client(dialect, 5)
                await client.ask(Connect(5, "c", **self.hello(b"knock")))
                said = await client.ask(Auth(0x18, {p.AUTHENTICATION_METHOD: "OTHER"}))  # [MQTT-4.12.0-5]
                assert said[0].reason == 0x82

        anyrun(scene())

    def test_a_server_may_name_another(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                dialect.connecting.redirect = lambda connect: "there:1883" if connect.client_id == "c" else None
                answer = await Client(dialect, 5).connect("c")
                assert (answer.reason, answer.properties) == (0x9C, {p.SERVER_REFERENCE: "there:1883"})
                assert (await Client(dialect, 4).connect("c")).reason == 3
                assert (await Client(dialect, 5).connect("d")).reason == 0

        anyrun(scene())


class TestEnds:
    def test_keep_alive(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                client = await connected(dialect, version=5, keep_alive_s=10)
                other = await connected(dialect, "never", keep_alive_s=0)
                for now_s in range(1, 30):
                    if now_s == 12:
                        assert await client.ping() == PONG
                    for late in dialect.wheel.turn(now_s):
                        late.disconnect(0x8D)
                    if now_s < 27:
                        assert not client.closed, now_s
                await turn()
                assert client.closed  # [MQTT-3.1.2-22]: heard at 11, and 15 s later no more
                assert not other.closed

        anyrun(scene())

    def test_a_second_connect(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                client = await connected(dialect, version=5)
                assert await client.ask(Connect(5, "c")) == [
                    Disconnect(0x82, {p.REASON_STRING: "a second CONNECT"})
                ]  # [MQTT-3.1.0-2]
                assert client.closed

        anyrun(scene())

    @pytest.mark.parametrize(("version", "said"), [(5, [Disconnect(0x8E)]), (4, [])])
    def test_take_over(self, anyrun, version, said):
        async def scene():
            async with open_dialect() as dialect:
                first = await connected(dialect, version=version)
                second = await connected(dialect, version=version)
                assert await first.read() == said  # [MQTT-3.1.4-3]
                assert first.closed
                assert await second.ping() == PONG

        anyrun(scene())

    def test_two_devices_may_call_themselves_the_same(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                tokens = [(await dialect.hub.create_device(name))[1] for name in ("a", "b")]
                first, second = [await connected(dialect, "esp32", username=token) for token in tokens]
                assert await first.ping() == PONG
                assert await second.ping() == PONG

        anyrun(scene())

    def test_a_session_expiry_cannot_be_made_up_at_the_end(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                client = await connected(dialect, version=5)
                said = await client.ask(Disconnect(0, {p.SESSION_EXPIRY_INTERVAL: 5}))  # [MQTT-3.14.2-2]
                assert said[0].reason == 0x82

        anyrun(scene())

    def test_the_server_says_that_it_stops(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                client = await connected(dialect, version=5, will=Will("w", b"gone"))
                watcher = await connected(dialect, "w")
                await watcher.subscribe("w")
                drained = dialect.drain(1)
                await drained
                assert client.decoder.receive(client.transport.take()) == [Disconnect(0x8B)]
                assert not dialect.connections

        anyrun(scene())

    def test_who_says_nothing_is_cut(self, anyrun):
        async def scene():
            async with open_dialect(connect_timeout_s=1.0) as dialect:
                silent = Client(dialect)
                client = await connected(dialect, "talks")
                dialect._waiting[silent.connection] -= 2
                dialect.tick()
                assert silent.transport.aborted
                assert not client.transport.aborted

        anyrun(scene())

    def test_a_removed_device_is_told_and_gone(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                device, token = await dialect.hub.create_device("box")
                client = await connected(dialect, version=5, username=token, clean_start=False)
                await dialect.hub.remove_device(device)
                said = await client.read()
                assert said[0].reason == 0x98
                assert client.closed
                assert dialect.broker.sessions == {}

        anyrun(scene())
