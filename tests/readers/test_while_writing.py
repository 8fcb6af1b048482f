"""Readers of every kind read on while the target publishes: never an error, never half a truth.

Each snapshot holds one version of every row, so that a reader can tell a torn one; versions only grow. A
reader takes the whole folder, or a glob, or the greatest name, as people do; all are real processes.
"""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.processes import zygote
from tests.target.command import Place
from tests.target.messages import INTEGER, KEY, activate, record, schema

ROWS = 500
READERS = {
    "polars, glob": "import polars as pl; read = lambda: pl.read_parquet(f'{raw}/*.parquet').rows()",
    "polars, directory": "import polars as pl; read = lambda: pl.scan_parquet(raw).collect().rows()",
    "polars, latest": "import polars as pl, glob\n"
    "read = lambda: pl.read_parquet(max(glob.glob(f'{raw}/*.parquet'))).rows()",
    "duckdb, glob": "import duckdb; sql = f\"select id, version from '{raw}/*.parquet'\"\n"
    "read = lambda: duckdb.connect().execute(sql).fetchall()",
    "duckdb, latest": "import duckdb\n"
    "newest = f\"select id, version, filename from read_parquet('{raw}/*.parquet', filename=true)\"\n"
    "sql = f'select id, version from ({newest}) qualify filename = max(filename) over ()'\n"
    "read = lambda: duckdb.connect().execute(sql).fetchall()",
    "pyarrow, directory": "import pyarrow.dataset as ds\n"
    "table = lambda: ds.dataset(raw, format='parquet').to_table()\n"
    "read = lambda: list(zip(*(column.to_pylist() for column in table().columns)))",
    "pandas, directory": "import pandas as pd\n"
    "read = lambda: list(pd.read_parquet(raw).itertuples(index=False, name=None))",
    "pandas, latest": "import pandas as pd, glob\n"
    "newest = lambda: max(glob.glob(f'{raw}/*.parquet'))\n"
    "read = lambda: list(pd.read_parquet(newest()).itertuples(index=False, name=None))",
}

LOOP = """
import os, sys
from collections import Counter
raw, stop, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
{reader}
rounds, seen = 0, 0
while True:
    last = os.path.exists(stop)  # one more round, after the last snapshot
    sizes = Counter(version for _, version in read())
    assert set(sizes.values()) == {{rows}}, sizes
    assert max(sizes) >= seen, (max(sizes), seen)
    rounds, seen = rounds + 1, max(sizes)
    if rounds == 1 or last:
        print(rounds, seen, flush=True)
    if last:
        break
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(zygote(), tmp_path)


def publish(place: Place, version: int) -> None:
    """The next snapshot: a full table, all its rows of one version."""
    rows = [record("items", id=number, version=version) for number in range(ROWS)]
    place.good(schema("items", {"id": KEY, "version": INTEGER}), *rows, activate("items", version))


def hammer(place: Place, snapshots: int, readers: list[str]) -> None:
    publish(place, 1)
    stop = place.folder / "stop"
    argv = [str(place.root / "raw/items"), str(stop), str(ROWS)]
    running = {}
    for name in readers:
        loop = LOOP.format(reader=textwrap.dedent(READERS[name]))
        running[name] = subprocess.Popen(
            [sys.executable, "-c", loop, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    try:
        for process in running.values():  # each has read once before there is anything to stumble over
            assert process.stdout is not None
            process.stdout.readline()
        for version in range(2, snapshots + 1):
            publish(place, version)
    finally:
        stop.touch()
        ended = {name: process.communicate(timeout=120) for name, process in running.items()}
    for name, (out, err) in ended.items():
        assert (name, running[name].returncode) == (name, 0), err
        rounds, seen = map(int, out.split())
        assert (name, seen) == (name, snapshots)
        assert rounds > 1, name
    assert len(place.names("items")) == snapshots


SOME = [["polars, glob", "duckdb, latest"], ["pyarrow, directory", "pandas, latest"]]


@pytest.mark.parametrize("readers", SOME)
def test_readers_see_whole_snapshots_and_never_an_older_one_while_runs_publish(
    place: Place, readers: list[str]
) -> None:
    hammer(place, 8, readers)


@pytest.mark.slow
def test_every_reader_at_once_while_forty_runs_publish(place: Place) -> None:
    hammer(place, 40, list(READERS))
