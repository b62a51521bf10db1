"""A bridge between a whole server and a real mosquitto, which goes away, and a server that is killed."""

from __future__ import annotations

import asyncio
import contextlib
import re

import pytest

from e2e.serving import ServerProcess, wait_until
from free_ports import free_port
from hardpoint import Server
from hardpoint.hub.broker import Message

from .peers import DEADLINE_S, Mosquitto, Peer, needs_mosquitto

pytestmark = [needs_mosquitto, pytest.mark.conformance]


@pytest.fixture
def mosquitto(tmp_path):
    broker = Mosquitto(tmp_path / "mosquitto").start()
    yield broker
    broker.stop()


def settings(tmp_path, port, **bridge):
    return {
        "data": tmp_path / "data",
        "listen": ["mqtt://127.0.0.1:0"],
        "host": {"enabled": False},
        "allow_anonymous": True,
        "bridge": {"url": f"mqtt://127.0.0.1:{port}", "max_backoff_s": 1, **bridge},
    }


async def until(condition):
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def peer(port, *filters):
    made = await asyncio.to_thread(Peer, port, *filters)
    try:
        yield made
    finally:
        await asyncio.to_thread(made.close)


def connected(server):
    return server._bridge.describe()["connected"]


def test_topics_go_out_and_come_in_under_their_prefixes(run, tmp_path, mosquitto):
    async def scene():
        given = settings(
            tmp_path,
            mosquitto.port,
            topics_out=["temp/# local plant/ remote site-7/", "devices/# remote site-7/"],
            topics_in=["set/+ qos 0 local plant/ remote site-7/", "news/#"],
        )
        async with Server(**given) as server, peer(mosquitto.port, "site-7/#") as there:
            await until(lambda: connected(server))
            async with peer(server.ports["mqtt"], "plant/#", "news/#") as here:
                await asyncio.to_thread(here.publish, "plant/temp/a", "1", 1, True)
                assert await there.next() == ("site-7/temp/a", "1")
                await asyncio.to_thread(here.publish, "devices/shed/t", "5")
                assert await there.next() == ("site-7/devices/shed/t", "5")
                await asyncio.to_thread(there.publish, "news/x", "hi", 1, True)
                assert await here.next() == ("plant/temp/a", "1")
                assert await here.next() == ("news/x", "hi")
                await asyncio.to_thread(there.publish, "site-7/set/y", "on", 0)
                assert await here.next() == ("plant/set/y", "on")
            await until(lambda: server._bridge.passed == {"in": 2, "out": 2})
            assert not any(server._bridge.drops.values())
            async with peer(mosquitto.port, "site-7/#") as late, peer(server.ports["mqtt"], "news/#") as later:
                assert await late.next() == ("site-7/temp/a", "1")  # retained there
                assert await later.next() == ("news/x", "hi")  # and here
            health = server._health()["bridge"]
            assert health == {"url": f"mqtt://127.0.0.1:{mosquitto.port}", "connected": True, "error": "", "queued": 0}
            metrics = {name: values for name, _, _, values in server._metrics()}
            assert metrics["bridge_state"] == {"connected": 1, "queued_messages": 0}
            assert metrics["bridge_messages_total"] == {"in": 2, "out": 2}

    run(scene())


def test_what_is_published_while_the_other_broker_is_away_arrives_in_order(anyrun, tmp_path, mosquitto):
    async def scene():
        given = settings(tmp_path, mosquitto.port, topics_out=["#"], topics_in=["back/#"], max_queued_messages=20)
        async with Server(**given) as server:
            await until(lambda: connected(server))
            await asyncio.to_thread(mosquitto.stop)
            await until(lambda: not connected(server))
            broker = server._parts.factories["mqtt"].broker
            for number in range(25):
                broker.publish(Message("n/x", str(number).encode(), 1))
            assert server._health()["bridge"]["queued"] == 20
            assert broker.drops["queue_full"] == 5
            await asyncio.to_thread(mosquitto.start)
            async with peer(mosquitto.port, "n/#") as there:
                assert [(await there.next())[1] for _ in range(20)] == [str(number) for number in range(20)]
            await until(lambda: server._health()["bridge"]["queued"] == 0)
            assert server._bridge.connections == 2

    anyrun(scene())


