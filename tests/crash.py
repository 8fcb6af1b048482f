"""The long crash tests, with figures: `make crash-test`.

    python -m tests.crash [--seeds 100000] [--rounds 50]

Each part prints a line; the exit code is 1 where a promise was broken, or a mutant got away.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from unittest import mock

from tests.lake.simulation import MUTANTS, SKEWS, Run, Violation, at_random, search
from tests.stores import servers
from tests.stores.hammer import hammer


def main() -> None:
    """Runs all parts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=50)
    asked = parser.parse_args()
    good = True
    for part in (simulated(asked.seeds), mutants(), crowded(asked.rounds)):
        for is_good, line in part:
            good = good and is_good
            sys.stdout.write(f"{'ok    ' if is_good else 'FAILED'} {line}\n")
            sys.stdout.flush()
    sys.exit(0 if good else 1)


def simulated(seeds: int) -> Iterator[tuple[bool, str]]:
    """The commit code on a simulated store and clock."""
    for skew in SKEWS:
        start = time.monotonic()
        try:
            states, ends = search(partial(Run, skews=(timedelta(), skew)))
            took = time.monotonic() - start
            yield (
                True,
                f"two writers, any crash, clock off by {skew}: {states} states, {ends} ends, {took:.0f} s",
            )
        except Violation as violation:
            yield False, f"two writers, clock off by {skew}: {violation}"
    start, told, seed = time.monotonic(), 0, 0
    try:
        for seed in range(seeds):
            told += at_random(seed)
        took = time.monotonic() - start
        yield (
            True,
            f"five writers at random: {seeds} seeds, {told} commits told done, 0 violations, {took:.0f} s",
        )
    except Violation as violation:
        yield False, f"five writers at random: seed {seed}: {violation}"


def mutants() -> Iterator[tuple[bool, str]]:
    """The harness must catch what is wrong."""
    for name, make in MUTANTS.items():
        caught = sum(_is_caught(seed, make) for seed in range(1000))
        yield caught > 0, f"mutant {name!r}: caught in {caught} of 1000 seeds"


def _is_caught(seed: int, make: Callable[..., Run]) -> bool:
    try:
        at_random(seed, make=make)
    except Violation:
        return True
    return False


def crowded(rounds: int) -> Iterator[tuple[bool, str]]:
    """Eight real processes on one dataset."""
    with tempfile.TemporaryDirectory() as folder:
        found = hammer(Path(folder) / "lake", "", writers=8, rounds=rounds)
        yield not found.lost and not found.children_differ, f"8 writers on a folder, {rounds} rounds: {found}"
    with tempfile.TemporaryDirectory() as folder, servers.seaweed(Path(folder)) as server:
        with mock.patch.dict(os.environ, server.env()):
            found = hammer(Path(folder) / "unused", server.url(), writers=8, rounds=4)
        yield not found.lost and not found.children_differ, f"8 writers on {server.name}, 4 rounds: {found}"


if __name__ == "__main__":
    main()
