"""The long crash tests, with figures: `make crash-test`.

    python -m tests.crash [--seeds 100000] [--rounds 50] [--every 1] [--jobs 2] [--page docs/reliability.md]

Each part prints a line; `--page` gets all of them. `--every 4` puts signals and power cuts into
each fourth call only; SIGKILL and errors come at every call.
The exit code is 1 where a promise was broken, or a mutant got away.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from unittest import mock

from tests.faults import told
from tests.faults.long import at_once, do, parts
from tests.faults.told import Told
from tests.lake.simulation import MUTANTS, SKEWS, Run, Violation, at_random, search
from tests.stores import servers
from tests.stores.hammer import Outcome, hammer


def main() -> None:
    """Runs all parts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--page", type=Path)
    asked = parser.parse_args()
    work = simulated(asked.seeds)
    if shutil.which("strace"):
        work += [partial(do, part) for part in parts(asked.every, ends=1)]
    found = []
    for one in chain(crowded(asked.rounds), at_once(work, asked.jobs)):
        found.append(one)
        sys.stdout.write(f"{one}\n")
        sys.stdout.flush()
    if asked.page:
        told.write(found, asked.page, asked.every)
    sys.exit(0 if all(one.good for one in found) else 1)


def simulated(seeds: int) -> list[Callable[[], list[Told]]]:
    """The commit code on a simulated store and clock, and the mutants that must be caught there."""
    return [
        partial(_at_random, "five writers at random", seeds),
        partial(
            _at_random,
            "five writers at random, old claims pruned meanwhile",
            max(1, seeds // 10),
            partial(Run, pruning=True),
        ),
        *(partial(_in_every_order, skew) for skew in SKEWS),
        *(partial(_hunted, name) for name in MUTANTS),
    ]


def _in_every_order(skew: timedelta) -> list[Told]:
    start, part = time.monotonic(), f"two writers, any crash, clock off by {skew}"
    try:
        states, ends = search(partial(Run, skews=(timedelta(), skew)))
    except Violation as violation:
        return [Told(False, part, str(violation))]
    took = time.monotonic() - start
    seen = f"{states:,} states, {ends:,} ends, 0 violations, {took:.0f} s"
    return [Told(True, part, seen, "simulated end of two writers", ends)]


def _at_random(part: str, seeds: int, make: Callable[..., Run] = Run) -> list[Told]:
    start, acked, seed = time.monotonic(), 0, 0
    try:
        for seed in range(seeds):
            acked += at_random(seed, make=make)
    except Violation as violation:
        return [Told(False, part, f"seed {seed}: {violation}")]
    took = time.monotonic() - start
    seen = f"{seeds:,} seeds, {acked:,} commits told done, 0 violations, {took:.0f} s"
    return [Told(True, part, seen, "simulated run of five writers", seeds)]


def _hunted(name: str) -> list[Told]:
    caught = sum(_is_caught(seed, MUTANTS[name]) for seed in range(1000))
    return [Told(caught > 0, f"mutant: {name}", f"caught in {caught} of 1000 seeds")]


def _is_caught(seed: int, make: Callable[..., Run]) -> bool:
    try:
        at_random(seed, make=make)
    except Violation:
        return True
    return False


def crowded(rounds: int) -> Iterator[Told]:
    """Eight real processes on one dataset."""
    with tempfile.TemporaryDirectory() as folder:
        found = hammer(Path(folder) / "lake", "", writers=8, rounds=rounds)
        yield _crowd("a folder", found, rounds)
    with tempfile.TemporaryDirectory() as folder, servers.seaweed(Path(folder)) as server:
        with mock.patch.dict(os.environ, server.env()):
            found = hammer(Path(folder) / "unused", server.url(), writers=8, rounds=4)
        yield _crowd(server.name, found, 4)


def _crowd(where: str, found: Outcome, rounds: int) -> Told:
    good = not found.lost and not found.children_differ and found.snapshots == found.acked
    part = f"8 writers on {where}, {rounds} rounds"
    return Told(good, part, str(found), "round of 8 writers", rounds, found.lost)


if __name__ == "__main__":
    main()
