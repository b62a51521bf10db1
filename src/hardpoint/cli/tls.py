"""``hardpoint tls``: the certificates of this machine's server, and an authority of its own for a LAN."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import Conflict
from .command import Group, json_option
from .connection import config_option, data_option
from .output import document, printable, say

if TYPE_CHECKING:
    from ..config import Config
    from ..tls.certificates import Certificate

command = Group(
    "tls",
    help="Make, show and renew the certificates that listeners with TLS use.",
    examples="""
    hardpoint tls init
    hardpoint tls show
    hardpoint tls device greenhouse --out greenhouse.pem
    """,
)

_name_option = click.option(
    "--name",
    "names",
    multiple=True,
    metavar="NAME",
    help="A further name or address it is to be good for. May be repeated.",
)


@command.command(
    "init",
    examples="""
    hardpoint tls init
    hardpoint tls init --name hub.example.lan --name 10.0.0.5
    """,
)
@_name_option
@click.option("--force", is_flag=True, help="Replace an authority that is there: nobody who trusts it will connect.")
@data_option
@config_option
def init(names: tuple[str, ...], force: bool, data: Path | None, config_file: Path | None) -> None:
    """Make an authority and a certificate for this machine, as the server does at its first start with TLS."""
    from ..tls.authority import CA_FILE, make_authority, make_certificate, own_names

    config = _config(data, config_file)
    folder = config.tls_folder
    if (folder / CA_FILE).exists() and not force:
        raise Conflict(
            f"there is an authority in {folder} already",
            hint="hardpoint tls renew makes a new certificate and keeps it; --force makes a new one of both",
        )
    make_authority(folder)
    make_certificate(folder, own_names(names))
    _print_own(folder)
    if config.tls.cert is not None:
        say(f"the server shows {config.tls.cert} all the same, as long as tls.cert is set")


@command.command(
    "renew",
    examples="""
    hardpoint tls renew
    hardpoint tls renew --name hub.example.lan
    """,
)
@_name_option
@data_option
@config_option
def renew(names: tuple[str, ...], data: Path | None, config_file: Path | None) -> None:
    """Make a new certificate for this machine by the authority that is there: who trusts it need not be told.

    Names that were given before stay. A running server takes it over within 30 seconds, or at once on SIGHUP.
    """
    from ..config import Tls
    from ..tls.authority import CERT_FILE, make_certificate, own_names
    from ..tls.certificates import Certificates

    folder = _config(data, config_file).tls_folder
    before: tuple[str, ...] = ()
    if (folder / CERT_FILE).exists():
        certificates = Certificates(Tls(), folder)
        certificates.load()
        before = certificates.shown[0].names
    make_certificate(folder, own_names((*before, *names)))
    _print_own(folder)


@command.command(
    "show",
    examples="""
    hardpoint tls show
    hardpoint tls show --json
    """,
)
@data_option
@config_option
@json_option
def show(data: Path | None, config_file: Path | None, as_json: bool) -> None:
    """Show the certificates that are configured, or the server's own: names, dates, and the fingerprint to compare."""
    from ..tls.certificates import Certificates

    config = _config(data, config_file)
    certificates = Certificates(config.tls, config.tls_folder)
    certificates.load()
    if as_json:
        items = [_plain(certificate) for certificate in certificates.shown]
        ca = certificates.ca_path
        print(document("tls", {"certificates": items, "ca": str(ca) if ca else None}))
        return
    for certificate in certificates.shown:
        _print(certificate)
    if certificates.ca_path:
        _print_trust(certificates.ca_path)


@command.command(
    "device",
    examples="""
    hardpoint tls device greenhouse --out greenhouse.pem
    """,
)
@click.argument("name")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to write it, for its owner's eyes alone; without, it is printed.",
)
@data_option
@config_option
def device(name: str, out: Path | None, data: Path | None, config_file: Path | None) -> None:
    """Make a certificate by which the device NAME signs in, signed by the server's own authority.

    It holds the certificate and its key, and is kept nowhere else. The device of that name must exist, or be made.
    """
    from ..tls.authority import CA_FILE, make_device_certificate

    config = _config(data, config_file)
    made = make_device_certificate(config.tls_folder, name)
    if out is None:
        print(made.decode("ascii"), end="")
    else:
        try:
            with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(made)
        except OSError as error:  # a key that is there is never written over
            raise click.UsageError(f"--out {out}: {error.strerror or error}") from error
    if config.tls.client_ca is None:
        say(f"the server takes it once tls.client_ca is {config.tls_folder / CA_FILE}")


def _config(data: Path | None, config_file: Path | None) -> Config:
    from ..config import load

    return load({"data": data}, file=config_file)


def _print_own(folder: Path) -> None:
    from ..config import Tls
    from ..tls.authority import CA_FILE
    from ..tls.certificates import Certificates

    certificates = Certificates(Tls(), folder)
    certificates.load()
    _print(certificates.shown[0])
    _print_trust(folder / CA_FILE)


def _print_trust(ca: Path) -> None:
    """What clients need, and by what they know that it is the right one."""
    from ..web.snippets import fingerprint

    print(f"trust        {printable(str(ca))}")
    print(f"its SHA-256  {fingerprint(ca.read_text('ascii'))}")


def _print(certificate: Certificate) -> None:
    days = certificate.days_left(time.time())
    print(f"certificate  {printable(str(certificate.path))}")
    print(f"names        {printable(' '.join(certificate.names))}")
    print(f"from, until  {_day(certificate.not_before_s)}, {_day(certificate.not_after_s)}: ", end="")
    print(f"{days} days left" if days >= 0 else "it has ended")
    print(f"SHA-256      {certificate.fingerprint}")


def _plain(certificate: Certificate) -> dict[str, Any]:
    return asdict(certificate) | {
        "path": str(certificate.path),
        "names": list(certificate.names),
        "days_left": certificate.days_left(time.time()),
    }


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
