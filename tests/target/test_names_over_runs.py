"""Names that meet, from run to run: who was there first keeps the name, in columns and in child datasets."""

import json
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake_parquet import Lake
from lake_parquet.names import Names, TableNames, alike, conflict, joined
from target_lake_parquet.columns import Plan, names_of, table_of
from tests.target.command import BIN, Place
from tests.target.messages import INTEGER, KEY, STRING, record, schema

OBJECT = {"type": "object", "properties": {"b": STRING}}
LINES = {"type": "array", "items": {"type": "object", "properties": {"n": INTEGER}}}


def mark(*path: str) -> str:
    """What a name ends in whose like is taken."""
    return "_" + sha256("\0".join(path).encode()).hexdigest()[:6]


MEETINGS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "upper case beside lower case": (
        {"ref": STRING}, {"ref": "old"},
        {"Ref": STRING, "ref": STRING}, {"Ref": "new", "ref": "still"},
        {"ref": "still", "Ref" + mark("Ref"): "new"},
    ),
    "upper case in place of lower case": (
        {"ref": STRING}, {"ref": "old"},
        {"Ref": STRING}, {"Ref": "new"},
        {"ref": None, "Ref" + mark("Ref"): "new"},
    ),
    "a plain field beside a nested one": (
        {"a": OBJECT}, {"a": {"b": "old"}},
        {"a": OBJECT, "a__b": STRING}, {"a": {"b": "still"}, "a__b": "new"},
        {"a__b": "still", "a__b" + mark("a__b"): "new"},
    ),
    "a nested field beside a plain one": (
        {"a__b": STRING}, {"a__b": "old"},
        {"a": OBJECT, "a__b": STRING}, {"a": {"b": "new"}, "a__b": "still"},
        {"a__b": "still", "a__b" + mark("a", "b"): "new"},
    ),
    "a newcomer by a name that a mark made": (
        {"A": STRING, "a": STRING}, {"A": "x", "a": "y"},
        {"A": STRING, "a": STRING, "a" + mark("a"): STRING}, {"A": "x", "a": "y", "a" + mark("a"): "new"},
        {"A": "x", "a" + mark("a"): "y",
         "a" + mark("a") + mark("a" + mark("a")): "new"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MEETINGS)
@pytest.mark.parametrize("across", ["from run to run", "in mid-run"])
def test_the_column_that_was_there_first_keeps_its_name(place: Place, case: str, across: str) -> None:
    before, old, after, new, found = MEETINGS[case]
    first = [schema("s", {"id": KEY, **before}), record("s", id=1, **old)]
    second = [schema("s", {"id": KEY, **after}), record("s", id=2, **new)]
    if across == "in mid-run":
        place.good(*first, *second, load_method="upsert")
    else:
        place.good(*first, load_method="upsert")
        place.good(*second, load_method="upsert")
    rows = sorted(place.rows("s"), key=lambda row: row["id"])
    assert rows[1] == {"id": 2, **found}
    kept = {name: value for name, value in rows[0].items() if value is not None}
    assert sorted(kept.values(), key=str) == [
        1,
        *sorted("old" if v == {"b": "old"} else v for v in old.values()),
    ]
    place.good(*second, load_method="upsert")
    assert place.frame("s").columns == list(rows[0])


def test_a_key_keeps_its_name_and_replaces_its_row(place: Place) -> None:
    place.good(schema("s", {"id": KEY, "v": STRING}), record("s", id=1, v="old"), load_method="upsert")
    place.good(
        schema("s", {"Id": STRING, "id": KEY, "v": STRING}), record("s", Id="x", id=1, v="new"),
        load_method="upsert",
    )  # fmt: skip
    assert place.rows("s") == [{"id": 1, "v": "new", "Id" + mark("Id"): "x"}]


@pytest.mark.parametrize("load_method", ["upsert", "overwrite"])
@pytest.mark.parametrize("noted", [True, False], ids=["", "a lake from before names were noted"])
def test_a_property_keeps_its_column_when_the_other_comes_no_more(
    place: Place, load_method: str, *, noted: bool
) -> None:
    both = {"id": KEY, "Ref": STRING, "ref": STRING}
    place.good(schema("s", both), record("s", id=1, Ref="X", ref="x"), load_method=load_method)
    column = "ref" + mark("ref")
    assert place.rows("s") == [{"id": 1, "Ref": "X", column: "x"}]
    if not noted:
        forget_names(place.root / "raw" / "s" / place.names("s")[-1])
    place.good(schema("s", {"id": KEY, "ref": STRING}), record("s", id=1, ref="y"), load_method=load_method)
    assert place.rows("s") == [{"id": 1, "Ref": None, column: "y"}]
    swapped = {"ref": STRING, "Ref": STRING, "id": KEY}
    place.good(schema("s", swapped), record("s", id=1, Ref="Z", ref="z"), load_method=load_method)
    assert place.rows("s") == [{"id": 1, "Ref": "Z", column: "z"}]


def forget_names(path: Path) -> None:
    """Makes a snapshot what it would have been before names were noted."""
    document = json.loads(pq.read_metadata(path).metadata[b"lake"])
    assert document.pop("names")
    rows = pl.read_parquet(path)
    rows.write_parquet(path, metadata={"lake": json.dumps(document)})


def test_a_lake_from_before_names_were_noted_keeps_its_columns(place: Place) -> None:
    fields = {"id": KEY, "a": OBJECT, "plain": STRING, "lines": LINES}
    row = record("s", id=1, a={"b": "x"}, plain="p", lines=[{"n": 1}])
    place.good(schema("s", fields), row, load_method="upsert")
    forget_names(place.root / "raw" / "s" / place.names("s")[-1])
    again = record("s", id=2, a={"b": "y"}, plain="q", lines=[{"n": 2}])
    place.good(schema("s", fields), again, load_method="upsert")
    assert place.rows("s") == [{"id": 1, "plain": "p", "a__b": "x"}, {"id": 2, "plain": "q", "a__b": "y"}]
    assert [row["n"] for row in place.rows("s__lines")] == [1, 2]


def test_frozen_columns_hold_a_newcomer_of_another_spelling(place: Place) -> None:
    place.good(schema("s", {"id": KEY, "ref": STRING}), record("s", id=1, ref="x"))
    ended = place.run(
        schema("s", {"id": KEY, "Ref": STRING, "ref": STRING}), record("s", id=1, Ref="X", ref="x"),
        on_schema_change="freeze",
    )  # fmt: skip
    assert ended.code == 1
    assert f"the columns changed (new: Ref{mark('Ref')})" in ended.err
    place.good(schema("s", {"ref": STRING, "id": KEY}), record("s", id=1, ref="y"), on_schema_change="freeze")
    assert place.rows("s") == [{"id": 1, "ref": "y"}]


def test_names_that_two_runs_gave_without_knowing_each_other_are_held(place: Place) -> None:
    """The second run opened its stream before the first had published."""
    head = schema("s", {"id": KEY, "a": OBJECT})
    with place.feeding("target-lake-parquet", "--config", place.configured(load_method="upsert")) as first:
        first.feed((head + "\n" + record("s", id=1, a={"b": "nested"}) + "\n").encode())
        first.await_read()
        lines = [schema("s", {"id": KEY, "a__b": STRING}), record("s", id=2, a__b="plain")]
        published = Lake(place.root)
        second = subprocess.run(
            [BIN / "target-lake-parquet", "--config", place.configured(load_method="upsert")],
            input="\n".join(lines) + "\n", text=True, check=False, capture_output=True,
        )  # fmt: skip
        assert second.returncode == 0, second.stderr
        ended = first.end()
    assert ended.code == 1
    assert "column 'a__b' means another field in rows that another run brought meanwhile" in ended.err
    assert published.latest("s").collect().to_dicts() == [{"id": 2, "a__b": "plain"}]
    place.good(head, record("s", id=1, a={"b": "nested"}), load_method="upsert")
    assert place.rows("s") == [
        {"id": 1, "a__b": None, "a__b" + mark("a", "b"): "nested"},
        {"id": 2, "a__b": "plain", "a__b" + mark("a", "b"): None},
    ]


def test_a_child_dataset_keeps_its_name_and_its_columns_theirs(place: Place) -> None:
    both = {"type": "array", "items": {"type": "object", "properties": {"N": STRING, "n": INTEGER}}}
    place.good(schema("s", {"id": KEY, "lines": LINES}), record("s", id=1, lines=[{"n": 1}]))
    place.good(
        schema("s", {"id": KEY, "Lines": LINES, "lines": both}),
        record("s", id=1, Lines=[{"n": 7}], lines=[{"N": "x", "n": 2}]),
    )
    assert place.rows("s__lines") == [{"_parent_id": 1, "_position": 0, "n": 2, "N" + mark("N"): "x"}]
    assert place.rows("s__Lines" + mark("", "Lines")) == [{"_parent_id": 1, "_position": 0, "n": 7}]


def test_a_field_that_no_schema_names_takes_no_column_from_another(place: Place) -> None:
    head = schema("s", {"id": KEY})
    place.good(head, record("s", id=1, ref="old"), load_method="upsert", undeclared_fields="add")
    place.good(
        head, record("s", id=2, Ref="new"), head.replace("integer", "number"), record("s", id=3, ref="again"),
        load_method="upsert", undeclared_fields="add",
    )  # fmt: skip
    rows = sorted(place.rows("s"), key=lambda row: row["id"])
    assert [row["ref"] for row in rows] == ["old", None, "again"]
    assert [row["Ref" + mark("Ref")] for row in rows] == [None, "new", None]


def test_another_separator_counts_for_new_columns(place: Place) -> None:
    place.good(schema("s", {"id": KEY, "a": OBJECT}), record("s", id=1, a={"b": "x"}), load_method="upsert")
    place.good(
        schema("s", {"id": KEY, "a": OBJECT, "c": OBJECT}), record("s", id=2, a={"b": "y"}, c={"b": "z"}),
        load_method="upsert", flattening_separator=".",
    )  # fmt: skip
    assert place.rows("s") == [{"id": 1, "a__b": "x", "c.b": None}, {"id": 2, "a__b": "y", "c.b": "z"}]


def test_real_rows_that_replace_made_up_ones_begin_the_names_anew(place: Place) -> None:
    def lines(origin: str, **fields: str) -> list[str]:
        properties = {"id": KEY, **dict.fromkeys(fields, STRING)}
        return [schema("s", properties, mark={"origin": origin}), record("s", id=1, **fields)]

    place.good(*lines("stub", ref="made up"))
    place.good(*lines("api", Ref="real"))
    assert place.rows("s") == [{"id": 1, "Ref": "real"}]


def test_a_childs_folder_that_is_another_streams_is_refused(place: Place) -> None:
    place.good(schema("s__lines", {"id": KEY}), record("s__lines", id=1))
    ended = place.run(schema("s", {"id": KEY, "lines": LINES}), record("s", id=1, lines=[{"n": 1}]))
    assert ended.code == 1
    assert "the child dataset s__lines belongs to stream 's__lines', this run brings stream 's'" in ended.err
    assert place.rows("s__lines") == [{"id": 1}]
    assert len(list(place.root.glob(".incomplete/*/s__lines.parquet"))) == 1


NAMES = st.sampled_from(["a", "A", "b", "B", "a__b", "A__b", "é", "e\N{COMBINING ACUTE ACCENT}"])
FIELDS = st.recursive(
    st.sampled_from([{"type": "string"}, {"type": "integer"}]),
    lambda below: st.dictionaries(NAMES, below, min_size=1, max_size=3).flatmap(
        lambda properties: st.sampled_from(
            [
                {"type": "object", "properties": properties},
                {"type": "array", "items": {"type": "object", "properties": properties}},
            ]
        )
    ),
    max_leaves=6,
)
SCHEMAS = st.dictionaries(NAMES, FIELDS, min_size=1, max_size=5)


@given(st.lists(SCHEMAS, min_size=1, max_size=5))
def test_no_name_ever_changes_its_meaning(schemas: list[dict[str, Any]]) -> None:
    """Through any schemas a path keeps its name, no two names are alike, and no folder is two arrays'."""
    names: Names = {}
    for properties in schemas:
        document = {"properties": {"key": {"type": "integer"}, **properties}}
        now = names_of(table_of(document, ["key"], Plan(names=names)))
        assert conflict(names, now) is None
        for suffix, table in now.items():
            known = names.get(suffix, TableNames())
            assert all(known.columns.get(name, path) == path for name, path in table.columns.items())
            called = {path: name for name, path in known.columns.items()}
            assert all(called.get(path, name) == name for name, path in table.columns.items())
            assert not known.array or known.array == table.array
        names = joined(names, now)
        for table in names.values():
            assert len(set(map(alike, table.columns))) == len(set(table.columns.values()))
        assert len({suffix.casefold() for suffix in names}) == len({table.array for table in names.values()})
