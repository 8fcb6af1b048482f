"""Measures the target against the raw limit and its peers, in turn, and prints ratios.

make bench                                        all of it, at full size, with peers
make bench ARGS="--scale 0.1 --no-peers"          a tenth of it, ours and the raw limit alone
python -m benchmarks.run --write-docs             the same, and writes docs/benchmarks.md
python -m benchmarks.run --only interleaved dlt   these rows, with what they are compared with
python -m benchmarks.run --checkout parquet=DIR   a peer from its source, where its host is out of reach
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from benchmarks import cases, report, streams, tools
from benchmarks.measure import Clock, Cost, Failed, run, scaled

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".bench"
KEYS = [one.key for group in (tools.PEERS, cases.CASES) for one in group]


class Bench:
    """One go: a folder for inputs and outputs, and the figures as they come."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        """Installs the peers that are asked for."""
        self.options, self.folder = options, folder
        self.figures = report.Figures(options.scale, options.rounds)
        self.known = self._known_settings()
        self.places: dict[str, Path] = {}
        for tool in tools.TOOLS:
            if tool in tools.PEERS and not (options.peers and self.wanted(tool.key)):
                self.figures.missing[tool.key] = "not run"
                continue
            try:
                self.places[tool.key] = tools.install(tool, HOME, options.checkouts.get(tool.key))
                if tool.requires:
                    self.figures.versions[tool.key] = tools.versions(self.places[tool.key])
            except ValueError as error:
                self.figures.missing[tool.key] = f"cannot be installed: {error}"

    def wanted(self, key: str) -> bool:
        """Whether a row was asked for; ours and the raw limit always are."""
        return not self.options.only or key in self.options.only or key in ("ours", "raw")

    def _known_settings(self) -> set[str]:
        said = tools.output(tools.BIN / "target-lake-parquet", "--about", "--format=json")
        return set(json.loads(said)["settings"]["properties"])

    def speed(self, kind: str) -> None:
        """Runs every tool and case on one kind of stream, in turn, round after round."""
        count = cases.records_of(kind, self.options.scale)
        jobs = [tool for tool in tools.TOOLS if tool.key in self.places]
        chosen = [case for case in cases.CASES if self.wanted(case.key) and self._can(case.key, case.setting)]
        plain = self.write(kind, "plain", streams.plain(kind, count))
        self.figures.input_mb[kind] = plain.stat().st_size / 1e6
        inputs = {case.key: self.write(kind, case.key, case.lines(kind, count)) for case in chosen}
        for number in range(self.options.rounds):
            steps: list[tools.Tool | cases.Case] = [*jobs, *chosen]
            at = number * len(steps) // self.options.rounds
            for step in steps[at:] + steps[:at]:
                if step.key in self.figures.missing:
                    continue
                try:
                    if isinstance(step, tools.Tool):
                        cost = self.tool(step, kind, plain, count)
                    else:
                        cost = self.case(step, kind, inputs[step.key], count)
                except Failed as failure:
                    self.figures.missing[step.key] = f"failed: {failure}"
                    continue
                self.figures.add(kind, step.key, cost)
                tell(
                    f"round {number + 1}  {kind:7s} {step.key:14s} {cost.wall:8.2f} s  {cost.cpu:8.2f} s CPU"
                )
        self.clear()

    def _can(self, key: str, setting: str | None) -> bool:
        if setting is None or setting in self.known:
            return True
        self.figures.missing[key] = f"this version has no {setting}"
        return False

    def tool(self, tool: tools.Tool, kind: str, plain: Path, count: int) -> Cost:
        """One run of a tool; a slow one gets a part of the input and is scaled up."""
        share = tool.share.get(kind, 1.0)
        if share == 1:
            cost = self.once(tool, kind, plain)
            if tool is tools.TARGET:
                self.check_rows(count)
            return cost
        part = self.folder / f"{kind}-{share}.jsonl"
        if not part.exists():
            self.write(kind, str(share), streams.plain(kind, int(count * share)))
        none = self.folder / f"{kind}-none.jsonl"
        if not none.exists():
            self.write(kind, "none", streams.no_records(kind, 0))
        return scaled(self.once(tool, kind, part), self.once(tool, kind, none), share)

    def once(self, tool: tools.Tool, kind: str, source: Path) -> Cost:
        """One run of a tool over a file."""
        return run(tool.command(self.places[tool.key], self.output(), kind), source, env=tool.env)

    def case(self, case: cases.Case, kind: str, source: Path, count: int) -> Cost:
        """One run of ours over a case; its rows are counted afterwards."""
        command = tools.target(tools.BIN, self.output(), kind, **case.config)
        cost = run(command, source, piped=case.piped)
        self.check_rows(case.rows(count))
        return cost

    def check_rows(self, expected: int) -> None:
        """A fast run that loses rows is no run.

        Raises:
            Failed: the lake does not hold the rows that were sent.
        """
        (record,) = (self.folder / "out/_meta/runs").glob("*.json")
        datasets = json.loads(record.read_text())["datasets"]
        rows = sum(one["row_count"] for one in datasets if "__" not in one["dataset"])
        if rows != expected:
            raise Failed(f"{rows} rows in the lake, {expected} were to be there")

    def memory(self, kind: str) -> None:
        """Runs ours once over every input whose memory is shown."""
        for load in cases.LOADS:
            if self.options.only and f"memory:{load.key}" not in self.options.only:
                continue
            if not self._can(f"memory:{load.key}", load.setting):
                continue
            count = cases.records_of(kind, self.options.scale, is_big=load.is_big)
            source = self.write(kind, load.key, load.lines(kind, count))
            told = self.folder / "reading.json"
            _, *arguments = tools.target(tools.BIN, self.output(), kind, **load.config)
            try:
                cost = run([sys.executable, "-m", "benchmarks.reading_peak", told, *arguments], source)
            except Failed as failure:
                self.figures.missing[f"memory:{load.key}"] = f"failed: {failure}"
                self.clear()
                continue
            peak = json.loads(told.read_text())["reading_peak_mb"]
            size = source.stat().st_size / 1e6
            self.figures.memory[kind, load.key] = report.Memory(size, peak, cost.peak_mb)
            tell(f"memory   {kind:7s} {load.key:14s} {peak:8.0f} MB  {cost.peak_mb:8.0f} MB in all")
            self.clear()

    def write(self, kind: str, name: str, lines: Iterable[bytes]) -> Path:
        """Writes an input; returns its path."""
        path = self.folder / f"{kind}-{name}.jsonl"
        with path.open("wb", buffering=1 << 20) as out:
            out.writelines(lines)
        return path

    def output(self) -> Path:
        """An empty folder to write into."""
        folder = self.folder / "out"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def clear(self) -> None:
        """Removes all inputs and outputs."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()


