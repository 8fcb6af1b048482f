"""What decoding noticed of a stream's records in, the notes of its summary out. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from target_lake_parquet.decode import Decoded

MOST_NAMES = 1000
"""Of so many undeclared fields each is counted; records that make up names would fill the memory."""
TOLD = 10
LEFT_OUT = "fields left out"
"""So begins the note of what is not in the lake."""


@dataclass(slots=True)
class Noticed:
    """Counts by column, or by field: values coerced, fields that the schema does not name, columns added.

    `unchecked_patterns` are those of the schema that validation cannot run.
    """

    coerced: Counter[tuple[str, str]] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    others: int = 0
    added: Counter[str] = field(default_factory=Counter)
    unchecked_patterns: int = 0

    def take(self, decoded: Decoded, *, adds: bool) -> None:
        """Counts what a block brought; with `adds`, undeclared fields became columns."""
        self.coerced.update(decoded.coerced)
        self.added.update(decoded.added)
        for name, count in decoded.undeclared.items() if not adds else ():
            if name in self.left_out or len(self.left_out) < MOST_NAMES:
                self.left_out[name] += count
            else:
                self.others += count

    def notes(self) -> Iterator[str]:
        """A sentence for each kind of thing that was noticed."""
        for (column, how), count in sorted(self.coerced.items()):
            yield f"{count} values of {column} {how}"
        if self.left_out:
            more = f", and {self.others} more of other names" if self.others else ""
            yield f"{LEFT_OUT} that the schema does not name: {_listed(self.left_out)}{more}"
        if self.added:
            yield f"fields added that the schema does not name: {_listed(self.added)}"
        if self.unchecked_patterns:
            yield (
                f"{self.unchecked_patterns} patterns of the schema are not checked: "
                "they are none, or need look-around or back-references, which can take for ever"
            )


def _listed(counts: Mapping[str, int]) -> str:
    told = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items())[:TOLD])
    more = len(counts) - TOLD
    return f"{told}, and {more} more fields" if more > 0 else told
