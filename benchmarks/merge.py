"""What an upsert takes on top of a large snapshot, against a plain copy of the same file by Polars.

    python -m benchmarks.merge                      20 million rows; 1 %, half and all of them change
    python -m benchmarks.merge --rows 1000000 --shares 0.01 --rounds 3

Each figure is a whole process: start-up, staging of the rows that changed, merging, syncing and publishing.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from benchmarks.measure import Cost, cpu_ratio, median, ratio, run

HOME = Path(__file__).parents[1] / ".bench"
BLOCK_ROWS = 250_000
BARS = {0.01: (1.5, 700), 1.0: (None, 1_500)}
"""Of a share of rows: at most so many times the wall time of a copy, and at most so many MiB."""


def rows(count: int, step: int, version: int) -> Iterator[pl.DataFrame]:
    """Every `step`th of `count` rows, in blocks, in an order that is not that of the keys."""
    for first in range(0, count, BLOCK_ROWS * step):
        ids = pl.int_range(first, min(first + BLOCK_ROWS * step, count), step, eager=True).alias("id")
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        yield ids.to_frame().select(
            pl.col("id").alias("\0row"),
            (pl.col("id") * 7_919 % count).alias("id"),
            pl.format("name {} of {}", pl.col("id") % 99_991, pl.lit(version)).alias("name"),
            (pl.col("id") / 8 + version).alias("amount"),
            (pl.col("id") % 2 == 0).alias("is_open"),
            (pl.lit(moment) + pl.duration(seconds=pl.col("id") // 4)).alias("updated_at"),
        )


def load(root: Path, count: int, step: int, version: int) -> None:
    """Publishes the rows as a run of a keyed incremental stream does."""
    from lake_parquet import Lake  # noqa: PLC0415 - the measuring process stays small
    from lake_parquet.commit import Committer  # noqa: PLC0415 - same
    from lake_parquet.family import Family, Member  # noqa: PLC0415 - same
    from lake_parquet.footer import Owner  # noqa: PLC0415 - same
    from lake_parquet.paths import run_id  # noqa: PLC0415 - same
    from lake_parquet.policy import StreamFacts  # noqa: PLC0415 - same
    from lake_parquet.staging import Staging  # noqa: PLC0415 - same

    store, owner = Lake(root).store, Owner("rows")
    run = run_id(datetime.now(UTC), f"{version:06x}")
    staging, read = Staging(store.workplace, run), 0
    for block in rows(count, step, version):
        staging.append("rows", block)
        read += block.height
    facts = StreamFacts(owner=owner, keys=("id",), proof="proven", incremental=True, load_method="upsert")
    member = Member("rows", owner, ("id",), rows_read=read)
    (summary,) = Committer(store, staging, run).commit(Family(member), facts)
    staging.close()
    changed = read if version else 0
    if (summary.status, summary.row_count, summary.rows_updated) != ("published", count, changed):
        sys.exit(
            f"{summary.status}: {summary.row_count} rows, {summary.rows_updated} updated: {summary.notes}"
        )


def copy(source: Path, to: Path) -> None:
    """Reads and writes a file by Polars, as it streams."""
    pl.scan_parquet(source).sink_parquet(to, compression="zstd")


def measured(folder: Path, count: int, share: float, rounds: int) -> tuple[list[Cost], list[Cost]]:
    """A merge of this share of the rows and a plain copy, in turn."""
    nothing = folder / "nothing"
    nothing.touch()
    merges, copies = [], []
    step = round(1 / share)
    (base,) = (folder / "lake/raw/rows").glob("*.parquet")
    for _ in range(rounds):
        lake = folder / "next"
        shutil.copytree(folder / "lake", lake, copy_function=os.link)
        own = [sys.executable, "-m", "benchmarks.merge"]
        merges.append(run([*own, "--load", lake, "--rows", str(count), "--step", str(step)], nothing))
        copies.append(run([*own, "--copy", base, folder / "copy.parquet"], nothing))
        shutil.rmtree(lake)
    return merges, copies


def table(found: dict[float, tuple[list[Cost], list[Cost]]]) -> str:
    """The figures in Markdown."""
    lines = [
        "| rows that change | wall s | CPU s | peak MiB | x a plain copy, wall (CPU) | bar |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for share, (merges, copies) in found.items():
        cost = median(merges)
        peak = cost.peak_mb * 1e6 / 2**20
        most, memory = BARS.get(share, (None, 1_500))
        by_wall = ratio(merges, copies)
        good = peak <= memory and (most is None or by_wall <= most)
        bar = f"at most {most} x and {memory} MiB" if most else f"at most {memory} MiB"
        lines.append(
            f"| {share:.0%} | {cost.wall:.1f} | {cost.cpu:.1f} | {peak:.0f} "
            f"| {by_wall:.2f} ({cpu_ratio(merges, copies):.2f}) | {bar}: {'met' if good else 'missed'} |"
        )
    plain = median([one for _, copies in found.values() for one in copies])
    lines.append(
        f"| plain copy | {plain.wall:.1f} | {plain.cpu:.1f} | {plain.peak_mb * 1e6 / 2**20:.0f} | 1 | |"
    )
    return "\n".join(lines)


def main() -> None:
    """Builds the snapshot, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.01, 0.5, 1.0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--step", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--copy", type=Path, nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.load:
        load(asked.load, asked.rows, asked.step, version=1 if (asked.load / "raw").exists() else 0)
    elif asked.copy:
        copy(*asked.copy)
    else:
        HOME.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=HOME, prefix="merge-") as folder:
            command = [sys.executable, "-m", "benchmarks.merge", "--load", f"{folder}/lake"]
            subprocess.run([*command, "--rows", str(asked.rows)], check=True)
            found = {share: measured(Path(folder), asked.rows, share, asked.rounds) for share in asked.shares}
        print(table(found))


if __name__ == "__main__":
    main()
