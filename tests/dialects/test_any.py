"""The first bytes decide: on one port plainly and over TLS, and on ports where TLS comes first. Nothing here waits."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from hardpoint.config import Tls
from hardpoint.dialects.any import Doorway, any_doorway, tls_doorway
from hardpoint.testing import MemoryTransport
from hardpoint.tls.authority import make_authority, make_certificate
from hardpoint.tls.certificates import Certificates
from hardpoint.wire.opening import HTTP, LINE, MQTT, REFUSED_TLS
from tls.peers import Client, Noting

NEVER_S = 3600.0


class Speaker:
    """A factory of protocols that note what they are told."""

    def __init__(self, greeting: bytes = b"", stays: bool = False) -> None:
        self.greeting = greeting
        self.stays = stays
        self.connections: set[Noting] = set()

    def __call__(self):
        speaker = self

        class Spoken(Noting):
            def connection_made(self, transport):
                super().connection_made(transport)
                speaker.connections.add(self)
                if speaker.greeting:
                    transport.write(speaker.greeting)

        return Spoken(self.stays)

    @property
    def one(self) -> Noting:
        (found,) = self.connections
        return found


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder: Path = tmp_path_factory.mktemp("tls")
    make_authority(folder)
    make_certificate(folder, ["localhost"])
    made = Certificates(Tls(), folder)
    made.load()
    return made


@pytest.fixture
def client_context(certificates: Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificates.folder / "ca.pem")


@pytest.fixture
def speakers():
    return {LINE: Speaker(b"hello\n", stays=True), HTTP: Speaker(), MQTT: Speaker()}


def everything(speakers, certificates=None, **given) -> Doorway:
    """An ``any://`` on which silence is no event unless the test makes it one."""
    return Doorway(speakers, speakers, certificates, **{"silence_s": NEVER_S, "opening_s": NEVER_S, **given})


def exchange(client: Client, transport: MemoryTransport) -> None:
    while to_client := transport.take():
        to_server = client.take(to_client)
        if to_server:
            transport.feed(to_server)


async def until(condition) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0)


