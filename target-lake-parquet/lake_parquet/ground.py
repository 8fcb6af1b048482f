"""A family and the lake in, what its next snapshots stand on out; or why they may not stand there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lake_parquet import paths, snapshots
from lake_parquet.claims import Head
from lake_parquet.errors import LakeError
from lake_parquet.family import Family, Member
from lake_parquet.merge import Merged
from lake_parquet.names import Names, conflict, joined
from lake_parquet.policy import Decision, StreamFacts
from lake_parquet.snapshots import Snapshot
from lake_parquet.store import Store


@dataclass(frozen=True, slots=True)
class Ground:
    """What a family's next snapshots stand on.

    `befores` are the snapshots that its datasets build on, `newest` the newest names in their folders.
    """

    head: Head
    befores: dict[str, Snapshot | None]
    newest: dict[str, str]


def find_ground(store: Store, family: Family, head: Head, base: Snapshot | None) -> Ground:
    """Finds what a family builds on; `base` is the snapshot of its stream.

    Raises:
        LakeError: a snapshot cannot be read.
    """
    befores = {member.dataset: _before(store, member, base) for member in family.members()}
    found = {child.dataset: snapshots.names(store, child.dataset) for child in family.children}
    newest = {dataset: names[-1] for dataset, names in found.items() if names}
    if head.latest:
        newest[family.stream.dataset] = head.latest
    return Ground(head, befores, newest)


def _before(store: Store, member: Member, base: Snapshot | None) -> Snapshot | None:
    """The snapshot a dataset builds on: a child's is the one that its stream's snapshot names."""
    if base is None or base.info is None or member.dataset == base.dataset:
        return base
    path = base.info.children.get(member.dataset)
    return snapshots.read(store, path) if path else None


def strange_child(store: Store, family: Family, ground: Ground) -> str | None:
    """Refuses to write into a child's folder where the newest file is another's.

    What nobody can read is nobody's: the next file takes its place.
    """
    for child in family.children:
        newest, before = ground.newest.get(child.dataset), ground.befores[child.dataset]
        if newest is None or (before is not None and before.name == newest):
            continue
        try:
            found = snapshots.read(store, paths.snapshot_path(child.dataset, newest))
        except LakeError:
            continue
        if found.info is None:
            return f"{found.path} was not written by this project: move it out of the dataset's folder"
        if found.info.owner != child.owner:
            return (
                f"the child dataset {child.dataset} belongs to {found.info.owner}, this run brings "
                f"{child.owner}: rename one of the streams by a stream map, or set arrays to json"
            )
    return None


def names_of(base: Snapshot | None, families: Sequence[Family]) -> tuple[Names, str | None]:
    """The names in a family's next snapshots, and why they cannot be had: runs did not know of each other.

    `families` are those of the runs whose rows are merged, the oldest first.
    """
    names: Names = base.info.names if base is not None and base.info is not None else {}
    for family in families:
        other = conflict(names, family.names)
        if other:
            return names, (
                f"{other} means another field in rows that another run brought meanwhile: run it again"
            )
        names = joined(names, family.names)
    return names, None


def is_replaced_stub(facts: StreamFacts, previous: Snapshot | None) -> bool:
    """Tells whether rows that were made up give way to real ones."""
    return bool(previous and previous.info and previous.info.is_stub and facts.origin != "stub")


def is_settled(member: Member, merged: Mapping[str, Merged], ground: Ground, decision: Decision) -> bool:
    """Tells whether a dataset's latest snapshot may stay what it is.

    A newer file than the one it builds on may stand there: a child of a run that died before its stream's
    file was there, and whose files a power cut took. It must not stay the latest.
    """
    before = ground.befores[member.dataset]
    if before is None or not _is_unchanged(merged[member.dataset], member, decision):
        return False
    return before.name == ground.newest[member.dataset]


def _is_unchanged(merged: Merged, member: Member, decision: Decision) -> bool:
    """Nothing new: an incremental read without rows, or a result equal to the latest."""
    quiet = (
        decision.keeps_base
        and not member.rows_read
        and (merged.added, merged.updated, merged.deleted) == (0, 0, 0)
    )
    return quiet or merged.is_unchanged
