"""`add_record_metadata`: the SDK's columns, of both ways to decode, and never a reason for a new snapshot."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from target_lake_parquet.blocks import BlockDecoder, Rules
from target_lake_parquet.columns import Plan, table_of
from target_lake_parquet.decode import Decoded
from target_lake_parquet.messages import Rows
from target_lake_parquet.metadata import NAMES
from tests.target.command import Place
from tests.target.messages import EXACT_WAY, INTEGER, KEY, MOMENT, STRING, bookmark, schema

HEAD = schema("s", {"id": KEY, "n": STRING})
MICROS = pl.Datetime("us", "UTC")


def told(**values: Any) -> str:
    """A RECORD line of which `_` values stand in the envelope."""
    envelope = {name[1:]: value for name, value in values.items() if name.startswith("_")}
    values = {name: value for name, value in values.items() if not name.startswith("_")}
    return json.dumps({"type": "RECORD", "stream": "s", "record": values, **envelope})


@pytest.mark.parametrize("way", ["fast", "exact"])
def test_each_row_tells_how_it_came(place: Place, way: str) -> None:
    before = datetime.now(UTC)
    place.good(
        schema("s", {"id": KEY, "n": STRING, **EXACT_WAY}) if way == "exact" else HEAD,
        told(id=1, _time_extracted="2026-01-02T03:04:05.678901+01:00", _version=9),
        told(id=2),
        add_record_metadata=True,
    )
    after = datetime.now(UTC)
    frame = place.frame("s").sort("id").drop(EXACT_WAY, strict=False)
    assert frame.columns == ["id", "n", *NAMES]
    assert list(frame.schema.values())[2:] == [*[MICROS] * 4, *[pl.Int64] * 3]
    first, second = frame.to_dicts()[:2]
    assert first["_sdc_extracted_at"] == datetime(2026, 1, 2, 2, 4, 5, 678901, UTC)
    assert second["_sdc_extracted_at"] == second["_sdc_received_at"]
    assert (first["_sdc_table_version"], second["_sdc_table_version"]) == (9, None)
    assert first["_sdc_deleted_at"] is None
    started = datetime.fromtimestamp(first["_sdc_sync_started_at"] / 1000, UTC)
    assert (
        before - timedelta(milliseconds=1) <= started <= first["_sdc_received_at"] + timedelta(milliseconds=1)
    )
    assert first["_sdc_received_at"] <= first["_sdc_batched_at"] <= after
    assert first["_sdc_sequence"] == round(first["_sdc_received_at"].timestamp() * 1000)


def test_each_row_keeps_its_own_beside_odd_and_bad_records(place: Place) -> None:
    """Odd ones are decoded apart, bad ones are taken out: the others must not get theirs."""
    times = [f"2026-01-01T00:00:{second:02}Z" for second in range(60)]
    values = [7 if number % 10 == 3 else {"bad": []} if number % 10 == 7 else "x" for number in range(60)]
    lines = [
        told(id="x" if number % 10 == 7 else number, n=value, _time_extracted=time, _version=number)
        for number, (time, value) in enumerate(zip(times, values, strict=True))
    ]
    place.good(HEAD, *lines, add_record_metadata=True, on_bad_record="quarantine")
    rows = place.frame("s").select("id", "_sdc_extracted_at", "_sdc_table_version").rows()
    good = [number for number in range(60) if number % 10 != 7]
    assert rows == [(number, datetime(2026, 1, 1, 0, 0, number, tzinfo=UTC), number) for number in good]


@pytest.mark.parametrize("bad", ["", "yesterday", 5, None, {}, "9999-13-01T00:00:00Z"])
def test_no_row_is_lost_for_a_time_extracted_that_is_none(place: Place, bad: object) -> None:
    place.good(HEAD, told(id=1, _time_extracted=bad, _version=2**70), told(id=2), add_record_metadata=True)
    (first, _) = place.rows("s")
    assert first["_sdc_extracted_at"] == first["_sdc_received_at"]
    assert first["_sdc_table_version"] is None
    place.good(HEAD, told(id=1, _time_extracted=bad, _version="x"), told(id=2), source="without")
    assert [row["id"] for row in place.rows("without_s")] == [1, 2]


def test_a_run_that_brings_nothing_new_writes_no_file(place: Place) -> None:
    for method in ("overwrite", "upsert"):
        for _ in range(2):
            place.good(HEAD, told(id=1), add_record_metadata=True, load_method=method, source=method)
        assert place.summary(f"{method}_s")["status"] == "unchanged"
        assert len(place.names(f"{method}_s")) == 1
    keyless = schema("s", {"n": STRING}, keys=None)
    for _ in range(2):
        place.good(keyless, told(n="a"), add_record_metadata=True, source="keyless")
    assert place.summary("keyless_s")["status"] == "unchanged"


def test_switching_it_on_and_off_keeps_rows_and_columns(place: Place) -> None:
    head = schema("s", {"id": KEY}, bookmarks=["id"])
    place.good(head, told(id=1), bookmark("s", 1))
    place.good(head, told(id=2), bookmark("s", 2), add_record_metadata=True)
    place.good(head, told(id=3), bookmark("s", 3))
    assert [(row["id"], row["_sdc_sequence"] is None) for row in place.rows("s")] == [
        (1, True),
        (2, False),
        (3, True),
    ]


def test_rows_deleted_by_their_record_say_when(place: Place) -> None:
    head = schema(
        "s",
        {"id": KEY, "items": {"type": "array", "items": {"type": "object", "properties": {"sku": STRING}}}},
    )
    lines = [head, told(id=1, items=[{"sku": "a"}]), told(id=2, items=[{"sku": "b"}])]
    gone = json.dumps(
        {"type": "RECORD", "stream": "s", "record": {"id": 1, "_sdc_deleted_at": "2026-01-01T00:00:00Z"}}
    )
    place.good(*lines, gone, add_record_metadata=True, hard_delete=False)
    frame = place.frame("s").sort("id")
    assert frame["_sdc_deleted_at"].to_list() == [datetime(2026, 1, 1, tzinfo=UTC), None]
    assert place.frame("s__items").columns == ["_parent_id", "_position", "sku"]  # the stream's rows alone


def test_the_taps_columns_of_those_names_give_way(place: Place) -> None:
    head = schema(
        "s", {"id": KEY, "_sdc_sequence": STRING, "_sdc_extracted_at": MOMENT, "_sdc_extra": STRING}
    )
    line = json.dumps(
        {"type": "RECORD", "stream": "s", "record": {"id": 1, "_sdc_sequence": "x", "_sdc_extra": "y"}}
    )
    place.good(head, line, add_record_metadata=True, tenant_id="acme")
    frame = place.frame("acme_s")
    assert frame.columns == ["_tenant", "id", "_sdc_extra", *NAMES]
    assert frame.schema["_sdc_sequence"] == pl.Int64


def test_a_mapped_stream_keeps_its_envelopes(place: Place) -> None:
    line = told(id=1, n="a", _time_extracted="2026-01-02T03:04:05Z", _version=4)
    place.good(HEAD, line, add_record_metadata=True, stream_maps={"s": {"n": "n + '!'"}})
    (row,) = place.rows("s")
    assert (row["n"], row["_sdc_table_version"]) == ("a!", 4)
    assert row["_sdc_extracted_at"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def assert_versions_are_their_rows_own(pieces: Iterable[Decoded]) -> None:
    for one in pieces:
        assert one.envelopes is not None
        assert one.envelopes["version"].to_list() == one.frames[""]["id"].to_list()


def test_each_row_keeps_its_own_where_one_row_widens_a_column() -> None:
    decoder = BlockDecoder(table_of({"properties": {"id": KEY, "n": INTEGER}}, ["id"]), reads_envelopes=True)
    lines = [told(id=n, n=2**63 if n == 40 else n, _version=n) for n in range(100)]
    pieces = list(decoder.decode([Rows("s", "".join(f"{line}\n" for line in lines).encode(), 0, 100)]))
    assert len(pieces) == 3
    assert_versions_are_their_rows_own(pieces)


def test_each_row_keeps_its_own_once_a_column_was_added() -> None:
    rules = Rules(adding=Plan())
    decoder = BlockDecoder(table_of({"properties": {"id": KEY}}, ["id"]), rules, reads_envelopes=True)
    for first in (0, 500):
        block = "".join(told(id=n, more=n, _version=n) + "\n" for n in range(first, first + 500)).encode()
        assert_versions_are_their_rows_own(decoder.decode([Rows("s", block, first, 500)]))
