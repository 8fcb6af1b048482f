"""The command `lake ls`: what arrived, from where, how many rows, and what is odd, at a glance."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import click
import msgspec

from lake_parquet import render
from lake_parquet.cli_options import Age, Share, dataset_argument, open_lake, options
from lake_parquet.health import KINDS, Limits, age_at
from lake_parquet.overview import Overview, Seen, look_around
from lake_parquet.paths import SEPARATOR
from lake_parquet.readable import plural, readable_bytes, readable_time, sparkline
from lake_parquet.render import Rows
from lake_parquet.runs import RunRecord
from lake_parquet.unfinished import told

TERMINAL_ROWS = 60
"""Datasets that `lake ls` lists on a terminal, the worst first; a pipe gets them all."""

TOLD = 10
"""Odd datasets that are explained in full below the table."""

LEGEND = "last run: rows + added, ~ changed, - deleted; age: since a run last read it well"

STYLES: dict[str, str] = {
    kind: "bold red" if kind in ("unreadable", "failed", "held") else "yellow" for kind in KINDS
}


@click.command("ls")
@dataset_argument(pattern=True)
@click.option("--max-age", type=Age(), default="26h", show_default=True, help="Older is noted as stale.")
@click.option(
    "--max-drop", type=Share(), default="50%", show_default=True, help="A larger loss of rows is noted."
)
@click.option(
    "--all",
    "every",
    is_flag=True,
    help=f"On a terminal, list more than {TERMINAL_ROWS} datasets, and each child.",
)
@options
def list_datasets(pattern: str, max_age: timedelta, max_drop: float, lake: str, **flags: bool) -> None:
    """List datasets: rows, last run, age, what is odd.

    PATTERN such as '*_orders' or 'acme_*' picks some. Grouped by tenant and source, the odd ones first.
    """
    found = open_lake(lake)
    now = datetime.now(UTC)
    unfinished = found.unfinished(pattern)
    overviews, seen = look_around(found, pattern, Limits(max_age, max_drop), now)
    if flags["as_json"]:
        render.show_json(msgspec.to_builtins(overviews))
        return
    if not overviews:
        what = "holds no snapshot yet" if unfinished else "is empty"
        render.say(f"The lake at {lake} {what}." if pattern == "*" else f"No dataset matches {pattern!r}.")
        _tell_unfinished(unfinished, now)
        return
    render.say(_headline(lake, overviews, seen, now))
    render.say(_odd(overviews, unfinished))
    _tell_unfinished(unfinished, now)
    shown, rest = overviews, 0
    folded: dict[str, list[Overview]] = {}
    if render.on_terminal() and not flags["every"]:
        shown, folded = fold(overviews)
        worst = sorted(shown, key=lambda one: one.rank)[:TERMINAL_ROWS]
        rest = len(shown) - len(worst)
        shown = [one for one in shown if one in worst] if rest else shown
    _show_datasets(shown, folded, now)
    if rest:
        render.say(f"\n... and {rest:,} more: lake ls 'PATTERN' picks some, --all lists them all.")
    if render.on_terminal():
        render.say(f"\n{LEGEND}")
        _explain(overviews)


def _headline(lake: str, overviews: list[Overview], seen: Seen, now: datetime) -> str:
    rows = sum(one.row_count or 0 for one in overviews)
    size = readable_bytes(sum(one.bytes for one in overviews))
    lines = [
        f"{lake}: {plural(len(overviews), 'dataset')}, {plural(rows, 'row')}, {size} in the latest snapshots"
    ]
    if seen.recent:
        lines.append(_arrived(seen.recent, {one.dataset for one in overviews}))
    if (newest := seen.newest) is not None:
        ago = readable_time(age_at(newest.finished_at or newest.started_at, now))
        error = f": {newest.error}" if newest.error else ""
        whose = " / ".join(filter(None, (newest.tenant_id, newest.source)))
        lines.append(f"last run {ago} ago{f' ({whose})' if whose else ''}: {newest.status}{error}")
    return "\n".join(lines)


def _odd(overviews: list[Overview], unfinished: list[RunRecord]) -> str:
    dead = sum(run.status == "died" for run in unfinished)
    counts = {kind: sum(any(note.kind == kind for note in one.notes) for one in overviews) for kind in KINDS}
    odd = [f"{count} {kind}" for kind, count in counts.items() if count]
    if dead:
        odd.insert(0, f"{plural(dead, 'run')} died")
    return "odd: " + ", ".join(odd) if odd else "nothing odd"


def _tell_unfinished(unfinished: list[RunRecord], now: datetime) -> None:
    """A line each for the newest runs that go on or died."""
    for run in unfinished[-TOLD:]:
        render.say(render.one_line(f"{run.status}: {told(run, now)}"))


def _arrived(runs: list[RunRecord], datasets: set[str]) -> str:
    """What the last day's runs did to these datasets."""
    done = [one for run in runs for one in run.datasets if one.dataset in datasets]
    bad = sum(run.status != "ok" for run in runs)
    published = [one for one in done if one.status == "published"]
    changes = render.changes(
        sum(one.rows_added for one in published),
        sum(one.rows_updated or 0 for one in published),
        sum(one.rows_deleted for one in published),
    )
    loaded = len({one.dataset for one in published})
    return (
        f"last 24 h: {plural(len(runs), 'run')}{f' ({bad} not ok)' if bad else ''}, "
        f"{plural(loaded, 'dataset')} loaded, {changes} rows"
    )


