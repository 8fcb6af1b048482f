"""The target's settings: one table of them, and their typed form. Nothing is listed that has no effect."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from singer_sdk import typing as th

from lake_parquet.errors import UsageError
from lake_parquet.parquet_files import ParquetOptions
from lake_parquet.paths import DATASET_TEMPLATE, SEPARATOR, check_template
from lake_parquet.policy import LoadMethod
from target_lake_parquet.batch_files import BatchError, local_path
from target_lake_parquet.dates import is_zone
from target_lake_parquet.messages import MAX_DEPTH

COMPRESSIONS = ["zstd", "snappy", "gzip", "lz4", "uncompressed"]
MAPS = ("stream_maps", "stream_map_config", "faker_config")
LEVELS = {"zstd": (1, 22), "gzip": (0, 9)}

_STREAM_SETTINGS = (
    th.Property(
        "load_method",
        th.StringType,
        default="auto",
        allowed_values=["auto", "upsert", "append-only", "overwrite"],
        title="Load method",
        description="What a new snapshot holds: `upsert` the previous rows with this run's replacing those "
        "of the same key, `append-only` the previous rows and this run's, `overwrite` this run's alone; "
        "`auto` decides from the stream.",
    ),
    th.Property(
        "arrays",
        th.StringType,
        default="split",
        allowed_values=["split", "json"],
        title="Arrays of objects",
        description="`split` makes them child datasets `<dataset>__<field>`, `json` keeps them as JSON text.",
    ),
    th.Property(
        "split_depth",
        th.IntegerType(minimum=1),
        default=2,
        title="Split depth",
        description="Levels of child datasets; deeper arrays are JSON text.",
    ),
    th.Property(
        "flattening_max_depth",
        th.IntegerType(minimum=0),
        title="Flattening depth",
        description="Levels of nested objects that become `parent__child` columns; deeper ones are JSON "
        "text. Unset: all.",
    ),
    th.Property(
        "flattening_separator",
        th.StringType(pattern=r"^[ -~]{0,10}(?!\n)$"),
        default=SEPARATOR,
        title="Flattening separator",
        description="What joins the parts of a nested field's column name. Child datasets keep `__`.",
    ),
    th.Property(
        "undeclared_fields",
        th.StringType,
        default="warn",
        allowed_values=["warn", "add", "fail"],
        title="Undeclared fields",
        description="Fields that a record holds and its schema does not name: `warn` leaves them out and "
        "counts them, `add` makes them columns, `fail` refuses the stream.",
    ),
    th.Property(
        "naive_timezone",
        th.StringType,
        default="UTC",
        title="Zone of naive date-times",
        description="Time zone (an IANA name such as `Europe/Berlin`) of date-times without an offset; "
        "they are stored in UTC, and counted where this is another zone.",
    ),
    th.Property(
        "on_bad_record",
        th.StringType,
        default="fail",
        allowed_values=["fail", "quarantine"],
        title="Bad records",
        description="A record that cannot be stored: `fail` gives its stream up, `quarantine` sets the "
        "record aside in `.quarantine`, counts it and publishes the rest.",
    ),
    th.Property(
        "max_bad_records",
        th.IntegerType(minimum=0),
        title="Most bad records",
        description="More records than this in quarantine give the stream up. Unset: no limit, but a stream "
        "without a good record is given up.",
    ),
    th.Property(
        "on_incomplete",
        th.StringType,
        default="hold",
        allowed_values=["hold", "publish"],
        title="Incomplete streams",
        description="A stream that was cut short: `hold` keeps its rows aside in `.incomplete`, `publish` "
        "publishes them all the same.",
    ),
    th.Property(
        "max_row_drop",
        th.NumberType(minimum=0, maximum=1),
        title="Largest drop in rows",
        description="Share of rows that a full snapshot may lose against the previous one before it is held, "
        "0 to 1. Unset: 0.05 for streams that give no proof of their end, no limit for the others.",
    ),
    th.Property(
        "on_schema_change",
        th.StringType,
        default="evolve",
        allowed_values=["evolve", "freeze"],
        title="Changed columns",
        description="Columns that differ from the latest snapshot's: `evolve` adds, widens and keeps them as "
        "need be, `freeze` holds the stream until you accept them.",
    ),
    th.Property(
        "hard_delete",
        th.BooleanType,
        default=True,
        title="Hard delete",
        description="Whether rows with `_sdc_deleted_at` leave the snapshot; `false` keeps them, marked.",
    ),
    th.Property(
        "validate_records",
        th.BooleanType,
        default=False,
        title="Validate records",
        description="Whether records are held against their JSON Schema; one that breaks it is a bad record.",
    ),
    th.Property(
        "add_record_metadata",
        th.BooleanType,
        default=False,
        title="Add record metadata",
        description="Whether each row tells how it came, in columns of the SDK's names: `_sdc_extracted_at`, "
        "`_sdc_received_at`, `_sdc_sequence`, ...",
    ),
)

SETTINGS = th.PropertiesList(
    th.Property(
        "lake_root",
        th.StringType,
        default="storage/lake",
        title="Lake root",
        description="The folder of the lake, or an `s3://`, `gs://` or `az://` URL; credentials come from "
        "the environment.",
    ),
    th.Property(
        "tenant_id",
        th.StringType,
        title="Tenant",
        description="Whose data it is; first part of each dataset's name. No `__` in it.",
    ),
    th.Property(
        "source",
        th.StringType,
        title="Source",
        description="Where the data comes from; second part of each dataset's name. Default: Meltano's "
        "`load_schema` without a leading `tap_`, else what our taps say of themselves.",
    ),
    th.Property(
        "dataset_template",
        th.StringType,
        default=DATASET_TEMPLATE,
        title="Dataset template",
        description="How a dataset is named; an empty part is left out, with what joins it to the others. "
        "It must hold `{stream}`, and no `__`.",
    ),
    th.Property(
        "tap",
        th.StringType,
        title="Tap",
        description="The tap's name for metadata and run history. Default: Meltano's extractor name.",
    ),
    th.Property(
        "tenant_column",
        th.StringType,
        default="_tenant",
        title="Tenant column",
        description="Column that holds `tenant_id` in every row, where a tenant is set; empty for none.",
    ),
    th.Property(
        "compression",
        th.StringType,
        default="zstd",
        allowed_values=COMPRESSIONS,
        title="Compression",
        description="Parquet codec.",
    ),
    th.Property(
        "compression_level",
        th.IntegerType,
        title="Compression level",
        description="Level of zstd (1 to 22) or gzip (0 to 9). Unset: the codec's own.",
    ),
    th.Property(
        "row_group_rows",
        th.IntegerType(minimum=1),
        title="Rows a row group",
        description="Rows in a Parquet row group. Unset: the writer's choice.",
    ),
    th.Property(
        "checkpoint_seconds",
        th.IntegerType(minimum=0),
        default=60,
        title="Seconds between bookmarks",
        description="In mid-run a STATE is printed, its rows safe on disk, when so many seconds have passed "
        "since the last one; 0: each is printed.",
    ),
    th.Property(
        "checkpoint_mb",
        th.IntegerType(minimum=1),
        default=256,
        title="Input between bookmarks",
        description="In mid-run a STATE is printed, its rows safe on disk, also when so many MiB of records "
        "have come since the last one.",
    ),
    th.Property(
        "progress_seconds",
        th.IntegerType(minimum=0),
        default=60,
        title="Seconds between progress lines",
        description="How often a log line tells of each stream that moves: rows, rows a second, durable up "
        "to what bookmark. A terminal shows it live; 0: neither.",
    ),
    th.Property(
        "single_writer",
        th.BooleanType,
        default=False,
        title="Single writer",
        description="Your word that no two runs write to the lake at once: for object stores that cannot "
        "refuse to replace a file, and are refused otherwise.",
    ),
    th.Property(
        "max_line_mb",
        th.IntegerType(minimum=1),
        default=64,
        title="Longest line",
        description="Input lines longer than this many MiB are refused before they are parsed.",
    ),
    th.Property(
        "max_depth",
        th.IntegerType(minimum=3, maximum=500),
        default=MAX_DEPTH,
        title="Deepest nesting",
        description="Messages whose JSON nests deeper, counted from the message's own object, are refused "
        "before they are parsed.",
    ),
    th.Property(
        "unknown_messages",
        th.StringType,
        default="fail",
        allowed_values=["fail", "ignore"],
        title="Unknown messages",
        description="Messages of a type that the Singer specification does not know: `fail` ends the run, "
        "`ignore` leaves them out and counts them in a warning.",
    ),
    th.Property(
        "batch_roots",
        th.ArrayType(th.StringType),
        title="Folders of BATCH files",
        description="Folders below which the files of BATCH messages are read. Empty: BATCH messages are "
        "refused.",
    ),
    th.Property(
        "max_batch_mb",
        th.IntegerType(minimum=1),
        default=4096,
        title="Largest BATCH file",
        description="BATCH files that hold more than this many MiB, unpacked, are refused.",
    ),
    *_STREAM_SETTINGS,
    th.Property(
        "stream_maps",
        th.CustomType({"type": ["object", "null"]}),
        title="Stream maps",
        description="What becomes of streams and their properties on the way in, in the words of the Meltano "
        "SDK's [stream maps](https://sdk.meltano.com/en/latest/stream_maps.html): "
        '`{"customers": {"email": "md5(email)", "phone": "__NULL__"}, "logs": null}`.',
    ),
    th.Property(
        "stream_map_config",
        th.CustomType({"type": ["object", "null"]}),
        title="Values for stream maps",
        description="Values that the expressions in `stream_maps` may use as `config`.",
    ),
    th.Property(
        "faker_config",
        th.CustomType({"type": ["object", "null"]}),
        title="Made-up values",
        description="`seed` and `locale` of the `fake` that expressions in `stream_maps` may use: "
        "`fake.email()`. It needs the extra `[faker]` of the target.",
    ),
    th.Property(
        "stream_overrides",
        th.ObjectType(additional_properties=th.ObjectType(*_STREAM_SETTINGS, additional_properties=False)),
        title="Stream overrides",
        description="Settings for single streams, by name or pattern: "
        '`{"orders": {"load_method": "overwrite"}, "events*": {"arrays": "json"}}`. '
        "They may hold: " + ", ".join(f"`{setting.name}`" for setting in _STREAM_SETTINGS) + ".",
    ),
).to_dict()


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """What may differ from stream to stream; the fields are the settings of the same names."""

    load_method: LoadMethod = "auto"
    arrays: Literal["split", "json"] = "split"
    split_depth: int = 2
    flattening_max_depth: int | None = None
    flattening_separator: str = SEPARATOR
    undeclared_fields: Literal["warn", "add", "fail"] = "warn"
    naive_timezone: str = "UTC"
    on_bad_record: Literal["fail", "quarantine"] = "fail"
    max_bad_records: int | None = None
    on_incomplete: Literal["hold", "publish"] = "hold"
    max_row_drop: float | None = None
    on_schema_change: Literal["evolve", "freeze"] = "evolve"
    hard_delete: bool = True
    validate_records: bool = False
    add_record_metadata: bool = False


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
    maps: Mapping[str, Any] | None = None

    def of_stream(self, stream: str) -> StreamSettings:
        """The settings of one stream: the plain ones, then every override whose pattern matches, in order."""
        settings = self.streams
        for pattern, changes in self.overrides.items():
            if fnmatchcase(stream, pattern):
                settings = replace(settings, **_stream_values(changes))
        return settings


def read_settings(config: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Reads the validated config; empty strings count as unset: runners pass empty environment names on.

    Raises:
        UsageError: a value that the config's JSON Schema cannot refuse is wrong.
    """
    given = {name: value for name, value in config.items() if value is not None and value != ""}
    tenant, source = _name_part(given, "tenant_id"), _name_part(given, "source")
    overrides = given.get("stream_overrides", {})
    for changes in overrides.values():
        _stream_values(changes)  # what is wrong is told at once, not when the stream comes
    load_schema = environ.get("MELTANO_EXTRACT__LOAD_SCHEMA") or None
    return Settings(
        lake_root=given.get("lake_root", "storage/lake"),
        single_writer=bool(given.get("single_writer", False)),
        tenant_id=tenant,
        source=source or (load_schema.removeprefix("tap_") if load_schema else None),
        dataset_template=_template(given),
        tap=given.get("tap") or environ.get("MELTANO_EXTRACTOR_NAME") or None,
        tenant_column=config.get("tenant_column", "_tenant") or None,
        max_line_bytes=int(given.get("max_line_mb", 64)) * 2**20,
        checkpoint_seconds=int(given.get("checkpoint_seconds", 60)),
        checkpoint_bytes=int(given.get("checkpoint_mb", 256)) * 2**20,
        progress_seconds=int(given.get("progress_seconds", 60)),
        max_depth=int(given.get("max_depth", MAX_DEPTH)),
        unknown_messages=given.get("unknown_messages", "fail"),
        batch_roots=tuple(map(_batch_root, given.get("batch_roots", []))),
        max_batch_bytes=int(given.get("max_batch_mb", 4096)) * 2**20,
        parquet=_parquet_options(given),
        streams=StreamSettings(**_stream_values(given)),
        maps={name: given[name] for name in MAPS if name in given} if given.get("stream_maps") else None,
        overrides=overrides,
    )


