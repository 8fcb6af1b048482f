"""Forks the target as `tests.target.zygote` does, held until a tracer is there, or as a mutant."""

import os
import signal

import pandas as pd
import pyarrow as pa

from tests.faults import mutants
from tests.target import zygote

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
    if mutant := os.environ.pop("MUTANT", ""):
        mutants.ALL[mutant].apply()


if __name__ == "__main__":
    main()
