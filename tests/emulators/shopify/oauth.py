"""The token endpoint: client credentials and rotating refresh tokens, with lifetimes by the shop's clock.

An access token of the client credentials grant lasts 86,399 seconds, an expiring offline one 3,600. A refresh
token may be used again until its replacement is used; then it is retired.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import parse_qsl

from tests.emulators.shopify.errors import JSONObject

PATH = "/admin/oauth/access_token"
DAY, HOUR = 86_399, 3_600


@dataclass
class OAuth:
    """An app as Shopify knows it. `tokens` maps the good access tokens to their end; None has none."""

    now: Callable[[], datetime]
    client_id: str = "emulated-client"
    client_secret: str = "shpss_emulated"  # noqa: S105 - opens this server only
    tokens: dict[str, datetime | None] = field(default_factory=dict)
    refresh_tokens: dict[str, str | None] = field(default_factory=dict)
    """Good refresh tokens, each with the one it replaced."""
    issued: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def is_good(self, token: str) -> bool:
        """Tell whether an access token opens the shop now."""
        return token in self.tokens and ((end := self.tokens[token]) is None or self.now() < end)

    def answer(self, body: bytes, content_type: str) -> tuple[int, JSONObject]:
        """Answer a POST to the token endpoint."""
        text = body.decode()
        fields = json.loads(text) if "json" in content_type else dict(parse_qsl(text))
        if (fields.get("client_id"), fields.get("client_secret")) != (self.client_id, self.client_secret):
            return 400, {"error": "application_cannot_be_found", "error_description": "No such app."}
        with self._lock:
            match fields.get("grant_type"):
                case "client_credentials":
                    return 200, self._issue(DAY)
                case "refresh_token":
                    return self._refresh(fields.get("refresh_token", ""))
        return 400, {"error": "unsupported_grant_type"}

    def _refresh(self, used: str) -> tuple[int, JSONObject]:
        if used not in self.refresh_tokens:
            return 400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
        before = self.refresh_tokens[used]
        if before is not None:
            self.refresh_tokens.pop(before, None)
            self.refresh_tokens[used] = None
        answer = self._issue(HOUR)
        new = f"shprt_{self.issued:08}"
        self.refresh_tokens[new] = used
        return 200, {**answer, "refresh_token": new, "refresh_token_expires_in": 7_776_000}

    def _issue(self, seconds: int) -> JSONObject:
        self.issued += 1
        token = f"shpat_issued_{self.issued:08}"
        self.tokens[token] = self.now() + timedelta(seconds=seconds)
        return {"access_token": token, "expires_in": seconds, "scope": "read_orders"}
