"""What a run leaves in the lake: the command in real processes and pipes."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from target_lake_parquet.target import _widen
from tests.target.command import Place
from tests.target.messages import (
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
from tests.target.orders import CHANGES, LINES, NOON, ORDERS, change, day


def test_a_full_read_is_the_whole_next_snapshot_and_the_earlier_one_stays(place: Place) -> None:
    place.good(
        ORDERS, record("orders", id=1, name="a"), record("orders", id=2, name="b"), activate("orders", 1)
    )
    place.good(
        ORDERS, activate("orders", 2), record("orders", id=2, name="B"), record("orders", id=3, name="c"),
        activate("orders", 2),
    )  # fmt: skip
    assert place.rows("orders") == [{"id": 2, "name": "B"}, {"id": 3, "name": "c"}]
    assert len(place.names("orders")) == 2
    one = place.summary("orders")
    counts = {name: one[name] for name in ("status", "row_count", "rows_read", "rows_added", "rows_updated")}
    assert counts == {
        "status": "published",
        "row_count": 2,
        "rows_read": 2,
        "rows_added": 1,
        "rows_updated": 1,
    }
    assert (one["rows_deleted"], one["base"], one["proof"]) == (1, None, "proven")


def test_incremental_runs_add_up_to_every_live_row(place: Place) -> None:
    place.good(CHANGES, change(1, "a"), change(2, "b"), bookmark("orders", "2026-01-01T12:00:00Z"))
    before = place.summary("orders")["path"]
    place.good(CHANGES, change(2, "B", 2), change(3, "c", 2), bookmark("orders", "2026-01-02T12:00:00Z"))
    assert place.rows("orders") == [
        {"id": 1, "name": "a", "updated_at": day(1)},
        {"id": 2, "name": "B", "updated_at": day(2)},
        {"id": 3, "name": "c", "updated_at": day(2)},
    ]
    one = place.summary("orders")
    assert (one["rows_added"], one["rows_updated"], one["rows_deleted"], one["row_count"]) == (1, 1, 0, 3)
    assert one["base"] == before


def test_the_last_row_of_a_key_wins_within_a_run_and_is_noted(place: Place) -> None:
    place.good(ORDERS, *(record("orders", id=1, name=name) for name in "abc"))
    assert place.rows("orders") == [{"id": 1, "name": "c"}]
    assert "2 rows replaced by a later row of the same key within the run" in place.summary("orders")["notes"]


def test_rows_without_keys_are_appended_and_the_boundary_is_not_doubled(place: Place) -> None:
    head = schema("orders", {"id": KEY, "name": STRING, "updated_at": MOMENT}, [], ["updated_at"])
    place.good(head, change(1, "a"), change(2, "b", 2), change(2, "b", 2), bookmark("orders", "2026-01-02"))
    place.good(
        head, change(2, "b", 2), change(2, "b", 2), change(2, "b", 2), change(3, "c", 3),
        bookmark("orders", "2026-01-03"),
    )  # fmt: skip
    assert [row["id"] for row in place.rows("orders")] == [1, 2, 2, 2, 3]
    assert place.summary("orders")["rows_added"] == 2


def test_a_run_that_changes_nothing_writes_no_file_and_prints_the_bookmark(place: Place) -> None:
    lines = [CHANGES, change(1, "a"), bookmark("orders", "2026-01-01T12:00:00Z")]
    place.good(*lines)
    ended = place.good(*lines)
    assert len(place.names("orders")) == 1
    assert place.summary("orders")["status"] == "unchanged"
    assert ended.out == json.dumps(json.loads(lines[2])["value"]) + "\n"


def test_an_incremental_run_without_rows_leaves_the_snapshot_alone(place: Place) -> None:
    place.good(CHANGES, change(1, "a"), bookmark("orders", "2026-01-01T12:00:00Z"))
    place.good(CHANGES, bookmark("orders", "2026-01-01T12:00:00Z"))
    assert place.summary("orders")["status"] == "unchanged"
    assert place.rows("orders") == [{"id": 1, "name": "a", "updated_at": day(1)}]


def test_a_streams_first_run_publishes_rows_or_not_and_its_children_too(place: Place) -> None:
    place.good(schema("orders", {"id": KEY, "lines": LINES}))
    assert place.datasets() == ["orders", "orders__lines"]
    assert place.frame("orders").columns == ["id"]
    assert place.frame("orders__lines").columns == ["_parent_id", "_position", "sku"]


def test_a_proven_full_read_of_nothing_empties_the_dataset(place: Place) -> None:
    place.good(ORDERS, record("orders", id=1, name="a"), activate("orders", 1))
    place.good(ORDERS, activate("orders", 2), activate("orders", 2))
    assert place.rows("orders") == []
    assert place.summary("orders")["rows_deleted"] == 1


def test_a_child_dataset_follows_its_parent(place: Place) -> None:
    head = schema("orders", {"id": KEY, "updated_at": MOMENT, "lines": LINES}, bookmarks=["updated_at"])

    def order(identity: int, *skus: str) -> str:
        return record(
            "orders", id=identity, updated_at=NOON.isoformat(), lines=[{"sku": sku} for sku in skus]
        )

    end = bookmark("orders", "2026-01-01")
    place.good(head, order(1, "a", "b"), order(2, "c"), order(3, "d"), end)
    place.good(head, order(1, "B"), order(2), end)
    assert place.rows("orders__lines") == [
        {"_parent_id": 1, "_position": 0, "sku": "B"},
        {"_parent_id": 3, "_position": 0, "sku": "d"},
    ]
    one = place.summary("orders__lines")
    assert (one["rows_added"], one["rows_updated"], one["rows_deleted"]) == (0, 1, 2)
    info = place.lake.latest_snapshot("orders").info
    assert info is not None
    assert info.children == {"orders__lines": one["path"]}


def test_a_deleted_row_leaves_with_its_children(place: Place) -> None:
    head = schema("orders", {"id": KEY, "_sdc_deleted_at": MOMENT, "lines": LINES}, bookmarks=["_sdc_lsn"])
    end = bookmark("orders", 5)
    place.good(head, *(record("orders", id=i, lines=[{"sku": "a"}]) for i in (1, 2)), end)
    place.good(head, record("orders", id=1, _sdc_deleted_at="2026-01-02T00:00:00Z"), end)
    assert [row["id"] for row in place.rows("orders")] == [2]
    assert [row["_parent_id"] for row in place.rows("orders__lines")] == [2]
    assert place.summary("orders")["rows_deleted"] == 1


def test_a_soft_delete_is_a_change_though_only_its_mark_differs(place: Place) -> None:
    """A mark whose column was there already used to be taken for no change, and was lost."""
    head = schema("orders", {"id": KEY, "_sdc_deleted_at": MOMENT}, bookmarks=["_sdc_lsn"])
    place.good(head, record("orders", id=1), bookmark("orders", 1), hard_delete=False)
    place.good(
        head,
        record("orders", id=1, _sdc_deleted_at=NOON.isoformat()),
        bookmark("orders", 2),
        hard_delete=False,
    )
    assert place.rows("orders") == [{"id": 1, "_sdc_deleted_at": NOON}]


def test_the_same_version_removes_nothing_another_one_all_that_was(place: Place) -> None:
    end = bookmark("orders", "2026-01-01")
    place.good(CHANGES, change(1, "a"), change(2, "b"), activate("orders", 7), end)
    place.good(CHANGES, activate("orders", 7), change(3, "c", 2), activate("orders", 7), end)
    assert [row["id"] for row in place.rows("orders")] == [1, 2, 3]
    place.good(CHANGES, activate("orders", 8), change(3, "c", 2), activate("orders", 8), end)
    assert [row["id"] for row in place.rows("orders")] == [3]


def test_columns_come_stay_and_widen_within_a_run_and_across_runs(place: Place) -> None:
    """Automattic's target loses every row before such a change."""
    place.good(
        schema("s", {"id": KEY, "n": INTEGER, "gone": STRING}), record("s", id=1, n=1, gone="x"),
        schema("s", {"id": KEY, "n": NUMBER, "new": STRING}), record("s", id=2, n=2.5, new="y"),
        load_method="upsert",
    )  # fmt: skip
    assert place.rows("s") == [
        {"id": 1, "n": 1.0, "gone": "x", "new": None},
        {"id": 2, "n": 2.5, "gone": None, "new": "y"},
    ]
    place.good(schema("s", {"id": KEY, "n": STRING}), record("s", id=3, n="many"), load_method="upsert")
    assert [row["n"] for row in place.rows("s")] == ["1", "2.5", "many"]
    assert "column n widened from float64 to string" in place.summary("s")["notes"]


