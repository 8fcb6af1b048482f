"""STATE in mid-run: what it covers is on disk, survives a kill, and is published once, by a later run."""

import json
import signal
import time
from typing import Any

import pytest

from lake_parquet.recover import recover
from tests.target.command import Ended, Place
from tests.target.messages import (
    KEY,
    MOMENT,
    STRING,
    activate,
    bookmark,
    record,
    schema,
    state,
)
from tests.target.orders import CHANGES, ORDERS, change

EACH = {"checkpoint_seconds": 0}
EVENTS = schema("events", {"n": KEY, "updated_at": MOMENT}, keys=[], bookmarks=["updated_at"])
ITEMS = schema(
    "orders",
    {
        "id": KEY,
        "updated_at": MOMENT,
        "items": {"type": "array", "items": {"type": "object", "properties": {"sku": STRING}}},
    },
    bookmarks=["updated_at"],
)


def event(n: int, day: int) -> str:
    return record("events", n=n, updated_at=f"2026-01-{day:02d}T12:00:00Z")


def order(identity: int, day: int, *skus: str) -> str:
    items = [{"sku": sku} for sku in skus]
    return record("orders", id=identity, updated_at=f"2026-01-{day:02d}T12:00:00Z", items=items)


def mark(stream: str, day: int) -> str:
    return bookmark(stream, f"2026-01-{day:02d}")


def value(line: str) -> Any:
    return json.loads(line)["value"]


def killed(place: Place, *lines: str, number: signal.Signals = signal.SIGKILL, **config: Any) -> Ended:
    """Feeds `lines`, waits until a STATE for each STATE among them is out, and kills."""
    first = next(i for i, line in enumerate(lines) if '"RECORD"' in line)
    states = sum('"STATE"' in line for line in lines[first:])
    argv = ("target-lake-parquet", "--config", place.configured(**{**EACH, **config}))
    with place.feeding(*argv) as process:
        process.feed("".join(line + "\n" for line in lines).encode())
        process.await_read()
        deadline = time.monotonic() + 30
        while states and (place.folder / "stdout").read_text().count("\n") < states:
            assert time.monotonic() < deadline, process.err()
            time.sleep(0.01)
        process.forked.send_signal(number)
        return process.end()


def names(place: Place, stream: str = "orders") -> list[Any]:
    return [row["name"] for row in place.rows(stream)]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_rows_that_a_printed_state_covers_are_published_by_the_next_run(
    place: Place, number: signal.Signals
) -> None:
    place.good(CHANGES, change(1, "old"), mark("orders", 1))
    ended = killed(
        place, CHANGES, change(2, "kept", 2), mark("orders", 2), change(3, "lost", 3), number=number
    )
    assert [json.loads(line) for line in ended.out.splitlines()] == [value(mark("orders", 2))]
    assert names(place) == ["old"]
    resumed = [mark("orders", 2), CHANGES, change(4, "new", 4), mark("orders", 4)]
    ended = place.good(*resumed)
    assert "Recovered from an earlier run: Published orders: 2 rows" in ended.err
    assert names(place) == ["old", "kept", "new"]
    assert place.staged() == []


def test_the_next_run_recovers_streams_that_it_does_not_bring_itself(place: Place) -> None:
    place.good(CHANGES, change(1, "old"), mark("orders", 1))
    killed(place, CHANGES, change(2, "kept", 2), mark("orders", 2))
    place.good(schema("other", {"id": KEY}), record("other", id=1))
    assert names(place) == ["old", "kept"]
    recovered, own = [json.loads(path.read_text()) for path in sorted((place.root / "_meta/runs").glob("*"))][
        -2:
    ]
    told = [[one["dataset"] for one in run["datasets"]] for run in (recovered, own)]
    assert sorted(told) == [["orders"], ["other"]]


def test_half_a_first_load_is_never_the_latest_and_the_resumed_read_completes_it(place: Place) -> None:
    killed(place, CHANGES, change(1, "a", 1), mark("orders", 1), change(2, "b", 2), mark("orders", 2))
    place.good(schema("other", {"id": KEY}), record("other", id=1))
    assert place.datasets() == ["other"]
    ended = place.good(mark("orders", 2), CHANGES, change(2, "b2", 2), change(3, "c", 3), mark("orders", 3))
    assert names(place) == ["a", "b2", "c"]
    assert "with 2 rows that the run" in ended.err
    summary = place.summary("orders")
    assert (summary["rows_added"], summary["rows_updated"], summary["status"]) == (3, 0, "published")
    assert place.staged() == []


