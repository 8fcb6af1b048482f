"""Rows that runs left in staging when they ended early in, published snapshots out."""

import secrets
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from lake_parquet import paths
from lake_parquet.commit import Committer
from lake_parquet.deadruns import dead_runs
from lake_parquet.errors import LakeError
from lake_parquet.family import Family
from lake_parquet.journal import StagedFamily
from lake_parquet.parquet_files import ParquetOptions
from lake_parquet.runs import DatasetSummary, RunRecord, write_run
from lake_parquet.staging import Staging
from lake_parquet.store import Store


def recover(
    store: Store, options: ParquetOptions | None = None, *, publish_incomplete: bool = False
) -> list[DatasetSummary]:
    """Publishes the rows that dead runs kept: their bookmarks were handed on, no tap reads them again.

    A first load that was cut short goes on waiting for a run that reads to its end, unless
    `publish_incomplete`. What was published stands in the record of a run of its own.
    """
    staged = _staged(store.workplace)
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
            summaries += _recover(committer, one, publish_incomplete=publish_incomplete)
        done = [one for one in summaries if one.status in ("published", "unchanged")]
        if done:
            record = RunRecord(run_id=run_id, started_at=_text(now), tap=tap, datasets=done)
            record.finished_at = _text(datetime.now(UTC))
            write_run(store, record)
    finally:
        staging.close()
    return summaries


def _staged(root: Path) -> dict[str, tuple[StagedFamily, str | None]]:
    """The newest family that waits for each dataset, and its tap."""
    staged = {}
    for run in dead_runs(root):
        with run:
            staged.update({one.dataset: (one, run.journal.tap) for one in run.journal.families})
    return staged


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


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
