"""Columns from run to run: what is held when they are frozen, what is noted, and the field ids they keep."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake_parquet.evolution import next_ids
from tests.target.command import Place
from tests.target.messages import INTEGER, KEY, NUMBER, STRING, bookmark, record, schema

LINES = {"type": "array", "items": {"type": "object", "properties": {"n": INTEGER}}}
BEFORE = [schema("s", {"id": KEY, "a": INTEGER, "b": STRING}), record("s", id=1, a=1, b="x")]


def ids(place: Place, dataset: str = "s") -> dict[str, int]:
    """The field ids in the latest file, as Arrow reads them."""
    file: Path = max((place.root / "raw" / dataset).glob("*.parquet"))
    found: pa.Schema = pq.read_schema(file)
    return {field.name: int(field.metadata[b"PARQUET:field_id"]) for field in found}


def run(
    place: Place, properties: dict[str, Any], load_method: str = "overwrite", **row: Any
) -> dict[str, int]:
    place.good(schema("s", {"id": KEY, **properties}), record("s", id=1, **row), load_method=load_method)
    return ids(place)


CHANGES: dict[str, tuple[list[str], str]] = {
    "a new column": (
        [schema("s", {"id": KEY, "a": INTEGER, "b": STRING, "c": STRING}), record("s", id=1, a=1, b="x")],
        "the columns changed (new: c)",
    ),
    "a column that comes no more": (
        [schema("s", {"id": KEY, "a": INTEGER}), record("s", id=1, a=1)],
        "the columns changed (vanished: b)",
    ),
    "a column of another type": (
        [schema("s", {"id": KEY, "a": NUMBER, "b": STRING}), record("s", id=1, a=1.5, b="x")],
        "the columns changed (widened: a int64 -> float64)",
    ),
    "text that becomes JSON text": (
        [schema("s", {"id": KEY, "a": INTEGER, "b": {}}), record("s", id=1, a=1, b={"x": 1})],
        "the columns changed (JSON text now: b)",
    ),
    "a new array": (
        [
            schema("s", {"id": KEY, "a": INTEGER, "b": STRING, "l": LINES}),
            record("s", id=1, a=1, b="x", l=[]),
        ],
        "the columns changed (s__l: a new dataset)",
    ),
}


@pytest.mark.parametrize("case", CHANGES)
@pytest.mark.parametrize("load_method", ["upsert", "overwrite", "append-only"])
def test_frozen_columns_hold_a_stream_whose_columns_changed(
    place: Place, case: str, load_method: str
) -> None:
    lines, reason = CHANGES[case]
    place.good(*BEFORE, load_method=load_method)
    ended = place.run(*lines, load_method=load_method, on_schema_change="freeze")
    assert ended.code == 1
    assert (
        f"{reason}, and on_schema_change is freeze: set it to evolve for one run to accept them" in ended.err
    )
    assert place.rows("s") == [{"id": 1, "a": 1, "b": "x"}]
    assert len(list(place.root.glob(".incomplete/*/s.parquet"))) == 1
    place.good(*lines, load_method=load_method)
    place.good(*lines, load_method=load_method, on_schema_change="freeze")


def test_frozen_columns_let_the_same_columns_pass(place: Place) -> None:
    place.good(*BEFORE, on_schema_change="freeze")
    place.good(BEFORE[0], record("s", id=1, a=2, b="y"), on_schema_change="freeze")
    assert place.rows("s") == [{"id": 1, "a": 2, "b": "y"}]


def test_frozen_columns_let_pass_what_changes_no_column(place: Place) -> None:
    """A narrower type, and an array that comes no more: the child dataset stays as it was."""
    head = schema("s", {"id": KEY, "n": NUMBER, "l": LINES})
    place.good(head, record("s", id=1, n=0.5, l=[{"n": 1}]), load_method="upsert")
    narrower = [schema("s", {"id": KEY, "n": INTEGER}), record("s", id=1, n=7)]
    place.good(*narrower, load_method="upsert", on_schema_change="freeze")
    assert (place.rows("s"), place.frame("s__l")["n"].to_list()) == ([{"id": 1, "n": 7.0}], [1])
    note = "s__l has no array in the schema any more: its latest stays as it was"
    assert note in place.summary("s")["notes"]


def test_columns_of_one_stream_may_be_frozen(place: Place) -> None:
    place.good(*BEFORE)
    overrides = {"s": {"on_schema_change": "freeze"}}
    assert place.run(*CHANGES["a new column"][0], stream_overrides=overrides).code == 1


def test_a_column_that_comes_no_more_stays_and_is_noted_once(place: Place) -> None:
    place.good(*BEFORE, load_method="upsert")
    fewer = schema("s", {"id": KEY, "a": INTEGER})
    place.good(fewer, record("s", id=2, a=2), load_method="upsert")
    assert place.rows("s") == [{"id": 1, "a": 1, "b": "x"}, {"id": 2, "a": 2, "b": None}]
    note = "columns that come no more: b; they stay, null in new rows"
    assert note in place.summary("s")["notes"]
    place.good(fewer, record("s", id=3, a=3), load_method="upsert")
    assert note not in place.summary("s")["notes"]


@pytest.mark.parametrize("load_method", ["upsert", "overwrite", "append-only"])
def test_a_column_keeps_its_field_id_and_a_new_or_retyped_one_gets_the_next(
    place: Place, load_method: str
) -> None:
    whole, text, real = INTEGER, STRING, NUMBER
    assert run(place, {"a": whole, "b": text}, load_method, a=1) == {"id": 1, "a": 2, "b": 3}
    assert run(place, {"b": text, "c": text}, load_method, c="x") == {"id": 1, "a": 2, "b": 3, "c": 4}
    assert run(place, {"a": real}, load_method, a=1.5) == {"id": 1, "a": 5, "b": 3, "c": 4}
    assert run(place, {"d": text}, load_method, d="x") == {"id": 1, "a": 5, "b": 3, "c": 4, "d": 6}


def test_a_child_dataset_has_field_ids_of_its_own(place: Place) -> None:
    place.good(schema("s", {"id": KEY, "l": LINES}), record("s", id=1, l=[{"n": 1}]))
    assert ids(place, "s__l") == {"_parent_id": 1, "_position": 2, "n": 3}
    assert ids(place) == {"id": 1}


@given(st.lists(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["int", "text", "real"]))))
def test_an_id_never_means_two_fields(runs: list[dict[str, str]]) -> None:
    """Columns stay and keep their type, or come, or change it, in any order."""
    kept: dict[str, int] = {}
    types: dict[str, str] = {}
    last = 0
    meaning: dict[int, tuple[str, str]] = {}
    for columns in runs:
        retyped = {name for name, kind in columns.items() if types.get(name, kind) != kind}
        before, types = dict(kept), types | columns
        kept, last = next_ids(kept, last, list(types), retyped)
        assert kept.keys() == types.keys()
        assert max(kept.values(), default=0) <= last
        for name, number in kept.items():
            assert meaning.setdefault(number, (name, types[name])) == (name, types[name])
            assert number == before.get(name, number) or name in retyped


def test_a_run_that_changes_nothing_notes_no_column_that_comes_no_more(place: Place) -> None:
    """Nobody would remember it: the note came in each run."""
    both, one = {"id": KEY, "n": STRING}, {"id": KEY}
    place.good(schema("s", both, bookmarks=["id"]), record("s", id=1, n="a"), bookmark("s", 1, "id"))
    for _ in range(2):
        place.good(schema("s", one, bookmarks=["id"]), bookmark("s", 1, "id"))
        assert (place.summary("s")["status"], place.summary("s")["notes"]) == ("unchanged", [])
    place.good(schema("s", one, bookmarks=["id"]), record("s", id=2), bookmark("s", 2, "id"))
    assert place.summary("s")["notes"] == ["columns that come no more: n; they stay, null in new rows"]
