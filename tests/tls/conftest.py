"""Certificates for these tests: an authority of the kind that the server makes for itself."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from hardpoint.config import Tls
from hardpoint.tls.authority import make_authority, make_certificate
from hardpoint.tls.certificates import Certificates


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority and a certificate for localhost. Nothing in it is changed by a test."""
    made = tmp_path_factory.mktemp("tls")
    make_authority(made)
    make_certificate(made, ["localhost", "127.0.0.1"])
    return made


@pytest.fixture(scope="session")
def server_context(folder: Path) -> ssl.SSLContext:
    certificates = Certificates(Tls(), folder)
    certificates.load()
    return certificates.context


@pytest.fixture(scope="session")
def client_context(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=folder / "ca.pem")
