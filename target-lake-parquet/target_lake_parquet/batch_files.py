"""A BATCH manifest's entry in, the open file out: only where it lies below an allowed folder.

An entry is what somebody wrote into a pipe: it may name any file of this machine, or a server. So it is a
local path or nothing, links are followed before the folder is checked, and what was checked is opened.
"""

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote_to_bytes

from lake_parquet.errors import LakeError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
SHOWN = 200
"""So many characters of a path stand in a message."""


class BatchError(LakeError):
    """A BATCH message's file may not be read, or cannot be."""


def local_path(entry: str) -> str:
    """The path that a `file://` URL or a plain path means; percent escapes of a URL are decoded once.

    Raises:
        BatchError: it means no local file. The message shows no URL: it may hold credentials.
    """
    scheme = _SCHEME.match(entry)
    path = entry
    if scheme is not None:
        if scheme[1].lower() != "file":
            raise BatchError(f"its manifest has an entry of scheme {scheme[1]!r}: only local files are read")
        path = entry[scheme.end() :]
        if path.startswith("//"):
            host, slash, rest = path[2:].partition("/")
            if host.lower() not in ("", "localhost"):
                raise BatchError("its manifest has a file:// URL of another host: only local files are read")
            path = slash + rest
        path = os.fsdecode(unquote_to_bytes(path))
    if not path or "\0" in path or (scheme is not None and not path.startswith("/")):
        raise BatchError("its manifest has an entry that is no path")
    return path


def open_below(roots: Sequence[Path], entry: str) -> BinaryIO:
    """Opens the file that a manifest's entry names.

    Raises:
        BatchError: it lies outside `roots`, is missing, or is no regular file.
    """
    path = local_path(entry)
    real = os.path.realpath(path)
    shown = repr(path[:SHOWN])
    for root in roots:
        base = os.path.realpath(root)
        if Path(real).is_relative_to(base) and real != base:
            try:
                return _open(base, Path(real).relative_to(base).parts, shown)
            except FileNotFoundError:
                raise BatchError(f"file {shown} is missing: the BATCH is not whole") from None
            except OSError as error:
                raise BatchError(f"file {shown} cannot be opened ({error.strerror})") from None
    raise BatchError(
        f"file {shown} does not lie below a folder of batch_roots: "
        "add its folder there if taps may hand files over from it"
    )


def _open(base: str, parts: Sequence[str], shown: str) -> BinaryIO:
    """Opens a file below a folder, one folder at a time: no link that was put there meanwhile is followed."""
    folder = os.open(base, _FOLDER)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        _check_regular(os.stat(parts[-1], dir_fd=folder, follow_symlinks=False), shown)
        descriptor = os.open(parts[-1], _FILE, dir_fd=folder)
    finally:
        os.close(folder)
    file = os.fdopen(descriptor, "rb")
    try:
        _check_regular(os.fstat(descriptor), shown)
    except BatchError:
        file.close()
        raise
    return file


def _check_regular(found: os.stat_result, shown: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise BatchError(f"file {shown} is no regular file")