def test_two_arrays_whose_names_meet_stay_two_datasets(place: Place) -> None:
    head = schema(
        "s",
        {
            "id": KEY,
            "a b": LINES,
            "a_b": LINES,
            "x": {"type": "object", "properties": {"y": LINES}},
            "x__y": LINES,
        },
    )
    values = {
        "a b": [{"sku": "space"}],
        "a_b": [{"sku": "line"}],
        "x": {"y": [{"sku": "deep"}]},
        "x__y": [{"sku": "flat"}],
    }
    place.good(head, record("s", id=1, **values))
    found = {name: [row["sku"] for row in place.rows(name)] for name in place.datasets() if name != "s"}
    assert len(found) == 4
    assert sorted(found.values()) == [["deep"], ["flat"], ["line"], ["space"]]
    assert found["s__x__y"] == ["flat"]


def test_a_stream_that_is_named_like_anothers_child_fails_alone(place: Place) -> None:
    ended = place.run(
        schema("s", {"id": KEY, "lines": LINES}), record("s", id=1, lines=[{"sku": "a"}]),
        schema("s__lines", {"id": KEY}), record("s__lines", id=7),
    )  # fmt: skip
    assert ended.code == 1
    assert place.rows("s__lines") == [{"_parent_id": 1, "_position": 0, "sku": "a"}]
    assert "stream 's'" in ended.err


