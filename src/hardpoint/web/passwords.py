"""Passwords as they are kept: scrypt, in PHC strings (``$scrypt$ln=14,r=8,p=5$<salt>$<key>``).

Hashing is slow by purpose and runs on threads. A name that is unknown costs the same as one that is known, or the time
would tell which names there are.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
import secrets

SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**14, 8, 5
"""On OWASP's list; 16 MiB and some 0.2 s a try, on a thread."""
MAX_HASHED_AT_ONCE = 2
"""Of 16 MiB each: ten guesses at a time must not take 160. The rest wait their turn."""

_PHC = re.compile(r"\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)")
_NOBODYS_SALT = b"0123456789abcdef"


class Passwords:
    """Hashes and checks them, a few at a time."""

    def __init__(self) -> None:
        self._hashing = asyncio.Semaphore(MAX_HASHED_AT_ONCE)

    async def hash(self, password: str) -> str:
        """The PHC string that is kept."""
        salt = secrets.token_bytes(16)
        key = await self._derive(password, salt, SCRYPT_N, SCRYPT_R, SCRYPT_P)
        return f"$scrypt$ln={SCRYPT_N.bit_length() - 1},r={SCRYPT_R},p={SCRYPT_P}${_b64(salt)}${_b64(key)}"

    async def fits(self, password: str, kept: str | None) -> bool:
        """Whether it is the one that is kept. None, of a name that is unknown, fits nothing and costs as much."""
        found = _PHC.fullmatch(kept) if kept is not None else None
        if found is None:
            await self._derive(password, _NOBODYS_SALT, SCRYPT_N, SCRYPT_R, SCRYPT_P)
            return False
        ln, r, p, salt, expected = found.groups()
        key = await self._derive(password, _unb64(salt), 2 ** int(ln), int(r), int(p))
        return hmac.compare_digest(key, _unb64(expected))

    async def _derive(self, password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
        def derive() -> bytes:
            # OpenSSL counts 128·N·r·(p + 2) bytes and a little; its default cap of 32 MiB is below that.
            return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=32)

        async with self._hashing:
            return await asyncio.to_thread(derive)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))
