"""What the target's tests share: a process that forks the commands, and a lake for each test."""

from pathlib import Path

import pytest

from tests.processes import zygote
from tests.target.command import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(zygote(), tmp_path)
