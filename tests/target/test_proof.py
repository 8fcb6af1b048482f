"""States of real taps, and what they prove of a stream."""

from typing import Any

import pytest

from lake_parquet.runs import Proof
from target_lake_parquet.proof import (
    Evidence,
    LastState,
    bookmark_key,
    bookmark_of,
    is_incremental,
    is_resumable,
    proof_of,
)

ROWS = Evidence(rows=3, last_data=5)


def states(bookmark: Any, **more: Any) -> dict[str, Any]:
    return {"bookmarks": {"orders": bookmark}, **more}


SDK = {"replication_key": "at", "replication_key_value": "2024-01-20"}
PARTITION = {"context": {"path": "a.csv"}, **SDK}

# tap, STATE after the last record, what it proves, is the read incremental, would a next one resume
SHAPES: list[tuple[str, Any, Proof, bool, bool]] = [
    ("SDK, incremental", states(SDK), "proven", True, True),
    ("SDK, number", states({**SDK, "replication_key_value": 0}), "proven", True, True),
    ("SDK, full table", states({}), "unproven", False, False),
    ("SDK, not begun", states({"starting_replication_value": None}), "open", False, False),
    (
        "SDK, unsorted and stopped",
        states({"starting_replication_value": "2024", "progress_markers": {"replication_key_value": "2025"}}),
        "open",
        True,
        True,
    ),
    ("SDK, signpost", states({**SDK, "replication_key_signpost": "2026"}), "open", True, True),
    ("SDK, partitions", states({"partitions": [PARTITION]}), "proven", True, True),
    (
        "SDK, one partition under way",
        states({"partitions": [PARTITION, {"context": {"path": "b"}, "progress_markers": {}}]}),
        "open",
        True,
        True,
    ),
    ("SDK, empty partitions", states({"partitions": [{"context": {"path": "a"}}]}), "unproven", False, False),
    ("SDK, key without value", states({"replication_key": "at"}), "unproven", True, False),
    (
        "SDK, log based",
        states({"replication_key": "_sdc_lsn", "replication_key_value": 108197500}),
        "proven",
        True,
        True,
    ),
    (
        "pipelinewise, full table, under way",
        states({"last_replication_method": "FULL_TABLE", "version": 1, "xmin": 7}),
        "open",
        False,
        True,
    ),
    (
        "pipelinewise, full table, done",
        states({"last_replication_method": "FULL_TABLE", "version": 1, "xmin": None}, currently_syncing=None),
        "unproven",
        False,
        False,
    ),
    (
        "pipelinewise, incremental",
        states(
            {
                "last_replication_method": "INCREMENTAL",
                "replication_key": "at",
                "version": 1,
                "replication_key_value": "2024",
            }
        ),
        "proven",
        True,
        True,
    ),
    (
        "pipelinewise, incremental, under way",
        states(
            {
                "last_replication_method": "INCREMENTAL",
                "replication_key": "at",
                "version": 1,
                "replication_key_value": "2024",
            },
            currently_syncing="orders",
        ),
        "open",
        True,
        True,
    ),
    (
        "pipelinewise, log based",
        states({"last_replication_method": "LOG_BASED", "lsn": 108198000, "version": 1, "xmin": None}),
        "proven",
        True,
        True,
    ),
    (
        "tap-mysql, full table, done",
        states({"initial_full_table_complete": True}, currently_syncing=None),
        "proven",
        False,
        False,
    ),
    (
        "tap-mysql, full table, not done",
        states({"initial_full_table_complete": False}),
        "unproven",
        False,
        False,
    ),
    (
        "tap-mysql, under way",
        states({"max_pk_values": {"id": 9}, "last_pk_fetched": {"id": 4}}, currently_syncing="orders"),
        "open",
        False,
        True,
    ),
    (
        "tap-mysql, stopped",
        states({"max_pk_values": {"id": 9}, "last_pk_fetched": {"id": 4}}),
        "open",
        False,
        True,
    ),
    ("tap-s3-csv", states({"modified_since": "2026-11-22T21:50:57+00:00"}), "proven", True, True),
    ("tap-shopify of singer-io", states({"created_at": "2024-01-02T00:00:00.000000Z"}), "proven", True, True),
    ("tap-jsonfile", states({"file_hashes": {"a.json": "50a0"}}), "proven", True, True),
    ("another stream is being read", states(SDK, currently_syncing="customers"), "proven", True, True),
    ("a bookmark that is a word", {"bookmarks": {"orders": "2024-01-01"}}, "unproven", False, False),
    ("bookmarks of others", {"bookmarks": {"customers": SDK}}, "unproven", False, False),
    ("no bookmarks", {"file_hashes": {"a": "b"}}, "unproven", False, False),
    ("empty", {}, "unproven", False, False),
    ("null", None, "unproven", False, False),
    ("a list", [1], "unproven", False, False),
]


