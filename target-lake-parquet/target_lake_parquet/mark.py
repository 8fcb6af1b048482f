"""A SCHEMA's mark in, what our taps say of themselves out. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lake_parquet.paths import SEPARATOR

MARK = "x-singerlake"
"""Key in SCHEMA's `schema` under which our taps say where rows come from and how a read ends."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where rows come from, whose they are, and the message that closes a whole read; None where unsaid."""

    source: str | None = None
    origin: str | None = None
    account: str | None = None
    closes_with: str | None = None


def read_mark(schema: Mapping[str, Any]) -> Mark:
    """The mark of a SCHEMA; an empty one where it has none.

    Raises:
        ValueError: the mark is none of ours.
    """
    said = schema.get(MARK)
    if not isinstance(said, dict):
        return Mark()
    mark = Mark(**{name: said.get(name) for name in Mark.__dataclass_fields__})
    odd = [name for name in Mark.__dataclass_fields__ if not isinstance(getattr(mark, name), str | None)]
    if odd:
        raise ValueError(f"the SCHEMA's {MARK} is no text in {', '.join(odd)}: mend the tap")
    if SEPARATOR in (mark.source or ""):
        raise ValueError(
            f"the SCHEMA's {MARK} has a source with {SEPARATOR!r}, which parts a dataset from its child "
            "datasets: set source to another name"
        )
    return mark
