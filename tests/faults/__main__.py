"""The sweeps at length, with figures: a part of `make crash-test`.

    python -m tests.faults [--every N] [--only SCENARIO] [--kinds kill,error,...] [--jobs N]

Each part prints a line; the exit code is 1 where a promise was broken, or a mutant got away.
"""

import argparse
import shutil
import sys
from functools import partial

from tests.faults.long import at_once, do, parts
from tests.faults.scenarios import SCENARIOS


def main() -> None:
    """Does what is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=1, help="only each nth call")
    parser.add_argument("--only", choices=list(SCENARIOS), help="one scenario")
    parser.add_argument("--kinds", default="", help="some kinds only, with commas")
    parser.add_argument("--jobs", type=int, default=2, help="parts at once")
    asked = parser.parse_args()
    if shutil.which("strace") is None:
        sys.exit("skipped: strace, which injects the faults, is not here")
    kinds = asked.kinds.split(",") if asked.kinds else None
    work = [partial(do, part) for part in parts(asked.every, asked.only) if not kinds or part.kind in kinds]
    good = True
    for one in at_once(work, asked.jobs):
        good = good and one.good
        sys.stdout.write(f"{one}\n")
        sys.stdout.flush()
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
