"""Records that could not be stored, kept aside in `.quarantine`: one JSON line each, to be mended.

They are the tap's own bytes and may be personal data: only the lake's owner may read the files.
"""

import base64
import contextlib
import os
from collections.abc import Iterable

import msgspec

from lake_parquet import paths
from lake_parquet.errors import LakeError
from lake_parquet.files import append_private, place_below, sync_file, sync_folder
from lake_parquet.store import Store


class Problem(msgspec.Struct, frozen=True):
    """What is the matter with a record: the field (`record` for the whole of it), and why."""

    field: str
    reason: str


class Quarantined(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A line of a quarantine file.

    `message` is the input line as text. Where bytes of it are no UTF-8, they are escaped there
    and `message_base64` is the line as it was. `more` are the record's further problems,
    `batch` its place in a BATCH file.
    """

    line: int
    batch: str = ""
    field: str
    reason: str
    message: str
    message_base64: str | None = None
    more: list[Problem] = []


def quarantined(line: int, problems: Iterable[Problem], message: bytes, batch: str = "") -> Quarantined:
    """Makes a line of a quarantine file; the first of `problems` counts as the reason."""
    first, *more = problems
    try:
        text, encoded = message.decode(), None
    except UnicodeDecodeError:
        text = message.decode(errors="backslashreplace")
        encoded = base64.b64encode(message).decode()
    return Quarantined(
        line=line,
        batch=batch,
        field=first.field,
        reason=first.reason,
        message=text,
        message_base64=encoded,
        more=more,
    )


class Quarantine:
    """The quarantine of one run. There is nothing on disk until a record comes."""

    def __init__(self, store: Store, run_id: str) -> None:
        """Knows the place of `run_id` in a lake."""
        self.store = store
        self.folder = f"{paths.QUARANTINE}/{run_id}"
        self._unsynced: set[str] = set()

    def path(self, dataset: str) -> str:
        """Where a dataset's records go, relative to the lake's root."""
        return f"{self.folder}/{dataset}.jsonl"

    def append(self, dataset: str, records: Iterable[Quarantined]) -> None:
        """Keeps records of a dataset.

        Raises:
            LakeError: the disk is full, or fails.
        """
        path = self.path(dataset)
        lines = b"".join(msgspec.json.encode(record) + b"\n" for record in records)
        try:
            append_private(place_below(self.store.workplace, path), lines)
        except OSError as error:
            raise _unwritable(error) from error
        self._unsynced.add(path)

    def sync(self) -> None:
        """Makes what was appended durable: before what was read with it is published, or its STATE printed.

        Raises:
            LakeError: the disk failed.
        """
        try:
            for path in self._unsynced:
                file = self.store.workplace / path
                sync_file(file)
                sync_folder(file.parent)
                if not self.store.keeps_workplace:
                    self.store.write(path, file.read_bytes())
        except OSError as error:
            raise _unwritable(error) from error
        self._unsynced.clear()

    def close(self) -> None:
        """Removes what stands only in the workplace: personal data must not stay behind there."""
        if not self.store.keeps_workplace:
            folder = self.store.workplace / self.folder
            with contextlib.suppress(OSError):
                for file in folder.glob("*.jsonl"):
                    file.unlink()
                folder.rmdir()


def take_over(store: Store, run_id: str) -> None:
    """Brings what a dead run left in the workplace alone to the lake: personal data must not stay behind.

    Raises:
        OSError: it cannot be read, or not be written.
    """
    if store.keeps_workplace:
        return
    left = Quarantine(store, run_id)
    for file in sorted((store.workplace / left.folder).glob("*.jsonl")):
        store.write(f"{left.folder}/{file.name}", file.read_bytes())
    left.close()


def _unwritable(error: OSError) -> LakeError:
    reason = error.strerror or os.strerror(error.errno or 0)
    return LakeError(f"{paths.QUARANTINE} cannot be written ({reason}): nothing more was published")
