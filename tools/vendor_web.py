"""Make the page's vendored files from npm tarballs: ``python tools/vendor_web.py``. Needs npm; users do not.

What it writes is checked in: the bundles ``vendor/*.mjs``, the style sheet and the font beside them, the icon
sprite, the licences, and ``vendor.json`` with each package's version and npm integrity and each file's SHA-256, which
the tests recompute. A version is changed in `PACKAGES` below, and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "src/hardpoint/web/pages"
VENDOR = PAGES / "vendor"
TEST_VENDOR = ROOT / "tests/web/browser/vendor"

PACKAGES = {
    "preact": ("11.2.0", "MIT"),
    "@preact/signals": ("2.11.4", "MIT"),
    "@preact/signals-core": ("1.14.5", "MIT"),
    "htm": ("3.1.1", "Apache-2.0"),
    "uplot": ("1.6.32", "MIT"),
    "uqr": ("0.1.3", "MIT"),
    "lucide-static": ("1.62.0", "ISC"),
    "@fontsource-variable/inter": ("5.3.0", "OFL-1.1"),
    "axe-core": ("4.14.1", "MPL-2.0"),
}
ESBUILD = "0.28.2"

PREACT_ENTRY = """
import { h } from "preact";
import htm from "htm";
export { h, render, Fragment } from "preact";
export { useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
export { batch, computed, effect, signal, untracked } from "@preact/signals";
export { useComputed, useSignal, useSignalEffect } from "@preact/signals";
export const html = htm.bind(h);
"""
UPLOT_ENTRY = 'export { default } from "uplot";\n'
QR_ENTRY = 'export { encode } from "uqr";\n'

ICONS = (
    "activity",
    "battery-low",
    "bell",
    "bell-off",
    "check",
    "chevron-right",
    "circle-alert",
    "clock",
    "copy",
    "cpu",
    "download",
    "ellipsis",
    "eye",
    "eye-off",
    "grip-vertical",
    "house",
    "key-round",
    "keyboard",
    "languages",
    "layout-dashboard",
    "layout-grid",
    "link",
    "list",
    "log-out",
    "maximize",
    "monitor",
    "moon",
    "pencil",
    "pin",
    "play",
    "plus",
    "qr-code",
    "radio",
    "refresh-cw",
    "search",
    "send",
    "server",
    "settings",
    "sun",
    "table-2",
    "tag",
    "thermometer",
    "trash-2",
    "triangle-alert",
    "unplug",
    "user",
    "x",
)


def main() -> int:
    """Fetch, bundle, write; the exit code."""
    if shutil.which("npm") is None:
        print("error: npm is needed to make the vendored files", file=sys.stderr)
        return 1
    recorded = json.loads((VENDOR / "vendor.json").read_text()) if (VENDOR / "vendor.json").exists() else {}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        integrity = {package: unpack(package, version, work) for package, (version, _) in PACKAGES.items()}
        for entry in recorded.get("packages", ()):
            package = entry["name"]
            if entry["version"] == PACKAGES.get(package, ("",))[0] and entry["integrity"] != integrity[package]:
                print(f"error: {package} {entry['version']} is not the tarball it was", file=sys.stderr)
                return 1
        run(work, "npm", "install", "--no-save", "--no-audit", "--no-fund", f"esbuild@{ESBUILD}")
        # npm prunes what no package.json lists, so the tarballs are unpacked again after esbuild is there.
        for package, (version, _) in PACKAGES.items():
            unpack(package, version, work)
        write_files(work)
    write_manifest(integrity)
    return 0


def run(folder: Path, *command: str) -> str:
    """The command's standard output.

    Raises:
        CalledProcessError: it failed; its message is on standard error.
    """
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


def unpack(package: str, version: str, work: Path) -> str:
    """Put the package's tarball into ``work/node_modules`` and return its npm integrity (``sha512-…``)."""
    [packed] = json.loads(run(work, "npm", "pack", "--json", f"{package}@{version}"))
    target = work / "node_modules" / package
    shutil.rmtree(target, ignore_errors=True)
    with tarfile.open(work / packed["filename"]) as tarball:
        for member in tarball.getmembers():
            member.name = member.name.partition("/")[2] or "."
        tarball.extractall(target, filter="data")
    return str(packed["integrity"])


def write_files(work: Path) -> None:
    """The bundles, the style sheet, the font, the sprite, the licences, and axe-core for the tests."""
    modules = work / "node_modules"
    (VENDOR / "licences").mkdir(parents=True, exist_ok=True)
    TEST_VENDOR.mkdir(parents=True, exist_ok=True)
    for name, source in (("preact", PREACT_ENTRY), ("uplot", UPLOT_ENTRY), ("uqr", QR_ENTRY)):
        entry = work / f"{name}.entry.mjs"
        entry.write_text(source)
        run(
            work,
            str(modules / ".bin/esbuild"),
            str(entry),
            "--bundle",
            "--minify",
            "--format=esm",
            "--target=es2022",
            "--legal-comments=none",
            f"--outfile={VENDOR / name}.mjs",
        )
    shutil.copyfile(modules / "uplot/dist/uPlot.min.css", VENDOR / "uplot.css")
    font = modules / "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2"
    shutil.copyfile(font, VENDOR / "inter-latin.woff2")
    shutil.copyfile(modules / "axe-core/axe.min.js", TEST_VENDOR / "axe.min.js")
    (PAGES / "icons.svg").write_text(sprite(modules / "lucide-static/icons"))
    for package in PACKAGES:
        folder = TEST_VENDOR if package == "axe-core" else VENDOR / "licences"
        shutil.copyfile(modules / package / "LICENSE", folder / f"{package.strip('@').replace('/', '-')}.txt")


def sprite(icons: Path) -> str:
    """One SVG whose ``<symbol id=…>`` are the `ICONS`, to be shown with ``<use href="icons.svg#name">``."""
    symbols = []
    for name in ICONS:
        drawing = re.search(r"<svg[^>]*>(.*)</svg>", (icons / f"{name}.svg").read_text(), re.DOTALL)
        if drawing is None:
            raise ValueError(f"{name}.svg holds no drawing")
        shapes = re.sub(r"\s*\n\s*", "", drawing[1])
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{shapes}</symbol>\n')
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "".join(symbols) + "</svg>\n"


def write_manifest(integrity: dict[str, str]) -> None:
    """``vendor.json``: what each vendored file is and where it came from."""
    kinds = {".mjs", ".css", ".woff2"}
    files = [path for path in sorted(VENDOR.iterdir()) if path.suffix in kinds]
    manifest = {
        "packages": [
            {"name": package, "version": version, "licence": licence, "integrity": integrity[package]}
            for package, (version, licence) in PACKAGES.items()
        ],
        "esbuild": ESBUILD,
        "files": {
            path.relative_to(PAGES).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in [*files, PAGES / "icons.svg"]
        },
    }
    (VENDOR / "vendor.json").write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
