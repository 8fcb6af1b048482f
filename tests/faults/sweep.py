"""Puts a fault into each call of a run; judges what is left: readers, state, the next run, the rest."""

import json
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq

from lake_parquet import Lake
from tests.faults import strace
from tests.faults.scenarios import Scenario
from tests.faults.strace import Point
from tests.target.command import Ended, Zygote

KILL = "signal=KILL"
ERRORS = ("error=ENOSPC", "error=EIO", "error=EACCES")
SIGNALS = {"signal=TERM": 143, "signal=INT": 130}
BEFORE, DEAD, TRIED, NEXT = 1, 2, 3, 4
"""The turns of the runs: names follow these, so that each repetition gives the same."""
_SNAPSHOT = re.compile(r"\d{8}T\d{12}Z\.parquet")

Rows = list[str]
Family = tuple[Rows, dict[str, Rows]]


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

    def __init__(self, zygote: Zygote, folder: Path, scenario: Scenario, mutant: str = "") -> None:
        """Prepares the lake, and runs once without faults."""
        self.zygote, self.folder, self.scenario, self.mutant = zygote, folder, scenario, mutant
        folder.mkdir(parents=True, exist_ok=True)
        self.lake = folder / strace.LAKE
        self.before = folder / "before"
        self.state: Any = None
        self._prepare()
        self.old = {name: rows(self.lake, name) for name in names(self.lake)}
        self.old_files = {path: path.read_bytes() for path in sorted(self.lake.glob("raw/*/*"))}
        if self.lake.exists():
            shutil.copytree(self.lake, self.before)
        traced = self.run(scenario.lines(self.state), trace=True)
        assert traced.ended.code == 0, traced.ended.err
        self.log = traced.log
        self.points = strace.points(self.log, folder)
        self.new = {name: rows(self.lake, name) for name in names(self.lake)}
        self.final = {name: versions[-1] for name, versions in self.new.items()}
        self.families = [family for name in self.new for family in families(self.lake, name)]

    def run(
        self,
        lines: Sequence[str],
        inject: tuple[Point, str] | None = None,
        *,
        turn: int = TRIED,
        trace: bool = False,
    ) -> strace.Traced:
        """Runs the target, or the mutant, on `lines`; runs of the same `turn` give the same names."""
        config, env = self._config(), self._env(turn)
        return strace.run(self.zygote, self.folder, lines, config, inject=inject, trace=trace, env=env)

    def _env(self, turn: int) -> dict[str, str]:
        return {"TURN": str(turn)} | ({"MUTANT": self.mutant} if self.mutant else {})

    def _config(self) -> Path:
        config = self.folder / "config.json"
        config.write_text(json.dumps({"lake_root": str(self.lake), **self.scenario.config}))
        return config

    def _prepare(self) -> None:
        if self.scenario.before:
            ended = self.run(self.scenario.lines(None, self.scenario.before), turn=BEFORE).ended
            assert ended.code == 0, ended.err
            self.state = last_state(ended, None)
        if self.scenario.dead:
            begun = None if self.scenario.again else self.state
            lines = self.scenario.lines(begun, self.scenario.dead)
            self.state = self._die(lines)

    def _die(self, lines: Sequence[str]) -> Any:
        """A run that dies after its STATEs, before its input has ended: its kept rows wait."""
        ended = strace.die(self.zygote, self.folder, lines, self._config(), env=self._env(DEAD))
        assert strace.is_killed(ended), ended
        assert list(self.lake.glob(".staging/*/journal.json"))
        return last_state(ended, self.state)

    def reset(self) -> None:
        """The lake as it was before."""
        shutil.rmtree(self.lake, ignore_errors=True)
        if self.before.exists():
            shutil.copytree(self.before, self.lake)

    def try_fault(self, point: Point, fault: str, *, all_readers: bool = False) -> list[str]:
        """Injects one fault; returns the promises that were broken."""
        self.reset()
        begun = time.monotonic()
        traced = self.run(self.scenario.lines(self.state), (point, fault))
        took = time.monotonic() - begun
        ended = traced.ended
        self.hits = strace.hits(traced.log, point, self.folder)
        broken = [*self._end(traced, point, fault, took), *self._readers(all_readers=all_readers)]
        state = last_state(ended, self.state)
        healed = self.run(self.scenario.lines(state), turn=NEXT)
        if healed.ended.code:
            told = "hangs" if healed.hangs else f"fails: {healed.ended.err[-300:]}"
            broken.append(f"the next run {told}")
        broken += [*self._whole(), *leftovers(self.lake)]
        self.killed: bool = strace.is_killed(ended) if fault == KILL else ended.code != 0
        return [f"{fault}: {point}{'' if self.hits else ', not reached'}: {one}" for one in broken]

    def _end(self, traced: strace.Traced, point: Point, fault: str, took: float) -> Iterator[str]:
        """How the faulty run ended."""
        ended = traced.ended
        if traced.hangs:
            yield f"hangs: {ended.err[-300:]}"
        elif fault != KILL:
            code = SIGNALS.get(fault, 1) if self.hits else 0
            done = ended.code == 0 and not list(self._whole())
            if ended.code != code and not done:
                yield f"exit code {ended.code}: {ended.err[-300:]}"
            unheard = Path(point.path).name == strace.STDERR  # the line itself could not be written
            if "Traceback" in ended.err or not (done or unheard or "Error: " in last_line(ended)):
                yield f"no clear last line: {ended.err[-300:]}"
            if fault in SIGNALS and took > 10:
                yield f"{took:.0f} s to stop"

    def _readers(self, *, all_readers: bool) -> Iterator[str]:
        """What readers see now: each latest whole, old or new, and each family of one piece."""
        for path, content in self.old_files.items():
            if path.read_bytes() != content:
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

    def _whole(self) -> Iterator[str]:
        """What the lake holds now, beside what a run without faults left."""
        now = {name: rows(self.lake, name)[-1] for name in names(self.lake)}
        for name in sorted(self.final.keys() | now.keys()):
            if now.get(name) != self.final.get(name):
                wanted, found = self.final.get(name, []), now.get(name, [])
                missing = sum(row not in found for row in wanted)
                yield f"{name} is not as without faults: {missing} rows missing, {len(found)} there"

    def sweep(
        self, faults: Sequence[str], points: Sequence[Point] | None = None, *, sample: int = 10
    ) -> Figures:
        """Every fault at every point; each `sample`th time all readers look."""
        found = Figures()
        for number, point in enumerate(self.points if points is None else points):
            found.points += 1
            for fault in faults:
                found.faults += 1
                found.broken += self.try_fault(point, fault, all_readers=number % sample == 0)
                found.hit += self.killed
                found.missed += not self.hits
        return found


