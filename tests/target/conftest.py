"""What the target's tests share: a process that forks the commands, and a lake for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.target.command import Place, Zygote


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    zygote = Zygote()
    yield zygote
    zygote.close()


@pytest.fixture
def place(zygote: Zygote, tmp_path: Path) -> Place:
    return Place(zygote, tmp_path)
