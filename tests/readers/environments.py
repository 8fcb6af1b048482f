"""Readers that cannot, or need not, stand beside the project: each in an environment of its own."""

import subprocess
import sys
import tomllib
from fcntl import LOCK_EX, flock
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(group: str) -> Path:
    """The Python of a dependency group's environment, which is made where it is missing or another."""
    place = ROOT / f".{group}"
    python, stamp = place / "bin" / "python", place / ".installed"
    uv = Path(sys.executable).with_name("uv")
    with (ROOT / "pyproject.toml").open("rb") as project:
        wanted = "\n".join(tomllib.load(project)["dependency-groups"][group])
        flock(project, LOCK_EX)
        if not stamp.is_file() or stamp.read_text() != wanted:
            subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, place], check=True)
            install: list[str | Path] = [
                uv,
                "pip",
                "install",
                "--quiet",
                "--python",
                python,
                "--group",
                group,
            ]
            subprocess.run(install, cwd=ROOT, check=True)
            stamp.write_text(wanted)
    return python
