"""Lines of a bulk result in any order that the API allows become the objects they were taken apart from."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_common.errors import ApiError
from tap_shopify import jsonl
from tap_shopify.bulk_query import Nested
from tap_shopify.jsonl import objects

Row = dict[str, Any]
LAST = {"hasNextPage": False, "endCursor": None}
NESTED = (
    Nested("lines", "_in_lines", None),
    Nested("notes", "_in_notes", None),
    Nested("taxes", "_in_lines_taxes", "_in_lines"),
    Nested("parts", "_in_lines_parts", "_in_lines"),
)
SPILLED = 5 * jsonl.PART_BYTES
"""A size that spreads the lines over five files."""


def tree(source: random.Random, roots: int) -> list[Row]:
    """Return objects with children of two kinds, one of them with children of its own; notes have no id."""

    def below(kind: str, parent: str) -> list[Row]:
        return [{"id": f"{parent}/{kind}{at}", "at": at} for at in range(source.randrange(4))]

    rows = []
    for number in range(roots):
        gid = f"gid://shopify/Order/{number}"
        lines = below("Line", gid)
        for line in lines:
            line["taxes"], line["parts"] = below("Tax", line["id"]), below("Part", line["id"])
        notes = [{"text": f"ü {gid}"} for _ in range(source.randrange(3))]
        rows.append({"id": gid, "name": None, "lines": lines, "notes": notes})
    return rows


def flat(rows: list[Row]) -> list[list[bytes]]:
    """Return the lines of each root object, each after its parent."""

    def walk(row: Row, parent: str | None, marker: str | None, into: list[bytes]) -> None:
        line = {marker: "Type"} if marker else {}
        nested = [one for one in NESTED if one.parent == marker and one.column in row]
        line |= {key: value for key, value in row.items() if key not in {one.column for one in nested}}
        into.append(msgspec.json.encode(line | ({"__parentId": parent} if parent else {})))
        for one in nested:
            for child in row[one.column]:
                walk(child, row["id"], one.marker, into)

    blocks: list[list[bytes]] = [[] for _ in rows]
    for row, block in zip(rows, blocks, strict=True):
        walk(row, None, None, block)
    return blocks


def mixed(blocks: list[list[bytes]], source: random.Random) -> list[bytes]:
    """Return the lines of all blocks, each block's in its order, any block's between them."""
    waiting = [list(reversed(block)) for block in blocks]
    result = []
    while waiting := [block for block in waiting if block]:
        result.append(source.choice(waiting).pop())
    return result


def paged(rows: list[Row], parent: str | None = None) -> list[Row]:
    """Return the objects as a page of the API would hold them."""
    return [
        row
        | {
            one.column: {"nodes": paged(row[one.column], one.marker), "pageInfo": LAST}
            for one in NESTED
            if one.parent == parent
        }
        for row in rows
    ]


def id_of(row: Row) -> str:
    return str(row["id"])


@given(seed=st.integers(0, 2**32), roots=st.integers(0, 12), size=st.sampled_from([0, SPILLED]))
def test_any_legal_order_of_lines_gives_the_same_objects(seed: int, roots: int, size: int) -> None:
    source = random.Random(seed)  # noqa: S311 - test data
    rows = tree(source, roots)
    lines = mixed(flat(rows), source)

    found = list(objects(lines, NESTED, size, "Stream orders"))

    assert sorted(found, key=id_of) == sorted(paged(rows), key=id_of)


@given(seed=st.integers(0, 2**32))
def test_what_spills_to_disk_is_put_together_alike(seed: int) -> None:
    source = random.Random(seed)  # noqa: S311 - test data
    rows = tree(source, 40)
    lines = mixed(flat(rows), source)
    before, jsonl.BUFFER_BYTES = jsonl.BUFFER_BYTES, 200
    try:
        found = list(objects(lines, NESTED, SPILLED, "Stream orders"))
    finally:
        jsonl.BUFFER_BYTES = before

    assert sorted(found, key=id_of) == sorted(paged(rows), key=id_of)


def test_a_result_without_nested_lists_is_not_held_back() -> None:
    def lines() -> Any:
        yield b'{"id":"a"}'
        raise AssertionError("the second line was asked for before the first was handed on")

    assert next(objects(lines(), (), SPILLED, "Stream orders")) == {"id": "a"}


def test_an_object_that_is_listed_twice_comes_once_with_its_children_once() -> None:
    """A row that changes while the operation lists rows by their time of change is listed again."""
    nested = NESTED[:2]
    first = [b'{"id":"a","name":"old"}', b'{"_in_lines":"L","id":"l","__parentId":"a"}']
    note = b'{"_in_notes":"N","text":"x","__parentId":"a"}'
    again = [b'{"id":"a","name":"new"}', b'{"_in_lines":"L","id":"l","at":2,"__parentId":"a"}']

    assert list(objects([*first, note, *again, note], nested, 0, "Stream orders")) == [
        {
            "id": "a",
            "name": "new",
            "lines": {"nodes": [{"id": "l", "at": 2}], "pageInfo": LAST},
            "notes": {"nodes": [{"text": "x"}], "pageInfo": LAST},
        }
    ]


@pytest.mark.parametrize("size", [0, SPILLED])
def test_a_child_without_its_parent_is_an_error(size: int) -> None:
    lines = [b'{"id":"a"}', b'{"_in_lines":"L","id":"l","__parentId":"b"}']

    with pytest.raises(ApiError, match="Stream orders: 1 lines of the bulk result belong to objects"):
        list(objects(lines, NESTED[:1], size, "Stream orders"))


@pytest.mark.parametrize("line", [b'{"id":"a"', b"[]", b"null", b'{"id":7}', b"\xff"])
@pytest.mark.parametrize("nested", [(), NESTED[:1], NESTED])
def test_a_line_that_is_no_object_is_an_error(line: bytes, nested: tuple[Nested, ...]) -> None:
    if not nested and line == b'{"id":7}':
        return  # nothing needs its id

    with pytest.raises(ApiError, match="is not an object in JSON"):
        list(objects([b'{"id":"a"}', line], nested, 0, "Stream orders"))
