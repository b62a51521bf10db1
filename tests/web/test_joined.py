"""Modules joined into one: in order, once each, and refused where they are written in a form that cannot be."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from hardpoint.web.joined import first_words, join_modules, join_sheets, modules_of, read_module

NODE = shutil.which("node")


def write(root: Path, **files: str) -> Path:
    """``a`` is ``a.mjs``, ``ui_b`` is ``ui/b.mjs``."""
    (root / "ui").mkdir()
    for name, text in files.items():
        (root / f"{name.replace('ui_', 'ui/')}.mjs").write_text(text)
    return root


TREE = {
    "app": """import { double as twice, names } from "./ui/b.mjs";
import {
  Shape,
  base,
} from "./a.mjs";
import "./late.mjs";
import fallback from "./ui/c.mjs";
const later = () => import("./other.mjs");
export const said = `${twice(base)} ${new Shape().sides} ${names.join()} ${fallback()} ${typeof later}`;
""",
    "a": "// import './comment.mjs' is none\nexport const base = 21;\nexport class Shape {\n  sides = 4;\n}\n",
    "ui_b": """import { base } from "../a.mjs";
const hidden = "b";
export function double(n) {
  return n * 2;
}
export const names = [hidden, base, new URL("x", import.meta.url).pathname.slice(-5)];
""",
    "ui_c": "const hidden = 'c';\nexport default function Fallback() {\n  return hidden;\n}\n",
    "late": "function f(){}var g=1;export{f as late,g};",
}


def test_modules_come_once_each_behind_those_they_need(tmp_path: Path) -> None:
    root = write(tmp_path, **TREE)
    assert [module.path for module in modules_of(root, ["app.mjs", "a.mjs"])] == [
        "a.mjs",
        "ui/b.mjs",
        "late.mjs",
        "ui/c.mjs",
        "app.mjs",
    ]


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_the_joined_module_does_what_they_did(tmp_path: Path) -> None:
    root = write(tmp_path, **TREE)
    (root / "other.mjs").write_text("")
    (root / "joined.mjs").write_text(join_modules(modules_of(root, ["app.mjs"])))
    show = "const m = await import(process.argv[1]); console.log(m.said, Object.keys(m).sort().join());"
    for name in ("app.mjs", "joined.mjs"):
        run = subprocess.run(
            [NODE or "", "--input-type=module", "-e", show, str(root / name)],
            capture_output=True,
            text=True,
            check=True,
        )
        said = "42 4 b,21,/ui/x c function"
        names = "said" if name == "app.mjs" else "Shape,base,default,double,g,late,names,said"
        assert run.stdout == f"{said} {names}\n"


@pytest.mark.parametrize(
    "text",
    [
        "export let count = 0;",
        "export * from './b.mjs';",
        "import * as all from './b.mjs';",
        "import all, { one } from './b.mjs';",
        "await load();",
        "export default 7;",
    ],
)
def test_another_form_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.mjs").write_text(f"const first = 1;\n{text}\n")
    with pytest.raises(ValueError, match=r"a\.mjs cannot be joined"):
        read_module(tmp_path, "a.mjs")


def test_a_circle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mjs").write_text('import "./b.mjs";\n')
    (tmp_path / "b.mjs").write_text('import "./a.mjs";\n')
    with pytest.raises(ValueError, match=r"a\.mjs → b\.mjs → a\.mjs"):
        modules_of(tmp_path, ["a.mjs"])


def test_a_name_that_two_export_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mjs").write_text("export const one = 1;\n")
    (tmp_path / "b.mjs").write_text("export const one = 2;\n")
    with pytest.raises(ValueError, match=r"a\.mjs and b\.mjs both export one"):
        join_modules(modules_of(tmp_path, ["a.mjs", "b.mjs"]))


def test_comments_stay_behind(tmp_path: Path) -> None:
    (tmp_path / "a.mjs").write_text("// import './x.mjs';\n/**\n * what\n */\nexport const a = 'http://a'; // why\n")
    (module,) = modules_of(tmp_path, ["a.mjs"])
    assert module.body == "const a = 'http://a'; // why\n"
    assert join_sheets(["/* a */\na {\n  color: red; /* why\n not */\n}", "b { }"]) == "a {\ncolor: red;}\nb { }"


def test_the_first_words_are_those_it_names() -> None:
    catalogue = {
        "nav.a": "A",
        "nav.b": "B",
        "n.cards.one": "1",
        "n.cards.other": "2",
        "far.away": "no",
        "state.on": "x",
    }
    text = """t("nav.a"); t('n.cards', { n }); t(`state.${word}`)"""
    assert first_words(catalogue, text) == {
        "nav.a": "A",
        "n.cards.one": "1",
        "n.cards.other": "2",
        "state.on": "x",
    }
