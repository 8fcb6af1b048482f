"""What can go wrong, on demand: faults that a test adds, with who they hit and how often.

server.faults.add(Fault.status(429, retry_after=1), times=2)           the next two requests
server.faults.add(Fault.cut(), nth=3)                                  the third from now
server.faults.add(Fault.repeated_cursor(), root="orders", times=None)  every page of orders
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.emulators.shopify.errors import JSONObject


@dataclass(frozen=True)
class Fault:
    """One way to fail. Build it with a class method; the fields are what that way needs."""

    kind: str
    code: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    seconds: float = 0
    length: int = 0
    connection: str | None = None
    where: str = ""

    @classmethod
    def status(cls, code: int, retry_after: float | None = None, body: str | None = None) -> Fault:
        """Answer with a status (429, 500, 502, 404, 402, 423, ...) and Shopify's body for it."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return cls(
            "status", code, headers, STATUS_BODIES.get(code, '{"errors":"Error"}') if body is None else body
        )

    @classmethod
    def html(cls, code: int = 200) -> Fault:
        """Answer with a web page, as a proxy or a password page in between does."""
        body = "<!DOCTYPE html><html><body><h1>There was a problem loading this website</h1></body></html>"
        return cls("status", code, {"Content-Type": "text/html; charset=utf-8"}, body)

    @classmethod
    def redirect(cls, location: str, code: int = 302) -> Fault:
        """Send the client to another place; a token must not follow to another origin."""
        return cls("status", code, {"Location": location})

    @classmethod
    def graphql_error(cls, code: str, message: str) -> Fault:
        """Answer 200 with an error and no data, such as `ACCESS_DENIED`."""
        return cls("error", body=message, where=code)

    @classmethod
    def internal_error(cls) -> Fault:
        """Answer 200 with `INTERNAL_SERVER_ERROR`, as Shopify does when a query breaks inside."""
        return cls.graphql_error(
            "INTERNAL_SERVER_ERROR", "Internal error. Looks like something went wrong on our end."
        )

    @classmethod
    def null_data(cls) -> Fault:
        """Answer 200 with `data: null` and no word of why."""
        return cls("null data")

    @classmethod
    def partial(cls, code: str = "INTERNAL_SERVER_ERROR") -> Fault:
        """Answer with the data and an error beside it, as when one field broke."""
        return cls("partial", body="Something went wrong with a field.", where=code)

    @classmethod
    def throttled(cls) -> Fault:
        """Answer THROTTLED, whatever the bucket holds."""
        return cls("throttled")

    @classmethod
    def cut(cls, where: str = "body") -> Fault:
        """Close the connection: at `start` without a byte, after the `headers`, or in mid-`body`."""
        if where not in {"start", "headers", "body"}:
            raise ValueError(f"a connection is cut at start, headers or body, not at {where!r}")
        return cls("cut", where=where)

    @classmethod
    def truncated_json(cls) -> Fault:
        """Send half of the JSON as if it were the whole answer."""
        return cls("truncated")

    @classmethod
    def slow(cls, seconds: float) -> Fault:
        """Answer correctly, but late."""
        return cls("slow", seconds=seconds)

    @classmethod
    def repeated_cursor(cls, length: int = 1, connection: str | None = None) -> Fault:
        """Hand out the first `length` end cursors again and again, always with more pages to come.

        Length 1 repeats one cursor, 2 or more make a cycle. `connection` names a nested connection by its
        response key; without it, the connections at the root are meant.
        """
        return cls("cursor", length=length, connection=connection)

    @classmethod
    def null_cursor(cls, connection: str | None = None) -> Fault:
        """Say that there are more pages, but not where."""
        return cls("null cursor", connection=connection)


STATUS_BODIES = {
    402: '{"errors":"This shop\'s plan does not have access to this feature"}',
    403: '{"errors":"[API] This action requires merchant approval for read_orders scope."}',
    404: '{"errors":"Not Found"}',
    423: '{"errors":"This shop is unavailable"}',
    429: '{"errors":"Exceeded 2 calls per second for api client. Reduce request rates."}',
    500: '{"errors":"Internal Server Error"}',
    502: "<html><body><h1>502 Bad Gateway</h1></body></html>",
    503: '{"errors":"Service Unavailable"}',
}


@dataclass
class Rule:
    """A fault and who it hits: after `skip` matching requests, `left` times (None: for ever)."""

    fault: Fault
    skip: int = 0
    left: int | None = 1
    root: str | None = None
    fired: int = 0
    cursors: list[str] = field(default_factory=list)

    def hits(self, root_fields: tuple[str, ...]) -> bool:
        """Tell whether the rule hits a request, and count it."""
        if self.left == 0 or (self.root is not None and self.root not in root_fields):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.left is not None:
            self.left -= 1
        self.fired += 1
        return True


class Faults:
    """The rules of a server, tried in the order they were added; one request is hit by at most one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.rules: list[Rule] = []

    def add(
        self, fault: Fault, *, times: int | None = 1, nth: int | None = None, root: str | None = None
    ) -> Rule:
        """Add a fault and return its rule, whose `fired` counts the hits.

        Args:
            fault: what happens.
            times: how often; None for ever.
            nth: start with the n-th matching request from now (1 is the next).
            root: only requests that ask for this root field, such as `orders`.
        """
        rule = Rule(fault, skip=(nth or 1) - 1, left=times, root=root)
        with self._lock:
            self.rules.append(rule)
        return rule

    def clear(self) -> None:
        """Drop all rules."""
        with self._lock:
            self.rules.clear()

    def take(self, root_fields: tuple[str, ...]) -> Rule | None:
        """Return the first rule that hits a request."""
        with self._lock:
            return next((rule for rule in self.rules if rule.hits(root_fields)), None)


def spoil_cursors(rule: Rule, data: JSONObject | None) -> None:
    """Change the page information of an answer as a cursor fault wants it."""
    for page in page_infos(data or {}, rule.fault.connection):
        if rule.fault.kind == "null cursor":
            page.update({"hasNextPage": True, "endCursor": None})
            continue
        seen = rule.cursors
        if page.get("endCursor") and len(seen) < rule.fault.length:
            seen.append(page["endCursor"])
            page["hasNextPage"] = True
        elif seen:
            page.update({"hasNextPage": True, "endCursor": seen[0]})
            if rule.fault.length > 1:
                seen.append(seen.pop(0))


def page_infos(data: Any, connection: str | None, depth: int = 0) -> Iterator[JSONObject]:
    """Yield the `pageInfo` of the connections at the root, or of every connection under a response key."""
    if isinstance(data, list):
        for item in data:
            yield from page_infos(item, connection, depth)
    if not isinstance(data, dict):
        return
    for key, value in data.items():
        wanted = depth == 0 if connection is None else key == connection
        if wanted and isinstance(value, dict) and isinstance(value.get("pageInfo"), dict):
            yield value["pageInfo"]
        yield from page_infos(value, connection, depth + 1)