def test_a_first_load_may_die_many_times(place: Place) -> None:
    for day in range(1, 5):
        opening = [mark("orders", day - 1)] if day > 1 else []
        killed(place, *opening, CHANGES, change(day, str(day), day), mark("orders", day))
    assert place.datasets() == []
    place.good(mark("orders", 4), CHANGES, change(5, "5", 5), mark("orders", 5))
    assert names(place) == ["1", "2", "3", "4", "5"]
    assert place.staged() == []


def test_a_first_load_that_a_dying_tap_cuts_short_waits_and_hands_its_bookmark_on(place: Place) -> None:
    open_state = {
        "bookmarks": {
            "orders": {
                "replication_key": "updated_at",
                "replication_key_value": "2026-01-02",
                "starting_replication_value": None,
            }
        }
    }
    ended = place.run(CHANGES, change(1, "a", 1), state(open_state))
    assert (ended.code, json.loads(ended.out)) == (1, open_state)
    assert place.summary("orders")["status"] == "held"
    assert "the 1 rows that arrived wait in .staging/" in ended.err
    place.good(state(open_state), CHANGES, change(2, "b", 2), mark("orders", 2))
    assert names(place) == ["a", "b"]


def test_children_of_kept_rows_are_published_with_them(place: Place) -> None:
    place.good(ITEMS, order(1, 1, "x", "y"), order(2, 1, "z"), mark("orders", 1))
    killed(place, ITEMS, order(1, 2, "x2"), order(3, 2, "w"), mark("orders", 2))
    place.good(mark("orders", 2), ITEMS, order(3, 3), mark("orders", 3))
    found = [(row["_parent_id"], row["_position"], row["sku"]) for row in place.rows("orders__items")]
    assert sorted(found) == [(1, 0, "x2"), (2, 0, "z")]


@pytest.mark.parametrize("base", [True, False], ids=["onto a snapshot", "first load"])
def test_rows_without_keys_are_neither_lost_nor_doubled(place: Place, base: bool) -> None:  # noqa: FBT001
    if base:
        place.good(EVENTS, event(1, 1), mark("events", 1))
    killed(place, EVENTS, event(2, 2), event(3, 3), mark("events", 3), event(4, 4))
    place.good(mark("events", 3), EVENTS, event(3, 3), event(4, 4), event(5, 5), mark("events", 5))
    assert [row["n"] for row in place.rows("events")] == [1] * base + [2, 3, 4, 5]


def test_a_cut_stream_without_keys_is_published_up_to_its_last_bookmark(place: Place) -> None:
    place.good(EVENTS, event(1, 1), mark("events", 1))
    ended = place.run(EVENTS, event(2, 2), mark("events", 2), event(3, 3), '{"type": "REC', cut=True)
    assert (ended.code, json.loads(ended.out)) == (1, value(mark("events", 2)))
    assert [row["n"] for row in place.rows("events")] == [1, 2]


def test_kept_rows_are_merged_once_though_the_run_dies_before_it_clears_up(place: Place) -> None:
    """The run that absorbs them is killed between its commit and the end: here, by a folder that stays."""
    place.good(EVENTS, event(1, 1), mark("events", 1))
    killed(place, EVENTS, event(2, 2), mark("events", 2))
    (run,) = place.staged()
    journal = (place.root / ".staging" / run / "journal.json").read_bytes()
    segments = {path.name: path.read_bytes() for path in (place.root / ".staging" / run).glob("*.segment")}
    recover(place.lake.store)
    folder = place.root / ".staging" / run
    folder.mkdir()
    (folder / "journal.json").write_bytes(journal)
    for name, data in segments.items():
        (folder / name).write_bytes(data)
    info = place.lake.latest_snapshot("events").info
    assert info is not None
    assert info.absorbed == (run,)
    place.good(mark("events", 2), EVENTS, event(3, 3), mark("events", 3))
    assert [row["n"] for row in place.rows("events")] == [1, 2, 3]
    assert place.staged() == []


def test_a_full_tables_bookmark_is_left_out_until_it_is_published(place: Place) -> None:
    full = {"bookmarks": {"orders": {"version": 7, "last_pk_fetched": {"id": 1}, "max_pk_values": {"id": 9}}}}
    both = {"bookmarks": {**full["bookmarks"], **value(mark("events", 1))["bookmarks"]}}
    ended = killed(place, ORDERS, activate("orders", 7), change(1, "a"), EVENTS, event(1, 1), state(both))
    assert json.loads(ended.out) == value(mark("events", 1))
    place.good(EVENTS, mark("events", 1), event(2, 2), mark("events", 2))
    assert place.datasets() == ["events"]
    kept = [path.name for path in (place.root / ".incomplete").glob("*/*")]
    assert kept == ["orders"]


