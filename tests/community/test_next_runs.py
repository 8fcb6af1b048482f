"""The second run of a community tap: what it brings, repeats or leaves out, and what the latest holds."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from tests.community import oracle
from tests.community.singer import Run, dataset_of, load

DATA = Path(__file__).parent / "data"
Message = dict[str, Any]


def first_run(sample: str, folder: Path) -> list[Message]:
    """Loads an extract, and hands back its messages."""
    stream = (DATA / sample).read_bytes()
    run = load(stream, folder)
    assert run.exit_code == 0, run.log
    return [json.loads(line) for line in stream.splitlines()]


def next_run(messages: list[Message], folder: Path) -> Run:
    return load("".join(json.dumps(message) + "\n" for message in messages).encode(), folder)


def schema(messages: list[Message], stream: str) -> Message:
    return next(m for m in messages if m["type"] == "SCHEMA" and m["stream"] == stream)


def record(stream: str, **values: Any) -> Message:
    version = {"version": values.pop("version")} if "version" in values else {}
    return {"type": "RECORD", "stream": stream, "record": values, **version}


def state(value: Any) -> Message:
    return {"type": "STATE", "value": value}


def version(stream: str, number: int) -> Message:
    return {"type": "ACTIVATE_VERSION", "stream": stream, "version": number}


def held_by(folder: Path, stream: str, *columns: str) -> list[tuple[Any, ...]]:
    """Some columns of the latest snapshot, in order."""
    frame = pl.read_parquet(oracle.latest(folder / "lake", dataset_of(stream)))
    return sorted(frame.select(columns).rows(), key=repr)


def statuses(run: Run) -> dict[str, str]:
    return {entry["stream"]: entry["status"] for entry in run.summary()["datasets"].values()}


def test_pipelinewise_postgres_opens_an_incremental_read_with_its_old_version_and_loses_nothing(
    tmp_path: Path,
) -> None:
    messages = first_run("written/pipelinewise-tap-postgres.full.jsonl", tmp_path)
    bookmarks = messages[-1]["value"]["bookmarks"]
    parcel, scan = bookmarks["depot-parcel"] | {"version": 1795393090000}, bookmarks["depot-scan"]
    later = scan | {"replication_key_value": "2024-01-01T03:00:00+00:00"}
    run = next_run(
        [
            schema(messages, "depot-parcel"),
            # another version: a full read, of which two parcels are left
            version("depot-parcel", 1795393090000),
            record("depot-parcel", id=1, weight=2, version=1795393090000),
            record("depot-parcel", id=4, weight=0.01, version=1795393090000),
            version("depot-parcel", 1795393090000),
            state({"bookmarks": {"depot-parcel": parcel, "depot-scan": scan}, "currently_syncing": None}),
            schema(messages, "depot-scan"),
            # the same version: it goes on from the bookmark, reading its row again
            version("depot-scan", scan["version"]),
            record(
                "depot-scan",
                id=2,
                gate="south",
                updated_at=scan["replication_key_value"],
                version=scan["version"],
            ),
            record(
                "depot-scan",
                id=3,
                gate="west",
                updated_at="2024-01-01T03:00:00+00:00",
                version=scan["version"],
            ),
            state({"bookmarks": {"depot-parcel": parcel, "depot-scan": later}, "currently_syncing": None}),
        ],
        tmp_path,
    )
    assert run.exit_code == 0, run.log
    assert run.states[-1:] == [
        {"bookmarks": {"depot-parcel": parcel, "depot-scan": later}, "currently_syncing": None}
    ]
    assert held_by(tmp_path, "depot-scan", "id", "gate") == [(1, "north"), (2, "south"), (3, "west")]
    assert held_by(tmp_path, "depot-parcel", "id") == [(1,), (4,)]


def test_log_based_deletes_reach_rows_of_earlier_runs(tmp_path: Path) -> None:
    messages = first_run("written/meltanolabs-tap-postgres.log_based.jsonl", tmp_path)
    assert held_by(tmp_path, "depot-parcel", "id") == [(1,), (3,)]
    bookmark = {"depot-parcel": {"replication_key": "_sdc_lsn", "replication_key_value": 108198000}}
    run = next_run(
        [
            schema(messages, "depot-parcel"),
            record("depot-parcel", id=4, weight=4, _sdc_deleted_at=None, _sdc_lsn=108197600),
            record("depot-parcel", id=1, _sdc_deleted_at="2026-11-24T00:00:00+00:00", _sdc_lsn=108197700),
            record("depot-parcel", id=5, _sdc_deleted_at="2026-11-24T00:00:00+00:00", _sdc_lsn=108197800),
            record("depot-parcel", id=5, weight=5, _sdc_deleted_at=None, _sdc_lsn=108198000),
            state({"bookmarks": bookmark}),
        ],
        tmp_path,
    )
    assert run.exit_code == 0, run.log
    assert held_by(tmp_path, "depot-parcel", "id", "weight") == [(3, 2.0), (4, 4.0), (5, 5.0)]


def test_a_folder_without_new_files_changes_nothing(tmp_path: Path) -> None:
    messages = first_run("recorded/tap-csv-folder.jsonl", tmp_path)
    last = messages[-1]
    run = next_run(
        [state({}), schema(messages, "Weird Name"), schema(messages, "orders"), last],
        tmp_path,
    )
    assert run.exit_code == 0, run.log
    assert run.states[-1:] == [last["value"]]
    assert statuses(run) == {"Weird Name": "unchanged", "orders": "unchanged"}
    rows = [m for m in messages if m["type"] == "RECORD" and m["stream"] == "orders"]
    assert len(held_by(tmp_path, "orders", "id")) == len(rows)


def test_a_file_that_is_new_adds_to_a_stream_without_keys(tmp_path: Path) -> None:
    messages = first_run("written/tap-jsonfile.jsonl", tmp_path)
    before = held_by(tmp_path, "readings", "id", "value")
    hashes = messages[-1]["value"]["bookmarks"]["readings"]["file_hashes"] | {"in/b.json": "0ddba11"}
    run = next_run(
        [
            schema(messages, "readings"),
            record("readings", id=9, value="new", _sdc_source_file="in/b.json"),
            state({"bookmarks": {"readings": {"file_hashes": hashes}}}),
        ],
        tmp_path,
    )
    assert run.exit_code == 0, run.log
    assert held_by(tmp_path, "readings", "id", "value") == sorted([*before, (9, "new")], key=repr)


def test_a_feed_reads_its_last_entry_again_and_a_new_one(tmp_path: Path) -> None:
    messages = first_run("recorded/tap-feed.jsonl", tmp_path)
    before = held_by(tmp_path, "feed", "entry_id")
    last = [m for m in messages if m["type"] == "RECORD"][-1]
    fresh = {"entry_id": "99", "entry_published": "2024-02-01 00:00:00+00:00"}
    run = next_run(
        [schema(messages, "feed"), last, record("feed", **(last["record"] | fresh)), messages[-1]], tmp_path
    )
    assert run.exit_code == 0, run.log
    assert held_by(tmp_path, "feed", "entry_id") == sorted([*before, ("99",)], key=repr)


def test_a_full_table_that_shrank_without_proof_is_held(tmp_path: Path) -> None:
    messages = first_run("recorded/tap-smoke-test.jsonl", tmp_path)
    before = held_by(tmp_path, "animals", "id")
    rows = [m for m in messages if m["type"] == "RECORD" and m["stream"] == "animals"]
    run = next_run([schema(messages, "animals"), *rows[:7], state({"bookmarks": {"animals": {}}})], tmp_path)
    assert run.exit_code == 1
    assert statuses(run) == {"animals": "held"}
    assert run.states == [{"bookmarks": {}}]
    assert held_by(tmp_path, "animals", "id") == before
    assert "max_row_drop" in run.log


def test_a_keyless_read_that_was_cut_short_keeps_its_bookmark_and_doubles_no_row(tmp_path: Path) -> None:
    """Without its bookmark the next run would read everything again, and append it to what is there."""
    first = {"replication_key": "at", "replication_key_value": "2024-01-02T00:00:00+00:00"}
    later = first | {"replication_key_value": "2024-01-03T00:00:00+00:00"}
    markers = {"progress_markers": later | {"Note": "Progress is not resumable if interrupted."}}
    properties = {"what": {"type": "string"}, "at": {"type": "string", "format": "date-time"}}
    begin = {
        "type": "SCHEMA",
        "stream": "events",
        "schema": {"type": "object", "properties": properties},
        "key_properties": [],
        "bookmark_properties": ["at"],
    }
    events = [
        record("events", what=what, at=f"2024-01-0{day}T00:00:00+00:00") for day, what in enumerate("abc", 1)
    ]

    whole = next_run([begin, *events[:2], state({"bookmarks": {"events": first}})], tmp_path)
    assert whole.exit_code == 0, whole.log
    cut = next_run([begin, *events[1:], state({"bookmarks": {"events": first | markers}})], tmp_path)
    known = [*whole.states, *cut.states][-1]
    resumable = "replication_key_value" in known["bookmarks"].get("events", {})
    again = events[1:] if resumable else events
    last = next_run([begin, *again, state({"bookmarks": {"events": later}})], tmp_path)

    assert last.exit_code == 0, last.log
    assert held_by(tmp_path, "events", "what") == [("a",), ("b",), ("c",)]
    assert resumable, known


def test_a_source_cannot_speak_for_another_tenant(tmp_path: Path) -> None:
    """Whatever becomes of a field named like the tenant's column: the column says whose row it is."""
    properties = {"id": {"type": "integer"}, "_tenant": {"type": "string"}}
    begin = {
        "type": "SCHEMA",
        "stream": "users",
        "schema": {"properties": properties},
        "key_properties": ["id"],
    }
    run = next_run([begin, record("users", id=1, _tenant="bolt")], tmp_path)
    if run.exit_code == 0:
        assert held_by(tmp_path, "users", "_tenant") == [("acme",)]
    else:
        assert "_tenant" in run.log
