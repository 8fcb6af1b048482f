"""SQL in, rows out: DuckDB over the latest snapshot of every dataset. Nothing can be written."""

import csv
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from lake_parquet import paths, render
from lake_parquet.errors import LakeError
from lake_parquet.lake import Lake
from lake_parquet.render import Column, Rows

if TYPE_CHECKING:
    import duckdb

MOST_VIEWS = 300
"""In a larger lake only datasets that the query names become views: each one opens a file."""

MOST_REMOTE_VIEWS = 20
"""The same where opening a file takes some requests to an object store."""

SCHEME = "lake://"
"""Begins what DuckDB calls a file that it reads through us."""

TERMINAL_ROWS = 200
"""Rows that a terminal shows; a pipe gets them all."""

_OURS = re.compile(r"^(?:\w+\.)*LakeError: (.*)$", re.MULTILINE)

LATEST_MACRO = """
create macro latest(pattern) as table from read_parquet(
  list_filter(getvariable('newest'), lambda file: parse_path(file)[-2] glob pattern), union_by_name = true)
"""


class Sql:
    """A DuckDB database in memory whose views are the lake's datasets.

    `latest('*_shopify_orders')` is a table function that unites the datasets a pattern matches.
    """

    def __init__(self, lake: Lake) -> None:
        """Lists the lake's datasets.

        Raises:
            LakeError: DuckDB is not installed.
        """
        try:
            import duckdb  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise LakeError(
                "lake sql needs DuckDB: pip install 'singerlake-target-lake-parquet[sql]'"
            ) from error
        self._duckdb = duckdb
        self.lake = lake
        self.listing, broken = lake.survey()
        for dataset, why in broken.items():
            _warn(dataset, why)
        self._is_remote = "://" in lake.store.address(paths.RAW)
        self._most_views = MOST_REMOTE_VIEWS if self._is_remote else MOST_VIEWS
        self._viewed: set[str] = set()
        self.connection = self._connect()

    def __enter__(self) -> Self:
        """Queries it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the database."""
        self.connection.close()

    def _connect(self) -> "duckdb.DuckDBPyConnection":
        """Opens a database that may read the latest files, and nothing else of this machine."""
        connection = self._duckdb.connect()
        newest = [self._location(dataset) for dataset in self.listing]
        if self._is_remote:
            from lake_parquet.sql_files import SnapshotFiles  # noqa: PLC0415 - where it is used

            files = SnapshotFiles(self.lake.store, [path.removeprefix(SCHEME) for path in newest])
            connection.register_filesystem(files)
        connection.execute(f"set enable_progress_bar = {sys.stderr.isatty()}")
        connection.execute("set variable newest = $files::varchar[]", {"files": newest})
        connection.execute(LATEST_MACRO)
        connection.execute("set allowed_paths = $files::varchar[]", {"files": newest})
        connection.execute("set enable_external_access = false")
        return connection

    def _location(self, dataset: str) -> str:
        """Where DuckDB finds a dataset's latest file."""
        newest = self.listing[dataset][-1]
        if self._is_remote:
            return f"{SCHEME}{paths.snapshot_path(dataset, newest)}"
        return self.lake.location(dataset, newest)

    def run(self, query: str) -> tuple[list[str], "duckdb.DuckDBPyConnection"]:
        """Runs a query: the names of its columns, and where its rows are fetched from.

        Raises:
            LakeError: the query is wrong, or would do anything but read.
        """
        error = self._duckdb.Error
        try:
            for statement in self.connection.extract_statements(query):
                if statement.type.name not in ("SELECT", "EXPLAIN", "VARIABLE_SET"):
                    raise LakeError(f"the lake is read only here: {statement.type.name} is refused")
            self._view(query)
            result = self.connection.execute(query)
        except error as problem:
            raise LakeError(_told(problem)) from problem
        return [column[0] for column in result.description or []], result

    def _view(self, query: str) -> None:
        """Makes views of the datasets: of all, or in a large lake of those that the query names."""
        words = set(re.findall(r"[\w-]+", query.lower()))
        is_large = len(self.listing) > self._most_views
        same = Counter(dataset.lower() for dataset in self.listing)
        for dataset in self.listing:
            if dataset in self._viewed or (is_large and dataset.lower() not in words):
                continue
            if same[dataset.lower()] > 1:  # whichever it were, it could be the wrong one
                _warn(
                    dataset, f"another differs by case alone, which SQL ignores: latest('{dataset}') reads it"
                )
            else:
                self._view_one(dataset)
            self._viewed.add(dataset)  # not if that raised: the next query tries again

    def _view_one(self, dataset: str) -> None:
        name, path = dataset.replace('"', '""'), self._location(dataset).replace("'", "''")
        try:
            self.connection.execute(f"create view \"{name}\" as from read_parquet('{path}')")
        except self._duckdb.Error as problem:
            if _OURS.search(str(problem)):  # the store does not answer: no other file would open
                raise
            _warn(dataset, f"its latest file cannot be read ({_told(problem)})")

    def show(self, query: str, *, as_json: bool = False, as_csv: bool = False) -> None:
        """Runs a query and prints its rows: a table on a terminal, CSV in a pipe.

        Raises:
            LakeError: the query is wrong, or would do anything but read.
        """
        names, result = self.run(query)
        try:
            if as_json:
                render.show_json([dict(zip(names, row, strict=True)) for row in result.fetchall()])
            elif as_csv or not render.on_terminal():
                render.show_text(_csv([names]))
                while block := result.fetchmany(10_000):
                    render.show_text(_csv(block))
            else:
                _show_table(names, result.fetchmany(TERMINAL_ROWS + 1))
        except self._duckdb.Error as problem:
            raise LakeError(_told(problem)) from problem


def _warn(dataset: str, why: str) -> None:
    render.say(render.one_line(f"Warning: {dataset} is no view: {why}"))


def _told(problem: Exception) -> str:
    """What DuckDB says; of an error that a store raised below it, the store's own words."""
    text = str(problem).strip()
    ours = _OURS.search(text)
    return ours[1] if ours else text


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_text(value) for value in row] for row in rows)
    return text.getvalue()


def _text(value: object) -> str:
    if value is None:
        return ""
    is_nested = isinstance(value, list | dict)
    return json.dumps(value, default=render.text_of) if is_nested else render.text_of(value)


def _show_table(names: list[str], rows: list[tuple[Any, ...]]) -> None:
    table = Rows([Column(name) for name in names])
    for row in rows[:TERMINAL_ROWS]:
        table.add(*(render.one_line(_text(value)) for value in row))
    table.show()
    if len(rows) > TERMINAL_ROWS:
        render.say(f"... and more; a pipe gets all rows, or say LIMIT. {TERMINAL_ROWS} are shown.")