def unknown_settings(config: Mapping[str, Any]) -> list[str]:
    """The settings in `config` that have no effect: other targets' and later versions'.

    Raises:
        UsageError: one is a known setting misspelt; the user counts on it.
    """
    known = list(SETTINGS["properties"])
    unknown = [name for name in config if name not in known]
    for name in unknown:
        near = get_close_matches(name, known, n=1, cutoff=0.8)
        if near:
            raise UsageError(f"there is no setting {name!r}: did you mean {near[0]!r}?")
    return unknown


def _parquet_options(given: Mapping[str, Any]) -> ParquetOptions:
    codec = given.get("compression", "zstd")
    level = given.get("compression_level")
    lowest, highest = LEVELS.get(codec, (0, -1))
    if level is not None and not lowest <= level <= highest:
        levels = f"{lowest} to {highest}" if codec in LEVELS else "none"
        raise UsageError(
            f"compression_level {level} is no level of {codec}, which has {levels}: change or remove it"
        )
    return ParquetOptions(codec, int(level) if level is not None else None, given.get("row_group_rows"))


def _batch_root(folder: str) -> Path:
    try:
        return Path(local_path(folder)).expanduser()
    except BatchError:
        raise UsageError(
            f"batch_roots holds {folder!r}, which is no folder: name folders of this machine"
        ) from None


def _stream_values(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of `config` that may differ from stream to stream."""
    names = StreamSettings.__dataclass_fields__
    values = {name: value for name, value in config.items() if name in names and value not in (None, "")}
    zone = values.get("naive_timezone")
    if zone is not None and not is_zone(zone):
        raise UsageError(
            f"naive_timezone {zone!r} is no time zone: use an IANA name such as 'Europe/Berlin' or 'UTC'"
        )
    if "max_row_drop" in values:
        values["max_row_drop"] = float(values["max_row_drop"])  # the SDK reads config numbers as Decimal
    return values


def _template(config: Mapping[str, Any]) -> str:
    template = str(config.get("dataset_template", DATASET_TEMPLATE))
    try:
        check_template(template)
    except ValueError as error:
        raise UsageError(f"dataset_template {template!r} names no dataset: {error}") from None
    return template


def _name_part(config: Mapping[str, Any], setting: str) -> str | None:
    value = config.get(setting)
    if value is None:
        return None
    if SEPARATOR in value:
        raise UsageError(
            f"{setting} {value!r} holds {SEPARATOR!r}, which parts a dataset from its child datasets: "
            "use a single `_`"
        )
    return str(value)
