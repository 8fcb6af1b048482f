"""Messages to a stderr that may break: what it cannot take is dropped, and the run goes on."""

import io
import os
import sys
from pathlib import Path
from typing import Any

STDERR = 2


class _Lasting(io.FileIO):
    """A descriptor whose failed writes are no errors: a full disk behind a log, or a reader that died."""

    def write(self, data: Any, /) -> int:  # noqa: ANN401 - any buffer
        """Writes what can be written; tells the length of what is done with."""
        try:
            written = super().write(data)
        except OSError:
            written = None
        return memoryview(data).nbytes if written is None else written


def outlast_stderr() -> None:
    """Makes sure that no message changes how the process ends, whatever becomes of its stderr.

    Python would raise where the message is written, and once more, with exit code 120, when it ends.
    """
    stream = sys.stderr
    if stream is None:  # closed from the start
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end
        return
    try:
        is_own = stream.fileno() == STDERR
    except (OSError, ValueError):
        is_own = False
    if not is_own:  # a test's, say
        return
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(_Lasting(STDERR, "wb", closefd=False)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=True,
    )
