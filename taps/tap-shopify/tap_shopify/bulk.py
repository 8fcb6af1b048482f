"""Bulk operations of one shop: started when there is a slot, found again, waited for.

An app has a few slots in a shop, shared by all its programs: what others started is left alone. Source:
Shopify, "Perform bulk operations with the GraphQL Admin API".
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tap_common.errors import ApiError, RetryableError
from tap_common.redact import foreign
from tap_shopify.bulk_query import mark_of
from tap_shopify.client import ShopifyClient

FIELDS = "id status errorCode query createdAt objectCount fileSize url partialDataUrl"
RUN = f"""mutation Run($query: String!) {{
  bulkOperationRunQuery(query: $query) {{
    bulkOperation {{ {FIELDS} }}
    userErrors {{ code message }}
  }}
}}"""
BY_ID = f"query Operation($id: ID!) {{ bulkOperation(id: $id) {{ {FIELDS} }} }}"
RUNNING = ("created", "running", "canceling")
SEARCH = "status:{status} operation_type:query"
UNFINISHED = "\n".join(
    [
        "query Operations {",
        *(
            f'{status}: bulkOperations(first: 25, query: "{SEARCH.format(status=status)}") '
            f"{{ nodes {{ {FIELDS} }} }}"
            for status in RUNNING
        ),
        "}",
    ]
)
NO_SLOT = frozenset({"OPERATION_IN_PROGRESS", "LIMIT_REACHED"})
logger = logging.getLogger("tap-shopify")


class NoSlotError(ApiError):
    """Every slot stayed taken for as long as the tap waits."""


@dataclass(frozen=True)
class Operation:
    """One bulk operation as Shopify tells of it."""

    id: str
    status: str
    error: str | None
    query: str
    created_at: str
    lines: int
    """Objects, nested ones too: each is a line."""
    size: int
    """Bytes of the result, 0 where Shopify does not tell."""
    url: str | None
    partial_url: str | None

    @classmethod
    def of(cls, node: Mapping[str, Any]) -> Operation:
        """Read Shopify's own form of it."""
        return cls(
            id=node["id"],
            status=node["status"],
            error=node["errorCode"],
            query=node["query"],
            created_at=node["createdAt"],
            lines=int(node["objectCount"]),
            size=int(node["fileSize"] or 0),
            url=node["url"],
            partial_url=node["partialDataUrl"],
        )

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.status.lower() in RUNNING

    @property
    def is_whole(self) -> bool:
        """Whether its result is complete, and still to be had."""
        return self.status == "COMPLETED" and (self.url is not None or self.lines == 0)


class BulkOperations:
    """The bulk operations of the app whose token the client holds.

    Seconds: `first_wait` before the second look, half as much again before each next one, `longest_wait` at
    most; `patience` is how long a slot is waited for.
    """

    first_wait = 1.0
    longest_wait = 60.0
    patience = 1800.0

    def __init__(self, client: ShopifyClient, what: str) -> None:
        self.client = client
        self.what = what

    def start(self, document: str, *, waits: bool) -> Operation:
        """Start an operation, once there is a slot.

        Raises:
            NoSlotError: There was none for too long, or at all where it should not be waited for.
            ApiError: Shopify refuses the document.
        """
        waited = 0.0
        for delay in self._growing():
            payload = self._run(document)
            if payload["bulkOperation"]:
                return Operation.of(payload["bulkOperation"])
            errors = payload["userErrors"]
            said = "; ".join(foreign(error["message"], 300) for error in errors)
            if not {error["code"] for error in errors} <= NO_SLOT:
                raise ApiError(f"{self.what}: Shopify refused the bulk operation: {said}")
            if not waits or waited >= self.patience:
                raise NoSlotError(f"{self.what}: no slot for a bulk operation became free: {said}")
            self._tell_of_slots(delay)
            time.sleep(delay)
            waited += delay
        raise AssertionError  # pragma: no cover - the waits never end

    def by_id(self, gid: str) -> Operation | None:
        """Return an operation, None where Shopify knows none of that id."""
        node = self.client.execute(BY_ID, {"id": gid}, self.what)["bulkOperation"]
        return Operation.of(node) if node else None

    def unfinished(self) -> list[Operation]:
        """Return the operations that hold a slot, ours and others'."""
        data = self.client.execute(UNFINISHED, {}, self.what)
        return [Operation.of(node) for status in RUNNING for node in data[status]["nodes"]]

    def ended(self, operation: Operation) -> Operation:
        """Return the operation once it has ended, well or not.

        Raises:
            ApiError: Shopify does not know it any more.
        """
        for delay in self._growing():
            if not operation.is_running:
                return operation
            logger.info("%s: bulk operation %s, %d objects.", self.what, operation.status, operation.lines)
            time.sleep(delay)
            now = self.by_id(operation.id)
            if now is None:
                raise ApiError(f"{self.what}: Shopify lost its bulk operation.")
            operation = now
        raise AssertionError  # pragma: no cover - the waits never end

    def _run(self, document: str) -> Any:  # noqa: ANN401
        """Send the mutation; where the answer was lost, look whether it arrived before it is sent again."""

        def attempt() -> Any:  # noqa: ANN401
            try:
                return self.client.execute(RUN, {"query": document}, self.what, tries=1)
            except RetryableError:
                for operation in self.unfinished():
                    if operation.query == document:
                        node = self.client.execute(BY_ID, {"id": operation.id}, self.what)
                        return {"bulkOperationRunQuery": {**node, "userErrors": []}}
                raise

        return self.client.api.retry(attempt)["bulkOperationRunQuery"]

    def _growing(self) -> Iterator[float]:
        delay = self.first_wait
        while True:
            yield delay
            delay = min(delay * 1.5, self.longest_wait)

    def _tell_of_slots(self, delay: float) -> None:
        taken = self.unfinished()
        ours = sum(mark_of(operation.query) is not None for operation in taken)
        logger.info(
            "%s: %d bulk operations of this app run already, %d of them started by this tap; looking for a "
            "slot again in %.0f s.",
            self.what,
            len(taken),
            ours,
            delay,
        )
