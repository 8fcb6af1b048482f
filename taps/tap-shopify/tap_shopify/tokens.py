"""Credentials in; out comes an access token that is good now. No token is written to the settings.

Three ways: a token that does not expire; the client credentials grant of an app of one's own, whose token
lasts 24 hours; an expiring offline token of a public app, where each refresh also replaces the refresh token.
Sources: Shopify, "Using the client credentials grant" and "About offline access tokens".
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from tap_common.errors import ApiError, ConfigError
from tap_common.http import JsonApi
from tap_common.redact import foreign, protect

PATH = "/admin/oauth/access_token"
# A request sent with a token that has less than this left might arrive too late.
SPARE = timedelta(minutes=5)
OK = 200
Fields = dict[str, str]


class Tokens(Protocol):
    """Where the token of the next request comes from."""

    def current(self) -> str:
        """Return a token that is good now."""

    def renew(self, refused: str) -> bool:
        """Give up a token that Shopify refused; return whether there may be another."""


class FixedToken:
    """A token that does not expire."""

    def __init__(self, token: str) -> None:
        self._token = token

    def current(self) -> str:
        """Return it."""
        return self._token

    def renew(self, refused: str) -> bool:  # noqa: ARG002
        """Return False: there is no other."""
        return False


class ClientCredentials:
    """Exchanges an app's id and secret for a token, again whenever that has run out."""

    def __init__(self, api: JsonApi, client_id: str, client_secret: str) -> None:
        self._api = api
        self._fields = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
        }
        self._token = ""
        self._until: datetime | None = None

    def current(self) -> str:
        """Return the token, a new one if it is about to expire."""
        if self._until is None or self._api.now() > self._until - SPARE:
            answer = exchange(self._api, self._fields)
            self._token = answer["access_token"]
            self._until = self._api.now() + timedelta(seconds=float(answer.get("expires_in", 0)))
        return self._token

    def renew(self, refused: str) -> bool:
        """Ask for another token, unless the refused one is not the last."""
        if refused == self._token:
            self._until = None
        return True


class RotatingToken:
    """Refreshes an expiring token and keeps the new pair in a file of its own, readable by its owner alone.

    Shopify retires the old refresh token when the new one is used, so the new one is on disk before that.
    """

    def __init__(self, api: JsonApi, given: Fields, file: Path) -> None:
        self._api = api
        self._given = given
        self._file = file
        self._shop = api.origin.partition("://")[2]
        # Tells the tokens that came of these settings from those of earlier ones.
        self._seed = hashlib.sha256(given["refresh_token"].encode()).hexdigest()[:16]
        self._token = ""
        self._until: datetime | None = None

    def current(self) -> str:
        """Return the token, the one in the file or a refreshed one if it is about to expire."""
        if self._until is None or self._api.now() > self._until - SPARE:
            self._token = self._newest()
        return self._token

    def _newest(self) -> str:
        with self._locked() as kept:
            entry = kept.get(self._shop, {})
            if entry.get("from") != self._seed:
                entry = {}
            protect(value for value in entry.values() if isinstance(value, str))
            if entry.get("expires_at"):
                self._until = datetime.fromisoformat(entry["expires_at"])
                # Before the first reply there is only this machine's clock: Shopify's word counts more.
                if not self._api.has_told or self._api.now() <= self._until - SPARE:
                    return str(entry["access_token"])
            return self._refresh(kept, entry.get("refresh_token"))

    def renew(self, refused: str) -> bool:
        """Forget the refused token, unless another process has replaced it already."""
        self._until = None
        with self._locked() as kept:
            entry = kept.get(self._shop, {})
            if entry.get("access_token") == refused:
                entry["expires_at"] = None
                self._write(kept)
        return True

    def _refresh(self, kept: dict[str, Any], newest: str | None) -> str:
        fields = {"grant_type": "refresh_token", **self._given}
        try:
            answer = exchange(self._api, {**fields, "refresh_token": newest or self._given["refresh_token"]})
        except ApiError:
            if newest is None or newest == self._given["refresh_token"]:
                raise
            answer = exchange(self._api, fields)  # the file's was lost or retired elsewhere
        self._until = self._api.now() + timedelta(seconds=float(answer.get("expires_in", 0)))
        kept[self._shop] = {
            "access_token": answer["access_token"],
            "refresh_token": answer.get("refresh_token", newest or self._given["refresh_token"]),
            "expires_at": self._until.isoformat(),
            "from": self._seed,
        }
        self._write(kept)
        return str(answer["access_token"])

    @contextlib.contextmanager
    def _locked(self) -> Iterator[dict[str, Any]]:
        """Hold the file for one process at a time; what is in it comes out."""
        try:
            with self._file.with_name(self._file.name + ".lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield json.loads(self._file.read_text(encoding="utf-8")) if self._file.exists() else {}
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not JSON"
            raise ConfigError(
                f"The credentials_file {foreign(self._file)} cannot be used: {reason}. Name a file in a "
                "folder that exists and that the tap may write to."
            ) from None

    def _write(self, kept: dict[str, Any]) -> None:
        new = self._file.with_name(self._file.name + ".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(kept, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._file)


def exchange(api: JsonApi, fields: Fields) -> dict[str, Any]:
    """Return what the token endpoint answers to a grant.

    Raises:
        ApiError: It refuses; the answer is never quoted but for OAuth's own error code.
    """
    reply = api.retry(lambda: api.post_form(PATH, fields, "token"), min(api.tries, 3))
    body = reply.body if isinstance(reply.body, dict) else {}
    if reply.status != OK or not isinstance(body.get("access_token"), str):
        code = foreign(body.get("error") or f"HTTP {reply.status}", 60)
        advice = (
            "Authorize the app for this shop again, and set the new refresh_token."
            if "refresh_token" in fields
            else "Check client_id and client_secret, and that the app is installed on this shop."
        )
        raise ApiError(f"{api.origin} gives no access token ({code}). {advice}")
    protect(value for key, value in body.items() if key in {"access_token", "refresh_token"} and value)
    return body


def tokens_for(api: JsonApi, settings: Mapping[str, Any]) -> Tokens:
    """Return the way that a shop's settings ask for."""
    if refresh := settings.get("refresh_token"):
        given = {key: str(settings[key]) for key in ("client_id", "client_secret")}
        return RotatingToken(api, {**given, "refresh_token": refresh}, Path(settings["credentials_file"]))
    if settings.get("access_token"):
        return FixedToken(settings["access_token"])
    return ClientCredentials(api, settings["client_id"], settings["client_secret"])
