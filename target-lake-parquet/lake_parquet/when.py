"""A snapshot's name, a date or a word in, one of a dataset's snapshot names out. Pure."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from lake_parquet import paths
from lake_parquet.errors import LakeError, UsageError

When = str | date | datetime
LATEST, PREVIOUS = "latest", "previous"


def last_moment(when: When) -> datetime:
    """The last moment that `when` covers: a date lasts until its end, UTC; a time without offset is UTC.

    Raises:
        UsageError: it is no date, no time and no snapshot's name.
    """
    if isinstance(when, datetime):
        return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    if isinstance(when, date):
        return datetime(when.year, when.month, when.day, 23, 59, 59, 999_999, UTC)
    if paths.is_snapshot(when.removesuffix(paths.SUFFIX) + paths.SUFFIX):
        return paths.snapshot_moment(when.removesuffix(paths.SUFFIX) + paths.SUFFIX)
    for read in (date.fromisoformat, datetime.fromisoformat):
        try:
            return last_moment(read(when))
        except ValueError:
            continue
    raise UsageError(
        f"{when!r} names no moment: give a date (2026-11-01), a time (2026-11-01T06:00Z), a snapshot's name, "
        f"{LATEST!r} or {PREVIOUS!r}"
    )


def as_of(names: Sequence[str], when: When) -> str | None:
    """The latest of `names` (in order) at the moment `when`; None where all of them are younger."""
    limit = paths.snapshot_name(last_moment(when))
    return next((name for name in reversed(names) if name <= limit), None)


def pick(dataset: str, names: Sequence[str], which: When) -> str:
    """The snapshot of `names` (in order, not empty) that `which` means.

    Raises:
        LakeError: there was none yet, or none of that name.
    """
    if which == LATEST:
        return names[-1]
    if which == PREVIOUS:
        if len(names) == 1:
            raise LakeError(f"{dataset} has one snapshot only, {names[0]}: there is no previous one")
        return names[-2]
    named = which.removesuffix(paths.SUFFIX) + paths.SUFFIX if isinstance(which, str) else ""
    if paths.is_snapshot(named) and named not in names:
        raise LakeError(f"{dataset} has no snapshot {named}: it has {names[0]} to {names[-1]}")
    found = as_of(names, which)
    if found is None:
        raise LakeError(f"{dataset} had no snapshot yet at {which}: its first is {names[0]}")
    return found
