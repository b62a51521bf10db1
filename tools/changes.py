"""Fragments of the changelog: check them, demand one, and fold them in at a release.

``python tools/changes.py check [BASE]`` reads every fragment; with BASE, a change of src/ since then must have one.
``python tools/changes.py release X.Y.Z`` folds the fragments into CHANGELOG.md and deletes them.
"""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FRAGMENTS = ROOT / "changes"
CHANGELOG = ROOT / "CHANGELOG.md"
KINDS = {"added": "Added", "changed": "Changed", "fixed": "Fixed", "removed": "Removed", "security": "Security"}


def read_fragments() -> dict[str, list[tuple[Path, str]]]:
    """Kind → its fragments by name.

    Raises:
        SystemExit: one has an unknown kind or says nothing.
    """
    found: dict[str, list[tuple[Path, str]]] = {kind: [] for kind in KINDS}
    for path in sorted(FRAGMENTS.glob("*.md")):
        if path.name == "README.md":
            continue
        kind = path.name.removesuffix(".md").rpartition(".")[2]
        text = " ".join(path.read_text("utf-8").split())
        if kind not in KINDS or not text:
            raise SystemExit(f"error: {path.name} is not <name>.<{'|'.join(KINDS)}>.md with some text in it")
        found[kind].append((path, text))
    return found


def check(base: str | None) -> None:
    """Stop with an error when a fragment cannot be read, or one is missing."""
    read_fragments()
    if base is None:
        return
    command = ["git", "-C", str(ROOT), "diff", "--name-only", base]
    changed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    if any(name.startswith("src/") for name in changed) and not any(
        name.startswith("changes/") or name == "CHANGELOG.md" for name in changed
    ):
        raise SystemExit(f"error: src/ changed since {base}, and no fragment in changes/ says so")


def release(version: str) -> None:
    """Fold the fragments into the changelog, under the version and today's date."""
    fragments = read_fragments()
    today = dt.datetime.now(tz=dt.UTC).date()
    lines = [f"## {version} ({today})", ""]
    for kind, title in KINDS.items():
        if fragments[kind]:
            lines += [f"### {title}", "", *(f"- {text}" for _, text in fragments[kind]), ""]
    head, separator, rest = CHANGELOG.read_text("utf-8").partition("\n## ")
    CHANGELOG.write_text(head.rstrip() + "\n\n" + "\n".join(lines) + (separator + rest if separator else ""), "utf-8")
    for kind in KINDS:
        for path, _ in fragments[kind]:
            path.unlink()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["check"]:
            check(None)
        case ["check", base]:
            check(base)
        case ["release", version]:
            release(version)
        case _:
            raise SystemExit(__doc__)
