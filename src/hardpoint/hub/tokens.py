"""Tokens: 256 random bits behind a prefix that names the kind, with a check sum; only the SHA-256 is kept.

A random token of that length needs no slow hash: there is nothing to guess. The check sum tells a token that was
mistyped from one that was revoked, and lets a secret scanner recognise one in a public repository.
"""

from __future__ import annotations

import binascii
import hashlib
import secrets

DEVICE_PREFIX = "hp_"
API_PREFIX = "hpa_"
LINK_PREFIX = "hps_"
"""Of links that share a dashboard."""
TOKEN_PREFIXES = (DEVICE_PREFIX, API_PREFIX, LINK_PREFIX)
SHOWN_PREFIX_LENGTH = 10
"""How much of a token a list shows: enough to tell two apart, too little to help anyone."""

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_LENGTH = 43  # 62**43 > 2**256
_CHECK_LENGTH = 6  # 62**6 > 2**32


def new_token(prefix: str = DEVICE_PREFIX) -> str:
    """A fresh token, ``<prefix><43 random><6 check>``, of ``[A-Za-z0-9_]`` only: it needs no quoting anywhere."""
    body = prefix + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_LENGTH))
    return body + _check(body)


def is_well_formed(token: str) -> bool:
    """Whether it can be a token of ours at all: its check sum fits."""
    return len(token) > _CHECK_LENGTH and token.isascii() and _check(token[:-_CHECK_LENGTH]) == token[-_CHECK_LENGTH:]


def hash_token(token: str) -> str:
    """What is stored and looked up. A look-up by digest leaks no timing about the token itself."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _check(body: str) -> str:
    number = binascii.crc32(body.encode())
    digits = ""
    for _ in range(_CHECK_LENGTH):
        number, digit = divmod(number, 62)
        digits = _ALPHABET[digit] + digits
    return digits
