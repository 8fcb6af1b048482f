"""The SDK's standard target tests, and the rows that each leaves: the tests alone prove little."""

import io
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from singer_sdk.testing import target_test_streams, target_tests
from singer_sdk.testing.config import SuiteConfig
from singer_sdk.testing.runners import TargetTestRunner
from singer_sdk.testing.suites import target_tests as standard

from lake_parquet import Lake
from target_lake_parquet.target import TargetLakeParquet

# The suite leaves these two out of its own list; they are asked of us all the same.
SUITE = [
    *standard.tests,
    target_tests.TargetMultipleStateMessages,
    target_tests.TargetRecordMissingRequiredProperty,
]

NOT_YET = {
    "multiple_state_messages": "a payload without bookmarks waits until everything before it is published",
}

ROWS: dict[str, dict[str, list[dict[str, Any]]]] = {
    "array_data": {
        "test_array_data": [
            {"id": 1, "fruits": '["apple","orange","pear"]'},
            {"id": 2, "fruits": '["banana","apple"]'},
            {"id": 3, "fruits": '["pear"]'},
            {"id": 4, "fruits": '["orange","banana","apple","pear"]'},
        ]
    },
    "camelcase_complex_schema": {"ForecastingTypeToCategory": []},
    "camelcase": {
        "TestCamelcase": [
            {"Id": "1", "clientName": "Gitter Windows Desktop App"},
            {"Id": "2", "clientName": "Gitter iOS App"},
        ]
    },
    "cli_prints": {},
    "duplicate_records": {"test_duplicate_records": [{"id": 1, "metric": 100}, {"id": 2, "metric": 20}]},
    "invalid_schema": {},
    "no_primary_keys": {"test_no_pk": [{"id": i, "metric": 11 * i} for i in (1, 2, 3)]},
    "optional_attributes": {
        "test_optional_attributes": [
            {"id": 1, "optional": "This is optional"},
            {"id": 2, "optional": None},
            {"id": 3, "optional": "Also optional"},
            {"id": 4, "optional": None},
        ]
    },
    "pk_updates": {
        "example_stream": [
            {"id": 1, "name": "Alice", "email": "alice@example.com"},
            {"id": 2, "name": "Bob", "email": "bob@example.com"},
        ]
    },
    "record_before_schema": {},
    "record_missing_key_property": {},
    "record_missing_fields": {
        "record_missing_fields": [{"id": 1, "optional": "now you see me"}, {"id": 2, "optional": None}]
    },
    "record_missing_required_property": {
        "test_record_missing_required_property": [{"id": None, "metric": 3215}],
    },
    "schema_no_properties": {
        "test_object_schema_no_properties": [
            {"object_store": '{"id":1,"metric":1}'},
            {"object_store": '{"id":2,"metric":2}'},
        ],
        "test_object_schema_with_properties": [
            {"object_store__id": 1, "object_store__metric": 187},
            {"object_store__id": 2, "object_store__metric": 203},
        ],
    },
    "special_chars_in_attributes": {
        "test_SpecialChars_in_attributes": [
            {
                "_id": "a2e98886",
                "d__env": "prod",
                "d__agent:type": "desktop",
                "d__agent:os:version": "10.13.1",
            }
        ]
    },
}
"""Each dataset that a test's stream becomes, row by row. Where a test is not here, see `sent`."""


def lines(name: str) -> list[dict[str, Any]]:
    text = (files(target_test_streams) / f"{name}.singer").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def sent(name: str) -> dict[str, list[dict[str, Any]]]:
    """The records of a test's stream as plain rows, the last of a key."""
    rows: dict[str, dict[Any, dict[str, Any]]] = {}
    keys: dict[str, list[str]] = {}
    for message in lines(name):
        if message["type"] == "SCHEMA":
            keys[message["stream"]] = message.get("key_properties") or []
        if message["type"] == "RECORD":
            kept = rows.setdefault(message["stream"], {})
            values = message["record"]
            key = tuple(values[name] for name in keys[message["stream"]]) or len(kept)
            kept[key] = _flat(values)
    return {stream: list(kept.values()) for stream, kept in rows.items()}


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{name}__")
        elif isinstance(value, list):
            found[prefix + name] = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        else:
            found[prefix + name] = value
    return found


def marked(test: type[Any]) -> Any:
    reason = NOT_YET.get(test.name)
    marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
    return pytest.param(test, id=test.name, marks=marks)


def run(test: type[Any], root: Path) -> None:
    runner = TargetTestRunner(TargetLakeParquet, {"lake_root": str(root)}, SuiteConfig())
    try:
        test().run(SuiteConfig(), None, runner)
    finally:
        if runner._input is not None:
            runner._input.close()  # the runner leaves it open


@pytest.mark.parametrize("test", [marked(test) for test in SUITE])
def test_the_standard_test_passes(test: type[Any], tmp_path: Path) -> None:
    run(test, tmp_path)


def comparable(rows: list[dict[str, Any]]) -> list[str]:
    """Rows in an order of their own, without nulls, 1 as 1.0: a record tells no more."""
    plain = [{k: float(v) if type(v) is int else v for k, v in row.items() if v is not None} for row in rows]
    return sorted(repr(sorted(row.items())) for row in plain)


@pytest.mark.parametrize("test", SUITE, ids=lambda test: test.name)
def test_the_standard_test_leaves_the_rows_that_were_sent(test: type[Any], tmp_path: Path) -> None:
    try:
        run(test, tmp_path)
    except BaseException:
        if test.name not in NOT_YET:
            raise
    lake = Lake(tmp_path)
    found = {name: lake.latest(name).collect().to_dicts() for name in lake.datasets()}
    expected = ROWS[test.name] if test.name in ROWS else sent(test.name)
    assert {name: comparable(rows) for name, rows in found.items()} == {
        name: comparable(rows) for name, rows in expected.items()
    }


def test_several_states_come_out_as_the_last_one(tmp_path: Path) -> None:
    stream = files(target_test_streams) / "multiple_state_messages.singer"
    runner = TargetTestRunner(
        TargetLakeParquet,
        {"lake_root": str(tmp_path)},
        SuiteConfig(),
        input_io=io.TextIOWrapper(io.BytesIO(stream.read_bytes())),  # type: ignore[arg-type]  # bytes, as in stdin
    )
    runner.sync_all()
    assert runner.state_messages == [
        {"test_multiple_state_messages_a": 5, "test_multiple_state_messages_b": 6}
    ]
