"""A dataset's columns before a run and after it: what is news, and the field id that each keeps. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import polars as pl
import pyarrow as pa

from lake_parquet.column_types import drift, some, type_name
from lake_parquet.merge import DELETED_AT
from lake_parquet.snapshots import Snapshot
from lake_parquet.widen import json_columns, stored

FIELD_ID = b"PARQUET:field_id"
"""Under this key of a field's metadata Arrow and Polars look for the id that Parquet is to store."""


@dataclass(frozen=True, slots=True)
class Evolution:
    """How a dataset's columns go on from its previous snapshot.

    `schema` are its columns as a file has them, `texts` those of them that hold JSON text, `ids` their field
    ids and `last` the highest that was ever given, `absent` those columns that the run did not bring; `news`
    says what differs, None where nothing does, `vanished` which columns of it the run no longer brings.
    """

    schema: pa.Schema
    texts: tuple[str, ...]
    ids: dict[str, int]
    last: int
    absent: tuple[str, ...]
    vanished: tuple[str, ...]
    news: str | None

    def notes(self) -> list[str]:
        """What a summary tells of it, beside what was widened."""
        if not self.vanished:
            return []
        return [f"columns that come no more: {some(self.vanished)}; they stay, null in new rows"]


def evolution(before: Snapshot | None, rows: pl.LazyFrame, run: Sequence[pl.LazyFrame]) -> Evolution:
    """Compares the columns of a dataset's next snapshot, `rows`, with those of the one before.

    `run` are the blocks that the run itself brought, none where its schema does not have the dataset.
    """
    columns = rows.collect_schema()
    texts = json_columns(columns)
    if before is None:
        ids, last = next_ids({}, 0, columns.names(), ())
        return Evolution(arrow_schema(columns, ids), texts, ids, last, (), (), None)
    old, info, after = before.schema, before.info, arrow_schema(columns)
    was_absent = info.absent if info else ()
    absent = was_absent
    if run:
        # a run without the mark of deleted rows deleted nothing: its column is not given up
        brought = {DELETED_AT, *(name for one in run for name in one.collect_schema())}
        absent = _without(old.names, brought)
    vanished = _without(absent, was_absent)
    ids, last = next_ids(
        info.field_ids if info else {}, info.last_field_id if info else 0, after.names, _retyped(old, after)
    )
    changed = _text_kinds(info.json_columns if info else (), texts, old.names)
    parts = [drift(old, after), changed, f"vanished: {some(vanished)}" if vanished else None]
    news = "; ".join(filter(None, parts))
    return Evolution(arrow_schema(columns, ids), texts, ids, last, absent, vanished, news or None)


def next_ids(
    before: dict[str, int], last: int, names: Sequence[str], retyped: Collection[str]
) -> tuple[dict[str, int], int]:
    """The field id of each column, and the highest that was ever given; a column keeps its own.

    A retyped column is another field to whoever reads by id: it gets a new one, as a new column does.
    """
    ids: dict[str, int] = {}
    for name in names:
        if name in before and name not in retyped:
            ids[name] = before[name]
        else:
            last += 1
            ids[name] = last
    return ids, last


def arrow_schema(columns: Mapping[str, pl.DataType], ids: Mapping[str, int] | None = None) -> pa.Schema:
    """The columns as a file has them, with their field ids where `ids` gives them."""
    return pa.schema(
        pa.field(
            name,
            _arrow_type(stored(kind)),
            metadata={FIELD_ID: str(ids[name])} if ids else None,
        )
        for name, kind in columns.items()
    )


@cache
def _arrow_type(kind: pl.DataType) -> pa.DataType:
    return pl.Series(dtype=kind).to_arrow().type


def _retyped(old: pa.Schema, new: pa.Schema) -> set[str]:
    types = {field.name: type_name(field.type) for field in old}
    return {
        field.name for field in new if types.get(field.name, type_name(field.type)) != type_name(field.type)
    }


def _text_kinds(before: Collection[str], after: Collection[str], known: Collection[str]) -> str | None:
    """Which strings became JSON text: in the file both are strings."""
    changed = [name for name in after if name in known and name not in before]
    return f"JSON text now: {some(changed)}" if changed else None


def _without(names: Sequence[str], others: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in others)
