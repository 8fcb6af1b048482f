"""Facts in, text on stdout out: tables on a terminal, plain lines in a pipe, JSON on request.

In a pipe nothing is folded, cut or coloured: a line a row, columns parted by two spaces, the last free text.
Messages go to stderr.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Literal, NamedTuple

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lake_parquet.readable import BARS, PLAIN_BARS
from lake_parquet.runs import DatasetSummary

MIN_NOTE = 20
"""Characters of a note that even a narrow terminal shows."""


class Column(NamedTuple):
    """A column of a table.

    `right` is for numbers, `pipe` for one that a terminal leaves out, `note` for free text at the end,
    which a terminal cuts to its width. `whole` is never folded, and a narrow terminal leaves out those that
    `yields`.
    """

    name: str
    right: bool = False
    pipe: bool = False
    note: bool = False
    whole: bool = False
    yields: bool = False


def columns(text: str) -> list[Column]:
    """Columns, parted by commas: `>` sets one to the right, `|` is for pipes alone, `*` for a note.

    `!` is for one that stays whole, `~` for one that yields.
    """
    found = []
    for word in text.split(", "):
        name = word.lstrip(">|*!~")
        marks = word.removesuffix(name)
        found.append(Column(name, *(mark in marks for mark in ">|*!~")))
    return found


@dataclass(slots=True)
class Rows:
    """A table in the making; `styles` are words that are coloured where they stand alone in a cell."""

    columns: Sequence[Column]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    headings: dict[int, str] = field(default_factory=dict)
    styles: dict[str, str] = field(default_factory=dict)

    def add(self, *cells: str) -> None:
        """Adds a row."""
        self.rows.append(cells)

    def head(self, text: str) -> None:
        """Puts a heading above the next row; a pipe shows none."""
        self.headings[len(self.rows)] = text

    def show(self) -> None:
        """Prints the table."""
        if on_terminal():
            console = Console(highlight=False)
            console.print(self._rich(console.width))
        else:
            sys.stdout.writelines(line + "\n" for line in self._plain())

    def _rich(self, width: int) -> Table:
        table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1))
        shown = self._fitting(width)
        for column in (self.columns[i] for i in shown):
            justify: Literal["right", "left"] = "right" if column.right else "left"
            table.add_column(
                escape(column.name), justify=justify, overflow="fold", no_wrap=column.right or column.whole
            )
        indent = "  " if self.headings else ""
        for number, row in enumerate(self.rows):
            if number in self.headings:
                if number:
                    table.add_row()
                table.add_row(f"[bold cyan]{escape(self.headings[number])}[/]")
            cells = [self._styled(row[i]) for i in shown]
            if self.columns[-1].note:
                cells[-1] = escape(shortened(row[-1], max(MIN_NOTE, width - self._taken(shown[:-1]))))
            table.add_row(indent + cells[0], *cells[1:])
        return table

    def _fitting(self, width: int) -> list[int]:
        """The columns that a terminal shows: as long as they are too wide, the last that yields goes."""
        shown = [i for i, column in enumerate(self.columns) if not column.pipe]
        while yielding := [i for i in shown if self.columns[i].yields]:
            last = max(len(row[shown[-1]]) for row in self.rows) if self.rows else 0
            if self._taken(shown[:-1]) + min(last, MIN_NOTE) <= width:
                break
            shown.remove(yielding[-1])
        return shown

    def _taken(self, shown: Sequence[int]) -> int:
        """How wide the columns before a note are, with what parts them."""
        names = tuple(column.name for column in self.columns)
        widths = {i: max(len(row[i]) for row in (names, *self.rows)) for i in shown}
        widths[shown[0]] = max(widths[shown[0]] + 2, *map(len, self.headings.values()), 0)
        return 2 + sum(2 + width for width in widths.values())

    def _styled(self, cell: str) -> str:
        words = cell.split(", ")
        if not any(word in self.styles for word in words):
            return escape(cell)
        return ", ".join(
            f"[{self.styles[word]}]{escape(word)}[/]" if word in self.styles else escape(word)
            for word in words
        )

    def _plain(self) -> Iterable[str]:
        rights = [column.right for column in self.columns]
        lines = [tuple(column.name for column in self.columns), *self.rows]
        lines = [tuple(one_line(cell) or "-" for cell in line) for line in lines]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        for line in lines:
            cells = zip(line, widths, rights, strict=True)
            yield "  ".join(c.rjust(w) if right else c.ljust(w) for c, w, right in cells).rstrip()


def shortened(text: str, most: int) -> str:
    """The text in one line of at most `most` characters."""
    text = one_line(text)
    return text if len(text) <= most else text[: most - 3] + "..."


def one_line(text: str) -> str:
    """The text without anything that would break a line or move a terminal's cursor."""
    return "".join(char if char.isprintable() else " " for char in text)


def did(one: DatasetSummary | None) -> str:
    """What a run did to a dataset: `+38 ~3 -0`, or `held`."""
    if one is None:
        return "-"
    if one.status != "published":
        return one.status
    return changes(one.rows_added, one.rows_updated, one.rows_deleted)


def changes(added: int, changed: int | None, deleted: int) -> str:
    """`+38 ~3 -0`: added, changed, deleted; `?` where rows have no keys to be told apart by."""
    return f"+{added:,} ~{'?' if changed is None else f'{changed:,}'} -{deleted:,}"


def text_of(value: object) -> str:
    """A value as text: dates and times by ISO 8601, moments in UTC, with `T` and `Z`."""
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else str(value)


def on_terminal() -> bool:
    """Tells whether a person reads stdout."""
    return sys.stdout.isatty()


def bars() -> str:
    """The bars of a sparkline that stdout's encoding can show."""
    try:
        BARS.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return PLAIN_BARS
    return BARS


def show_json(value: object) -> None:
    """Prints a value as JSON."""
    json.dump(value, sys.stdout, indent=2, default=text_of, ensure_ascii=False)
    sys.stdout.write("\n")


def show_lines(lines: Iterable[str]) -> None:
    """Prints lines of data."""
    sys.stdout.writelines(one_line(line) + "\n" for line in lines)


def show_text(text: str) -> None:
    """Prints text as it is."""
    sys.stdout.write(text)


def say(message: str) -> None:
    """Tells something on stderr."""
    sys.stdout.flush()
    click.echo(message, err=True)