def test_what_is_prepared_before_a_stream_begins_is_no_place_in_it() -> None:
    bookmark = {"bulk_operation": "gid://shopify/BulkOperation/1", "starting_replication_value": None}

    assert not is_incremental(bookmark)
    assert not is_resumable(bookmark)


@pytest.mark.parametrize(
    ("value", "proof", "incremental", "resumable"), [s[1:] for s in SHAPES], ids=[s[0] for s in SHAPES]
)
def test_the_state_after_the_last_record_tells(
    value: Any, proof: Proof, *, incremental: bool, resumable: bool
) -> None:
    assert proof_of("orders", ROWS, LastState(value, at=6, is_last=True)) == proof
    bookmark = bookmark_of(value, "orders")
    assert (is_incremental(bookmark), is_resumable(bookmark)) == (incremental, resumable)


@pytest.mark.parametrize(("value", "proof"), [(s[1], s[2]) for s in SHAPES], ids=[s[0] for s in SHAPES])
def test_a_state_before_the_last_record_proves_nothing(value: Any, proof: Proof) -> None:
    expected = "open" if proof == "open" else "unproven"
    assert proof_of("orders", ROWS, LastState(value, at=4)) == expected


def test_partitioned_streams_close_with_the_run() -> None:
    value = states({"partitions": [PARTITION]})
    assert proof_of("orders", ROWS, LastState(value, at=6, is_last=False)) == "unproven"


MARKED = "ACTIVATE_VERSION"
ENDS: list[tuple[str, Evidence, Proof]] = [
    ("closed by a version", Evidence(rows=3, last_data=5, activations=[1, 6]), "proven"),
    ("closed once", Evidence(rows=3, last_data=5, activations=[6]), "proven"),
    ("opened only", Evidence(rows=3, last_data=5, activations=[1]), "unproven"),
    ("opened, no rows", Evidence(rows=0, last_data=1, activations=[2]), "unproven"),
    ("opened and closed, no rows", Evidence(rows=0, last_data=1, activations=[2, 3]), "proven"),
    ("our tap's closing word, no rows", Evidence(MARKED, rows=0, last_data=1, activations=[2]), "proven"),
    ("our tap's word is missing", Evidence(MARKED, rows=3, last_data=5), "open"),
    ("our tap's word came before more rows", Evidence(MARKED, rows=3, last_data=5, activations=[3]), "open"),
    ("nothing", Evidence(), "unproven"),
]


@pytest.mark.parametrize(("evidence", "proof"), [end[1:] for end in ENDS], ids=[end[0] for end in ENDS])
def test_a_closing_version_proves(evidence: Evidence, proof: Proof) -> None:
    assert proof_of("orders", evidence, LastState()) == proof


def test_an_input_that_ends_inside_a_line_leaves_streams_open_that_no_version_closed() -> None:
    closed, rest = Evidence(rows=3, last_data=5, activations=[6]), Evidence(rows=3, last_data=5)
    last = LastState(states(SDK), at=7, is_last=True)
    assert proof_of("orders", closed, last, is_cut=True) == "proven"
    assert (proof_of("orders", rest, last), proof_of("orders", rest, last, is_cut=True)) == ("proven", "open")


def test_a_bookmark_is_found_under_the_schemas_name_too() -> None:
    assert bookmark_key({"public-orders": {}}, "orders") == "public-orders"
    assert bookmark_key({"public-orders": {}, "orders": {}}, "orders") == "orders"
    assert bookmark_key({"orders_old": {}}, "orders") is None
    assert bookmark_key(None, "orders") is None
    assert bookmark_key({"archived-orders": {}}, "orders", {"orders", "archived-orders"}) is None
