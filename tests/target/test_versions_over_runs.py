"""Stream versions from run to run: rows of another version leave, those of the same one stay."""

import json

import pytest

from tests.target.command import Place
from tests.target.messages import INTEGER, activate, bookmark, schema


def head(*keys: str) -> str:
    return schema("s", {"id": INTEGER, "u": INTEGER}, keys=keys, bookmarks=["u"])


def row(number: int, version: int, u: int = 1) -> str:
    message = {"type": "RECORD", "stream": "s", "record": {"id": number, "u": u}, "version": version}
    return json.dumps(message)


def test_a_read_that_begins_anew_leaves_out_what_an_earlier_version_left_unpublished(place: Place) -> None:
    """7 is gone at the source: a first load that was cut short had it, the full refresh had not."""
    first = [head("id"), row(1, 1), row(7, 1, 2), bookmark("s", 2, "u"), '{"type": "RECORD", "str']
    assert place.run(*first, cut=True).code == 1
    place.good(head("id"), row(1, 2, 11), activate("s", 2), bookmark("s", 11, "u"))
    assert place.rows("s") == [{"id": 1, "u": 11}]
    assert place.staged() == []


def test_a_read_that_goes_on_keeps_what_its_version_left_unpublished(place: Place) -> None:
    first = [head("id"), row(1, 1), row(7, 1, 2), bookmark("s", 2, "u"), '{"type": "RECORD", "str']
    assert place.run(*first, cut=True).code == 1
    place.good(head("id"), row(8, 1, 3), activate("s", 1), bookmark("s", 3, "u"))
    assert place.frame("s").sort("id").rows() == [(1, 1), (7, 2), (8, 3)]


@pytest.mark.parametrize(("method", "ids"), [("auto", [3]), ("append-only", [1, 2, 3])])
def test_a_new_version_replaces_rows_without_keys_unless_they_are_to_be_kept(
    place: Place, method: str, ids: list[int]
) -> None:
    place.good(head(), row(1, 1), row(2, 1), activate("s", 1), bookmark("s", 1, "u"), load_method=method)
    place.good(head(), row(3, 2, 5), activate("s", 2), bookmark("s", 5, "u"), load_method=method)
    assert place.frame("s")["id"].to_list() == ids


def test_rows_whose_version_was_never_activated_are_of_that_version(place: Place) -> None:
    place.good(head("id"), row(1, 3), bookmark("s", 1, "u"))
    place.good(head("id"), activate("s", 3), row(2, 3, 2), bookmark("s", 2, "u"))
    assert place.frame("s")["id"].to_list() == [1, 2]


def test_what_another_version_left_begins_no_first_load_that_goes_on_from_a_bookmark(place: Place) -> None:
    """The remainder alone would be the first snapshot."""
    first = [head("id"), row(1, 1), bookmark("s", 1, "u"), '{"type": "RECORD", "str']
    assert place.run(*first, cut=True).code == 1
    rest = [bookmark("s", 1, "u"), head("id"), row(2, 2, 2), activate("s", 2), bookmark("s", 2, "u")]
    ended = place.run(*rest)
    assert (ended.code, place.datasets()) == (1, [])
    assert "no snapshot of this dataset to build on" in ended.err


def test_a_bad_last_record_does_not_forget_the_version_of_the_others(place: Place) -> None:
    bad = '{"type": "RECORD", "stream": "s", "record": {"id": NaN}}'
    lines = [head("id"), row(1, 3), bookmark("s", 1, "u"), bad, bookmark("s", 1, "u")]
    place.good(*lines, on_bad_record="quarantine", checkpoint_seconds=0)
    place.good(head("id"), activate("s", 3), row(2, 3, 2), bookmark("s", 2, "u"))
    assert place.frame("s")["id"].to_list() == [1, 2]
