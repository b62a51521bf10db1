"""Requests and answers of the device HTTP API as frames of the wire tap."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ..errors import NotAdopted
from ..http import Deferred, Response
from ..http.errors import error_response
from ..hub.tap import MASK, MAX_BODY_CHARS, Frame
from ..wire.corrections import corrected_telemetry
from .provision_frames import shown_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..errors import HardpointError
    from ..http import Answer, Request
    from ..hub.devices import DeviceState
    from ..hub.hub import Hub
    from ..hub.tap import Tap

DIALECT = "http"
PROVISION_PATH = "/api/v1/provision"


def request_frame(request: Request) -> Frame:
    """``POST /api/v1/***/telemetry``, with the body. The token is what the path holds, so it is left out whole."""
    if request.path == PROVISION_PATH:
        return Frame(DIALECT, "in", shown_request(request.body), head=f"POST {PROVISION_PATH}", peer=request.peer)
    _, _, _, _, *rest = request.path.split("/")
    head = f"{request.method} /api/v1/{MASK}/{'/'.join(rest)}"
    query = request.head.query
    body, binary = _text(request.body)
    return Frame(
        DIALECT,
        "in",
        body,
        head=f"{head}?{query}" if query else head,
        peer=request.peer,
        binary=binary,
        correct=corrected_telemetry if rest == ["telemetry"] else None,
    )


def note_refused(hub: Hub, request: Request, error: HardpointError) -> None:
    """A request was not taken. Who has not signed in is kept by address, and by name where it waits to be adopted."""
    frame = request_frame(request)
    frame.refuse(error)
    device: DeviceState | None = request.user
    tap = hub.tap
    tap.note(device, frame)
    if isinstance(error, NotAdopted):
        hub.adoption.note(error.number, frame)
    if device is not None and device.id in tap.on:
        _note_answer(tap, device, request.peer, error_response(error))


def note_taken(tap: Tap, request: Request, answer: Response | Deferred) -> Response | Deferred:
    """A request was taken: if its device is tapped, note it, and its answer when that is given. The answer to send."""
    device: DeviceState | None = request.user
    if device is None or device.id not in tap.on:
        return answer
    tap.note(device, request_frame(request))
    if isinstance(answer, Response):
        _note_answer(tap, device, request.peer, answer)
        return answer
    return _overheard(answer, lambda given: _note_answer(tap, device, request.peer, given))


def _overheard(answer: Deferred, listen: Callable[[Answer], None]) -> Deferred:
    """A promise in the place of another one: ``listen`` is told how that is answered."""
    shown = Deferred()

    def deliver(given: Answer) -> None:
        listen(given)
        shown.respond(cast("Response", given))

    if answer.response is not None:
        deliver(answer.response)
        return shown
    answer.deliver = deliver
    if answer.on_abort is not None:  # with one, a client that ends its sending side counts as gone
        shown.on_abort = answer.abort
    return shown


def _note_answer(tap: Tap, device: DeviceState, peer: str, answer: Answer) -> None:
    if device.id in tap.on and isinstance(answer, Response):
        body, binary = _text(answer.body)
        tap.note(device, Frame(DIALECT, "out", body, head=str(answer.status), peer=peer, binary=binary))


def _text(body: bytes) -> tuple[str, bool]:
    """A body as text, or as hex: no more of it than a frame holds, and one character that shows that it was cut."""
    most = 4 * MAX_BODY_CHARS  # a character has at most four bytes
    try:
        return body[: most + 4].decode(errors="strict" if len(body) <= most else "ignore"), False
    except UnicodeDecodeError:
        return body[: MAX_BODY_CHARS // 2 + 1].hex(), True