def test_a_payload_without_bookmarks_waits_until_all_is_published(place: Place) -> None:
    ended = place.good(CHANGES, change(1, "a"), state({"a": 1}), change(2, "b"), state({"a": 2}), **EACH)
    assert [json.loads(line) for line in ended.out.splitlines()] == [{"a": 2}]


def test_our_taps_full_read_onto_a_snapshot_hands_no_bookmark_on(place: Place) -> None:
    """Gone on from its middle, the next run would not remove what the source has deleted."""
    place.good(CHANGES, change(1, "gone"), change(2, "b"), mark("orders", 1))
    anew = json.loads(CHANGES)
    anew["schema"]["x-singerlake"] = {"closes_with": "ACTIVATE_VERSION"}
    ended = killed(place, json.dumps(anew), change(2, "b", 2), mark("orders", 2))
    assert json.loads(ended.out) == value(mark("orders", 1))
    place.good(json.dumps(anew), change(2, "b", 2), mark("orders", 2), activate("orders", 5))
    assert names(place) == ["b"]


def test_a_stream_that_fails_later_keeps_what_a_printed_state_covers(place: Place) -> None:
    place.good(CHANGES, change(1, "old"), mark("orders", 1))
    bad = record("orders", id=3, name="x", updated_at="no date")
    ended = place.run(
        CHANGES, change(2, "kept", 2), mark("orders", 2), bad, mark("orders", 3), checkpoint_seconds=0
    )
    assert ended.code == 1
    states = [json.loads(line) for line in ended.out.splitlines()]
    assert states == [value(mark("orders", 2))]
    assert names(place) == ["old"]
    place.good(mark("orders", 2), CHANGES, change(3, "good", 3), mark("orders", 3))
    assert names(place) == ["old", "kept", "good"]


def test_stub_rows_hand_no_bookmark_on(place: Place) -> None:
    stub = json.loads(CHANGES)
    stub["schema"]["x-singerlake"] = {"source": "shop", "origin": "stub"}
    ended = place.good(json.dumps(stub), change(1, "a"), mark("orders", 1), change(2, "b"), **EACH)
    assert ended.out == ""


def test_lake_recover_publishes_what_waits_and_tells_what_goes_on_waiting(place: Place) -> None:
    def lake(*argv: str) -> Ended:
        return place.command("lake", "recover", "--lake", str(place.root), *argv)

    place.good(CHANGES, change(1, "old"), mark("orders", 1))
    assert (lake().code, lake().out, lake().err.strip()) == (0, "", "No rows wait.")
    killed(place, CHANGES, change(2, "kept", 2), mark("orders", 2), EVENTS, event(1, 1), mark("events", 1))
    ended = lake()
    assert ended.code == 1
    assert [line.split(": ")[:2] for line in ended.out.splitlines()] == [
        ["orders", "published, 2 rows"],
        ["events", "held, 1 row waiting"],
    ]
    assert names(place) == ["old", "kept"]
    (one,) = json.loads(lake("--json", "--publish-incomplete").out)
    assert (one["dataset"], one["status"], one["row_count"]) == ("events", "published", 1)
    assert place.staged() == []


def test_changed_keys_leave_kept_rows_alone_until_someone_decides(place: Place) -> None:
    killed(place, CHANGES, change(1, "a", 1), mark("orders", 1))
    other = schema("orders", {"id": KEY, "name": STRING, "updated_at": MOMENT}, ["name"], ["updated_at"])
    ended = place.run(mark("orders", 1), other, change(2, "b", 2), mark("orders", 2))
    assert ended.code == 1
    assert len(place.staged()) == 1
    recovered = recover(place.lake.store, publish_incomplete=True)
    assert [(one.status, one.row_count) for one in recovered] == [("published", 1)]
    assert place.staged() == []


def test_keys_that_change_after_a_printed_state_leave_what_it_covers_to_the_next_run(place: Place) -> None:
    place.good(CHANGES, change(1, "old"), mark("orders", 1))
    other = schema(
        "orders", {"id": KEY, "name": STRING, "updated_at": MOMENT}, ["id", "name"], ["updated_at"]
    )
    ended = place.run(
        CHANGES,
        change(2, "kept", 2),
        mark("orders", 2),
        other,
        change(3, "x", 3),
        mark("orders", 3),
        checkpoint_seconds=0,
    )
    assert (ended.code, [json.loads(line) for line in ended.out.splitlines()]) == (
        1,
        [value(mark("orders", 2))],
    )
    assert "the keys changed within the run" in ended.err
    assert names(place) == ["old"]
    place.good(mark("orders", 2), CHANGES, change(4, "new", 4), mark("orders", 4))
    assert names(place) == ["old", "kept", "new"]
