"""The small parts that every tap shares, one by one."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from singer_sdk.mapper import PluginMapper

from tap_common import redact
from tap_common.config import gather, origin_of, utc_timestamp
from tap_common.errors import ApiError, ConfigError, RetryableError
from tap_common.pages import PageGuard, Seen
from tap_common.redact import clean, foreign, protect
from tap_common.retry import LONGEST_RETRY_AFTER, LONGEST_WAIT, retry_after, retrying, waits
from tap_common.stream import ANNOTATION
from tap_shopify.gids import number_of, type_of
from tap_shopify.graphql import snake

NOW = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("2", 2.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("86400", LONGEST_RETRY_AFTER),
        ("inf", None),
        ("nan", None),
        ("soon", None),
        (format_datetime(NOW.replace(second=30), usegmt=True), 30.0),
        (format_datetime(NOW.replace(hour=11), usegmt=True), 0.0),
        ("Sun, 01 Nov 2026 12:00:07 -0000", 7.0),
    ],
)
def test_retry_after_is_read_in_both_spellings(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds


def test_waits_grow_with_jitter_up_to_a_limit() -> None:
    steps = waits(1.0)
    next(steps)
    found = [steps.send(None) for _ in range(10)]

    for wait, step in zip(found, [1, 2, 4, 8, 16, 32, *[LONGEST_WAIT] * 4], strict=True):
        assert step / 2 <= wait <= step


def test_a_server_that_says_when_is_not_asked_earlier() -> None:
    steps = waits(1.0)
    next(steps)

    assert 7.0 <= steps.send(RetryableError("busy", retry_after=7.0)) <= 7.2


def test_tries_are_bounded_and_only_what_may_pass_is_tried_again() -> None:
    calls: list[int] = []

    def busy() -> None:
        calls.append(1)
        raise RetryableError("busy.")

    def refused() -> None:
        calls.append(1)
        raise ApiError("refused.")

    with pytest.raises(RetryableError, match="busy"):
        retrying(busy, tries=4, base=0.0001)
    assert len(calls) == 4
    with pytest.raises(ApiError, match="refused"):
        retrying(refused, tries=4, base=0.0001)
    assert len(calls) == 5


@pytest.mark.parametrize("cycle", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_a_page_guard_knows_every_token(cycle: list[str]) -> None:
    guard = PageGuard("Stream x")

    assert [guard.following(token, more=True) for token in cycle] == cycle
    with pytest.raises(ApiError, match="a second time"):
        guard.following(cycle[0], more=True)


@pytest.mark.parametrize("token", [None, ""])
def test_a_page_guard_wants_a_token_while_there_is_more(token: str | None) -> None:
    assert PageGuard("Stream x").following(token, more=False) is None
    with pytest.raises(ApiError, match="no cursor"):
        PageGuard("Stream x").following(token, more=True)


def test_a_row_that_comes_twice_is_sent_once_unless_it_changed() -> None:
    seen = Seen(limit=2)
    rows = [{"id": 1, "at": "a"}, {"id": 2, "at": "a"}]

    assert seen.new(rows, "id", "at") == rows
    assert seen.new([rows[1], {"id": 1, "at": "b"}, {"no": "id"}], "id", "at") == [
        {"id": 1, "at": "b"},
        {"no": "id"},
    ]
    assert seen.new([{"id": 3, "at": "a"}, rows[1]], "id", "at") == [{"id": 3, "at": "a"}, rows[1]]


def test_e_mail_addresses_are_masked() -> None:
    assert clean("Customer jane.doe+x@mail.example.com is odd, shop acme.myshopify.com is not") == (
        "Customer *** is odd, shop acme.myshopify.com is not"
    )


def test_secrets_are_masked_in_every_spelling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redact, "_secrets", set())
    protect(['to"ken/1', "abc"])

    assert clean('to"ken/1 to\\"ken/1 to%22ken%2F1 abc') == "*** *** *** abc"


def test_a_traceback_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redact, "_secrets", set())
    protect(["shpat_hidden"])
    formatter = redact.CleanFormatter(logging.Formatter())
    error = ValueError("shpat_hidden")
    info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "%s", ("shpat_hidden",), info)

    assert "shpat_hidden" not in formatter.format(record)
    assert "ValueError: ***" in formatter.format(record)


def test_foreign_text_is_one_short_line_without_control_characters() -> None:
    assert foreign("a\x1b[31m\nb\u202ec\x00") == "a\\x1b[31m b\\u202ec\\x00"
    assert foreign("x" * 400, 10) == "x" * 10 + "..."


SCHEMA: dict[str, Any] = {
    "properties": {
        "shop_domain": {"type": ["string", "null"]},
        "max_tries": {"type": ["integer", "null"]},
        "flattening_enabled": {"type": ["boolean", "null"]},
        "stream_maps": {"type": ["object", "null"]},
    }
}


def test_settings_come_from_file_then_long_then_plain_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPIFY_SHOP_DOMAIN", "plain")
    assert gather({}, SCHEMA, "tap-shopify") == {"shop_domain": "plain"}
    monkeypatch.setenv("TAP_SHOPIFY_SHOP_DOMAIN", "long")
    assert gather({"shop_domain": " "}, SCHEMA, "tap-shopify") == {"shop_domain": "long"}
    assert gather({"shop_domain": "file"}, SCHEMA, "tap-shopify") == {"shop_domain": "file"}
    monkeypatch.setenv("TAP_SHOPIFY_SHOP_DOMAIN", "")
    assert gather({}, SCHEMA, "tap-shopify") == {"shop_domain": "plain"}


def test_environment_values_take_the_type_of_their_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPIFY_MAX_TRIES", "3")
    monkeypatch.setenv("SHOPIFY_FLATTENING_ENABLED", "True")
    monkeypatch.setenv("SHOPIFY_STREAM_MAPS", '{"orders": null}')

    assert gather({}, SCHEMA, "tap-shopify") == {
        "max_tries": 3,
        "flattening_enabled": True,
        "stream_maps": {"orders": None},
    }
    monkeypatch.setenv("SHOPIFY_MAX_TRIES", "many")
    with pytest.raises(ConfigError, match="SHOPIFY_MAX_TRIES is not a valid integer"):
        gather({}, SCHEMA, "tap-shopify")


@pytest.mark.parametrize(
    ("config", "outcome"),
    [
        ({"a": "1", "b": "2"}, "api"),
        ({"a": "1", "b": "2", "stub_data": "never"}, "api"),
        ({}, "stub"),
        ({"a": "", "b": None, "stub_data": "auto"}, "stub"),
        ({"stub_data": "never"}, "a and b are missing"),
        ({"a": "1"}, "The setting b is missing, while a is set"),
        ({"b": "1", "stub_data": "never"}, "The setting a is missing"),
        ({"a": "1", "c": "2", "d": "3"}, "api"),
        ({"a": "1", "c": "2"}, "The setting d is missing, while a and c is set"),
    ],
)
def test_all_credentials_or_none(config: dict[str, Any], outcome: str) -> None:
    if outcome in {"api", "stub"}:
        assert origin_of(config, (("a", "b"), ("a", "c", "d")), "tap-x") == outcome
        return
    with pytest.raises(ConfigError, match=outcome):
        origin_of(config, (("a", "b"), ("a", "c", "d")), "tap-x")


def test_a_start_date_keeps_its_instant() -> None:
    assert utc_timestamp("2026-05-22T22:12:27.416889", "start_date") == "2026-05-22T22:12:27Z"
    assert utc_timestamp("2026-05-22T01:00:00+02:00", "start_date") == "2026-05-21T23:00:00Z"


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("id", "id"),
        ("updatedAt", "updated_at"),
        ("address1", "address1"),
        ("countryCodeV2", "country_code_v2"),
        ("adminGraphqlApiId", "admin_graphql_api_id"),
        ("discountedUnitPriceAfterAllDiscountsSet", "discounted_unit_price_after_all_discounts_set"),
    ],
)
def test_columns_are_named_in_snake_case(name: str, column: str) -> None:
    assert snake(name) == column


def test_a_gid_holds_a_type_and_a_number() -> None:
    gid = "gid://shopify/MailingAddress/12345678901234?model_name=CustomerAddress"

    assert (type_of(gid), number_of(gid)) == ("MailingAddress", 12345678901234)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"stream_maps": {"orders": {"note": None}}},
        {"stream_maps": {"orders": {"email": "md5(email)", "__alias__": "sales"}}},
        {"flattening_enabled": True, "flattening_max_depth": 2},
    ],
)
def test_the_annotation_survives_a_mapper_plugin(config: dict[str, Any]) -> None:
    """What meltano-map-transform does with a SCHEMA: it hands it to the SDK's mapper."""
    note = {"source": "shopify", "origin": "api"}
    properties = {name: {"type": ["string", "null"]} for name in ("id", "note", "email")}
    mapper = PluginMapper(plugin_config=config, logger=logging.getLogger("mapper"))

    mapper.register_raw_stream_schema("orders", {"properties": properties, ANNOTATION: note}, ["id"])

    assert [item.transformed_schema[ANNOTATION] for item in mapper.stream_maps["orders"]] == [note]
