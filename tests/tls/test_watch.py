"""What happens to the certificates of a running server."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from hardpoint.config import Tls
from hardpoint.errors import ConfigError
from hardpoint.tls import certificates as certificates_module
from hardpoint.tls import watch as watch_module
from hardpoint.tls.authority import make_certificate
from hardpoint.tls.certificates import Certificates
from hardpoint.tls.watch import CertificateWatch, open_certificates


@pytest.fixture
def own(tmp_path: Path, folder: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "tls"))


@pytest.fixture
def watch(own: Path) -> CertificateWatch:
    return CertificateWatch(open_certificates(Tls(), own))


async def until(condition) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0)


def test_the_first_start_makes_one_and_the_second_takes_it(tmp_path: Path) -> None:
    first = open_certificates(Tls(), tmp_path / "tls")
    assert "localhost" in first.shown[0].names
    again = open_certificates(Tls(), tmp_path / "tls")
    assert again.shown == first.shown
    (tmp_path / "tls" / "cert.pem").unlink()
    ca = (tmp_path / "tls" / "ca.pem").read_bytes()
    assert open_certificates(Tls(), tmp_path / "tls").shown != first.shown
    assert (tmp_path / "tls" / "ca.pem").read_bytes() == ca


def test_a_configured_one_is_never_made(tmp_path: Path, own: Path) -> None:
    open_certificates(Tls(cert=own / "cert.pem", key=own / "key.pem"), tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
    with pytest.raises(ConfigError):
        open_certificates(Tls(cert=tmp_path / "missing.pem"), tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_files_are_looked_at_again_and_again(anyrun, own: Path) -> None:
    async def scene():
        watch = CertificateWatch(open_certificates(Tls(), own), look_s=0)
        watch.start()
        for _ in range(2):
            before = watch.certificates.shown
            make_certificate(own, ["localhost"])
            await until(lambda before=before: watch.certificates.shown != before)
        await watch.stop()
        before = watch.certificates.shown
        make_certificate(own, ["localhost"])
        for _ in range(10):
            await asyncio.sleep(0)
        assert watch.certificates.shown == before

    anyrun(scene())


def test_other_settings_that_cannot_be_used_change_nothing(watch, own: Path, caplog) -> None:
    shown = watch.certificates.shown
    wrong = Tls(cert=own / "missing.pem")
    assert watch.use(wrong) == Tls()
    assert watch.certificates.shown == shown
    assert "certificates not reloaded: cannot read" in caplog.text
    right = replace(wrong, cert=own / "cert.pem", key=own / "key.pem")
    assert watch.use(right) == right


def test_ours_is_renewed_before_its_end(anyrun, watch, monkeypatch) -> None:
    async def scene():
        before = watch.certificates.shown[0]
        monkeypatch.setattr(certificates_module, "RENEW_BEFORE_S", 900 * 86_400.0)
        watch.look()
        watch.look()  # while it is under way
        monkeypatch.undo()
        await watch.stop()
        after = watch.certificates.shown[0]
        assert after.fingerprint != before.fingerprint
        assert "127.0.0.1" in after.names
        watch.look()
        assert watch.certificates.shown[0] is after

    anyrun(scene())


def test_a_renewal_that_fails_is_said_once(anyrun, watch, own: Path, monkeypatch, caplog) -> None:
    async def scene():
        (own / "ca-key.pem").unlink()
        monkeypatch.setattr(certificates_module, "RENEW_BEFORE_S", 900 * 86_400.0)
        for _ in range(3):
            watch.look()
            await watch.stop()

    anyrun(scene())
    assert caplog.text.count("could not be renewed: there is no authority") == 1


def test_the_end_is_spoken_of_once_a_day(watch, monkeypatch, caplog) -> None:
    end_s = watch.certificates.shown[0].not_after_s
    monkeypatch.setattr(Certificates, "needs_renewal", lambda self: False)
    now = {"wall": end_s - 3 * 86_400 - 1, "monotonic": 5.0}
    monkeypatch.setattr(watch_module.time, "time", lambda: now["wall"])
    monkeypatch.setattr(watch_module.time, "monotonic", lambda: now["monotonic"])
    for _ in range(3):
        watch.look()
    now = {"wall": end_s + 1, "monotonic": 5.0 + 86_400}
    watch.look()
    told = [record.getMessage().partition(" the certificate ")[2] or record.getMessage() for record in caplog.records]
    assert [line.rpartition(" 20")[2][9:] for line in told] == ["ends in 3 days", "has ended: clients refuse it"]
    (said,) = watch.describe()
    assert said["days_left"] == -1
    assert said["names"] == ["localhost", "127.0.0.1"]
