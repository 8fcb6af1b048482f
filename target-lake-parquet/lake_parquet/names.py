"""What the fields of a stream are called: noted in each of its snapshots, kept by later runs. Pure."""

import unicodedata
from collections.abc import Mapping

import msgspec

Path = tuple[str, ...]
"""Where a value stands in a record: the names of the fields that lead to it."""


class TableNames(msgspec.Struct, frozen=True, omit_defaults=True):
    """The names in one dataset of a stream: where in a record each column's values stand.

    `array` is where a child dataset's records stand: what the name of the dataset above it adds to the
    stream's, then the path from there. It is empty for the stream's own dataset.
    """

    columns: dict[str, Path] = {}
    array: Path = ()


Names = Mapping[str, TableNames]
"""The names in a stream's datasets, by what the name of each adds to the stream's."""


def joined(*known: Names) -> dict[str, TableNames]:
    """All these names in one; where they differ the last ones count."""
    found: dict[str, TableNames] = {}
    for names in known:
        for suffix, table in names.items():
            before = found.get(suffix, TableNames())
            found[suffix] = TableNames({**before.columns, **table.columns}, table.array or before.array)
    return found


def alike(name: str) -> str:
    """What a name has in common with those that some reader takes for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def conflict(known: Names, new: Names) -> str | None:
    """Says which name of `new` means something else in `known`, or is one to some readers with another there.

    None where they agree, as they do where who gave the new ones knew the others.
    """
    for suffix, table in new.items():
        before = known.get(suffix, TableNames())
        taken = set(map(alike, before.columns))
        for name, path in table.columns.items():
            if before.columns.get(name, path) != path or (
                name not in before.columns and alike(name) in taken
            ):
                return f"column {name!r}"
        if before.array and before.array != table.array:
            return f"the child dataset {suffix!r}"
    return None
