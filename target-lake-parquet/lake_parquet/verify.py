"""A lake's files in, what is wrong with them out: every byte and every row is read."""

from collections.abc import Iterator

import msgspec
import polars as pl

from lake_parquet import paths
from lake_parquet.column_types import is_allowed, type_name
from lake_parquet.errors import LakeError
from lake_parquet.lake import Lake
from lake_parquet.snapshots import Snapshot

STRAY = "is no snapshot, and readers may stumble over it: move it out of there"

BATCH_ROWS = 50_000
"""Rows in memory at once."""


class Verified(msgspec.Struct, kw_only=True):
    """A file that was read. `has_checksum` tells whether its bytes were held against a recorded SHA-256."""

    path: str
    row_count: int | None = None
    bytes: int = 0
    has_checksum: bool = False
    problems: list[str] = []


def verify(lake: Lake, pattern: str = "*") -> Iterator[Verified]:
    """Reads every file of the datasets that match, one after the other."""
    checksums = _recorded(lake)
    try:
        for path in lake.strays(pattern):
            yield Verified(path=path, problems=[STRAY])
    except LakeError as error:
        yield Verified(path=paths.RAW, problems=[str(error)])
    for dataset in lake.folders(pattern):
        try:
            names, foreign = lake.entries(dataset)
        except (LakeError, OSError) as error:
            yield Verified(path=f"{paths.RAW}/{dataset}", problems=[str(error)])
            continue
        for path in foreign:
            yield Verified(path=path, problems=[STRAY])
        for name in names:
            yield _verified(lake, dataset, name, checksums)


def _recorded(lake: Lake) -> dict[str, str]:
    """The checksum of each file, as the run that published it wrote it down."""
    return {
        one.path: one.sha256 for run in lake.newest_runs() for one in run.datasets if one.path and one.sha256
    }


def _verified(lake: Lake, dataset: str, name: str, checksums: dict[str, str]) -> Verified:
    found = Verified(path=paths.snapshot_path(dataset, name))
    expected = checksums.get(found.path)
    try:
        if expected:
            found.has_checksum = True
            if lake.checksum(dataset, name) != expected:
                found.problems.append("its bytes are not those that were published: SHA-256 differs")
        snapshot = lake.read(dataset, name)
        found.row_count, found.bytes = snapshot.row_count, snapshot.size
        found.problems += [*_of_rows(snapshot), *_of_columns(snapshot), *_of_children(lake, snapshot)]
    except LakeError as error:
        found.problems.append(str(error))
    except OSError as error:
        found.problems.append(f"cannot be read ({error.strerror or error})")
    return found


def _of_rows(snapshot: Snapshot) -> Iterator[str]:
    """Decodes every value of every column."""
    try:
        read = sum(batch.height for batch in snapshot.scan().collect_batches(chunk_size=BATCH_ROWS))
    except (pl.exceptions.PolarsError, OSError) as error:
        kind = type(error).__name__  # its text may hold values
        yield f"its rows cannot be read ({kind}): restore the file, or move it away"
        return
    if read != snapshot.row_count:
        yield f"holds {read} rows, and its footer says {snapshot.row_count}"
    if snapshot.info is not None and snapshot.info.row_count != snapshot.row_count:
        yield f"its footer says {snapshot.row_count} rows, and its metadata {snapshot.info.row_count}"


def _of_columns(snapshot: Snapshot) -> Iterator[str]:
    for name, dtype in zip(snapshot.schema.names, snapshot.schema.types, strict=True):
        if not is_allowed(dtype):
            yield f"column {name!r} is a {type_name(dtype)}, which some reader cannot open"


def _of_children(lake: Lake, snapshot: Snapshot) -> Iterator[str]:
    for dataset, path in (snapshot.info.children if snapshot.info else {}).items():
        if not lake.has(path):
            yield f"names {path} as its child in {dataset}, which is not there"
