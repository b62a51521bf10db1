"""``hardpoint tls``: what is made, what is shown, and what is not written over."""

from __future__ import annotations

import shutil
import socket
import stat
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "tls"


def told(out: str) -> dict[str, str]:
    return dict(line.split("  ", 1) for line in out.splitlines())


def test_init_and_show(hardpoint, folder: Path) -> None:
    made = hardpoint("tls", "init", "--name", "hub.example.lan")
    assert made.code == 0
    found = {key: value.strip() for key, value in told(made.out).items()}
    assert found["certificate"] == str(folder / "cert.pem")
    assert {"localhost", "127.0.0.1", "hub.example.lan", socket.gethostname()} <= set(found["names"].split())
    assert found["from, until"].endswith(": 823 days left")
    assert found["trust"] == str(folder / "ca.pem")
    assert hardpoint("tls", "show").out == made.out
    shown = hardpoint("tls", "show", "--json").json
    assert (shown["schema"], shown["ca"]) == ("hardpoint.tls.v1", str(folder / "ca.pem"))
    assert shown["certificates"][0]["fingerprint"] == found["SHA-256"]
    if shutil.which("openssl"):
        fingerprint = ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", folder / "cert.pem"]
        assert found["SHA-256"] in subprocess.run(fingerprint, capture_output=True, text=True, check=True).stdout
        fingerprint[-1] = folder / "ca.pem"
        assert found["its SHA-256"] in subprocess.run(fingerprint, capture_output=True, text=True, check=True).stdout


def test_init_keeps_the_authority_that_is_there(hardpoint, folder: Path) -> None:
    hardpoint("tls", "init")
    ca = (folder / "ca.pem").read_bytes()
    again = hardpoint("tls", "init")
    assert again.code == 1
    assert "there is an authority" in again.err
    assert "hardpoint tls renew" in again.err
    assert (folder / "ca.pem").read_bytes() == ca
    assert hardpoint("tls", "init", "--force").code == 0
    assert (folder / "ca.pem").read_bytes() != ca


def test_renew_keeps_the_authority_and_the_names(hardpoint, folder: Path) -> None:
    before = hardpoint("tls", "init", "--name", "hub.example.lan").out
    ca = (folder / "ca.pem").read_bytes()
    after = hardpoint("tls", "renew", "--name", "10.0.0.5").out
    assert (folder / "ca.pem").read_bytes() == ca
    assert {"hub.example.lan", "10.0.0.5"} <= set(told(after)["names"].split())
    assert told(before)["SHA-256"] != told(after)["SHA-256"]


def test_without_an_authority(hardpoint) -> None:
    for argv in (["renew"], ["device", "greenhouse"], ["show"]):
        refused = hardpoint("tls", *argv)
        assert refused.code == 78
    assert "hardpoint tls init" in hardpoint("tls", "renew").err


def test_a_configured_one_is_shown(hardpoint, folder: Path, tmp_path: Path) -> None:
    hardpoint("tls", "init")
    shutil.move(folder / "cert.pem", tmp_path / "mine.pem")
    shutil.move(folder / "key.pem", tmp_path / "mine-key.pem")
    (tmp_path / "hardpoint.toml").write_text('[tls]\ncert = "mine.pem"\nkey = "mine-key.pem"\n')
    shown = hardpoint("tls", "show").out
    assert told(shown)["certificate"].strip() == "mine.pem"
    assert "trust" not in told(shown)
    made = hardpoint("tls", "init", "--force")
    assert "shows mine.pem all the same" in made.err


def test_a_devices_certificate(hardpoint, folder: Path, tmp_path: Path) -> None:
    hardpoint("tls", "init")
    printed = hardpoint("tls", "device", "greenhouse")
    assert printed.out.count("-----BEGIN ") == 2
    assert f"once tls.client_ca is {folder / 'ca.pem'}" in printed.err
    out = tmp_path / "greenhouse.pem"
    assert hardpoint("tls", "device", "greenhouse", "--out", str(out)).code == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    before = out.read_bytes()
    again = hardpoint("tls", "device", "greenhouse", "--out", str(out))
    assert (again.code, out.read_bytes()) == (2, before)
    assert "File exists" in again.err
    if shutil.which("openssl"):
        verify = ["openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", folder / "ca.pem", out]
        subprocess.run(verify, capture_output=True, check=True)
