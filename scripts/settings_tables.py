"""Rewrite the settings tables in Markdown files from what the commands say of themselves.

    python scripts/settings_tables.py            rewrite every table
    python scripts/settings_tables.py --check    write nothing, exit 1 where a table is out of date

A table stands between two comments that name the command; `tap-shopify --about --format=json` fills it:

    <!-- settings: tap-shopify -->
    <!-- /settings -->
"""

from __future__ import annotations

import argparse
import functools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(<!-- settings: (?P<command>[a-z-]+) -->\n).*?(<!-- /settings -->)", re.DOTALL)
PLACES = ("README.md", "docs", "taps", "target-lake-parquet")


@functools.cache
def about(command: str) -> dict[str, Any]:
    """Return what a command says of itself; it is looked for beside the Python that runs this."""
    run = subprocess.run(
        [Path(sys.executable).parent / command, "--about", "--format=json"],
        capture_output=True,
        check=True,
    )
    return dict(json.loads(run.stdout))


def table(command: str) -> str:
    """Return the settings of a command as a Markdown table."""
    lines = ["| setting | default | what it does |", "| --- | --- | --- |"]
    for name, declared in about(command)["settings"]["properties"].items():
        default = declared.get("default")
        shown = "" if default is None else f"`{default if isinstance(default, str) else json.dumps(default)}`"
        text = " ".join(str(declared.get("description", "")).split()).replace("|", "\\|")
        secret = "Secret. " if declared.get("secret") else ""
        lines.append(f"| `{name}` | {shown} | {secret}{text} |")
    return "\n".join(lines) + "\n"


def rewritten(text: str) -> str:
    """Return the text of a Markdown file with its tables as they should be."""
    return BLOCK.sub(lambda match: match[1] + table(match["command"]) + match[3], text)


def files() -> list[Path]:
    """Return the Markdown files that hold a table."""
    places = [ROOT / place for place in PLACES]
    found = [
        path for place in places for path in ([place] if place.is_file() else sorted(place.rglob("*.md")))
    ]
    return [path for path in found if BLOCK.search(path.read_text(encoding="utf-8"))]


def main() -> int:
    """Rewrite or check, and say what was done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 where a table differs")
    check = parser.parse_args().check
    stale = 0
    for path in files():
        text = path.read_text(encoding="utf-8")
        wanted = rewritten(text)
        stale += wanted != text
        if wanted != text and not check:
            path.write_text(wanted, encoding="utf-8")
        outcome = "unchanged" if wanted == text else "out of date" if check else "written"
        print(f"{outcome}  {path.relative_to(ROOT)}")
    return int(check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
