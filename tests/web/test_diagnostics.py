"""The diagnostics bundle: what is in it, and that no secret is, wherever it lay."""

from __future__ import annotations

import io
import logging
import tarfile
from types import SimpleNamespace

import pytest

from hardpoint.rarely import Rarely
from hardpoint.web import diagnostics
from hardpoint.web.diagnostics import LEFT_OUT, pack, redact, secrets_of, unpack
from hardpoint.web.recent import RecentLog

SECRET = "Gq7" * 12


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"HELLO hp_{SECRET} now", "HELLO [left out] now"),
        (f"hpa_{SECRET} and hps_{SECRET}", "[left out] and [left out]"),
        (f"cut: hp_{SECRET[:9]}", "cut: [left out]"),
        ("mqtt://ada:geheim@broker:1883/x", "mqtt://[left out]broker:1883/x"),
        ("GET /api/v1/whatever-it-is/telemetry failed", "GET /api/v1/[left out]/telemetry failed"),
        ("http://h/welcome#W2n9_x-y.", "http://h/welcome#[left out]."),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [left out]"),
        ("?token=abc&password=geheim&x=1", "?token=[left out]&password=[left out]&x=1"),
        ("temp=21.5, 12 commits, hp_x", "temp=21.5, 12 commits, hp_x"),
    ],
)
def test_what_looks_like_a_secret_is_left_out(text, clean):
    assert redact(text.encode()).decode() == clean


def test_known_secrets_go_as_they_are_and_as_json_has_them():
    known = {'quo"ted', "quo", "geheim/é"}
    assert redact(b'a quo"ted and "quo\\"ted" and geheim/\xc3\xa9', known).decode() == (
        f'a {LEFT_OUT} and "{LEFT_OUT}" and {LEFT_OUT}'
    )


def test_the_secrets_of_channels_are_known():
    settings = {
        "url": "https://hooks.example/T0/B0/XXXX",
        "secret": "geheim",
        "headers": {"X-Key": "also geheim"},
        "to": ["a@b.example"],
        "password": "pw",
    }
    kept = SimpleNamespace(secret=frozenset({"secret", "headers", "password"}))
    outbox = SimpleNamespace(
        channels={"ch": SimpleNamespace(kind="webhook", settings=settings)}, sender=lambda kind: kept
    )
    assert secrets_of(outbox) == {"https://hooks.example/T0/B0/XXXX", "geheim", "also geheim"}


def test_packed_and_unpacked_it_is_the_same():
    parts = {"a.txt": b"a", "log.txt": b"hp_" + SECRET.encode()}
    packed = pack(parts, 1_795_000_000.0)
    assert unpack(packed) == {"a.txt": b"a", "log.txt": LEFT_OUT.encode()}
    with tarfile.open(fileobj=io.BytesIO(packed)) as bundle:
        assert bundle.getnames()[0] == "hardpoint-20261118T110640Z/a.txt"


def test_what_is_no_bundle(monkeypatch):
    link = io.BytesIO()
    with tarfile.open(fileobj=link, mode="w:gz") as bundle:
        entry = tarfile.TarInfo("x/a")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        bundle.addfile(entry)
    monkeypatch.setattr(diagnostics, "MAX_BYTES", 10)
    for data in (b"", b"x" * 100, link.getvalue(), pack({"a": b"x" * 11}, 0.0)):
        with pytest.raises(ValueError, match="not a diagnostics bundle"):
            unpack(data)


class TestLogWithoutNames:
    @pytest.fixture
    def recent(self):
        recent = RecentLog()
        root = logging.getLogger()
        root.addHandler(recent)
        yield recent
        root.removeHandler(recent)

    def test_words_and_numbers_stay_and_what_was_put_in_goes(self, recent, caplog):
        caplog.set_level("INFO")
        ours, theirs = logging.getLogger("hardpoint.test"), logging.getLogger("plugin")
        ours.info("device %s sent %d readings from %r", "grandma-bed", 3, "192.0.2.1")
        ours.info("%(name)s is late by %(s).1f s", {"name": "grandma-bed", "s": 2.5})
        theirs.info("grandma-bed, no arguments")
        rarely = Rarely(ours, clock_s=iter([0.0, 1.0, 99.0]).__next__)
        for _ in range(3):
            rarely.warn("%s fails", "grandma-bed")
        try:
            raise LookupError("grandma-bed")
        except LookupError:
            ours.exception("a handler failed")
        shown, hidden = "\n".join(recent.lines()), "\n".join(recent.lines(hide_names=True))
        assert shown.count("grandma-bed") >= 6
        assert "grandma-bed" not in hidden
        assert "192.0.2.1" not in hidden
        words = [line.split(": ", 1)[1] for line in hidden.splitlines() if " hardpoint.test: " in line]
        assert words == [
            "device … sent 3 readings from '…'",
            "… is late by 2.5 s",
            "… fails",
            "… fails (and 1 times since the last such line)",
            "a handler failed",
        ]
        assert "LookupError: …" in hidden
        assert "test_diagnostics.py" in hidden
