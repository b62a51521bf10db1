"""The live stream: ``GET /api/live``, server-sent events (SPEC §5).

Every client sees the same events at the same moment, at most ten times a second: what happened since the last tick is
grouped and encoded *once*, and each client gets the parts that fit its filter. So a client more costs one write a
tick, however many readings a second arrive.

Event ids are ``<boot>-<n>``. Only the last event of a tick carries one, so a stream that breaks in the middle of a tick
resumes before it: the page may see a point twice (it knows by the time stamp), and never misses one.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ..errors import RateLimited
from ..http import EventStream
from ..wire.sse import COMMENT, encode_event

if TYPE_CHECKING:
    from ..http import Outlet, Request, Router
    from ..hub.hub import Hub
    from ..hub.live import Entry
    from ..hub.principal import Principal
    from ..model import Json, Row

TICK_S = 0.1
"""Ten times a second is as live as an eye can tell."""
KEEP_ALIVE_S = 15.0
"""Proxies cut silent streams after 30 s at the earliest."""

EVERYTHING: frozenset[str] = frozenset()

_NUMBER = re.compile(r"[0-9]{1,18}")
_encode_json = msgspec.json.Encoder().encode


class Part(NamedTuple):
    """One event of a tick: encoded for whoever sees all of it, with its ``readings`` for whoever sees some of them."""

    kind: str
    device: str
    encoded: bytes
    readings: Sequence[tuple[str, int, Json]]


class LiveClient:
    """One open stream, and which parts of a tick it gets. One that is limited otherwise is a subclass."""

    __slots__ = ("devices", "keys", "outlet", "without")

    def __init__(
        self,
        outlet: Outlet,
        devices: frozenset[str] = EVERYTHING,
        keys: frozenset[str] = EVERYTHING,
        without: frozenset[str] = frozenset(),
    ) -> None:
        """Empty sets mean everything; ``without`` are the kinds of events that are not for it."""
        self.outlet = outlet
        self.devices = devices
        self.keys = keys
        self.without = without

    @property
    def is_open(self) -> bool:
        """Whether what opened it still holds; asked at each keep-alive, and by `LiveStreams.end_closed`."""
        return True

    @property
    def gets_all(self) -> bool:
        """Whether every part is for it as it is, but for kinds that it goes ``without``."""
        return not self.devices and not self.keys

    def can_resume(self, missed: Sequence[Entry]) -> bool:
        """Whether what it missed can be told as it would have been."""
        return True

    def select(self, part: Part) -> bytes:
        """What of a part it gets, encoded; nothing where it is not for this client."""
        if part.kind in self.without:
            return b""
        if self.devices and part.device not in self.devices:
            return b""
        if part.kind != "reading" or not self.keys:
            return part.encoded
        wanted = [reading for reading in part.readings if reading[0] in self.keys]
        return encode_readings(part.device, wanted) if wanted else b""


class LiveStreams:
    """Every open stream, fed from the hub's feed."""

    def __init__(self, hub: Hub, still: Callable[[Principal], bool]) -> None:
        """``still``: whether somebody may go on seeing what they saw."""
        self._hub = hub
        self._still = still
        self._boot = secrets.token_hex(4)
        self._clients: dict[Outlet, LiveClient] = {}
        self._entries: list[Entry] = []
        self._loop = asyncio.get_running_loop()
        self._tick_timer: asyncio.TimerHandle | None = None
        self._ticked_at = 0.0
        self._keep_alive_timer: asyncio.TimerHandle | None = None
        self.dropped_slow = 0
        """Clients closed because they did not keep up, for the metrics."""

    def __len__(self) -> int:
        return len(self._clients)

    def register(self, router: Router) -> None:
        """Declare the route."""
        router.route(
            "GET",
            "/api/live",
            self.open,
            role="viewer",
            scope="each",
            head=False,
            summary="Live events: reading, presence, command, alert, device, dashboard, audit; Last-Event-ID resumes",
            query=("device", "key"),
        )

    def open(self, request: Request) -> EventStream:
        """``GET /api/live``. ``device`` and ``key`` may be repeated.

        Raises:
            NotFound: no such device.
            RateLimited: ``limits.max_live_clients`` streams are open.
        """
        from .live_people import LimitedClient, UserClient  # they are clients of ours

        user, catalogue = request.user, self._hub.catalogue
        devices = frozenset(user.find(catalogue, name).id for name in request.query.get_all("device"))
        keys = frozenset(request.query.get_all("key"))
        if user.labels:
            return self.stream(
                request, lambda outlet: LimitedClient(outlet, user, self._still, devices, keys, catalogue)
            )
        return self.stream(request, lambda outlet: UserClient(outlet, user, self._still, devices, keys))

    def stream(self, request: Request, make: Callable[[Outlet], LiveClient]) -> EventStream:
        """The answer that is a stream, to the client that ``make`` gives.

        Raises:
            RateLimited: ``limits.max_live_clients`` streams are open.
        """
        limit = self._hub.limits.max_live_clients
        if len(self._clients) >= limit:
            raise RateLimited(f"limits.max_live_clients ({limit}) is reached")
        last_id = request.headers.get("last-event-id") or request.query.get("last_event_id")

        def start(outlet: Outlet) -> None:
            outlet.on_close = lambda: self._forget(outlet)
            self._begin(make(outlet), last_id)

        return EventStream(start)

    def end_closed(self) -> None:
        """End the streams whose right to be open is gone."""
        for client in [each for each in self._clients.values() if not each.is_open]:
            client.outlet.close()
            self._forget(client.outlet)

    def close(self) -> None:
        """End every stream."""
        self._hub.live.listeners.discard(self._on_entry)
        for timer in (self._tick_timer, self._keep_alive_timer):
            if timer is not None:
                timer.cancel()
        for outlet in list(self._clients):
            outlet.close()
        self._clients.clear()

    # -- inside

    def _begin(self, client: LiveClient, last_id: str | None) -> None:
        self._tick()  # so that what happened before is not sent to this one as well
        missed: Iterable[Entry] = ()
        reset = False
        if last_id:
            boot, _, number = last_id.partition("-")
            ours = boot == self._boot and _NUMBER.fullmatch(number) is not None
            kept = self._hub.live.since(int(number)) if ours else None
            if kept is None:
                reset = True
            else:
                missed = kept
                reset = not client.can_resume(kept)
        first = self._encode(client, self._parts(missed))
        if reset or len(first) > self._hub.limits.live_backlog_bytes:  # more than may wait for a client
            first = encode_event(b"{}", event="reset", id=self._id())
        client.outlet.write(first or encode_event(b"{}", event="hello", id=self._id()))
        self._clients[client.outlet] = client
        self._hub.live.listeners.add(self._on_entry)
        if self._keep_alive_timer is None:
            self._keep_alive_timer = self._loop.call_later(KEEP_ALIVE_S, self._keep_alive)

    def _forget(self, outlet: Outlet) -> None:
        self._clients.pop(outlet, None)
        if not self._clients:
            self._hub.live.listeners.discard(self._on_entry)
            self._entries.clear()
            if self._keep_alive_timer is not None:
                self._keep_alive_timer.cancel()
                self._keep_alive_timer = None

    def _on_entry(self, entry: Entry) -> None:
        self._entries.append(entry)
        if self._tick_timer is None:
            wait_s = max(0.0, self._ticked_at + TICK_S - self._loop.time())
            self._tick_timer = self._loop.call_later(wait_s, self._tick)

    def _tick(self) -> None:
        if self._tick_timer is not None:
            self._tick_timer.cancel()
            self._tick_timer = None
        self._ticked_at = self._loop.time()
        entries, self._entries = self._entries, []
        if not entries:
            return
        parts = self._parts(entries)
        end = self._encode_id()
        everything = b"".join([part.encoded for part in parts]) + end
        kinds = {part.kind for part in parts}
        for client in list(self._clients.values()):
            if client.gets_all and client.without.isdisjoint(kinds):
                self._send(client, everything)
            else:
                selected = self._encode(client, parts)
                if selected:
                    self._send(client, selected)

    def _parts(self, entries: Iterable[Entry]) -> list[Part]:
        """In order; adjoining readings of one device are one part."""
        parts: list[Part] = []
        rows: list[Row] = []
        for entry in entries:
            if entry.kind == "reading":
                rows.extend(entry.rows)
                continue
            self._close_readings(rows, parts)
            rows = []
            encoded = encode_event(_encode_json(entry.describe()), event=entry.kind)
            parts.append(Part(entry.kind, entry.device, encoded, ()))
        self._close_readings(rows, parts)
        return parts

    def _close_readings(self, rows: list[Row], parts: list[Part]) -> None:
        for device, readings in self._hub.live.group(rows).items():
            parts.append(Part("reading", device, encode_readings(device, readings), readings))

    def _encode(self, client: LiveClient, parts: Iterable[Part]) -> bytes:
        """What of the parts the client gets, with their id; nothing when that is none."""
        selected = b"".join([client.select(part) for part in parts])
        return selected + self._encode_id() if selected else b""

    def _send(self, client: LiveClient, data: bytes) -> None:
        outlet = client.outlet
        limit = self._hub.limits.live_backlog_bytes
        if len(data) > limit:  # one tick, and too much for anybody: fetching anew is cheaper
            data = encode_event(b"{}", event="reset", id=self._id())
        if outlet.backlog_bytes + len(data) > limit:
            # It comes back by itself and resumes from its last id: better than a server that remembers for it.
            self.dropped_slow += 1
            outlet.close()
            self._forget(outlet)
            return
        outlet.write(data)

    def _keep_alive(self) -> None:
        self.end_closed()
        for client in list(self._clients.values()):
            self._send(client, COMMENT)
        self._keep_alive_timer = self._loop.call_later(KEEP_ALIVE_S, self._keep_alive) if self._clients else None

    def _id(self) -> str:
        return f"{self._boot}-{self._hub.live.number}"

    def _encode_id(self) -> bytes:
        """An id alone: a client notes it and shows nothing (WHATWG HTML §9.2.6, an empty data buffer)."""
        return b"id: %b\n\n" % self._id().encode()


def encode_readings(device: str, readings: Sequence[tuple[str, int, Json]]) -> bytes:
    """A ``reading`` event: readings of one device as ``[key, ts, value]``."""
    return encode_event(_encode_json({"device": device, "readings": readings}), event="reading")