def tell(line: str) -> None:
    """Says how far it is, where it does not mix with the tables."""
    print(line, file=sys.stderr, flush=True)


def _checkout(text: str) -> tuple[str, Path]:
    """A peer's key, and the folder that it is installed from."""
    key, _, folder = text.partition("=")
    installed = [tool.key for tool in tools.PEERS if tool.requires]
    if key not in installed or not folder or not Path(folder).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(installed)}, '=', and a folder")
    return key, Path(folder)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full size (1)")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything runs (3)")
    rows = [*KEYS, *(f"memory:{load.key}" for load in cases.LOADS)]
    parser.add_argument("--only", nargs="+", choices=rows, metavar="ROW", help=f"of {', '.join(rows)}")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument(
        "--checkout",
        dest="checkouts",
        action="append",
        default=[],
        type=_checkout,
        metavar="PEER=FOLDER",
        help="install this peer from a folder with its source",
    )
    parser.add_argument("--write-docs", action="store_true", help="write docs/benchmarks.md")
    options = parser.parse_args()
    options.checkouts = dict(options.checkouts)
    if options.write_docs and (options.only or not options.peers):
        parser.error("--write-docs wants every row: leave --only and --no-peers out")
    if options.scale <= 0 or options.rounds < 1:
        parser.error("--scale must be greater than 0, and --rounds at least 1")
    return options


def main() -> None:
    """Measures, prints, and writes the document if asked."""
    options = parsed()
    os.chdir(ROOT)
    HOME.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HOME, prefix="work-") as folder:
        bench = Bench(options, Path(folder) / "files")
        bench.folder.mkdir()
        before = Clock.now()
        if not options.only or any(row in KEYS for row in options.only):
            for kind in streams.KINDS:
                bench.speed(kind)
        if sys.platform == "linux":
            for kind in streams.KINDS:
                bench.memory(kind)
    bench.figures.others = Clock.now().others(before)
    print(report.tables(bench.figures))
    if options.write_docs:
        (ROOT / "docs/benchmarks.md").write_text(report.document(bench.figures), encoding="utf-8")


if __name__ == "__main__":
    main()
