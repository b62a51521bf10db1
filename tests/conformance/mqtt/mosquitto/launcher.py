"""What stands where mosquitto's scripts look for ``src/mosquitto``: it reads mosquitto's arguments and configuration,
and becomes a Hardpoint that does the same.

An option without a counterpart ends it with `NO_COUNTERPART` and the names of all such options, said and in the file
``$BUILD_ROOT/refused``.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

NO_COUNTERPART = "options without a counterpart"

SAME = {
    "max_connections": "limits.max_connections",
    "global_max_connections": "limits.max_connections",
    "global_max_clients": "mqtt.max_sessions",
    "max_inflight_messages": "mqtt.max_inflight",
    "max_keepalive": "mqtt.max_keep_alive_s",
    "max_packet_size": "mqtt.max_packet_bytes",
    "max_queued_bytes": "mqtt.max_queued_bytes",
    "max_queued_messages": "mqtt.max_queued_messages",
    "max_topic_alias": "mqtt.max_topic_aliases",
}
"""Their limits by ours."""

OURS = frozenset(
    {
        # Everything is kept at once here, whether they ask for it or not.
        "autosave_interval",
        "autosave_on_changes",
        "persistence",
        # Of nobody's concern outside.
        "log_dest",
        "log_type",
        "per_listener_settings",
        "sys_interval",
    }
)
ONLY_AS = {"retain_available": "true", "use_identity_as_username": "false", "require_certificate": "false"}
"""Options that are always so here."""
DEFAULTS = {"mqtt.max_inflight": "20", "host.enabled": "false"}
"""Mosquitto's own, where a script counts on it."""


class Listener:
    """One ``listener`` of theirs."""

    def __init__(self, port: str) -> None:
        self.port = port
        self.websockets = self.proxied = self.encrypted = False
        self.anonymous: bool | None = None

    @property
    def scheme(self) -> str:
        """The same of ours."""
        if self.websockets:
            return "https" if self.encrypted else "http"
        return "mqtts" if self.encrypted else "mqtt"


class Translation:
    """A configuration of theirs, line by line, into arguments of ours."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        self.settings = dict(DEFAULTS)
        self.unknown: list[str] = []
        self.anonymous: bool | None = None
        self.keeps = False
        self.database = Path("mosquitto.db")

    def read(self, path: Path) -> None:
        """Take in a whole file."""
        for line in path.read_text().splitlines():
            word, _, value = line.strip().partition(" ")
            if word and not word.startswith("#"):
                self.option(word, value.strip())

    def option(self, word: str, value: str) -> None:
        """Take in one line."""
        if word in ("listener", "port") and re.fullmatch(r"[1-9]\d*( .*)?", value):
            self.listeners.append(Listener(value.split()[0]))
        elif word == "allow_anonymous":
            self.anonymous = value == "true"
        elif word == "persistence_file":
            self.database = self.database.with_name(value)
        elif word == "persistence_location":
            self.database = Path(value) / self.database.name
        elif word in SAME:
            self.settings[SAME[word]] = value
        elif word in OURS or ONLY_AS.get(word) == value:
            self.keeps = self.keeps or (word == "persistence" and value == "true")
        elif not self._of_listener(word, value):
            self.unknown.append(word if word not in ONLY_AS else f"{word} {value}")

    def _of_listener(self, word: str, value: str) -> bool:
        if not self.listeners:
            return False
        listener = self.listeners[-1]
        if word == "listener_allow_anonymous":
            listener.anonymous = value == "true"
        elif word == "protocol":
            listener.websockets = value == "websockets"
        elif word == "enable_proxy_protocol":
            listener.proxied = True
            self.settings["http.trusted_proxies"] = "127.0.0.1"
        elif word in ("certfile", "keyfile"):
            listener.encrypted = True
            self.settings["tls.cert" if word == "certfile" else "tls.key"] = str(Path(value).resolve())
        elif word == "cafile":
            self.settings["tls.client_ca"] = str(Path(value).resolve())
        else:
            return False
        return True

    def anonymous_ways(self) -> set[bool]:
        """Whether who has no name is let in, by listener. Without a word of it mosquitto lets in those of this machine
        where no listener is configured.
        """
        default = not self.listeners if self.anonymous is None else self.anonymous
        return {default if each.anonymous is None else each.anonymous for each in self.listeners} or {default}

    def arguments(self, data: str, *, anonymous: bool) -> list[str]:
        """Ours."""
        given = ["serve", "--data", data]
        if anonymous:
            given.append("--allow-anonymous")
        for listener in {each.port: each for each in self.listeners}.values():
            given += ["--listen", f"{listener.scheme}://127.0.0.1:{listener.port}"]
        proxied = {each.scheme for each in self.listeners if each.proxied}
        settings = self.settings | ({"http.proxy_protocol": ",".join(proxied)} if proxied else {})
        for name, value in settings.items():
            given += ["--set", f"{name}={value}"]
        return given


def kept(root: Path, made: Translation) -> Path:
    """The folder of a broker that keeps what it has: the next one that the same script starts finds it, unless the
    script has removed mosquitto's database in between.
    """
    data = root / f"kept-{made.listeners[0].port}"
    if not made.database.exists():
        shutil.rmtree(data, ignore_errors=True)
        made.database.touch()
    return data


def main(argv: list[str]) -> None:
    """Become the server."""
    made = Translation()
    if "-c" in argv:
        made.read(Path(argv[argv.index("-c") + 1]))
    ways = made.anonymous_ways()
    if len(ways) > 1:
        made.unknown.append("listener_allow_anonymous")
    if "-p" in argv:
        port = argv[argv.index("-p") + 1]
        made.listeners += [Listener(port)] if port not in {each.port for each in made.listeners} else []
    made.unknown += [word for word in argv if word.startswith("-") and word not in ("-c", "-p", "-v")]
    root = Path(os.environ["BUILD_ROOT"])
    if made.unknown:
        refused = f"{NO_COUNTERPART}: {' '.join(sorted(set(made.unknown)))}"
        (root / "refused").write_text(refused)
        sys.exit(refused)
    data = kept(root, made) if made.keeps else Path(tempfile.mkdtemp(prefix="hp", dir=root))
    hardpoint = str(Path(sys.executable).with_name("hardpoint"))
    os.execv(hardpoint, [hardpoint, *made.arguments(str(data), anonymous=ways == {True})])


if __name__ == "__main__":
    main(sys.argv[1:])
