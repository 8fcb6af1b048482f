"""What becomes of a stream's rows, as a table: what the run knows, what the lake holds, the decision."""

from typing import Any

import pytest

from lake_parquet.footer import Owner, SnapshotInfo
from lake_parquet.policy import StreamFacts, decide, hold_for_drop, may_keep, method_of

OWNER = Owner("orders", "acme", "shop")
KEYED: dict[str, Any] = {"keys": ("id",), "incremental": True, "proof": "proven"}
UNKEYED: dict[str, Any] = {**KEYED, "keys": ()}
FULL: dict[str, Any] = {"keys": ("id",), "proof": "proven"}


def facts(**known: Any) -> StreamFacts:
    return StreamFacts(**{"owner": OWNER, **known})


def snapshot(load_method: str, **said: Any) -> SnapshotInfo:
    base = {"run_id": "r", "owner": OWNER, "created_at": "", "row_count": 1, "keys": ("id",)}
    return SnapshotInfo(**{**base, "load_method": load_method, **said})


UPSERTED, REPLACED = snapshot("upsert"), snapshot("overwrite")
APPENDED = snapshot("append-only", keys=())
OTHER = Owner("orders", "acme_shop", None)

METHODS = [
    (FULL, "overwrite"),
    (KEYED, "upsert"),
    (UNKEYED, "append-only"),
    ({**FULL, "load_method": "upsert"}, "upsert"),
    ({**KEYED, "load_method": "overwrite"}, "overwrite"),
    ({**KEYED, "load_method": "append-only"}, "append-only"),
    ({**KEYED, "origin": "stub"}, "overwrite"),
]


@pytest.mark.parametrize(("known", "method"), METHODS)
def test_auto_decides_from_keys_and_bookmarks(known: dict[str, Any], method: str) -> None:
    assert method_of(facts(**known)) == method


KEEPS, REPLACES = ("publish", True), ("publish", False)

DECISIONS: list[tuple[str, dict[str, Any], SnapshotInfo | None, tuple[str, bool] | str]] = [
    # the first snapshot must be a whole
    ("a first full read", FULL, None, REPLACES),
    ("a first incremental read", KEYED, None, REPLACES),
    ("a first read without proof", {**KEYED, "proof": "unproven"}, None, REPLACES),
    ("a first read that was cut", {**KEYED, "proof": "open"}, None, "cut short"),
    ("a first full read that was cut", {**FULL, "proof": "open"}, None, "cut short"),
    ("cut, and accepted", {**FULL, "proof": "open", "on_incomplete": "publish"}, None, REPLACES),
    (
        "from a bookmark into nothing",
        {**KEYED, "resumed": True},
        None,
        "no snapshot of this dataset to build on",
    ),
    (
        "unkeyed from a bookmark into nothing",
        {**UNKEYED, "resumed": True},
        None,
        "no snapshot of this dataset",
    ),
    (
        "a full read by setting, from a bookmark",
        {**KEYED, "resumed": True, "load_method": "overwrite"},
        None,
        REPLACES,
    ),
    # the next ones
    ("a full read", FULL, REPLACED, REPLACES),
    ("the remainder of a full read", {**FULL, "resumed": True}, REPLACED, "holds the remainder only"),
    ("the remainder of a first full read", {**FULL, "resumed": True}, None, "holds the remainder only"),
    ("a full read that was cut", {**FULL, "proof": "open"}, REPLACED, "cut short"),
    ("an incremental read", {**KEYED, "resumed": True}, UPSERTED, KEEPS),
    ("an incremental read that was cut", {**KEYED, "proof": "open"}, UPSERTED, KEEPS),
    ("unkeyed", UNKEYED, APPENDED, KEEPS),
    ("unkeyed, cut", {**UNKEYED, "proof": "open"}, APPENDED, "cut short"),
    ("unkeyed, cut, accepted", {**UNKEYED, "proof": "open", "on_incomplete": "publish"}, APPENDED, KEEPS),
    # versions
    ("another version", {**KEYED, "version": 2}, snapshot("upsert", version=1), REPLACES),
    ("the same version", {**KEYED, "version": 1}, snapshot("upsert", version=1), KEEPS),
    ("no version", KEYED, snapshot("upsert", version=1), KEEPS),
    ("a version where there was none", {**KEYED, "version": 1}, UPSERTED, REPLACES),
    ("a version, from a bookmark", {**KEYED, "version": 1, "resumed": True}, UPSERTED, KEEPS),
    (
        "another version, cut",
        {**KEYED, "version": 2, "proof": "open"},
        snapshot("upsert", version=1),
        "cut short",
    ),
    (
        "another version, unkeyed",
        {**UNKEYED, "version": 2},
        snapshot("append-only", keys=(), version=1),
        REPLACES,
    ),
    ("a version, unkeyed, where there was none", {**UNKEYED, "version": 2}, APPENDED, KEEPS),
    (
        "another version, to be kept by setting",
        {**UNKEYED, "version": 2, "load_method": "append-only"},
        snapshot("append-only", keys=(), version=1),
        KEEPS,
    ),
    (
        "another version, to be kept by setting, cut",
        {**UNKEYED, "version": 2, "load_method": "append-only", "proof": "open", "covered": 5},
        snapshot("append-only", keys=(), version=1),
        KEEPS,
    ),
    # what must not change by itself
    ("incremental after full", KEYED, REPLACED, "set load_method to upsert"),
    ("incremental after full, no rows", {**KEYED, "is_empty": True}, REPLACED, "set load_method to upsert"),
    ("full after incremental", FULL, UPSERTED, "set load_method to overwrite"),
    ("accepted", {**KEYED, "load_method": "upsert"}, REPLACED, KEEPS),
    ("other keys", {**KEYED, "keys": ("id", "line")}, UPSERTED, "the keys changed from (id) to (id, line)"),
    ("the keys in another order", {**KEYED, "keys": ("b", "a")}, snapshot("upsert", keys=("a", "b")), KEEPS),
    ("other keys, full read", {**FULL, "keys": ("line",)}, REPLACED, REPLACES),
    ("no keys, upsert", {**FULL, "keys": (), "load_method": "upsert"}, None, "has no key_properties"),
    ("another owner", {**FULL, "owner": OTHER}, REPLACED, "give one of them another tenant_id or source"),
    ("an account where none was noted", {**FULL, "account": "a"}, REPLACED, REPLACES),
    # stub rows
    ("stub from a bookmark", {**FULL, "origin": "stub", "resumed": True}, None, REPLACES),
    ("stub into nothing", {**FULL, "origin": "stub"}, None, REPLACES),
    (
        "stub over API",
        {**FULL, "origin": "stub"},
        snapshot("overwrite", origin="api"),
        "stub data never replaces",
    ),
    ("stub over a silent tap's", {**FULL, "origin": "stub"}, REPLACED, "stub data never replaces"),
    ("stub over stub", {**KEYED, "origin": "stub"}, snapshot("overwrite", origin="stub"), REPLACES),
    ("API over stub", {**KEYED, "origin": "api"}, snapshot("overwrite", origin="stub"), REPLACES),
    (
        "API from a bookmark over stub",
        {**KEYED, "origin": "api", "resumed": True},
        snapshot("overwrite", origin="stub"),
        "no snapshot of this dataset to build on",
    ),
]


