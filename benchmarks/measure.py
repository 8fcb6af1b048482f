"""A command in, what it took out: wall time, CPU time and peak memory of that one process. POSIX only.

And what other work took of the machine meanwhile, without which no time says anything.
"""

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

LIMIT_SECONDS = 1800
"""A command that takes longer is killed, and reported as failed."""


class Failed(Exception):  # noqa: N818 - it says what a command did
    """A command ended badly; the message is its last words."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took."""

    wall: float
    cpu: float
    peak_mb: float


def run(
    command: Sequence[str | Path],
    source: Path,
    *,
    piped: bool = False,
    env: Mapping[str, str] | None = None,
) -> Cost:
    """Runs `command` to its end with the file `source` as its input, or with a pipe from it.

    The figures are the process's own: what feeds a pipe is not in them. A child's peak is never below what
    the measuring process held when it started it, so that one must stay small.

    Raises:
        Failed: it exits with another code than 0, or takes too long.
    """
    words = source.with_name("last-words")
    with source.open("rb") as stdin, words.open("wb+") as stderr:
        feeder = subprocess.Popen(["cat"], stdin=stdin, stdout=subprocess.PIPE) if piped else None  # noqa: S607
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=feeder.stdout if feeder else stdin,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env={**os.environ, **(env or {})},
        )
        if feeder and feeder.stdout:
            feeder.stdout.close()
        timer = threading.Timer(LIMIT_SECONDS, process.kill)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if feeder:
            feeder.wait()
        if process.returncode:
            stderr.seek(0)
            said = stderr.read().decode(errors="replace").strip().splitlines() or ["nothing"]
            raise Failed(f"exit code {process.returncode}: {said[-1][:200]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 1e6)


def scaled(part: Cost, empty: Cost, share: float) -> Cost:
    """What the whole input would take, from a share of it: start-up once, the rest in proportion."""
    return Cost(
        wall=empty.wall + max(part.wall - empty.wall, 0) / share,
        cpu=empty.cpu + max(part.cpu - empty.cpu, 0) / share,
        peak_mb=part.peak_mb,
    )


def median(costs: Sequence[Cost]) -> Cost:
    """The median of each figure; of memory the largest."""
    return Cost(
        statistics.median(one.wall for one in costs),
        statistics.median(one.cpu for one in costs),
        max(one.peak_mb for one in costs),
    )


def ratio(costs: Sequence[Cost], to: Sequence[Cost]) -> float:
    """The median of the wall-time ratios of each round: noise that slows a whole round cancels out."""
    return statistics.median(one.wall / other.wall for one, other in zip(costs, to, strict=True))


def cpu_ratio(costs: Sequence[Cost], to: Sequence[Cost]) -> float:
    """The same of CPU time, which a busy machine disturbs less."""
    return statistics.median(one.cpu / other.cpu for one, other in zip(costs, to, strict=True))


@dataclass(frozen=True, slots=True)
class Clock:
    """CPU seconds up to now: of all cores, of what they did, and of this process with its ended children."""

    all: float
    busy: float
    own: float

    @classmethod
    def now(cls) -> "Clock":
        """Reads the machine's counters; time that the host gave to other machines counts as busy."""
        times, own = psutil.cpu_times(), os.times()
        waiting = times.idle + getattr(times, "iowait", 0.0)
        # the kernel counts a guest's time in `user` as well
        guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        everything = sum(times) - guests
        ours = own.user + own.system + own.children_user + own.children_system
        return cls(everything, everything - waiting, ours)

    def others(self, since: "Clock") -> float:
        """The share of the machine that was busy with what is not ours, from 0 to 1."""
        passed = self.all - since.all
        busy = (self.busy - since.busy) - (self.own - since.own)
        return min(max(busy / passed, 0.0), 1.0) if passed > 0 else 0.0
