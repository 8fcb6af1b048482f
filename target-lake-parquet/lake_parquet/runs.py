"""The record of a run: what happened to each dataset, kept in `_meta/runs/<run_id>.json`."""

import contextlib
from collections.abc import Iterator
from typing import Literal

import msgspec

from lake_parquet import paths
from lake_parquet.errors import LakeError
from lake_parquet.store import Store

Status = Literal["published", "unchanged", "held", "failed", "empty", "waiting"]
Proof = Literal["proven", "unproven", "open"]


class DatasetSummary(msgspec.Struct, kw_only=True):
    """What a run did to one dataset.

    `path` is the latest snapshot after the run (relative to the lake's root), `row_count` its rows, `bytes`
    its size. `rows_added`, `rows_updated` and `rows_deleted` compare it with `base`; `rows_updated` is null
    where rows have no keys and cannot be told apart. `sha256` is the file's, where this run published it.
    `rows_quarantined` are records that were set aside; `rows_read` does not count them. No record says
    `waiting`: that is told of rows in staging.
    """

    dataset: str
    stream: str
    status: Status
    path: str | None = None
    row_count: int = 0
    rows_read: int = 0
    rows_added: int = 0
    rows_updated: int | None = 0
    rows_deleted: int = 0
    rows_quarantined: int = 0
    proof: Proof = "unproven"
    bytes: int = 0
    sha256: str | None = None
    source: str | None = None
    base: str | None = None
    notes: list[str] = []


class RunRecord(msgspec.Struct, kw_only=True):
    """One run of the target. Times are ISO 8601, UTC.

    No record says `running` or `died`: that is told of a run that has not written its own.
    """

    run_id: str
    started_at: str
    finished_at: str | None = None
    status: Literal["ok", "incomplete", "failed", "running", "died"] = "ok"
    tap: str | None = None
    tenant_id: str | None = None
    source: str | None = None
    error: str | None = None
    datasets: list[DatasetSummary] = []


def record_path(run_id: str) -> str:
    """Where the record of a run stands, relative to the lake's root."""
    return f"{paths.RUNS}/{run_id}.json"


def write_run(store: Store, run: RunRecord) -> str:
    """Writes the record of a run; returns where it stands, relative to the lake's root."""
    path = record_path(run.run_id)
    store.write(path, msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n")
    return path


def read_runs(store: Store) -> list[RunRecord]:
    """Reads all runs, the oldest first.

    Raises:
        LakeError: a file there is no record of a run.
    """
    return [_read_run(store, path) for path in _paths(store)]


def newest_runs(store: Store) -> Iterator[RunRecord]:
    """Reads the runs one by one, the newest first; a file that is no record of a run is passed over."""
    for path in reversed(_paths(store)):
        with contextlib.suppress(LakeError):
            yield _read_run(store, path)


def read_run(store: Store, run_id: str) -> RunRecord:
    """Reads the record of one run.

    Raises:
        LakeError: there is none, or the file is no record of a run.
    """
    path = record_path(run_id)
    if path not in _paths(store):
        raise LakeError(f"no run {run_id!r} in {store.url}: `lake runs` lists the last ones")
    return _read_run(store, path)


def _paths(store: Store) -> list[str]:
    names = (name for name in store.files(paths.RUNS) if name[0].isdigit() and name.endswith(".json"))
    return [f"{paths.RUNS}/{name}" for name in names]


def _read_run(store: Store, path: str) -> RunRecord:
    try:
        return msgspec.json.decode(store.read(path), type=RunRecord)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise LakeError(f"{path} is no record of a run ({error}): move it away") from error
