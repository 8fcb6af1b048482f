"""Forks the target as `tests.zygote` does, held until a tracer is there, or as a mutant."""

import itertools
import os
import secrets
import signal
from datetime import UTC, datetime, timedelta
from unittest import mock

import pandas as pd
import pyarrow as pa

from lake_parquet import paths
from tests import zygote
from tests.faults import mutants

GO = signal.SIGUSR1


def main() -> None:
    """Imports and serves; each forked process waits for `GO` where `HELD` asks for it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {GO})
    pa.array(pd.Series([1]))  # pyarrow looks for pandas when it is first used: two seconds a run
    zygote.main(begin)


def begin() -> None:
    """In the forked process, before the command."""
    if os.environ.pop("HELD", ""):
        signal.sigwait({GO})
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {GO})
    if turn := os.environ.pop("TURN", ""):
        name_alike(int(turn))
    if mutant := os.environ.pop("MUTANT", ""):
        mutants.ALL[mutant].apply()


def name_alike(turn: int) -> None:
    """Makes a run give the same names each time, so that a fault finds the file that it is meant for."""
    now = datetime(2026, 1, 1, turn, tzinfo=UTC)
    run_id, snapshot_name, numbers = paths.run_id, paths.snapshot_name, itertools.count()

    def next_run(*_: object) -> str:
        return run_id(now + timedelta(seconds=next(numbers)), f"{turn:06x}")

    def next_snapshot(moment: datetime, newest: str | None = None) -> str:
        return snapshot_name(min(moment, now + timedelta(minutes=1)), newest)

    def next_token(size: int = 8) -> str:
        return f"{turn:x}{next(numbers):0{2 * size - 1}x}"

    for owner, name, value in (
        (paths, "run_id", next_run),
        (paths, "snapshot_name", next_snapshot),
        (secrets, "token_hex", next_token),
        (os, "getpid", lambda: turn),
    ):
        mock.patch.object(owner, name, value).start()


if __name__ == "__main__":
    main()
