"""What the lake's tests share: a lake in a temporary folder, written without any Singer."""

from pathlib import Path

import pytest

from tests.lake.writer import Writer


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path / "lake")
