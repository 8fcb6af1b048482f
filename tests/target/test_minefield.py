"""The parsing minefield: what every parser answers differently has one answer here, whichever way it goes."""

import functools
import io
import itertools
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from lake_parquet.errors import LakeError
from target_lake_parquet.blocks import BlockDecoder, Rules, decode_exact
from target_lake_parquet.columns import Table, table_of
from target_lake_parquet.decode import BadRecord
from target_lake_parquet.fast import FastPlan, decode_fast, plan_of
from target_lake_parquet.messages import BadLine, Rows, read_messages
from tests.target.command import Place, assert_clear
from tests.target.messages import KEY, NUMBER, STRING, record, schema
from tests.target.minefield import BAD, DOCUMENTED, GOOD, NAMED, Documented, rec

TYPES: dict[str, dict[str, Any]] = {
    "any": {},
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "decimal": {"type": "number", "multipleOf": 0.01},
    "decimal as text": {"type": "string", "format": "singer.decimal", "scale": 2},
    "boolean": {"type": "boolean"},
    "date-time": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "strings": {"type": "array", "items": {"type": "string"}},
    "object": {"type": "object", "properties": {"a": {"type": "string"}}},
    "table": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
    "undeclared": {},
}
PLAIN = rec('"v": null')
THIRD = pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.slow)], ids=["third", "all"])
"""Each text meets every third kind of column, the next text the next ones; in the slow tests all."""


@functools.cache
def table_with(kind: str) -> Table:
    name = "other" if kind == "undeclared" else "v"
    return table_of({"properties": {"id": KEY, name: TYPES[kind]}}, ["id"])


@functools.cache
def plan_with(kind: str) -> FastPlan | None:
    return plan_of(table_with(kind))


def rows_of(line: bytes) -> list[Rows]:
    """What the reader makes of a line between two plain ones; a line that is no RECORD ends the run."""
    found = list(read_messages(io.BytesIO(PLAIN + b"\n" + line + b"\n" + PLAIN + b"\n"), 2**24))
    assert all(isinstance(one, Rows) for one in found)
    return [one for one in found if isinstance(one, Rows)]


def check_both_ways(line: bytes, kind: str) -> list[BadRecord]:
    """Decodes a line among others by both ways; they must agree. Returns what is bad of it."""
    table, runs = table_with(kind), rows_of(line)
    block, lines = b"".join(run.block for run in runs), pl.Series([1, 2, 3])
    assert sum(run.count for run in runs) == 3
    exact = decode_exact(table, block, lines)
    plan = plan_with(kind)
    for start, part in ((0, block), (1, block.split(b"\n")[1] + b"\n")):
        fast = decode_fast(plan, part, lines.slice(start, part.count(b"\n"))) if plan else None
        if fast is not None:
            alone = decode_exact(table, part, lines.slice(start, part.count(b"\n")))
            assert (alone.bad, alone.coerced, alone.undeclared) == ([], {}, {})
            for suffix, frame in alone.frames.items():
                assert_frame_equal(fast.frames[suffix], frame, check_exact=True)
    assert {one.line for one in exact.bad} <= {2}
    decoded = list(BlockDecoder(table, Rules(sets_aside=True)).decode(runs))
    assert {number for one in decoded for number in one.aside} == {one.line for one in exact.bad}
    assert sum(one.frames[""].height for one in decoded) == (2 if exact.bad else 3)
    return exact.bad


def as_json(data: bytes) -> Any:
    """What a strict reader makes of a text, numbers exact."""
    return json.loads(data, parse_float=Decimal)


@THIRD
@pytest.mark.parametrize("kind", GOOD)
def test_a_good_value_is_stored_equal(kind: str, step: int) -> None:
    for number, text in enumerate(GOOD[kind]):
        line = rec(b'"v": ' + text)
        for column in [*TYPES][number % step :: step]:
            bad = check_both_ways(line, column)
            assert all(one.field.startswith("v") for one in bad), text
            assert not bad or column not in ("any", "string", "undeclared"), text
        value = as_json(text)
        (stored,) = decode_exact(table_with("any"), line + b"\n", pl.Series([1])).frames[""]["v"].to_list()
        assert (None if stored is None else as_json(stored)) == value, text
        (stored,) = decode_exact(table_with("string"), line + b"\n", pl.Series([1])).frames[""]["v"].to_list()
        assert not isinstance(value, str) or stored == value, text


