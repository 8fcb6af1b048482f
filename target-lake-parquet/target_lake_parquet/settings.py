"""A config in, the target's settings in their typed form out, checked where its JSON Schema cannot."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from lake_parquet.errors import UsageError
from lake_parquet.parquet_files import ParquetOptions
from lake_parquet.paths import SEPARATOR, check_template
from lake_parquet.policy import LoadMethod
from target_lake_parquet.batch_files import BatchError, local_path
from target_lake_parquet.columns import PARENT, POSITION, readable
from target_lake_parquet.dates import is_zone
from target_lake_parquet.settings_table import DEFAULTS, SETTINGS

MAPS = ("stream_maps", "stream_map_config", "faker_config")
LEVELS = {"zstd": (1, 22), "gzip": (0, 9)}
_OWN_NAMES = re.compile(rf"_sdc_|{PARENT}|{POSITION}$")
"""Columns that the target fills itself, and how those of the pipeline begin."""


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """What may differ from stream to stream; the fields are the settings of the same names."""

    load_method: LoadMethod
    arrays: Literal["split", "json"]
    split_depth: int
    flattening_max_depth: int | None
    flattening_separator: str
    undeclared_fields: Literal["warn", "add", "fail"]
    naive_timezone: str
    on_bad_record: Literal["fail", "quarantine"]
    max_bad_records: int | None
    on_incomplete: Literal["hold", "publish"]
    max_row_drop: float | None
    on_schema_change: Literal["evolve", "freeze"]
    hard_delete: bool
    validate_records: bool
    add_record_metadata: bool


@dataclass(frozen=True, slots=True)
class Settings:
    """The target's settings, with what Meltano tells of the run filled in."""

    lake_root: str
    single_writer: bool
    tenant_id: str | None
    source: str | None
    dataset_template: str
    tap: str | None
    tenant_column: str | None
    max_line_bytes: int
    checkpoint_seconds: int
    checkpoint_bytes: int
    progress_seconds: int
    max_depth: int
    unknown_messages: Literal["fail", "ignore"]
    batch_roots: tuple[Path, ...]
    max_batch_bytes: int
    parquet: ParquetOptions
    streams: StreamSettings
    overrides: Mapping[str, Mapping[str, Any]]
    maps: Mapping[str, Any] | None

    def of_stream(self, stream: str) -> StreamSettings:
        """The settings of one stream: the plain ones, then every override whose pattern matches, in order."""
        settings = self.streams
        for pattern, changes in self.overrides.items():
            if fnmatchcase(stream, pattern):
                settings = replace(settings, **_stream_values(changes))
        return settings

    def unused_overrides(self, streams: Collection[str]) -> list[str]:
        """The patterns of overrides that none of the streams matches: a misspelt one changes nothing."""
        return [one for one in self.overrides if not any(fnmatchcase(stream, one) for stream in streams)]


