"""What can be said of the page's files without a browser: catalogues, vendored files, budgets, forbidden words."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

from hardpoint.web import site
from hardpoint.web.joined import first_words, join_modules, join_sheets, modules_of

PAGES = Path(__file__).resolve().parents[3] / "src/hardpoint/web/pages"
VENDOR = PAGES / "vendor"
OURS = sorted(path for path in PAGES.rglob("*") if path.suffix in {".mjs", ".js"} and VENDOR not in path.parents)
MAX_LINES = 700
FIRST_VIEW_BYTES = 50_000
"""Everything of the device list but its data, gzipped; with a few devices it stays below 60 kB."""

CATALOGUES = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted((PAGES / "i18n").glob("*.json"))}
PLURAL = re.compile(r"\.(zero|one|two|few|many|other)$")
DYNAMIC = (
    "act.", "activity.family_", "activity.via_", "alert.silent_", "alerts.tab_", "attribute.", "board.size_",
    "card.", "channel.about_", "channel.box_", "channel.kind_", "channel.security_", "chart.", "checkup.",
    "command.", "condition.", "connect.", "deed.", "delivery.", "detail.",
    "device.tab_", "devices.as_", "devices.col_", "editor.does_",
    "error.", "field.", "filter.", "history.", "home.step_", "log.", "marker.count_", "nav.", "password.strength_",
    "people.tab_", "presence.", "quiet.", "range.", "repeat.", "role.", "rule.clause_", "rule.is_", "selection.span_",
    "sessions.", "severity.", "share.life_", "state.", "states.", "system.", "template.", "theme.", "unit.",
)  # fmt: skip
"""Families whose last part comes from a value: ``t(`command.${state}`)``."""

NAMES_OF_THEIR_OWN = (
    "arduino", "curl", "esphome", "go", "homeassistant", "micropython", "node", "nodered", "powershell", "python",
    "tls", "websocket",
)  # fmt: skip
"""Kinds of snippets that have the same name in every language."""


def base(key: str) -> str:
    return PLURAL.sub("", key)


def used_keys() -> set[str]:
    source = "\n".join(path.read_text("utf-8") for path in OURS)
    return set(re.findall(r"""["'`]([a-z]+\.[a-z0-9_]+)["'`]""", source))


def test_every_language_has_the_same_keys() -> None:
    expected = {base(key) for key in CATALOGUES["en"]}
    for words in CATALOGUES.values():
        assert {base(key) for key in words} == expected


@pytest.mark.parametrize("language", CATALOGUES)
def test_placeholders_agree_with_english(language: str) -> None:
    english = {base(key): set(re.findall(r"\{(\w+)\}", text)) for key, text in CATALOGUES["en"].items()}
    for key, text in CATALOGUES[language].items():
        assert set(re.findall(r"\{(\w+)\}", text)) == english[base(key)], key


@pytest.mark.parametrize("language", CATALOGUES)
def test_plural_keys_have_the_form_for_the_rest(language: str) -> None:
    plurals = {base(key) for key in CATALOGUES[language] if PLURAL.search(key)}
    assert {f"{key}.other" for key in plurals} <= set(CATALOGUES[language])


def test_chinese_is_chinese() -> None:
    same = {key for key, text in CATALOGUES["zh-CN"].items() if text == CATALOGUES["en"][key.replace(".other", ".one")]}
    assert same <= {f"connect.{name}" for name in NAMES_OF_THEIR_OWN} | {
        f"channel.{name}"
        for name in ("kind_apprise", "kind_ntfy", "kind_telegram", "kind_webhook", "security_starttls", "security_tls")
    }


def test_every_text_is_used_and_every_use_has_a_text() -> None:
    keys = {base(key) for key in CATALOGUES["en"]}
    families = {key.partition(".")[0] for key in keys}
    used = {key for key in used_keys() if key.partition(".")[0] in families}
    assert used - keys == set()
    assert {key for key in keys - used if not key.startswith(DYNAMIC)} == set()


def test_languages_on_offer_are_the_catalogues() -> None:
    source = (PAGES / "core/i18n.mjs").read_text("utf-8")
    offered = re.search(r"LOCALES = \{(.*?)\}", source)
    assert offered is not None
    assert {tag for tag in CATALOGUES if re.search(rf'(\b|"){tag}"?:', offered[1])} == set(CATALOGUES)


def test_vendored_files_are_what_vendor_json_says() -> None:
    manifest = json.loads((VENDOR / "vendor.json").read_text())
    found = {
        path.relative_to(PAGES).as_posix() for path in VENDOR.iterdir() if path.suffix in {".mjs", ".css", ".woff2"}
    }
    assert set(manifest["files"]) == found | {"icons.svg"}
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((PAGES / name).read_bytes()).hexdigest() == digest, name


def test_every_vendored_package_has_its_licence_here_and_a_line_in_third_party() -> None:
    third_party = (PAGES.parents[3] / "THIRD_PARTY.md").read_text("utf-8")
    for package in json.loads((VENDOR / "vendor.json").read_text())["packages"]:
        name = package["name"].strip("@").replace("/", "-")
        folder = Path(__file__).parent / "vendor" if name == "axe-core" else VENDOR / "licences"
        assert (folder / f"{name}.txt").stat().st_size > 500
        assert f"{package['name']} {package['version']}" in third_party


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.relative_to(PAGES).as_posix())
def test_scripts_hold_nothing_that_the_policy_would_refuse(path: Path) -> None:
    text = path.read_text("utf-8")
    for forbidden in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "dangerouslySetInnerHTML",
        "eval(",
        "new Function",
    ):
        assert forbidden not in text
    assert not re.search(r"<[^>]*\sstyle=\"", text), "style attributes are refused by style-src 'self'"
    assert not re.search(r"""^(import|export)\b.*\sfrom\s*["'](?!\.)|import\(["'](?!\.)""", text, re.MULTILINE), (
        "imports are relative: no import map"
    )
    assert text.count("\n") <= MAX_LINES


