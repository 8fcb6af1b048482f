"""Text that leaves the process, made safe: no secret, no e-mail address, no control character.

`protect` is called once the settings are known; from then on every log line, tracebacks included, passes
through `clean`.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from urllib.parse import quote

MASK = "***"
# Customers' addresses have no place in a log; a server's own words may quote one.
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
# Newlines and tabs stay: a traceback needs them. The rest (escapes, bidi marks) could rewrite a terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# Shorter values would blank out innocent text, and no API issues such tokens.
_SHORTEST_SECRET = 4

_secrets: set[str] = set()


def clean(text: str) -> str:
    """Return the text with known secrets and e-mail addresses masked and control characters escaped."""
    for secret in tuple(_secrets):  # another thread may learn of one meanwhile
        text = text.replace(secret, MASK)
    text = _EMAIL.sub(MASK, text)
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def foreign(text: object, limit: int = 300) -> str:
    """Return text of somebody else's, cleaned, on one line and not too long, for use inside a message."""
    line = " ".join(clean(str(text)).split())
    return line if len(line) <= limit else line[:limit] + "..."


class CleanFormatter(logging.Formatter):
    """Formats as the formatter it wraps does, then cleans the outcome."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self.inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """Return the finished line, safe to print."""
        return clean(self.inner.format(record))


def protect(secrets: Iterable[str]) -> None:
    """Keep these values out of every log line from now on, also as JSON or a URL would spell them."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            _secrets.update({secret, json.dumps(secret)[1:-1], quote(secret, safe="")})
    loggers = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    for logger in loggers:
        for handler in getattr(logger, "handlers", ()):
            if not isinstance(handler.formatter, CleanFormatter):
                handler.setFormatter(CleanFormatter(handler.formatter or logging.Formatter()))
