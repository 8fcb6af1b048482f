"""BATCH messages: rows of files are as those of RECORD lines, and no file is read that may not be."""

import gzip
import json
import os
import socket
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_lake_parquet.lines import Lines
from tests.target.batch_tap import ROWS, row
from tests.target.command import BIN, ENV, Ended, Place, assert_clear
from tests.target.messages import (
    EXACT_WAY,
    INTEGER,
    KEY,
    MOMENT,
    NUMBER,
    STRING,
    activate,
    bookmark,
    record,
    schema,
)

ITEMS = {"type": "array", "items": {"type": "object", "properties": {"sku": STRING, "count": INTEGER}}}
HEAD = schema("s", {"id": KEY, "n": STRING, "items": ITEMS})
GZIP = {"format": "jsonl", "compression": "gzip"}
PLAIN = {"format": "jsonl"}
PARQUET = {"format": "parquet"}


def batch(encoding: Any, *manifest: Any, stream: str = "s") -> str:
    """A BATCH line."""
    entries = [one.as_uri() if isinstance(one, Path) else one for one in manifest]
    return json.dumps({"type": "BATCH", "stream": stream, "encoding": encoding, "manifest": entries})


def jsonl(path: Path, *rows: Any) -> Path:
    """Writes a file of JSON lines, packed where its name says so; texts stand as they are."""
    path.parent.mkdir(exist_ok=True)
    text = "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


@pytest.fixture
def inbox(place: Place) -> Path:
    folder = place.folder / "inbox"
    folder.mkdir()
    place.config["batch_roots"] = [str(folder)]
    return folder


# What arrives.


def test_batches_and_records_are_one_stream_in_the_order_in_which_they_came(
    place: Place, inbox: Path
) -> None:
    one = jsonl(inbox / "1.json.gz", {"id": 1, "n": "b"}, {"id": 2, "n": "b", "items": [{"sku": "x"}]})
    two = jsonl(inbox / "2.jsonl", {"id": 2, "n": "c", "items": [{"sku": "y"}, {"sku": "z"}]}, {"id": 3})
    place.good(
        HEAD, record("s", id=1, n="a", items=[{"sku": "old"}]), batch(GZIP, one), batch(PLAIN, two, str(two)),
        record("s", id=3, n="d"),
    )  # fmt: skip
    assert place.rows("s") == [{"id": 1, "n": "b"}, {"id": 2, "n": "c"}, {"id": 3, "n": "d"}]
    assert place.rows("s__items") == [
        {"_parent_id": 2, "_position": 0, "sku": "y", "count": None},
        {"_parent_id": 2, "_position": 1, "sku": "z", "count": None},
    ]
    assert place.summary("s")["rows_read"] == 8


def test_files_stay_where_they_are(place: Place, inbox: Path) -> None:
    """The tap's state may be lost, and the rows asked for again; who wrote them removes them."""
    file = jsonl(inbox / "1.json.gz", {"id": 1})
    before = file.read_bytes()
    place.good(HEAD, batch(GZIP, file))
    assert [(one.name, one.read_bytes()) for one in inbox.iterdir()] == [("1.json.gz", before)]


def test_a_batch_is_data_to_the_proof_that_a_stream_ended(place: Place, inbox: Path) -> None:
    head = schema("s", {"id": KEY, "updated_at": INTEGER}, bookmarks=["updated_at"])
    file = jsonl(inbox / "1.jsonl", {"id": 1, "updated_at": 5})
    proofs = []
    for lines in ([batch(PLAIN, file), bookmark("s", 5)], [bookmark("s", 5), batch(PLAIN, file)],
                  [batch(PLAIN, file), activate("s", 1)]):  # fmt: skip
        place.run(head, *lines)
        proofs.append(place.summary("s")["proof"])
    assert proofs == ["proven", "unproven", "proven"]


def test_a_bookmark_after_a_batch_is_printed_when_its_rows_are_in_the_lake(place: Place, inbox: Path) -> None:
    head = schema("s", {"id": KEY, "updated_at": INTEGER}, bookmarks=["updated_at"])
    file = jsonl(inbox / "1.jsonl", {"id": 1, "updated_at": 5})
    ended = place.good(head, batch(PLAIN, file), bookmark("s", 5))
    assert json.loads(ended.out.splitlines()[-1]) == json.loads(bookmark("s", 5))["value"]
    ended = place.run(head, batch(PLAIN, inbox / "gone.jsonl"), bookmark("s", 6), source="another")
    assert ended.code == 1
    assert "6" not in ended.out


