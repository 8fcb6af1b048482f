"""A download hands on every line once, whatever the connection does, and gives nobody's token away."""

from __future__ import annotations

import pytest
import requests

from tap_common.download import Download
from tap_common.errors import ApiError, RetryableError
from tests.emulators.asking import ask
from tests.emulators.shopify import Fault, ShopifyServer

RUN = '''
mutation Run {
  bulkOperationRunQuery(query: """
    { orders { edges { node { id name lineItems { edges { node { id } } } } } } }
  """) { bulkOperation { id } }
}
'''
URL = "query Url($id: ID!) { bulkOperation(id: $id) { url } }"


@pytest.fixture
def url(shop: ShopifyServer) -> str:
    gid = ask(shop, RUN)["bulkOperationRunQuery"]["bulkOperation"]["id"]
    return str(ask(shop, URL, id=gid)["bulkOperation"]["url"])


def got(url: str, tries: int = 4) -> list[bytes]:
    return list(Download(url, "Stream orders", tries=tries).lines())


def asked(shop: ShopifyServer) -> list[dict[str, str]]:
    return [record.headers for record in shop.requests if record.root_fields == ("bulkResult",)]


def test_lines_come_whole_and_without_their_ends(shop: ShopifyServer, url: str) -> None:
    assert got(url) == requests.get(url, timeout=10).content.splitlines()
    assert len(got(url)) > 120
    assert "x-shopify-access-token" not in asked(shop)[0]


@pytest.mark.parametrize("chunk", [1, 7, 4096])
def test_lines_do_not_depend_on_how_the_bytes_arrive(
    url: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = got(url)
    monkeypatch.setattr("tap_common.download.CHUNK_BYTES", chunk)

    assert got(url) == whole


@pytest.mark.parametrize("where", ["start", "body"])
def test_a_connection_that_breaks_off_is_taken_up_where_it_did(
    shop: ShopifyServer, url: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = got(url)
    monkeypatch.setattr("tap_common.download.CHUNK_BYTES", 100)
    shop.faults.add(Fault.cut(where), root="bulkResult", times=3)

    assert got(url) == whole
    ranges = [headers.get("range") for headers in asked(shop)]
    assert ranges[:2] == [None, None]
    assert len(ranges) == 5
    if where == "body":
        assert all(ranges[2:])


def test_a_storage_that_ignores_the_range_makes_no_line_come_twice(
    shop: ShopifyServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = got(url)
    shop.faults.add(Fault.cut("body"), root="bulkResult")
    monkeypatch.setattr("tests.emulators.shopify.server.RANGE", "never (.)")

    assert got(url) == whole


def test_a_busy_storage_is_asked_again_and_a_refusal_is_not(shop: ShopifyServer, url: str) -> None:
    whole = got(url)
    shop.faults.add(Fault.status(503), root="bulkResult", times=2)
    assert got(url) == whole

    shop.faults.add(Fault.status(403), root="bulkResult")
    with pytest.raises(
        ApiError, match=r"Stream orders: the storage answered HTTP 403 \(Forbidden\)\."
    ) as refused:
        got(url)
    assert "key=" not in str(refused.value)


def test_a_connection_that_always_breaks_off_is_given_up(shop: ShopifyServer, url: str) -> None:
    shop.faults.add(Fault.cut("start"), root="bulkResult", times=None)

    with pytest.raises(RetryableError, match="Stream orders: the download broke off"):
        got(url)
    assert len(asked(shop)) == 4


def test_an_address_that_is_not_https_is_not_used() -> None:
    with pytest.raises(ApiError, match="is not https"):
        Download("http://storage.example.com/x", "Stream orders", tries=1)
