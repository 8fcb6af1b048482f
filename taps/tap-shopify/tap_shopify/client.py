"""How we talk to Shopify: the shop's address, the version, and one document after another.

Facts that are not ours come from Shopify's page "API versioning". What may be asked how soon stands in
`pace`, what a refusal means in `errors`,
where a token comes from in `tokens`.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import tap_shopify
from tap_common.errors import AccountError, ApiError, ConfigError, RetryableError
from tap_common.http import LOOPBACK, JsonApi, Reply
from tap_common.redact import foreign
from tap_shopify.errors import TooDearError, check_errors, check_search, check_status, codes, where
from tap_shopify.graphql import Query, counting
from tap_shopify.pace import Pace
from tap_shopify.tokens import Tokens

QUERIES = files(tap_shopify) / "queries"
UNAUTHORIZED = 401
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


@dataclass(frozen=True)
class Shop:
    """A shop's own name for itself, when it opened, and the scopes that it granted."""

    name: str
    opened: datetime
    scopes: frozenset[str]


class ShopifyClient:
    """Sends GraphQL documents to one shop and returns their data; several threads may at once."""

    longest_throttle = 40

    def __init__(self, api: JsonApi, tokens: Tokens, version: str, pace: Pace | None = None) -> None:
        self.api = api
        self.tokens = tokens
        self.version = version
        self.path = f"/admin/api/{version}/graphql.json"
        self.pace = pace or Pace()
        self._told: set[str] = set()
        self._lock = threading.Lock()

    @cached_property
    def shop(self) -> Shop:
        """What the shop says of itself and of the token; the first thing that is asked."""
        return self.ask_shop()

    def ask_shop(self) -> Shop:
        """Ask the shop for its name and the token's scopes.

        Raises:
            ApiError: It does not answer, or not to this token.
        """
        source = QUERIES.joinpath("account.graphql").read_text(encoding="utf-8")
        # Fewer tries than later on: who mistyped the address wants to know now.
        query = Query(source)
        data = self.execute(query.text, {}, "account", tries=min(self.api.tries, 3))
        page = query.page(data)
        if page is None:
            raise ApiError(f"{self.api.origin}: Shopify's answer does not say which shop it is.")
        (row,) = page["nodes"]
        installed = data.get("current_app_installation") or {}
        return Shop(
            name=str(row["myshopify_domain"]).lower(),
            opened=datetime.fromisoformat(row["created_at"]),
            scopes=frozenset(scope["handle"] for scope in installed.get("access_scopes") or ()),
        )

    def room(self, query: str) -> int:
        """Return how many more requests with this document the shop's bucket has points to spare for."""
        return self.pace.room(query)

    def now(self) -> datetime:
        """Return the time by the shop's clock."""
        return self.api.now()

    def count(self, field: str, condition: str | None, what: str) -> tuple[int, bool]:
        """Return how many objects a root field counts under a filter, and whether that is exact."""
        variables = {"query": condition} if condition else {}
        data = self.execute(counting(field, is_searched=bool(variables)), variables, what)
        return int(data["count"]["count"]), data["count"]["precision"] == "EXACT"

    def execute(
        self, query: str, variables: Mapping[str, Any], what: str, *, tries: int | None = None
    ) -> Any:  # noqa: ANN401
        """Return the data of a reply, at the pace the shop allows.

        A document that declares `$first` gets the largest page that the shop can pay for, smaller ones after
        failures; a `first` among the variables is an upper bound.

        Raises:
            ApiError: Shopify refused, answered only in part, or could not be reached.
        """
        sent: dict[str, Any] = {}
        at_most: dict[str, int] = {}  # after this request's own failures: others may go well meanwhile

        def attempt() -> Any:  # noqa: ANN401
            nonlocal sent
            sent = self.pace.fitted(query, {**variables, **at_most})
            try:
                with self.pace.turn(query, sent):
                    reply = self._send({"query": query, "variables": sent}, what)
                    return self._read(reply, query, sent, what)
            except RetryableError as error:
                if error.heavy:
                    self.pace.failed(query, sent)
                    if "first" in sent:
                        at_most["first"] = max(1, sent["first"] // 2)
                raise

        for times in range(self.longest_throttle):
            try:
                data = self.api.retry(attempt, tries)
            except TooDearError as error:
                if not self.pace.too_dear(query, sent, error.points, error.limit):
                    raise
                continue
            if data is not None:
                self.pace.worked(query)
                return data
            self.pace.throttled(query, sent, self.api.retry_base * 2**times)
        raise AccountError(
            f"{what} of {self.api.origin}: Shopify throttled {self.longest_throttle} times in a row. Another "
            "run of this app uses up the shop's limit; run them one after the other."
        )

    def _send(self, body: object, what: str) -> Reply:
        """Send with the token of the moment; one that has just run out is replaced once."""
        for is_last in (False, True):
            with self._lock:
                token = self.tokens.current()
            reply = self.api.post(self.path, body, what, {"X-Shopify-Access-Token": token})
            if reply.status != UNAUTHORIZED or is_last:
                break
            with self._lock:
                if not self.tokens.renew(token):
                    break
        return reply

    def _read(self, reply: Reply, query: str, sent: Mapping[str, Any], what: str) -> Any:  # noqa: ANN401
        """Return the data in a reply, None where it says THROTTLED; the bucket then knows the wait."""
        place = where(what, self.api.origin, reply)
        check_status(reply, place, self.version)
        self._check_version(reply)
        body = reply.body if isinstance(reply.body, dict) else {}
        extensions = body.get("extensions") or {}
        self.pace.learn(query, sent, extensions.get("cost"))
        errors = body.get("errors")
        if codes(errors) == {"THROTTLED"}:
            return None
        check_errors(errors, place, self.version)
        check_search(extensions.get("search") or [], place)
        if not isinstance(body.get("data"), dict):
            raise RetryableError(f"{place}: Shopify's answer holds no data.")
        return body["data"]

    def _check_version(self, reply: Reply) -> None:
        """Tell once of a version that is not the one asked for, and of fields that will go."""
        served = reply.headers.get("X-Shopify-API-Version")
        if served and served != self.version and served not in self._told:
            self._told.add(served)
            logger.warning(
                "You asked for API version %s, Shopify serves %s: fields may differ. "
                "Set api_version to a supported one.",
                self.version,
                foreign(served, 40),
            )
        fading = reply.headers.get("X-Shopify-API-Deprecated-Reason")
        if fading and fading not in self._told:
            self._told.add(fading)
            logger.warning(
                "Shopify will remove what this tap asks for in version %s: %s. Update the tap in time.",
                self.version,
                foreign(fading, 300),
            )
