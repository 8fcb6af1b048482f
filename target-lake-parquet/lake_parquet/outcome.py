"""What became of a family in, what a run says of it out. Pure."""

from lake_parquet.evolution import Evolution
from lake_parquet.family import Family, Member
from lake_parquet.policy import StreamFacts
from lake_parquet.runs import DatasetSummary, Status
from lake_parquet.snapshots import Snapshot


def vanished(family: Family, before: Snapshot | None) -> list[str]:
    """Names child datasets that the previous snapshot had and the schema has no more."""
    had = before.info.children if before and before.info else {}
    gone = sorted(had.keys() - {member.dataset for member in family.children})
    return [f"{name} has no array in the schema any more: its latest stays as it was" for name in gone]


def news_of(evolved: dict[str, Evolution], base: Snapshot) -> list[str]:
    """What differs in a family's columns, each child's behind its name; a new child is news as a whole."""
    had = base.info.children if base.info else {}
    told = []
    for name, columns in evolved.items():
        news = columns.news if name == base.dataset or name in had else "a new dataset"
        told += [news if name == base.dataset else f"{name}: {news}"] if news else []
    return told


def summary_of(
    member: Member, facts: StreamFacts, status: Status, latest: Snapshot | None, notes: list[str]
) -> DatasetSummary:
    """The summary of one dataset, without what its rows did."""
    source = facts.owner.source
    return DatasetSummary(
        dataset=member.dataset,
        stream=facts.owner.stream,
        status=status,
        path=latest.path if latest else None,
        row_count=latest.row_count if latest else 0,
        rows_read=member.rows_read,
        rows_quarantined=member.rows_quarantined,
        proof=facts.proof,
        bytes=latest.size if latest else 0,
        source=f"{source}_{facts.origin}" if source and facts.origin else source or facts.origin,
        notes=notes,
    )
