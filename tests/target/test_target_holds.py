"""What must not become the latest: stub rows over real ones, half a history, a truncated read."""

import json
from decimal import Decimal

import polars as pl
import pytest

from tests.target.command import Place
from tests.target.messages import (
    INTEGER,
    KEY,
    NUMBER,
    STRING,
    activate,
    bookmark,
    record,
    schema,
    state,
)
from tests.target.orders import CHANGES, ORDERS, change

# Our taps' marks: stub data, and reads that close.

API = {"source": "shop", "origin": "api", "closes_with": "ACTIVATE_VERSION"}
STUB = {"source": "shop", "origin": "stub", "closes_with": "ACTIVATE_VERSION"}


def marked(mark: dict[str, str], *names: str, version: int = 1) -> list[str]:
    head = schema("orders", {"id": KEY, "name": STRING}, mark=mark)
    rows = [record("orders", id=i, name=name) for i, name in enumerate(names)]
    return [head, *rows, activate("orders", version), bookmark("orders", "2026-01-01")]


def test_stub_rows_are_visible_and_print_no_state(place: Place) -> None:
    ended = place.good(*marked(STUB, "made up"))
    assert ended.out == ""
    assert "stub data" in ended.err
    assert place.summary("shop_orders")["source"] == "shop_stub"
    info = place.lake.latest_snapshot("shop_orders").info
    assert info is not None
    assert info.is_stub


def test_stub_rows_never_replace_rows_of_the_api(place: Place) -> None:
    place.good(*marked(API, "real"))
    ended = place.run(*marked(STUB, "made up", version=2))
    assert (ended.code, ended.out) == (1, "")
    assert [row["name"] for row in place.rows("shop_orders")] == ["real"]
    assert place.summary("shop_orders")["status"] == "held"


def test_the_first_rows_of_the_api_replace_stub_rows(place: Place) -> None:
    place.good(*marked(STUB, "made up", "made up too"))
    place.good(*marked(API, "real", version=2))
    assert [row["name"] for row in place.rows("shop_orders")] == ["real"]
    assert "replaces stub data" in place.summary("shop_orders")["notes"]


def test_another_accounts_rows_are_held(place: Place) -> None:
    """A tenant's name that was forgotten or mistyped must not put one shop's rows over another's."""
    place.good(*marked(API | {"account": "acme.example"}, "a", "b"))
    ended = place.run(*marked(API | {"account": "bolt.example"}, "x", "y", version=2))
    assert ended.code == 1
    assert "the rows of acme.example, this run brings those of bolt.example" in ended.err
    assert [row["name"] for row in place.rows("shop_orders")] == ["a", "b"]


def test_a_read_that_was_cut_short_is_merged_and_told(place: Place) -> None:
    place.good(CHANGES, change(1, "a"), bookmark("orders", "2026-01-01"))
    place.good(CHANGES, change(2, "b", 2), state({"bookmarks": {"orders": {"progress_markers": {}}}}))
    assert len(place.rows("orders")) == 2
    assert (place.record()["status"], place.summary("orders")["proof"]) == ("incomplete", "open")
    assert "WARNING" in next(
        line
        for line in place.run(
            CHANGES, state({"bookmarks": {"orders": {"progress_markers": {}}}})
        ).err.splitlines()
        if "orders:" in line
    )


def test_the_run_names_the_source_that_the_tap_names(place: Place) -> None:
    place.good(*marked(API, "a"))
    assert place.record()["source"] == "shop"


def test_a_read_that_lacks_its_closing_word_is_held(place: Place) -> None:
    place.good(*marked(API, "a", "b", "c"))
    ended = place.run(*marked(API, "a", "b", version=2)[:3])
    assert ended.code == 1
    assert len(place.rows("shop_orders")) == 3
    one = place.summary("shop_orders")
    assert (one["status"], one["proof"], one["row_count"], one["rows_read"]) == ("held", "open", 3, 2)


