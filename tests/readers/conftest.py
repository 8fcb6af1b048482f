"""What the tests of readers share: a lake that has lived a little."""

from pathlib import Path

import pytest

from tests.readers.home import live


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder from which the README's paths hold."""
    folder = tmp_path_factory.mktemp("home")
    live(folder)
    return folder
