"""Rows of plain code in, a snapshot by the target's own commit path out, with the record of a run."""

import itertools
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import polars as pl

from lake_parquet import paths, snapshots
from lake_parquet.commit import Committer
from lake_parquet.conform import conform
from lake_parquet.errors import LakeError, UsageError
from lake_parquet.family import Family, Member
from lake_parquet.footer import Owner
from lake_parquet.policy import StreamFacts
from lake_parquet.runs import DatasetSummary, RunRecord, write_run
from lake_parquet.staging import ROW, Staging
from lake_parquet.store import Store

BLOCK_ROWS = 50_000
"""Rows that are turned into columns at once."""

EXACT = 2**53
"""Up to here every integer is a float64 too."""

TAP = "write_records"
"""What the run's record and the snapshot's metadata name in a tap's place."""


class Held(LakeError):  # noqa: N818 - it says what became of the rows
    """The rules of the lake refused the rows; they are kept aside, the latest snapshot stays."""

    def __init__(self, summary: DatasetSummary) -> None:
        """Tells why, from the summary."""
        super().__init__(f"{summary.dataset} was held: {'; '.join(summary.notes)}")
        self.summary = summary


@dataclass(frozen=True, slots=True)
class RecordWriter:
    """One call of `Lake.write_records`."""

    store: Store
    dataset: str
    keys: tuple[str, ...]
    load_method: Literal["overwrite", "upsert", "append-only"]
    max_row_drop: float | None

    def write(self, rows: pl.DataFrame | pl.LazyFrame | Iterable[Mapping[str, Any]]) -> DatasetSummary:
        """Publishes the rows and writes the run's record; see `Lake.write_records`."""
        if not paths.is_dataset(self.dataset) or paths.dataset_name(None, None, self.dataset) != self.dataset:
            raise UsageError(
                f"{self.dataset!r} is no dataset's name: letters, digits, `_` and `-` are, up to "
                f"{paths.MAX_NAME} of them, and the first is a letter or digit"
            )
        now = datetime.now(UTC)
        record = RunRecord(run_id=paths.run_id(now, secrets.token_hex(3)), started_at=_text(now), tap=TAP)
        self.store.prepare()
        staging = Staging(self.store.workplace, record.run_id)
        try:
            summary = self._publish(rows, staging, record.run_id)
            record.datasets = [summary]
            record.status = "incomplete" if summary.status == "held" else "ok"
        except BaseException as error:
            record.status, record.error = "failed", _reason(error)
            raise
        finally:
            record.finished_at = _text(datetime.now(UTC))
            write_run(self.store, record)
            staging.close()
        if summary.status == "held":
            raise Held(summary)
        return summary

    def _publish(
        self,
        rows: pl.DataFrame | pl.LazyFrame | Iterable[Mapping[str, Any]],
        staging: Staging,
        run_id: str,
    ) -> DatasetSummary:
        owner = Owner(self.dataset)
        read, untyped = 0, dict[str, None]()
        for block in _blocks(rows):
            empty = [name for name, dtype in block.schema.items() if dtype == pl.Null()]
            frame = conform(block.drop(empty))
            untyped.update(dict.fromkeys(empty))
            missing = [key for key in self.keys if key not in block.columns]
            if missing:
                raise UsageError(f"{self.dataset}: the rows have no column {missing[0]!r}, which is a key")
            numbers = pl.int_range(read, read + block.height, dtype=pl.Int64, eager=True).alias(ROW)
            staging.append(self.dataset, frame.insert_column(0, numbers))
            read += block.height
        self._name_untyped(untyped, staging)
        if not staging.segments(self.dataset):
            raise UsageError(f"{self.dataset}: no rows, so no columns; an empty DataFrame has columns")
        member = Member(self.dataset, owner, self.keys, rows_read=read)
        facts = StreamFacts(
            owner=owner,
            keys=self.keys,
            is_empty=not read,
            proof="proven",  # the caller's rows ended, and no exception
            load_method=self.load_method,
            max_row_drop=self.max_row_drop,
        )
        (summary,) = Committer(self.store, staging, run_id, TAP).commit(Family(member), facts)
        return summary

    def _name_untyped(self, untyped: Iterable[str], staging: Staging) -> None:
        """Stages the columns that hold nothing but nulls: as text, where nothing else gives them a type."""
        latest = snapshots.latest(self.store, self.dataset)
        typed = set(latest.schema.names) if latest else set()
        for segment in staging.segments(self.dataset):
            typed.update(segment.collect_schema().names())
        names = [name for name in untyped if name not in typed]
        if names:
            frame = conform(pl.DataFrame(schema=dict.fromkeys(names, pl.String)))
            staging.append(self.dataset, frame.insert_column(0, pl.Series(ROW, [], dtype=pl.Int64)))


def _blocks(rows: pl.DataFrame | pl.LazyFrame | Iterable[Mapping[str, Any]]) -> Iterator[pl.DataFrame]:
    if isinstance(rows, pl.DataFrame):
        yield rows
    elif isinstance(rows, pl.LazyFrame):
        yield from rows.collect_batches(chunk_size=BLOCK_ROWS, maintain_order=True)
    else:
        numbered = iter(rows)
        while block := list(itertools.islice(numbered, BLOCK_ROWS)):
            yield _frame(block)


def _frame(block: list[Mapping[str, Any]]) -> pl.DataFrame:
    names = dict.fromkeys(name for row in block for name in row)
    return pl.DataFrame([_column(name, [row.get(name) for row in block]) for name in names])


def _column(name: str, values: list[Any]) -> pl.Series:
    """One column of Python values; lists and mappings are JSON text, each on its own."""
    if any(isinstance(value, Mapping | list | tuple) for value in values):
        return pl.Series(name, values, dtype=pl.Object)
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float} and all(abs(value) <= EXACT for value in values if type(value) is int):
        return pl.Series(name, values, dtype=pl.Float64, strict=False)
    if kinds == {int, Decimal}:
        values = [Decimal(value) if type(value) is int else value for value in values]
    try:
        return pl.Series(name, values, strict=True)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        told = ", ".join(sorted(kind.__name__ for kind in kinds))
        # the library's own text holds values, and values may be secret
        raise UsageError(
            f"column {name!r} holds values that no one type fits ({told}): make them alike"
        ) from error


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, LakeError) else type(error).__name__


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
