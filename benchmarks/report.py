"""Figures in, tables out: for the terminal, and as docs/benchmarks.md."""

import os
import platform
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.cases import CASES, EMPTY_SECONDS, LOADS, PLAIN_RATIO, READING_PEAK_MB, SIZES, Case
from benchmarks.measure import Cost, cpu_ratio, median, ratio
from benchmarks.tools import SLOW, TARGET, TOOLS, Tool

PACKAGES = ("singer-sdk", "polars", "pyarrow", "msgspec")
KINDS = tuple(SIZES)
QUIET = 0.05
"""The share of the machine that other work may take before the page warns of its own figures."""


@dataclass(frozen=True, slots=True)
class Memory:
    """One input's memory, in megabytes: until all was read and staged, and of the whole run."""

    input_mb: float
    reading_mb: float
    whole_mb: float


@dataclass(slots=True)
class Figures:
    """All that was measured; `missing` says why a row has no figures."""

    scale: float
    rounds: int
    costs: dict[tuple[str, str], list[Cost]] = field(default_factory=dict)
    memory: dict[tuple[str, str], Memory] = field(default_factory=dict)
    input_mb: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    others: float = 0.0
    """The share of the machine that other work took meanwhile."""
    day: date = field(default_factory=lambda: datetime.now(UTC).date())

    def add(self, kind: str, key: str, cost: Cost) -> None:
        """Adds one run."""
        self.costs.setdefault((kind, key), []).append(cost)

    def of(self, kind: str, key: str) -> list[Cost] | None:
        """All rounds of a row; None where one is lacking."""
        costs = self.costs.get((kind, key), [])
        return costs if len(costs) == self.rounds else None

    def why(self, key: str) -> str:
        """Why a row has no figures."""
        return self.missing.get(key, "not run")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _verdict(value: float, bar: float, *, least: bool = False, unit: str = "") -> str:
    is_met = value >= bar if least else value <= bar
    return f"{'at least' if least else 'at most'} {bar:g}{unit}: {'met' if is_met else 'missed'}"


def _mark(tool: Tool, kind: str) -> str:
    return " (scaled)" if kind in tool.share else ""


def tools_table(figures: Figures) -> str:
    """How many times longer than the raw limit, and than ours, each tool takes."""
    head = ["tool", *(f"{kind}: x raw limit (x ours)" for kind in KINDS), "bar"]
    return table(head, [_tool_row(figures, tool) for tool in TOOLS])


def _tool_row(figures: Figures, tool: Tool) -> list[str]:
    cells, verdicts = [], []
    for kind in KINDS:
        costs, ours, raw = (figures.of(kind, key) for key in (tool.key, "ours", "raw"))
        if not costs or not ours or not raw:
            cells.append("")
            continue
        to_raw, to_ours = ratio(costs, raw), ratio(costs, ours)
        cells.append(f"{to_raw:.2f} ({to_ours:.2f}){_mark(tool, kind)}")
        if tool is TARGET:
            verdicts.append(f"{kind} {_verdict(to_raw, PLAIN_RATIO)}")
        elif tool.least is not None:
            verdicts.append(f"{kind} {_verdict(to_ours, tool.least, least=True)}")
    return [tool.title, *cells, "; ".join(verdicts) if any(cells) else figures.why(tool.key)]


def times_table(figures: Figures) -> str:
    """What stands behind the ratios."""
    head = ["tool"]
    for kind in KINDS:
        head += [f"{kind}: wall s", "CPU s", "peak MB"]
    rows = []
    for tool in TOOLS:
        cells = []
        for kind in KINDS:
            costs = figures.of(kind, tool.key)
            cost = median(costs) if costs else None
            mark = _mark(tool, kind)
            cells += (
                [f"{cost.wall:.2f}{mark}", f"{cost.cpu:.2f}{mark}", f"{cost.peak_mb:.0f}"]
                if cost
                else ["", "", ""]
            )
        rows.append([tool.title, *cells])
    return table(head, rows)


def cases_table(figures: Figures) -> str:
    """How many times longer than the plain stream each case takes."""
    head = [
        "case",
        *(f"{kind}: x plain (CPU)" for kind in KINDS),
        *(f"{kind}: wall s" for kind in KINDS),
        "bar",
    ]
    return table(head, [_case_row(figures, case) for case in CASES])


