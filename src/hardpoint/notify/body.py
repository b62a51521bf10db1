"""What receivers get that are programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from ..hub.outbox import Notice


def notice_body(notice: Notice) -> bytes:
    """``{"key", "subject", "text", "severity", "news": [{"id", "event", "alert"}]}`` as JSON."""
    return msgspec.json.encode(notice)