@pytest.mark.parametrize(
    ("known", "previous", "expected"), [case[1:] for case in DECISIONS], ids=[case[0] for case in DECISIONS]
)
def test_rows_are_published_or_held(
    known: dict[str, Any], previous: SnapshotInfo | None, expected: tuple[str, bool] | str
) -> None:
    decision = decide(facts(**known), previous)
    if isinstance(expected, str):
        assert decision.hold is not None
        assert expected in decision.hold
    else:
        assert (decision.hold, decision.keeps_base) == (None, expected[1])


def test_no_bookmark_of_a_full_table_is_handed_on_before_its_snapshot() -> None:
    """It would be resumed from, and the next snapshot hold the remainder only."""
    full = facts(**{**FULL, "proof": "open", "on_incomplete": "publish"})
    assert not may_keep(full, None, begun=False)


DROPS: list[tuple[dict[str, Any], int, int, bool]] = [
    ({"proof": "unproven"}, 100, 95, False),
    ({"proof": "unproven"}, 100, 94, True),
    ({"proof": "unproven"}, 100, 0, True),
    ({"proof": "unproven"}, 0, 0, False),
    ({"proof": "unproven"}, 10, 11, False),
    ({"proof": "unproven", "max_row_drop": 0.5}, 100, 50, False),
    ({"proof": "unproven", "max_row_drop": 1.0}, 100, 0, False),
    ({"proof": "unproven", "max_row_drop": 0.0}, 100, 99, True),
    ({"proof": "proven"}, 100, 0, False),
    ({"proof": "proven", "max_row_drop": 0.5}, 100, 49, True),
]


@pytest.mark.parametrize(("known", "before", "after", "is_held"), DROPS)
def test_a_fall_in_rows_is_held_past_the_limit(
    known: dict[str, Any], before: int, after: int, *, is_held: bool
) -> None:
    assert (hold_for_drop(facts(**known), before, after) is not None) == is_held