@pytest.mark.parametrize("kind", GOOD)
def test_a_good_text_is_a_record_only_where_it_is_an_object(kind: str) -> None:
    table = table_of({"properties": {"a": {}}})
    for text in GOOD[kind]:
        line = b'{"type": "RECORD", "stream": "s", "record": ' + text + b"}\n"
        bad = decode_exact(table, line, pl.Series([1])).bad
        is_object = isinstance(as_json(text), dict)
        assert bad == ([] if is_object else [BadRecord(1, "record", "is not an object")]), text


@THIRD
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_value_makes_its_record_bad_and_names_the_field_where_it_can_be_told(
    kind: str, step: int
) -> None:
    for number, text in enumerate(BAD[kind]):
        line = rec(b'"v": ' + text)
        for column in [*TYPES][number % step :: step]:
            (bad,) = check_both_ways(line, column)
            assert bad.line == 2
            field = bad.field.split(".")[0]
            named = (field, bad.reason) == ("v", NAMED.get(kind))
            assert named if kind in NAMED else field in ("record", "v"), text
            assert not re.search(r"9999|\\xff", bad.reason)


def test_words_that_common_writers_put_into_json_are_named() -> None:
    for text in (b"NaN", b"Infinity", b"-Infinity", b"[NaN]", b'{"v": [{"w": NaN}]}'):
        (bad,) = check_both_ways(rec(b'"v": ' + text), "any")
        assert bad.field.startswith("v")
        assert bad.reason == "holds NaN or Infinity, which JSON does not know"


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_text_is_no_record(kind: str) -> None:
    for text in BAD[kind]:
        (bad,) = check_both_ways(b'{"type": "RECORD", "stream": "s", "record": ' + text + b"}", "string")
        assert bad.line == 2


@pytest.mark.parametrize(("kind", "texts"), [*GOOD.items(), *((f"bad {k}", v) for k, v in BAD.items())])
def test_as_a_whole_line_a_value_ends_the_run_with_its_number(kind: str, texts: list[bytes]) -> None:
    del kind
    for text in texts:
        data = PLAIN + b"\n" + text + b"\n"
        if text.isspace() or not text:
            assert [type(one) for one in read_messages(io.BytesIO(data), 2**24)] == [Rows]
        elif b'"RECORD"' not in text:
            with pytest.raises(BadLine, match=r"^line 2 is no Singer message") as caught:
                list(read_messages(io.BytesIO(data), 2**24))
            assert str(caught.value).isprintable()


def test_the_corpus_is_one() -> None:
    assert sum(map(len, GOOD.values())) > 130
    assert sum(map(len, BAD.values())) > 300
    for text in itertools.chain.from_iterable(GOOD.values()):
        as_json(text)


# Through the real command: a stream for each case, all in one run.

STREAMS = {f"s{i}": text for i, text in enumerate(itertools.chain.from_iterable(BAD.values()))}


def minefield() -> bytes:
    lines = []
    for name, text in STREAMS.items():
        lines += [schema(name, {"id": KEY, "v": STRING}).encode(), record(name, id=2).encode()]
        lines.append(rec(b'"v": ' + text, name))
    return b"\n".join([*lines, schema("good", {"id": KEY}).encode(), record("good", id=1).encode(), b""])


def test_every_bad_record_of_a_run_is_told_and_the_good_stream_is_published(place: Place) -> None:
    ended = place.command("target-lake-parquet", "--config", place.configured(), stdin=minefield())
    assert ended.code == 1
    assert_clear(ended.err)
    assert place.datasets() == ["good"]
    failures = [line.split("Failed ")[1] for line in ended.err.splitlines() if "Failed " in line]
    told = {line.split(":")[0]: line for line in failures}
    assert told.keys() == set(STREAMS)
    for number, name in enumerate(STREAMS):
        where = rf"; line {3 * number + 3}: field '(v|v\.[^']*|record)' [^;]*mend it at the source"
        assert re.search(where, told[name])


def test_every_bad_record_of_a_run_goes_aside(place: Place) -> None:
    config = place.configured(on_bad_record="quarantine")
    ended = place.command("target-lake-parquet", "--config", config, stdin=minefield())
    assert ended.code == 0, ended.err
    assert "Traceback" not in ended.err
    assert set(place.datasets()) == {"good", *STREAMS}
    for one in place.record()["datasets"]:
        is_good = one["dataset"] == "good"
        assert (one["status"], one["row_count"]) == ("published", 1)
        assert one["rows_quarantined"] == int(not is_good)
    folder = place.root / ".quarantine" / place.record()["run_id"]
    for name, text in STREAMS.items():
        found = json.loads((folder / f"{name}.jsonl").read_text(encoding="utf-8"))
        assert found["message"] == rec(b'"v": ' + text, name).decode(errors="backslashreplace")


