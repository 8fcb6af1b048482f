"""Puts a fault into each call of a run; judges what is left: readers, state, the next run, the rest."""

import json
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.faults import strace
from tests.faults.scenarios import INBOX, Scenario
from tests.faults.seen import (
    families,
    last_line,
    last_state,
    leftovers,
    names,
    other_readers,
    quarantined,
    records,
    rows,
)
from tests.faults.strace import Fate, Point
from tests.processes import Zygote

KILL = "signal=KILL"
ERRORS = ("error=ENOSPC", "error=EIO", "error=EACCES")
SIGNALS = {"signal=TERM": 143, "signal=INT": 130}
MOST_TRIES = 12
"""How often a fault is tried whose call did not come: threads took turns otherwise than in the traced run."""
GOOD = Fate()
BEFORE, DEAD, TRIED, NEXT = 1, 2, 3, 4
"""The turns of the runs: names follow these, so that each repetition gives the same."""


@dataclass
class Figures:
    """What a sweep has seen. `broken` are the promises that were not kept, one line each.

    `hit` counts the faults that ended the run; `missed` those whose call did not come.
    """

    points: int = 0
    faults: int = 0
    hit: int = 0
    missed: int = 0
    broken: list[str] = field(default_factory=list)


class Judge:
    """One scenario in a folder: the lake before, what a good run makes of it, and each faulty one."""

    void = 0

    def __init__(self, zygote: Zygote, folder: Path, scenario: Scenario, mutant: str = "") -> None:
        """Prepares the lake, and runs once without faults."""
        self.zygote, self.folder, self.scenario, self.mutant = zygote, folder, scenario, mutant
        folder.mkdir(parents=True, exist_ok=True)
        self.lake = self._place()
        self.before = folder / "before"
        self.state: Any = None
        self.hits = 0
        self.killed = False
        for name, text in scenario.files.items():
            (folder / INBOX).mkdir(exist_ok=True)
            (folder / INBOX / name).write_text(text)
        self._prepare()
        self.old = {name: rows(self.lake, name) for name in names(self.lake)}
        self.old_files = {path: path.read_bytes() for path in sorted(self.lake.glob("raw/*/*"))}
        self.records = records(self.lake) or 0
        self._remember()
        begun = time.monotonic()
        ended = self.run(self._lines(self.state)).ended
        self.seconds = time.monotonic() - begun
        assert ended.code == 0, ended.err
        self.printed = ended.out.splitlines()
        self.new = {name: rows(self.lake, name) for name in names(self.lake)}
        self.final = {name: versions[-1] for name, versions in self.new.items()}
        self.bad = quarantined(self.lake)
        self.families = [family for name in self.new for family in families(self.lake, name)]

    def _place(self) -> Path:
        """Where the lake is to stand."""
        return self.folder / "lake"

    @cached_property
    def log(self) -> str:
        """The calls of a run without faults."""
        self.reset()
        return self.run(self._lines(self.state), Fate(trace=True)).log

    @cached_property
    def points(self) -> list[Point]:
        """The calls that a fault may hit."""
        return strace.points(self.log, self.folder, self.lake)

    def run(self, lines: Sequence[str], fate: Fate = GOOD, *, turn: int | None = TRIED) -> strace.Traced:
        """Runs the target, or the mutant, on `lines`; runs of the same `turn` give the same names."""
        return strace.run(self.zygote, self.folder, lines, self._config(), fate, self._env(turn))

    def _env(self, turn: int | None) -> dict[str, str]:
        return {"TURN": str(turn or "")} | ({"MUTANT": self.mutant} if self.mutant else {})

    def _config(self) -> Path:
        config = self.folder / "config.json"
        inbox = {"batch_roots": [str(self.folder / INBOX)]} if self.scenario.files else {}
        config.write_text(json.dumps({"lake_root": str(self.lake), **inbox, **self.scenario.config}))
        return config

    def _lines(self, state: Any, to: int = 3) -> list[str]:
        """What a tap sends that goes on from a STATE."""
        return [line.replace(INBOX, str(self.folder / INBOX)) for line in self.scenario.lines(state, to)]

    def _prepare(self) -> None:
        if self.scenario.before:
            ended = self.run(self._lines(None, self.scenario.before), turn=BEFORE).ended
            assert ended.code == 0, ended.err
            self.state = last_state(ended, None)
        if self.scenario.dead:
            begun = None if self.scenario.again else self.state
            self.state = self._die(self._lines(begun, self.scenario.dead))

    def _die(self, lines: Sequence[str]) -> Any:
        """A run that dies after its STATEs, before its input has ended: its kept rows wait."""
        ended = strace.die(self.zygote, self.folder, lines, self._config(), env=self._env(DEAD))
        assert strace.is_killed(ended), ended
        assert list(self.lake.glob(".staging/*/journal.json"))
        return last_state(ended, self.state)

    def _remember(self) -> None:
        """Keeps the lake as it is now."""
        if self.lake.exists():
            shutil.copytree(self.lake, self.before)

    def reset(self) -> None:
        """The lake as it was before."""
        shutil.rmtree(self.lake, ignore_errors=True)
        if self.before.exists():
            shutil.copytree(self.before, self.lake)

    def try_fault(self, point: Point, fault: str, *, all_readers: bool = False) -> list[str]:
        """Injects one fault; returns the promises that were broken."""
        self.reset()
        begun = time.monotonic()
        traced = self.run(self._lines(self.state), Fate((point, fault)))
        took = time.monotonic() - begun
        self.hits = strace.hits(traced.log, point, self.folder)
        self.killed = strace.is_killed(traced.ended) if fault == KILL else traced.ended.code != 0
        code = SIGNALS.get(fault, 1) if self.hits else 0
        unheard = Path(point.path).name == strace.STDERR  # the line itself could not be written
        broken = [] if fault == KILL else [*self._end(traced, code, unheard=unheard)]
        if fault in SIGNALS and took > 10:
            broken.append(f"{took:.0f} s to stop")
        broken += self.after(traced, all_readers=all_readers)
        return [f"{fault}: {point}{'' if self.hits else ', not reached'}: {one}" for one in broken]

    def try_signal(self, number: signal.Signals, seconds: float) -> list[str]:
        """Sends a signal after so many seconds; returns the promises that were broken."""
        self.reset()
        traced = self.run(self._lines(self.state), Fate(stop=(number, seconds)), turn=None)
        self.killed = traced.ended.code != 0
        unbegun = traced.ended.code == -number and "INFO" not in traced.ended.err  # Python still started
        broken = [] if unbegun or number == signal.SIGKILL else [*self._end(traced, 128 + number)]
        broken += self.after(traced, turn=None)
        return [f"{number.name} after {seconds:.3f} s: {one}" for one in broken]

    def try_deaf(self, hears: int) -> list[str]:
        """Whoever reads the STATEs goes after so many of them; returns the promises that were broken."""
        self.reset()
        traced = self.run(self._lines(self.state), Fate(hears=hears))
        self.killed = traced.ended.code != 0
        broken = [*self._end(traced, 1), *self.after(traced)]
        return [f"stdout closed after {hears} STATEs: {one}" for one in broken]

    def _end(self, traced: strace.Traced, code: int, *, unheard: bool = False) -> Iterator[str]:
        """How the faulty run ended: with `code` and a clear last line, or well after all."""
        ended = traced.ended
        done = ended.code == 0 and not list(self._whole())
        if ended.code != code and not done and not traced.hangs:
            yield f"exit code {ended.code}: {ended.err[-300:]}"
        if "Traceback" in ended.err or not (done or unheard or "Error: " in last_line(ended)):
            yield f"no clear last line: {ended.err[-300:]}"

    def after(
        self, traced: strace.Traced, *, all_readers: bool = False, turn: int | None = NEXT
    ) -> Iterator[str]:
        """What is broken after a run: for readers now, and when the next run has ended."""
        if traced.hangs:
            yield f"hangs: {traced.ended.err[-300:]}"
        yield from self._readers(all_readers=all_readers)
        told = records(self.lake)
        if told is None or (traced.ended.code == 0 and told <= self.records):
            yield "the record of a run is torn, or not there"
        lines = self._lines(last_state(traced.ended, self.state))
        begun = time.monotonic()
        healed = self.run(lines, turn=turn)
        self.seconds = time.monotonic() - begun  # as long as a run takes now: others use the machine too
        if healed.ended.code:
            yield f"the next run {'hangs' if healed.hangs else 'fails'}: {healed.ended.err[-300:]}"
        yield from self._whole(0 if self.scenario.exact else sum('"RECORD"' in line for line in lines))
        yield from leftovers(self.lake, void=self.void)

    def _readers(self, *, all_readers: bool) -> Iterator[str]:
        """What readers see now: each latest whole, old or new, and each family of one piece."""
        for path, content in self.old_files.items():
            if not path.exists() or path.read_bytes() != content:
                yield f"{path.name} has changed"
        for name in names(self.lake):
            seen = rows(self.lake, name)[-1:]
            if seen and seen[0] not in [*self.new.get(name, []), *self.old.get(name, [])]:
                yield f"{name}: latest is neither old nor new"
            for family in families(self.lake, name)[-1:]:
                if family not in self.families:
                    yield f"{name}: its children are of another time"
            if all_readers and len({len(read) for read in other_readers(self.lake, name)}) > 1:
                yield f"{name}: readers differ"
        if gone := set(self.old) - set(names(self.lake)):
            yield f"gone: {gone}"

    def _whole(self, twice: int = 0) -> Iterator[str]:
        """What the lake holds now, beside what a run without faults left; so many rows may be there twice."""
        for name in sorted({*self.final, *names(self.lake)}):
            wanted = Counter(self.final.get(name, []))
            found = Counter(next(reversed(rows(self.lake, name)), []))
            missing, more = (wanted - found).total(), (found - wanted).total()
            if missing or more > twice:
                yield f"{name} is not as without faults: {missing} rows missing, {more} too many"
        if lost := len(self.bad - quarantined(self.lake)):
            yield f"{lost} records are not in quarantine"

    def sweep(
        self, faults: Sequence[str], points: Sequence[Point] | None = None, *, sample: int = 10
    ) -> Figures:
        """Every fault at every point; each `sample`th time all readers look."""
        found = Figures()
        for number, point in enumerate(self.points if points is None else points):
            found.points += 1
            for fault in faults:
                found.faults += 1
                for _ in range(MOST_TRIES):
                    found.broken += self.try_fault(point, fault, all_readers=number % sample == 0)
                    if self.hits:
                        break
                found.hit += self.killed
                found.missed += not self.hits
        return found

    def sweep_times(self, times: int, chance: random.Random) -> Figures:
        """Each signal at so many random moments of a run, and shortly after its usual end."""
        found = Figures()
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
            for _ in range(times):
                found.points += 1
                found.faults += 1
                found.broken += self.try_signal(number, chance.uniform(0, 1.1 * self.seconds))
                found.hit += self.killed
        return found

    def sweep_deaf(self) -> Figures:
        """A reader of the STATEs that goes before the first of them, and after each."""
        found = Figures()
        for hears in range(1 + len(self.printed)):
            found.points += 1
            found.faults += 1
            found.broken += self.try_deaf(hears)
            found.hit += self.killed
        return found


def changing(points: Sequence[Point]) -> list[Point]:
    """The calls that change something."""
    return [point for point in points if point.changes]


def decisive(points: Sequence[Point]) -> list[Point]:
    """The calls around the commit and the journal, by what they do: one of each kind."""
    marks = ("claims/", "/raw/", "journal.json", "stdout", "_meta/runs/")
    found = {
        (point.call, next(mark for mark in marks if mark in point.path)): point
        for point in points
        if point.call in ("linkat", "link", "rename", "fsync", "write", "pwrite64", "unlink")
        and any(mark in point.path for mark in marks)
    }
    return list(found.values())
