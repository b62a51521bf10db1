"""Every exception Hardpoint raises on purpose, in one tree; each carries its answer on the wire.

::

    HardpointError
    ├── PeerError                what a peer sent cannot be used: its fault, one answer, no traceback
    │   ├── BadInput             400  bad-line       malformed or out of range
    │   ├── Unauthorized         401  unauthorized   no token, or a wrong one
    │   │   └── NotAdopted                           a device that waits for a person to let it in
    │   ├── Forbidden            403  unauthorized   known, but not allowed this
    │   ├── NotFound             404  not-found
    │   ├── UnknownVerb          404  unknown-verb
    │   ├── Conflict             409  bad-line       the name is taken
    │   ├── TooLarge             413  too-long       a named limit was passed
    │   ├── RateLimited          429  rate-limited
    │   └── TimedOut             504  timed-out      nobody answered in time
    ├── StorageError             503  storage-full   the store could not make it durable
    │   ├── StorageFull          507  storage-full   no space left
    │   ├── FolderTaken          exit 73             another process holds the data folder
    │   └── SchemaMismatch       exit 78             the folder was written by a newer Hardpoint
    ├── ConfigError              exit 78             a setting is wrong
    ├── AddressTaken             exit 73             a listener's address is in use
    └── ServerUnreachable        exit 69             a client command found no server

Our own faults are anything else: they are logged with a traceback, and the peer is told ``internal`` and no more.
"""

from __future__ import annotations

from typing import ClassVar


class HardpointError(Exception):
    """Base of all. ``message`` is written for the person who will read it; it never holds a secret."""

    code: ClassVar[str] = "internal"
    """The API's error code (``{"error": {"code": …}}``)."""
    line_code: ClassVar[str] = "internal"
    """The line dialect's error code (``ERR <code> …``)."""
    status: ClassVar[int] = 500
    """The HTTP status."""
    exit_code: ClassVar[int] = 1
    """The process's exit code when a command ends with it."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        """What to do about it, for the command line; ``None`` where the message says it."""


class PeerError(HardpointError):
    """What a peer sent cannot be used. Answer it in its own dialect and go on."""

    code = "bad_request"
    line_code = "bad-line"
    status = 400
    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None, field: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.field = field
        """The place in the input that is wrong, as a path (``values.temp``), where one can be named."""


class BadInput(PeerError):
    """Malformed, or outside what is allowed."""


class Unauthorized(PeerError):
    """No token, or one that opens nothing."""

    code = "unauthorized"
    line_code = "unauthorized"
    status = 401
    exit_code = 77


class NotAdopted(Unauthorized):
    """A device that has named itself, and waits to be adopted."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number
        """Of its entry in the list of those that wait (`hub.adoption`)."""


class Forbidden(PeerError):
    """Signed in, but this is not theirs to do."""

    code = "forbidden"
    line_code = "unauthorized"
    status = 403
    exit_code = 77


class NotFound(PeerError):
    """No such device, key, command or path."""

    code = "not_found"
    line_code = "not-found"
    status = 404
    exit_code = 1


class UnknownVerb(PeerError):
    """A line that starts with no verb of the dialect and holds no reading."""

    code = "unknown_verb"
    line_code = "unknown-verb"
    status = 404


class Conflict(PeerError):
    """It exists already, or has moved on to a state that forbids this."""

    code = "conflict"
    status = 409


class TooLarge(PeerError):
    """A named limit was passed; the message names it."""

    code = "too_large"
    line_code = "too-long"
    status = 413


class RateLimited(PeerError):
    """Too many in too short a time; the message says when to try again."""

    code = "rate_limited"
    line_code = "rate-limited"
    status = 429
    exit_code = 75


class TimedOut(PeerError):
    """The device did not answer within the time the caller gave it."""

    code = "timed_out"
    line_code = "timed-out"
    status = 504
    exit_code = 75


class StorageError(HardpointError):
    """The store could not make it durable. Nothing of the batch was acknowledged."""

    code = "storage_failed"
    line_code = "storage-full"
    status = 503


class StorageFull(StorageError):
    """No space left on the disk. Sending again later is right: the store goes on when space returns."""

    code = "storage_full"
    line_code = "storage-full"
    status = 507


class FolderTaken(StorageError):
    """Another process holds the data folder."""

    exit_code = 73


class SchemaMismatch(StorageError):
    """The data folder was written by a newer Hardpoint, or by something else."""

    exit_code = 78


class ConfigError(HardpointError):
    """A setting is wrong; the message names it and where it came from."""

    exit_code = 78


class AddressTaken(HardpointError):
    """A listener's address is in use, or not ours to bind."""

    exit_code = 73


class ServerUnreachable(HardpointError):
    """A client command found no server to talk to."""

    code = "unreachable"
    exit_code = 69
