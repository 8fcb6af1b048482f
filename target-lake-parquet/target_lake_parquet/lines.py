"""Numbers for a run's records, growing as they arrive: lines of the input, and those of BATCH files. Pure.

The lines of a BATCH file count as if they stood in the input where its message stands: so later rows have
greater numbers, whichever way they came, and a number still tells its place.
"""

from bisect import bisect_left
from dataclasses import dataclass


@dataclass(slots=True)
class _File:
    """A BATCH file: the number before its first line, the message's line in the input, lines so far."""

    before: int
    message_line: int
    name: str
    unit: str
    count: int = 0


class Lines:
    """The line numbers of one run."""

    def __init__(self) -> None:
        """Begins with an input that has no BATCH message yet."""
        self._files: list[_File] = []
        self.inserted = 0

    def of_input(self, line: int) -> int:
        """The number of a line of the input that comes after all files so far."""
        return line + self.inserted

    def open_file(self, message_line: int, name: str, unit: str) -> None:
        """Begins a BATCH file, whose lines are called `unit`."""
        self._files.append(_File(message_line + self.inserted, message_line, name, unit))

    def take(self, count: int) -> int:
        """Numbers the next `count` lines of the file that was begun last; returns the first one's number."""
        file = self._files[-1]
        first = file.before + file.count + 1
        file.count += count
        self.inserted += count
        return first

    def place(self, number: int) -> tuple[int, str]:
        """The line of the input that a number means, and the place in a BATCH file, if it stands in one."""
        at = bisect_left(self._files, number, key=lambda file: file.before) - 1
        if at < 0:
            return number, ""
        file = self._files[at]
        inside = number - file.before
        if inside <= file.count:
            return file.message_line, f"{file.unit} {inside} of BATCH file {file.name!r}"
        return file.message_line + inside - file.count, ""

    def where(self, number: int) -> str:
        """The place of a number, for people."""
        line, inside = self.place(number)
        return f"line {line}, {inside}" if inside else f"line {line}"
