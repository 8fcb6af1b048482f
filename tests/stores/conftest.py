"""What the object stores' tests share: servers that run once a session, and a lake in each of them."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lake_parquet import object_store
from tests.lake.writer import Writer
from tests.processes import zygote
from tests.stores import servers
from tests.stores.proxy import Proxy, proxy
from tests.stores.servers import Server
from tests.target.command import Place


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Running"]:
    with ExitStack() as stack:
        yield Running(stack, tmp_path_factory)


class Running:
    """Servers, started when first asked for."""

    def __init__(self, stack: ExitStack, folders: pytest.TempPathFactory) -> None:
        """Stops them with `stack`."""
        self._stack, self._folders = stack, folders
        self._servers: dict[str, Server] = {}

    def __getitem__(self, name: str) -> Server:
        """The server of a name."""
        if name not in self._servers:
            self._servers[name] = self._stack.enter_context(START[name](self._folders.mktemp(name)))
        return self._servers[name]


START = {
    "moto": lambda _: servers.moto(),
    "seaweed": servers.seaweed,
    "rclone": servers.rclone,
    "google": servers.google,
    "azurite": servers.azurite,
}


def use(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    """Has this process speak with a server."""
    for name, value in server.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(object_store, "PAUSE", 0.01)


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("seaweed", "google", "azurite")]
STORES = ["local", "moto", *SLOW]


@pytest.fixture(params=STORES)
def writer(
    request: pytest.FixtureRequest, running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Writer:
    """A lake on each kind of store."""
    if request.param == "local":
        return Writer(tmp_path / "lake")
    use(monkeypatch, running[request.param])
    writer = Writer(tmp_path / "unused", url=running[request.param].url())
    writer.lake.store.prepare()
    return writer


@pytest.fixture
def spoilt(running: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy before moto that this process speaks with."""
    with proxy(running["moto"].endpoint) as server:
        use(monkeypatch, Server("spoilt", server.endpoint))
        yield server


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(zygote(), tmp_path)