@pytest.mark.parametrize("format_", ["jsonl", "parquet"])
@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_what_a_tap_of_the_sdk_writes_arrives_whole(
    place: Place, inbox: Path, format_: str, compression: str
) -> None:
    encoding = {"format": format_, "compression": compression}
    storage = {"root": inbox.as_uri(), "prefix": "a b/"}
    (inbox / "a b").mkdir()
    config = place.folder / "tap.json"
    config.write_text(json.dumps({"batch_config": {"encoding": encoding, "storage": storage}}))
    command = [sys.executable, "-m", "tests.target.batch_tap", "--config", str(config)]
    tapped = subprocess.run(command, capture_output=True, check=True, cwd=Path(__file__).parents[2])
    assert tapped.stdout.count(b'"BATCH"') == 1
    assert b'"RECORD"' not in tapped.stdout
    ended = place.command("target-lake-parquet", "--config", place.configured(), stdin=tapped.stdout)
    assert ended.code == 0, ended.err
    rows = [row(number) for number in range(ROWS)]
    assert place.rows("orders") == sorted(
        (
            {name: one[name] for name in ("id", "name", "price", "updated_at")}
            | {"address__zip": one["address"]["zip"]}
            for one in rows
        ),
        key=repr,
    )
    assert place.rows("orders__items") == sorted(
        (
            {"_parent_id": one["id"], "_position": at, **item}
            for one in rows
            for at, item in enumerate(one["items"])
        ),
        key=repr,
    )
    assert place.summary("orders")["proof"] == "proven"
    last = "2026-01-01T00:24:00.000000+00:00"
    assert json.loads(ended.out.splitlines()[-1])["bookmarks"]["orders"]["replication_key_value"] == last


def test_a_tap_of_the_sdk_packs_also_where_it_says_that_it_does_not(place: Place, inbox: Path) -> None:
    packed = inbox / "1.jsonl"
    packed.write_bytes(gzip.compress(b'{"id": 1}\n') + gzip.compress(b'{"id": 2}\n'))
    place.good(HEAD, batch({"format": "jsonl", "compression": "none"}, packed))
    assert place.frame("s")["id"].to_list() == [1, 2]


EAST = timezone(timedelta(hours=-5))
DAY = {"type": "string", "format": "date"}
EXACT: dict[str, tuple[Any, pa.DataType, Any, Any]] = {
    "int64": ([2**63 - 1, -(2**63), None], pa.int64(), INTEGER, None),
    "uint64": ([2**64 - 1, 0, None], pa.uint64(), INTEGER, [Decimal(2**64 - 1), Decimal(0), None]),
    "a dictionary": (["b", "b", None], pa.dictionary(pa.int8(), pa.string()), STRING, None),
    "float32": ([0.5, 1e30, None], pa.float32(), NUMBER, [0.5, 1.0000000150474662e30, None]),
    "float64": ([0.1, -1e308, None], pa.float64(), NUMBER, None),
    "bool": ([True, False, None], pa.bool_(), {"type": ["boolean", "null"]}, None),
    "decimal in a number": ([Decimal("0.10"), Decimal("12345678901234567890.12"), None],
        pa.decimal128(38, 2), NUMBER, None),
    "decimal256": ([Decimal("0.1"), Decimal(-7), None], pa.decimal256(60, 10),
        {"type": "string", "format": "singer.decimal"}, None),
    "timestamp": ([datetime(2026, 1, 1, 2, 3, 4, 5, UTC), datetime(1, 1, 1, tzinfo=UTC), None],
        pa.timestamp("us", "UTC"), MOMENT, None),
    "zone": ([datetime(2026, 1, 1, tzinfo=EAST), datetime(1969, 1, 1, tzinfo=EAST), None],
        pa.timestamp("ms", "-05:00"), MOMENT,
        [datetime(2026, 1, 1, 5, tzinfo=UTC), datetime(1969, 1, 1, 5, tzinfo=UTC), None]),
    "nanoseconds": ([-1, 1_700_000_000_123_456_789, None], pa.timestamp("ns", "UTC"), MOMENT,
        [datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
         datetime(2023, 11, 14, 22, 13, 20, 123456, UTC), None]),
    "no zone": ([datetime(2026, 1, 1), datetime(1969, 1, 1), None], pa.timestamp("s"), MOMENT,  # noqa: DTZ001
        [datetime(2026, 1, 1, tzinfo=UTC), datetime(1969, 1, 1, tzinfo=UTC), None]),
    "date": ([date(2026, 1, 1), date(1, 1, 1), None], pa.date32(), DAY, None),
    "time": ([1, None, 86_399_999_999], pa.time64("us"), {"type": "string", "format": "time"},
        ["00:00:00.000001", None, "23:59:59.999999"]),
    "string": (['"\\\n\0\x7f', "ü\U0001f600", ""], pa.large_string(), STRING, None),
    "all null": ([None, None, None], pa.null(), STRING, None),
}  # fmt: skip


@pytest.mark.parametrize("case", EXACT)
def test_parquet_values_arrive_exactly(place: Place, inbox: Path, case: str) -> None:
    values, kind, property_, expected = EXACT[case]
    column = pa.array(values, kind if not pa.types.is_dictionary(kind) else kind.value_type)
    table = pa.table({"id": [0, 1, 2], "v": column.cast(kind)})
    pq.write_table(table, inbox / "1=1.parquet")
    place.good(schema("s", {"id": KEY, "v": property_}), batch(PARQUET, inbox / "1=1.parquet"))
    assert place.frame("s").sort("id")["v"].to_list() == (values if expected is None else expected)