def test_nothing_comes_back_over_the_bridge_it_went_out_by(anyrun, tmp_path, mosquitto):
    async def scene():
        given = settings(tmp_path, mosquitto.port, topics_out=["#"], topics_in=["#"])
        async with Server(**given) as server, peer(mosquitto.port, "#") as there:
            await until(lambda: connected(server))
            async with peer(server.ports["mqtt"], "#") as here:
                await asyncio.to_thread(here.publish, "a", "1")
                await asyncio.to_thread(there.publish, "b", "2")
                await asyncio.to_thread(there.publish, "devices/x/y", "2")  # ours to write alone
                await asyncio.to_thread(here.publish, "end", "3")
                seen = [await here.next() for _ in range(3)]
                assert sorted(seen) == [("a", "1"), ("b", "2"), ("end", "3")]
                assert sorted([await there.next() for _ in range(4)])[:2] == [("a", "1"), ("b", "2")]
                assert here.received.empty()
                assert there.received.empty()
            assert server._bridge.drops == {"reserved": 1, "loop": 0, "unwanted": 0, "refused": 0}

    anyrun(scene())


def test_two_servers_that_bridge_to_one_another_make_no_circle(anyrun, tmp_path):
    async def scene():
        ports = free_port(), free_port()
        servers = []
        for number in (0, 1):
            given = settings(tmp_path, ports[1 - number], topics_out=["t/#"], topics_in=["t/#"])
            servers.append(
                Server(**given | {"data": tmp_path / str(number), "listen": [f"mqtt://127.0.0.1:{ports[number]}"]})
            )
        async with servers[0] as one, servers[1] as two:
            await until(lambda: connected(one) and connected(two))
            async with peer(ports[1], "t/#") as there:
                one._parts.factories["mqtt"].broker.publish(Message("t/x", b"1", 1))
                assert await there.next() == ("t/x", "1")
                await until(lambda: one._bridge.drops["loop"] + two._bridge.drops["loop"] >= 2)
                for server in (one, two):
                    await until(lambda server=server: not server._health()["bridge"]["queued"])
                passed = sum(sum(server._bridge.passed.values()) for server in (one, two))
                assert passed <= 6

    anyrun(scene())


def test_credentials_are_read_anew_for_each_connection(anyrun, tmp_path):
    async def scene():
        users, secret = tmp_path / "users", tmp_path / "secret"
        users.write_text("site-7:$7$101$")
        made = await asyncio.create_subprocess_exec("mosquitto_passwd", "-c", "-b", users, "site-7", "right")
        assert await made.wait() == 0
        users.chmod(0o644)
        secret.write_text("site-7\nwrong\n")
        broker = Mosquitto(tmp_path / "mosquitto", "allow_anonymous false", f"password_file {users}")
        await asyncio.to_thread(broker.start)
        try:
            given = settings(tmp_path, broker.port, topics_out=["#"], credentials=str(secret))
            async with Server(**given) as server:
                await until(lambda: "not authorized" in server._bridge.error)
                assert not server._health()["bridge"]["connected"]
                secret.write_text("site-7\nright\n")
                await until(lambda: connected(server))
        finally:
            await asyncio.to_thread(broker.stop)

    anyrun(scene())


def test_neither_a_killed_server_nor_an_absent_peer_loses_a_message(tmp_path, mosquitto):
    bridge = [
        f"bridge.url=mqtt://127.0.0.1:{mosquitto.port}", "bridge.topics_out=out/#", "bridge.topics_in=in/#",
        "bridge.client_id=site-7", "bridge.max_backoff_s=1",
    ]  # fmt: skip
    flags = [word for each in bridge for word in ("--set", each)]
    data = tmp_path / "data"
    server = ServerProcess(data, "--allow-anonymous", "--listen", "mqtt://127.0.0.1:0", *flags).start()
    try:
        keeper = Peer(mosquitto.port, "out/#")
        here = Peer(server.ports["mqtt"])
        here.publish("out/1", "a")
        assert keeper.get() == ("out/1", "a")
        keeper.close()
        mosquitto.stop()
        here.publish("out/2", "b")  # acknowledged: it is on disk
        server.kill()
        here.close()
        mosquitto.start()
        keeper = Peer(mosquitto.port, "out/#")
        keeper.publish("in/1", "c", 1, True)  # while the server is away: it waits in the bridge's session there
        server.start()
        assert keeper.get() == ("out/2", "b")
        here = Peer(server.ports["mqtt"], "in/#")
        assert here.get() == ("in/1", "c")
        here.close()
        keeper.close()
        assert server.stop() == 0
    finally:
        server.end()


