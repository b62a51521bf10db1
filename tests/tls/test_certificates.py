"""Certificates: what is made, what is shown to whom, what is refused, and when they are loaded anew."""

from __future__ import annotations

import shutil
import ssl
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from hardpoint.config import Tls
from hardpoint.errors import BadInput, ConfigError
from hardpoint.tls import authority
from hardpoint.tls.authority import make_authority, make_certificate, make_device_certificate, own_names
from hardpoint.tls.certificates import Certificate, Certificates, describe
from hardpoint.tls.peer import common_name

from .peers import Client


@pytest.fixture
def own(tmp_path: Path, folder: Path) -> Path:
    """A copy of the folder that a test may change."""
    return Path(shutil.copytree(folder, tmp_path / "tls"))


def load(settings: Tls, folder: Path) -> Certificates:
    certificates = Certificates(settings, folder)
    certificates.load()
    return certificates


def combined(folder: Path, names: list[str]) -> Path:
    """A certificate for other names by the same authority, with its key in one file."""
    elsewhere = Path(shutil.copytree(folder, folder.with_name(f"of-{names[0].replace('*', 'any')}")))
    make_certificate(elsewhere, names)
    path = elsewhere / "both.pem"
    path.write_bytes((elsewhere / "cert.pem").read_bytes() + (elsewhere / "key.pem").read_bytes())
    return path


def shaken(certificates: Certificates, client_context: ssl.SSLContext, name: str | None) -> Client:
    """A client that has shaken hands with the context."""
    client = Client(client_context, name)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = certificates.context.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(client.hello())
    for _ in range(2):
        try:
            server.do_handshake()
        except ssl.SSLWantReadError:
            pass
        incoming.write(client.take(outgoing.read()))
    client.peer = server.getpeercert()  # type: ignore[attr-defined]
    return client


class TestAuthority:
    def test_openssl_accepts_what_we_make(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed")
        verify = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", str(folder / "ca.pem")]
        for host in (["-verify_hostname", "localhost"], ["-verify_ip", "127.0.0.1"]):
            subprocess.run([*verify, *host, str(folder / "cert.pem")], check=True, capture_output=True)

    def test_keys_are_their_owners_alone(self, folder: Path) -> None:
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert modes == {"ca.pem": 0o644, "ca-key.pem": 0o600, "cert.pem": 0o644, "key.pem": 0o600}

    def test_the_certificate_lasts_as_long_as_every_client_takes_it(self, folder: Path) -> None:
        shown = load(Tls(), folder).shown[0]
        assert shown.not_after_s - shown.not_before_s == 825 * 86_400

    def test_renewal_keeps_the_authority(self, own: Path, client_context: ssl.SSLContext) -> None:
        first = load(Tls(), own).shown[0]
        make_certificate(own, ["localhost"])
        certificates = load(Tls(), own)
        assert certificates.shown[0].fingerprint != first.fingerprint
        assert shaken(certificates, client_context, "localhost").ssl.version() == "TLSv1.3"

    def test_own_names_have_the_loopback_and_no_zone(self) -> None:
        names = own_names()
        assert {"localhost", "127.0.0.1"} <= set(names)
        assert not [name for name in names if "%" in name or name.startswith("fe80")]

    def test_without_an_authority_nothing_is_signed(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="there is no authority"):
            make_certificate(tmp_path, ["x"])

    @pytest.mark.parametrize("device", ["", "x" * 65, "é" * 33])
    def test_a_device_whose_name_no_certificate_holds_is_refused(self, own: Path, device: str) -> None:
        """Cut to what fits, it would be the certificate of whichever device is called so."""
        with pytest.raises(BadInput, match="give the device's id"):
            make_device_certificate(own, device)

    def test_a_device_with_the_longest_name_gets_one(self, own: Path) -> None:
        pem = make_device_certificate(own, "é" * 32)
        decoded = x509.load_pem_x509_certificate(pem).subject.rfc4514_string()
        assert decoded == f"CN={'é' * 32}"

    def test_names_in_other_scripts_are_written_as_resolvers_do(self, own: Path) -> None:
        make_certificate(own, ["gewächs.example", "*.lan"])
        assert load(Tls(), own).shown[0].names[:2] == ("xn--gewchs-dua.example", "*.lan")
        for wrong in ("a..b", "x" * 64):
            with pytest.raises(BadInput, match="can be no host's name"):
                make_certificate(own, [wrong])

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(ConfigError, match="cannot write certificates to"):
            make_authority(tmp_path / "file" / "tls")

    def test_without_the_package_the_way_out_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "cryptography", None)
        with pytest.raises(ConfigError, match="cryptography") as raised:
            authority.make_authority(tmp_path)
        assert raised.value.hint is not None
        assert "hardpoint[tls]" in raised.value.hint