def test_nested_parquet_becomes_columns_and_child_datasets(place: Place, inbox: Path) -> None:
    rows = [
        {"id": 1, "who": {"at": datetime(2026, 1, 1, tzinfo=UTC), "d": Decimal("1.50")},
         "items": [{"sku": "a", "count": 1}, {"sku": None, "count": 2**53 + 1}], "tags": ["x", "y"]},
        {"id": 2, "who": None, "items": [], "tags": None},
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows)
    maps = pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64()))
    pq.write_table(table.append_column("more", maps), inbox / "1.parquet")
    who = {"type": "object", "properties": {"at": MOMENT, "d": {"type": "number", "multipleOf": 0.01}}}
    head = schema("s", {"id": KEY, "who": who, "items": ITEMS, "tags": {"type": "array", "items": STRING},
                        "more": {"type": ["object", "null"]}})  # fmt: skip
    place.good(head, batch(PARQUET, inbox / "1.parquet"))
    assert place.rows("s") == [
        {"id": 1, "who__at": datetime(2026, 1, 1, tzinfo=UTC), "who__d": Decimal("1.50"), "tags": '["x","y"]',
         "more": '{"k":1}'},
        {"id": 2, "who__at": None, "who__d": None, "tags": None, "more": None},
    ]  # fmt: skip
    assert place.frame("s__items").to_dicts() == [
        {"_parent_id": 1, "_position": 0, "sku": "a", "count": 1},
        {"_parent_id": 1, "_position": 1, "sku": None, "count": 2**53 + 1},
    ]


def test_stream_maps_are_applied_to_batches(place: Place, inbox: Path) -> None:
    file = jsonl(inbox / "1.jsonl", {"id": 1, "n": "secret"}, {"id": "word", "n": "a"})
    maps = {"s": {"n": "md5(n)", "__alias__": "t"}, "gone": None}
    ended = place.run(
        HEAD, batch(PLAIN, file), schema("gone", {"id": KEY}), batch(PLAIN, inbox / "none", stream="gone"),
        stream_maps=maps,
    )  # fmt: skip
    assert "line 2, line 2 of BATCH file '1.jsonl': field 'id'" in ended.err
    jsonl(file, {"id": 1, "n": "secret"})
    place.good(HEAD, batch(PLAIN, file), stream_maps=maps)
    assert place.rows("t") == [{"id": 1, "n": "5ebe2294ecd0e0f08eab7690d2a6ee69"}]


def test_the_rows_of_a_batch_carry_its_version(place: Place, inbox: Path) -> None:
    message = json.loads(batch(PLAIN, jsonl(inbox / "1.jsonl", {"id": 1}))) | {"version": 7}
    place.good(HEAD, json.dumps(message), add_record_metadata=True)
    assert place.frame("s")["_sdc_table_version"].to_list() == [7]


# Bad records.

BROKEN = {
    "one that would break out": '{"id": 1},"record":{"id": 2}',
    "two objects": '{"id": 1}{"id": 2}',
    "NaN": '{"id": NaN}',
    "no JSON": "id,n",
    "cut": '{"id": 1',
    "depth": '{"id":' + "[" * 100_000 + "]" * 100_000 + "}",
    "byte order mark": '\ufeff{"id": 1}',
    "an array": "[1]",
    "null": "null",
    "a bad value": '{"id": "word"}',
    "no key": '{"n": "a"}',
    "a Singer line that closes": '{"id": 1}}\n{"type":"STATE","value":{"stolen":1}}',
}


@pytest.mark.parametrize("decoding", ["fast", "exact"])
@pytest.mark.parametrize("case", BROKEN)
def test_a_bad_line_names_the_message_the_file_and_its_line(
    place: Place, inbox: Path, case: str, decoding: str
) -> None:
    file = jsonl(inbox / "1.json.gz", {"id": 1}, "", "  ", BROKEN[case])
    more = EXACT_WAY if decoding == "exact" else {}
    ended = place.run(
        schema("s", {"id": KEY, "n": STRING, **more}), record("s", id=9), batch(GZIP, file),
        record("s", id=2), schema("t", {"id": KEY}), record("t", id=1),
    )  # fmt: skip
    assert (ended.code, ended.out) == (1, "")
    assert_clear(ended.err)
    assert "line 3, line 4 of BATCH file '1.json.gz'" in ended.err
    assert place.datasets() == ["t"]


def test_bad_lines_of_a_batch_go_into_quarantine_with_their_place(place: Place, inbox: Path) -> None:
    breakout = '{"id": 1},"record":{"id": 2}'
    file = jsonl(inbox / "1.json.gz", {"id": 1}, breakout, {"id": "word"}, {"id": 3})
    place.good(HEAD, batch(GZIP, file), record("s", id="x"), on_bad_record="quarantine")
    assert place.frame("s")["id"].to_list() == [1, 3]
    assert place.summary("s")["rows_quarantined"] == 3
    (kept,) = (place.root / ".quarantine").rglob("*.jsonl")
    found = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [(one["line"], one.get("batch"), one["field"]) for one in found] == [
        (2, "line 2 of BATCH file '1.json.gz'", "record"),
        (2, "line 3 of BATCH file '1.json.gz'", "id"),
        (3, None, "id"),
    ]
    assert found[0]["message"] == breakout


def test_bad_lines_before_one_that_is_no_json_keep_their_place(place: Place, inbox: Path) -> None:
    file = jsonl(inbox / "1.jsonl", {"id": 1}, {"id": "word"}, '{"id": 3', {"id": 4})
    place.good(HEAD, batch(PLAIN, file), on_bad_record="quarantine")
    assert place.frame("s")["id"].to_list() == [1, 4]
    found = {one["batch"]: one["field"] for one in place.aside()}
    assert found == {"line 2 of BATCH file '1.jsonl'": "id", "line 3 of BATCH file '1.jsonl'": "record"}


