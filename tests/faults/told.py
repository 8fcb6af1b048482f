"""Figures of the long tests, and where they are kept: `docs/reliability.md`, between two marks."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


class Told(NamedTuple):
    """What a part of the long tests has seen: `tried` are kills, faults, rounds or seeds of a `kind`."""

    good: bool
    part: str
    seen: str
    kind: str = ""
    tried: int = 0
    broken: int = 0

    def __str__(self) -> str:
        """Tells it in a line."""
        return f"{'ok    ' if self.good else 'FAILED'} {self.part}: {self.seen}"


def table(told: Sequence[Told], now: datetime, every: int) -> str:
    """The figures as Markdown: sums by kind, then part by part."""
    machine = f"{platform.system()} {platform.release().split('-')[0]}, {os.cpu_count()} cores"
    calls = "every call" if every == 1 else f"one call in {every}, SIGKILL and errors at every call"
    python = f"Python {platform.python_version()}"
    lines = [f"Seen on {now:%d %B %Y} by `make crash-test`, faults at {calls}; {machine}, {python}."]
    lines += ["", "| kind | tried | promises broken |", "| --- | --- | --- |"]
    for kind in dict.fromkeys(one.kind for one in told if one.kind):
        ones = [one for one in told if one.kind == kind]
        tried, broken = sum(one.tried for one in ones), sum(one.broken for one in ones)
        lines.append(f"| {kind} | {tried:,} | {broken:,} |")
    lines += ["", "| part | seen |", "| --- | --- |"]
    lines += [f"| {one.part} | {'' if one.good else '**failed** '}{_cell(one.seen)} |" for one in told]
    return "\n".join(lines)


def write(told: Sequence[Told], page: Path, every: int) -> None:
    """Replaces the figures on a page."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    figures = f"{BEGIN}\n{table(told, datetime.now(UTC), every)}\n{END}"
    page.write_text(before + figures + after, encoding="utf-8")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")[:200]
