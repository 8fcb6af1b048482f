"""A stream's JSON Schema and its RECORD lines in, the records that break the schema out. Pure.

As the SDK's targets validate: draft 2020-12, no `format`; what is no schema of that draft goes by an older
one. What a schema refers to outside itself is taken for "anything" and never fetched. A `pattern` runs in
time linear to its text, or not at all.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any

import jsonschema_rs
import msgspec

from lake_parquet.merge import DELETED_AT, PER_RUN
from target_lake_parquet.decode import BadRecord
from target_lake_parquet.unreadable import RECORD
from target_lake_parquet.validation_cost import LIMIT, REFERENCES, most_looks
from target_lake_parquet.values import parse_number

ERRORS_A_RECORD = 5
MOST_SAID = 200
"""Letters of what the library says of a schema."""
NAMED = {"properties", "patternProperties", "definitions", "$defs", "dependentSchemas", "dependencies"}
"""Keywords that hold schemas under names of their own."""
LITERAL = {"const", "enum", "default", "examples"}
"""Keywords that hold values."""
DRAFTS = (jsonschema_rs.Draft202012Validator, jsonschema_rs.Draft7Validator, jsonschema_rs.Draft4Validator)
_AnyDraft = jsonschema_rs.Draft202012Validator | jsonschema_rs.Draft7Validator | jsonschema_rs.Draft4Validator
_linear = jsonschema_rs.RegexOptions()


class _Line(msgspec.Struct):
    record: Any


_lines = msgspec.json.Decoder(_Line, float_hook=parse_number)


class InvalidSchemaError(ValueError):
    """A SCHEMA is no JSON Schema, so that nothing can be validated by it."""


class Validator:
    """Validates a stream's records; `unchecked` counts the patterns that cannot be run safely."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Reads the schema.

        Raises:
            InvalidSchemaError: it is none.
        """
        self.unchecked = 0
        try:
            own = self._own(schema)
        except RecursionError:
            raise InvalidSchemaError("it is nested too deeply") from None
        if isinstance(own.get("properties"), dict):
            # the pipeline's own, whatever the schema allows
            own["properties"] |= {name: {} for name in (*PER_RUN, DELETED_AT)}
        _check_cost(own)
        self._validator = _validator_of(own)

    def check(self, block: bytes, numbers: Sequence[int]) -> Iterator[BadRecord]:
        """Names what breaks the schema, by input line and place in the record; no value is shown.

        Lines that are no readable JSON are left to who decodes them.
        """
        for number, line in zip(numbers, block.split(b"\n"), strict=False):
            try:
                record = _lines.decode(line).record
            except (msgspec.MsgspecError, RecursionError, ValueError):
                continue
            try:
                if self._validator.is_valid(record):
                    continue
                errors = list(islice(self._validator.iter_errors(record), ERRORS_A_RECORD))
            except ValueError:  # the library's own limit is reached
                yield BadRecord(number, RECORD, "is nested too deeply to be validated")
            else:
                yield from (_bad_record(number, error) for error in errors)

    def _own(self, schema: Any) -> Any:  # noqa: ANN401 - any part of a schema
        """The schema without what would leave it, and without patterns that cannot be run."""
        if isinstance(schema, list):
            return [self._own(one) for one in schema]
        if not isinstance(schema, Mapping):
            return schema
        own: dict[str, Any] = {}
        for keyword, value in schema.items():
            if _leads_outside(keyword, value):
                continue
            if keyword == "pattern" and isinstance(value, str) and not self._runs(value):
                continue
            if keyword == "patternProperties" and isinstance(value, dict):
                own[keyword] = {name: self._own(sub) for name, sub in value.items() if self._runs(name)}
            elif keyword in NAMED and isinstance(value, dict):
                own[keyword] = {name: self._own(sub) for name, sub in value.items()}
            else:
                own[keyword] = value if keyword in LITERAL else self._own(value)
        return own

    def _runs(self, pattern: str) -> bool:
        runs = _is_linear(pattern)
        self.unchecked += not runs
        return runs


def _check_cost(schema: Mapping[str, Any]) -> None:
    """Refuses a schema that would be evaluated for ever: no signal stops the library."""
    try:
        looks = most_looks(schema)
    except RecursionError:
        raise InvalidSchemaError("it is nested too deeply") from None
    if looks > LIMIT:
        raise InvalidSchemaError(f"its references lead to one place more than {LIMIT:,} times")


def _validator_of(schema: dict[str, Any]) -> _AnyDraft:
    """The validator of the newest draft that `schema` is a schema of: taps seldom say which they mean."""
    refused: ValueError | None = None
    for draft in DRAFTS:
        try:
            return draft(schema, validate_formats=False, pattern_options=_linear, offline=True)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
            place = _path(getattr(error, "instance_path", ()))
            said = error.message.partition("\n")[0][:MOST_SAID]
            refused = refused or InvalidSchemaError(f"{said}, at {place}" if place != RECORD else said)
    raise refused or InvalidSchemaError


def _leads_outside(keyword: str, value: object) -> bool:
    """Tells whether a keyword names another document, or a place by a name; others begin with `#/`."""
    if not isinstance(value, str):
        return False
    is_reference = keyword in REFERENCES
    is_local = value == "#" or value.startswith("#/")
    return keyword in ("$schema", "$id", "id") or (is_reference and not is_local)


@cache
def _is_linear(pattern: str) -> bool:
    """Tells whether a pattern can be run without backtracking: no look-around, no back-reference."""
    try:
        jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=_linear, offline=True)
    except ValueError:
        return False
    return True


def _bad_record(number: int, error: jsonschema_rs.ValidationError) -> BadRecord:
    """Says what is wrong in words of our own: the library's show values."""
    kind, place = error.kind, list(error.instance_path)
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):
        return BadRecord(number, _path([*place, kind.property]), "is missing, and its schema requires it")
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Type):
        reason = f"is not of its schema's type ({', '.join(kind.types)})"
        return BadRecord(number, _path(place), reason)
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.AdditionalProperties):
        place += kind.unexpected[:1]
    return BadRecord(number, _path(place), f"is not what {kind.name!r} in its schema allows")


def _path(place: Sequence[str | int]) -> str:
    parts = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return parts.lstrip(".") or RECORD
