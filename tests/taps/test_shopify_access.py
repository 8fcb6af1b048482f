"""Who may read what, with which token, from which shops; what is kept of it, and what is said."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import parse
from singer_sdk.singerlib import Catalog

from tap_common.errors import ApiError, ConfigError
from tap_shopify.access import hidden, missing, needs
from tap_shopify.client import QUERIES
from tap_shopify.graphql import Query
from tap_shopify.stream import ShopifyStream
from tap_shopify.streams import STREAMS
from tap_shopify.tap import TapShopify
from tests.emulators.shopify import Fault, ShopifyServer, TokenBucket, api
from tests.emulators.shopify.schema import admin_schema
from tests.emulators.shopify.scopes import may_see, refusals
from tests.taps.conftest import TOKEN
from tests.taps.singer import Output, read, run, selected, sync

READS = {"read_orders", "read_products", "read_customers", "read_inventory", "read_all_orders"}


def tokens_used(shop: ShopifyServer) -> list[str]:
    """Return the access tokens that requests came with, each once, in order."""
    asked = [request for request in shop.requests if request.root_fields != ("bulkResult",)]
    return list(dict.fromkeys(request.headers["x-shopify-access-token"] for request in asked))


def orders(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Read the orders, by a catalog that no request was needed for."""
    catalog = Catalog.from_dict(selected({}, ("orders",)))
    return sync(TapShopify(config=config, catalog=catalog)).rows("orders")


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


# ---- tokens


@pytest.fixture
def app(shop: ShopifyServer) -> dict[str, Any]:
    """The settings of an app of one's own."""
    return {
        "shop_domain": shop.domain,
        "client_id": shop.oauth.client_id,
        "client_secret": shop.oauth.client_secret,
    }


def test_client_credentials_give_a_token_for_the_run(shop: ShopifyServer, app: dict[str, Any]) -> None:
    assert len(orders(app)) == 120
    assert shop.oauth.issued == 1
    assert tokens_used(shop) == list(shop.oauth.tokens)


