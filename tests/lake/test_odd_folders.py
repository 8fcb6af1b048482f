"""What `lake` tells of a lake with links, pipes, broken files and bad records that were put aside."""

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from click.testing import CliRunner, Result

from lake_parquet.cli import main
from lake_parquet.quarantine import Problem, Quarantine, quarantined
from lake_parquet.runs import DatasetSummary, RunRecord, write_run
from tests.lake.writer import Writer, frame

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
    found = {one["dataset"]: one for one in parsed(writer, "ls")["datasets"]}
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
    found = {one["dataset"]: one["read_at"] for one in parsed(writer, "ls")["datasets"]}
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
    (one,) = parsed(writer, "ls")["datasets"]
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
