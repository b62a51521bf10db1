"""Every kind of channel against a receiver that is real: an HTTP server, an SMTP server."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from hardpoint import registry
from hardpoint.errors import BadInput
from hardpoint.hub.outbox import NotDelivered, Notice

NOTICE = Notice(
    "7", "firing: Hot: Gewächshaus: temp is above 30 (31)", "firing: …\nresolved: …", "critical", ({"a": 1},)
)


class HttpReceiver:
    """Notes ``(path, headers, body)`` of every request; answers with ``status``."""

    def __init__(self):
        self.requests = []
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((self.path, dict(self.headers), body))
                self.send_response(receiver.status)
                self.send_header("Location", "/elsewhere")
                said = b"said <b>\r\nthat</b>"
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *args):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def http_receiver():
    receiver = HttpReceiver()
    thread = Thread(target=receiver.server.serve_forever)
    thread.start()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()
    thread.join()


def sender(kind):
    return registry.load("senders", kind)()


def send(kind, settings):
    made = sender(kind)
    return asyncio.run(made.send(made.check(settings), NOTICE))


class TestWebhook:
    def test_posts_json_with_a_key_and_a_signature(self, http_receiver):
        url = f"{http_receiver.url}/hook?a=b"
        settings = {"url": url, "secret": "s3cret", "headers": {"X-Team": "north"}}
        assert send("webhook", settings) == "HTTP 200"
        ((path, headers, body),) = http_receiver.requests
        assert path == "/hook?a=b"
        assert (headers["Idempotency-Key"], headers["X-Team"]) == ("7", "north")
        signature = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
        assert headers["X-Hardpoint-Signature"] == f"sha256={signature}"
        assert json.loads(body) == {
            "key": "7",
            "subject": NOTICE.subject,
            "text": NOTICE.text,
            "severity": "critical",
            "news": [{"a": 1}],
        }

    @pytest.mark.parametrize("status", [302, 404, 500])
    def test_any_other_answer_is_no_delivery(self, http_receiver, status):
        http_receiver.status = status
        with pytest.raises(NotDelivered, match=rf"HTTP {status} .*: said <b> that</b>"):
            send("webhook", {"url": http_receiver.url})
        assert len(http_receiver.requests) == 1, "a redirection is not followed"

    def test_nobody_there_is_no_delivery(self):
        with socket.socket() as bound:  # and not listening
            bound.bind(("127.0.0.1", 0))
            with pytest.raises(NotDelivered, match=r"127\.0\.0\.1: .*refused"):
                send("webhook", {"url": f"http://127.0.0.1:{bound.getsockname()[1]}"})

    @pytest.mark.parametrize(
        ("field", "settings"),
        [
            ("settings.url", {}),
            ("settings.url", {"url": "ftp://a"}),
            ("settings.url", {"url": "http://"}),
            ("settings.url", {"url": "http://a b"}),
            ("settings.url", {"url": "http://a:99999"}),
            ("settings.url", {"url": "http://a\r\nX: y"}),
            ("settings.more", {"url": "http://a", "more": 1}),
            ("settings.secret", {"url": "http://a", "secret": [5]}),
            ("settings.headers", {"url": "http://a", "headers": []}),
            ("settings.headers.A B", {"url": "http://a", "headers": {"A B": "c"}}),
            ("settings.headers.A", {"url": "http://a", "headers": {"A": "c\r\nd: e"}}),
        ],
    )
    def test_settings_that_cannot_be_used(self, field, settings):
        with pytest.raises(BadInput) as caught:
            sender("webhook").check(settings)
        assert caught.value.field == field


def test_ntfy_posts_the_text(http_receiver):
    assert send("ntfy", {"topic": "my/alerts", "server": f"{http_receiver.url}/", "token": "tk"}) == "HTTP 200"
    ((path, headers, body),) = http_receiver.requests
    assert (path, body) == ("/my%2Falerts", NOTICE.text.encode())
    assert headers["Title"] == "firing: Hot: Gew?chshaus: temp is above 30 (31)"
    assert (headers["Priority"], headers["Authorization"]) == ("5", "Bearer tk")


def test_telegram_writes_to_the_chat(http_receiver):
    settings = {"token": "123:AB-c_d", "chat": "@north", "server": http_receiver.url}
    assert send("telegram", settings) == "HTTP 200"
    ((path, _, body),) = http_receiver.requests
    assert path == "/bot123:AB-c_d/sendMessage"
    assert json.loads(body) == {"chat_id": "@north", "text": NOTICE.text}


@pytest.mark.parametrize("token", ["", "abc", "1:a/../b", "1:a?b", "1:a b"])
def test_a_telegram_token_is_no_way_into_another_path(token):
    with pytest.raises(BadInput):
        sender("telegram").check({"token": token, "chat": "1"})


class Mailbox:
    """What aiosmtpd hands over; refuses the receivers in ``refuses``."""

    def __init__(self):
        self.messages = []
        self.refuses = set()

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 - aiosmtpd's name
        if address in self.refuses:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.messages.append((envelope.mail_from, envelope.rcpt_tos, envelope.content.decode()))
        return "250 OK"


def mail(mailbox, settings):
    """Send `NOTICE` to an SMTP server that hands over to the mailbox."""

    async def scene():
        from aiosmtpd.smtp import SMTP

        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(mailbox, hostname="mail.test"), "127.0.0.1", 0)
        async with server:
            made = sender("mail")
            return await made.send(made.check(settings | {"port": server.sockets[0].getsockname()[1]}), NOTICE)

    return asyncio.run(scene())


MAIL = {"host": "127.0.0.1", "security": "none", "sender": "hp@example.org", "to": ["ada@example.org"]}


class TestMail:
    def test_is_accepted(self):
        mailbox = Mailbox()
        assert mail(mailbox, MAIL) == "accepted"
        ((from_whom, to, text),) = mailbox.messages
        assert (from_whom, to) == ("hp@example.org", ["ada@example.org"])
        assert "X-Hardpoint-Key: 7" in text
        assert "=?utf-8?q?Gew=C3=A4chshaus" in text
        assert "Message-ID: <" in text

    def test_for_one_of_several_is_refused_by_name(self):
        mailbox = Mailbox()
        mailbox.refuses.add("bob@example.org")
        to = ["ada@example.org", "bob@example.org"]
        assert mail(mailbox, MAIL | {"to": to}) == "refused for bob@example.org"
        with pytest.raises(NotDelivered, match="no such user"):
            mail(mailbox, MAIL | {"to": ["bob@example.org"]})

    def test_a_server_without_starttls_gets_nothing_that_asked_for_it(self):
        mailbox = Mailbox()
        with pytest.raises(NotDelivered, match="STARTTLS"):
            mail(mailbox, MAIL | {"security": "starttls"})
        assert mailbox.messages == []

    @pytest.mark.parametrize(
        ("field", "change"),
        [
            ("settings.host", {"host": "a b"}),
            ("settings.host", {"host": None}),
            ("settings.port", {"port": 0}),
            ("settings.port", {"port": "25"}),
            ("settings.security", {"security": "ssl"}),
            ("settings.to", {"to": []}),
            ("settings.to", {"to": ["ada"]}),
            ("settings.to", {"to": ["ada@example.org\r\nBcc: eve@example.org"]}),
            ("settings.to", {"sender": "a, b@c"}),
            ("settings.more", {"more": 1}),
        ],
    )
    def test_settings_that_cannot_be_used(self, field, change):
        with pytest.raises(BadInput) as caught:
            sender("mail").check(MAIL | change)
        assert caught.value.field == field

    def test_ports_follow_the_security(self):
        made = sender("mail")
        without = {name: value for name, value in MAIL.items() if name != "security"}
        assert made.check(without)["port"] == 587
        assert made.check(MAIL | {"security": "tls"})["port"] == 465


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_apprise_hands_over(http_receiver):
    pytest.importorskip("apprise", reason="the extra `notify` is not installed")
    host = http_receiver.url.removeprefix("http://")
    assert send("apprise", {"url": f"json://{host}/x"}) == "accepted"
    ((path, _, body),) = http_receiver.requests
    assert path == "/x"
    assert json.loads(body)["message"] == NOTICE.text
    http_receiver.status = 500
    with pytest.raises(NotDelivered):
        send("apprise", {"url": f"json://{host}/x"})
    with pytest.raises(BadInput):
        sender("apprise").check({"url": "nonsense"})


def test_every_sender_of_the_registry_is_one():
    from hardpoint.hub.outbox import Sender

    for name in registry.SENDERS:
        if name == "apprise":
            continue
        assert isinstance(sender(name), Sender)
    assert set(registry.Makers("senders")) >= set(registry.SENDERS)


class TestPublish:
    def test_is_a_message_of_the_broker(self):
        from hardpoint.notify.publish import Publish

        class Broker:
            def __init__(self):
                self.published = []

            def publish(self, message):
                self.published.append((message.topic, json.loads(message.payload)["key"], message.qos, message.retain))
                return 3

        broker = Broker()
        made = Publish(broker)
        settings = made.check({"topic": "alerts/house"})
        assert asyncio.run(made.send(settings, NOTICE)) == "3 subscribers"
        assert broker.published == [("alerts/house", "7", 1, False)]

    @pytest.mark.parametrize(
        ("field", "settings"),
        [
            ("settings.topic", {}),
            ("settings.topic", {"topic": "a/+"}),
            ("settings.topic", {"topic": "$SYS/a"}),
            ("settings.topic", {"topic": "$share/g/a"}),
            ("settings.qos", {"topic": "a", "qos": 3}),
            ("settings.retain", {"topic": "a", "retain": 1}),
            ("settings.more", {"topic": "a", "more": 1}),
        ],
    )
    def test_settings_that_cannot_be_used(self, field, settings):
        from hardpoint.notify.publish import Publish

        with pytest.raises(BadInput) as caught:
            Publish(None).check(settings)
        assert caught.value.field == field
