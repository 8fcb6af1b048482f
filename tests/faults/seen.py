"""What stands in a lake, for anybody who looks: rows, families of files, and what should not be there."""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq

from lake_parquet import Lake
from lake_parquet.errors import LakeError
from lake_parquet.local_store import LocalStore
from lake_parquet.runs import read_runs
from tests.target.command import Ended

_SNAPSHOT = re.compile(r"\d{8}T\d{12}Z\.parquet")

BY_GLOB = """
SELECT * EXCLUDE (filename) FROM read_parquet(?, filename = true)
WHERE filename = (SELECT max(file) FROM glob(?))
"""

Rows = list[str]
Family = tuple[Rows, dict[str, Rows]]


def names(lake: Path) -> list[str]:
    """The datasets with snapshots."""
    return Lake(lake).datasets() if lake.exists() else []


def rows(lake: Path, name: str) -> list[Rows]:
    """The rows of each snapshot, the oldest first."""
    return [read(path) for path in sorted((lake / "raw" / name).glob("*.parquet"))]


def read(path: Path) -> Rows:
    """All rows of a file, in an order of their own; a torn one says so."""
    try:
        return sorted(map(repr, pl.read_parquet(path).rows(named=True)))
    except (pl.exceptions.PolarsError, OSError) as error:
        return [f"torn: {type(error).__name__}"]


def families(lake: Path, name: str) -> list[Family]:
    """Each snapshot's rows with those of the children's files that it names."""
    found = []
    for path in sorted((lake / "raw" / name).glob("*.parquet")):
        try:
            said = json.loads(pl.read_parquet_metadata(path)["lake"])
        except (pl.exceptions.PolarsError, OSError, KeyError):
            return []  # torn: the readers tell
        if not said["owner"].get("child"):
            children = {child: read(lake / file) for child, file in said.get("children", {}).items()}
            found.append((read(path), children))
    return found


def writers(lake: Path, name: str) -> set[str]:
    """The runs that wrote a dataset's snapshots; torn ones are left to the readers."""
    found = set()
    for path in (lake / "raw" / name).glob("*.parquet"):
        with contextlib.suppress(pl.exceptions.PolarsError, KeyError):
            found.add(json.loads(pl.read_parquet_metadata(path)["lake"])["run_id"])
    return found


def other_readers(lake: Path, name: str) -> list[list[Any]]:
    """The latest rows as DuckDB (by file and by glob), pyarrow, pandas and Polars read them."""
    path = str(max((lake / "raw" / name).glob("*.parquet")))
    every = str(lake / "raw" / name / "[0-9]*.parquet")
    with duckdb.connect() as connection:
        told = connection.execute("SELECT * FROM read_parquet(?)", [path]).fetchall()
        by_glob = connection.execute(BY_GLOB, [every, every]).fetchall()
    tables = [pq.ParquetFile(path).read().to_pylist(), pl.read_parquet(path).rows()]
    return [told, by_glob, *tables, pd.read_parquet(path).to_numpy().tolist()]


def records(lake: Path) -> int | None:
    """How many runs have a record; None where one cannot be read."""
    try:
        return len(read_runs(LocalStore(lake)))
    except LakeError:
        return None


def leftovers(lake: Path, *, void: int = 0) -> Iterator[str]:
    """What is not to be there when a healthy run has ended; `void` claims may have lost their contents."""
    for path in sorted(lake.rglob("*")):
        if path.is_dir():
            continue
        place = path.relative_to(lake).as_posix()
        foreign = place.startswith("raw/") and not _SNAPSHOT.fullmatch(path.name)
        passing = place.startswith((".staging/", "_meta/pending/")) and place != ".staging/lock"
        if foreign or passing or (place.startswith("_meta/") and path.name.startswith(".")):
            yield f"left: {place}"
    for aside in lake.glob(".incomplete/*/*"):
        if aside.parent.name in writers(lake, aside.name):
            yield f"set aside, and published: {aside.name}"
    for folder in lake.glob("_meta/claims/*"):
        if len(list(folder.iterdir())) > len(list((lake / "raw" / folder.name).glob("*"))) + void:
            yield f"more claims than snapshots: {folder.name}"


def quarantined(lake: Path) -> set[str]:
    """The records in quarantine, whichever runs put them there; a torn last line is none."""
    lines = [line for path in lake.glob(".quarantine/*/*.jsonl") for line in path.read_text().splitlines()]
    return {json.loads(line)["message"] for line in lines if line.endswith("}")}


def last_state(ended: Ended, before: Any) -> Any:
    """The last STATE that was printed whole; else the one before."""
    lines = [line for line in ended.out.splitlines(keepends=True) if line.endswith("\n")]
    return json.loads(lines[-1]) if lines else before


def last_line(ended: Ended) -> str:
    """What a run said last."""
    return (ended.err.splitlines() or [""])[-1]
