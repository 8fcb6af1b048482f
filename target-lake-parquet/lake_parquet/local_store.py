"""A lake in a local folder: POSIX files, hard links and locks."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lake_parquet import paths
from lake_parquet.errors import LakeError
from lake_parquet.files import (
    give_name,
    locked,
    make_folder,
    place_below,
    sync_file,
    sync_folder,
    try_lock,
    write_bytes,
)
from lake_parquet.store import TurnTaken, inner


class LocalStore:
    """A folder. Nothing leads out of it: a symbolic link, or a pipe in a file's place, is refused."""

    keeps_workplace = True

    def __init__(self, root: Path) -> None:
        """Names the folder; it need not exist."""
        self.root = self.workplace = root
        self.url = str(root)

    def prepare(self) -> None:
        """Does nothing: the run's staging folder, made in the lake, is the proof."""

    def exists(self) -> bool:
        """Tells whether the folder is there."""
        return self.root.is_dir()

    def folders(self, folder: str) -> list[str]:
        """The folders in a folder."""
        with self._entries(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())

    def files(self, folder: str) -> list[str]:
        """The files in a folder; what is neither file nor folder is refused."""
        with self._entries(folder) as entries:
            found = [entry for entry in entries if not entry.is_dir(follow_symlinks=False)]
            for entry in found:
                if not entry.is_file(follow_symlinks=False):
                    raise LakeError(f"{entry.path} is no plain file: move it out of the lake")
            return sorted(entry.name for entry in found)

    @contextmanager
    def _entries(self, folder: str) -> Iterator[Iterator[os.DirEntry[str]]]:
        try:
            entries = os.scandir(self._at(folder))
        except (FileNotFoundError, NotADirectoryError):
            yield iter(())
            return
        with entries:
            yield entries

    def read(self, path: str) -> bytes:
        """A file's contents."""
        with self.open(path) as file:
            return file.read()

    def open(self, path: str) -> BinaryIO:
        """Opens a plain file; a pipe planted in its place does not make anybody wait."""
        place = self._at(path)
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise LakeError(f"{place} is no plain file: move it out of the lake")
        return os.fdopen(descriptor, "rb")

    def size(self, path: str) -> int | None:
        """A file's bytes."""
        try:
            return self._at(path).lstat().st_size
        except FileNotFoundError:
            return None

    def address(self, path: str) -> str:
        """The file's path."""
        return str(self._at(path))

    def options(self) -> None:
        """Nothing: a path is enough."""

    def fetch(self, path: str, folder: Path) -> Path:  # noqa: ARG002 - the protocol's
        """The file itself."""
        return self._at(path)

    def create(self, path: str, content: bytes) -> bool:
        """Puts a small file where none is. Not synced: after a power cut no writer is left to respect it."""
        place = self._at(path)
        temporary = self._at(f"{paths.PENDING}/{place.parent.name}/{secrets.token_hex(8)}")
        for folder in (place.parent, temporary.parent):
            _make_passing_folder(folder)
        temporary.write_bytes(content)
        try:
            give_name(temporary, place)
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
        return True

    def write(self, path: str, content: bytes) -> None:
        """Puts a small file, durably."""
        write_bytes(self._at(path), content)

    def take_in(self, file: Path, path: str) -> int:
        """Moves a file of the lake's own file system; its contents are synced, its entry is not."""
        place = self._at(path)
        _make_passing_folder(place.parent)
        sync_file(file)
        give_name(file, place)
        file.unlink()
        return place.stat().st_size

    def publish(self, source: str, path: str) -> bool:
        """Links a file under its final name, and makes the entry durable."""
        place = self._at(path)
        make_folder(place.parent)
        try:
            give_name(self._at(source), place)
        except FileExistsError:
            sync_folder(place.parent)  # by whom ever it was linked: what we build on must stay
            return False
        sync_folder(place.parent)
        return True

    def delete(self, path: str) -> None:
        """Removes a file."""
        self._at(path).unlink(missing_ok=True)

    @contextmanager
    def turn(self, name: str, *, waits: bool = True) -> Iterator[bool]:
        """Holds a lock that dies with the process."""
        place = self._at(f"{paths.LOCKS}/{name}.lock")
        if waits:
            with locked(place):
                yield True
            return
        make_folder(place.parent)
        lock = try_lock(place)
        if lock is None:
            raise TurnTaken(name)
        try:
            yield True
        finally:
            os.close(lock)

    def _at(self, path: str) -> Path:
        return place_below(self.root, "/".join(inner(path)))


def _make_passing_folder(folder: Path) -> None:
    """Creates a folder for what a power cut may take: its parents are made to last, itself is not synced."""
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