def _case_row(figures: Figures, case: Case) -> list[str]:
    ratios, seconds, verdicts = [], [], []
    for kind in KINDS:
        costs, ours = figures.of(kind, case.key), figures.of(kind, "ours")
        if not costs or not ours:
            ratios.append("")
            seconds.append("")
            continue
        to_plain, wall = ratio(costs, ours), median(costs).wall
        ratios.append(f"{to_plain:.2f} ({cpu_ratio(costs, ours):.2f})")
        seconds.append(f"{wall:.2f}")
        if case.most is not None:
            verdicts.append(f"{kind} {_verdict(to_plain, case.most)}")
        if case.seconds is not None:
            verdicts.append(f"{kind} {_verdict(wall, case.seconds, unit=' s')}")
    return [case.title, *ratios, *seconds, "; ".join(verdicts) if any(ratios) else figures.why(case.key)]


def memory_table(figures: Figures) -> str:
    """Peaks of our own process."""
    head = ["input", "of", "MB in", "decoded and staged: peak MB", "whole run: peak MB", "bar"]
    rows = []
    for load in LOADS:
        for kind in KINDS:
            one = figures.memory.get((kind, load.key))
            rows.append(
                [
                    load.title,
                    kind,
                    f"{one.input_mb:,.0f}",
                    f"{one.reading_mb:.0f}",
                    f"{one.whole_mb:.0f}",
                    _verdict(one.reading_mb, READING_PEAK_MB, unit=" MB"),
                ]
                if one
                else [load.title, kind, "", "", "", figures.why(f"memory:{load.key}")]
            )
    return table(head, rows)


def tables(figures: Figures) -> str:
    """All tables, each under its heading."""
    return "\n\n".join(
        [
            _when(figures),
            "## Against the raw limit and peers\n\n" + tools_table(figures),
            "The figures behind the ratios:\n\n" + times_table(figures),
            "## Our own cases\n\n" + cases_table(figures),
            "## Memory\n\n" + memory_table(figures),
        ]
    )


def _when(figures: Figures) -> str:
    scale = (
        ""
        if figures.scale == 1
        else f" **At {figures.scale:g} of the full size: start-up weighs more, and the bars say little.**"
    )
    inputs = ", ".join(f"{kind} {megabytes:.0f} MB" for kind, megabytes in figures.input_mb.items())
    ours = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"Measured on {figures.day}, {_machine()}, Python {platform.python_version()}, {ours}.\n"
        f"Inputs: {inputs}. Rounds in turn: {figures.rounds}. {quiet(figures.others)}{scale}"
    )


def quiet(others: float) -> str:
    """Whether the machine was left alone, from the share of it that other work took."""
    said = f"Other work took {others:.1%} of the machine meanwhile."
    return said if others <= QUIET else f"**{said} These are not its own figures.**"


def _machine() -> str:
    model = platform.processor() or platform.machine()
    if sys.platform == "linux":
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        model = found[1] if found else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GB of memory, {platform.system()}"


def _peer_versions(figures: Figures) -> str:
    lines = []
    for tool in TOOLS:
        if not tool.requires:
            continue
        names = {re.split(r"[\[= ]", one)[0] for one in tool.requires} | {"pyarrow", "singer-python"}
        found = [line for line in figures.versions.get(tool.key, "").split() if line.split("==")[0] in names]
        lines.append(f"- {tool.title}: {', '.join(found) or figures.why(tool.key)}")
    return "\n".join(lines)


def document(figures: Figures) -> str:
    """The text of docs/benchmarks.md."""
    shares = "; ".join(f"{kind} {share:g}" for kind, share in SLOW.items())
    return (
        (Path(__file__).parent / "document.md")
        .read_text(encoding="utf-8")
        .format(
            tables=tables(figures),
            shopify=(Path(__file__).parent / "shopify_section.md").read_text(encoding="utf-8").rstrip(),
            duties=table(["tool", "what its time buys"], [[tool.title, tool.duties] for tool in TOOLS]),
            versions=_peer_versions(figures),
            shares=shares,
            peak=READING_PEAK_MB,
            plain=PLAIN_RATIO,
            empty=EMPTY_SECONDS,
        )
    )
