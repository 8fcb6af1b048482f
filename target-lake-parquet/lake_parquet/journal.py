"""What of a run's staged rows a printed STATE rests on: `<staging folder>/journal.json`, written whole."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from lake_parquet.errors import LakeError
from lake_parquet.family import Family
from lake_parquet.files import write_bytes
from lake_parquet.policy import StreamFacts

NAME = "journal.json"
SEGMENT = ".segment"
"""How the name of a block of staged rows ends."""


class StagedFamily(msgspec.Struct, frozen=True, kw_only=True):
    """A stream whose rows are durable in staging: what a later run needs to publish them.

    `segments` are the file names of its rows by dataset, in the order in which they came. `facts` are those
    of a stream that is still open.
    """

    family: Family
    facts: StreamFacts
    segments: dict[str, list[str]]

    @property
    def dataset(self) -> str:
        """The stream's dataset."""
        return self.family.stream.dataset


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """The staged families of one run."""

    run_id: str
    tap: str | None = None
    families: list[StagedFamily] = []

    def without(self, datasets: Sequence[str]) -> "Journal":
        """The journal when the families of these streams' datasets are settled."""
        return msgspec.structs.replace(
            self, families=[one for one in self.families if one.dataset not in datasets]
        )


def write_journal(folder: Path, journal: Journal) -> None:
    """Writes a run's journal so that it survives a power cut."""
    write_bytes(folder / NAME, msgspec.json.encode(journal))


def read_journal(folder: Path) -> Journal | None:
    """Reads the journal in a run's staging folder; None where nothing printed rests on it.

    Raises:
        LakeError: it cannot be read.
    """
    path = folder / NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Journal)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise LakeError(f"{path} is no journal of staged rows ({error}): move its folder away") from error


def remove_all_but(folder: Path, journal: Journal) -> None:
    """Removes from a staging folder what is in no staged family of its journal."""
    keep = {name for one in journal.families for names in one.segments.values() for name in names}
    for path in folder.iterdir():
        if path.name not in keep and path.name not in (NAME, "lock"):
            path.unlink(missing_ok=True)
