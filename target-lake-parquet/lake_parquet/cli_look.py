"""The commands that look into the lake: `show`, `sql`, `diff`, `runs`; `ls` has a room of its own."""

from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any

import click
import msgspec
import polars as pl

from lake_parquet import render
from lake_parquet.cli_options import dataset_argument, open_lake, options
from lake_parquet.column_types import drift, type_name
from lake_parquet.diff import Diff
from lake_parquet.health import age_at, notes_of_run
from lake_parquet.lake import Lake
from lake_parquet.readable import readable_bytes, readable_time
from lake_parquet.render import Rows
from lake_parquet.runs import DatasetSummary, RunRecord
from lake_parquet.snapshots import Snapshot
from lake_parquet.unfinished import told
from lake_parquet.when import LATEST, PREVIOUS

EXAMPLES = 60
"""Characters of a value, or of a column's examples, that are shown."""

SEARCHED_RUNS = 200
"""Run records, the newest first, in which `lake show` looks for what the last run did."""


@click.command("show")
@dataset_argument()
@click.option(
    "--last", type=click.IntRange(1), default=10, show_default=True, help="How many snapshots to list."
)
@options
def show_dataset(dataset: str, last: int, lake: str, *, as_json: bool) -> None:
    """Show one dataset: columns, examples, snapshots."""
    found = open_lake(lake)
    names = found.names(dataset)
    latest = found.read(dataset, names[-1])
    history = [found.read(dataset, name) for name in names[-last:]]
    sample = latest.scan().head(5).collect()
    if as_json:
        _show_json(latest, history, len(names), sample)
        return
    info = latest.info
    facts = {"dataset": dataset, "rows": f"{latest.row_count:,}", "size": readable_bytes(latest.size)}
    facts |= _last_look(found, dataset)
    if info is not None:
        facts |= {
            "owner": str(info.owner),
            "source": "_".join(filter(None, (info.owner.source, info.origin))),
            "account": info.account or "",
            "keys": ", ".join(info.keys),
            "loaded as": info.load_method,
            "child datasets": ", ".join(info.children),
            "created": info.created_at,
            "run": info.run_id,
        }
    table = Rows(render.columns("fact, value"))
    for name, value in facts.items():
        if value:
            table.add(name, value)
    table.show()
    _show_columns(latest, sample)
    _show_history(history, len(names))


def _last_look(found: Lake, dataset: str) -> dict[str, str]:
    """What the last run that named a dataset did to it, and what was odd."""
    for run in islice(found.newest_runs(), SEARCHED_RUNS):
        for one in run.datasets:
            if one.dataset == dataset:
                ago = readable_time(age_at(run.finished_at or run.started_at, datetime.now(UTC)))
                odd = {note.kind: render.one_line(note.text) for note in notes_of_run(one)}
                return {"last run": f"{ago} ago: {render.did(one)}"} | odd
    return {}


def _show_json(latest: Snapshot, history: list[Snapshot], count: int, sample: pl.DataFrame) -> None:
    render.show_json(
        {
            "dataset": latest.dataset,
            "columns": _columns(latest),
            "json_columns": list(latest.info.json_columns) if latest.info else [],
            "snapshot_count": count,
            "snapshots": [
                {"path": one.path, "row_count": one.row_count, "bytes": one.size} for one in history
            ],
            "info": msgspec.to_builtins(latest.info) if latest.info else None,
            "sample": sample.to_dicts(),
        }
    )


def _columns(latest: Snapshot) -> dict[str, str]:
    return {
        name: type_name(dtype) for name, dtype in zip(latest.schema.names, latest.schema.types, strict=True)
    }


def _show_columns(latest: Snapshot, sample: pl.DataFrame) -> None:
    json_columns = set(latest.info.json_columns) if latest.info else set()
    table = Rows(render.columns("column, type, examples"))
    for name, kind in _columns(latest).items():
        values = [
            render.text_of(value) for value in sample[name].unique(maintain_order=True) if value is not None
        ]
        table.add(
            name,
            kind + (" (JSON text)" if name in json_columns else ""),
            render.shortened(" | ".join(values), EXAMPLES),
        )
    _gap()
    table.show()


def _show_history(history: list[Snapshot], count: int) -> None:
    table = Rows(render.columns("snapshot, >rows, >change, >size, run, columns"))
    for number, one in enumerate(history):
        before = history[number - 1] if number else None
        change = f"{one.row_count - before.row_count:+,}" if before else ""
        changed = drift(before.schema, one.schema) if before else None
        run = one.info.run_id if one.info else ""
        table.add(one.name, f"{one.row_count:,}", change, readable_bytes(one.size), run, changed or "")
    table.rows.reverse()
    _gap()
    table.show()
    if count > len(history):
        render.say(f"... and {count - len(history)} older snapshots; --last shows more.")


def _gap() -> None:
    render.show_text("\n")


