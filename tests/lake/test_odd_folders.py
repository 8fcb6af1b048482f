"""What `lake` tells of a lake with links, pipes, broken files and bad records that were put aside."""

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result

from lake_parquet.cli import main
from lake_parquet.errors import LakeError
from lake_parquet.paths import dataset_name
from lake_parquet.prune import is_held_back
from lake_parquet.quarantine import Problem, Quarantine, quarantined
from lake_parquet.runs import DatasetSummary, RunRecord, write_run
from tests.lake.writer import PARENT, Writer, frame

NOW = datetime.now(UTC)
SCHEMA = {"id": pl.Int64, "v": pl.String}


def lake(writer: Writer, *argv: str) -> Result:
    return CliRunner().invoke(main, [*argv, "--lake", str(writer.root)])


def parsed(writer: Writer, *argv: str) -> Any:
    return json.loads(lake(writer, *argv, "--json").stdout)


def odd_lake(writer: Writer) -> None:
    """One good dataset, and one each with a link, a pipe, a broken file, and a link in its place."""
    writer.write([frame([{"id": 1, "v": "a"}], SCHEMA)], load_method="overwrite")
    raw = writer.root / "raw"
    good = next((raw / "orders").iterdir())
    for name in ("linked", "piped", "broken"):
        (raw / name).mkdir()
    (raw / "linked" / good.name).symlink_to(good)
    os.mkfifo(raw / "piped" / good.name)
    (raw / "broken" / good.name).write_bytes(b"no Parquet")
    (raw / "elsewhere").symlink_to(raw / "orders")


def test_a_link_a_pipe_or_a_broken_file_is_a_row_and_hides_no_other(writer: Writer) -> None:
    odd_lake(writer)
    found = {one["dataset"]: one for one in parsed(writer, "ls")}
    assert {name: one["row_count"] for name, one in found.items()} == {
        "broken": None,
        "elsewhere": None,
        "linked": None,
        "orders": 1,
        "piped": None,
    }
    assert found["orders"]["notes"] == []
    told = {name: [note["kind"] for note in one["notes"]] for name, one in found.items() if name != "orders"}
    assert set(map(tuple, told.values())) == {("unreadable",)}
    assert "is no plain file" in found["linked"]["notes"][0]["text"]
    assert "is no plain file" in found["piped"]["notes"][0]["text"]
    shown = lake(writer, "ls")
    assert (shown.exit_code, shown.stderr.count("4 unreadable")) == (0, 1)


def test_the_age_of_what_cannot_be_looked_at_is_unknown(writer: Writer) -> None:
    odd_lake(writer)
    write_run(
        writer.lake.store,
        RunRecord(
            run_id="20260101T000000000000Z-00000a",
            started_at="2026-01-01T00:00:00Z",
            datasets=[
                DatasetSummary(dataset="piped", stream="piped", status="published"),
                DatasetSummary(dataset="never", stream="never", status="failed", notes=["why"]),
            ],
        ),
    )
    found = {one["dataset"]: one["read_at"] for one in parsed(writer, "ls")}
    assert found["linked"] is None
    assert found["piped"] == "2026-01-01T00:00:00Z"
    assert found["never"] is None
    lines = {line.split()[0]: line.split() for line in lake(writer, "ls").stdout.splitlines()}
    assert lines["linked"] == ["linked", "?", "-", "-", "?", "?", "?", "-", "unreadable"]
    assert lines["never"] == ["never", "-", "-", "failed", "-", "-", "-", "-", "failed"]


def test_each_of_them_is_an_alarm_and_the_rest_is_checked(writer: Writer) -> None:
    odd_lake(writer)
    result = lake(writer, "check")
    assert result.exit_code == 1
    alarms = [line.split(": ")[:2] for line in result.stdout.splitlines()]
    assert alarms == [["unreadable", name] for name in ("broken", "elsewhere", "linked", "piped")]
    ignored = [part for name in ("broken", "elsewhere", "linked", "piped") for part in ("--ignore", name)]
    assert lake(writer, "check", *ignored).exit_code == 0


