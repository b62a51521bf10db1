"""The device HTTP API on real connections, as firmware written for ThingsBoard uses it."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
import pytest

from hardpoint.dialects.http import HttpDialect
from hardpoint.http import HttpServer, Router
from hardpoint.hub.claims import Claims
from hardpoint.hub.clocks import wall_clock_ms
from hardpoint.testing import HttpDevice, Refused
from hub.hubs import FULL, HeldStore, open_hub, until


@contextlib.asynccontextmanager
async def serving(store=None, clock=None, **settings):
    """The hub, and a function that connects: ``connect(token)``."""
    async with open_hub(store, clock, **settings) as hub:
        router = Router()
        HttpDialect(hub).register(router)
        server = HttpServer(router)
        listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        try:
            yield hub, lambda token="": HttpDevice("127.0.0.1", port, token)
        finally:
            listener.close()
            await server.drain(1)
            await listener.wait_closed()


def test_a_device_on_every_loop(run):
    async def scene():
        async with serving() as (hub, connect):
            device, token = await hub.create_device("dev")
            async with connect(token) as simulated:
                await simulated.send(temp=21.5, door=True, text="21")
                await simulated.send({"cpu.temp": 48}, ts=5)
                latest = {key: latest["value"] for key, latest in device.latest().items()}
                assert latest == {"temp": 21.5, "door": True, "text": 21, "cpu.temp": 48}
                assert await simulated.attributes() == {}
                await simulated.report(fw="1.2", old=1)
                await simulated.report(old=None)
                hub.set_attributes(device, "shared", {"rate": 5})
                hub.set_attributes(device, "server", {"secret": 5})
                assert await simulated.attributes() == {"client": {"fw": "1.2"}, "shared": {"rate": 5}}

                waiting = asyncio.ensure_future(simulated.next_command())
                await until(lambda: device.sessions)
                assert hub.describe(device)["presence"]["connected"]["dialect"] == "http"
                commands = [await hub.ledger.queue(device, "led", n) for n in range(2)]
                received = await waiting
                assert (received.id, received.method, received.params) == (1, "led", 0)
                await until(lambda: not device.sessions)
                assert [command.state for command in commands] == ["sent", "queued"]  # one poll, one command
                await simulated.answer(received, {"ok": 1})
                second = await simulated.next_command()
                assert second.params == 1
                await simulated.fail(second, "no such pin")
                assert (commands[0].state, commands[0].result) == ("done", {"ok": 1})
                assert (commands[1].state, commands[1].result) == ("failed", "no such pin")

                waiting = asyncio.ensure_future(simulated.next_attributes())
                await until(lambda: device.sessions)
                hub.set_attributes(device, "client", {"x": 1})
                hub.set_attributes(device, "shared", {"rate": 6, "mode": "eco"})
                assert await waiting == {"rate": 6, "mode": "eco"}
                await until(lambda: not device.sessions)
                waiting = asyncio.ensure_future(simulated.next_attributes())
                await until(lambda: device.sessions)
                hub.set_attributes(device, "shared", {"rate": None})
                assert await waiting == {"deleted": ["rate"]}
                with pytest.raises(TimeoutError):
                    await simulated.next_command(poll_ms=1)

    run(scene())


@pytest.mark.parametrize("path", ["rpc", "attributes/updates"])
def test_head_takes_nothing_from_who_polls(anyrun, path):
    async def scene():
        async with serving() as (hub, connect):
            device, token = await hub.create_device("dev")
            command = await hub.ledger.queue(device, "led", 1)
            async with connect(token) as client:
                client._writer.write(f"HEAD /api/v1/{token}/{path}?timeout=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                head = (await client._reader.readuntil(b"\r\n\r\n")).decode()
            assert head.startswith("HTTP/1.1 405 ")
            assert "\r\nAllow: GET, OPTIONS\r\n" in head
            assert (command.state, device.sessions) == ("queued", ())

    anyrun(scene())


class TestRepeats:
    """A command whose arrival nothing has shown comes again, with the same id."""

    def test_who_comes_over_a_new_connection_is_told_again(self, run, clock):
        async def scene():
            async with serving(clock=clock) as (hub, connect):
                device, token = await hub.create_device("dev")
                command = await hub.ledger.queue(device, "led", 1)
                for _ in range(2):
                    async with connect(token) as client:
                        assert (await client.next_command()).id == command.id
                assert [state for state, _, _ in command.steps] == ["queued", "sent"]
                async with connect(token) as client:
                    await client.request("POST", f"/api/v1/{token}/rpc/{command.id}", b"true")
                    assert (command.state, command.result) == ("done", True)

        run(scene())

    def test_who_goes_on_over_the_same_connection_has_it(self, anyrun, clock):
        async def scene():
            async with serving(clock=clock) as (hub, connect):
                device, token = await hub.create_device("dev")
                first, second = [await hub.ledger.queue(device, "led", n) for n in range(2)]
                async with connect(token) as client:
                    assert (await client.next_command()).id == first.id
                    assert (await client.next_command()).id == second.id
                    assert (first.state, second.state) == ("delivered", "sent")
                    assert first.steps[-1][2] == "over http: the next request came over its connection"
                    await client.send(temp=1)
                    assert second.state == "delivered"
                async with connect(token) as client:
                    with pytest.raises(TimeoutError):
                        await client.next_command(poll_ms=1)

        anyrun(scene())

    def test_an_answer_shows_more_than_arrival(self, anyrun):
        async def scene():
            async with serving() as (hub, connect):
                device, token = await hub.create_device("dev")
                command = await hub.ledger.queue(device, "led", 1)
                async with connect(token) as client:
                    await client.answer(await client.next_command(), "on")
                assert [state for state, _, _ in command.steps] == ["queued", "sent", "done"]

        anyrun(scene())

    @pytest.mark.parametrize("how", ["proxied", "pipelined", "another device"])
    def test_what_shows_nothing(self, anyrun, clock, how):
        async def scene():
            async with serving(clock=clock) as (hub, connect):
                device, token = await hub.create_device("dev")
                _, other = await hub.create_device("other")
                command = await hub.ledger.queue(device, "led", 1)
                poll = f"/api/v1/{token}/rpc?timeout=60000"
                after = f"/api/v1/{other if how == 'another device' else token}/attributes"
                async with connect(token) as client:
                    if how == "pipelined":
                        client._writer.write(f"GET {poll} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                        assert (await client.request("GET", after)).json()["id"] == command.id
                        await client._read_answer("GET")
                    else:
                        headers = {"X-Forwarded-For": "192.0.2.9"} if how == "proxied" else None
                        assert (await client.request("GET", poll, headers=headers)).json()["id"] == command.id
                        await client.request("GET", after)
                    assert command.state == "sent"
                    assert (await client.next_command()).id == command.id

        anyrun(scene())

    def test_repeats_come_at_their_own_pace(self, anyrun, clock):
        async def scene():
            async with serving(clock=clock) as (hub, connect):
                device, token = await hub.create_device("dev")
                command = await hub.ledger.queue(device, "led", 1, ttl_s=1000)
                pauses = []
                for _ in range(10):
                    pauses.append(hub.ledger.repeat_in_s(command))
                    clock.advance(pauses[-1])
                    async with connect(token) as client:
                        assert (await client.next_command()).id == command.id
                assert pauses == [0, 0, 1, 2, 4, 8, 16, 32, 60, 60]
                later = await hub.ledger.queue(device, "led", 2)
                async with connect(token) as client:
                    assert (await client.next_command()).id == later.id, "what was never sent does not wait for it"

        anyrun(scene())

    def test_a_poll_waits_for_the_time_of_a_repeat(self, anyrun):
        async def scene():
            async with serving(clock=wall_clock_ms) as (hub, connect):
                device, token = await hub.create_device("dev")
                command = await hub.ledger.queue(device, "led", 1)
                for _ in range(2):
                    async with connect(token) as client:
                        await client.next_command()
                sent_ms = hub.ledger._sent[command.id].at_ms
                async with connect(token) as client:
                    assert (await client.next_command()).id == command.id
                assert hub.ledger._sent[command.id].at_ms >= sent_ms + 999

        anyrun(scene())


class TestAnswers:
    def test_success_is_200_and_empty(self, anyrun):
        async def scene():
            async with serving() as (hub, connect):
                _, token = await hub.create_device("dev")
                async with connect(token) as client:
                    for body in (b'{"a":1}', b'[{"a":1}]', b'{"ts":5,"values":{"a":1}}', b"{}"):
                        answer = await client.request("POST", f"/api/v1/{token}/telemetry", body)
                        assert (answer.status, answer.body) == (200, b"")

        anyrun(scene())

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("POST", "telemetry", b'{"a":1}'),
            ("POST", "telemetry", b"not even JSON"),
            ("POST", "attributes", b'{"a":1}'),
            ("GET", "attributes", b""),
            ("GET", "attributes/updates", b""),
            ("GET", "rpc", b""),
            ("POST", "rpc/1", b"1"),
        ],
    )
    def test_an_unknown_token_is_an_empty_401_and_counts_against_its_address(self, anyrun, clock, method, path, body):
        async def scene():
            async with serving(clock=clock, sign_in_failures_per_min=2) as (hub, connect):
                _, token = await hub.create_device("dev")
                async with connect() as client:
                    for _ in range(2):
                        answer = await client.request(method, f"/api/v1/hp_wrong/{path}", body)
                        assert (answer.status, answer.body) == (401, b"")
                    answer = await client.request(method, f"/api/v1/hp_wrong/{path}", body)
                    assert (answer.status, answer.json()["error"]["code"]) == (429, "rate_limited")
                    # A right token is never held up by its neighbours' wrong ones.
                    answer = await client.request("POST", f"/api/v1/{token}/telemetry", b'{"a":1}')
                    assert answer.status == 200
                assert hub.refused_total == {"unauthorized": 2, "rate_limited": 1}

        anyrun(scene())

    @pytest.mark.parametrize(
        ("method", "path", "body", "status", "code", "field"),
        [
            ("POST", "telemetry", b"{", 400, "bad_request", None),
            ("POST", "telemetry", b"", 400, "bad_request", None),
            ("POST", "telemetry", b'[{"ts":"x","values":{}}]', 400, "bad_request", "[0].ts"),
            ("POST", "telemetry", b'{"a b":1}', 400, "bad_request", "a b"),
            ("POST", "telemetry", msgspec.json.encode({"a": "x" * 65537}), 413, "too_large", "a"),
            ("POST", "attributes", b"[]", 400, "bad_request", None),
            ("GET", "rpc?timeout=abc", b"", 400, "bad_request", "timeout"),
            ("GET", "rpc?timeout=-1", b"", 400, "bad_request", "timeout"),
            ("GET", "rpc?timeout=", b"", 400, "bad_request", "timeout"),
            ("GET", "attributes/updates?timeout=9999999999", b"", 400, "bad_request", "timeout"),
            ("POST", "rpc/7", b"1", 404, "not_found", None),
            ("POST", "rpc/x", b"1", 404, "not_found", None),
            ("POST", "rpc/7", b"{", 400, "bad_request", None),
            ("PUT", "telemetry", b"{}", 405, "method_not_allowed", None),
            ("GET", "nothing", b"", 404, "not_found", None),
        ],
    )
    def test_a_refusal_names_the_place_and_the_connection_goes_on(
        self, anyrun, method, path, body, status, code, field
    ):
        async def scene():
            async with serving() as (hub, connect):
                _, token = await hub.create_device("dev")
                async with connect(token) as client:
                    answer = await client.request(method, f"/api/v1/{token}/{path}", body)
                    error = answer.json()["error"]
                    assert (answer.status, error["code"], error.get("field")) == (status, code, field)
                    assert token not in answer.body.decode()
                    await client.send(a=1)

        anyrun(scene())

    def test_keys_of_attributes_come_joined_or_repeated(self, anyrun):
        async def scene():
            async with serving() as (hub, connect):
                device, token = await hub.create_device("dev")
                hub.set_attributes(device, "client", {"a": 1, "b": 2, "c": 3})
                hub.set_attributes(device, "shared", {"a": 4})
                async with connect(token) as client:
                    for query, expected in (
                        ("clientKeys=a,b", {"client": {"a": 1, "b": 2}}),
                        ("clientKeys=a&clientKeys=c", {"client": {"a": 1, "c": 3}}),
                        ("sharedKeys=a&clientKeys=b", {"client": {"b": 2}, "shared": {"a": 4}}),
                        ("clientKeys=x&sharedKeys=y", {}),
                    ):
                        answer = await client.request("GET", f"/api/v1/{token}/attributes?{query}")
                        assert answer.json() == expected

        anyrun(scene())

    def test_a_full_disk_is_507_and_the_next_may_be_taken(self, anyrun, caplog):
        async def scene():
            store = HeldStore()
            async with serving(store) as (hub, connect):
                _, token = await hub.create_device("dev")
                async with connect(token) as client:
                    store.error = FULL
                    answer = await client.request("POST", f"/api/v1/{token}/telemetry", b'{"a":1}')
                    assert (answer.status, answer.json()["error"]["code"]) == (507, "storage_full")
                    assert answer.headers["retry-after"] == "10"
                    store.error = None
                    await client.send(a=2)

        anyrun(scene())

    def test_come_only_when_it_is_durable_and_the_store_behind_pauses_the_client(self, anyrun):
        async def scene():
            store = HeldStore()
            async with serving(store, max_pending_readings=1) as (hub, connect):
                device, token = await hub.create_device("dev")
                async with connect(token) as client:
                    store.held = True
                    sending = asyncio.ensure_future(client.send(a=1))
                    await until(lambda: store.waiting)
                    assert hub.commits.pauses == 1
                    assert not sending.done()
                    assert device.latest() == {}
                    store.held = False
                    store.release()
                    await sending
                    await client.send(a=2)

        anyrun(scene())


class TestTheSameTokenAgain:
    """What a connection remembers of a token ends with it."""

    def scene(self, anyrun, change, *, taken: bool, **settings):
        async def scene():
            async with serving(**settings) as (hub, connect):
                device, token = await hub.create_device("dev")
                async with connect(token) as client:
                    for n in range(3):  # from the third time on the token is known
                        await client.send(temp=n)
                    await change(hub, device)
                    if taken:
                        await client.send(temp=3)
                    else:
                        with pytest.raises(Refused) as refused:
                            await client.send(temp=3)
                        assert refused.value.answer_code == "401"
                    assert hub.readings_total == 3 + taken

        anyrun(scene())

    def test_of_a_removed_device(self, anyrun):
        self.scene(anyrun, lambda hub, device: hub.remove_device(device), taken=False)

    def test_of_a_token_that_was_replaced(self, anyrun):
        self.scene(anyrun, lambda hub, device: hub.new_device_token(device), taken=False)

    def test_of_one_that_is_being_replaced(self, anyrun, clock):
        async def rotate(hub, device):
            await hub.new_device_token(device, keep_old_s=60)

        self.scene(anyrun, rotate, taken=True, clock=clock)

        async def rotate_and_wait(hub, device):
            await rotate(hub, device)
            clock.advance(s=61)
            hub.alerting.agenda.run_due(clock.now_ms)

        self.scene(anyrun, rotate_and_wait, taken=False, clock=clock)

    def test_a_name_is_looked_up_anew(self, anyrun):
        async def scene():
            async with serving(allow_anonymous=True) as (hub, connect), connect("shed") as client:
                for n in range(3):
                    await client.send(temp=n)
                await hub.remove_device(hub.catalogue.find("shed"))
                await client.send(temp=3)
                assert hub.catalogue.find("shed").latest()["temp"]["value"] == 3

        anyrun(scene())

    def test_two_devices_over_one_connection(self, anyrun):
        async def scene():
            async with serving() as (hub, connect):
                devices = [await hub.create_device(name) for name in ("one", "two")]
                async with connect() as client:
                    for n in range(6):
                        client._token = devices[n % 2][1]
                        await client.send(n=n)
                assert [device.latest()["n"]["value"] for device, _ in devices] == [4, 5]

        anyrun(scene())


class TestPolls:
    def test_a_device_removed_meanwhile_is_told(self, anyrun):
        async def scene():
            async with serving() as (hub, connect):
                device, token = await hub.create_device("dev")
                async with connect(token) as client:
                    waiting = asyncio.ensure_future(client.next_command())
                    await until(lambda: device.sessions)
                    await hub.remove_device(device)
                    with pytest.raises(Refused, match="Device was deleted!") as refused:
                        await waiting
                    assert refused.value.answer_code == "403"

        anyrun(scene())

    def test_a_changed_token_ends_them(self, anyrun):
        async def scene():
            async with serving() as (hub, connect):
                device, token = await hub.create_device("dev")
                async with connect(token) as client:
                    waiting = asyncio.ensure_future(client.next_command())
                    await until(lambda: device.sessions)
                    await hub.new_device_token(device)
                    with pytest.raises(TimeoutError):
                        await waiting

        anyrun(scene())

    def test_a_client_that_goes_away_is_no_longer_connected(self, run):
        async def scene():
            async with serving() as (hub, connect):
                device, token = await hub.create_device("dev")
                async with connect(token) as client:
                    waiting = asyncio.ensure_future(client.next_command())
                    await until(lambda: device.sessions)
                    waiting.cancel()
                await until(lambda: not device.sessions)
                command = await hub.ledger.queue(device, "go")
                assert command.state == "queued"

        run(scene())

    def test_what_was_sent_is_not_sent_again_by_the_next_poll(self, anyrun):
        async def scene():
            async with serving() as (hub, connect):
                device, token = await hub.create_device("dev")
                await hub.ledger.queue(device, "go")
                async with connect(token) as client:
                    assert (await client.next_command()).id == 1
                    with pytest.raises(TimeoutError):
                        await client.next_command(poll_ms=1)

        anyrun(scene())


def test_a_device_offers_itself_to_be_claimed(anyrun):
    async def scene():
        async with serving() as (hub, connect):
            device, token = await hub.create_device("dev")
            async with connect() as simulated:
                for body, status in ((b'{"durationMs":-1}', 400), (b"{", 400), (b'{"secretKey":"s"}', 200), (b"", 200)):
                    answer = await simulated.request("POST", f"/api/v1/{token}/claim", body)
                    assert answer.status == status
            await Claims(hub).claim("192.0.2.1:1", device, "", "anna")  # the last offer, as it is stored
            assert device.record.labels == {"owner": "anna"}

    anyrun(scene())
