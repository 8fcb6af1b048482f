"""The sweeps at length, with figures: a part of `make crash-test`.

    python -m tests.faults [--every N] [--only SCENARIO]

Each part prints a line; the exit code is 1 where a promise was broken, or a mutant got away.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.mutants import ALL as MUTANTS
from tests.faults.scenarios import SCENARIOS
from tests.faults.sweep import ERRORS, KILL, SIGNALS, Judge, changing
from tests.target.command import Zygote

MOST_TOLD = 10


def main() -> None:
    """Runs all parts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=1, help="only each nth call")
    parser.add_argument("--only", choices=list(SCENARIOS), help="one scenario")
    asked = parser.parse_args()
    if shutil.which("strace") is None:
        sys.exit("skipped: strace, which injects the faults, is not here")
    zygote = Zygote("tests.faults.zygote")
    try:
        good = [swept(zygote, name, asked.every) for name in SCENARIOS if asked.only in (None, name)]
        good += [hunted(zygote, name) for name, one in MUTANTS.items() if one.caught_by == "kill"]
    finally:
        zygote.close()
    sys.exit(0 if all(good) else 1)


def swept(zygote: Zygote, name: str, every: int) -> bool:
    """Kills, errors and signals in one scenario."""
    parts: Sequence[tuple[str, Sequence[str]]] = (
        ("killed", [KILL]),
        ("ENOSPC, EIO, EACCES", ERRORS),
        ("SIGTERM, SIGINT", list(SIGNALS)),
    )
    broken = 0
    with tempfile.TemporaryDirectory() as folder:
        judge = Judge(zygote, Path(folder) / "one", SCENARIOS[name])
        for title, faults in parts:
            start = time.monotonic()
            points = judge.points if faults is ERRORS else changing(judge.points)
            found = judge.sweep(faults, points[::every])
            took = time.monotonic() - start
            told(
                not found.broken,
                f"{name}: {title}: {found.points} calls of {len(points)}, {found.faults} faults, "
                f"{found.hit} ended the run, {found.missed} missed, "
                f"{len(found.broken)} promises broken, {took:.0f} s",
            )
            for line in found.broken[:MOST_TOLD]:
                told(False, f"    {line}")
            broken += len(found.broken)
    return not broken


def hunted(zygote: Zygote, name: str) -> bool:
    """A mutant, killed at every call until it is caught."""
    mutant = MUTANTS[name]
    with tempfile.TemporaryDirectory() as folder:
        judge = Judge(zygote, Path(folder) / "one", SCENARIOS[mutant.scenario], name)
        points = changing(judge.points)
        for number, point in enumerate(reversed(points), start=1):
            broken = judge.try_fault(point, KILL)
            if broken:
                told(True, f"mutant {name!r}: caught at kill {number} of {len(points)}: {broken[0]}")
                return True
    told(False, f"mutant {name!r} got away: {len(points)} kills")
    return False


def told(good: bool, line: str) -> None:  # noqa: FBT001
    """Prints a line."""
    sys.stdout.write(f"{'ok    ' if good else 'FAILED'} {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
