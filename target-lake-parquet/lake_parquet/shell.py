"""A shell for queries: lines of SQL in, tables out, until `.quit` or the end of the input."""

import cmd
import contextlib

from lake_parquet import render
from lake_parquet.errors import LakeError
from lake_parquet.sql import Sql

with contextlib.suppress(ImportError):  # the keys of a line editor, where the system has one
    import readline  # noqa: F401


class Shell(cmd.Cmd):
    """Collects lines up to a `;`, runs them, goes on after an error."""

    intro = "Every dataset's latest is a view; end a query with `;`. .tables lists them, .quit leaves."
    prompt = "lake> "

    def __init__(self, sql: Sql) -> None:
        """Queries `sql`."""
        super().__init__()
        self.sql = sql
        self.waiting = ""

    def run(self) -> None:
        """Reads until the end; Ctrl-C drops the query that is being written."""
        if not render.on_terminal():
            self.intro, self.prompt = "", ""
        intro: str | None = self.intro
        while True:
            try:
                self.cmdloop(intro)
                return
            except KeyboardInterrupt:
                self.waiting, intro = "", ""
                render.say("")

    def onecmd(self, line: str) -> bool:
        """Takes a line; True ends the shell."""
        if line in (".quit", ".exit", "EOF"):
            return True
        if line == ".tables":
            render.show_lines(self.sql.listing)
            return False
        self.waiting += line + "\n"
        if line.rstrip().endswith(";"):
            query, self.waiting = self.waiting, ""
            try:
                self.sql.show(query)
            except LakeError as error:
                render.say(f"Error: {error}")
        return False

    def emptyline(self) -> bool:
        """Does nothing: the base class would repeat the last line."""
        return False

    def completenames(self, text: str, *_: object) -> list[str]:
        """Completes the name of a dataset."""
        return [name for name in self.sql.listing if name.startswith(text)]

    completedefault = completenames