class TestShown:
    def test_what_is_known_of_it(self, folder: Path) -> None:
        (shown,) = load(Tls(), folder).shown
        assert (shown.common_name, shown.names) == ("localhost", ("localhost", "127.0.0.1"))
        assert shown.days_left(shown.not_after_s - 3 * 86_400 - 1) == 3
        assert shown.days_left(shown.not_after_s + 1) == -1
        assert describe(shown).startswith(f"{folder / 'cert.pem'} for localhost, until 20")
        if shutil.which("openssl"):
            told = subprocess.run(
                ["openssl", "x509", "-in", folder / "cert.pem", "-noout", "-fingerprint", "-sha256"],
                capture_output=True,
                text=True,
                check=True,
            )
            assert told.stdout.strip().rpartition("=")[2] == shown.fingerprint

    @pytest.mark.parametrize(
        ("known", "asked", "fits"),
        [
            ("a.example", "A.Example.", True),
            ("a.example", "b.example", False),
            ("*.example.org", "a.example.org", True),
            ("*.example.org", "a.b.example.org", False),
            ("*.example.org", "example.org", False),
            ("*.example", "example", False),
        ],
    )
    def test_names(self, known: str, asked: str, fits: bool) -> None:
        assert Certificate(Path(), "", (known,), 0, 0, "").names_host(asked) is fits

    def test_the_server_name_chooses(self, own: Path, client_context: ssl.SSLContext) -> None:
        more = (combined(own, ["sensors.example"]), combined(own, ["*.lan.example"]))
        certificates = load(Tls(more=more), own)
        for name in ("localhost", "sensors.example", "a.lan.example"):
            shaken(certificates, client_context, name)  # the client checks the name
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            shaken(certificates, client_context, "nobody.example")
        anonymous = ssl.create_default_context(cafile=own / "ca.pem")
        anonymous.check_hostname = False
        shown = shaken(certificates, anonymous, None).ssl.getpeercert()
        assert common_name(shown) == "localhost"

    def test_a_folder_as_certbot_keeps_it(self, own: Path, client_context: ssl.SSLContext) -> None:
        live = own.with_name("live")
        live.mkdir()
        make = combined(own, ["sensors.example"]).parent
        (live / "fullchain.pem").symlink_to(make / "cert.pem")
        (live / "privkey.pem").symlink_to(make / "key.pem")
        certificates = load(Tls(more=(live,)), own)
        shaken(certificates, client_context, "sensors.example")

    def test_versions(self, own: Path, client_context: ssl.SSLContext) -> None:
        old = ssl.create_default_context(cafile=own / "ca.pem")
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        assert shaken(load(Tls(), own), old, "localhost").ssl.version() == "TLSv1.2"
        with pytest.raises(ssl.SSLError):
            shaken(load(Tls(min_version="1.3"), own), old, "localhost")
        assert shaken(load(Tls(min_version="1.3"), own), client_context, "localhost").ssl.version() == "TLSv1.3"

    def test_devices_by_certificate(self, own: Path) -> None:
        certificates = load(Tls(client_ca=own / "ca.pem"), own)
        pem = own / "device.pem"
        pem.write_bytes(make_device_certificate(own, "greenhouse"))
        device = ssl.create_default_context(cafile=own / "ca.pem")
        assert common_name(shaken(certificates, device, "localhost").peer) == ""  # type: ignore[attr-defined]
        device.load_cert_chain(pem)
        assert common_name(shaken(certificates, device, "localhost").peer) == "greenhouse"  # type: ignore[attr-defined]

    def test_a_device_certificate_of_another_authority_is_refused(self, own: Path, tmp_path: Path) -> None:
        make_authority(tmp_path / "other")
        pem = own / "device.pem"
        pem.write_bytes(make_device_certificate(tmp_path / "other", "greenhouse"))
        device = ssl.create_default_context(cafile=own / "ca.pem")
        device.load_cert_chain(pem)
        with pytest.raises(ssl.SSLCertVerificationError):
            shaken(load(Tls(client_ca=own / "ca.pem"), own), device, "localhost")


