"""Runs the commands in real processes and pipes, and reads what they left in the lake."""

import contextlib
import fcntl
import json
import os
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from lake_parquet import Lake
from tests.processes import PATIENCE, Forked, Zygote

BIN = Path(sys.executable).parent
ENV = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8", "COLUMNS": "200"}


class Ended(NamedTuple):
    """How a process ended: its exit code (negative for a signal) and all it printed."""

    code: int
    out: str
    err: str


def assert_clear(err: str) -> None:
    """The last line of stderr is a message for a user, and nothing looks like a crash."""
    assert "Traceback" not in err
    assert "Error: " in err.splitlines()[-1]


@dataclass
class Place:
    """A lake in a temporary folder, and the target that writes it."""

    zygote: Zygote
    folder: Path
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The lake's root."""
        return self.folder / "lake"

    @property
    def lake(self) -> Lake:
        """The lake, for reading."""
        return Lake(self.root)

    def configured(self, **changes: Any) -> str:
        """Writes the config with `changes`; returns its path."""
        path = self.folder / "config.json"
        path.write_text(json.dumps({"lake_root": str(self.root), **self.config, **changes}))
        return str(path)

    def run(
        self, *lines: str, env: Mapping[str, str] | None = None, cut: bool = False, **config: Any
    ) -> Ended:
        """Pipes `lines` into the target and closes the pipe; `cut` leaves the last line without its end."""
        text = "\n".join(lines) + ("" if cut or not lines else "\n")
        return self.command("target-lake-parquet", "--config", self.configured(**config), stdin=text, env=env)

    def good(self, *lines: str, **config: Any) -> Ended:
        """Runs the target and expects success."""
        ended = self.run(*lines, **config)
        assert ended.code == 0, ended.err
        return ended

    def command(self, *argv: str, stdin: str | bytes = "", env: Mapping[str, str] | None = None) -> Ended:
        """Runs a command with `stdin` in a pipe; returns how it ended."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        with self.feeding(*argv, env=env) as process:
            with contextlib.suppress(BrokenPipeError):
                process.feed(data)
            return process.end()

    @contextlib.contextmanager
    def feeding(self, *argv: str, env: Mapping[str, str] | None = None) -> Iterator["Fed"]:
        """Starts a command whose stdin the test holds open."""
        out, err = self.folder / "stdout", self.folder / "stderr"
        read, write = os.pipe()
        with out.open("wb") as stdout, err.open("wb") as stderr:
            forked = self.zygote.start(
                argv, [read, stdout.fileno(), stderr.fileno()], self.folder, {**ENV, **(env or {})}
            )
        os.close(read)
        fed = Fed(forked, write, out, err)
        try:
            yield fed
        finally:
            fed.close()

    def datasets(self) -> list[str]:
        """The datasets that have snapshots."""
        return self.lake.datasets()

    def frame(self, dataset: str) -> pl.DataFrame:
        """The latest rows."""
        return self.lake.latest(dataset).collect()

    def rows(self, dataset: str) -> list[dict[str, Any]]:
        """The latest rows, in an order of their own."""
        return sorted(self.frame(dataset).to_dicts(), key=repr)

    def names(self, dataset: str) -> list[str]:
        """The names of all snapshots, the oldest first."""
        return [one.name for one in self.lake.snapshots(dataset)]

    def record(self) -> dict[str, Any]:
        """The last run's record, as it stands on disk."""
        newest = max((self.root / "_meta" / "runs").glob("*.json"))
        found: dict[str, Any] = json.loads(newest.read_text())
        return found

    def summary(self, dataset: str) -> dict[str, Any]:
        """What the last run did to a dataset."""
        found: dict[str, Any] = next(one for one in self.record()["datasets"] if one["dataset"] == dataset)
        return found

    def aside(self, dataset: str = "*") -> list[dict[str, Any]]:
        """What stands in quarantine, of all datasets or of one."""
        files = sorted((self.root / ".quarantine").glob(f"*/{dataset}.jsonl"))
        return [json.loads(line) for path in files for line in path.read_text().splitlines()]

    def staged(self) -> list[str]:
        """Run folders that stand in staging."""
        folder = self.root / ".staging"
        return [one.name for one in folder.iterdir() if one.is_dir()] if folder.is_dir() else []


class Fed:
    """A running command and the open end of its stdin."""

    def __init__(self, forked: Forked, stdin: int, out: Path, err: Path) -> None:
        """Holds all three."""
        self.forked = forked
        self._stdin: int | None = stdin
        self._out, self._err = out, err

    def feed(self, data: bytes) -> None:
        """Writes to its stdin."""
        assert self._stdin is not None
        view = memoryview(data)
        while view:
            view = view[os.write(self._stdin, view) :]

    def await_read(self) -> None:
        """Waits until it has taken all that it was fed."""
        assert self._stdin is not None
        deadline = time.monotonic() + PATIENCE
        while int.from_bytes(fcntl.ioctl(self._stdin, termios.FIONREAD, bytes(4)), sys.byteorder):
            assert time.monotonic() < deadline, self.err()
            time.sleep(0.01)

    def close(self) -> None:
        """Closes its stdin."""
        if self._stdin is not None:
            os.close(self._stdin)
            self._stdin = None

    def err(self) -> str:
        """What it said so far."""
        return self._err.read_text(errors="replace")

    def end(self) -> Ended:
        """Closes its stdin and waits for its end."""
        self.close()
        return Ended(self.forked.end(), self._out.read_text(), self.err())