# The table in the docs.


@pytest.mark.parametrize("case", DOCUMENTED, ids=lambda one: one.what)
def test_what_the_docs_say_becomes_of_an_input_does(place: Place, case: Documented) -> None:
    head = schema("s", {"id": {"type": ["null", "integer"]}, "n": NUMBER, "v": STRING}).encode()
    start = b"\xef\xbb\xbf" if case.fate == "skipped" else b""
    last = [] if case.fate == "held" else [record("s", id=2).encode(), b""]
    data = start + b"\n".join([head, *case.lines, *last])
    ended = place.command("target-lake-parquet", "--config", place.configured(max_line_mb=1), stdin=data)
    assert ended.code == (0 if case.fate in ("stored", "skipped") else 1), ended.err
    assert "Traceback" not in ended.err
    assert case.words in ended.err
    published = {"bad record": [], "run ends": [], "held": []}.get(case.fate, ["s"])
    assert place.datasets() == published
    if case.row:
        (row,) = (one for one in place.rows("s") if one["id"] != 2)
        assert repr((row["n"], row["v"])) == repr(case.row)
    if case.fate == "bad record":
        assert f"line 2: field {case.field!r}" in ended.err
        config = place.configured(on_bad_record="quarantine")
        place.command("target-lake-parquet", "--config", config, stdin=data)
        assert place.frame("s")["id"].to_list() == [2]
    elif case.fate in ("stream fails", "run ends"):
        assert "line 2" in ended.err


def test_the_table_in_the_docs_is_this_one() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "lake-format.md").read_text(encoding="utf-8")
    rows = "".join(f"| {case.what} | {case.becomes} |\n" for case in DOCUMENTED)
    assert f"| input | what becomes of it |\n| --- | --- |\n{rows}\n" in docs


# Schemas: whatever JSON they are made of, they make columns or a reason.

WORDS = [
    *["type", "properties", "items", "anyOf", "oneOf", "allOf", "$ref", "format", "enum", "const"],
    *["multipleOf", "minimum", "exclusiveMaximum", "scale", "precision", "definitions", "a", ""],
]
TEXTS = ["string", "object", "array", "null", "#/definitions/a", "#", "#/", "x"]
TEXTS += ["integer", "number", "date-time", "singer.decimal"]
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(TEXTS))
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(WORDS), inner, max_size=5)
    ),
    max_leaves=25,
)
KEYS = st.lists(st.sampled_from(["a", ""]), max_size=2)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(WORDS), SCHEMAS, max_size=6), KEYS)
@example({"scale": float("inf"), "precision": float("nan")}, [])
def test_no_schema_crashes_the_plan(document: dict[str, Any], keys: list[str]) -> None:
    try:
        table = table_of(document, keys)
    except ValueError:  # a reason, in words
        return
    plan_of(table)
    decode_exact(table, rec('"a": 1') + b"\n", pl.Series([1]))


def test_a_few_references_that_make_billions_are_refused() -> None:
    doubled = {
        f"d{i}": {"properties": {side: {"$ref": f"#/definitions/d{i + 1}"} for side in "xy"}}
        for i in range(40)
    }
    with pytest.raises(ValueError, match=r"the SCHEMA has more than 100,000 parts"):
        table_of({"properties": {"a": {"$ref": "#/definitions/d0"}}, "definitions": doubled})


def test_ten_thousand_columns_are_stored(place: Place) -> None:
    names = [f"c{i}" for i in range(10_000)]
    head = schema("s", {"id": KEY, **dict.fromkeys(names, STRING)})
    place.good(head, record("s", id=1, **dict.fromkeys(names, "x")))
    assert place.frame("s").shape == (1, 10_001)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\ntypeRCODsam1.-e ', max_size=60).map(str.encode))
def test_no_line_crashes_the_reader(noise: bytes) -> None:
    head = b'{"type": "SCHEMA", "stream": "s", '
    for data in (noise, rec(noise), rec(b'"v": ' + noise), head + noise + b"}"):
        try:
            messages = list(read_messages(io.BytesIO(data + b"\n"), 2**20))
        except LakeError:  # a line that is no message
            continue
        for one in messages:
            if isinstance(one, Rows):
                decode_exact(table_with("string"), one.block, pl.Series(range(one.count)))
