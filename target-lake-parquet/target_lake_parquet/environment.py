"""Environment variables in, settings out: `TARGET_LAKE_PARQUET_LAKE_ROOT` is `lake_root`."""

from collections.abc import Mapping
from typing import Any

import msgspec

from lake_parquet.errors import UsageError
from target_lake_parquet.settings import unknown_settings
from target_lake_parquet.settings_table import SETTINGS

PREFIX = "TARGET_LAKE_PARQUET_"
NO_SETTINGS = {"loglevel"}
"""What the SDK reads under the same prefix."""
MELTANO = ("MELTANO_EXTRACTOR_NAME", "MELTANO_EXTRACT__LOAD_SCHEMA")
"""What Meltano says of the tap."""
WORDS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def settings_of(environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings that environment variables give; an empty one gives none, but for `tenant_column`.

    Numbers and objects are JSON; yes, no, on, off, 1 and 0 are booleans, too; a list is JSON or `a,b`.

    Raises:
        UsageError: a value cannot be read as what its setting is, or a variable's name is misspelt.
    """
    names = {name.removeprefix(PREFIX).lower(): name for name in environ if name.startswith(PREFIX)}
    for setting in names.keys() - NO_SETTINGS:
        try:
            unknown_settings([setting])
        except UsageError as error:
            raise UsageError(f"environment variable {names[setting]}: {error}") from None
    return {
        setting: _value(environ[variable], SETTINGS["properties"][setting]["type"], variable)
        for setting, variable in names.items()
        if setting in SETTINGS["properties"] and (environ[variable] or setting == "tenant_column")
    }


def _value(text: str, types: list[str], variable: str) -> Any:  # noqa: ANN401 - any setting's value
    check_text(text, variable)
    kind = next(name for name in types if name != "null")
    if kind == "string":
        return text
    if kind == "boolean" and text.strip().lower() in WORDS:
        return WORDS[text.strip().lower()]
    if kind == "array" and not text.lstrip().startswith("["):
        return [one.strip() for one in text.split(",")]
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        wanted = {"array": "JSON array", "object": "JSON object"}.get(kind, kind)
        raise UsageError(
            f"the environment variable {variable} is no {wanted}: mend it, or unset it"
        ) from None


def check_text(text: str, variable: str) -> None:
    """Looks at a variable's value, which may be any bytes.

    Raises:
        UsageError: they are not UTF-8, so that no file could hold them.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"the environment variable {variable} is not UTF-8: set it anew in that encoding"
        ) from None
