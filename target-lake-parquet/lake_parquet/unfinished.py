"""A lake's staging in, the runs that go on and those that died out: neither has written its record."""

import contextlib
import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from lake_parquet import paths
from lake_parquet.deadruns import staged_runs
from lake_parquet.errors import LakeError
from lake_parquet.files import is_held
from lake_parquet.journal import Journal, StagedFamily, read_journal
from lake_parquet.readable import plural, readable_time
from lake_parquet.runs import DatasetSummary, RunRecord, record_path
from lake_parquet.store import Store

BEGINNING = 1.0
"""Seconds that a run may take from making its lock to holding it: until then it goes on."""


def unfinished_runs(store: Store) -> list[RunRecord]:
    """The runs on this machine that are `running` or `died`, the oldest first, in the form of a record.

    Their datasets are those whose rows are durable in staging: `waiting`, `rows_read` says how many.
    """
    found = []
    for run_id in staged_runs(store.workplace):
        began = paths.run_moment(run_id)
        folder = store.workplace / paths.STAGING / run_id
        with contextlib.suppress(OSError):  # it ended meanwhile, or is not ours to look at
            is_running = _is_running(folder)
            if began is not None and (is_running or store.size(record_path(run_id)) is None):
                found.append(_record(folder, began, is_running=is_running))
    return found


def running_since(root: Path) -> list[datetime]:
    """When each run began that goes on now, the oldest first."""
    moments = []
    for run_id in staged_runs(root):
        began = paths.run_moment(run_id)
        with contextlib.suppress(OSError):
            if began is not None and _is_running(root / paths.STAGING / run_id):
                moments.append(began)
    return moments


def _is_running(folder: Path) -> bool:
    """Tells whether a live process holds a run's folder, or is about to."""
    lock = folder / "lock"
    return is_held(lock) or time.time() - os.lstat(lock).st_mtime < BEGINNING


def _record(folder: Path, began: datetime, *, is_running: bool) -> RunRecord:
    run = RunRecord(
        run_id=folder.name,
        started_at=began.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        status="running" if is_running else "died",
    )
    try:
        journal = read_journal(folder) or Journal(run_id=folder.name)
    except LakeError as error:
        run.error = str(error)
        return run
    run.tap = journal.tap
    run.datasets = [one for staged in journal.families for one in _waiting(staged)]
    return run


def _waiting(staged: StagedFamily) -> Iterator[DatasetSummary]:
    for member in staged.family.members():
        if member.rows_read:
            yield DatasetSummary(
                dataset=member.dataset,
                stream=member.owner.stream,
                status="waiting",
                rows_read=member.rows_read,
                proof=staged.facts.proof,
            )


def told(run: RunRecord, now: datetime) -> str:
    """What there is to say of such a run, in one line."""
    ago = readable_time(max(now - datetime.fromisoformat(run.started_at), now - now))
    who = f"the run {run.run_id}" + (f" of {run.tap}" if run.tap else "")
    waiting = ", ".join(f"{plural(one.rows_read, 'row')} of {one.dataset}" for one in run.datasets)
    if run.status == "running":
        return f"{who} began {ago} ago" + (f"; durable so far: {waiting}" if waiting else "")
    if run.error:
        return f"{who} began {ago} ago and died: {run.error}"
    left = (
        f"{waiting} wait: the next run publishes what it left, or lake recover"
        if waiting
        else "it left no rows that wait: the next run begins at the last bookmark"
    )
    return f"{who} began {ago} ago and died; {left}"
