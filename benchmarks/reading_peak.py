"""The target, which also writes down its peak memory when all input is decoded and staged. Linux.

    python -m benchmarks.reading_peak figures.json --config config.json < orders.jsonl

The kernel keeps a process's peak. It is read between `Run.read` and `Run.finish`: it holds start-up,
decoding and staging, and nothing of the commit. Only memory is measured this way, never time.
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import BinaryIO

from target_lake_parquet.run import Run
from target_lake_parquet.target import TargetLakeParquet


def peak_mb() -> float:
    """This process's peak so far, in megabytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if found is None:
        raise OSError("this system does not tell a process's peak")
    return int(found[1]) * 1024 / 1e6


def main() -> None:
    """Runs the target with the arguments that follow the file's name."""
    report = Path(sys.argv.pop(1))
    read = Run.read

    def read_and_tell(run: Run, source: BinaryIO) -> Counter[str]:
        counts = read(run, source)
        report.write_text(json.dumps({"reading_peak_mb": peak_mb()}))
        return counts

    Run.read = read_and_tell  # type: ignore[assignment, method-assign]
    TargetLakeParquet.cli()


if __name__ == "__main__":
    main()
