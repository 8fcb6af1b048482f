"""What the lake's tests share: a lake in a temporary folder, written without any Singer."""

from pathlib import Path

import pytest

from lake_parquet import staging
from tests.lake.writer import Writer


@pytest.fixture(autouse=True)
def _on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few rows go to disk, as large ones do; the target's tests leave them in memory."""
    monkeypatch.setattr(staging, "SMALL_BLOCK", -1)


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path / "lake")