@click.command("sql")
@click.argument("query", required=False)
@click.option("--open", "interactive", is_flag=True, help="Open a shell for queries.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, as in a pipe.")
@options
def query_lake(query: str | None, lake: str, **flags: bool) -> None:
    """Query the latest rows by SQL.

    DuckDB answers; every dataset is a view, and nothing can be written.

    \b
    lake sql "select count(*) from acme_shopify_orders"
    lake sql "select _tenant, count(*) from latest('*_shopify_orders') group by all"
    """  # noqa: D301 - the character that keeps click from joining the lines
    from lake_parquet.sql import Sql  # noqa: PLC0415 - DuckDB is an extra, and slow to import

    if not query and not flags["interactive"]:
        raise click.UsageError('Give a query, as in: lake sql "from acme_shopify_orders", or --open.')
    with Sql(open_lake(lake)) as sql:
        if query:
            sql.show(query, as_json=flags["as_json"], as_csv=flags["as_csv"])
        if flags["interactive"]:
            from lake_parquet.shell import Shell  # noqa: PLC0415 - the same

            Shell(sql).run()


@click.command("diff")
@dataset_argument()
@click.argument("a", default=PREVIOUS)
@click.argument("b", default=LATEST)
@click.option(
    "--rows", type=click.IntRange(0), default=5, show_default=True, help="How many rows of each kind to show."
)
@options
def diff_snapshots(dataset: str, a: str, b: str, lake: str, *, rows: int, as_json: bool) -> None:
    """Show rows added, changed, deleted between A and B.

    A and B: latest, previous, a date (its end, UTC), a time, or a snapshot's name. Default: what the latest
    changed.
    """
    found = open_lake(lake).diff(dataset, a, b)
    sample = found.sample(rows)
    if as_json:
        facts = {"dataset": dataset, "a": found.a.path, "b": found.b.path, "keys": list(found.keys)}
        render.show_json(facts | found.counts | {"columns": found.columns, "rows": sample})
        return
    by = f"by {', '.join(found.keys)}" if found.keys else "as whole rows, for want of keys"
    render.say(f"{dataset}, {found.a.name} to {found.b.name}, compared {by}")
    if found.columns:
        render.say(f"columns {found.columns}")
    render.say(", ".join(f"{count:,} {what}" for what, count in found.counts.items()))
    render.show_lines(_diff_lines(found, sample))


def _diff_lines(found: Diff, sample: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """A line a row: `+` added, `~` changed with what it was, `-` deleted."""
    for sign, what in (("+", "added"), ("-", "deleted")):
        for row in sample[what]:
            yield f"{sign} " + ", ".join(f"{name}={_cell(value)}" for name, value in row.items())
    for pair in sample["changed"]:
        before, after = pair["before"], pair["after"]
        keys = ", ".join(f"{name}={_cell(after[name])}" for name in found.keys)
        changes = ", ".join(
            f"{name}: {_cell(before[name])} -> {_cell(value)}"
            for name, value in after.items()
            if value != before[name]
        )
        yield f"~ {keys}  {changes}"


def _cell(value: object) -> str:
    return "null" if value is None else render.shortened(render.text_of(value), EXAMPLES)


@click.command("runs")
@dataset_argument(pattern=True)
@click.option("--last", type=click.IntRange(1), default=20, show_default=True, help="How many runs to show.")
@options
def list_runs(pattern: str, last: int, lake: str, *, as_json: bool) -> None:
    """List what the last runs did.

    The newest first, be they running, or dead without a record; PATTERN picks datasets.
    """
    found = open_lake(lake)
    runs = found.runs()
    if pattern != "*":
        for run in runs:
            run.datasets = [one for one in run.datasets if fnmatchcase(one.dataset, pattern)]
        runs = [run for run in runs if run.datasets]
    runs = sorted([*runs, *found.unfinished(pattern)], key=lambda run: run.run_id)
    runs = runs[-last:]
    if as_json:
        render.show_json(msgspec.to_builtins(runs))
        return
    columns = "|started, |>took, |run, |status, |tap, !dataset, what, >rows, ~>read, ~changes, *note"
    styles = {"failed": "bold red", "held": "bold red", "died": "bold red"}
    table = Rows(render.columns(columns), styles=styles)
    for run in reversed(runs):
        took = age_at(run.started_at, datetime.fromisoformat(run.finished_at)) if run.finished_at else None
        first = (
            run.started_at[:19] + "Z",
            readable_time(took) if took is not None else "",
            run.run_id,
            run.status,
            run.tap or "",
        )
        table.head(" ".join(filter(None, (f"{run.started_at[:19]}Z", run.tap, run.status))))
        if not run.datasets:
            table.add(*first, "", "", "", "", "", run.error or _without_rows(run))
        for one in run.datasets:
            table.add(*first, *_of_run(one))
    table.show()


def _without_rows(run: RunRecord) -> str:
    return told(run, datetime.now(UTC)) if run.status in ("running", "died") else ""


def _of_run(one: DatasetSummary) -> tuple[str, ...]:
    changes = render.did(one) if one.status == "published" else ""
    rows, read = f"{one.row_count:,}", f"{one.rows_read:,}"
    notes = [f"{one.rows_quarantined:,} in quarantine"] if one.rows_quarantined else []
    return (one.dataset, one.status, rows, read, changes, "; ".join([*notes, *one.notes[:1]]))
