"""A store that answers badly: never a false success, never half a snapshot, and one fault is survived."""

from pathlib import Path

import pytest

from lake_parquet import object_store
from lake_parquet.errors import LakeError
from tests.lake.test_commit import items, pairs, rows, skus
from tests.lake.writer import ITEMS, Writer
from tests.stores import servers
from tests.stores.conftest import Running, use
from tests.stores.proxy import FAULTS, Proxy, proxy
from tests.stores.servers import Server

WRITING = (
    "list",
    "head",
    "get",
    "put",
    "put new",
    "delete",
    "begin upload",
    "copy part",
    "complete",
    "upload part",
)
SHORT = [
    ("put new", "reset after"),
    ("put new", "409"),
    ("complete", "reset after"),
    ("complete", "503"),
    ("copy part", "reset before"),
    ("get", "500"),
]
LONG = [(operation, fault) for operation in WRITING for fault in FAULTS]


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "RETRIES", 1)
    monkeypatch.setattr(object_store, "PART_BYTES", 5 * 2**20)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["503", "reset before", "reset after"])
@pytest.mark.parametrize("name", ["google", "azurite"])
def test_one_fault_at_any_request_is_survived_on_other_clouds(
    running: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, fault: str
) -> None:
    server = running[name]
    use(monkeypatch, server)
    with proxy(server.endpoint) as spoilt:
        monkeypatch.setenv("GOOGLE_BASE_URL", spoilt.endpoint)
        monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", f"{spoilt.endpoint}/{servers.AZURE_ACCOUNT}")
        writer = Writer(tmp_path / "unused", url=server.url())
        writer.upsert(rows((0, "old")), items=items((1, 0, "old")))
        faults, nth = spoilt.faults, 0
        while nth == faults.spoilt:
            nth += 1
            faults.nth, faults.fault = nth, fault
            faults.seen.clear()
            writer.upsert(rows((nth, "new")), items=items((1, nth, "new")))
            faults.nth = 0
            assert [identity for identity, _ in pairs(writer)] == list(range(nth + 1))
            assert [identity for identity, _ in skus(writer)] == list(range(nth + 1))
        assert nth > 10
        assert writer.names() == writer.names(ITEMS)


def cell(spoilt: Proxy, folder: Path, operation: str, fault: str, *, always: bool) -> tuple[bool, int]:
    """Upserts through a spoilt store; tells whether it was said to be done, and how often the fault struck.

    What a reader sees is held against what was said, with the fault gone.
    """
    writer = Writer(
        folder / "unused", url=f"s3://{servers.BUCKET}/{operation}-{fault}-{always}".replace(" ", "-")
    )
    old, new = [(1, "old"), (2, "old")], [(1, "new"), (2, "old"), (3, "new")]
    writer.upsert(rows(*old), items=items((1, 1, "old"), (2, 2, "old")))
    faults = spoilt.faults
    faults.operation, faults.fault, faults.always, faults.spoilt = operation, fault, always, 0
    more = [(i, "x" * 20 + str(hash(i))) for i in range(4, 300_000)] if operation == "upload part" else []
    new += more
    try:
        writer.upsert(rows((1, "new"), (3, "new"), *more), items=items((1, 1, "new"), (2, 3, "new")))
        said_done = True
    except LakeError:
        said_done = False
    finally:
        faults.operation = ""
    found = pairs(writer)
    assert found in (old, new)
    assert said_done <= (found == new)
    if said_done:
        assert skus(writer) == [(1, "new"), (2, "old"), (3, "new")]
        assert writer.names() == writer.names(ITEMS)
    writer.upsert(rows((9, "later")), items=items((1, 9, "later")))  # the next run heals what was left
    assert (9, "later") in pairs(writer)
    assert ((1, "new") in skus(writer)) == ((1, "new") in pairs(writer))
    assert writer.names() == writer.names(ITEMS)
    return said_done, faults.spoilt


@pytest.mark.parametrize(("operation", "fault"), SHORT)
def test_one_fault_is_survived(spoilt: Proxy, tmp_path: Path, operation: str, fault: str) -> None:
    assert cell(spoilt, tmp_path, operation, fault, always=False) == (True, 1)


@pytest.mark.parametrize("operation", ["put new", "complete"])
def test_a_fault_that_stays_is_a_clear_error(spoilt: Proxy, tmp_path: Path, operation: str) -> None:
    said_done, struck = cell(spoilt, tmp_path, operation, "503", always=True)
    assert not said_done
    assert struck > 1


@pytest.mark.slow
@pytest.mark.parametrize("times", ["once", "always"])
@pytest.mark.parametrize(("operation", "fault"), LONG)
def test_no_fault_makes_a_false_success(
    running: Running,
    monkeypatch: pytest.MonkeyPatch,
    spoilt: Proxy,
    tmp_path: Path,
    operation: str,
    fault: str,
    times: str,
) -> None:
    use(monkeypatch, Server("spoilt", spoilt.endpoint))
    spoilt.upstream = running["seaweed"].endpoint.removeprefix("http://")
    said_done, struck = cell(spoilt, tmp_path, operation, fault, always=times == "always")
    if times == "once" or fault == "slow":
        assert said_done
    assert struck or operation in ("upload part", "head", "put")
