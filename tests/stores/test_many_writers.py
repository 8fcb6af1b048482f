"""Writers at once, in processes of their own: no row is lost, no name is used twice."""

from pathlib import Path

import pytest

from tests.stores.conftest import Running, use
from tests.stores.hammer import Outcome, hammer


def test_eight_writers_on_a_folder(tmp_path: Path) -> None:
    assert hammer(tmp_path / "lake", "", writers=8, rounds=2) == Outcome(16, 0, 16, children_differ=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["moto", "seaweed", "google", "azurite"])
def test_eight_writers_on_a_bucket(
    running: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    use(monkeypatch, running[name])
    found = hammer(tmp_path / "unused", running[name].url(), writers=8, rounds=4)
    assert found == Outcome(32, 0, 32, children_differ=False)
