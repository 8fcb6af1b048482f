"""What real community taps printed loads, untouched: every dataset, every type, every value.

`data/recorded` holds extracts of real recordings (`scripts/extract_samples.py` cuts them), `data/written`
holds streams written by hand, in the form that other taps send. With SINGER_SAMPLES naming a folder of whole
recordings (`<tap>.singer.jsonl`), those are loaded too.
"""

import json
import os
from decimal import InvalidOperation
from pathlib import Path
from typing import Any

import pytest
from singer_sdk.exceptions import InvalidJSONSchema, InvalidRecord
from singer_sdk.singerlib.json import deserialize_json
from singer_sdk.sinks.core import JSONSchemaValidator

from target_lake_parquet.metadata import NAMES
from target_lake_parquet.validation import Validator
from tests.community import oracle
from tests.community.expected import RECORDED, WRITTEN
from tests.community.singer import TENANT, Run, dataset_of, load

DATA = Path(__file__).parent / "data"
TENANT_COLUMN = {"_tenant": TENANT}
BREAK_THEIR_SCHEMA = {
    "meltanolabs-tap-mysql.full: depot-parcel",
    "meltanolabs-tap-postgres.full: shop-all_types",
    "meltanolabs-tap-postgres.log_based: depot-parcel",
    "pipelinewise-tap-postgres.log_based: depot-parcel",
    "tap-dbf: cust",
    "tap-rest-api-msdk: things",
}
"""Streams whose own records break the SCHEMA that came with them."""
EXTRACTS = sorted(DATA.glob("*/*.jsonl"))
WHOLE = (
    sorted(Path(os.environ["SINGER_SAMPLES"]).glob("*.singer.jsonl"))
    if "SINGER_SAMPLES" in os.environ
    else []
)


def tables(path: Path) -> dict[str, oracle.Kinds]:
    """The expected datasets of a sample, by stream (or `stream__array`), with the tenant's column."""
    known = WRITTEN if path.parent.name == "written" else RECORDED
    datasets = known[path.name.removesuffix(".jsonl").removesuffix(".singer")]
    return {stream: {**kinds, "_tenant": "string"} for stream, kinds in datasets.items()}


def expected_rows(recording: oracle.Recording, dataset: str, kinds: oracle.Kinds) -> list[oracle.Row]:
    if dataset in recording.streams:
        return oracle.rows_of(recording.streams[dataset], kinds, TENANT_COLUMN)
    stream, *path = dataset.split("__")
    return oracle.child_rows_of(recording.streams[stream], path, kinds, TENANT_COLUMN)


def assert_loaded(run: Run, sample: Path) -> None:
    recording = oracle.replay(sample)
    assert run.exit_code == 0, run.log
    assert run.states[-1:] == [recording.last_state]
    expected = tables(sample)
    assert {folder.name for folder in (run.lake / "raw").iterdir()} == {dataset_of(name) for name in expected}
    for dataset, kinds in expected.items():
        snapshot = oracle.latest(run.lake, dataset_of(dataset))
        rows = oracle.in_order(expected_rows(recording, dataset, kinds))
        for reader, read in oracle.READERS.items():
            types, found = read(snapshot)
            said = f"{reader}, {dataset}"
            assert (said, oracle.comparable(types, kinds)) == (said, oracle.stored(kinds))
            assert (said, rows) == (said, oracle.in_order(found))
        entry = run.summary()["datasets"][dataset_of(dataset)]
        assert (entry["status"], entry["row_count"]) == ("published", len(rows))


@pytest.mark.parametrize("sample", EXTRACTS, ids=lambda path: path.stem)
def test_an_extract_arrives_whole(sample: Path, tmp_path: Path) -> None:
    assert_loaded(load(sample.read_bytes(), tmp_path), sample)


@pytest.mark.skipif(not WHOLE, reason="SINGER_SAMPLES names no folder of whole recordings")
@pytest.mark.parametrize("sample", WHOLE, ids=lambda path: path.stem)
def test_a_whole_recording_arrives_whole(sample: Path, tmp_path: Path) -> None:
    assert_loaded(load(sample.read_bytes(), tmp_path), sample)


def sdks_validator(schema: dict[str, Any]) -> JSONSchemaValidator | None:
    """The SDK's, without the pipeline's own columns as there; None for a schema of an older draft."""
    for name in NAMES:
        schema["properties"].pop(name, None)
    try:
        return JSONSchemaValidator(schema)
    except InvalidJSONSchema:
        return None


def sdks_verdict(validator: JSONSchemaValidator, record: dict[str, object]) -> bool:
    try:
        validator.validate({name: value for name, value in record.items() if name not in NAMES})
    except InvalidRecord:
        return False
    except InvalidOperation:  # it cannot tell 38 digits to be a multiple of 1e-10, and crashes
        return True
    return True


def broken_streams(sample: Path) -> set[str]:
    """The streams with records that break their own SCHEMA, by our validator and the SDK's alike."""
    ours: dict[str, Validator] = {}
    sdks: dict[str, JSONSchemaValidator | None] = {}
    broken = set()
    for number, line in enumerate(sample.read_bytes().splitlines(), 1):
        message = deserialize_json(line)
        if message["type"] == "SCHEMA":
            ours[message["stream"]] = Validator(json.loads(line)["schema"])
            sdks[message["stream"]] = sdks_validator(message["schema"])
        elif message["type"] == "RECORD":
            stream = message["stream"]
            is_good = not list(ours[stream].check(line, [number]))
            sdk = sdks[stream]
            assert sdk is None or (sample.name, number, is_good) == (
                sample.name,
                number,
                sdks_verdict(sdk, message["record"]),
            )
            broken |= set() if is_good else {f"{sample.stem}: {stream}"}
    return broken


def test_validation_refuses_what_the_sdk_refuses_and_nothing_else() -> None:
    assert set().union(*map(broken_streams, EXTRACTS)) == BREAK_THEIR_SCHEMA
