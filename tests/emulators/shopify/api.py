"""The GraphQL endpoint without its HTTP: a request's facts in, a status, headers and a JSON body out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from graphql import ExecutionResult, GraphQLError, execute_sync
from graphql.execution.values import get_variable_values

from tests.emulators.shopify.cost import MAX_QUERY_COST, Plan, Planner, TokenBucket
from tests.emulators.shopify.errors import JSONObject, error, variable_error
from tests.emulators.shopify.resolvers import Context, resolve_type
from tests.emulators.shopify.schema import NEWEST, Checked, admin_schema, check
from tests.emulators.shopify.scopes import guarded, refusals
from tests.emulators.shopify.store import Store

RATE_LIMITS = "https://shopify.dev/api/usage/rate-limits"


@dataclass
class Answer:
    """What goes back to the client, and what the record of the request keeps of it."""

    status: int = 200
    payload: JSONObject = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    points: int | None = None


@dataclass(frozen=True)
class Call:
    """A request body that was read: a document, its operation's name and its variables."""

    text: str
    operation_name: str | None
    variables: dict[str, Any]
    version: str = NEWEST

    @property
    def checked(self) -> Checked:
        """The verdict on the document."""
        return check(self.text, self.operation_name, self.version)


def read_call(body: bytes) -> Call | None:
    """Read a request body; None when it is no JSON object with a `query`, which Shopify answers with 400."""
    try:
        content = json.loads(body)
    except ValueError:
        return None
    if not isinstance(content, dict) or not isinstance(content.get("query"), str):
        return None
    variables = content.get("variables") or {}
    name = content.get("operationName")
    return Call(content["query"], name, variables) if isinstance(variables, dict) else None


def run(call: Call, store: Store, bucket: TokenBucket, *, refuse: bool = False) -> Answer:
    """Check, price and execute a call, and pay for it from the bucket; `refuse` throttles it anyway."""
    checked = call.checked
    if checked.errors or checked.document is None or checked.operation is None:
        return Answer(payload={"errors": list(checked.errors)})
    schema = admin_schema(call.version)
    values = get_variable_values(schema, checked.operation.variable_definitions or (), call.variables)
    if isinstance(values, list):
        return Answer(payload={"errors": [variable_error(problem) for problem in values]})
    coerced = values.coerced
    plan = Planner(schema, checked.fragments, coerced).plan(checked.operation)
    if refused := refusals(schema, checked.document, store.scopes):
        return Answer(payload={"data": None, "errors": refused})
    requested = plan.requested()
    if requested > MAX_QUERY_COST:
        return too_dear(requested)
    if refuse or not bucket.take(requested):
        return throttled(requested, bucket)
    context = Context(store)
    with store.lock:
        result = execute_sync(
            schema,
            checked.document,
            context_value=context,
            variable_values=call.variables,
            operation_name=call.operation_name,
            type_resolver=resolve_type,
            middleware=[guarded(store.protected)] if store.protected else None,
        )
    answer = executed(result, plan, requested, bucket)
    if context.searches:
        answer.payload["extensions"]["search"] = context.searches
    if checked.deprecated:
        answer.headers["X-Shopify-API-Deprecated-Reason"] = ", ".join(checked.deprecated)
    return answer


def executed(result: ExecutionResult, plan: Plan, requested: int, bucket: TokenBucket) -> Answer:
    """Return the answer to a query that ran, the points it did not need given back."""
    actual = min(requested, plan.actual(result.data))
    bucket.give_back(requested - actual)
    payload: JSONObject = {"data": result.data}
    if result.errors:
        payload["errors"] = [formatted(problem) for problem in result.errors]
    payload["extensions"] = {"cost": cost(requested, actual, bucket)}
    return Answer(payload=payload, points=actual)


def formatted(problem: GraphQLError) -> JSONObject:
    """Return an execution error.

    Raises:
        Exception: no resolver raised it on purpose, so it is a fault of the emulator and must show.
    """
    if problem.original_error is not None and not isinstance(problem.original_error, GraphQLError):
        raise problem.original_error
    return dict(problem.formatted)


def cost(requested: int, actual: int | None, bucket: TokenBucket) -> JSONObject:
    """Return `extensions.cost`."""
    return {
        "requestedQueryCost": requested,
        "actualQueryCost": actual,
        "throttleStatus": bucket.status(),
    }


def throttled(requested: int, bucket: TokenBucket) -> Answer:
    """Return the refusal of a query for which the bucket holds too little: 200, no data, nothing paid."""
    problem = error("Throttled", "THROTTLED", documentation=RATE_LIMITS)
    return Answer(
        payload={"errors": [problem], "extensions": {"cost": cost(requested, None, bucket)}}, points=0
    )


def too_dear(requested: int) -> Answer:
    """Return the refusal of a query that no bucket can pay, now or ever."""
    message = f"Query cost is {requested}, which exceeds the single query max cost limit ({MAX_QUERY_COST})."
    problem = error(
        message, "MAX_COST_EXCEEDED", cost=requested, maxCost=MAX_QUERY_COST, documentation=RATE_LIMITS
    )
    return Answer(payload={"errors": [problem]}, points=0)
