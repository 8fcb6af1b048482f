"""Crashes and faults at single calls of a run: a sample of what `make crash-test` does at every one."""

import random
from pathlib import Path

import pytest

from tests.faults import strace
from tests.faults.long import hunted
from tests.faults.mutants import ALL as MUTANTS
from tests.faults.scenarios import SCENARIOS
from tests.faults.strace import Point
from tests.faults.sweep import ERRORS, KILL, SIGNALS, Judge, changing, decisive
from tests.processes import Zygote

pytestmark = pytest.mark.xdist_group("faults")


@pytest.mark.parametrize("name", ["upsert", "append"])
def test_a_kill_at_the_decisive_calls_loses_and_doubles_nothing(
    zygote: Zygote, tmp_path: Path, name: str
) -> None:
    judge = Judge(zygote, tmp_path / "one", SCENARIOS[name])
    found = judge.sweep([KILL], decisive(changing(judge.points)), sample=3)
    assert found.broken == []
    assert (found.hit, found.missed) == (found.points, 0)


def test_an_error_at_any_decisive_call_is_told_and_loses_nothing(zygote: Zygote, tmp_path: Path) -> None:
    judge = Judge(zygote, tmp_path / "one", SCENARIOS["upsert"])
    assert judge.sweep(ERRORS[:2], decisive(changing(judge.points))[::3]).broken == []


def test_a_line_that_stderr_cannot_take_changes_nothing(zygote: Zygote, tmp_path: Path) -> None:
    judge = Judge(zygote, tmp_path / "one", SCENARIOS["upsert"])
    lines = str(judge.folder / strace.STDERR)
    told = sum(one.path == lines for one in strace.entries(judge.log, judge.folder))
    points = [Point("write", lines, nth + 1, changes=True) for nth in range(told)]
    found = judge.sweep(ERRORS[:1], points)
    assert (len(points) > 3, found.missed, found.broken) == (True, 0, [])


def test_the_harness_knows_which_calls_a_fault_hit(zygote: Zygote, tmp_path: Path) -> None:
    judge = Judge(zygote, tmp_path / "one", SCENARIOS["upsert"])
    lines = judge.scenario.lines(judge.state)
    counted, marked = [], []
    for point in judge.points[::10]:
        judge.reset()
        log = judge.run(lines, strace.Fate((point, "error=EIO"))).log
        counted.append(strace.hits(log, point, judge.folder))
        marked.append(log.count("(INJECTED)"))
    assert (counted, sum(counted) > 4) == (marked, True)


def test_a_signal_at_a_call_stops_the_run_and_loses_nothing(zygote: Zygote, tmp_path: Path) -> None:
    judge = Judge(zygote, tmp_path / "one", SCENARIOS["upsert"])
    assert judge.sweep(list(SIGNALS), decisive(changing(judge.points))[1::4]).broken == []


def test_a_fault_while_the_journal_is_replaced_leaves_what_it_names(zygote: Zygote, tmp_path: Path) -> None:
    judge = Judge(zygote, tmp_path / "one", SCENARIOS["append"])
    journal = [point for point in changing(judge.points) if "journal.json" in point.path and point.nth == 2]
    assert {"write", "fsync", "rename"} <= {point.call for point in journal}
    assert judge.sweep([ERRORS[1], *SIGNALS], journal).broken == []


@pytest.mark.parametrize("name", ["append", "recovers the same"])
def test_a_signal_while_polars_works_stops_the_run_and_loses_nothing(
    zygote: Zygote, tmp_path: Path, name: str
) -> None:
    judge = Judge(zygote, tmp_path / "one", SCENARIOS[name])
    points = [point for point in judge.points if point.path.endswith((".publish", ".segment"))]
    found = judge.sweep(list(SIGNALS), points[:: max(1, len(points) // 6)])
    assert (found.broken, found.hit > 0) == ([], True)


def test_a_signal_at_any_time_loses_and_doubles_nothing(zygote: Zygote, tmp_path: Path) -> None:
    judge = Judge(zygote, tmp_path / "one", SCENARIOS["two streams"])
    found = judge.sweep_times(3, random.Random())  # noqa: S311 - when to strike is no secret
    assert found.broken == []


def test_a_reader_of_states_that_goes_loses_and_doubles_nothing(zygote: Zygote, tmp_path: Path) -> None:
    judge = Judge(zygote, tmp_path / "one", SCENARIOS["two streams"])
    found = judge.sweep_deaf()
    assert (found.broken, found.points > 3, found.hit > 2) == ([], True, True)


@pytest.mark.parametrize("name", ["batch", "quarantine"])
def test_a_kill_loses_no_batch_and_no_bad_record(zygote: Zygote, tmp_path: Path, name: str) -> None:
    judge = Judge(zygote, tmp_path / "one", SCENARIOS[name])
    assert judge.sweep([KILL], decisive(changing(judge.points))[::2]).broken == []
    assert len(judge.bad) == (3 if name == "quarantine" else 0)


@pytest.mark.parametrize("name", ["direct write", "STATE when it comes"])
def test_a_mutant_is_caught(zygote: Zygote, tmp_path: Path, name: str) -> None:
    mutant = MUTANTS[name]
    judge = Judge(zygote, tmp_path / "one", SCENARIOS[mutant.scenario], name)
    assert any(judge.try_fault(point, KILL) for point in decisive(changing(judge.points)))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, one in MUTANTS.items() if one.caught_by == "kill"])
def test_a_mutant_is_caught_by_kills(zygote: Zygote, name: str) -> None:
    assert hunted(zygote, name).good


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SCENARIOS))
def test_a_kill_at_every_call_loses_and_doubles_nothing(zygote: Zygote, tmp_path: Path, name: str) -> None:
    judge = Judge(zygote, tmp_path / "one", SCENARIOS[name])
    assert judge.sweep([KILL], changing(judge.points)).broken == []
