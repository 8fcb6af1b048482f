"""The target's entry, `target-lake-parquet`: signals are heard from the start, for imports take a while."""

import contextlib
import gc
import os
import signal
from types import FrameType

STDERR = 2


def main() -> None:
    """Runs the target's command line."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    gc.disable()  # imports leave no garbage: rounds over what they made took a tenth of the start
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # where numpy is there, it would start threads
    from target_lake_parquet.target import TargetLakeParquet  # noqa: PLC0415 - it imports all libraries

    TargetLakeParquet.cli()


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's signature
    """Ends a command that has not begun: at once, for an exception would end in whatever is imported now."""
    name = signal.Signals(number).name
    with contextlib.suppress(OSError):
        os.write(STDERR, f"Error: stopped by {name} while starting: nothing was read\n".encode())
    os._exit(128 + number)


if __name__ == "__main__":
    main()
