"""Errors a person can act on.

    TapError            the run ends with one line and exit code 1
    ├── UsageError      the command was called wrongly: exit code 2
    ├── ConfigError     a setting is missing or wrong
    ├── IncompleteError some streams were not read to their end, the others were
    └── ApiError        the API refused, or answered something that cannot be right
        ├── AccountError     it refused the account: no stream would fare better, so the run ends
        └── RetryableError   worth asking again; becomes an error once the tries are used up

A message says what happened and where, then what to do, in whole sentences: it is all a user reads.
"""

from __future__ import annotations


class TapError(Exception):
    """The run cannot go on, and the message says why to a person."""

    exit_code = 1


class UsageError(TapError):
    """The command line, or a file named on it, is wrong."""

    exit_code = 2


class ConfigError(TapError):
    """A setting is missing or wrong."""


class IncompleteError(TapError):
    """Some streams were not read to their end; each has said why."""


class ApiError(TapError):
    """The API refused, or answered something that cannot be right."""


class AccountError(ApiError):
    """The API refuses the account as a whole."""


class RetryableError(ApiError):
    """The same request may succeed later.

    `retry_after` is what the server asked for, in seconds, where it asked. `heavy` says whether the request
    may have been too much for the server, so that a smaller one might pass.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, heavy: bool = True) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.heavy = heavy
