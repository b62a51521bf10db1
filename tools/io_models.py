"""Measure the I/O models on this machine and put the chart and the table into docs/io-models*.md.

python tools/io_models.py [OPTION OF hardpoint lab …]

Some two minutes, on a machine that does nothing else. Not part of `make docs`: the figures differ from run to run.
"""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
CHART = DOCS / "io-models.svg"
PAGES = {
    "io-models.md": ("CPU and latency of five I/O models against the number of idle connections", "Measured"),
    "io-models.zh-CN.md": ("五种 I/O 模型的 CPU 和延迟随空闲连接数的变化", "测于"),
}
"""Page → the chart's text for those who cannot see it, and the word before the day."""
BLOCK = re.compile(r"<!-- measured -->\n.*?<!-- /measured -->", re.DOTALL)


def main() -> None:
    """Run the lab and write its results."""
    command = [sys.executable, "-m", "hardpoint", "lab", "--chart", str(CHART), *sys.argv[1:]]
    table = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.rstrip()
    today = datetime.now(UTC).date().isoformat()
    for name, (alternative, measured) in PAGES.items():
        page = DOCS / name
        block = (
            f"<!-- measured -->\n![{alternative}]({CHART.name})\n\n{measured} {today}:\n\n"
            f"```text\n{table}\n```\n<!-- /measured -->"
        )
        text, count = BLOCK.subn(lambda _, block=block: block, page.read_text("utf-8"))
        if count != 1:
            raise SystemExit(f"{page} has {count} places for the figures, not one")
        page.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
