"""Measures the target against the raw limit, in turn, and prints ratios: single times mean little here.

make bench                                  both streams at their full size
python benchmarks/run.py --scale 0.1        a tenth of it
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
SIZES = {"orders": 100_000, "narrow": 1_000_000}
ROUNDS = 3


def seconds(command: list[str], source: Path) -> float:
    """Runs a command to its end with `source` as its input; its wall time."""
    with source.open("rb") as stdin:
        start = time.perf_counter()
        subprocess.run(command, stdin=stdin, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - start


def measure(kind: str, count: int, folder: Path) -> None:
    """Runs both in turn and prints one line."""
    source = folder / f"{kind}.jsonl"
    with source.open("wb") as out:
        subprocess.run([sys.executable, HERE / "streams.py", kind, str(count)], stdout=out, check=True)
    ours, raw = [], []
    for number in range(ROUNDS):
        config = folder / f"{kind}{number}.json"
        config.write_text(json.dumps({"lake_root": str(folder / f"lake-{kind}{number}")}))
        ours.append(seconds([str(BIN / "target-lake-parquet"), "--config", str(config)], source))
        raw.append(seconds([sys.executable, str(HERE / "raw_limit.py"), kind], source))
    ratio = statistics.median(a / b for a, b in zip(ours, raw, strict=True))
    size = source.stat().st_size / 1e6
    print(
        f"{kind:8s} {count:>9,} records {size:6.0f} MB   target {statistics.median(ours):6.2f} s   "
        f"raw limit {statistics.median(raw):6.2f} s   target / raw limit {ratio:5.2f}"
    )


def main() -> None:
    """Measures every stream."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full size")
    scale = parser.parse_args().scale
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, median of {ROUNDS} rounds in turn")
    with tempfile.TemporaryDirectory() as folder:
        for kind, count in SIZES.items():
            measure(kind, int(count * scale), Path(folder))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"largest process: {peak:,.0f} MiB")


if __name__ == "__main__":
    main()
