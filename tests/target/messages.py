"""Singer messages, as lines."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

INTEGER = {"type": ["null", "integer"]}
NUMBER = {"type": ["null", "number"]}
STRING = {"type": ["null", "string"]}
MOMENT = {"type": ["null", "string"], "format": "date-time"}
KEY = {"type": "integer"}
EXACT_WAY: dict[str, Any] = {'size 5"': {}}
"""A column that the fast way cannot look for: streams that have it are decoded the exact way."""


def schema(
    stream: str,
    properties: Mapping[str, Any],
    keys: Sequence[str] | None = ("id",),
    bookmarks: Sequence[str] | None = None,
    mark: Mapping[str, str] | None = None,
) -> str:
    """A SCHEMA line; `mark` is what our taps say of themselves."""
    document: dict[str, Any] = {"type": "object", "properties": dict(properties)}
    if mark is not None:
        document["x-singerlake"] = dict(mark)
    message: dict[str, Any] = {"type": "SCHEMA", "stream": stream, "schema": document}
    if keys is not None:
        message["key_properties"] = list(keys)
    if bookmarks is not None:
        message["bookmark_properties"] = list(bookmarks)
    return json.dumps(message)


def record(stream: str, **values: Any) -> str:
    """A RECORD line."""
    return json.dumps({"type": "RECORD", "stream": stream, "record": values})


def state(value: Any) -> str:
    """A STATE line."""
    return json.dumps({"type": "STATE", "value": value})


def bookmark(stream: str, value: Any, key: str = "updated_at") -> str:
    """A STATE line with one stream's bookmark, as the SDK writes it."""
    return state({"bookmarks": {stream: {"replication_key": key, "replication_key_value": value}}})


def activate(stream: str, version: int) -> str:
    """An ACTIVATE_VERSION line."""
    return json.dumps({"type": "ACTIVATE_VERSION", "stream": stream, "version": version})