def test_the_codec_of_a_parquet_file_is_the_files_own_matter(place: Place, inbox: Path) -> None:
    pq.write_table(pa.table({"id": [1]}), inbox / "1.parquet", compression="snappy")
    place.good(HEAD, batch({**PARQUET, "compression": "snappy"}, inbox / "1.parquet"))
    assert place.frame("s")["id"].to_list() == [1]


def test_quarantine_keeps_no_text_of_a_batch_that_a_stream_map_would_mask(place: Place, inbox: Path) -> None:
    file = jsonl(inbox / "1.jsonl", {"id": 1, "n": "x"}, '{"id": 2, "n": "canary"')
    maps = {"s": {"n": "md5(n)"}}
    place.good(HEAD, batch(PLAIN, file), on_bad_record="quarantine", stream_maps=maps)
    (kept,) = (place.root / ".quarantine").rglob("*.jsonl")
    assert "canary" not in kept.read_text()


def test_rows_of_a_batch_that_a_state_covers_are_published_though_the_input_is_cut(
    place: Place, inbox: Path
) -> None:
    """Rows without keys are published up to the last STATE: what comes later will be read again."""
    head = schema("s", {"id": KEY, "updated_at": INTEGER}, keys=[], bookmarks=["updated_at"])
    place.good(head, record("s", id=0, updated_at=0), bookmark("s", 0))
    file = jsonl(inbox / "1.jsonl", *({"id": n, "updated_at": n} for n in range(1, 6)))
    rest = [batch(PLAIN, file), bookmark("s", 5), record("s", id=6, updated_at=6), '{"type": "REC']
    place.run(head, bookmark("s", 0), *rest, cut=True)
    assert [row["id"] for row in place.rows("s")] == [0, 1, 2, 3, 4, 5]


def test_lines_after_a_batch_keep_their_numbers(place: Place, inbox: Path) -> None:
    files = [jsonl(inbox / f"{nth}.jsonl", *({"id": at} for at in range(nth))) for nth in (3, 0, 4)]
    ended = place.run(HEAD, batch(PLAIN, *files), record("s", id=1), record("s", id="word"))
    assert "line 4: field 'id'" in ended.err


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_bad_row_of_parquet_is_named_by_its_row(place: Place, inbox: Path, value: float) -> None:
    pq.write_table(pa.table({"id": [1, 2], "v": [{"x": 1.5}, {"x": value}]}), inbox / "1.parquet")
    head = schema("s", {"id": KEY, "v": {"type": "object", "properties": {"x": NUMBER}}})
    ended = place.run(head, batch(PARQUET, inbox / "1.parquet"))
    assert "line 2, row 2 of BATCH file '1.parquet': field 'v.x' holds NaN or Infinity" in ended.err


