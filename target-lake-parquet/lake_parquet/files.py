"""The few file operations that durability rests on: fsync, create-if-absent, locks. POSIX, no Parquet."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lake_parquet.errors import LakeError


def make_folder(folder: Path) -> None:
    """Creates a folder and its parents so that they survive a power cut: new entries' parents are synced."""
    missing = []
    probe = folder
    while not probe.exists():
        missing.append(probe)
        probe = probe.parent
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes the entries of a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Makes a file's contents durable. A failure is final: after it the kernel may have dropped the data."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(temporary: Path, final: Path) -> None:
    """Gives a finished file its final name in one step, never over another file, and makes it durable.

    Raises:
        FileExistsError: the name is taken; the temporary file is left as it was.
    """
    make_folder(final.parent)
    sync_file(temporary)
    os.link(temporary, final)
    sync_folder(final.parent)
    temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Writes a small file so that it is there whole or not at all; an older one of that name is replaced."""
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        sync_file(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock, waiting for it; the system drops it when the process dies."""
    make_folder(path.parent)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def try_lock(path: Path) -> int | None:
    """Takes an exclusive lock if it is free: its descriptor, or None where a live process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def local_root(lake_root: str) -> Path:
    """The folder that a `lake_root` setting names.

    Raises:
        LakeError: it names an object store; this version writes to folders only.
    """
    if "://" in lake_root and not lake_root.startswith("file://"):
        scheme = lake_root.split("://", 1)[0]
        raise LakeError(
            f"lake_root {scheme}://... is an object store, and this version writes to folders only: "
            "name a folder"
        )
    return Path(lake_root.removeprefix("file://")).expanduser()
