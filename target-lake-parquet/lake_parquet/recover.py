"""Rows that runs left in staging when they ended early in, published snapshots out."""

import secrets
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from lake_parquet import paths
from lake_parquet.commit import Committer
from lake_parquet.deadruns import dead_runs
from lake_parquet.errors import LakeError
from lake_parquet.family import Family
from lake_parquet.journal import StagedFamily
from lake_parquet.parquet_files import ParquetOptions
from lake_parquet.policy import decide
from lake_parquet.runs import DatasetSummary, RunRecord, write_run
from lake_parquet.staging import Staging
from lake_parquet.store import Store

FIRST_LOAD = (
    "the first load was cut short: the next run that reads the stream to its end publishes it; "
    "`lake recover --publish-incomplete` does so now, and half a history becomes the latest"
)


def recover(
    store: Store, options: ParquetOptions | None = None, *, publish_incomplete: bool = False
) -> list[DatasetSummary]:
    """Publishes the rows that dead runs kept: their bookmarks were handed on, no tap reads them again.

    A first load that was cut short goes on waiting for a run that reads to its end, unless
    `publish_incomplete`. What was published stands in the record of a run of its own.
    """
    staged, waiting = _staged(store.workplace)
    if not staged:
        return []
    now = datetime.now(UTC)
    run_id = paths.run_id(now, secrets.token_hex(3))
    staging = Staging(store.workplace, run_id)
    taps = {tap for _, tap in staged.values()}
    tap = taps.pop() if len(taps) == 1 else None
    committer = Committer(store, staging, run_id, tap, options or ParquetOptions())
    summaries = []
    try:
        for one, _ in staged.values():
            found = _recover(committer, one, publish_incomplete=publish_incomplete)
            summaries += [_with_rows(summary, one, waiting[summary.dataset]) for summary in found]
        done = [one for one in summaries if one.status in ("published", "unchanged")]
        if done:
            record = RunRecord(run_id=run_id, started_at=_text(now), tap=tap, datasets=done)
            record.finished_at = _text(datetime.now(UTC))
            write_run(store, record)
    finally:
        staging.close()
    return summaries


def _staged(root: Path) -> tuple[dict[str, tuple[StagedFamily, str | None]], Counter[str]]:
    """The newest family that waits for each dataset, and its tap; and how many rows of each dataset wait."""
    staged = {}
    rows: Counter[str] = Counter()
    for run in dead_runs(root):
        with run:
            staged.update({one.dataset: (one, run.journal.tap) for one in run.journal.families})
            for one in run.journal.families:
                rows.update({member.dataset: member.rows_read for member in one.family.members()})
    return staged, rows


def _recover(committer: Committer, staged: StagedFamily, *, publish_incomplete: bool) -> list[DatasetSummary]:
    """Commits a stream that brings no rows of its own: what waits for it is merged on the way."""
    facts = staged.facts
    if publish_incomplete:
        facts = replace(facts, on_incomplete="publish")
    family = staged.family
    members = [replace(member, rows_read=0) for member in family.members()]
    bare = Family(members[0], tuple(members[1:]), family.schema, names=family.names)
    try:
        return committer.commit(bare, facts)
    except LakeError as error:  # one dataset's trouble never stops the others
        return [
            DatasetSummary(
                dataset=staged.dataset, stream=facts.owner.stream, status="failed", notes=[str(error)]
            )
        ]


def _with_rows(summary: DatasetSummary, staged: StagedFamily, rows: int) -> DatasetSummary:
    """The summary, with the rows that still wait and what a person can do about it."""
    if summary.status not in ("held", "failed"):
        return summary
    is_first = summary.path is None and decide(staged.facts, None, begun=True).waits
    if is_first and summary.status == "held" and summary.dataset == staged.dataset:
        summary.notes[:1] = [FIRST_LOAD]
    return msgspec.structs.replace(summary, rows_read=rows)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