def put_aside(writer: Writer, days_ago: float, count: int) -> str:
    """A run that published, and put so many records aside."""
    moment = NOW - timedelta(days=days_ago)
    run_id = f"{moment:%Y%m%dT%H%M%S%f}Z-00000a"
    quarantine = Quarantine(writer.lake.store, run_id)
    record = quarantined(7, [Problem("id", "is no number")], b'{"id": "x"}')
    quarantine.append("orders", [record] * count)
    quarantine.sync()
    note = f"{count} bad records are in {quarantine.path('orders')}, the first: line 7: field 'id'"
    one = DatasetSummary(
        dataset="orders", stream="orders", status="published", rows_quarantined=count, notes=[note]
    )
    told = moment.isoformat()
    write_run(writer.lake.store, RunRecord(run_id=run_id, started_at=told, finished_at=told, datasets=[one]))
    return run_id


def test_bad_records_are_told_with_their_file_and_are_an_alarm_where_that_is_asked(writer: Writer) -> None:
    writer.upsert(frame([{"id": 1, "v": "a"}], SCHEMA))
    run_id = put_aside(writer, 0, 3)
    (one,) = parsed(writer, "ls")
    text = f"3 bad records are in .quarantine/{run_id}/orders.jsonl, the first: line 7: field 'id'"
    assert one["notes"] == [{"kind": "quarantine", "text": text}]
    assert lake(writer, "check").exit_code == 0
    assert lake(writer, "check", "--max-quarantined", "3").exit_code == 0
    result = lake(writer, "check", "--max-quarantined", "2")
    assert (result.exit_code, result.stdout) == (1, f"quarantine: orders: {text}\n")
    assert "3 in quarantine" in lake(writer, "runs").stdout


def test_bad_records_go_by_age_and_only_when_asked(writer: Writer) -> None:
    writer.upsert(frame([{"id": 1, "v": "a"}], SCHEMA))
    old, new = put_aside(writer, 40, 1), put_aside(writer, 3, 1)
    assert parsed(writer, "prune")["quarantine"] == []
    assert parsed(writer, "prune", "--quarantine", "30d")["quarantine"] == [old]
    assert f".quarantine/{old}" in lake(writer, "prune", "--quarantine", "30d").stdout
    assert "and the bad records of 1 run" in lake(writer, "prune", "--quarantine", "30d", "--yes").stderr
    assert [folder.name for folder in (writer.root / ".quarantine").iterdir()] == [new]


def test_verify_reads_all_the_others_and_tells_of_a_link_beside_them(writer: Writer) -> None:
    odd_lake(writer)
    (writer.root / "raw" / "evil").symlink_to("/etc/passwd")
    found = {one["path"]: one for one in parsed(writer, "verify")}
    (good,) = writer.names()
    raw = writer.root / "raw"
    (beside,) = found.pop("raw")["problems"]
    links = [raw / "elsewhere", raw / "evil"]  # one of them ends the listing
    assert beside in [f"{link} is no plain file: move it out of the lake" for link in links]
    assert found[f"raw/orders/{good}"]["problems"] == []
    assert {path: one["problems"] for path, one in found.items() if path.count("/") < 2} == {
        "raw/elsewhere": [f"{raw / 'elsewhere'} is a symbolic link, and a lake holds none: move it away"],
        "raw/linked": [f"{raw / 'linked' / good} is no plain file: move it out of the lake"],
        "raw/piped": [f"{raw / 'piped' / good} is no plain file: move it out of the lake"],
    }
    assert lake(writer, "verify").exit_code == 1


def test_sql_tells_of_the_odd_ones_and_answers(writer: Writer) -> None:
    odd_lake(writer)
    result = lake(writer, "sql", "from orders")
    assert (result.exit_code, result.stdout) == (0, "id,v\n1,a\n")
    warned = [line.split(": ")[:2] for line in result.stderr.splitlines()]
    assert warned == [
        ["Warning", f"{name} is no view"] for name in ("elsewhere", "linked", "piped", "broken")
    ]
    assert lake(writer, "sql", "from broken").exit_code == 1


