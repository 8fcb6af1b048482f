"""How we talk to Shopify: address, token, pace, pages, and what its refusals mean.

Facts that are not ours come from Shopify's pages "GraphQL Admin API: rate limits", "API versioning" and
"Response status and error codes".
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import tap_shopify
from tap_common.errors import ApiError, ConfigError, RetryableError
from tap_common.http import LOOPBACK, JsonApi, Reply
from tap_common.redact import foreign
from tap_shopify.graphql import Query
from tap_shopify.pace import Bucket

QUERIES = files(tap_shopify) / "queries"
SHOP_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
logger = logging.getLogger("tap-shopify")


def origin_of_shop(domain: str) -> str:
    """Return the origin to send requests to: https, except for a server on this machine.

    Raises:
        ConfigError: It is not the name of a shop. The token must not go to a host picked by a typo.
    """
    text = domain.strip().rstrip("/")
    parts = urlsplit(text if "://" in text else f"//{text}")
    try:
        port = parts.port
    except ValueError:
        port = -1
    host = (parts.hostname or "").lower()
    plain = not (parts.path or parts.query or parts.fragment or parts.username or parts.password)
    if plain and host in LOOPBACK and port != -1 and parts.scheme in {"", "http", "https"}:
        name = f"[{host}]" if ":" in host else host
        return f"{parts.scheme or 'http'}://{name}" + (f":{port}" if port else "")
    name = host.removesuffix(".myshopify.com")
    if plain and port is None and parts.scheme in {"", "https"} and SHOP_NAME.fullmatch(name):
        return f"https://{name}.myshopify.com"
    raise ConfigError(
        f"The setting shop_domain is {foreign(domain, 80)!r}. Give the shop's name (acme) or its "
        "myshopify.com domain (acme.myshopify.com)."
    )


class ShopifyClient:
    """Sends GraphQL documents to one shop and returns their data."""

    longest_throttle = 40

    def __init__(self, *, origin: str, token: str, version: str, tries: int) -> None:
        headers = {"X-Shopify-Access-Token": token, "Accept": "application/json"}
        self.api = JsonApi(origin, headers, tries=tries)
        self.version = version
        self.path = f"/admin/api/{version}/graphql.json"
        self.bucket = Bucket()
        self._told: set[str] = set()

    def account(self) -> str:
        """Return the shop's own name for itself, `acme.myshopify.com`; the first thing that is asked."""
        source = QUERIES.joinpath("account.graphql").read_text(encoding="utf-8")
        # Fewer tries than later on: who mistyped the address wants to know now.
        data = self.execute(Query(source).text, {}, "shop", tries=min(self.api.tries, 3))
        return str(data["shop"]["myshopify_domain"]).lower()

    def execute(
        self, query: str, variables: Mapping[str, Any], what: str, *, tries: int | None = None
    ) -> Any:  # noqa: ANN401
        """Return the data of a reply, at the pace the shop allows.

        Raises:
            ApiError: Shopify refused, answered only in part, or could not be reached.
        """

        def read(reply: Reply) -> Any:  # noqa: ANN401
            return self._read(reply, query, what)

        for _ in range(self.longest_throttle):
            time.sleep(self.bucket.missing(query))
            data = self.api.post(self.path, {"query": query, "variables": variables}, read, tries=tries)
            if data is not None:
                return data
        raise ApiError(
            f"{what}: Shopify throttled {self.longest_throttle} times in a row. Another app uses up this "
            "shop's limit; run later."
        )

    def _read(self, reply: Reply, query: str, what: str) -> Any:  # noqa: ANN401
        """Return the data in a reply, None where it says THROTTLED; the bucket then knows the wait."""
        self._check_status(reply)
        self._check_version(reply)
        body = reply.body if isinstance(reply.body, dict) else {}
        extensions = body.get("extensions") or {}
        self.bucket.learn(query, extensions.get("cost"))
        errors = body.get("errors") or []
        if _codes(errors) == {"THROTTLED"}:
            return None
        self._check_errors(errors, what, reply)
        _check_search(extensions.get("search") or [], what)
        if not isinstance(body.get("data"), dict):
            raise RetryableError(f"{what}: Shopify's answer holds no data.")
        return body["data"]

    def _check_status(self, reply: Reply) -> None:
        shop, status = self.api.origin, reply.status
        if status == 200:  # noqa: PLR2004
            return
        meanings = {
            401: "Shopify refused the access token. Check that access_token is this shop's, and not revoked.",
            402: "The shop is frozen. Its owner has to settle the bill with Shopify.",
            403: "Shopify denies access. Check that the app is installed and its token has the read scopes.",
            404: f"No such shop, or no API version {self.version}. Check shop_domain and api_version.",
            423: "The shop is locked. Its owner has to ask Shopify.",
        }
        said = foreign(
            reply.body.get("errors", reply.body) if isinstance(reply.body, dict) else reply.body, 200
        )
        raise ApiError(
            f"{meanings.get(status, 'Shopify refused the request.')} (HTTP {status} from {shop}: {said})"
        )

    def _check_version(self, reply: Reply) -> None:
        served = reply.headers.get("X-Shopify-API-Version")
        if served and served != self.version and served not in self._told:
            self._told.add(served)
            logger.warning(
                "You asked for API version %s, Shopify serves %s: fields may differ. "
                "Set api_version to a supported one.",
                self.version,
                foreign(served, 40),
            )

    def _check_errors(self, errors: Any, what: str, reply: Reply) -> None:  # noqa: ANN401
        """Sort what a 200 may hide: only INTERNAL_SERVER_ERROR and TIMEOUT are worth another try."""
        if not errors:
            return
        codes = _codes(errors)
        said = "; ".join(foreign(error.get("message", error), 300) for error in _dicts(errors))
        request = reply.headers.get("X-Request-ID")
        where = f"{what} of {self.api.origin}" + (f", request {foreign(request, 60)}" if request else "")
        if codes and codes <= {"INTERNAL_SERVER_ERROR", "TIMEOUT", "THROTTLED"}:
            raise RetryableError(f"{where}: Shopify had an error of its own: {said}.")
        advice = "Report it to the tap's authors."
        if "ACCESS_DENIED" in codes:
            advice = "Grant the app that read scope, or deselect the stream."
        elif codes & {"undefinedField", "argumentNotAccepted", "undefinedType"}:
            advice = (
                f"The tap's queries do not fit API version {self.version}; leave api_version at its default."
            )
        elif "MAX_COST_EXCEEDED" in codes:
            advice = "The page is too large for Shopify's limit of 1000 points a query."
        raise ApiError(f"{where}: Shopify refused the query: {said} {advice}")


def _dicts(errors: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """Return errors as objects; Shopify spells some refusals as one string."""
    items = errors if isinstance(errors, list) else [errors]
    return [item if isinstance(item, dict) else {"message": item} for item in items]


def _codes(errors: Any) -> set[str]:  # noqa: ANN401
    return (
        {str((error.get("extensions") or {}).get("code", "")) for error in _dicts(errors)}
        if errors
        else set()
    )


def _check_search(notes: list[dict[str, Any]], what: str) -> None:
    """Refuse a reply whose filter Shopify did not understand: it drops the filter and sends everything."""
    warnings = [warning for note in notes for warning in note.get("warnings") or []]
    if warnings:
        said = "; ".join(
            f"{foreign(item.get('field'), 60)}: {foreign(item.get('message'), 200)}" for item in warnings
        )
        raise ApiError(f"{what}: Shopify did not understand the filter and would send everything ({said}).")