def tidied(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config without what is null or empty, for runners pass on what nobody set; with 10 for 10.0.

    An empty `tenant_column` stays: it says that there is to be none.
    """
    tidy: dict[str, Any] = {}
    for name, value in config.items():
        if name == "stream_overrides" and isinstance(value, Mapping):
            tidy[name] = {
                pattern: tidied(changes) if isinstance(changes, Mapping) else changes
                for pattern, changes in value.items()
            }
        elif isinstance(value, float) and value.is_integer():
            tidy[name] = int(value)
        elif (value is not None and value != "") or (name == "tenant_column" and value == ""):
            tidy[name] = value
    return tidy


def read_settings(given: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Reads the config, tidied and validated.

    Raises:
        UsageError: a value that the config's JSON Schema cannot refuse is wrong.
    """
    config = {**DEFAULTS, **given}
    if "\0" in config["lake_root"]:
        raise UsageError("lake_root holds a NUL, which no path has: mend it")
    tenant, source = _name_part(config, "tenant_id"), _name_part(config, "source")
    overrides = config["stream_overrides"] or {}
    for changes in overrides.values():
        _stream_values(changes)  # what is wrong is told at once, not when the stream comes
    meltano = {"load_schema": environ.get("MELTANO_EXTRACT__LOAD_SCHEMA") or None}
    load_schema = None if source else _name_part(meltano, "load_schema", " in the extractor's `load_schema`")
    return Settings(
        lake_root=config["lake_root"],
        single_writer=config["single_writer"],
        tenant_id=tenant,
        source=source or (load_schema.removeprefix("tap_") if load_schema else None),
        dataset_template=_template(config["dataset_template"]),
        tap=config["tap"] or environ.get("MELTANO_EXTRACTOR_NAME") or None,
        tenant_column=_tenant_column(config["tenant_column"]),
        max_line_bytes=config["max_line_mb"] * 2**20,
        checkpoint_seconds=config["checkpoint_seconds"],
        checkpoint_bytes=config["checkpoint_mb"] * 2**20,
        progress_seconds=config["progress_seconds"],
        max_depth=config["max_depth"],
        unknown_messages=config["unknown_messages"],
        batch_roots=tuple(map(_batch_root, config["batch_roots"] or [])),
        max_batch_bytes=config["max_batch_mb"] * 2**20,
        parquet=_parquet_options(config),
        streams=StreamSettings(**_stream_values(config)),
        maps={name: config[name] for name in MAPS} if config["stream_maps"] else None,
        overrides=overrides,
    )


def unknown_settings(names: Iterable[str]) -> list[str]:
    """The settings among `names` that have no effect: other targets' and later versions'.

    Raises:
        UsageError: one is a known setting misspelt; the user counts on it.
    """
    known = list(SETTINGS["properties"])
    unknown = [name for name in names if name not in known]
    for name in unknown:
        near = get_close_matches(name, known, n=1, cutoff=0.8)
        if near:
            raise UsageError(f"there is no setting {name!r}: did you mean {near[0]!r}?")
    return unknown


def _parquet_options(config: Mapping[str, Any]) -> ParquetOptions:
    codec, level = config["compression"], config["compression_level"]
    lowest, highest = LEVELS.get(codec, (0, -1))
    if level is not None and not lowest <= level <= highest:
        levels = f"{lowest} to {highest}" if codec in LEVELS else "none"
        raise UsageError(
            f"compression_level {level} is no level of {codec}, which has {levels}: change or remove it"
        )
    return ParquetOptions(codec, level, config["row_group_rows"])


def _batch_root(folder: str) -> Path:
    try:
        return Path(local_path(folder)).expanduser()
    except (BatchError, RuntimeError):  # or `~` of a user that there is not
        raise UsageError(
            f"batch_roots holds {folder!r}, which is no folder: name folders of this machine"
        ) from None


def _stream_values(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of `config` that may differ from stream to stream."""
    names = StreamSettings.__dataclass_fields__
    values = {name: value for name, value in config.items() if name in names}
    zone = values.get("naive_timezone")
    if zone is not None and not is_zone(zone):
        raise UsageError(
            f"naive_timezone {zone!r} is no time zone: use an IANA name such as 'Europe/Berlin' or 'UTC'"
        )
    return values


def _tenant_column(name: str) -> str | None:
    if not name:
        return None
    if _OWN_NAMES.match(name.casefold()) or readable(name) != name:
        raise UsageError(
            f"tenant_column {name!r} is a name that the target gives itself, or changes: choose another one"
        )
    return name


def _template(template: str) -> str:
    try:
        check_template(template)
    except ValueError as error:
        raise UsageError(f"dataset_template {template!r} names no dataset: {error}") from None
    return template


def _name_part(config: Mapping[str, Any], setting: str, place: str = "") -> str | None:
    value: str | None = config[setting]
    if value is None:
        return None
    if SEPARATOR in f"{value}_":  # `_` joins it to the next part
        raise UsageError(
            f"{setting} {value!r} brings {SEPARATOR!r} into names, which parts a dataset from its child "
            f"datasets: use a single `_`{place}, and none at its end"
        )
    return value
