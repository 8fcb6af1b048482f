"""A lake in, the small files under `_meta` that decide and explain nothing any more out."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from itertools import pairwise

from lake_parquet import claims, paths
from lake_parquet.lake import Lake
from lake_parquet.prune import is_held_back
from lake_parquet.runs import RunRecord, record_path

CLAIMS_KEPT = timedelta(days=7)
"""How long a claim stays that is carried out: a writer may sleep on the snapshot that it is put on."""

RUNS_KEPT = timedelta(days=90)


def old_claims(lake: Lake, pattern: str, now: datetime, odd: Collection[str] = ()) -> list[str]:
    """Claims that nobody can meet any more, relative to the lake's root.

    Who builds on a snapshot began before its successor was there. So a claim goes when the successor was
    there before any run began that goes on, and for `CLAIMS_KEPT`: in an object store only the runs of this
    machine are known. What is put on the latest snapshot stays. This saves work: a writer that slept longer
    finds out after its claim that it came late, and merges again. What is `odd` is left alone.
    """
    in_use_since = min([now - CLAIMS_KEPT, *lake.running_since()])
    found = []
    for dataset, names in lake.listing(pattern).items():
        if is_held_back(dataset, odd):
            continue
        latest = names[-1]
        earlier = [name for name in claims.claimed(lake.store, dataset) if name < latest]
        found += [
            paths.claim_path(dataset, name)
            for name, successor in pairwise([*earlier, latest])
            if paths.snapshot_moment(successor) < in_use_since
        ]
    return found


def old_runs(
    lake: Lake,
    pattern: str,
    now: datetime,
    kept: timedelta,
    going: Collection[str] = (),
    odd: Collection[str] = (),
) -> list[str]:
    """Records of runs from longer ago than `kept` that explain nothing, relative to the lake's root.

    Each dataset keeps the record of its last run, of the last that read it well and of the last that was
    whole, and those of its snapshots, but for the ones that are `going`; so does a run that put rows aside,
    or left some in staging, or names a dataset that is `odd`: nobody knows which snapshots that has.
    """
    listing = lake.listing()
    present = {paths.snapshot_path(name, one) for name, names in listing.items() for one in names}
    present -= set(going)
    aside = {*lake.kept_aside(), *lake.quarantined(), *lake.staged()}
    known: set[tuple[str, str]] = set()
    found = []
    for run in lake.newest_runs():
        says = {fact for fact in _facts(run) if fact[1] in listing}
        began = paths.run_moment(run.run_id)
        is_old = began is not None and now - began > kept
        is_needed = (
            bool(says - known)
            or run.run_id in aside
            or any(one.status == "published" and one.path in present for one in run.datasets)
            or any(is_held_back(one.dataset, odd) for one in run.datasets)
        )
        known |= says
        if is_old and not is_needed and _matches(run, pattern):
            found.append(record_path(run.run_id))
    return sorted(found)


def _facts(run: RunRecord) -> set[tuple[str, str]]:
    """What a run's record says of datasets that an older one says no better."""
    facts = {("last", one.dataset) for one in run.datasets}
    facts |= {("read", one.dataset) for one in run.datasets if one.status in ("published", "unchanged")}
    return facts | {("whole", one.dataset) for one in run.datasets if run.status == "ok" and one.path}


def _matches(run: RunRecord, pattern: str) -> bool:
    if pattern == "*":
        return True
    return bool(run.datasets) and all(fnmatchcase(one.dataset, pattern) for one in run.datasets)


def remove_leftovers(lake: Lake, files: Sequence[str]) -> None:
    """Removes such files."""
    for path in files:
        lake.store.delete(path)
