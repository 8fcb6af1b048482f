"""Power cuts on real file systems, in short: `make crash-test` makes them after every call."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.long import hunted_by_power
from tests.faults.mutants import ALL as MUTANTS
from tests.faults.power import CUTS, KINDS, PowerJudge, obstacle, quick_folder
from tests.faults.scenarios import SCENARIOS
from tests.faults.sweep import changing, decisive
from tests.processes import Zygote

pytestmark = pytest.mark.xdist_group("faults")


@pytest.fixture(scope="module", params=KINDS)
def disk(request: pytest.FixtureRequest) -> str:
    if told := obstacle(request.param):
        pytest.skip(told)
    return str(request.param)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=quick_folder()) as folder:
        yield Path(folder) / "one"


@pytest.mark.parametrize("name", ["upsert", "append"])
def test_a_power_cut_loses_nothing_that_was_told(zygote: Zygote, folder: Path, disk: str, name: str) -> None:
    judge = PowerJudge(zygote, folder, SCENARIOS[name], disk)
    try:
        found = judge.sweep_cuts(decisive(changing(judge.points))[::2])
        assert (found.broken, found.missed) == ([], 0)
    finally:
        judge.close()


@pytest.mark.parametrize("name", ["no fsync of files", "no fsync of folders", "direct write"])
def test_a_mutant_loses_its_last_run(zygote: Zygote, folder: Path, disk: str, name: str) -> None:
    judge = PowerJudge(zygote, folder, SCENARIOS[MUTANTS[name].scenario], disk, name)
    try:
        assert any(judge.try_cut(None, cut) for cut in CUTS)
    finally:
        judge.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, one in MUTANTS.items() if one.caught_by == "power"])
def test_a_mutant_is_caught_by_power_cuts(zygote: Zygote, disk: str, name: str) -> None:  # noqa: ARG001 - skips
    assert hunted_by_power(zygote, name).good