class TestRefused:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda folder: (folder / "cert.pem").unlink(), r"cannot read .*cert\.pem: No such file"),
            (lambda folder: (folder / "key.pem").unlink(), r"cannot read .*key\.pem: No such file"),
            (
                lambda folder: (folder / "cert.pem").write_text("nothing"),
                r"cert\.pem and .*key\.pem hold no certificate",
            ),
            (lambda folder: (folder / "cert.pem").write_bytes(b"\xff\x00"), r"hold no certificate and key"),
            (
                lambda folder: shutil.copy(folder / "ca-key.pem", folder / "key.pem"),
                r"key in .*key\.pem is not that of the certificate in .*cert\.pem",
            ),
        ],
        ids=["no-cert", "no-key", "no-pem", "binary", "other-key"],
    )
    def test_files_that_cannot_be_used(self, own: Path, change, message: str) -> None:
        change(own)
        with pytest.raises(ConfigError, match=message):
            load(Tls(), own)

    def test_a_locked_key_asks_nobody(self, own: Path) -> None:
        from cryptography.hazmat.primitives import serialization as forms

        key = forms.load_pem_private_key((own / "key.pem").read_bytes(), None)
        locked = key.private_bytes(
            forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.BestAvailableEncryption(b"secret")
        )
        (own / "key.pem").write_bytes(locked)
        with pytest.raises(ConfigError, match="locked by a pass phrase"):
            load(Tls(), own)

    def test_a_certificate_that_is_for_clients(self, own: Path) -> None:
        pem = own / "device.pem"
        pem.write_bytes(make_device_certificate(own, "greenhouse"))
        with pytest.raises(ConfigError, match=r"device\.pem: no client can use this certificate"):
            load(Tls(cert=pem), own)

    def test_client_ca(self, own: Path) -> None:
        with pytest.raises(ConfigError, match=r"tls\.client_ca: .*missing"):
            load(Tls(client_ca=own / "missing"), own)


class TestReload:
    def test_when_a_file_has_changed_and_only_then(self, own: Path, caplog: pytest.LogCaptureFixture) -> None:
        certificates = load(Tls(), own)
        before = certificates.context
        assert certificates.reload() is False
        assert certificates.context is before
        make_certificate(own, ["localhost"])
        assert certificates.reload() is True
        assert certificates.context is not before
        assert "certificates reloaded" in caplog.text

    def test_halfway_the_old_one_goes_on(self, own: Path, caplog: pytest.LogCaptureFixture) -> None:
        certificates = load(Tls(), own)
        before = certificates.context
        newer = combined(own, ["localhost"]).parent
        shutil.copy(newer / "cert.pem", own / "cert.pem")
        for _ in range(3):
            assert certificates.reload() is False
        assert certificates.context is before
        assert caplog.text.count("the old ones go on: the key in") == 1
        shutil.copy(newer / "key.pem", own / "key.pem")
        assert certificates.reload() is True

    def test_other_settings(self, own: Path) -> None:
        certificates = load(Tls(), own)
        settings = replace(certificates.settings, cert=combined(own, ["sensors.example"]))
        assert certificates.ca_path == own / "ca.pem"
        certificates.use(settings)
        assert certificates.shown[0].common_name == "sensors.example"
        assert certificates.ca_path is None
        with pytest.raises(ConfigError):
            certificates.use(Tls(cert=own / "missing"))
        assert certificates.settings is settings

    def test_the_end_is_seen_coming(self, own: Path) -> None:
        certificates = load(Tls(), own)
        end_s = certificates.shown[0].not_after_s
        assert not certificates.needs_renewal(end_s - 31 * 86_400)
        assert not certificates.ending(end_s - 31 * 86_400)
        assert certificates.needs_renewal(end_s - 29 * 86_400)
        certificates.use(Tls(cert=combined(own, ["sensors.example"])))
        end_s = certificates.shown[0].not_after_s
        assert not certificates.needs_renewal(end_s), "that is its owner's to do"
        assert certificates.ending(end_s - 29 * 86_400) == [certificates.shown[0]]


def test_no_certificate_has_no_name() -> None:
    assert [common_name(nothing) for nothing in (None, {}, {"subject": ((("organizationName", "x"),),)})] == [""] * 3
