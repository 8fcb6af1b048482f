"""Resolve all dependencies anew and rewrite constraints.txt: exact pins, one plain `name==version` a line.

    python scripts/constraints.py

Set-up, tests and plugins install under these pins. A lock file would name package hosts, so there is none.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MEMBERS = ["taps/tap-common", "taps/tap-shopify", "target-lake-parquet"]
UV = str(Path(sys.executable).parent / "uv")


def main() -> None:
    """Upgrade the environment within the bounds of the pyproject files, then write down what is in it."""
    editables = [part for member in MEMBERS for part in ("--editable", member)]
    install = [
        UV,
        "pip",
        "install",
        "--python",
        sys.executable,
        "--upgrade",
        *editables,
        "--group",
        "dev",
        "uv",
    ]
    subprocess.run(install, cwd=ROOT, check=True)
    frozen = subprocess.run(
        [UV, "pip", "freeze", "--python", sys.executable, "--exclude-editable"],
        check=True,
        text=True,
        capture_output=True,
    )
    # setuptools comes with some Pythons' venv, in a version of theirs; nothing here needs it
    pins = (line for line in frozen.stdout.splitlines() if "==" in line)
    lines = sorted(line for line in pins if not line.startswith("setuptools=="))
    (ROOT / "constraints.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"constraints.txt: {len(lines)} pins")


if __name__ == "__main__":
    main()