def test_icons_in_use_are_in_the_sprite_and_no_others() -> None:
    sprite = set(re.findall(r'<symbol id="([^"]+)"', (PAGES / "icons.svg").read_text("utf-8")))
    source = "\n".join(path.read_text("utf-8") for path in OURS)
    words = set(re.findall(r'"([a-z0-9-]+)"', source))
    assert sprite - words == set()


def test_first_view_stays_within_its_budget() -> None:
    files = [join_modules(modules_of(PAGES, site.FIRST_MODULES)).encode()]
    files += [join_sheets([(PAGES / name).read_text("utf-8") for name in site.FIRST_SHEETS]).encode()]
    files += [(PAGES / name).read_bytes() for name in ("first-paint.js", "icons.svg", "index.html")]
    files += [
        max((json.dumps(first_words(words, files[0].decode())).encode() for words in CATALOGUES.values()), key=len)
    ]
    assert sum(len(gzip.compress(file, 6)) for file in files) <= FIRST_VIEW_BYTES


def test_sheets_and_shell_name_only_files_that_exist() -> None:
    shell = (PAGES / "index.html").read_text("utf-8")
    named = re.findall(r"%UI%/([^\"]+)", shell)
    assert {site.JOINED_MODULE, site.JOINED_SHEET} < set(named)
    for name in named:
        assert (PAGES / name).is_file() or name in (site.JOINED_MODULE, site.JOINED_SHEET), name
    sheets = {sheet: sheet.read_text("utf-8") for sheet in (PAGES / "css").glob("*.css")}
    fetched = [sheet.parent / name for sheet, text in sheets.items() for name in re.findall(r'url\("([^"]+)"\)', text)]
    assert fetched, "the font at least"
    assert [path for path in fetched if not path.is_file()] == []
