"""`validate_records`: as the SDK's targets validate, but for what would fetch, run wild, or show a value."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from singer_sdk.exceptions import InvalidJSONSchema, InvalidRecord
from singer_sdk.singerlib.json import deserialize_json
from singer_sdk.sinks.core import JSONSchemaValidator

from lake_parquet.merge import DELETED_AT, PER_RUN
from target_lake_parquet.validation import InvalidSchemaError, Validator
from tests.target.command import Place
from tests.target.messages import EXACT_WAY, INTEGER, KEY, STRING, record, schema

OBJECTS = {
    "type": "array",
    "items": {"type": "object", "properties": {"sku": {"type": "string", "maxLength": 3}}},
}
CODES = {"type": ["string", "null"], "enum": ["a", "b", None]}


def reasons(document: dict[str, Any], *records: str) -> list[tuple[int, str, str]]:
    block = "".join(f'{{"type":"RECORD","stream":"s","record":{one}}}\n' for one in records).encode()
    found = Validator(document).check(block, range(1, len(records) + 1))
    return [(one.line, one.field, one.reason) for one in found]


def test_what_breaks_the_schema_is_named_by_line_and_place_and_shows_no_value() -> None:
    document = {
        "properties": {"id": KEY, "code": CODES, "items": OBJECTS, "at": {"type": ["null", "string"]}},
        "required": ["id"],
        "additionalProperties": False,
    }
    good = '{"id": 1, "code": null, "items": [{"sku": "abc"}], "at": "x", "_sdc_deleted_at": "2026"}'
    assert reasons(
        document,
        good,
        '{"code": "secret"}',
        '{"id": "secret", "items": [{}, {"sku": "secret"}]}',
        '{"id": 1, "secret": 5}',
        "[]",
        "not json",
    ) == [
        (2, "code", "is not what 'enum' in its schema allows"),
        (2, "id", "is missing, and its schema requires it"),
        (3, "id", "is not of its schema's type (integer)"),
        (3, "items[1].sku", "is not what 'maxLength' in its schema allows"),
        (4, "secret", "is not what 'additionalProperties' in its schema allows"),
    ]


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"properties": {"n": {"multipleOf": 0.01}}}, '{"n": 17.17}'),
        ({"properties": {"n": {"multipleOf": 0.01}}}, '{"n": 17.175}'),
        ({"properties": {"n": {"type": "integer"}}}, '{"n": 7.5}'),
        ({"properties": {"n": {"type": "integer"}}}, '{"n": 123456789012345678901234567890}'),
        ({"properties": {"n": {"maximum": 9223372036854775807}}}, '{"n": 9223372036854775808}'),
        ({"properties": {"n": {"type": "number"}}}, '{"n": 0.123456789012345678901234567890}'),
        ({"properties": {"n": {"type": "number"}}}, '{"n": 1e400}'),
        ({"properties": {"n": {"type": "string", "format": "x-singer.decimal"}}}, '{"n": "1.10"}'),
        ({"properties": {"n": {"type": "string", "format": "date-time"}}}, '{"n": "yesterday"}'),
        ({"properties": {"n": {"type": "string", "format": "date"}}}, '{"n": 5}'),
        ({"properties": {"n": {"type": "string", "pattern": "^a+$"}}}, '{"n": "ab"}'),
        ({"properties": {"n": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"type": "null"}}}, '{"n": 1}'),
        ({"properties": {"n": {"anyOf": [{"type": "null"}, {"type": "string"}]}}}, '{"n": 1}'),
        ({"properties": {"n": {"const": "a"}}}, '{"n": "b"}'),
        ({"properties": {"n": {"type": "array", "uniqueItems": True}}}, '{"n": [1, 1.0]}'),
        ({"patternProperties": {"^n": {"type": "null"}}, "properties": {}}, '{"n": 1}'),
        ({"required": ["pattern"], "properties": {"pattern": {"type": "string"}}}, '{"pattern": "("}'),
        ({"properties": {"n": {"type": "object", "minProperties": 1}}}, '{"n": {}}'),
        ({"properties": {"n": {"contentEncoding": "base64"}}}, '{"n": "?"}'),
    ],
)  # fmt: skip
def test_a_verdict_is_the_sdks(document: dict[str, Any], text: str) -> None:
    try:
        JSONSchemaValidator(deserialize_json(json.dumps(document))).validate(deserialize_json(text))
        accepted = True
    except InvalidRecord:
        accepted = False
    assert (reasons(document, text) == []) == accepted


def test_a_whole_number_is_an_integer_however_it_is_written() -> None:
    """The SDK refuses 7.0, since it reads it as a Decimal; JSON Schema does not, and nothing is lost."""
    assert reasons({"properties": {"n": {"type": "integer"}}}, '{"n": 7.0}', '{"n": 7E0}') == []


@pytest.mark.parametrize(
    "document",
    [
        {"properties": {"n": {"type": "strng"}}},
        {"properties": {"n": {"$ref": "#/definitions/none"}}},
        {"required": True},
    ],
)
def test_a_schema_that_is_none_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidSchemaError):
        Validator(document)


@pytest.mark.parametrize(
    ("document", "good", "bad"),
    [
        ({"properties": {"n": {"minimum": 0, "exclusiveMinimum": True}}}, '{"n": 1}', '{"n": 0}'),
        ({"properties": {"n": {"items": [{"type": "string"}]}}}, '{"n": ["a", 1]}', '{"n": [1]}'),
    ],
)
def test_schemas_of_older_drafts_are_understood_which_the_sdk_refuses(
    document: dict[str, Any], good: str, bad: str
) -> None:
    with pytest.raises(InvalidJSONSchema):
        JSONSchemaValidator(document)
    assert [line for line, *_ in reasons(document, good, bad)] == [2]


@pytest.fixture
def server() -> Iterator[tuple[str, list[bytes]]]:
    """A server on loopback that counts who asks it for schemas."""
    hits: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    hits.append(connection.recv(1000))
                    connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{}")

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", hits
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_what_a_schema_refers_to_elsewhere_is_never_fetched(
    server: tuple[str, list[bytes]], place: Place
) -> None:
    url, hits = server
    secret = place.folder / "secret.json"
    secret.write_text('{"type": "null"}')
    properties = {
        "id": KEY,
        "a": {"$ref": f"{url}/a.json"},
        "b": {"$id": f"{url}/b", "$ref": "c.json"},
        "c": {"$ref": secret.as_uri()},
        "d": {"$dynamicRef": f"{url}/d.json#x"},
        "e": {"allOf": [{"$ref": f"{url}/e.json#/definitions/x"}]},
    }
    document = {"$schema": f"{url}/meta", "$id": f"{url}/root", "properties": properties}
    head = json.dumps({"type": "SCHEMA", "stream": "s", "schema": document, "key_properties": ["id"]})
    place.good(head, record("s", id=1, a=1, b="x", c=[], d={}, e=None), validate_records=True)
    ended = place.run(head, record("s", id="x"), validate_records=True)
    assert (ended.code, hits) == (1, [])
    with socket.create_connection(
        ("127.0.0.1", int(url.rpartition(":")[2]))
    ) as client:  # it would have counted
        client.sendall(b"hello")
        client.recv(1000)
    assert hits == [b"hello"]


def test_patterns_run_in_linear_time_or_not_at_all(place: Place) -> None:
    evil = {"type": "string", "pattern": "^(a+)+$"}
    around = {"type": "string", "pattern": "^(?=x).*$"}
    head = schema("s", {"id": KEY, "evil": evil, "around": around})
    place.good(head, record("s", id=1, evil="a" * 50, around="y"), validate_records=True)
    (note,) = place.summary("s")["notes"][:1]
    assert note.startswith("1 patterns of the schema are not checked")
    ended = place.run(head, record("s", id=1, evil="a" * 10_000 + "b"), validate_records=True)
    assert "line 2: field 'evil' is not what 'pattern' in its schema allows" in ended.err


@pytest.mark.parametrize("way", ["fast", "exact"])
def test_both_ways_to_decode_refuse_what_breaks_the_schema(place: Place, way: str) -> None:
    head = schema("s", {"id": KEY, "code": CODES, **(EXACT_WAY if way == "exact" else {})})
    lines = [head, record("s", id=1, code="a"), record("s", id=2, code="c"), record("s", id=3, code="a")]
    ended = place.run(*lines, validate_records=True)
    assert ended.code == 1
    assert "line 3: field 'code' is not what 'enum' in its schema allows" in ended.err
    place.good(*lines, validate_records=True, on_bad_record="quarantine")
    assert (place.frame("s")["id"].to_list(), place.summary("s")["rows_quarantined"]) == ([1, 3], 1)
    place.good(*lines, source="x")
    assert place.frame("x_s")["id"].to_list() == [1, 2, 3]


DOUBLED: dict[str, Any] = {"a0": INTEGER}
DOUBLED |= {f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i - 1}"}] * 2} for i in range(1, 61)}
TWICE = {"$ref": "#/$defs/a60"}


@pytest.mark.parametrize("field", [{"not": TWICE}, {"contains": TWICE}, {"patternProperties": {"^a": TWICE}}])
def test_a_schema_whose_references_double_without_end_fails_its_stream_alone(
    place: Place, field: Any
) -> None:
    """The validator went on for years, and no signal stopped it."""
    definition = {"$defs": DOUBLED, "properties": {"id": KEY, "f": field}}
    head = {"type": "SCHEMA", "stream": "b", "schema": definition, "key_properties": ["id"]}
    lines = [json.dumps(head), record("b", id=1, f=5), schema("s", {"id": KEY}), record("s", id=1)]
    ended = place.run(*lines, validate_records=True)
    assert (ended.code, place.datasets()) == (1, ["s"])
    assert "line 1: the SCHEMA is no JSON Schema (its references lead to one place more than" in ended.err


@pytest.mark.parametrize(
    "twice",
    [
        {"properties": {"a": {"$ref": "#"}}},
        {
            "properties": {
                "a": {"items": {"additionalProperties": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}}
            }
        },
    ],
)
def test_a_recursive_schema_that_doubles_what_is_below_it_is_refused(twice: Any) -> None:
    with pytest.raises(InvalidSchemaError, match="more than 100,000 times"):
        Validator({"allOf": [twice] * 2})


def test_a_tree_validates_to_its_leaves() -> None:
    one = {"$ref": "#/$defs/node"}
    others = {"type": "array", "items": {"anyOf": [one, {"type": "null"}]}}
    node = {"type": "object", "properties": {"name": STRING, "left": one, "right": one, "others": others}}
    document = {"$defs": {"node": node}, "properties": {"n": {"$ref": "#/$defs/node"}}}
    assert reasons(document, '{"n": {"left": {"right": {"others": [null, {"name": "x"}]}}}}') == []
    assert reasons(document, '{"n": {"left": {"right": {"name": 1}}}}') == [
        (1, "n.left.right.name", "is not of its schema's type (null, string)")
    ]


def test_other_streams_go_on_and_a_schema_that_is_none_fails_its_stream_alone(place: Place) -> None:
    broken = schema("b", {"id": KEY, "n": {"type": "strng"}})
    lines = [broken, record("b", id=1), schema("s", {"id": KEY, "n": STRING}), record("s", id=1)]
    ended = place.run(*lines, validate_records=True)
    assert ended.code == 1
    assert "line 1: the SCHEMA is no JSON Schema" in ended.err
    assert place.datasets() == ["s"]
    place.good(*lines, stream_overrides={"s": {"validate_records": True}})


def test_a_mapped_stream_is_validated_as_mapped(place: Place) -> None:
    head = schema("s", {"id": KEY, "code": CODES})
    maps = {"s": {"code": "code[0]"}}
    place.good(head, record("s", id=1, code="abc"), stream_maps=maps, validate_records=True)
    assert place.rows("s") == [{"id": 1, "code": "a"}]


def test_a_reference_by_an_anchors_name_allows_anything() -> None:
    document = {"$defs": {"day": {"$anchor": "day", "type": "string"}}, "properties": {"n": {"$ref": "#day"}}}
    assert reasons(document, '{"n": 1}', '{"n": "x"}') == []


def test_the_docs_name_each_field_that_is_always_allowed() -> None:
    text = (Path(__file__).parents[2] / "docs/lake-format.md").read_text(encoding="utf-8")
    (line,) = re.findall("own fields are always allowed: (.*)", text)
    assert set(re.findall("`([^`]+)`", line)) == {DELETED_AT, *PER_RUN}
