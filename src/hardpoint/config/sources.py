"""From flags, environment and file to a `Config`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .declared import ENV_ELSEWHERE, ENV_PREFIX, ETC, FILE_NAME, SECTIONS, Config, Origin, settings
from .values import converted


def load(
    flags: Mapping[str, object] | None = None,
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """The configuration as a command sees it.

    Args:
        flags: setting path → value, as text or as its type; a value of None is a flag that was not given.
        file: the file of ``--config``; it must exist.
        environ: instead of ``os.environ``.

    Raises:
        ConfigError: an unknown setting, a value that cannot be, a file that cannot be read; it says where.
    """
    environ = os.environ if environ is None else environ
    found = file or find_file(environ)
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    if found is not None:
        _take(_read_file(found), values, origins, base=found.parent)
    variables = {each.variable: path for path, each in settings().items()}
    given = {
        variables[name]: (text, Origin("environment", name)) for name, text in environ.items() if name in variables
    }
    _take(given, values, origins)
    chosen = {path: value for path, value in (flags or {}).items() if value is not None}
    _take({path: (value, Origin("flag", flag_of(path))) for path, value in chosen.items()}, values, origins)
    return _made(values, origins, found, _odd_variables(environ, variables))


def configure(**given: object) -> Config:
    """A configuration from Python: the defaults and these settings; no file and no environment is read.

    A section is a mapping, and None stands for the default:
    ``configure(data="./data", limits={"max_line_bytes": 1024})``.

    Raises:
        ConfigError: an unknown setting, or a value that cannot be.
    """
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    flat = {path: value for path, value in _flatten(given) if value is not None}
    _take({path: (value, Origin("argument", path)) for path, value in flat.items()}, values, origins)
    return _made(values, origins, None, ())


def find_file(environ: Mapping[str, str]) -> Path | None:
    """The configuration file: ``$HARDPOINT_CONFIG``, else the first that exists of ``./hardpoint.toml``,
    ``$XDG_CONFIG_HOME/hardpoint/hardpoint.toml`` and ``/etc/hardpoint/hardpoint.toml``.
    """
    if environ.get("HARDPOINT_CONFIG"):
        return Path(environ["HARDPOINT_CONFIG"]).expanduser()
    home = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "~")).expanduser() / ".config")
    folders = (Path(), home / "hardpoint", ETC)
    return next((folder / FILE_NAME for folder in folders if (folder / FILE_NAME).is_file()), None)


def flag_of(path: str) -> str:
    """How it is given on the command line: those outside a section have a flag, ``--set`` reaches every one."""
    return f"--set {path}" if "." in path else f"--{path.replace('_', '-')}"


_Given = Mapping[str, tuple[object, Origin]]


def _read_file(file: Path) -> _Given:
    import tomllib

    try:
        text = file.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror or error}", hint="check --config and HARDPOINT_CONFIG") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error
    lines = _key_lines(text)
    given = {}
    for path, value in _flatten(document):
        # A section that does not exist has no line of its own when it is empty: the file alone is named then.
        line = lines.get(path)
        given[path] = (value, Origin("file", f"{file}:{line}" if line else str(file)))
    return given


_HEADER = re.compile(r"\[\s*([^\[\]]+?)\s*\]")
_KEY = re.compile(r"\s*([\w.\"'-]+)\s*=")


def _key_lines(text: str) -> dict[str, int]:
    """The line each key stands on, which tomllib does not tell. A multi-line string that looks like TOML can
    only make a message name a wrong line.
    """
    lines: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            section = header[1]
            lines.setdefault(section, number)
        elif key := _KEY.match(line):
            lines.setdefault(f"{section}.{key[1]}" if section else key[1], number)
    return lines


def _flatten(document: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Nested tables as paths. An empty table that is no section stays, so that it is refused as unknown."""
    for name, value in document.items():
        path = prefix + name
        if isinstance(value, Mapping) and (value or path in SECTIONS):
            yield from _flatten(value, path + ".")
        else:
            yield path, value


def _take(given: _Given, values: dict[str, Any], origins: dict[str, Origin], base: Path | None = None) -> None:
    """Check one layer's values and put them over those of the layers below."""
    for path, (value, origin) in given.items():
        known = settings().get(path)
        if known is None:
            raise _unknown(path, origin)
        try:
            values[path] = converted(known, value, base)
        except ValueError as error:
            raise ConfigError(f"{path} ({origin}): {error}", hint=known.help) from error
        except ConfigError as error:
            raise ConfigError(f"{path} ({origin}): {error.message}", hint=error.hint) from error
        origins[path] = origin


def _unknown(path: str, origin: Origin) -> ConfigError:
    from difflib import get_close_matches

    if path in SECTIONS:
        return ConfigError(
            f"{path} ({origin}) is a section, not a setting", hint=f"write [{path}] and the settings under it"
        )
    close = get_close_matches(path, settings(), n=1)
    hint = f"did you mean {close[0]!r}?" if close else "hardpoint config show lists them all"
    return ConfigError(f"unknown setting {path!r} ({origin})", hint=hint)


def _made(
    values: Mapping[str, Any], origins: Mapping[str, Origin], file: Path | None, warnings: tuple[str, ...]
) -> Config:
    parts: dict[str, dict[str, Any]] = {"": {}, **{section: {} for section in SECTIONS}}
    for path, value in values.items():
        section, _, name = path.rpartition(".")
        parts[section][name] = value
    made = {section: owner(**parts[section]) for section, owner in SECTIONS.items()}
    return Config(**parts[""], **made, origins=origins, file=file, warnings=warnings)


def _odd_variables(environ: Mapping[str, str], variables: Mapping[str, str]) -> tuple[str, ...]:
    """Unknown variables are told, not refused: Kubernetes gives every pod ``HARDPOINT_PORT`` and
    ``HARDPOINT_SERVICE_HOST`` of its own accord once a service is named hardpoint.
    """
    from difflib import get_close_matches

    odd = sorted(n for n in environ if n.startswith(ENV_PREFIX) and n not in variables and n not in ENV_ELSEWHERE)
    close = {name: get_close_matches(name, variables, n=1, cutoff=0.8) for name in odd}
    return tuple(f"{name} is not a setting: did you mean {near[0]}?" for name, near in close.items() if near)