def changing(points: Sequence[Point]) -> list[Point]:
    """The calls that change something."""
    return [point for point in points if point.changes]


def names(lake: Path) -> list[str]:
    """The datasets with snapshots."""
    return Lake(lake).datasets() if lake.exists() else []


def rows(lake: Path, name: str) -> list[Rows]:
    """The rows of each snapshot, the oldest first."""
    return [read(path) for path in sorted((lake / "raw" / name).glob("*.parquet"))]


def read(path: Path) -> Rows:
    """All rows of a file, in an order of their own; a torn one says so."""
    try:
        return sorted(map(repr, pl.read_parquet(path).rows(named=True)))
    except (pl.exceptions.PolarsError, OSError) as error:
        return [f"torn: {type(error).__name__}"]


def families(lake: Path, name: str) -> list[Family]:
    """Each snapshot's rows with those of the children's files that it names."""
    found = []
    for path in sorted((lake / "raw" / name).glob("*.parquet")):
        try:
            said = json.loads(pl.read_parquet_metadata(path)["lake"])
        except (pl.exceptions.PolarsError, OSError, KeyError):
            return []  # torn: the readers tell
        if not said["owner"].get("child"):
            children = {child: read(lake / file) for child, file in said.get("children", {}).items()}
            found.append((read(path), children))
    return found


def other_readers(lake: Path, name: str) -> list[list[Any]]:
    """The latest rows as DuckDB, pyarrow and Polars read them."""
    path = str(max((lake / "raw" / name).glob("*.parquet")))
    with duckdb.connect() as connection:
        told = connection.execute("SELECT * FROM read_parquet(?)", [path]).fetchall()
    return [told, pq.ParquetFile(path).read().to_pylist(), pl.read_parquet(path).rows()]


def leftovers(lake: Path) -> Iterator[str]:
    """What is not to be there when a healthy run has ended."""
    for path in sorted(lake.rglob("*")):
        if path.is_dir():
            continue
        place = path.relative_to(lake).as_posix()
        foreign = place.startswith("raw/") and not _SNAPSHOT.fullmatch(path.name)
        passing = place.startswith((".staging/", "_meta/pending/")) and place != ".staging/lock"
        if foreign or passing or (place.startswith("_meta/") and path.name.startswith(".")):
            yield f"left: {place}"
    for folder in lake.glob("_meta/claims/*"):
        if len(list(folder.iterdir())) > len(list((lake / "raw" / folder.name).glob("*"))):
            yield f"more claims than snapshots: {folder.name}"


def last_state(ended: Ended, before: Any) -> Any:
    """The last STATE that was printed whole; else the one before."""
    lines = [line for line in ended.out.splitlines(keepends=True) if line.endswith("\n")]
    return json.loads(lines[-1]) if lines else before


def last_line(ended: Ended) -> str:
    """What a run said last."""
    return (ended.err.splitlines() or [""])[-1]
