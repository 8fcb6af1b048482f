"""How long records wait for a block to fill: a lone stream's until it is full, many streams' by turns."""

import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pytest

from lake_parquet.errors import LakeError
from target_lake_parquet import run, stream
from target_lake_parquet.run import Run
from target_lake_parquet.settings import read_settings
from tests.target.messages import KEY, STRING, record, schema

BLOCK, IDLE, WAITING = 4_000, 10_000, 20_000
TEXT = "x" * 50


class Pipe(io.BytesIO):
    """Gives a little at a time, as a pipe does."""

    def read1(self, size: int | None = -1, /) -> bytes:
        return self.read(500 if size is None or size < 0 else min(size, 500))


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A run whose blocks and limits are a thousandth of the real ones."""
    monkeypatch.setattr(stream, "BLOCK_BYTES", BLOCK)
    monkeypatch.setattr(run, "IDLE_BYTES", IDLE)
    monkeypatch.setattr(run, "WAITING_BYTES", WAITING)
    one = Run(read_settings({"lake_root": str(tmp_path / "lake")}, {}), logging.getLogger("waiting"))
    yield one
    one.give_up(RuntimeError("the test is over"))


def lines_of(names: Sequence[str], rounds: int) -> bytes:
    heads = [schema(name, {"id": KEY, "v": STRING}) for name in names]
    rows = [record(name, id=number, v=TEXT) for number in range(rounds) for name in names]
    return "\n".join([*heads, *rows, ""]).encode()


def heights(opened: Run, name: str) -> list[int]:
    return [block.select(pl.len()).collect().item() for block in opened.staging.segments(name)]


def test_all_blocks_of_a_lone_stream_are_full_but_the_last(opened: Run) -> None:
    size = len(record("a", id=1000, v=TEXT)) + 1
    opened.read(Pipe(lines_of(["a"], 800)))
    *full, last = heights(opened, "a")
    assert sum(full) + last == 800
    assert all(height * size >= BLOCK - 10 * size for height in full)
    assert len(full) > 2 * WAITING // BLOCK


def test_records_of_many_streams_never_wait_in_greater_number_than_memory_has_room_for(
    opened: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"s{number}" for number in range(50)]
    most = 0
    bound = opened._bound_waiting

    def watched(added: int) -> None:
        nonlocal most
        bound(added)
        most = max(most, sum(one.waiting_bytes for one in opened.streams.values()))

    monkeypatch.setattr(opened, "_bound_waiting", watched)
    opened.read(Pipe(lines_of(names, 20)))
    assert [sum(heights(opened, name)) for name in names] == [20] * 50
    assert IDLE // 2 < most <= WAITING
    assert max(len(heights(opened, name)) for name in names) < 20


def test_a_run_that_cannot_be_written_down_leaves_no_rows_on_the_machine_all_the_same(
    opened: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object store may refuse its record: what broke the run off must stay what is told."""

    def refuses(*_: object) -> None:
        raise LakeError("the bucket is gone")

    opened.read(Pipe(lines_of(["a"], 200)))
    assert heights(opened, "a")
    monkeypatch.setattr(run, "write_run", refuses)
    opened.give_up(RuntimeError("broken off"))
    assert opened.record.error == "broken off"
    assert not opened.staging.folder.exists()