def fold(overviews: list[Overview]) -> tuple[list[Overview], dict[str, list[Overview]]]:
    """Those with a row of their own, and child datasets with nothing odd by the one that tells of them."""
    known = {one.dataset for one in overviews}
    folded: dict[str, list[Overview]] = {}
    for one in overviews:
        parts = one.dataset.split(SEPARATOR)
        parents = (SEPARATOR.join(parts[:length]) for length in range(1, len(parts)))
        parent = next((name for name in parents if name in known), None)
        if parent and not one.notes:
            folded.setdefault(parent, []).append(one)
    gone = {one.dataset for children in folded.values() for one in children}
    return [one for one in overviews if one.dataset not in gone], folded


def _show_datasets(overviews: list[Overview], folded: dict[str, list[Overview]], now: datetime) -> None:
    columns = render.columns("!dataset, >rows, ~trend, ~last run, ~>size, ~>cols, >age, |source, notes")
    table = Rows(columns, styles=STYLES)
    group = None
    for one in overviews:
        if (one.tenant, one.source) != group:
            group = (one.tenant, one.source)
            table.head(" / ".join(filter(None, group)) or "no source named")
        table.add(
            one.dataset,
            _known(one, None if one.row_count is None else f"{one.row_count:,}"),
            sparkline(one.trend, render.bars()),
            render.did(one.last_run),
            _known(one, readable_bytes(one.bytes) if one.bytes else None),
            _known(one, None if one.columns is None else str(one.columns)),
            _known(one, one.read_at and readable_time(age_at(one.read_at, now))),
            one.source or "",
            ", ".join([*(note.kind for note in one.notes), *_children(folded.get(one.dataset, []))]),
        )
    table.show()


def _children(children: list[Overview]) -> Iterator[str]:
    if children:
        rows = sum(one.row_count or 0 for one in children)
        yield f"+{plural(len(children), 'table')} ({plural(rows, 'row')})"


def _known(one: Overview, text: str | None) -> str:
    """The text; where there is none, whether that is unknown or there is nothing to know of."""
    return text or ("?" if any(note.kind == "unreadable" for note in one.notes) else "-")


def _explain(overviews: list[Overview]) -> None:
    """Says in full what is odd."""
    told = sorted(((note, one) for one in overviews for note in one.notes), key=lambda pair: pair[0].rank)
    if not told:
        return
    render.say("")
    for note, one in told[:TOLD]:
        render.say(render.one_line(f"{note.kind}: {one.dataset}: {note.text}"))
    if len(told) > TOLD:
        render.say(f"... and {len(told) - TOLD} more; lake ls --json has them all.")
