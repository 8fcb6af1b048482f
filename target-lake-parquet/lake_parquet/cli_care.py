"""The commands that look after the lake: `check`, `verify`, `prune`, `recover`."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import click
import msgspec

from lake_parquet import leftovers, prune, render
from lake_parquet.cli_options import Age, Share, dataset_argument, open_lake, options
from lake_parquet.health import ALARMS, Limits
from lake_parquet.overview import Overview, look_around
from lake_parquet.readable import plural, readable_bytes
from lake_parquet.recover import recover
from lake_parquet.render import Rows
from lake_parquet.runs import DatasetSummary
from lake_parquet.unfinished import told
from lake_parquet.verify import Verified, verify

ALARM = 1
"""The exit code where something is wrong."""


@click.command("check")
@dataset_argument(pattern=True)
@click.option("--max-age", type=Age(), default="26h", show_default=True, help="Older is an alarm.")
@click.option(
    "--max-drop", type=Share(), default="50%", show_default=True, help="A larger loss of rows is an alarm."
)
@click.option(
    "--max-quarantined",
    type=click.IntRange(0),
    metavar="N",
    help="More bad records put aside by a dataset's last run are an alarm. Unset: none are.",
)
@click.option("--ignore", multiple=True, metavar="PATTERN", help="Leave these datasets out; may be repeated.")
@options
def check_lake(
    pattern: str,
    max_age: timedelta,
    max_drop: float,
    max_quarantined: int | None,
    ignore: tuple[str, ...],
    lake: str,
    *,
    as_json: bool,
) -> None:
    """For cron: print nothing, or a line for each alarm, and fail.

    Alarms: a dataset that no run has read well for --max-age, that lost more of its rows than --max-drop,
    was held or failed in its last run, holds stub data, cannot be read, or is not there at all. A run that
    died is one, too.
    """
    found = open_lake(lake)
    now = datetime.now(UTC)
    overviews, _ = look_around(found, pattern, Limits(max_age, max_drop), now, ignore)
    alarms = [
        {"dataset": one.dataset, "alarm": note.kind, "text": note.text}
        for one in overviews
        for note in one.notes
        if note.kind in ALARMS or (note.kind == "quarantine" and _is_above(one, max_quarantined))
    ]
    if not overviews:
        alarms = [{"dataset": pattern, "alarm": "missing", "text": "no dataset matches"}]
    dead = [run for run in found.unfinished(pattern, ignore) if run.status == "died"]
    of_runs = [{"run": run.run_id, "alarm": "died", "text": told(run, now)} for run in dead]
    if as_json:
        render.show_json([*of_runs, *alarms])
    else:
        render.show_lines(f"{one['alarm']}: {one['text']}" for one in of_runs)
        render.show_lines(f"{one['alarm']}: {one['dataset']}: {one['text']}" for one in alarms)
    if alarms or of_runs:
        raise click.exceptions.Exit(ALARM)


def _is_above(one: Overview, limit: int | None) -> bool:
    return limit is not None and one.last_run is not None and one.last_run.rows_quarantined > limit


@click.command("verify")
@dataset_argument(pattern=True)
@options
def verify_lake(pattern: str, lake: str, *, as_json: bool) -> None:
    """Read every file in full, and tell what is wrong.

    Checksum, rows, types, names, child files, foreign files: a line a problem, and exit code 1 where there is
    one. PATTERN picks datasets.
    """
    found = open_lake(lake)
    results: list[Verified] = []
    for one in verify(found, pattern):
        results.append(one)
        if not as_json:
            render.show_lines(f"{one.path}: {problem}" for problem in one.problems)
    if as_json:
        render.show_json(msgspec.to_builtins(results))
    if not results:
        what = f"The lake at {lake} is empty" if pattern == "*" else f"No dataset matches {pattern!r}"
        render.say(f"{what}: there is nothing to verify.")
        raise click.exceptions.Exit(ALARM)
    bad = sum(bool(one.problems) for one in results)
    size = readable_bytes(sum(one.bytes for one in results))
    bare = sum(not one.has_checksum for one in results if one.row_count is not None)
    rows = sum(one.row_count or 0 for one in results)
    unsure = f"; {plural(bare, 'file')} without a recorded checksum" if bare else ""
    render.say(
        f"{plural(len(results), 'file')}, {plural(rows, 'row')}, {size} read: "
        f"{plural(bad, 'file')} with problems{unsure}."
    )
    if bad:
        raise click.exceptions.Exit(ALARM)


@click.command("prune")
@dataset_argument(pattern=True)
@click.option(
    "--keep-last",
    type=click.IntRange(1),
    default=prune.KEEP_LAST,
    show_default=True,
    help="Keep the last N snapshots of each dataset.",
)
@click.option(
    "--keep-daily",
    type=click.IntRange(0),
    default=prune.KEEP_DAILY,
    show_default=True,
    help="Keep the last snapshot of each of the last D days (UTC), too.",
)
@click.option(
    "--grace",
    type=Age(),
    default="24h",
    show_default=True,
    help="Keep what was the latest so recently: queries may still read it.",
)
@click.option(
    "--incomplete",
    type=Age(),
    metavar="AGE",
    help="Rows kept aside in .incomplete go too, if older.",
)
@click.option(
    "--quarantine",
    type=Age(),
    metavar="AGE",
    help="Bad records put aside in .quarantine go too, if older.",
)
@click.option(
    "--keep-runs",
    type=Age(),
    default=f"{leftovers.RUNS_KEPT.days}d",
    show_default=True,
    metavar="AGE",
    help="Records of older runs go, where all that they published is gone.",
)
@click.option("--yes", is_flag=True, help="Remove. Without it nothing is removed, only listed.")
@options
def prune_lake(
    pattern: str,
    keep_last: int,
    keep_daily: int,
    lake: str,
    *,
    yes: bool,
    as_json: bool,
    **ages: timedelta | None,
) -> None:
    """List old snapshots that may go; --yes removes.

    Never the latest, nor what a running run, a recent query or a kept parent needs. PATTERN picks datasets.
    """
    found = open_lake(lake)
    now = datetime.now(UTC)
    policy = prune.Policy(keep_last, keep_daily)
    going, odd = prune.plan(found, pattern, policy, now, ages["grace"] or timedelta())
    gone = {one.path for one in going}
    may_go = {
        "incomplete": _older(found.kept_aside(), now, ages["incomplete"]),
        "quarantine": _older(found.quarantined(), now, ages["quarantine"]),
        "claims": leftovers.old_claims(found, pattern, now, odd),
        "runs": leftovers.old_runs(found, pattern, now, ages["keep_runs"] or timedelta(), gone, odd),
    }
    if yes:
        prune.remove(found, going)
        for run in may_go["incomplete"]:
            found.remove_kept_aside(run)
        for run in may_go["quarantine"]:
            found.remove_quarantined(run)
        leftovers.remove_leftovers(found, [*may_go["claims"], *may_go["runs"]])
    if as_json:
        listed = [{"path": one.path, "bytes": one.bytes} for one in going]
        facts = {"removed": yes, "bytes": sum(one.bytes for one in going), "snapshots": listed, **may_go}
        render.show_json(facts | {"odd": odd})
    else:
        _show_going(going, may_go)
        _say_going(going, may_go, removed=yes)
    for dataset, why in odd.items():
        render.say(render.one_line(f"Warning: nothing of {dataset} and its child datasets goes: {why}"))
    if odd:
        raise click.exceptions.Exit(ALARM)


def _older(runs: Sequence[str], now: datetime, age: timedelta | None) -> list[str]:
    return prune.began_before(runs, now - age) if age is not None else []


def _show_going(going: Sequence[prune.Candidate], may_go: Mapping[str, Sequence[str]]) -> None:
    """A row for each snapshot and each run put aside; one for all the small files of a folder."""
    table = Rows(render.columns("what, >size"))
    for one in going:
        table.add(one.path, readable_bytes(one.bytes))
    for where in ("incomplete", "quarantine"):
        for run in may_go[where]:
            table.add(f".{where}/{run}", "")
    small = (path.rpartition("/")[0] for path in [*may_go["claims"], *may_go["runs"]])
    for folder, count in Counter(small).items():
        table.add(f"{folder} ({plural(count, 'file')})", "")
    if table.rows:
        table.show()


def _say_going(
    going: Sequence[prune.Candidate], may_go: Mapping[str, Sequence[str]], *, removed: bool
) -> None:
    size = readable_bytes(sum(one.bytes for one in going))
    what = ", and ".join([f"{plural(len(going), 'snapshot')}, {size}", *_beside(may_go)])
    render.say(f"Removed {what}." if removed else f"{what} may go; nothing was removed: --yes removes.")


def _beside(may_go: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What goes besides snapshots."""
    counts = {what: len(paths) for what, paths in may_go.items()}
    if counts["incomplete"]:
        yield f"the rows that {plural(counts['incomplete'], 'run')} kept aside"
    if counts["quarantine"]:
        yield f"the bad records of {plural(counts['quarantine'], 'run')}"
    if counts["claims"]:
        yield plural(counts["claims"], "old claim")
    if counts["runs"]:
        yield plural(counts["runs"], "old run record")


@click.command("recover")
@click.option(
    "--publish-incomplete",
    is_flag=True,
    help="Publish first loads that were cut short, too: half a history becomes the latest.",
)
@options
def recover_lake(lake: str, *, publish_incomplete: bool, as_json: bool) -> None:
    """Publish rows that runs left durable when they died.

    The target does so itself at its next start; this is for a tap that runs no more. Exit code 1 where rows
    still wait: those of a first load wait for a run that reads it to its end. The codec is zstd, whatever the
    target's settings say.
    """
    summaries = recover(open_lake(lake).store, publish_incomplete=publish_incomplete)
    if as_json:
        render.show_json(msgspec.to_builtins(summaries))
    else:
        render.show_lines(
            f"{one.dataset}: {one.status}, {_recovered(one)}: {'; '.join(one.notes)}" for one in summaries
        )
    waiting = [one for one in summaries if one.status in ("held", "failed")]
    if not summaries:
        render.say("No rows wait.")
    if waiting:
        raise click.exceptions.Exit(ALARM)


def _recovered(one: DatasetSummary) -> str:
    if one.status in ("held", "failed"):
        return f"{plural(one.rows_read, 'row')} waiting"
    return plural(one.row_count, "row")
