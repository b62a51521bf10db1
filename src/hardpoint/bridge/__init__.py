"""One bridge to another MQTT broker: topics go out and come in, and what cannot leave now is kept.

In reading order: `topics` (which topic here is which there, and where a message has been), `reach` (how the other
broker is reached), `remote` (the connection), `bridge` (a client of our broker on the one side, of `remote` on the
other).
Imported only where a bridge is configured.
"""

from __future__ import annotations

from .bridge import Bridge, client_id_for

__all__ = ["Bridge", "client_id_for"]
