"""How long to wait before asking again, and how often.

The waits come from the `backoff` library of the SDK; what is ours is the rule that a server's Retry-After
is obeyed, and that it stretches no run for hours.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import backoff

from tap_common.errors import RetryableError

LONGEST_RETRY_AFTER = 600.0
LONGEST_WAIT = 60.0

T = TypeVar("T")
logger = logging.getLogger(__name__)


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return a Retry-After header in seconds, None where it says nothing usable.

    Both spellings of RFC 9110, section 10.2.3, are read: seconds and an HTTP date.
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        when = http_date(value)
        if when is None:
            return None
        seconds = (when - (now or datetime.now(UTC))).total_seconds()
    if not seconds < float("inf"):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def http_date(value: str | None) -> datetime | None:
    """Return an HTTP date, None where it says nothing usable."""
    try:
        when = parsedate_to_datetime(value or "")
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def waits(base: float) -> Generator[float, Any, None]:
    """Yield the wait before each further try; what is sent in is the error that made it necessary.

    Half of each exponential step is random: many taps that failed together do not come back together.
    """
    error = yield 0.0  # the first value is not used: backoff starts a generator by asking for it
    step = base
    while True:
        asked = getattr(error, "retry_after", None)
        delay = step / 2 + random.uniform(0, step / 2)  # noqa: S311 - jitter, not cryptography
        error = yield delay if asked is None else asked + delay / 10
        step = min(step * 2, LONGEST_WAIT)


def retrying(call: Callable[[], T], *, tries: int, base: float) -> T:
    """Return what the call returns, asking again while it raises RetryableError.

    Raises:
        RetryableError: The last one, once the tries are used up.
    """

    def tell(details: Any) -> None:  # noqa: ANN401 - backoff's own dictionary
        logger.warning(
            "%s Trying again in %.1f s (try %d of %d).",
            details["exception"],
            details["wait"],
            details["tries"] + 1,
            tries,
        )

    decorate = backoff.on_exception(
        waits,
        RetryableError,
        max_tries=tries,
        jitter=None,
        on_backoff=tell,
        logger=None,
        base=base,
    )
    return decorate(call)()
