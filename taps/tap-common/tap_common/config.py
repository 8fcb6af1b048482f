"""Where settings come from, and what they must look like before a tap believes them.

Order: the config file, then `TAP_SHOPIFY_SHOP_DOMAIN` (the SDK's names), then `SHOPIFY_SHOP_DOMAIN` (plain
names). An empty string counts as absent everywhere: Meltano hands on settings nobody set.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from singer_sdk import typing as th

from tap_common.errors import ConfigError, UsageError
from tap_common.redact import foreign

Config = dict[str, Any]

STUB_DATA = th.Property(
    "stub_data",
    th.StringType,
    default="auto",
    allowed_values=["auto", "never"],
    description=(
        "What to do without credentials: `auto` sends the tap's own stub rows, loudly, for trying things "
        "out; `never` ends with an error. Use `never` in production."
    ),
)
START_DATE = th.Property(
    "start_date",
    th.StringType,
    description=(
        "Read only what changed since then, on the first run: a date or a date-time, in UTC if it names no "
        "offset. A bookmark, once there is one, counts instead."
    ),
)
LOOKBACK = th.Property(
    "lookback",
    th.IntegerType(minimum=0),
    default=60,
    description=(
        "Seconds by which the API's search may lag behind a change. A run reads again what changed so long "
        "before the bookmark; the target puts the same rows in the same places."
    ),
)
MAX_TRIES = th.Property(
    "max_tries",
    th.IntegerType(minimum=1),
    default=8,
    description="How often one request is sent before the run gives up, waiting longer each time.",
)


def env_prefixes(tap_name: str) -> tuple[str, str]:
    """Return the prefixes of environment variables, the stronger first: `TAP_SHOPIFY_`, `SHOPIFY_`."""
    name = tap_name.upper().replace("-", "_") + "_"
    return name, name.removeprefix("TAP_")


def is_blank(value: object) -> bool:
    """Tell whether a setting is as good as not set."""
    return value is None or (isinstance(value, str) and not value.strip())


def gather(given: Mapping[str, Any], schema: Mapping[str, Any], tap_name: str) -> Config:
    """Return the settings in force: the given ones, completed from the environment.

    Raises:
        ConfigError: An environment variable cannot be read as the type of its setting.
    """
    config = {key: value for key, value in given.items() if not is_blank(value)}
    for key, declared in schema.get("properties", {}).items():
        for prefix in env_prefixes(tap_name):
            variable = prefix + key.upper()
            if key not in config and not is_blank(text := os.environ.get(variable)):
                config[key] = _parse(text or "", declared, variable)
    return config


def _parse(text: str, declared: Mapping[str, Any], variable: str) -> object:
    types = declared.get("type", "string")
    if "string" in types:
        return text
    if text.strip().lower() in {"yes", "on", "no", "off", "true", "false"} and "boolean" in types:
        return text.strip().lower() in {"yes", "on", "true"}
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        wanted = types if isinstance(types, str) else " or ".join(name for name in types if name != "null")
        raise ConfigError(f"The environment variable {variable} is not a valid {wanted}.") from None


def read_config_files(paths: Iterable[str]) -> tuple[Config, bool]:
    """Return the merged settings of `--config` files, and whether `--config=ENV` was among them.

    Raises:
        UsageError: A file is missing, unreadable, or not one JSON object.
    """
    config: Config = {}
    env = False
    for path in paths:
        if path == "ENV":
            env = True
        else:
            config |= read_json_object(path, "config file")
    return config, env


def read_json_object(path: str, what: str) -> Config:
    """Return the JSON object in a file.

    Raises:
        UsageError: The file is missing, unreadable, or not one JSON object; says where in the file.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"The {what} {foreign(path)} does not exist. Check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"The {what} {foreign(path)} cannot be read: {reason}.") from None
    return parse_json_object(text, f"{what} {foreign(path)}")


def parse_json_object(text: str, what: str) -> Config:
    """Return the JSON object in a text.

    Raises:
        UsageError: It is not one JSON object; the message never quotes the text, which may hold secrets.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"The {what} is not valid JSON: {error.msg} in line {error.lineno}, column {error.colno}. "
            "Mend the file."
        ) from None
    except RecursionError:
        raise UsageError(f"The {what} is nested too deeply to be one.") from None
    if not isinstance(value, dict):
        raise UsageError(f"The {what} holds {type(value).__name__} where one JSON object is needed.")
    return value


def utc_timestamp(value: object, setting: str) -> str:
    """Return a date or date-time setting as `YYYY-MM-DDTHH:MM:SSZ`; without offset it is UTC.

    Meltano turns "6 months ago" into a date-time without offset and with microseconds.

    Raises:
        ConfigError: It is neither.
    """
    try:
        moment = datetime.fromisoformat(str(value).strip())
    except ValueError:
        raise ConfigError(
            f"The setting {setting} is {foreign(value, 60)!r}. Give a date (2026-01-31) or a date-time "
            "(2026-01-31T00:00:00Z)."
        ) from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def origin_of(config: Mapping[str, Any], ways: tuple[tuple[str, ...], ...], tap_name: str) -> str:
    """Return where the records of this run come from: `api` or `stub`.

    All credentials of one way in: the API. None of any: stub data, unless `stub_data` is `never`. Some: an
    error, because half a set of credentials is a mistake, never a wish.

    Raises:
        ConfigError: Credentials are missing and may not be.
    """
    lacking = [[name for name in way if is_blank(config.get(name))] for way in ways]
    if [] in lacking:
        return "api"
    present = [name for name in dict.fromkeys(sum(ways, ())) if not is_blank(config.get(name))]
    # What is nearest to whole is what was meant.
    way, missing = min(zip(ways, lacking, strict=True), key=lambda pair: len(pair[1]) - len(pair[0]))
    plain = env_prefixes(tap_name)[1]
    names = " and ".join(missing)
    variables = " and ".join(plain + name.upper() for name in missing)
    if present:
        set_ones = " and ".join(name for name in way if name not in missing) or " and ".join(present)
        raise ConfigError(
            f"The setting {names} is missing, while {set_ones} is set. Set it in the config file, or as the "
            f"environment variable {variables}."
        )
    if config.get("stub_data") == "never":
        raise ConfigError(
            f"No credentials: {names} are missing and stub_data is 'never'. Set them in the config file or "
            f"as the environment variables {variables}."
        )
    return "stub"


def secrets_in(value: object, names: Iterable[str]) -> Iterator[str]:
    """Yield the texts that are secret in a setting: itself, or in lists and objects what has such a name."""
    if isinstance(value, list):
        for item in value:
            yield from secrets_in(item, names)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key in names:
                yield from secrets_in(inner, names)
    elif value is not None:
        yield str(value)


def describe(error: Any, schema: Mapping[str, Any]) -> str:  # noqa: ANN401 - jsonschema's error, untyped
    """Return a validation error as a sentence; the value of a secret setting is not quoted."""
    path = ".".join(str(part) for part in error.absolute_path)
    top = schema.get("properties", {}).get(error.absolute_path[0], {}) if error.absolute_path else {}
    if top.get("secret"):
        return f"The setting {path} is not valid: it must be {error.validator} {error.validator_value}."
    return f"The setting {path or 'config'} is not valid: {foreign(error.message)}."


def unknown_settings(config: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each setting that does not exist, with a guess at what was meant."""
    known = list(schema.get("properties", {}))
    sentences = []
    for key in config:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            guess = f" Did you mean {near[0]}?" if near else ""
            sentences.append(f"The setting {foreign(key, 60)!r} does not exist and is ignored.{guess}")
    return sentences
