"""A stream's latest snapshot, and rows that wait for it, in: what its fields are called there out."""

import contextlib

from lake_parquet import snapshots
from lake_parquet.deadruns import dead_runs
from lake_parquet.errors import LakeError
from lake_parquet.footer import Owner
from lake_parquet.names import Names, joined
from lake_parquet.store import Store


def known_names(store: Store, dataset: str, owner: Owner, origin: str | None) -> tuple[Names, frozenset[str]]:
    """Reads the names in a stream's datasets, and all columns of its own one.

    None where a run of this origin begins anew, nor where the lake cannot be read: the commit says so.
    """
    names: Names = {}
    columns: frozenset[str] = frozenset()
    with contextlib.suppress(LakeError, OSError):
        latest = snapshots.latest(store, dataset)
        info = latest.info if latest else None
        if latest and info and info.owner == owner and not (info.is_stub and origin != "stub"):
            names, columns = info.names, frozenset(latest.schema.names)
        for run in dead_runs(store.workplace, dataset):
            with run:
                waiting = (one for one in run.journal.families if one.family.stream.owner == owner)
                names = joined(names, *(one.family.names for one in waiting))
    return names, columns