def test_two_names_that_differ_by_case_alone_are_never_taken_for_one_another(writer: Writer) -> None:
    writer.lake.write_records("orders", [{"n": 1}])
    writer.lake.write_records("Orders", [{"n": 2}])
    writer.lake.write_records("items", [{"n": 3}])
    result = lake(writer, "sql", "from items")
    assert (result.exit_code, result.stdout) == (0, "n\n3\n")
    assert result.stderr.splitlines() == [
        f"Warning: {name} is no view: another differs by case alone, which SQL ignores: "
        f"latest('{name}') reads it"
        for name in ("Orders", "orders")
    ]
    assert lake(writer, "sql", "from orders").exit_code == 1
    assert lake(writer, "sql", "from latest('orders')").stdout == "n\n1\n"
    assert lake(writer, "sql", "from latest('Orders')").stdout == "n\n2\n"


def test_the_library_lists_the_others_with_a_warning_and_unites_no_part_of_what_was_asked(
    writer: Writer,
) -> None:
    odd_lake(writer)
    with pytest.warns(UserWarning, match="dataset (elsewhere|linked|piped) is left out: ") as warned:
        assert writer.lake.datasets() == ["broken", "orders"]
    assert len(warned) == 3
    assert writer.lake.latest("orders").collect()["id"].to_list() == [1]
    with pytest.raises(LakeError, match=r"dataset linked: .* is no plain file"):
        writer.lake.latest("*")


def old_family(writer: Writer) -> None:
    """Three snapshots of orders and of its items, days old."""
    item = {PARENT + "id": pl.Int64, "_position": pl.Int64, "sku": pl.String}
    for day in (9, 8, 7):
        writer.clock = NOW - timedelta(days=day)
        items = [frame([{PARENT + "id": day, "_position": 0, "sku": "a"}], item)]
        writer.upsert(frame([{"id": day, "v": "x"}], SCHEMA), items=items)


def everything_below(writer: Writer, *datasets: str) -> set[str]:
    root = writer.root
    folders = [root / place / name for name in datasets for place in ("raw", "_meta/claims")]
    return {str(path.relative_to(root)) for folder in folders for path in folder.glob("*")}


@pytest.mark.parametrize("oddity", ["broken latest", "broken earlier one", "link"])
def test_prune_removes_nothing_of_what_it_cannot_read_nor_of_its_children_and_prunes_the_others(
    writer: Writer, oddity: str
) -> None:
    old_family(writer)
    for day in (9, 8, 7):
        moment = f"{NOW - timedelta(days=day):%Y%m%dT%H%M%S%f}Z.parquet"
        (writer.root / "raw" / "others").mkdir(exist_ok=True)
        pl.DataFrame({"n": [day]}).write_parquet(writer.root / "raw" / "others" / moment)
    told = (NOW - timedelta(days=400)).isoformat()
    one = DatasetSummary(dataset="orders__items", stream="orders", status="held")
    run = f"{NOW - timedelta(days=400):%Y%m%dT%H%M%S%f}Z-00000a"
    record = RunRecord(run_id=run, started_at=told, datasets=[one])
    write_run(writer.lake.store, record)
    snapshots = sorted((writer.root / "raw" / "orders").iterdir())
    if oddity == "link":
        (snapshots[-1].parent / "link").symlink_to(snapshots[-1])
    else:
        snapshots[-1 if oddity == "broken latest" else -2].write_bytes(b"no Parquet")
    before = everything_below(writer, "orders", "orders__items")
    result = lake(writer, "prune", "--keep-last", "2", "--keep-daily", "0", "--yes")
    assert result.exit_code == 1
    assert "Warning: nothing of orders and its child datasets goes: " in result.stderr
    assert everything_below(writer, "orders", "orders__items") == before
    assert len(everything_below(writer, "others")) == 2
    assert (writer.root / "_meta" / "runs" / f"{run}.json").exists()
    assert list(parsed(writer, "prune")["odd"]) == ["orders"]


def test_a_child_whose_name_was_cut_is_held_back_with_its_parent() -> None:
    parent = dataset_name(None, None, "s" * 195)
    child = dataset_name(None, None, "s" * 195, "items")
    assert (len(child), is_held_back(child, [parent])) == (200, True)
    assert not is_held_back("orders_late", ["orders"])
