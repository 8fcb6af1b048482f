"""A reply in; out comes nothing if it is good, else an error that says what to do about it.

Shopify hides most refusals in a 200. Sources: "Status and error codes" of the GraphQL Admin API, and
"API search syntax" for filters that are dropped without an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tap_common.errors import AccountError, ApiError, RetryableError
from tap_common.http import Reply
from tap_common.redact import foreign

Path = tuple[str, ...]
OK = 200
STATUSES = {
    401: "Shopify refused the access token. Check that access_token is this shop's, and not revoked.",
    402: "The shop is frozen. Its owner has to settle the bill with Shopify.",
    403: "Shopify denies access. Check that the app is installed and its token has the read scopes.",
    404: "No such shop, or no API version {version}. Check shop_domain and api_version.",
    423: "The shop is locked. Its owner has to ask Shopify.",
    430: "Shopify takes the requests for an attack. Run fewer taps at once from this machine, and later.",
}
OF_THE_ACCOUNT = frozenset({401, 402, 423, 430})
PASSING = frozenset({"INTERNAL_SERVER_ERROR", "TIMEOUT", "THROTTLED"})
MISFITS = frozenset({"undefinedField", "argumentNotAccepted", "undefinedType"})


class TooDearError(ApiError):
    """A query asks for more points than any may; how many, and how many it may, where Shopify said."""

    def __init__(self, message: str, points: float | None, limit: float | None) -> None:
        super().__init__(message)
        self.points = points
        self.limit = limit


class DeniedError(ApiError):
    """The token, or its app, may not see what was asked.

    `said` is Shopify's own word; `paths` lead to what is denied from the root of the answer on, none where
    not all errors are about that.
    """

    def __init__(self, message: str, said: str, paths: Iterable[Path]) -> None:
        super().__init__(message)
        self.said = said
        self.paths = frozenset(paths)


def where(what: str, origin: str, reply: Reply) -> str:
    """Return what was asked of which shop, and Shopify's own number for the request."""
    request = reply.headers.get("X-Request-ID")
    return f"{what} of {origin}" + (f", request {foreign(request, 60)}" if request else "")


def check_status(reply: Reply, place: str, version: str) -> None:
    """Refuse every status but 200.

    Raises:
        AccountError, ApiError: With what to do about it. Of the body only Shopify's own `errors` are quoted.
    """
    if reply.status == OK:
        return
    meaning = STATUSES.get(reply.status, "Shopify refused the request.").format(version=version)
    said = reply.body.get("errors") if isinstance(reply.body, dict) else None
    quoted = f": {foreign(said, 200)}" if said else ""
    kind = AccountError if reply.status in OF_THE_ACCOUNT else ApiError
    raise kind(f"{place}: {meaning} (HTTP {reply.status}{quoted})")


def codes(errors: Any) -> set[str]:  # noqa: ANN401
    """Return the codes in `errors`; an error without one counts as the empty code."""
    if not errors:
        return set()
    return {str((error.get("extensions") or {}).get("code", "")) for error in _dicts(errors)}


def check_errors(errors: Any, place: str, version: str) -> None:  # noqa: ANN401
    """Sort the `errors` of a 200: few are worth another try, none is let through, partial data neither.

    Raises:
        RetryableError: Shopify had an error of its own.
        TooDearError: The query asks for too many points.
        DeniedError: A scope is missing.
        ApiError: It is refused for good.
    """
    if not errors:
        return
    found = codes(errors)
    messages = dict.fromkeys(foreign(error.get("message", error), 300) for error in _dicts(errors))
    said = "; ".join(list(messages)[:5])
    if found <= PASSING:
        raise RetryableError(f"{place}: Shopify had an error of its own: {said}.")
    notes = [error.get("extensions") or {} for error in _dicts(errors)]
    if "MAX_COST_EXCEEDED" in found:
        raise TooDearError(
            f"{place}: Shopify refused the query: {said} Even the smallest page is over its limit for one "
            "query. Deselect columns of this stream, or report it to the tap's authors.",
            *(next((note[key] for note in notes if note.get(key)), None) for key in ("cost", "maxCost")),
        )
    advice = "Report it to the tap's authors."
    if "ACCESS_DENIED" in found:
        needed = next((note["requiredAccess"] for note in notes if note.get("requiredAccess")), None)
        scope = f"what it needs ({foreign(needed, 200).rstrip('.')})" if needed else "that read scope"
        raise DeniedError(
            f"{place}: Shopify refused the query: {said} Grant the app {scope}, or deselect the stream.",
            said,
            (_path(error) for error in _dicts(errors) if found == {"ACCESS_DENIED"}),
        )
    if found & MISFITS:
        advice = f"The tap's queries do not fit API version {version}; leave api_version at its default."
    raise ApiError(f"{place}: Shopify refused the query: {said} {advice}")


def check_search(notes: list[dict[str, Any]], place: str) -> None:
    """Refuse a reply whose filter Shopify did not understand: it drops the filter and sends everything.

    Raises:
        ApiError: It did so.
    """
    warnings = [warning for note in notes for warning in note.get("warnings") or []]
    if warnings:
        said = "; ".join(
            f"{foreign(item.get('field'), 60)}: {foreign(item.get('message'), 200)}" for item in warnings
        )
        raise ApiError(f"{place}: Shopify did not understand the filter and would send everything ({said}).")


def _path(error: dict[str, Any]) -> Path:
    """Return the columns that an error is about, from the root of the answer on, whichever row it is in."""
    steps = error.get("path") or ()
    return tuple(step for step in steps if isinstance(step, str) and step != "nodes")


def _dicts(errors: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """Return errors as objects; Shopify spells some refusals as one string."""
    items = errors if isinstance(errors, list) else [errors]
    return [item if isinstance(item, dict) else {"message": item} for item in items]
