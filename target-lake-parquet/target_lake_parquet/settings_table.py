"""The settings as the user sees them: one table. Nothing is listed that has no effect."""

from singer_sdk import typing as th

from lake_parquet.paths import DATASET_TEMPLATE, SEPARATOR
from target_lake_parquet.messages import MAX_DEPTH

COMPRESSIONS = ["zstd", "snappy", "gzip", "lz4", "uncompressed"]
LONGEST_SECONDS = 366 * 24 * 3600
MOST_MB = 2**20
MOST_ROWS = 2**30
"""Bounds that no wish passes: past them the machine's numbers end, not ours."""

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
        "counts them, `add` makes them columns, `fail` makes their records bad ones.",
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
        th.IntegerType(minimum=1, maximum=MOST_ROWS),
        title="Rows a row group",
        description="Rows in a Parquet row group. Unset: the writer's choice.",
    ),
    th.Property(
        "checkpoint_seconds",
        th.IntegerType(minimum=0, maximum=LONGEST_SECONDS),
        default=60,
        title="Seconds between bookmarks",
        description="In mid-run a STATE is printed, its rows safe on disk, when so many seconds have passed "
        "since the last one; 0: each is printed.",
    ),
    th.Property(
        "checkpoint_mb",
        th.IntegerType(minimum=1, maximum=MOST_MB),
        default=256,
        title="Input between bookmarks",
        description="In mid-run a STATE is printed, its rows safe on disk, also when so many MiB of records "
        "have come since the last one.",
    ),
    th.Property(
        "progress_seconds",
        th.IntegerType(minimum=0, maximum=LONGEST_SECONDS),
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
        th.IntegerType(minimum=1, maximum=MOST_MB),
        default=64,
        title="Longest line",
        description="Input lines longer than this many MiB are refused before they are parsed.",
    ),
    th.Property(
        "max_depth",
        th.IntegerType(minimum=3, maximum=200),
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
        th.IntegerType(minimum=1, maximum=MOST_MB),
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
        "Where several match, the last one that names a setting wins. "
        "They may hold: " + ", ".join(f"`{setting.name}`" for setting in _STREAM_SETTINGS) + ".",
    ),
).to_dict()

DEFAULTS = {name: setting.get("default") for name, setting in SETTINGS["properties"].items()}
"""What holds where nothing is given; None for what is unset then."""

for _setting in SETTINGS["properties"]["stream_overrides"]["additionalProperties"]["properties"].values():
    # the SDK writes defaults into the user's config: an override would reset what it does not name
    _setting.pop("default", None)
