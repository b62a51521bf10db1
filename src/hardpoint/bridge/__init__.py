"""One bridge to another MQTT broker: topics go out and come in, and what cannot leave now is kept.

In reading order: `topics` (which topic here is which there, and where a message has been), `remote` (the connection,
through paho), `bridge` (a client of our broker on the one side, of `remote` on the other). Imported only where a bridge
is configured: paho is the extra ``bridge``.
"""

from __future__ import annotations

from .bridge import Bridge, client_id_for

__all__ = ["Bridge", "client_id_for"]
