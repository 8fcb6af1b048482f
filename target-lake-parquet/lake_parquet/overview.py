"""A lake in, one line of facts a dataset out: footers and run records are read, rows are not."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

import msgspec

from lake_parquet import paths
from lake_parquet.errors import LakeError
from lake_parquet.health import Limits, Note, age_at, notes_of, notes_of_run
from lake_parquet.lake import Lake
from lake_parquet.runs import DatasetSummary, RunRecord
from lake_parquet.snapshots import Snapshot

TREND = 12
"""Snapshots whose rows are shown as a trend, if the lake is not too large for it."""

TREND_FOOTERS = 4000
"""Footers that may be read for trends: in a large lake they get shorter, not slower."""

MEMORY = timedelta(days=7)
"""Runs of the last days are read in any case: a dataset that never came to be stands in no other place."""

RECENT = timedelta(days=1)
"""What arrived so lately is summed up: last night's runs, whenever one looks in the morning."""

AT_ONCE = 32
"""Datasets that are looked at at once in an object store."""

MOST_RUNS = 2000
"""Run records that are read at most, the newest first."""


class Overview(msgspec.Struct, kw_only=True):
    """A dataset at a glance. `row_count` and `columns` are None where its latest file cannot be read.

    `read_at` is when a run last found it to be as its source has it, be it that nothing was new, `created_at`
    when the latest file was made; None where no run did, or nobody can tell. `source`
    names the origin too (`shopify_api`), `trend` the rows of its last snapshots, `last_run` what the newest
    run that named it did.
    """

    dataset: str
    tenant: str | None = None
    source: str | None = None
    row_count: int | None = None
    bytes: int = 0
    columns: int | None = None
    snapshots: int = 0
    trend: list[int] = []
    created_at: str | None = None
    read_at: str | None = None
    last_run: DatasetSummary | None = None
    path: str | None = None
    notes: list[Note] = []

    @property
    def rank(self) -> int:
        """Sorts the worst first; what has no note comes last."""
        return min((note.rank for note in self.notes), default=99)


class Seen(msgspec.Struct):
    """What the run records say: of each dataset its last run, and when it was last read well.

    `never` are datasets without a snapshot to look at, `recent` the runs that ended within `RECENT`.
    """

    newest: RunRecord | None = None
    recent: list[RunRecord] = []
    last: dict[str, DatasetSummary] = {}
    read_at: dict[str, str] = {}
    never: list[Overview] = []


def look_around(
    lake: Lake, pattern: str, limits: Limits, now: datetime, ignore: Sequence[str] = ()
) -> tuple[list[Overview], Seen]:
    """One overview a dataset that matches `pattern` and none of `ignore`, and what the run records say.

    Grouped by tenant and source, in a group the worst first.
    """

    def wanted(dataset: str) -> bool:
        return not any(fnmatchcase(dataset, one) for one in ignore)

    listing, broken = lake.survey(pattern)
    listing = {name: names for name, names in listing.items() if wanted(name)}
    seen = look_at_runs(lake, pattern, [*listing, *broken], now)
    seen.never += [_unlistable(name, why, seen) for name, why in broken.items()]
    seen.never = [one for one in seen.never if wanted(one.dataset)]
    return look_at(lake, listing, seen, limits, now), seen


def look_at_runs(lake: Lake, pattern: str, datasets: Sequence[str], now: datetime) -> Seen:
    """Reads run records, the newest first: the last days', and on until each dataset was read well."""
    seen = Seen()
    missing = set(datasets)
    first_day = (now - MEMORY).isoformat()
    for number, run in enumerate(lake.newest_runs()):
        if (not missing and run.started_at < first_day) or number >= MOST_RUNS:
            break
        seen.newest = seen.newest or run
        if age_at(run.finished_at or run.started_at, now) < RECENT:
            seen.recent.append(run)
        for one in run.datasets:
            if one.dataset not in seen.last and one.status in ("failed", "held") and not one.path:
                seen.never.append(_never(run, one))
            seen.last.setdefault(one.dataset, one)
            if one.status in ("published", "unchanged"):
                seen.read_at.setdefault(one.dataset, run.finished_at or run.started_at)
                missing.discard(one.dataset)
    listed = set(datasets)
    seen.never = [
        one for one in seen.never if one.dataset not in listed and fnmatchcase(one.dataset, pattern)
    ]
    return seen


def _never(run: RunRecord, one: DatasetSummary) -> Overview:
    """A dataset that a run could not begin."""
    return Overview(
        dataset=one.dataset, tenant=run.tenant_id, source=one.source, last_run=one, notes=notes_of_run(one)
    )


def _unlistable(dataset: str, why: str, seen: Seen) -> Overview:
    """A dataset whose folder holds what nobody may follow."""
    last = seen.last.get(dataset)
    return Overview(
        dataset=dataset,
        source=last.source if last else None,
        read_at=seen.read_at.get(dataset),
        last_run=last,
        notes=[Note("unreadable", why)],
    )


def look_at(
    lake: Lake, listing: dict[str, list[str]], seen: Seen, limits: Limits, now: datetime
) -> list[Overview]:
    """One overview a dataset of `listing`, grouped by tenant and source, in a group the worst first."""
    depth = min(TREND, max(2, TREND_FOOTERS // max(1, len(listing))))

    def look(item: tuple[str, list[str]]) -> Overview:
        return _overview(lake, item[0], item[1][-depth:], seen, limits, now)

    if lake.store.keeps_workplace:
        found = list(map(look, listing.items()))
    else:  # an object store answers many at once, each after a while
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = list(pool.map(look, listing.items()))
    for one in found:
        one.snapshots = len(listing[one.dataset])
    found += seen.never
    worst: dict[tuple[str | None, str | None], int] = {}
    for one in found:
        group = (one.tenant, one.source)
        worst[group] = min(worst.get(group, 99), one.rank)
    return sorted(
        found,
        key=lambda one: (
            worst[one.tenant, one.source],
            one.tenant or "",
            one.source or "",
            one.rank,
            one.dataset,
        ),
    )


def _named_moment(name: str) -> str:
    """The moment in a snapshot's name, as its footer would give it."""
    return paths.snapshot_moment(name).isoformat().replace("+00:00", "Z")


def _overview(
    lake: Lake, dataset: str, names: list[str], seen: Seen, limits: Limits, now: datetime
) -> Overview:
    found: list[Snapshot] = []
    unreadable: list[Note] = []
    for name in names:
        try:
            found.append(lake.read(dataset, name))
        except LakeError as error:
            unreadable = [Note("unreadable", str(error))] if name == names[-1] else []
    latest = found[-1] if found and not unreadable else None
    info = latest.info if latest else None
    created_at = info.created_at if info else _named_moment(names[-1])
    read_at = seen.read_at.get(dataset, created_at)
    overview = Overview(
        dataset=dataset,
        created_at=created_at,
        read_at=read_at,
        last_run=seen.last.get(dataset),
        path=paths.snapshot_path(dataset, names[-1]),
        trend=[one.row_count for one in found],
        notes=unreadable,
    )
    if info is not None:
        overview.tenant = info.owner.tenant
        overview.source = "_".join(filter(None, (info.owner.source, info.origin))) or None
    if latest is not None:
        overview.row_count, overview.bytes, overview.columns = (
            latest.row_count,
            latest.size,
            len(latest.schema.names),
        )
        previous = found[-2] if len(found) > 1 else None
        overview.notes = notes_of(latest, previous, overview.last_run, age_at(read_at, now), limits)
    return overview
