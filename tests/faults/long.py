"""The long work, part by part, some of it at once: trouble of every kind in every scenario, and mutants."""

import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

from tests.faults.mutants import ALL as MUTANTS
from tests.faults.power import CUTS, KINDS, PowerJudge, obstacle, quick_folder
from tests.faults.scenarios import SCENARIOS
from tests.faults.sweep import ERRORS, KILL, SIGNALS, Figures, Judge, changing
from tests.faults.told import Told
from tests.processes import Zygote

MOST_TOLD = 30
RANDOM_TIMES = 60
"""Signals of each kind at random times, for each scenario."""


class Part(NamedTuple):
    """A piece of work: a `kind` of trouble in a scenario, or a mutant that it must catch; each nth call."""

    kind: str
    name: str
    every: int = 1
    disk: str = ""


def parts(every: int = 1, only: str | None = None, ends: int | None = None) -> list[Part]:
    """All that there is to do, the longest first; SIGKILL and errors at each `ends`th call, if given."""
    names = [only] if only else list(SCENARIOS)
    steps = {"error": ends or every, "kill": ends or every, "signal": every, "time": every, "deaf": every}
    found = [Part(kind, name, step) for kind, step in steps.items() for name in names]
    cuts = [Part("cut", name, every, disk) for disk in KINDS for name in names]
    found += cuts if not obstacle("ext4") else []
    if not only:
        hunts = [Part(f"{one.caught_by} mutant", name) for name, one in MUTANTS.items()]
        found += [one for one in hunts if one.kind == "kill mutant" or not obstacle("ext4")]
    return found


def at_once(work: Sequence[Callable[[], list[Told]]], jobs: int) -> Iterator[Told]:
    """Does the work, some of it at once; tells each part when it is done."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        for done in as_completed([pool.submit(one) for one in work]):
            yield from done.result()


def do(part: Part) -> list[Told]:
    """Does one part."""
    zygote = Zygote("tests.faults.zygote")
    try:
        if part.kind == "power mutant":
            return [hunted_by_power(zygote, part.name)]
        if part.kind == "kill mutant":
            return [hunted(zygote, part.name)]
        return swept_cuts(zygote, part) if part.kind == "cut" else swept(zygote, part)
    finally:
        zygote.close()


def swept(zygote: Zygote, part: Part) -> list[Told]:
    """Kills, errors, signals or a reader that goes, in one scenario."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        judge = Judge(zygote, Path(folder) / "one", SCENARIOS[part.name])
        if part.kind == "time":
            chance = random.Random(part.name)  # noqa: S311 - when to strike is no secret
            found = judge.sweep_times(RANDOM_TIMES // part.every, chance)
            return told(
                part, "SIGKILL, SIGTERM, SIGINT at random times", "signal at a random time", found, begun
            )
        if part.kind == "deaf":
            return told(part, "stdout closed after each STATE", "closed stdout", judge.sweep_deaf(), begun)
        if part.kind == "error":
            found = judge.sweep(ERRORS, judge.points[:: part.every])
            return told(part, "ENOSPC, EIO, EACCES", "error of a call", found, begun)
        faults = [KILL] if part.kind == "kill" else list(SIGNALS)
        found = judge.sweep(faults, changing(judge.points)[:: part.every])
        title = "SIGKILL" if part.kind == "kill" else "SIGTERM, SIGINT"
        return told(part, title, f"{title} at a call", found, begun)


def swept_cuts(zygote: Zygote, part: Part) -> list[Told]:
    """Power cuts, in one scenario."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(dir=quick_folder()) as folder:
        judge = PowerJudge(zygote, Path(folder) / "one", SCENARIOS[part.name], part.disk)
        try:
            found = judge.sweep_cuts(changing(judge.points)[:: part.every])
        finally:
            judge.close()
    return told(part, f"power cut, {part.disk}", "power cut", found, begun)


def told(part: Part, title: str, kind: str, found: Figures, begun: float) -> list[Told]:
    """The line of a part, and what was broken."""
    seen = (
        f"{found.points} points, {found.faults} faults, {found.hit} ended the run, {found.missed} missed, "
        f"{len(found.broken)} promises broken, {time.monotonic() - begun:.0f} s"
    )
    broken = len(found.broken)
    first = Told(not broken, f"{part.name}: {title}", seen, kind, found.faults, broken)
    return [first, *(Told(False, part.name, line) for line in found.broken[:MOST_TOLD])]


def hunted(zygote: Zygote, name: str) -> Told:
    """A mutant, killed at every call until it is caught."""
    with tempfile.TemporaryDirectory() as folder:
        judge = Judge(zygote, Path(folder) / "one", SCENARIOS[MUTANTS[name].scenario], name)
        points = changing(judge.points)
        for number, point in enumerate(reversed(points), start=1):
            if judge.try_fault(point, KILL):
                return Told(True, f"mutant: {name}", f"caught at kill {number} of {len(points)}")
    return Told(False, f"mutant: {name}", f"got away: {len(points)} kills")


def hunted_by_power(zygote: Zygote, name: str) -> Told:
    """A mutant whose power is cut after every call until it is caught, on any of the file systems."""
    number = 0
    for disk in [kind for kind in reversed(KINDS) if not obstacle(kind)]:
        with tempfile.TemporaryDirectory(dir=quick_folder()) as folder:
            judge = PowerJudge(zygote, Path(folder) / "one", SCENARIOS[MUTANTS[name].scenario], disk, name)
            try:
                for point in (None, *reversed(changing(judge.points))):
                    for cut in CUTS:
                        number += 1
                        if judge.try_cut(point, cut):
                            return Told(True, f"mutant: {name}", f"caught at power cut {number}, {disk}")
            finally:
                judge.close()
    return Told(False, f"mutant: {name}", f"got away: {number} power cuts")