@pytest.mark.parametrize(
    "name", ["_row", "live", "\0row", "_parent_id", "select", "ümläut", "a.b", "", "[bold]"]
)
def test_a_field_may_be_called_anything(place: Place, name: str) -> None:
    place.good(schema("s", {name: STRING, "id": KEY}, [name, "id"]), record("s", **{name: "x", "id": 1}))
    assert [sorted(map(str, row.values())) for row in place.rows("s")] == [["1", "x"]]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems cannot widen a pipe")
def test_a_pipe_is_widened_and_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    read, write = os.pipe()
    with os.fdopen(read, "rb") as pipe, os.fdopen(write, "wb"):
        _widen(pipe)
        assert fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) == 2**20
    written = tmp_path / "in.jsonl"
    written.write_bytes(b"as it was")
    with written.open("rb") as file:
        _widen(file)
        assert file.read() == b"as it was"


def told_at_exit(place: Place, expression: str) -> str:
    """What an expression is when a run that decoded a record ends."""
    fields = {"id": KEY, "at": MOMENT, "tags": {"type": "array", "items": STRING}, "lines": LINES}
    row = record("orders", id=1, at=NOON.isoformat(), tags=["a", None], lines=[{"sku": "x"}])
    code = (
        "import atexit, sys; import pyarrow as pa; from target_lake_parquet.__main__ import main; "
        f"atexit.register(lambda: print({expression})); main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, "--config", place.configured()],
        input=f"{schema('orders', fields)}\n{row}\n".encode(),
        capture_output=True,
        check=True,
    )
    assert place.rows("orders")[0]["tags"] == '["a",null]'
    return ended.stdout.decode().strip()


def test_a_run_does_not_import_pandas_which_pyarrow_looks_for(place: Place) -> None:
    """Where it is installed it takes a third of a second to import, and nothing here asks for it."""
    assert told_at_exit(place, "'pandas' in sys.modules") == "False"


def test_arrow_gives_its_memory_back_to_the_system(place: Place) -> None:
    """Its own pool would keep it: small blocks have that room."""
    assert told_at_exit(place, "pa.default_memory_pool().backend_name") == "system"
