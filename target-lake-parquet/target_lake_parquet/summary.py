"""What a run did, for people and machines: a log line a dataset, and a table on a terminal."""

import logging
import sys

import msgspec

from lake_parquet.errors import printable
from lake_parquet.prune import Weight
from lake_parquet.readable import plural, readable_bytes
from lake_parquet.runs import DatasetSummary, RunRecord
from target_lake_parquet.noticed import LEFT_OUT


def log_summary(logger: logging.Logger, run: RunRecord) -> None:
    """Logs one line a dataset: the facts stand in the text, for consoles, and as `extra`, for JSON logs."""
    told: set[str] = set()
    for one in run.datasets:
        if run.error and one.status == "failed":
            continue  # one error ended them all, and is told once
        logger.log(_level(one, is_first=one.stream not in told), "%s", sentence(one), extra=_extra(one))
        told.add(one.stream)


def _level(one: DatasetSummary, *, is_first: bool) -> int:
    """An error for what was not published, once a stream; a warning where records or fields are missing."""
    if one.status in ("held", "failed"):
        return logging.ERROR if is_first else logging.INFO
    is_less = one.rows_quarantined or any(note.startswith(LEFT_OUT) for note in one.notes)
    return logging.WARNING if one.proof == "open" or is_less else logging.INFO


def _extra(one: DatasetSummary) -> dict[str, object]:
    """The facts of a dataset under names that no log record uses itself."""
    facts = msgspec.to_builtins(one)
    return {("lake_path" if name == "path" else name): value for name, value in facts.items()}


def sentence(one: DatasetSummary) -> str:
    """One dataset's facts in one line."""
    updated = "?" if one.rows_updated is None else one.rows_updated
    changes = f"+{one.rows_added} added, {updated} updated, {one.rows_deleted} deleted"
    facts = [f"{one.row_count} rows"]
    if one.status in ("published", "unchanged", "empty"):
        facts[0] += f" ({changes})"
    facts += [
        f"{one.rows_read} read",
        *([f"{one.rows_quarantined} quarantined"] if one.rows_quarantined else []),
        readable_bytes(one.bytes),
        f"source {one.source or 'unknown'}",
        f"path {one.path or 'none'}",
    ]
    notes = "".join(f"; {note}" for note in one.notes)
    return printable(f"{one.status.capitalize()} {one.dataset}: {', '.join(facts)}{notes}.")


def lake_sentence(weight: Weight) -> str:
    """The lake's size in one line, and what could go."""
    more = "" if weight.is_whole else "more than "
    held = f"{more}{readable_bytes(weight.bytes)} in {plural(weight.snapshots, 'snapshot')}"
    aside = f" and {readable_bytes(weight.aside)} put aside" if weight.aside else ""
    command = "lake prune" + (" --incomplete 30d --quarantine 30d" if weight.old_aside else "")
    prunable = weight.prunable + weight.old_aside
    freed = f"; `{command}` would free up to {readable_bytes(prunable)}" if prunable else ""
    return f"The lake holds {held}{aside}{freed}."


def print_table(run: RunRecord) -> None:
    """Prints the run as a table where stderr is a terminal; a runner's log has the lines already."""
    if not sys.stderr.isatty() or not run.datasets:
        return
    from rich.console import Console  # noqa: PLC0415 - for terminals alone
    from rich.table import Table  # noqa: PLC0415

    table = Table(
        title=f"run {run.run_id}: {run.status}",
        title_justify="left",
        header_style="bold",
        box=None,
        pad_edge=False,
    )
    for name in ("dataset", "status", "source"):
        table.add_column(name, overflow="fold")
    for name in ("rows", "added", "updated", "deleted", "size"):
        table.add_column(name, justify="right")
    table.add_column("snapshot", no_wrap=True)
    for one in run.datasets:
        updated = "?" if one.rows_updated is None else f"{one.rows_updated:,}"
        table.add_row(
            one.dataset,
            one.status,
            one.source or "-",
            f"{one.row_count:,}",
            f"{one.rows_added:,}",
            updated,
            f"{one.rows_deleted:,}",
            readable_bytes(one.bytes),
            one.path.rpartition("/")[2] if one.path else "-",
        )
    console = Console(stderr=True)
    console.print(table)
