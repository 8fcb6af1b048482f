"""Runs the target as a person at a prompt does: a config file, a pipe into it, the state out of it."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import processes

COMMAND = str(Path(sys.executable).with_name("target-lake-parquet"))
TENANT = "acme"
SOURCE = "tap"
OURS = ("MELTANO_", "TARGET_LAKE_PARQUET_", "TENANT_ID", "SHOPIFY_")


@dataclass(frozen=True)
class Run:
    """What a run of the target left behind."""

    exit_code: int
    states: list[Any]
    log: str
    lake: Path

    def summary(self) -> dict[str, Any]:
        """The newest run's record in the lake, its datasets by name."""
        newest = max((self.lake / "_meta" / "runs").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        run: dict[str, Any] = json.loads(newest.read_text())
        return run | {"datasets": {entry["dataset"]: entry for entry in run["datasets"]}}


def environment() -> dict[str, str]:
    """This process's, without what would configure the target behind a test's back."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS)}


def write_config(folder: Path, **settings: object) -> Path:
    """A config file, beside the lake that it names."""
    config = {"lake_root": str(folder / "lake"), "tenant_id": TENANT, "source": SOURCE} | settings
    path = folder / "lake.json"
    path.write_text(json.dumps(config))
    return path


def load(stream: bytes, folder: Path, **settings: object) -> Run:
    """`cat stream | target-lake-parquet --config lake.json`."""
    config = write_config(folder, **settings)
    done = processes.run([COMMAND, "--config", config], stdin=stream, env=environment())
    return finished(done.returncode, done.stdout, done.stderr, folder / "lake")


def finished(exit_code: int, stdout: bytes, stderr: bytes, lake: Path) -> Run:
    """The run, its state lines parsed: nothing else may be on stdout."""
    states = [json.loads(line) for line in stdout.splitlines()]
    return Run(exit_code, states, stderr.decode(errors="replace"), lake)


def dataset_of(stream: str) -> str:
    """The folder of a stream: characters that a path or a URL could stumble over become `_`."""
    safe = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "_" for letter in stream
    )
    return f"{TENANT}_{SOURCE}_{safe}"
