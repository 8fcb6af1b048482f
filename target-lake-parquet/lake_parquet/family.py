"""What is published together: a stream's dataset and its child datasets. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lake_parquet.footer import Owner
from lake_parquet.names import Names


@dataclass(frozen=True, slots=True)
class Member:
    """One dataset of a family. `parents` are the columns of a child that hold its stream's keys, in order."""

    dataset: str
    owner: Owner
    keys: tuple[str, ...]
    parents: tuple[str, ...] = ()
    rows_read: int = 0
    rows_quarantined: int = 0


@dataclass(frozen=True, slots=True)
class Family:
    """A stream's dataset and its child datasets: they are published together.

    `names` are those of its columns, as `names` in the footer.
    """

    stream: Member
    children: tuple[Member, ...] = ()
    schema: Any = None
    notes: tuple[str, ...] = ()
    names: Names = field(default_factory=dict)

    def members(self) -> tuple[Member, ...]:
        """The stream first, then the children."""
        return (self.stream, *self.children)


def with_children(family: Family, others: Sequence[Family]) -> Family:
    """The family, with the child datasets that only `others` have."""
    known = {child.dataset: child for child in family.children}
    for other in others:
        for child in other.children:
            known.setdefault(child.dataset, replace(child, rows_read=0))
    return replace(family, children=tuple(known.values()))
