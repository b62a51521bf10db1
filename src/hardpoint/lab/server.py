"""The process that runs one model. Asked anything, it tells its port and how many connections it serves."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any

from .children import answer_questions, arguments
from .models import MODELS
from .service import Service

BACKLOG = 1024


def main() -> None:
    """Serve on this thread until the parent ends."""
    (name,) = arguments()
    serve = MODELS[name].load()
    service = Service()
    listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    port = listener.getsockname()[1]

    def tell(_question: dict[str, Any]) -> dict[str, Any]:
        return {
            "port": port,
            "sensor": service.sensor,
            "served": service.served,
            "refused": service.refused,
            "why": service.why,
        }

    def watch() -> None:
        answer_questions(tell)
        os._exit(0)  # the other threads, some ten thousand of them, end with the process

    threading.Thread(target=watch, daemon=True).start()
    serve(listener, service)


if __name__ == "__main__":
    main()
