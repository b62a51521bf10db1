"""The other broker and the topics of a bridge, as they are written in a setting."""

from __future__ import annotations

from typing import NamedTuple

from .urls import ListenUrl, parse_listen_url


class BridgeTopic(NamedTuple):
    """One of ``bridge.topics_out`` or ``topics_in``, taken apart.

    The filter stands behind the prefix of each side: ``temp/# local plant/ remote site-7/`` is ``plant/temp/#`` here
    and ``site-7/temp/#`` there.
    """

    filter: str
    qos: int = 1
    local: str = ""
    remote: str = ""


def parse_bridge_topic(text: str) -> BridgeTopic:
    """``devices/#``, ``state/+ qos 0`` or ``# local lab/ remote site-7/lab/``.

    Raises:
        ValueError: something else; the message completes "<setting>: …".
    """
    words = text.split()
    given = dict(zip(words[1::2], words[2::2], strict=False))
    qos = given.get("qos", "1")
    prefixes = given.get("local", ""), given.get("remote", "")
    if (
        not words
        or len(given) * 2 + 1 != len(words)
        or given.keys() - {"qos", "local", "remote"}
        or qos not in ("0", "1", "2")
        or any("#" in prefix or "+" in prefix for prefix in prefixes)
        or not _is_filter(words[0])
    ):
        raise ValueError(f"must be like 'devices/# remote site-7/' or 'lights/+ qos 0 local lab/', not {text!r}")
    return BridgeTopic(words[0], int(qos), *prefixes)


def _is_filter(text: str) -> bool:
    """MQTT 5.0 §4.7.1: a wildcard is a whole level, ``#`` the last one. Shares are the subscriber's own business."""
    levels = text.split("/")
    if text.startswith("$share/") or "#" in levels[:-1]:
        return False
    return all(level in ("+", "#") or not {"+", "#"} & set(level) for level in levels)


def parse_bridge_url(text: str) -> ListenUrl:
    """``mqtt://broker.example`` or ``mqtts://broker.example:8883``.

    Raises:
        ConfigError: another scheme, no host, or more than host and port.
        ValueError: likewise.
    """
    url = parse_listen_url(text)
    if url.scheme not in ("mqtt", "mqtts") or not url.port:
        raise ValueError(f"must be mqtt://HOST:PORT or mqtts://HOST:PORT, not {text!r}")
    return url
