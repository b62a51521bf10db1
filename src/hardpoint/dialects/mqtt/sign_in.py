"""Who a client is (SPEC §6): a device by its token, a program by its API token, or anybody where that is allowed."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ...errors import NotAdopted, RateLimited, Unauthorized
from ...hub.broker import Access, DeviceAccess, OpenAccess, ProvisionAccess, RoleAccess, WaitingAccess
from ...hub.principal import Principal as Limited
from ...hub.tokens import API_PREFIX, hash_token, is_well_formed
from ...wire.mqtt import reasons
from ...wire.mqtt.reasons import PacketRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...hub.devices import DeviceState
    from ...hub.hub import Hub
    from ...model import ApiToken
    from ...wire.mqtt.packets import Connect

PROVISION = "provision"
"""User name or client identifier of who asks for a device (WIRE.md §2.6)."""
MAX_CLIENT_ID_LENGTH = 1_024
"""Characters. It is kept with the session; the standard asks for 23 at least (§3.1.3.1)."""


class Apps(Protocol):
    """Where API tokens are known."""

    def find_token(self, secret: str) -> ApiToken | None:
        """The API token of that secret."""

    def live_token(self, token_id: str) -> ApiToken | None:
        """The API token of that id, while it opens anything."""


class NoApps:
    """There are no API tokens here."""

    def find_token(self, secret: str) -> ApiToken | None:
        """None."""
        return None

    def live_token(self, token_id: str) -> ApiToken | None:
        """None."""
        return None


class Principal(NamedTuple):
    """Who is signed in. ``name`` begins the keys of its sessions: a device's id, ``@`` and a token's id, or nothing."""

    name: str
    access: Access
    device: DeviceState | None = None
    kept: bool = True
    """Whether its session may outlive the connection."""
    waits_as: int = 0
    """The number of an unknown device in the list of those that wait to be adopted; 0: it is none."""


class SignIn:
    """Tells who a CONNECT is from."""

    def __init__(self, hub: Hub, apps: Apps, own: Mapping[str, Access], *, provisions: bool = False) -> None:
        self._hub = hub
        self._apps = apps
        self._own = own
        self._provisions = provisions
        self._open = OpenAccess()

    def principal(self, connect: Connect, peer: str, certificate: str = "") -> Principal:
        """Whoever it is; ``certificate`` is the name in the one that the client has shown, if it has.

        Raises:
            NotAdopted: an unknown device, by its user name or, without one, its client identifier: see `waiting`.
            PacketRefused: nobody we know; ``reason`` is for the CONNACK.
        """
        username = connect.username or ""
        if PROVISION in (username, connect.client_id) and not connect.password and self._provisions:
            # Each its own: their client identifiers are all the same, and none may end another's session.
            return Principal(f"$provision-{secrets.token_hex(8)}", ProvisionAccess(), kept=False)
        password = (connect.password or b"").decode("utf-8", "replace")
        for secret in (password, username):
            if secret.startswith(API_PREFIX):
                token = self._apps.find_token(secret)
                if token is not None:
                    return Principal(f"@{token.id}", self._app_access(token))
        if not username and not password and not certificate:
            if self._hub.allow_anonymous:
                return Principal("", self._open)
            self._hub.adoption.knock(connect.client_id, peer)
            raise PacketRefused(reasons.NOT_AUTHORIZED, "a token is needed as the user name")
        try:
            return self._device(username, password, peer, certificate)
        except RateLimited as error:
            raise PacketRefused(reasons.CONNECTION_RATE_EXCEEDED, error.message) from None
        except NotAdopted:
            raise
        except Unauthorized as error:
            raise PacketRefused(reasons.BAD_USER_NAME_OR_PASSWORD, error.message) from None

    def waiting(self, connect: Connect, unknown: NotAdopted) -> Principal:
        """The unknown device, let in to be told when it is adopted. Nothing that it publishes is taken."""
        access = WaitingAccess(connect.username or connect.client_id)
        return Principal(f"$waiting-{secrets.token_hex(8)}", access, kept=False, waits_as=unknown.number)

    def restore(self, key: str) -> Access | None:
        """The rights behind a stored session's key, or None when they are nobody's any more."""
        if key in self._own:
            return self._own[key]
        name = key.partition("/")[0]
        if not name:
            return self._open if self._hub.allow_anonymous else None
        if name.startswith("@"):
            token = self._apps.live_token(name[1:])
            return None if token is None else self._app_access(token)
        return self._device_access(name) if name in self._hub.catalogue.by_id else None

    def _device(self, username: str, password: str, peer: str, certificate: str) -> Principal:
        hub = self._hub
        if password and hub.allow_anonymous:
            # A name and a password that open nothing are an open broker's everyday business, not a new device's name.
            device = hub.catalogue.by_token_hash.get(hash_token(password))
            if device is None and not is_well_formed(password):
                return Principal("", self._open)
        token, claimed = (password, username) if password else (username, "")
        device = hub.sign_in(peer, token, claimed=claimed, certificate=certificate)
        return Principal(device.id, self._device_access(device.id), device)

    def _app_access(self, token: ApiToken) -> Access:
        if not token.labels:
            return RoleAccess(token.role)
        limited = Limited(token.name, token.role, "token", tuple(token.labels), token.id)
        return RoleAccess(token.role, token.labels, partial(limited.sees_id, self._hub.catalogue))

    def _device_access(self, device_id: str) -> Access:
        return self._open if self._hub.allow_anonymous else DeviceAccess(device_id)


def checked_client_id(connect: Connect) -> str:
    """The client identifier itself ([MQTT-3.1.3-5]), empty where one is to be made up.

    Raises:
        PacketRefused: it cannot be used ([MQTT-3.1.3-8]).
    """
    client_id = connect.client_id
    if not client_id:
        if connect.version == reasons.V31 or (connect.version != reasons.V5 and not connect.clean_start):
            # 3.1 §3.1 wants one to 23 characters; [MQTT3-3.1.3-8]
            raise PacketRefused(reasons.CLIENT_ID_NOT_VALID, "a session that is to be kept needs a client identifier")
    elif len(client_id) > MAX_CLIENT_ID_LENGTH:
        raise PacketRefused(
            reasons.CLIENT_ID_NOT_VALID, f"a client identifier has at most {MAX_CLIENT_ID_LENGTH} characters"
        )
    return client_id
