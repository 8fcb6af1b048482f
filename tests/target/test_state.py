"""Bookmarks: printed as received, but for streams that were not published."""

import json
from typing import Any

import msgspec
import pytest

from target_lake_parquet.messages import StateMessage
from target_lake_parquet.state import States, print_state


def state(value: Any, raw: bytes | None = None) -> StateMessage:
    return StateMessage(1, raw or msgspec.json.encode(value), value)


def payload(value: Any, unpublished: dict[str, Any]) -> Any:
    states = States()
    states.received(state(value))
    found = states.payload(unpublished)
    return None if found is None else json.loads(found)


def test_the_last_state_is_handed_on_byte_for_byte() -> None:
    states = States()
    assert states.payload({}) is None
    states.received(state({"a": 1}))
    states.received(state({"a": 2}, b'{"a" :  2.0}'))
    assert states.payload({}) == b'{"a" :  2.0}'


PAYLOADS: list[tuple[Any, dict[str, Any], Any]] = [
    ({"bookmarks": {"a": 1, "b": 2}}, {"a": None}, {"bookmarks": {"b": 2}}),
    ({"bookmarks": {"a": 1, "b": 2}}, {"a": {"old": 0}}, {"bookmarks": {"b": 2, "a": {"old": 0}}}),
    ({"bookmarks": {"b": 2}}, {"a": {"old": 0}}, {"bookmarks": {"b": 2, "a": {"old": 0}}}),
    ({"bookmarks": {"shop-a": 1}}, {"a": {"old": 0}}, {"bookmarks": {"shop-a": {"old": 0}}}),
    (
        {"bookmarks": {"a": 1}, "currently_syncing": "a"},
        {"b": None},
        {"bookmarks": {"a": 1}, "currently_syncing": "a"},
    ),
    ({"file_hashes": {"x": 1}}, {"a": None}, None),
    ({"bookmarks": [1]}, {"a": None}, None),
    ({"bookmarks": {"n": 2**70}}, {"a": None}, {"bookmarks": {"n": 2**70}}),
]


@pytest.mark.parametrize(("value", "unpublished", "expected"), PAYLOADS)
def test_an_unpublished_stream_keeps_the_bookmark_that_fits_the_lake(
    value: Any, unpublished: dict[str, Any], expected: Any
) -> None:
    assert payload(value, unpublished) == expected


def test_the_bookmark_a_stream_began_with_is_that_of_its_first_schema() -> None:
    states = States()
    states.begin("a")
    states.received(state({"bookmarks": {"a": {"v": 1}, "b": {"v": 1}}}))
    states.begin("b")
    states.received(state({"bookmarks": {"b": {"v": 2}}}))
    states.begin("b")
    assert (states.opening("a"), states.opening("b"), states.bookmark("b")) == (None, {"v": 1}, {"v": 2})


def test_a_state_is_a_line_of_its_own(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    print_state(b'{"a":1}')
    assert capfdbinary.readouterr().out == b'{"a":1}\n'
