"""A read by bulk operation gives what the paged read gives, whatever happens to the operation."""

from __future__ import annotations

import logging
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tap_shopify import backfill, bulk
from tap_shopify.bulk import BulkOperations
from tap_shopify.bulk_query import BulkQuery, UnfitError, mark_of
from tap_shopify.graphql import Query
from tap_shopify.stream import ShopifyStream
from tap_shopify.streams import Orders
from tap_shopify.tap import TapShopify
from tests.emulators.asking import Clock
from tests.emulators.shopify import BulkPace, Fault, ShopifyServer, Short, TokenBucket
from tests.processes import start
from tests.taps.conftest import TOKEN
from tests.taps.singer import TAP, Output, read, selected
from tests.zygote import IMPATIENT

Told = Callable[[], list[str]]
Killed = Callable[[], list[bytes]]
STREAMS = ("customers", "orders", "products")
FLAT = """
query Orders($first: Int!, $after: String, $query: String) {
  orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {
    nodes { id name updatedAt }
    pageInfo { hasNextPage endCursor }
  }
}
"""


@pytest.fixture
def always(config: dict[str, Any]) -> dict[str, Any]:
    """The settings of a tap that takes a bulk operation wherever it can."""
    return {**config, "bulk": "always"}


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    """What the tap warned of."""
    caplog.set_level(logging.INFO)
    return lambda: [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def by_id(output: Output, stream: str) -> dict[int, dict[str, Any]]:
    """Return the rows of a stream by their id, the last one of each."""
    return {row["id"]: row for row in output.rows(stream)}


def roots(shop: ShopifyServer) -> list[str]:
    """Return the first root field of every request, in order."""
    return [record.root_fields[0] for record in shop.requests]


def sent(shop: ShopifyServer) -> list[str]:
    """Return the documents that were sent to run in bulk."""
    asked = [record for record in shop.requests if "bulkOperationRunQuery" in record.root_fields]
    return [str(record.variables["query"]) for record in asked]


# ---- the same records


def every_stream() -> dict[str, ShopifyStream]:
    """Return the streams of a tap that knows no shop."""
    streams = TapShopify(config={}, setup_mapper=False).streams.values()
    return {stream.name: stream for stream in streams if isinstance(stream, ShopifyStream)}


def can_go(stream: str) -> bool:
    """Tell whether a stream's query may run in bulk."""
    try:
        BulkQuery(every_stream()[stream].query)
    except UnfitError:
        return False
    return True


def by_key(output: Output, stream: str) -> list[dict[str, Any]]:
    """Return the rows of a stream in the order of their keys."""
    keys = every_stream()[stream].primary_keys
    return sorted(output.rows(stream), key=lambda row: [str(row[key]) for key in keys])


def test_records_of_every_stream_are_those_of_the_paged_read() -> None:
    streams = tuple(every_stream())
    bucket = TokenBucket(1_000_000, 1_000_000)
    with ShopifyServer(token=TOKEN, orders=40, customers=9, products=5, bucket=bucket) as shop:
        config = {"shop_domain": shop.domain, "access_token": TOKEN}
        paged, whole = (read({**config, "bulk": bulk}, streams=streams) for bulk in ("never", "always"))

    assert {stream: by_key(whole, stream) for stream in streams} == {
        stream: by_key(paged, stream) for stream in streams
    }
    began = {(mark_of(text) or {})["read"] for text in sent(shop)}
    assert began == {f"Stream {stream}" for stream in streams if can_go(stream)}


@pytest.mark.parametrize("order", ["grouped", "parents first"])
def test_the_order_of_lines_makes_no_difference(
    shop: ShopifyServer, config: dict[str, Any], always: dict[str, Any], order: str
) -> None:
    shop.store.bulk.order = order
    paged, whole = read(config, streams=("orders",)), read(always, streams=("orders",))

    assert by_key(whole, "orders") == by_key(paged, "orders")


def test_the_great_streams_can_go_through_bulk() -> None:
    assert [stream for stream in STREAMS if not can_go(stream)] == []


def test_a_bookmark_bounds_the_operation(
    shop: ShopifyServer, config: dict[str, Any], always: dict[str, Any]
) -> None:
    state = read(config, streams=("orders",)).state
    shop.store.advance(3600)
    changed = shop.store.touch_orders(5)
    shop.store.advance(3600)
    output = read(always, streams=("orders",), state=state)

    assert {row["admin_graphql_api_id"] for row in output.rows("orders")} >= set(changed)
    assert "query: \"updated_at:>='2026-01-20T07:" in sent(shop)[0]
    assert output.kind("ACTIVATE_VERSION") == []
    assert output.state["bookmarks"]["orders"]["replication_key_value"] > "2026-02-01T01:00:00Z"


def test_the_state_at_the_end_names_no_operation(always: dict[str, Any]) -> None:
    first, *_ = (output := read(always)).kind("STATE")

    assert "bulk_operation" in first["value"]["bookmarks"]["customers"]
    assert all("bulk_operation" not in entry for entry in output.state["bookmarks"].values())


def test_no_bookmark_moves_before_the_whole_result_is_there(always: dict[str, Any]) -> None:
    output = read(always, streams=("orders",))
    bookmarks = [
        message["value"]["bookmarks"]["orders"].get("replication_key_value")
        for message in output.kind("STATE")
    ]
    last_record = max(at for at, message in enumerate(output.messages) if message["type"] == "RECORD")
    states = [at for at, message in enumerate(output.messages) if message["type"] == "STATE"]

    assert all(bookmark is None for at, bookmark in zip(states, bookmarks, strict=True) if at < last_record)
    assert bookmarks[-1] is not None


def test_what_changes_while_the_operation_runs_is_read_after_it(
    shop: ShopifyServer, always: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.store.bulk.clock = clock = Clock()
    shop.store.bulk.pace = BulkPace(running=10)
    changed: list[str] = []

    def wait(_seconds: float) -> None:
        clock.now += 6
        shop.store.advance(600)
        changed.extend(shop.store.touch_orders(3))
        changed.append(shop.store.add_order())

    monkeypatch.setattr(bulk, "time", type("Time", (), {"sleep": staticmethod(wait)}))
    output = read(always, streams=("orders",))
    rows = by_id(output, "orders")

    assert len(changed) == 8
    assert {row["admin_graphql_api_id"]: row["updated_at"] for row in rows.values()} == {
        row["id"]: row["updatedAt"] for row in shop.store.rows("orders")
    }


# ---- the choice


def test_few_records_are_not_worth_an_operation(shop: ShopifyServer, config: dict[str, Any]) -> None:
    read({**config, "bulk": "auto"})

    assert sent(shop) == []


def test_many_records_are_worth_an_operation_by_the_shops_own_count(
    shop: ShopifyServer, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "WORTH", 100)
    read({**config, "bulk": "auto"})

    assert [document.split('"')[3] for document in sent(shop)] == ["Stream orders"]


@pytest.mark.parametrize(("start", "operations"), [(None, 1), ("2025-12-31", 1), ("2026-01-20", 0)])
def test_where_nothing_is_counted_a_wide_window_is_worth_an_operation(
    shop: ShopifyServer,
    config: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    start: str | None,
    operations: int,
) -> None:
    monkeypatch.setattr(Orders, "count", None)
    since = {"start_date": start} if start else {}
    read({**config, **since, "bulk": "auto"}, streams=("orders",))

    assert len(sent(shop)) == operations


def test_what_is_neither_counted_nor_bounded_is_read_page_by_page(
    shop: ShopifyServer, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Orders, "count", None)
    monkeypatch.setattr(Orders, "filtered_by", None)
    monkeypatch.setattr(Orders, "replication_key", None)
    read({**config, "bulk": "auto"}, streams=("orders",))
    assert sent(shop) == []

    rows = read({**config, "bulk": "always"}, streams=("orders",)).rows("orders")
    assert (len(sent(shop)), len(rows)) == (1, 120)


def test_what_cannot_go_through_bulk_is_said_and_read_page_by_page(
    shop: ShopifyServer,
    always: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    orders = "orders(first: 1) { nodes { id } pageInfo { hasNextPage endCursor } }"
    inside = Query(FLAT.replace("name", f"customer {{ id {orders} }}"))
    monkeypatch.setattr(backfill, "BulkQuery", lambda _query, make=BulkQuery: make(inside))
    caplog.set_level(logging.INFO)
    rows = read(always, streams=("orders",)).rows("orders")

    assert (len(rows), sent(shop)) == (120, [])
    assert (
        "Stream orders is read page by page, it cannot go through bulk: its orders stand inside customer."
        in caplog.messages
    )


# ---- slots


def test_operations_of_later_streams_run_while_the_first_is_waited_for(
    shop: ShopifyServer, always: dict[str, Any]
) -> None:
    read(always)
    asked = roots(shop)

    assert len(sent(shop)) == 3
    assert asked.index("bulkResult") > max(
        at for at, root in enumerate(asked) if root == "bulkOperationRunQuery"
    )


def test_a_slot_is_waited_for_and_others_operations_are_left_alone(
    shop: ShopifyServer,
    always: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    foreign = shop.store.bulk.occupy(5)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 4:
            shop.store.bulk.finish(foreign[2])

    monkeypatch.setattr(bulk, "time", type("Time", (), {"sleep": staticmethod(wait)}))
    caplog.set_level(logging.INFO)
    output = read(always, streams=("orders",))

    assert len(output.rows("orders")) == 120
    assert waits[:4] == sorted(set(waits[:4]))
    assert "bulkOperationCancel" not in roots(shop)
    assert any(
        "5 bulk operations of this app run already, 0 of them started by this tap" in line
        for line in caplog.messages
    )


def test_where_no_slot_becomes_free_the_read_goes_page_by_page(
    shop: ShopifyServer,
    always: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    told: Told,
) -> None:
    monkeypatch.setattr(BulkOperations, "patience", 0.005)
    shop.store.bulk.occupy(5)
    output = read(always, streams=("orders",))

    assert len(output.rows("orders")) == 120
    (warning,) = told()
    assert warning.startswith(
        "Stream orders: No slot is free, the rest is read page by page. Stream orders: no slot"
    )


# ---- what goes wrong


@pytest.mark.parametrize("code", ["INTERNAL_SERVER_ERROR", "TIMEOUT", "ACCESS_DENIED"])
def test_an_operation_that_fails_leaves_the_work_to_pages(
    shop: ShopifyServer,
    config: dict[str, Any],
    always: dict[str, Any],
    code: str,
    told: Told,
) -> None:
    paged = read(config, streams=("orders",))
    shop.store.bulk.fail(code, 0.5)
    output = read(always, streams=("orders",))

    assert by_id(output, "orders") == by_id(paged, "orders")
    assert len(output.rows("orders")) == 120
    ended = f"It ended as FAILED {code}, and its partial data may lack some rows, or parts of them."
    assert told() == [f"Stream orders: Bulk operation failed, the rest is read page by page. {ended}"]


EVERY_KIND = (*STREAMS, "locations", "order_transactions", "pages", "returns", "url_redirects")
LACKS = {
    "bytes": (STREAMS, Short(2), r"Its result has \d+ bytes, and Shopify tells of \d+\."),
    "lines": (
        EVERY_KIND,
        Short(2, is_sized=False),
        r"Its result has \d+ objects, and Shopify tells of \d+\.",
    ),
    "all": (STREAMS, None, r"It ended with \d+ objects and no address to get them from\."),
}


@pytest.mark.parametrize("lack", LACKS)
def test_a_result_that_lacks_lines_is_not_taken_for_whole(
    shop: ShopifyServer, config: dict[str, Any], always: dict[str, Any], lack: str, told: Told
) -> None:
    streams, short, reason = LACKS[lack]
    paged = read(config, streams=streams)
    shop.store.bulk.short, shop.store.bulk.has_urls = short or Short(0), short is not None
    output = read(always, streams=streams)

    assert {(mark_of(text) or {})["read"] for text in sent(shop)} == {f"Stream {name}" for name in streams}
    assert {stream: by_key(output, stream) for stream in streams} == {
        stream: by_key(paged, stream) for stream in streams
    }
    assert output.state == paged.state
    assert len(told()) == len(streams)
    for stream, warning in zip(sorted(streams), sorted(told()), strict=True):
        said = f"Stream {stream}: Bulk operation failed, the rest is read page by page. "
        assert re.fullmatch(re.escape(said) + reason, warning)


def test_partial_data_of_whole_sorted_objects_is_used_and_read_on_from(
    shop: ShopifyServer,
    always: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    told: Told,
) -> None:
    monkeypatch.setattr(Orders, "query", Query(FLAT))
    shop.store.bulk.fail("TIMEOUT", 0.75)
    output = read(always, streams=("orders",))
    pages = [record.variables for record in shop.requests if "orders" in record.root_fields]
    (filtered,) = {page["query"] for page in pages if page["first"] > 1}
    places = sorted(row["updatedAt"] for row in shop.store.rows("orders"))

    assert len(by_id(output, "orders")) == len(output.rows("orders")) == 120
    assert told() == ["Stream orders: bulk operation ended as FAILED TIMEOUT; read on from its partial data."]
    assert places[0] < filtered.split("'")[1] <= places[90]


def test_an_answer_that_was_lost_starts_no_second_operation(
    shop: ShopifyServer, always: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.store.bulk.clock = clock = Clock()
    shop.store.bulk.pace = BulkPace(running=10)
    monkeypatch.setattr(bulk, "time", type("Time", (), {"sleep": lambda _: setattr(clock, "now", 10)}))
    shop.faults.add(Fault.cut(), root="bulkOperationRunQuery")
    output = read(always, streams=("orders",))

    assert len(output.rows("orders")) == 120
    assert len(shop.store.bulk.operations) == 1


def test_a_download_that_breaks_off_is_taken_up_and_one_that_is_refused_left(
    shop: ShopifyServer, always: dict[str, Any], told: Told
) -> None:
    shop.faults.add(Fault.cut(), root="bulkResult", times=2)
    assert len(read(always, streams=("orders",)).rows("orders")) == 120
    assert len(told()) == 2

    shop.faults.add(Fault.status(403), root="bulkResult")
    assert len(read(always, streams=("orders",)).rows("orders")) == 120
    assert told()[2] == (
        "Stream orders: Bulk operation failed, the rest is read page by page. "
        "Stream orders: the storage answered HTTP 403 (Forbidden)."
    )


def test_the_storage_sees_no_token_and_no_log_its_address(
    shop: ShopifyServer, always: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shop.faults.add(Fault.cut(), root="bulkResult")
    read(always, streams=("orders",))
    downloads = [record for record in shop.requests if record.root_fields == ("bulkResult",)]

    assert len(downloads) == 2
    assert all(TOKEN not in str(record.headers) for record in downloads)
    assert not [one.key for one in shop.store.bulk.operations.values() if one.key in caplog.text]


# ---- killed, and run again


@pytest.fixture
def killed(shop: ShopifyServer, always: dict[str, Any], tmp_path: Path) -> Killed:
    """Runs the tap as a process, kills it while its operation runs, and returns what it printed."""

    def run() -> list[bytes]:
        shop.store.bulk.clock = Clock()
        shop.store.bulk.pace = BulkPace(running=10)
        path = tmp_path / "shop.json"
        path.write_bytes(msgspec.json.encode(always))
        catalog = tmp_path / "catalog.json"
        catalog.write_bytes(msgspec.json.encode(selected(always)))
        out = tmp_path / "out"
        with Path(os.devnull).open("r+b") as nothing, out.open("wb") as stdout:
            command: list[str | Path] = [TAP, "--config", path, "--catalog", catalog]
            descriptors = [nothing.fileno(), stdout.fileno(), nothing.fileno()]
            process = start(command, descriptors, env={"PATH": os.environ["PATH"], IMPATIENT: "1"})
        deadline = time.monotonic() + 30
        while roots(shop).count("bulkOperation") < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert roots(shop).count("bulkOperation") >= 3
        process.send_signal(signal.SIGKILL)
        assert process.end() == -signal.SIGKILL
        return out.read_bytes().splitlines()

    return run


def test_a_run_that_was_killed_goes_on_with_its_operation(
    shop: ShopifyServer, always: dict[str, Any], killed: Killed
) -> None:
    lines = killed()
    states = [message for line in lines if (message := msgspec.json.decode(line))["type"] == "STATE"]
    started = dict(shop.store.bulk.operations)
    shop.store.bulk.clock.now = 10  # type: ignore[attr-defined]
    output = read(always, state=states[-1]["value"])

    assert len(started) == 3
    assert shop.store.bulk.operations == started
    assert {stream: len(by_id(output, stream)) for stream in STREAMS} == {
        "customers": 24,
        "orders": 120,
        "products": 12,
    }


def test_an_operation_that_no_state_names_is_found_again(
    shop: ShopifyServer,
    always: dict[str, Any],
    killed: Killed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed()
    started = list(shop.store.bulk.operations)
    monkeypatch.setattr(
        bulk, "time", type("Time", (), {"sleep": lambda _: setattr(shop.store.bulk.clock, "now", 10)})
    )
    output = read(always)

    assert list(shop.store.bulk.operations) == started
    assert len(output.rows("orders")) == 120


def test_an_operation_whose_result_has_expired_is_started_anew(
    shop: ShopifyServer, always: dict[str, Any], killed: Killed
) -> None:
    lines = killed()
    state = msgspec.json.decode(lines[-1])["value"]
    shop.store.bulk.clock.now = 8 * 86_400  # type: ignore[attr-defined]
    shop.store.bulk.pace = BulkPace()
    output = read(always, state=state)

    assert len(shop.store.bulk.operations) == 6
    assert len(output.rows("orders")) == 120


def test_an_operation_of_another_read_is_not_taken_for_this_one(
    shop: ShopifyServer, always: dict[str, Any]
) -> None:
    read(always, streams=("orders",))
    (done,) = shop.store.bulk.operations
    state = {"bookmarks": {"orders": {"bulk_operation": done}}}
    read({**always, "start_date": "2026-01-01"}, streams=("orders",), state=state)

    assert len(shop.store.bulk.operations) == 2


# ---- several shops


def test_several_shops_are_read_in_bulk_each_by_its_own_operations() -> None:
    size: dict[str, Any] = {"token": TOKEN, "orders": 9, "customers": 4, "products": 3}
    with ShopifyServer(**size) as shop, ShopifyServer(shop="bolt.myshopify.com", **size) as bolt:
        shops = [{"shop_domain": one.domain, "access_token": TOKEN} for one in (shop, bolt)]
        both = {"shops": shops, "bulk": "always"}
        output = read(both)
        paged = read({**both, "bulk": "never"})

        assert [len(sent(one)) for one in (shop, bolt)] == [3, 3]
        assert [len(one.store.bulk.operations) for one in (shop, bolt)] == [3, 3]
    for stream in STREAMS:
        key = lambda row: (row["shop_domain"], row["id"])  # noqa: E731
        assert sorted(output.rows(stream), key=key) == sorted(paged.rows(stream), key=key)
        assert output.types(stream).count("ACTIVATE_VERSION") == 1
    partitions = {stream: output.state["bookmarks"][stream]["partitions"] for stream in STREAMS}
    assert all("bulk_operation" not in part for parts in partitions.values() for part in parts)
    assert {len(parts) for parts in partitions.values()} == {2}