def test_a_token_that_runs_out_during_a_run_is_replaced(
    shop: ShopifyServer, app: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two days pass with each request; the shop's clock is on every reply."""
    answer = api.run

    def late(*arguments: Any, **named: Any) -> api.Answer:
        shop.store.advance(2 * 86_400)
        return answer(*arguments, **named)

    monkeypatch.setattr(api, "run", late)

    rows = orders({**app, "page_size": 50})

    assert len(rows) == 120
    assert len(tokens_used(shop)) > 2
    assert len(tokens_used(shop)) == shop.oauth.issued


def test_a_token_that_is_revoked_is_replaced_once(shop: ShopifyServer, app: dict[str, Any]) -> None:
    shop.faults.add(Fault.status(401), nth=3)

    assert len(orders(app)) == 120
    assert shop.oauth.issued == 2


def test_a_wrong_secret_is_told_without_naming_it(app: dict[str, Any]) -> None:
    with pytest.raises(
        ApiError, match=r"gives no access token .* Check client_id and client_secret"
    ) as caught:
        read({**app, "client_secret": "shpss_wrong_one"})

    assert "shpss_wrong_one" not in str(caught.value)


@pytest.fixture
def public(shop: ShopifyServer, app: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """The settings of a public app, with a refresh token of an earlier authorization."""
    shop.oauth.refresh_tokens["shprt_first"] = None
    return {**app, "refresh_token": "shprt_first", "credentials_file": str(tmp_path / "tokens.json")}


def test_a_rotating_token_is_kept_in_its_file_and_used_again(
    shop: ShopifyServer, public: dict[str, Any]
) -> None:
    file = Path(public["credentials_file"])

    read(public, streams=("shop",))
    read(public, streams=("shop",))

    assert shop.oauth.issued == 1, "the second run found a token that is still good"
    (kept,) = json.loads(file.read_text()).values()
    assert kept["access_token"] in shop.oauth.tokens
    assert kept["refresh_token"] == "shprt_00000001"  # noqa: S105 - the emulator's
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    shop.store.advance(7200)
    read(public, streams=("shop",))
    assert shop.oauth.issued == 2
    assert sorted(shop.oauth.refresh_tokens) == ["shprt_00000001", "shprt_00000002"]


def test_a_refresh_whose_answer_was_lost_is_asked_for_again(
    shop: ShopifyServer, public: dict[str, Any]
) -> None:
    """Shopify keeps the old refresh token until the new one is used."""
    fields = {key: public[key] for key in ("client_id", "client_secret", "refresh_token")}
    shop.oauth.answer(json.dumps({**fields, "grant_type": "refresh_token"}).encode(), "application/json")

    assert len(read(public).rows("orders")) == 120


def test_a_new_authorization_beats_the_file(shop: ShopifyServer, public: dict[str, Any]) -> None:
    read(public, streams=("shop",))
    shop.oauth.refresh_tokens = {"shprt_second": None}
    shop.oauth.tokens.clear()

    assert len(read({**public, "refresh_token": "shprt_second"}, streams=("shop",)).rows("shop")) == 1


def test_a_refresh_token_that_is_no_good_says_what_to_do(public: dict[str, Any]) -> None:
    with pytest.raises(ApiError, match=r"\(invalid_grant\)\. Authorize the app for this shop again"):
        read({**public, "refresh_token": "shprt_gone"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"credentials_file": None}, "refresh_token needs credentials_file too"),
        ({"client_id": None}, "client_id is missing|needs client_id too"),
        (
            {"refresh_token": None, "access_token": "shpat_x"},
            "access_token, or client_id and client_secret, not",
        ),
        ({"client_secret": None, "refresh_token": None}, "client_secret is missing"),
        (
            {"credentials_file": "/nowhere/tokens.json"},
            "credentials_file /nowhere/tokens.json cannot be used",
        ),
    ],
)
def test_credentials_that_do_not_go_together(
    public: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        TapShopify(config={key: value for key, value in {**public, **change}.items() if value})


# ---- scopes


def test_a_stream_whose_scope_is_missing_is_left_out_and_named(
    shop: ShopifyServer, config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    shop.store.scopes = READS - {"read_customers"}

    names = {entry["tap_stream_id"] for entry in TapShopify(config=config).catalog_dict["streams"]}

    assert {"orders", "products"} <= names
    assert "customers" not in names
    (line,) = (line for line in warnings(caplog) if line.startswith("Stream customers"))
    assert line == (
        "Stream customers is left out: the token lacks read_customers. Grant the app that scope to read it."
    )


def test_columns_whose_scope_is_missing_are_left_out_and_named(
    shop: ShopifyServer, config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    whole = read(config, streams=("orders",))
    shop.store.scopes = READS - {"read_customers", "read_products"}
    shop.requests.clear()

    output = read(config, streams=("orders",))

    (line,) = {line for line in warnings(caplog) if line.startswith("Stream orders")}
    assert line == (
        "Stream orders comes without customer, line_items.product, line_items.variant: the token lacks "
        "read_customers and read_products. Grant the app that scope to read more."
    )
    columns = {name for name in whole.kind("SCHEMA")[0]["schema"]["properties"] if name != "customer"}
    assert {*output.kind("SCHEMA")[0]["schema"]["properties"]} == columns
    for row in whole.rows("orders"):
        del row["customer"]
        for line in row["line_items"]:
            del line["product"], line["variant"]
    assert output.rows("orders") == whole.rows("orders")


def test_a_catalog_of_a_day_with_more_scopes_brings_no_hidden_column_back(
    shop: ShopifyServer, config: dict[str, Any]
) -> None:
    catalog = Catalog.from_dict(TapShopify(config=config).catalog_dict)
    shop.store.scopes = READS - {"read_customers"}

    tap = TapShopify(config=config, catalog=catalog)

    assert "customer" not in tap.streams["orders"].effective_schema["properties"]


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_what_is_asked_with_the_fewest_scopes_is_not_refused(stream: type[ShopifyStream]) -> None:
    """The tap's table and the emulator's refusals are two readings of Shopify's words."""
    name = str(vars(stream)["name"])
    source = QUERIES.joinpath(f"{name}.graphql").read_text(encoding="utf-8")
    granted = frozenset({need.partition("|")[0] for need in needs(name)} | {"write_pixels"})
    columns = hidden(name, granted)

    asked = parse(Query(source, without=columns).text)

    assert refusals(admin_schema(), asked, set(granted)) == []
    assert bool(columns) == bool(refusals(admin_schema(), parse(Query(source).text), set(granted)))
    assert missing(name, frozenset({"write_pixels"})) != [] or not needs(name)


def test_a_deselected_column_is_not_even_asked_for(shop: ShopifyServer, config: dict[str, Any]) -> None:
    whole = read(config, streams=("orders",))
    shop.requests.clear()

    output = read(
        config,
        streams=("orders",),
        deselect=("orders.email", "orders.line_items", "orders.total_price_set.shop_money"),
    )

    for row in whole.rows("orders"):
        del row["email"], row["line_items"], row["total_price_set"]["shop_money"]
    assert output.rows("orders") == whole.rows("orders")
    texts = [request.query for request in shop.requests if "orders" in request.root_fields]
    assert texts != []
    assert not any("email" in text or "line_items:" in text for text in texts)


def test_keys_and_bookmarks_are_asked_for_even_if_deselected(config: dict[str, Any]) -> None:
    output = read(config, streams=("orders",), deselect=("orders.updated_at",))

    assert output.state["bookmarks"]["orders"]["replication_key_value"] > "2026"


def test_a_token_without_any_read_scope_reads_what_needs_none(
    shop: ShopifyServer, config: dict[str, Any]
) -> None:
    shop.store.scopes = {"write_pixels"}

    assert set(TapShopify(config=config).streams) == {"deletions", "events", "metafields_shop", "shop"}


def test_discovery_over_the_command_line_leaves_out_what_cannot_be_read(
    tmp_path: Path, shop: ShopifyServer, config: dict[str, Any]
) -> None:
    shop.store.scopes = READS - {"read_orders"}
    (tmp_path / "c").write_text(json.dumps(config))

    done = run("--config", tmp_path / "c", "--discover")

    names = [entry["tap_stream_id"] for entry in json.loads(done.stdout)["streams"]]
    assert "products" in names
    assert not {"orders", "order_refunds"} & set(names)
    assert "Stream orders is left out: the token lacks read_orders." in done.stderr


@pytest.mark.parametrize(
    ("scopes", "start", "warned"),
    [
        (READS, None, False),
        (READS - {"read_all_orders"}, None, True),
        (READS - {"read_all_orders"}, "2025-11-01", True),
        (READS - {"read_all_orders"}, "2026-01-15", False),
    ],
)
def test_old_orders_without_read_all_orders_warn(
    shop: ShopifyServer,
    config: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    scopes: set[str],
    start: str | None,
    *,
    warned: bool,
) -> None:
    shop.store.scopes = set(scopes)

    read({**config, **({"start_date": start} if start else {})}, streams=("orders", "customers"))

    told = [line for line in warnings(caplog) if "read_all_orders" in line]
    assert [line[:15] for line in told] == ["Stream orders: "] * warned


@pytest.mark.parametrize("bulk", ["never", "always"])
def test_fulfillment_orders_that_some_scope_hides_are_told(
    shop: ShopifyServer, config: dict[str, Any], caplog: pytest.LogCaptureFixture, bulk: str
) -> None:
    shop.store.sizes["fulfillmentOrders"] = 40
    granted = {"write_merchant_managed_fulfillment_orders", "read_assigned_fulfillment_orders"}
    shop.store.scopes = READS | granted

    output = read({**config, "bulk": bulk}, streams=("fulfillment_orders",))

    shown = {row["id"] for row in shop.store.rows("fulfillmentOrders") if may_see(row, granted)}
    assert {row["admin_graphql_api_id"] for row in output.rows("fulfillment_orders")} == shown
    assert 0 < len(shown) < 40
    (line,) = (line for line in warnings(caplog) if line.startswith("Stream fulfillment_orders: "))
    assert line == (
        "Stream fulfillment_orders: Shopify shows this token the fulfillment orders of some kinds of "
        "locations alone, and is silent about the others. Grant the app "
        "read_third_party_fulfillment_orders and read_marketplace_fulfillment_orders to read those, where "
        "the shop has any."
    )


def test_with_every_scope_all_fulfillment_orders_come_and_nothing_is_told(
    shop: ShopifyServer, config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    shop.store.sizes["fulfillmentOrders"] = 40

    output = read(config, streams=("fulfillment_orders",))

    came = {row["admin_graphql_api_id"] for row in output.rows("fulfillment_orders")}
    assert came == set(shop.store.ids("fulfillmentOrders"))
    assert warnings(caplog) == []


def test_of_the_scopes_for_fulfillment_orders_the_one_that_most_shops_need_is_named(
    shop: ShopifyServer, config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    shop.store.scopes = set(READS)

    assert "fulfillment_orders" not in TapShopify(config=config).streams
    (line,) = (line for line in warnings(caplog) if line.startswith("Stream fulfillment_orders"))
    assert line == (
        "Stream fulfillment_orders is left out: the token lacks read_merchant_managed_fulfillment_orders. "
        "Grant the app that scope to read it."
    )


def test_access_denied_names_the_scope_stream_shop_and_request(
    shop: ShopifyServer, config: dict[str, Any]
) -> None:
    """A scope that is withdrawn while the run goes on."""
    tap_config = dict(config)
    catalogued = TapShopify(config=tap_config)
    shop.store.scopes = READS - {"read_customers"}

    with pytest.raises(
        ApiError, match=r"^customers of http://127.*, request [0-9a-f-]{36}: .*Grant the app what it"
    ):
        list(catalogued.streams["customers"].get_records(None))


# ---- several shops


@pytest.fixture
def bolt() -> Iterator[ShopifyServer]:
    """A second shop of the same owner, with rows of the same ids."""
    bucket = TokenBucket(capacity=100_000, restore_rate=5_000)
    with ShopifyServer(
        shop="bolt.myshopify.com", token=TOKEN, orders=15, customers=6, products=4, bucket=bucket
    ) as server:
        yield server


@pytest.fixture
def both(shop: ShopifyServer, bolt: ShopifyServer) -> dict[str, Any]:
    """The settings that open both."""
    return {"shops": [{"shop_domain": server.domain, "access_token": TOKEN} for server in (shop, bolt)]}


def test_several_shops_are_read_in_one_run_and_told_apart_by_key(
    shop: ShopifyServer, bolt: ShopifyServer, both: dict[str, Any]
) -> None:
    output = read(both, streams=("orders",))

    (schema,) = output.kind("SCHEMA")
    assert schema["key_properties"] == ["shop_domain", "id"]
    assert schema["schema"]["properties"]["shop_domain"] == {"type": ["string"]}
    assert "account" not in schema["schema"]["x-singerlake"]
    rows = output.rows("orders")
    for server in (shop, bolt):
        mine = {row["admin_graphql_api_id"] for row in rows if row["shop_domain"] == server.shop}
        assert mine == set(server.store.ids("orders"))
    assert output.types("orders").count("ACTIVATE_VERSION") == 1
    assert output.state["accounts"] == ["acme.myshopify.com", "bolt.myshopify.com"]
    assert output.state["bookmarks"]["orders"]["partitions"] == [
        {
            "context": {"shop_domain": server.shop},
            "replication_key": "updated_at",
            "replication_key_value": max(row["updatedAt"] for row in server.store.rows("orders")),
            "deletions_told_until": server.store.timestamp,
        }
        for server in (shop, bolt)
    ]


def test_each_shop_has_a_bookmark_of_its_own(bolt: ShopifyServer, both: dict[str, Any]) -> None:
    first = read(both, streams=("orders",))
    touched = bolt.store.touch_orders(2)

    rows = read({**both, "lookback": 0}, streams=("orders",), state=first.state).rows("orders")

    assert {*touched} <= {row["admin_graphql_api_id"] for row in rows if row["shop_domain"] == bolt.shop}
    assert len(rows) < 40


def test_what_some_shops_token_may_not_read_is_left_out_of_all_and_the_shop_named(
    shop: ShopifyServer, bolt: ShopifyServer, both: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    bolt.store.scopes = READS - {"read_customers"}
    shop.store.scopes = READS - {"read_customers", "read_products"}

    tap = TapShopify(config=both)

    assert not {"customers", "products"} & set(tap.streams)
    assert "customer" not in tap.streams["orders"].schema["properties"]
    told = [line for line in warnings(caplog) if re.match(r"Stream (customers|orders|products) ", line)]
    assert told == [
        (
            "Stream orders comes without customer, line_items.product, line_items.variant: the token of "
            "acme.myshopify.com lacks read_customers and read_products; the token of bolt.myshopify.com "
            "lacks read_customers. Grant the app that scope to read more."
        ),
        (
            "Stream customers is left out: the tokens of acme.myshopify.com and bolt.myshopify.com lack "
            "read_customers. Grant the app that scope to read it."
        ),
        (
            "Stream products is left out: the token of acme.myshopify.com lacks read_products. Grant the app "
            "that scope to read it."
        ),
    ]


def test_a_new_shop_beside_an_old_one_removes_no_rows(both: dict[str, Any]) -> None:
    """A versioned read would: it says that rows of other versions are gone, the first shop's among them."""
    alone = read({"shops": both["shops"][:1]}, streams=("orders",))

    output = read(both, streams=("orders",), state=alone.state)

    assert output.kind("ACTIVATE_VERSION") == []
    assert {row["shop_domain"] for row in output.rows("orders")} >= {"bolt.myshopify.com"}
    assert output.state["accounts"] == ["acme.myshopify.com", "bolt.myshopify.com"]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (
            {"account": "acme.myshopify.com"},
            "belongs to acme.myshopify.com, you asked for acme.myshopify.com and bolt.myshopify.com",
        ),
        ({"accounts": ["cozy.myshopify.com"]}, "belongs to cozy.myshopify.com, you asked for acme"),
    ],
)
def test_a_state_of_other_shops_is_refused(both: dict[str, Any], state: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read(both, state=state)


def test_a_state_of_several_shops_is_refused_by_one(config: dict[str, Any], both: dict[str, Any]) -> None:
    state = read(both, streams=("customers",)).state

    with pytest.raises(ConfigError, match=r"belongs to acme.* and bolt.*, you asked for acme.myshopify.com"):
        read(config, state=state)


def test_a_shop_twice_is_refused(both: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="Two entries name the same account"):
        read({"shops": [both["shops"][0], both["shops"][0]]})


def test_tokens_inside_shops_never_reach_a_log(tmp_path: Path, both: dict[str, Any]) -> None:
    both["shops"][0]["access_token"] = "shpat_wrong_but_secret"  # noqa: S105 - opens nothing
    (tmp_path / "c").write_text(json.dumps(both))

    done = run("--config", tmp_path / "c", env={"TAP_SHOPIFY_LOGLEVEL": "DEBUG"})

    assert done.code == 1
    assert "refused the access token" in done.stderr
    assert "shpat_wrong_but_secret" not in done.stderr
    assert Output.of(done.stdout).messages == []
