"""The few file operations that durability rests on: fsync, create-if-absent, locks. POSIX, no Parquet."""

import errno
import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from lake_parquet.errors import LakeError

LOOK, MOST_LOOKS = 0.001, 1000
"""Seconds that a look at a lock takes at most, and how many of them are waited for."""

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def place_below(root: Path, path: str) -> Path:
    """The place of `path` (relative, with `/`) below a lake's root; whoever plants a link leads nobody out.

    Raises:
        LakeError: a part of it is a symbolic link.
    """
    place = str(root).rstrip("/")  # as text: a large lake's listing asks thousands of times
    for part in path.split("/"):
        place = f"{place}/{part}"
        if os.path.islink(place):  # noqa: PTH114
            raise LakeError(f"{Path(place)} is a symbolic link, and a lake holds none: move it away")
    return Path(place)


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


def sha256(file: BinaryIO) -> str:
    """The SHA-256 of an open file's bytes."""
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


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


def give_name(file: Path, name: Path) -> None:
    """Gives a file one more name in one step, never over another file.

    Raises:
        FileExistsError: the name is taken.
        LakeError: the file system has no hard links.
    """
    try:
        os.link(file, name, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NO_LINKS:
            raise LakeError(
                f"the file system of {name.parent} has no hard links ({error.strerror}), and nothing else "
                "names a file without replacing another: put the lake on another file system"
            ) from error
        raise


def append_private(path: Path, data: bytes) -> None:
    """Adds to a file that, like its folder, its owner alone may read; durable once it is synced."""
    if not path.parent.exists():
        make_folder(path.parent.parent)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        sync_folder(path.parent.parent)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a small file so that it is there whole or not at all; an older one of that name is replaced."""
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        sync_file(temporary)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock, waiting for it; the system drops it when the process dies."""
    make_folder(path.parent)
    descriptor = _open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def try_lock(path: Path) -> int | None:
    """Takes an exclusive lock if it is free: its descriptor, or None where a live process has it.

    Whoever only looks at it (`is_held`) is waited for.
    """
    descriptor = _open_lock(path)
    for _ in range(MOST_LOOKS):
        if _flock(descriptor, fcntl.LOCK_EX):
            return descriptor
        if not _flock(descriptor, fcntl.LOCK_SH):
            break
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # two that wait must not take each other for a look
        time.sleep(LOOK)
    os.close(descriptor)
    return None


def is_held(path: Path) -> bool:
    """Tells whether a live process has an exclusive lock; nobody misses it meanwhile, and no file is made.

    Raises:
        OSError: there is no such file, or it is not ours to read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        return not _flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _flock(descriptor: int, kind: int) -> bool:
    """Takes a lock of that kind, unless another has one that does not go with it."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open_lock(path: Path) -> int:
    """Opens a lock's file; a link or a pipe planted in its place leads nowhere, and nobody waits for it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise LakeError(f"{path} is no plain file: move it out of the lake")
    return descriptor
