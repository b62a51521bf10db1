"""The settings of a server: `declared` once, read from several `sources`, as `values` and `urls` that people write.

A value comes from the first of these that has it, and `Config.origins` keeps which one it was:

1. a flag of the command,
2. the environment: ``HARDPOINT_`` and the name, ``__`` for the dot (``HARDPOINT_LIMITS__MAX_LINE_BYTES``),
3. ``hardpoint.toml``: the first file found counts whole, files are not merged (`find_file`),
4. the default.

Times are seconds and may be written ``"1.5s"``, ``"2min"``; sizes are bytes and may be written ``"64KiB"``.
"""

from .bridges import BridgeTopic, parse_bridge_topic, parse_bridge_url
from .declared import (
    FILE_NAME,
    SECTIONS,
    Bridge,
    Config,
    Host,
    Http,
    Limits,
    LoopName,
    Mqtt,
    Origin,
    Retention,
    Setting,
    Tls,
    default_data,
    settings,
)
from .sources import configure, find_file, flag_of, load
from .urls import INSIDE_TLS, LISTEN_PORTS, ListenUrl, parse_listen_url, parse_mount
from .values import UNITS, RetentionRule, parse_retention_rule

__all__ = [
    "FILE_NAME",
    "INSIDE_TLS",
    "LISTEN_PORTS",
    "SECTIONS",
    "UNITS",
    "Bridge",
    "BridgeTopic",
    "Config",
    "Host",
    "Http",
    "Limits",
    "ListenUrl",
    "LoopName",
    "Mqtt",
    "Origin",
    "Retention",
    "RetentionRule",
    "Setting",
    "Tls",
    "configure",
    "default_data",
    "find_file",
    "flag_of",
    "load",
    "parse_bridge_topic",
    "parse_bridge_url",
    "parse_listen_url",
    "parse_mount",
    "parse_retention_rule",
    "settings",
]
