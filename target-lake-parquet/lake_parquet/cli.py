"""The `lake` command: what is in the lake, at a glance. Data on stdout, messages on stderr."""

import json
import sys
from datetime import UTC, datetime
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lake_parquet import paths
from lake_parquet.errors import LakeError
from lake_parquet.lake import Lake
from lake_parquet.snapshots import Snapshot


class LakeGroup(click.Group):
    """Turns a `LakeError` into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        """Runs a command."""
        try:
            return super().invoke(ctx)
        except LakeError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(error.exit_code)


PIPE_WIDTH = 300

ROOT = click.option(
    "--lake",
    "root",
    default="storage/lake",
    show_default=True,
    envvar="LAKE_ROOT",
    help="The lake's folder or URL.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


# \b keeps click from joining the lines
HELP = """Look into a lake of Parquet snapshots.

\b
lake ls                          every dataset: rows, size, age, source
lake show acme_shopify_orders    one dataset: columns, history, a sample
lake runs                        what each run did
"""


@click.group(cls=LakeGroup, help=HELP)
@click.version_option(package_name="singerlake-target-lake-parquet")
def main() -> None:
    """Runs the `lake` command."""


@main.command("ls")
@ROOT
@JSON
def list_datasets(root: str, *, as_json: bool) -> None:
    """List every dataset with its latest snapshot."""
    lake = Lake(root)
    if not lake.store.exists():
        raise LakeError(f"there is no lake at {root}: name its folder or URL with --lake or LAKE_ROOT")
    read = _last_read(lake)
    rows = [_dataset_row(lake.latest_snapshot(name), read.get(name)) for name in lake.datasets()]
    if as_json:
        _print_json(rows)
        return
    if not rows:
        click.echo(f"The lake at {root} is empty.", err=True)
        return
    table = _table("dataset", ">rows", ">size", ">columns", ">age", "source")
    for row in rows:
        size, age = readable_bytes(row["bytes"]), readable_age(row["read_at"])
        table.add_row(
            row["dataset"], f"{row['row_count']:,}", size, str(row["columns"]), age, row["source"] or "-"
        )
    _console().print(table)


@main.command("show")
@click.argument("dataset")
@ROOT
@JSON
def show_dataset(dataset: str, root: str, *, as_json: bool) -> None:
    """Show one dataset: its columns, its history, and its first rows."""
    lake = Lake(root)
    latest = lake.latest_snapshot(dataset)
    schema = latest.scan().collect_schema()
    json_columns = set(latest.info.json_columns) if latest.info else set()
    columns = {
        name: f"{dtype}" + (" (JSON text)" if name in json_columns else "") for name, dtype in schema.items()
    }
    history: list[dict[str, Any]] = [
        {"path": one.path, "row_count": one.row_count, "bytes": one.size} for one in lake.snapshots(dataset)
    ]
    if as_json:
        info = msgspec.to_builtins(latest.info) if latest.info else None
        _print_json({"dataset": dataset, "columns": columns, "snapshots": history, "info": info})
        return
    console = _console()
    table = _table("column", "type")
    for name, dtype in columns.items():
        table.add_row(escape(name), dtype)
    console.print(table)
    table = _table("snapshot", ">rows", ">size")
    for one in reversed(history):
        table.add_row(one["path"], f"{one['row_count']:,}", readable_bytes(one["bytes"]))
    console.print(table)
    console.print(str(latest.scan().head(5).collect()), markup=False, highlight=False)


@main.command("runs")
@ROOT
@JSON
@click.option("--last", default=20, show_default=True, help="How many runs to show.")
def list_runs(root: str, last: int, *, as_json: bool) -> None:
    """List what the last runs did."""
    runs = Lake(root).runs()[-last:]
    if as_json:
        _print_json(msgspec.to_builtins(runs))
        return
    table = _table("started", "status", "tap", "dataset", "what", ">rows", ">added")
    for run in reversed(runs):
        if not run.datasets:
            table.add_row(
                run.started_at[:19], run.status, run.tap or "-", "-", escape(run.error or "-"), "", ""
            )
        for one in run.datasets:
            table.add_row(
                run.started_at[:19],
                run.status,
                run.tap or "-",
                one.dataset,
                one.status,
                f"{one.row_count:,}",
                f"{one.rows_added:,}",
            )
    _console().print(table)


def _last_read(lake: Lake) -> dict[str, str]:
    """When each dataset was last found to be as its source has it: a run that changes nothing counts too."""
    return {
        one.dataset: run.finished_at or run.started_at
        for run in lake.runs()
        for one in run.datasets
        if one.status in ("published", "unchanged")
    }


def _dataset_row(latest: Snapshot, read_at: str | None) -> dict[str, Any]:
    info = latest.info
    source = "_".join(filter(None, (info.owner.source, info.origin))) if info else None
    created_at = info.created_at if info else paths.snapshot_moment(latest.name).isoformat()
    return {
        "dataset": latest.dataset,
        "row_count": latest.row_count,
        "bytes": latest.size,
        "columns": len(latest.column_names),
        "created_at": created_at,
        "read_at": read_at or created_at,
        "source": source,
        "path": latest.path,
    }


def _console() -> Console:
    """A console on stdout: as wide as the terminal, and wide enough for a line a row in a pipe."""
    return Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)


def _table(*columns: str) -> Table:
    """A plain table; a column whose name begins with `>` is set to the right."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(
            column.lstrip(">"), justify="right" if column.startswith(">") else "left", overflow="fold"
        )
    return table


def _print_json(value: object) -> None:
    json.dump(value, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


def readable_bytes(count: int) -> str:
    """Writes a size for people: `14 kB`."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004 - SI units
            return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"  # noqa: PLR2004
        size /= 1000
    return f"{size:.1f} TB"


def readable_age(created_at: str) -> str:
    """Writes how long ago a moment was: `3 h`."""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(created_at)).total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