ROUNDS = 4
A_ROUND = 250
"""Messages: as many as take some tenths of a second to go over, so that a kill comes in between."""


def bridged_server(tmp_path, mosquitto):
    topics = ["bridge.topics_out=out/# qos 2", "bridge.topics_in=in/# qos 2"]
    others = [f"bridge.url=mqtt://127.0.0.1:{mosquitto.port}", "bridge.client_id=site-7", "bridge.max_backoff_s=1"]
    limits = ["mqtt.max_queued_messages=100000", "mqtt.max_queued_bytes=100000000"]
    flags = [word for each in (*topics, *others, *limits) for word in ("--set", each)]
    return ServerProcess(tmp_path / "data", "--allow-anonymous", "--listen", "mqtt://127.0.0.1:0", *flags)


def gone_over(server, way):
    """How many messages have, since the server's start."""
    status, text = server.api.request("GET", "/metrics")
    assert status == 200
    line = rf'^hardpoint_bridge_messages_total{{direction="{way}"}} (\S+)'
    return int(float(re.search(line, text, re.MULTILINE)[1]))


def batch(number):
    return [f"{number}/{each}" for each in range(A_ROUND)]


ALL = [payload for number in range(ROUNDS) for payload in batch(number)]


def kept_payloads(port, topic_filter):
    """Everything that has waited for the keeper, up to the message ``end``."""
    keeper = Peer(port, topic_filter, client_id="keeper", kept=True, qos=2)
    found = []
    while (payload := keeper.get()[1]) != "end":
        found.append(payload)
    keeper.close()
    return found


@pytest.mark.slow
def test_at_qos_2_each_message_goes_out_once_whoever_is_killed(tmp_path):
    mosquitto = Mosquitto(tmp_path / "mosquitto", "allow_anonymous true", "max_queued_messages 0").start()
    server = bridged_server(tmp_path, mosquitto).start()
    try:
        Peer(mosquitto.port, "out/#", client_id="keeper", kept=True, qos=2).close()
        for number in range(ROUNDS):
            wait_until(lambda: server.api.get("/api/health")["bridge"]["connected"])
            mosquitto.stop()  # while the last of the round before may be under way
            before = gone_over(server, "out")
            here = Peer(server.ports["mqtt"])
            here.publish_all("out/x", batch(number), 2)
            here.close()
            mosquitto.start()
            wait_until(lambda before=before: gone_over(server, "out") > before)
            server.kill()
            server.start()
        here = Peer(server.ports["mqtt"])
        here.publish("out/x", "end", 2)
        here.close()
        wait_until(lambda: not server.api.get("/api/health")["bridge"]["queued"])
        assert kept_payloads(mosquitto.port, "out/#") == ALL
        assert server.stop() == 0
    finally:
        server.end()
        mosquitto.stop()


@pytest.mark.slow
def test_at_qos_2_each_message_comes_in_once_whoever_is_killed(tmp_path):
    mosquitto = Mosquitto(tmp_path / "mosquitto", "allow_anonymous true", "max_queued_messages 0").start()
    server = bridged_server(tmp_path, mosquitto).start()
    try:
        Peer(server.ports["mqtt"], "in/#", client_id="keeper", kept=True, qos=2).close()
        wait_until(lambda: server.api.get("/api/health")["bridge"]["connected"])
        there = Peer(mosquitto.port)
        for number in range(ROUNDS):
            server.kill()
            there.publish_all("in/x", batch(number), 2)
            server.start()
            wait_until(lambda: gone_over(server, "in"))
        there.publish("in/x", "end", 2)
        there.close()
        assert kept_payloads(server.ports["mqtt"], "in/#") == ALL
        assert server.stop() == 0
    finally:
        server.end()
        mosquitto.stop()
