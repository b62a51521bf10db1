"""A certificate authority of our own, for a LAN where nobody else would sign: what devices and browsers are told to
trust once (``ca.pem``), and the server's certificate that it signs and renews.

An authority and not one self-signed certificate, because devices keep what they trust in flash: the server's
certificate is renewed every two years and moves with the machine's addresses, the authority stays.
"""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BadInput, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

CA_FILE, CA_KEY_FILE = "ca.pem", "ca-key.pem"
CERT_FILE, KEY_FILE = "cert.pem", "key.pem"
CA_DAYS = 10 * 365
CERT_DAYS = 825
"""The longest that Apple's systems take from an authority that a user has added (HT210176)."""
MAX_COMMON_NAME_BYTES = 64
"""RFC 5280 appendix A.1, ``ub-common-name``."""
BACKDATED = timedelta(days=1)
"""A device without a battery behind its clock may be some hours late when it first looks."""


def own_names(further: Iterable[str] = ()) -> list[str]:
    """What this machine may be called in its network: its name, that name with ``.local`` (mDNS), and its addresses;
    and whatever it is called besides.
    """
    import psutil

    host = socket.gethostname().partition(".")[0]
    names = [host, f"{host}.local", "localhost"]
    full = socket.gethostname()
    if full not in names:
        names.insert(0, full)
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            if each.family in (socket.AF_INET, socket.AF_INET6):
                address = ip_address(each.address.partition("%")[0])
                if not address.is_link_local:  # it has no meaning without the interface, which a URL cannot name
                    names.append(str(address))
    return list(dict.fromkeys([*names, *further]))


def make_authority(folder: Path) -> None:
    """Make the authority in ``folder``, which is made as well, in ``ca.pem`` and ``ca-key.pem`` (0600).

    Raises:
        ConfigError: the package cryptography is not installed, or the folder cannot be written.
    """
    _need_cryptography()
    key, name = _new_key(), f"Hardpoint at {socket.gethostname()[:40]}"
    certificate = _sign(name, key, None, days=CA_DAYS, ca=True)
    _write(folder, {CA_KEY_FILE: _pem_of_key(key), CA_FILE: _pem(certificate)})


def make_certificate(folder: Path, names: Sequence[str]) -> None:
    """Make a server certificate for these names and addresses, signed by the authority in ``folder``, in ``cert.pem``
    (with the authority's behind it) and ``key.pem`` (0600). What was there is replaced, each file whole.

    Raises:
        BadInput: one of the names can be no host's.
        ConfigError: cryptography is not installed, the folder holds no authority, or it cannot be written.
    """
    _need_cryptography()
    issuer = _authority(folder)
    key = _new_key()
    certificate = _sign(names[0], key, issuer, days=CERT_DAYS, names=names)
    _write(folder, {KEY_FILE: _pem_of_key(key), CERT_FILE: _pem(certificate) + _pem(issuer[0])})


def make_device_certificate(folder: Path, device: str) -> bytes:
    """A certificate by which the device of that id or name signs in, as PEM: the certificate and its key. It is kept
    nowhere here.

    Raises:
        BadInput: no certificate can hold that. A part of it would be another device's name.
        ConfigError: cryptography is not installed, or the folder holds no authority.
    """
    if not 0 < len(device.encode()) <= MAX_COMMON_NAME_BYTES:
        raise BadInput(
            f"a certificate holds a name of 1 to {MAX_COMMON_NAME_BYTES} bytes: give the device's id instead",
            field="name",
        )
    _need_cryptography()
    key = _new_key()
    return _pem(_sign(device, key, _authority(folder), days=CA_DAYS, client=True)) + _pem_of_key(key)


def _need_cryptography() -> None:
    try:
        import cryptography  # noqa: F401 - only to see whether it is there
    except ImportError:
        raise ConfigError(
            "making a certificate needs the package cryptography",
            hint="pip install 'hardpoint[tls]', or set tls.cert and tls.key to a certificate you have",
        ) from None


def _new_key() -> EllipticCurvePrivateKey:
    """P-256: what mbedTLS, BearSSL and the secure elements of small boards all have, and ten times cheaper to sign with
    than RSA.
    """
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _sign(
    common_name: str,
    key: EllipticCurvePrivateKey,
    issuer: tuple[x509.Certificate, EllipticCurvePrivateKey] | None,
    *,
    days: int,
    ca: bool = False,
    client: bool = False,
    names: Sequence[str] = (),
) -> x509.Certificate:
    """A certificate by RFC 5280's profile. Without an issuer it signs itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    # Of a server's only a part, if it is long: clients look at its other names.
    shown = common_name.encode()[:MAX_COMMON_NAME_BYTES].decode(errors="ignore")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, shown)])
    signer = issuer[1] if issuer else key
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now - BACKDATED + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
        .add_extension(_key_usage(ca), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if not ca:
        purpose = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    if names:
        general = [_general_name(name) for name in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _key_usage(ca: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name.encode("idna").decode())
    except UnicodeError as error:
        raise BadInput(f"{name!r} can be no host's name: {error}", field="name") from error


def _authority(folder: Path) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        certificate = x509.load_pem_x509_certificate((folder / CA_FILE).read_bytes())
        key = load_pem_private_key((folder / CA_KEY_FILE).read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"there is no authority in {folder}: {error}", hint="hardpoint tls init") from error
    return certificate, key  # type: ignore[return-value]  # it is the kind of key that we made


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _pem_of_key(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """Each file whole, by renaming; keys for their owner alone from the first moment on."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, content in files.items():
            partial = folder / f".{name}.{os.getpid()}"
            mode = 0o600 if "key" in name else 0o644
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(folder / name)
    except OSError as error:
        raise ConfigError(f"cannot write certificates to {folder}: {error.strerror or error}") from error