def test_a_read_from_a_bookmark_into_an_absent_dataset_is_held(place: Place) -> None:
    opening = bookmark("orders", "2026-01-01")
    ended = place.run(opening, CHANGES, change(9, "z", 2), bookmark("orders", "2026-01-02"))
    assert ended.code == 1
    assert place.datasets() == []
    assert "no snapshot of this dataset to build on" in ended.err
    assert json.loads(ended.out) == json.loads(opening)["value"]


def test_a_first_read_whose_tap_prepared_for_it_is_no_read_from_a_bookmark(place: Place) -> None:
    """Our taps write down what they prepare before a stream's turn; `closes_with` says that all is read."""
    prepared = {
        "bulk_operation": "1",
        "deletions_told_until": "2026-01-01",
        "starting_replication_value": "x",
    }
    opening = state({"bookmarks": {"orders": prepared}})

    place.good(opening, *marked(API, "a", "b"))

    assert len(place.rows("shop_orders")) == 2


def test_the_remainder_of_a_full_table_never_becomes_the_latest(place: Place) -> None:
    done = state({"bookmarks": {"orders": {"initial_full_table_complete": True}}})
    place.good(ORDERS, *(record("orders", id=i, name="a") for i in range(10)), done)
    stopped = state({"bookmarks": {"orders": {"max_pk_values": {"id": 9}, "last_pk_fetched": {"id": 7}}}})
    ended = place.run(
        stopped, ORDERS, record("orders", id=8, name="a"), record("orders", id=9, name="a"), done
    )
    assert ended.code == 1
    assert len(place.rows("orders")) == 10
    assert "--full-refresh" in ended.err


def test_the_bookmark_of_a_held_full_table_is_left_out(place: Place) -> None:
    """Resumed from it, the next run would hold the remainder again, and be held again."""
    done = state({"bookmarks": {"orders": {"initial_full_table_complete": True}}})
    place.good(ORDERS, *(record("orders", id=i, name="a") for i in range(10)), done)
    stopped = state({"bookmarks": {"orders": {"max_pk_values": {"id": 9}, "last_pk_fetched": {"id": 7}}}})
    ended = place.run(stopped, ORDERS, record("orders", id=9, name="a"), done)
    assert (ended.code, json.loads(ended.out)) == (1, {"bookmarks": {}})


def test_a_quiet_run_says_nothing_of_how_a_stream_is_read(place: Place) -> None:
    """Neither an incremental run without rows nor a first run without any settles the load method."""
    place.good(ORDERS, record("orders", id=1, name="a"), bookmark("orders", 1))
    place.good(ORDERS, state({"bookmarks": {"orders": {}}}))
    assert place.summary("orders")["status"] == "unchanged"

    place.good(ORDERS.replace("orders", "quiet"), state({"bookmarks": {"quiet": {}}}))
    place.good(ORDERS.replace("orders", "quiet"), record("quiet", id=1, name="a"), bookmark("quiet", 1))
    assert len(place.rows("quiet")) == 1


def test_a_held_stream_takes_no_other_streams_bookmark_with_it(place: Place) -> None:
    """Database taps write `schema-table` where the stream is `table`; `archived-orders` is no such key."""
    place.good(*marked(API, "a", "b", "c"))
    archived = schema("archived-orders", {"id": KEY, "at": INTEGER}, bookmarks=["at"])
    at = {"replication_key": "at", "replication_key_value": 3}
    last = state({"bookmarks": {"archived-orders": at}})
    cut = marked(API, "a", version=2)[:2]
    ended = place.run(*cut, archived, record("archived-orders", id=1, at=3), last, source="shop")
    assert (ended.code, json.loads(ended.out)["bookmarks"]["archived-orders"]) == (1, at)


def test_a_stream_that_is_held_from_anothers_dataset_does_not_print_the_others_bookmark(place: Place) -> None:
    """Its next run would begin there, and skip its own rows."""
    head = schema("s", {"id": KEY, "updated_at": STRING}, bookmarks=["updated_at"])
    place.good(head, record("s", id=1, updated_at="5"), bookmark("s", "5"), tenant_id="a", source="b_c")
    lines = [head, record("s", id=2, updated_at="9"), bookmark("s", "9")]
    ended = place.run(*lines, tenant_id="a_b", source="c")
    assert (ended.code, ended.out) == (1, '{"bookmarks":{}}\n')