FIRST_WORDS = [
    (b"HELLO hp_x\ntemp=1\n", LINE),
    (b"GET temp\n", LINE),
    (b'{"temp":21.5}\n', LINE),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", HTTP),
    (b"POST /api/v1/x/telemetry HTTP/1.1\r\n\r\n", HTTP),
    (b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03abc", MQTT),
]


@pytest.mark.parametrize(("data", "language"), FIRST_WORDS)
@pytest.mark.parametrize("step", [1, 3, 10_000])
def test_no_byte_is_lost_or_doubled(anyrun, speakers, data: bytes, language: str, step: int) -> None:
    async def scene():
        doorway = everything(speakers)
        transport = MemoryTransport(doorway())
        assert len(doorway.connections) == len(doorway.newcomers) == 1
        for at in range(0, len(data), step):
            transport.feed(data[at : at + step])
        assert speakers[language].one.received == data
        assert transport.get_protocol() is speakers[language].one
        assert [len(each.connections) for each in speakers.values()].count(0) == 2
        assert (len(doorway.newcomers), len(doorway.connections)) == (0, 1)
        assert transport.take() == speakers[language].greeting

    anyrun(scene())


@pytest.mark.parametrize(("data", "language"), FIRST_WORDS)
@pytest.mark.parametrize("step", [1, 10_000])
def test_over_tls_the_first_bytes_decide_again(anyrun, speakers, certificates, client_context, data, language, step):
    async def scene():
        doorway = everything(speakers, certificates)
        transport = MemoryTransport(doorway())
        client = Client(client_context)
        hello = client.hello()
        for at in range(0, len(hello), step):
            transport.feed(hello[at : at + step])
        assert len(doorway.newcomers) == 1
        exchange(client, transport)
        for at in range(0, len(data), step):
            transport.feed(client.encrypt(data[at : at + step]))
        assert speakers[language].one.received == data
        assert doorway.newcomers == set()
        exchange(client, transport)
        assert client.received == speakers[language].greeting
        assert doorway.handshakes == {"done": 1}

    anyrun(scene())


def test_who_is_silent_is_greeted_as_a_line_client(anyrun, speakers, certificates, client_context) -> None:
    async def scene():
        doorway = everything(speakers, certificates, silence_s=0)
        transport = MemoryTransport(doorway())
        await until(lambda: speakers[LINE].connections)
        assert transport.take() == b"hello\n"
        transport.feed(b"GET / HTTP/1.1\r\n")  # the greeting has left: nothing but lines may follow
        assert speakers[LINE].one.received == b"GET / HTTP/1.1\r\n"
        speakers[LINE].connections.clear()
        transport = MemoryTransport(doorway())
        client = Client(client_context)
        transport.feed(client.hello())
        exchange(client, transport)
        await until(lambda: speakers[LINE].connections)
        exchange(client, transport)
        assert client.received == b"hello\n"

    anyrun(scene())


def test_who_has_begun_to_speak_is_not_silent(anyrun, speakers) -> None:
    async def scene():
        doorway = everything(speakers, silence_s=0)
        transport = MemoryTransport(doorway())
        transport.feed(b"GE")
        for _ in range(10):
            await asyncio.sleep(0)
        transport.feed(b"T / HTTP/1.1\r\n\r\n")
        assert speakers[HTTP].one.received == b"GET / HTTP/1.1\r\n\r\n"

    anyrun(scene())


def test_what_stays_undecided_becomes_a_line_in_time(anyrun, speakers) -> None:
    async def scene():
        doorway = everything(speakers, opening_s=0)
        transport = MemoryTransport(doorway())
        transport.feed(b"GET ")
        await until(lambda: speakers[LINE].connections)
        assert speakers[LINE].one.received == b"GET "

    anyrun(scene())


def test_the_end_decides_too(anyrun, speakers) -> None:
    async def scene():
        doorway = everything(speakers)
        transport = MemoryTransport(doorway())
        transport.feed(b"PING")  # printf PING | nc -N
        transport.feed_eof()
        assert (speakers[LINE].one.received, speakers[LINE].one.events) == (b"PING", ["made", "eof"])
        assert not transport.is_closing()
        transport = MemoryTransport(doorway())  # nc -z
        transport.feed_eof()
        await asyncio.sleep(0)
        assert transport.lost
        assert doorway.newcomers == set()
        transport = MemoryTransport(doorway())
        transport.lose(ConnectionResetError())
        assert doorway.newcomers == set()

    anyrun(scene())


def test_what_nobody_speaks_is_refused_in_its_own_words(anyrun, speakers, caplog: pytest.LogCaptureFixture) -> None:
    async def scene():
        doorway = everything(speakers)  # without certificates
        transport = MemoryTransport(doorway())
        transport.feed(b"\x16\x03\x01\x02\x00\x01")
        assert transport.take() == REFUSED_TLS
        assert transport.is_closing()
        for login in (b"\x1d", b"\x02"):
            transport = MemoryTransport(doorway())
            transport.feed(login + b"\x00\x07\x00\x20" + b"t" * 32)
            assert transport.take() == b"\x00\x00\x07\x00\x06"  # RESPONSE to message 7: NOT_ALLOWED
            assert transport.is_closing()
        del speakers[MQTT]
        transport = MemoryTransport(doorway())
        transport.feed(b"\x10\x0f\x00\x04MQTT\x04")
        assert transport.is_closing()
        assert doorway.refused == {"tls": 1, "blynk": 2, "mqtt": 1}
        assert doorway.newcomers == set()

    anyrun(scene())
    assert [record.getMessage() for record in caplog.records] == [
        "192.0.2.1 tries TLS, and there is no certificate: 'hardpoint tls init' makes one",
        "192.0.2.1 speaks Blynk, which this version does not",
        "192.0.2.1 speaks another dialect than this port does, or without TLS",
    ], "each once a minute"


def test_an_alert_is_what_a_tls_client_understands(client_context: ssl.SSLContext) -> None:
    client = Client(client_context)
    client.hello()
    with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
        client.take(REFUSED_TLS)


def test_only_one_tls_inside_another(anyrun, speakers, certificates, client_context) -> None:
    async def scene():
        doorway = everything(speakers, certificates)
        transport = MemoryTransport(doorway())
        client = Client(client_context)
        transport.feed(client.hello())
        exchange(client, transport)
        transport.feed(client.encrypt(Client(client_context).hello()))
        exchange(client, transport)
        assert client.ended
        assert doorway.refused == {"tls": 1}

    anyrun(scene())


class TestTlsFirst:
    def test_one_language_is_not_asked_for(self, anyrun, certificates, client_context) -> None:
        async def scene():
            lines = Speaker(b"hello\n")
            doorway = tls_doorway(LINE, lines, certificates)
            transport = MemoryTransport(doorway())
            client = Client(client_context)
            transport.feed(client.hello())
            exchange(client, transport)
            assert client.received == b"hello\n", "the server speaks first, at once"
            transport.feed(client.encrypt(b"GET / HTTP/1.1\n"))
            assert lines.one.received == b"GET / HTTP/1.1\n"

        anyrun(scene())

    @pytest.mark.parametrize(
        ("language", "request_line", "told"),
        [
            (
                HTTP,
                b"GET /a?b=1 HTTP/1.1\r\nHost: hub.local:8443\r\n\r\n",
                "speaks TLS: https://hub.local:8443/a?b=1\n",
            ),
            (HTTP, b"GET / HTTP/1.0\r\n\r\n", "speaks TLS\n"),
            (HTTP, b"OPTIONS * HTTP/1.1\r\nHost: hub.local\r\n\r\n", "speaks TLS: https://hub.local/\n"),
            (LINE, b"GET / HTTP/1.1\r\nHost: hub.local\r\n\r\n", "speaks TLS, and no HTTP\n"),
        ],
    )
    def test_plain_http_is_told_where_to_go(self, anyrun, certificates, language, request_line, told) -> None:
        async def scene():
            doorway = tls_doorway(language, Speaker(), certificates)
            transport = MemoryTransport(doorway())
            transport.feed(request_line)
            head, _, body = transport.take().partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
            assert body.decode() == f"This port {told}"
            await doorway.drain(0)
            assert transport.is_closing()

        anyrun(scene())

    def test_plain_lines_are_told_so(self, anyrun, certificates, caplog: pytest.LogCaptureFixture) -> None:
        async def scene():
            doorway = tls_doorway(LINE, Speaker(), certificates)
            transport = MemoryTransport(doorway())
            transport.feed(b"HELLO hp_secret\n")
            assert transport.take() == b"ERR bad-line this port speaks TLS\n"
            assert transport.is_closing()
            assert doorway.refused == {"line": 1}

        anyrun(scene())
        assert "speaks lines without TLS" in caplog.text
        assert "hp_secret" not in caplog.text

    def test_who_is_silent_is_cut(self, anyrun, certificates) -> None:
        async def scene():
            doorway = Doorway({}, {LINE: Speaker()}, certificates, opening_s=0)
            transport = MemoryTransport(doorway())
            await until(lambda: transport.lost)
            assert transport.aborted
            assert doorway.refused == {"silent": 1}
            assert doorway.newcomers == set()
            transport = MemoryTransport(doorway())
            transport.feed(b"\x16")
            transport.feed_eof()
            await asyncio.sleep(0)
            assert doorway.newcomers == set()

        anyrun(scene())

    def test_a_handshake_that_does_not_end_is_cut(self, anyrun, certificates, client_context) -> None:
        async def scene():
            doorway = Doorway({}, {LINE: Speaker()}, certificates, handshake_s=0)
            transport = MemoryTransport(doorway())
            transport.feed(Client(client_context).hello())
            assert len(doorway.newcomers) == 1
            await until(lambda: transport.lost)
            assert doorway.handshakes == {"timeouterror": 1}
            assert doorway.newcomers == set()

        anyrun(scene())

    def test_who_does_not_trust_it_is_said_once_with_what_helps(self, anyrun, certificates, caplog) -> None:
        async def scene():
            doorway = tls_doorway(LINE, Speaker(), certificates)
            for _ in range(2):
                transport = MemoryTransport(doorway())
                client = Client(ssl.create_default_context())
                transport.feed(client.hello())
                with pytest.raises(ssl.SSLCertVerificationError):
                    client.take(transport.take())
                transport._extra["peername"] = None  # the reset behind the alert: the kernel knows no more who it was
                transport.feed(client._outgoing.read())
                assert transport.is_closing()
            assert doorway.handshakes == {"tlsv1-alert-unknown-ca": 2}

        anyrun(scene())
        (record,) = [each for each in caplog.records if each.levelname == "WARNING"]
        assert record.getMessage() == (
            f"192.0.2.1 does not trust the certificate it was shown: it needs {certificates.folder / 'ca.pem'}"
        )


def test_there_is_room_for_so_many_newcomers(anyrun, speakers) -> None:
    async def scene():
        doorway = everything(speakers, max_newcomers=2)
        first, second, third = (MemoryTransport(doorway()) for _ in range(3))
        assert (first.aborted, second.aborted, third.aborted) == (False, False, True)
        assert doorway.refused == {"no-room": 1}
        first.feed(b"PING\n")  # known now: there is room again
        assert not MemoryTransport(doorway()).aborted
        await asyncio.sleep(0)

    anyrun(scene())


def test_draining_cuts_who_has_not_said_who_they_are(anyrun, speakers, certificates, client_context) -> None:
    async def scene():
        doorway = everything(speakers, certificates)
        silent, shaking, known = (MemoryTransport(doorway()) for _ in range(3))
        shaking.feed(Client(client_context).hello())
        known.feed(b"PING\n")
        await doorway.drain(1)
        assert (silent.aborted, shaking.aborted, known.aborted) == (True, True, False)
        assert MemoryTransport(doorway()).aborted
        await asyncio.sleep(0)

    anyrun(scene())


def test_any_speaks_what_there_is(certificates) -> None:
    doorway = any_doorway({LINE: Speaker(), "unix": Speaker()}, certificates)
    assert set(doorway.plain) == set(doorway.secure) == {LINE}