@given(st.lists(st.one_of(st.none(), st.lists(st.integers(0, 5), max_size=3)), max_size=8))
@settings(max_examples=200)
def test_numbers_grow_and_say_where_a_record_stood(messages: list[list[int] | None]) -> None:
    """None is a line of the input, a list a BATCH message with files of so many lines."""
    lines = Lines()
    given_: list[tuple[int, str]] = []
    for at, message in enumerate(messages, 1):
        if message is None:
            given_.append((lines.of_input(at), f"line {at}"))
            continue
        for nth, count in enumerate(message):
            lines.open_file(at, f"f{nth}", "line")
            first = lines.take(count // 2)
            assert lines.take(count - count // 2) == first + count // 2
            given_ += [(first + k, f"line {at}, line {k + 1} of BATCH file 'f{nth}'") for k in range(count)]
    numbers = [number for number, _ in given_]
    assert numbers == sorted(set(numbers))
    assert [lines.where(number) for number in numbers] == [text for _, text in given_]


# What is not whole, or not what it says.


def spoilt(path: Path, change: Callable[[bytes], bytes]) -> Path:
    """A packed file with its bytes changed."""
    path.write_bytes(change(gzip.compress(b'{"id": 1, "n": "abcdefgh"}\n' * 1000)))
    return path


def folder_in(inbox: Path) -> Path:
    (inbox / "sub").mkdir()
    return inbox / "sub"


UNSOUND: dict[str, tuple[Any, Callable[[Path], Path | str], str]] = {
    "missing": (GZIP, lambda inbox: inbox / "gone.json.gz", "gone.json.gz' is missing"),
    "cut gzip": (GZIP, lambda inbox: spoilt(inbox / "x.gz", lambda b: b[:-20]), "ends too early"),
    "wrong checksum": (
        GZIP, lambda inbox: spoilt(inbox / "x.gz", lambda b: b[:-8] + bytes(4) + b[-4:]), "CRC"),
    "wrong length": (GZIP, lambda inbox: spoilt(inbox / "x.gz", lambda b: b[:-1] + b"\x09"), "length"),
    "garbage in gzip": (
        GZIP, lambda inbox: spoilt(inbox / "x.gz", lambda b: b[:30] + b"\xff" * 50), "'x.gz'"),
    "garbage after gzip": (GZIP, lambda inbox: spoilt(inbox / "x.gz", lambda b: b + b"x"), "gzip"),
    "no gzip": (GZIP, lambda inbox: jsonl(inbox / "x.jsonl", "secret"), "neither that nor JSON Lines"),
    "packed twice": (GZIP, lambda inbox: spoilt(inbox / "x.gz", gzip.compress), "compressed twice"),
    "no Parquet": (PARQUET, lambda inbox: jsonl(inbox / "x.parquet", {"id": 1}), "no sound Parquet"),
    "empty Parquet": (PARQUET, lambda inbox: jsonl(inbox / "x.parquet"), "no sound Parquet"),
    "another format": ({"format": "csv"}, lambda inbox: jsonl(inbox / "x"), "format 'csv'"),
    "another compression": (
        {"format": "jsonl", "compression": "zstd"}, lambda inbox: jsonl(inbox / "x"), "'zstd'"),
    "a folder": (GZIP, folder_in, "no regular file"),
    "a line past max_line_mb": (
        PLAIN, lambda inbox: jsonl(inbox / "x", {"n": "x" * 3 * 2**20}), "longer than 2 MiB"),
    "more than max_batch_mb": (
        PLAIN, lambda inbox: jsonl(inbox / "x", *['{"id": 1}' + " " * 2**20] * 5), "more than 4 MiB"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNSOUND)
def test_a_batch_that_is_not_whole_fails_its_stream_alone(place: Place, inbox: Path, case: str) -> None:
    encoding, make, message = UNSOUND[case]
    ended = place.run(
        HEAD, record("s", id=1), batch(encoding, make(inbox)), record("s", id=2), bookmark("s", 7),
        schema("t", {"id": KEY}), record("t", id=1), max_line_mb=2, max_batch_mb=4,
    )  # fmt: skip
    assert ended.code == 1
    assert_clear(ended.err)
    assert "line 3: " in ended.err
    assert message in ended.err
    assert "7" not in ended.out
    assert place.datasets() == ["t"]
    assert {one["dataset"]: one["status"] for one in place.record()["datasets"]} == {
        "s": "failed", "t": "published",
    }  # fmt: skip


WRONG_KIND = "has encoding or manifest of a wrong kind"
LACKING: list[tuple[Any, str]] = [
    ({"stream": "s"}, "lacks encoding and manifest"),
    ({"stream": "s", "encoding": GZIP}, "lacks manifest"),
    ({"stream": "s", "encoding": "jsonl", "manifest": []}, WRONG_KIND),
    ({"stream": "s", "encoding": {}, "manifest": []}, WRONG_KIND),
    ({"stream": "s", "encoding": {"format": "jsonl", "compression": 1}, "manifest": []}, WRONG_KIND),
    ({"stream": "s", "encoding": GZIP, "manifest": "file:///x"}, WRONG_KIND),
    ({"stream": "s", "encoding": GZIP, "manifest": [1]}, WRONG_KIND),
]


@pytest.mark.parametrize(("message", "odd"), LACKING)
def test_a_batch_message_that_lacks_a_part_fails_its_stream(place: Place, message: Any, odd: str) -> None:
    ended = place.run(HEAD, json.dumps({"type": "BATCH", **message}))
    assert ended.code == 1
    assert f"line 2: the BATCH message {odd}: mend the tap" in ended.err


def test_a_batch_before_its_schema_fails_its_stream(place: Place, inbox: Path) -> None:
    ended = place.run(batch(GZIP, jsonl(inbox / "1.json.gz", {"id": 1})))
    assert ended.code == 1
    assert "line 1: a BATCH of the stream comes before its SCHEMA" in ended.err


# What may not be read.


def test_batches_are_refused_until_a_folder_is_allowed(place: Place) -> None:
    file = jsonl(place.folder / "1.json.gz", {"id": 1})
    nothing: list[str] = []
    for roots in (None, nothing):
        ended = place.run(HEAD, batch(GZIP, file), batch_roots=roots)
        assert ended.code == 1
        assert "line 2: BATCH messages name files" in ended.err
        assert "batch_roots" in ended.err
        assert place.datasets() == []


CANARY = {"id": 1, "n": "canary"}


def linked(inbox: Path, name: str, target: Path) -> Path:
    (inbox / name).symlink_to(target)
    return inbox / name


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def unix_socket(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    return path


FORBIDDEN: dict[str, Callable[[Place, Path, Path], Any]] = {
    "outside": lambda _, __, secret: secret,
    "outside, as a path": lambda _, __, secret: str(secret),
    "a relative path": lambda *_: "secret/canary.jsonl",
    "dots": lambda _, inbox, __: f"{inbox.as_uri()}/../secret/canary.jsonl",
    "dots in a path": lambda _, inbox, __: f"{inbox}/../secret/canary.jsonl",
    "escaped dots": lambda _, inbox, __: f"{inbox.as_uri()}/%2e%2e/secret/canary.jsonl",
    "escaped slashes": lambda _, inbox, __: f"{inbox.as_uri()}/..%2Fsecret%2Fcanary.jsonl",
    "escaped twice": lambda _, inbox, __: f"{inbox.as_uri()}/%252e%252e/secret/canary.jsonl",
    "a folder whose name begins alike": lambda place, *_: jsonl(place.folder / "inbox2" / "x", CANARY),
    "a link to a file": lambda _, inbox, secret: linked(inbox, "link", secret),
    "a link to a folder": lambda _, inbox, secret: linked(inbox, "up", secret.parent) / secret.name,
    "a link to itself": lambda _, inbox, __: linked(inbox, "loop", inbox / "loop"),
    "a dangling link": lambda _, inbox, __: linked(inbox, "gone", inbox / "nothing"),
    "the folder itself": lambda _, inbox, __: inbox,
    "a FIFO": lambda _, inbox, __: fifo(inbox / "fifo"),
    "a socket": lambda _, inbox, __: unix_socket(inbox / "socket"),
    "a device": lambda *_: "/dev/zero",
    "a device by link": lambda _, inbox, __: linked(inbox, "zero", Path("/dev/zero")),
    "the target's input": lambda *_: "/dev/stdin",
    "a descriptor": lambda *_: "/proc/self/fd/0",
    "NUL": lambda _, inbox, __: f"{inbox}/x\0y",
    "escaped NUL": lambda _, inbox, __: f"{inbox.as_uri()}/x%00y",
    "nothing": lambda *_: "",
    "a bare scheme": lambda *_: "file://",
    "another host": lambda _, inbox, __: f"file://example.com{inbox}/x",
    "a name and a host": lambda _, inbox, __: f"file://user@localhost{inbox}/x",
    "a relative URL": lambda *_: "file:inbox/x",
    "a bucket": lambda *_: "s3://key:canary@bucket/x.json.gz",
    "ftp": lambda *_: "ftp://127.0.0.1/x",
    "ssh": lambda *_: "ssh://root@127.0.0.1/etc/passwd",
    "a chain": lambda _, __, secret: f"simplecache::{secret.as_uri()}",
    "a chain of file": lambda _, __, secret: f"file::{secret.as_uri()}",
    "a zip": lambda _, __, secret: f"zip://x::{secret.as_uri()}",
    "data": lambda *_: "data:application/json,{}",
    "a home": lambda *_: "~/canary.jsonl",
    "too long a name": lambda _, inbox, __: str(inbox / ("x" * 300)),
}  # fmt: skip


@pytest.mark.parametrize("case", FORBIDDEN)
def test_no_other_file_is_read(place: Place, inbox: Path, case: str) -> None:
    secret = jsonl(place.folder / "secret" / "canary.jsonl", CANARY)
    jsonl(place.folder / "canary.jsonl", CANARY)
    entry = FORBIDDEN[case](place, inbox, secret)
    ended = place.run(HEAD, batch(PLAIN, entry), env={"HOME": str(place.folder)})
    assert ended.code == 1
    assert_clear(ended.err)
    assert "line 2: " in ended.err
    assert place.datasets() == []
    assert '"canary"' not in ended.err
    assert "canary@" not in ended.err
    assert place.summary("s")["rows_read"] == 0


@pytest.mark.usefixtures("inbox")
def test_a_message_does_not_tell_whether_a_file_outside_is_there(place: Place) -> None:
    secret = jsonl(place.folder / "secret" / "1.jsonl", CANARY)
    there, gone = (
        place.run(HEAD, batch(PLAIN, str(one))).err.partition("line 2")[2].splitlines()[0]
        for one in (secret, secret.with_name("2.jsonl"))
    )
    there = there.replace("/1.jsonl", "/2.jsonl")
    assert there == gone
    assert "does not lie below a folder of batch_roots" in there


def test_links_inside_the_allowed_folder_are_followed(place: Place, inbox: Path) -> None:
    jsonl(inbox / "day" / "1.jsonl", {"id": 1})
    linked(inbox, "today", inbox / "day")
    (place.folder / "alias").symlink_to(inbox)
    for entry in (inbox / "today/1.jsonl", place.folder / "alias/day/1.jsonl", inbox / "x/../day/1.jsonl"):
        ended = place.run(HEAD, batch(PLAIN, str(entry)))
        assert ended.code == 0, ended.err
    place.config["batch_roots"] = [str(place.folder / "nowhere"), (place.folder / "alias").as_uri()]
    place.good(HEAD, batch(PLAIN, f"file://localhost{inbox}/day/1.jsonl"))
    place.good(HEAD, batch(PLAIN, "alias/day/1.jsonl"))


@contextmanager
def listening() -> Iterator[tuple[int, list[Any]]]:
    """A port that counts who connects."""
    hits: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            try:
                while True:
                    connection, address = server.accept()
                    hits.append(address)
                    connection.close()
            except OSError:
                return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1], hits
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_no_connection_is_ever_made(place: Place, inbox: Path) -> None:
    with listening() as (port, hits):
        socket.create_connection(("127.0.0.1", port)).close()
        at = f"127.0.0.1:{port}"
        lines = [HEAD]
        streams = []
        entries = [
            f"http://{at}/x", f"https://{at}/x", f"HTTP://{at}/x", f"ftp://{at}/x", f"file://{at}/x",
            f"s3://{at}/x", f"simplecache::http://{at}/x", f"file://{inbox}/x::http://{at}/x",
            f"//{at}/x", f"hdfs://{at}/x", f"webhdfs://{at}/x", f"smb://{at}/x", f"github://a:b@{at}/x",
            f"http:{at}", f"filecache::file:http://{at}/x",
        ]  # fmt: skip
        for nth, entry in enumerate(entries):
            for encoding in (PLAIN, PARQUET):
                streams.append(f"s{nth}{encoding['format']}")
                lines += [schema(streams[-1], {"id": KEY}), batch(encoding, entry, stream=streams[-1])]
        ended = place.run(*lines, env={"AWS_ENDPOINT_URL": f"http://{at}"})
    assert ended.code == 1
    assert len(hits) == 1  # the test's own
    failed = [one["stream"] for one in place.record()["datasets"] if one["status"] == "failed"]
    assert failed == streams


# Bombs.


def measured(place: Place, *lines: str, **config: Any) -> tuple[Ended, int]:
    """Runs the target in a process of its own; returns how it ended and its peak memory in MiB.

    The kernel begins a child's peak at its parent's, so a small process starts it, not this one.
    """
    out, err = place.folder / "out", place.folder / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        command = [str(BIN / "target-lake-parquet"), "--config", place.configured(**config)]
        subprocess.run(
            [sys.executable, "-c", STARTER, str(place.folder / "peak"), *command],
            input="".join(line + "\n" for line in lines).encode(),
            stdout=stdout, stderr=stderr, env=ENV, cwd=place.folder, check=True,
        )  # fmt: skip
    code, peak = (place.folder / "peak").read_text().split()
    return Ended(int(code), out.read_text(), err.read_text()), int(peak) // 1024


STARTER = """
import os, sys
child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
with open(sys.argv[1], "w") as peak:
    peak.write(f"{os.waitstatus_to_exitcode(status)} {usage.ru_maxrss}")
"""


def packed(path: Path, line: bytes, times: int) -> Path:
    """Many equal lines, packed without ever standing in memory."""
    packer = zlib.compressobj(9, wbits=31)
    with path.open("wb") as file:
        for _ in range(times):
            file.write(packer.compress(line))
        file.write(packer.flush())
    return path


def deep_footer(path: Path, levels: int) -> Path:
    """A Parquet file of nothing but groups in groups; its footer is Thrift, written by hand."""

    def element(name: str, last: bytes, fields: bytes) -> bytes:
        return fields + last + bytes([len(name)]) + name.encode()

    root = element("schema", b"\x48", b"") + b"\x15\x02\x00"
    group = element("a", b"\x18", b"\x35\x02") + b"\x15\x02\x00"
    leaf = element("a", b"\x18", b"\x15\x02\x25\x02") + b"\x00"
    count = levels + 2
    size = b""
    while count:
        size += bytes([count & 0x7F | (0x80 if count > 0x7F else 0)])
        count >>= 7
    footer = b"\x15\x02\x19\xfc" + size + root + group * levels + leaf + b"\x16\x00\x19\x0c\x00"
    path.write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    return path


def parquet(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


def _twice(inbox: Path) -> Path:
    packed(inbox / "once", b"\0" * 10**6, 200)
    (inbox / "x").write_bytes(gzip.compress((inbox / "once").read_bytes()))
    return inbox / "x"


def _footer(inbox: Path) -> Path:
    (inbox / "x").write_bytes(b"PAR1" + bytes(100) + (2**31 - 1).to_bytes(4, "little") + b"PAR1")
    return inbox / "x"


def _twins(inbox: Path) -> Path:
    pq.write_table(pa.Table.from_arrays([pa.array([1])] * 2, ["id", "id"]), inbox / "x")
    return inbox / "x"


def repeated(times: int) -> pa.Array:
    """A megabyte of text that stands in a file once, and in its rows often."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * times, pa.int32()), [MEGABYTE])


MEGABYTE = "x" * 10**6
NUMBERS = b"".join(b"%d " % n for n in range(150_000))
SPACES = b'{"id": 1' + b" " * 999_000 + b"}\n"
BOMBS: dict[str, tuple[Any, Callable[[Path], Path], str]] = {
    "lines": (GZIP, lambda inbox: packed(inbox / "x", SPACES, 100), "grows more than 500 times"),
    "blank lines": (GZIP, lambda inbox: packed(inbox / "x", b"\n" * 10**6, 100), "grows more than"),
    "one line": (GZIP, lambda inbox: packed(inbox / "x", b" " * 10**6, 100), "grows more than 500 times"),
    "one line that is packed less": (GZIP, lambda inbox: packed(inbox / "x", NUMBERS, 100),
        "a line longer than 64 MiB"),
    "packed twice": (GZIP, _twice, "compressed twice"),
    "texts": (PARQUET, lambda inbox: parquet(inbox / "x", {"id": [*range(100)], "n": [MEGABYTE] * 100},
        use_dictionary=False, compression="zstd"), "grows more than 500 times"),
    "one text many times": (PARQUET, lambda inbox: parquet(inbox / "x", {"id": [*range(2000)],
        "n": repeated(2000)}), "more than 128 MiB"),
    "one text many times, below": (PARQUET, lambda inbox: parquet(inbox / "x", {"id": [*range(200)],
        "items": pa.ListArray.from_arrays(list(range(201)),
            pa.StructArray.from_arrays([repeated(200)], ["sku"]))}), "more than 128 MiB"),
    "rows": (PARQUET, lambda inbox: parquet(inbox / "x", {"id": pa.nulls(2 * 10**7, pa.int64()),
        "n": pa.nulls(2 * 10**7)}), "more than 128 MiB"),
    "elements": (PARQUET, lambda inbox: parquet(inbox / "x", {"id": [1],
        "items": pa.ListArray.from_arrays([0, 10**7], pa.nulls(10**7, pa.int64()))}),
        "a row longer than 64 MiB"),
    "columns": (PARQUET, lambda inbox: parquet(inbox / "x", {f"c{nth}": [1] for nth in range(20_001)}),
        "20001 columns"),
    "a footer of two gigabytes": (PARQUET, _footer, "footer is larger than"),
    "depth": (PARQUET, lambda inbox: deep_footer(inbox / "x", 100_000), "too deeply nested"),
    "twins": (PARQUET, _twins, "same name"),
    "binary": (PARQUET, lambda inbox: parquet(inbox / "x", {"id": [1], "b": [b"x"]}), "column 'b' is of"),
}  # fmt: skip


@pytest.mark.parametrize("case", BOMBS)
def test_a_bomb_is_refused_in_little_memory(place: Place, inbox: Path, case: str) -> None:
    encoding, make, message = BOMBS[case]
    ended, peak = measured(
        place, HEAD, batch(encoding, make(inbox)), max_batch_mb=128 if encoding is PARQUET else None
    )
    assert ended.code == 1
    assert_clear(ended.err)
    assert message in ended.err
    assert place.datasets() == []
    assert peak < 600, f"{case}: {peak} MiB"


def test_well_packed_rows_are_no_bomb(place: Place, inbox: Path) -> None:
    file = packed(inbox / "x", b"".join(b'{"id":%d,"n":"%040d"}\n' % (n, n) for n in range(1000)), 1500)
    ended, peak = measured(place, HEAD, batch(GZIP, file))
    assert ended.code == 0, ended.err
    assert place.frame("s").height == 1000
    assert peak < 600, f"{peak} MiB"


# What Parquet holds and JSON has no value for.

FAR = int((67_560 - 1970) * 365.2425) * 86_400 * 10**6
MOMENTS = pa.timestamp("us", "UTC")
OBJECT = {"type": "object", "properties": {"x": STRING}}


@pytest.mark.parametrize(
    ("kind", "odd", "good", "column", "word"),
    [
        (pa.timestamp("us"), 2**63 - 1, 0, STRING, "Infinity"),
        (pa.timestamp("us"), -(2**63) + 1, 0, STRING, "-Infinity"),
        (MOMENTS, FAR, 0, MOMENT, "Infinity"),
        (pa.timestamp("s"), 253_402_300_800, 253_402_300_799, MOMENT, "Infinity"),
        (pa.timestamp("ms"), -62_135_596_800_001, -62_135_596_800_000, MOMENT, "-Infinity"),
        (pa.date32(), 2**30, 0, STRING, "Infinity"),
        (pa.list_(MOMENTS), [0, FAR], [0, None], {}, "Infinity"),
        (pa.struct([("x", MOMENTS)]), {"x": FAR}, {"x": 0}, OBJECT, "Infinity"),
        (pa.map_(pa.string(), MOMENTS), [("x", FAR)], [("x", 0)], OBJECT, "Infinity"),
        (pa.float64(), float("-inf"), 1.5, NUMBER, "-Infinity"),
        (pa.float32(), float("nan"), 1.5, NUMBER, "NaN"),
    ],
    ids=lambda part: str(part)[:24],
)  # fmt: skip
def test_a_moment_that_json_has_no_word_for_is_a_bad_record(
    place: Place, inbox: Path, kind: pa.DataType, odd: Any, good: Any, column: Any, word: str
) -> None:
    """Arrow wrote its own words for the one, and another year for the other."""
    path = inbox / "1.parquet"
    pq.write_table(pa.table({"id": [1, 2], "v": pa.array([odd, good], kind)}), path, version="2.6")
    head = schema("s", {"id": KEY, "v": column})
    place.good(head, batch(PARQUET, path), on_bad_record="quarantine")
    assert place.frame("s")["id"].to_list() == [2]
    (found,) = place.aside()
    assert found["reason"] == "holds NaN or Infinity, which JSON does not know"
    assert found["field"].partition(".")[0] == "v"
    assert word in found["message"]


@pytest.mark.parametrize("encoding", [GZIP, PLAIN], ids=["gzip", "plain"])
@pytest.mark.parametrize(
    "data",
    [b'{"id": 1}\n', b'\xef\xbb\xbf{"id": 1}\n', b' {"id": 1}', gzip.compress(b'{"id": 1}\n'), b""],
    ids=["plain", "byte order mark", "space", "packed", "empty"],
)
def test_a_file_is_what_its_first_bytes_say_whatever_the_message_says(
    place: Place, inbox: Path, encoding: Any, data: bytes
) -> None:
    (inbox / "1").write_bytes(data)
    place.good(schema("s", {"id": KEY}), batch(encoding, inbox / "1"))
    assert place.frame("s")["id"].to_list() == ([1] if data else [])