def test_a_child_dataset_that_is_sent_no_more_is_named(place: Place) -> None:
    lines = {"type": "array", "items": {"type": "object", "properties": {"n": INTEGER}}}
    place.good(schema("orders", {"id": KEY, "lines": lines}), record("orders", id=1, lines=[{"n": 1}]))
    place.good(schema("orders", {"id": KEY}), record("orders", id=1), record("orders", id=2))
    (note,) = (note for note in place.summary("orders")["notes"] if "orders__lines" in note)
    assert note == "orders__lines has no array in the schema any more: its latest stays as it was"


# A truncated input never replaces a good snapshot.

SMALL = [
    state({"bookmarks": {}}),
    schema("orders", {"id": KEY, "name": STRING}, mark=API),
    record("orders", id=1, name="a"),
    record("orders", id=2, name="b"),
    activate("orders", 2),
    schema("events", {"id": KEY, "at": INTEGER}, bookmarks=["at"]),
    record("events", id=10, at=10),
    record("events", id=11, at=11),
    state({"bookmarks": {"events": {"replication_key": "at", "replication_key_value": 11}}}),
]


@pytest.mark.parametrize("end", range(len(SMALL) + 1))
@pytest.mark.parametrize("inside", [False, True], ids=["after", "inside"])
def test_cut_after_any_line_or_inside_it_no_good_snapshot_shrinks(
    place: Place, end: int, *, inside: bool
) -> None:
    first = [
        *SMALL[:2],
        *(record("orders", id=i, name="old") for i in range(5)),
        activate("orders", 1),
        SMALL[5],
    ]
    place.good(*first, record("events", id=1, at=1), bookmark("events", 1, "at"), source="shop")
    lines = [*SMALL[:end], SMALL[end][: len(SMALL[end]) // 2]] if inside and end < len(SMALL) else SMALL[:end]
    ended = place.run(*lines, cut=inside, source="shop")
    orders = [row["name"] for row in place.rows("shop_orders")]
    whole = end >= 5  # what a closing version proved before the cut stays proven
    assert orders == (["a", "b"] if whole else ["old"] * 5)
    events = {row["id"] for row in place.rows("shop_events")}
    assert events >= {1}
    if not whole or end < len(SMALL):
        assert ended.out == "" or json.loads(ended.out) == {"bookmarks": {}}
    if inside and end < len(SMALL):
        assert ended.code == 1
    assert place.staged() == []


def test_an_unproven_full_read_that_lost_many_rows_is_held_and_accepted_by_a_setting(place: Place) -> None:
    place.good(ORDERS, *(record("orders", id=i, name="a") for i in range(100)))
    place.good(ORDERS, *(record("orders", id=i, name="a") for i in range(95)))
    ended = place.run(
        ORDERS, *(record("orders", id=i, name="a") for i in range(90)), state({"bookmarks": {}})
    )
    assert ended.code == 1
    assert "rows fell from 95 to 90" in ended.err
    assert "max_row_drop" in ended.err
    assert len(place.rows("orders")) == 95


def test_held_rows_are_kept_whole_whatever_their_types(place: Place) -> None:
    """Blocks of one column may have types that meet in a lossy one: 2**53 + 1 became a float."""
    big = 2**53 + 1
    ended = place.run(
        schema("s", {"id": KEY, "n": INTEGER}, mark=API), record("s", id=1, n=big),
        schema("s", {"id": KEY, "n": NUMBER}, mark=API), record("s", id=2, n=0.5),
    )  # fmt: skip
    assert ended.code == 1
    assert place.datasets() == []
    (kept,) = (place.root / ".incomplete").glob("*/shop_s.parquet")
    assert pl.read_parquet(kept)["n"].to_list() == [Decimal(big), Decimal("0.5")]
