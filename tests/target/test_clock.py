"""A clock that jumps back, by libfaketime under the real command: names go on growing, and no row is lost."""

import signal
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from lake_parquet import paths
from tests.processes import PATIENCE
from tests.target.command import BIN, ENV, Place
from tests.target.messages import bookmark
from tests.target.orders import CHANGES, change

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)

pytestmark = pytest.mark.skipif(LIBRARY is None, reason="libfaketime, which moves the clock, is not here")


class Clock:
    """The clock of the processes that get its `env`; `set` moves it while they run."""

    def __init__(self, folder: Path) -> None:
        """Begins with the true time."""
        self._file = folder / "clock"
        self.set("+0")
        self.env = {
            **ENV,
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, offset: str) -> None:
        """Moves it against the true time."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(offset + "\n")
        fresh.replace(self._file)


@pytest.fixture
def clock(place: Place) -> Clock:
    return Clock(place.folder)


def lines(day: int) -> bytes:
    sent = [CHANGES, change(day, f"day {day}"), bookmark("orders", f"2026-01-{day:02d}")]
    return "".join(line + "\n" for line in sent).encode()


def start(place: Place, clock: Clock) -> subprocess.Popen[bytes]:
    argv = [str(BIN / "target-lake-parquet"), "--config", place.configured(checkpoint_seconds=0)]
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, env=clock.env, cwd=place.folder)


def run(place: Place, clock: Clock, day: int) -> None:
    with start(place, clock) as process:
        _, err = process.communicate(lines(day), timeout=PATIENCE)
    assert process.returncode == 0, err.decode()


def begin(process: subprocess.Popen[bytes], day: int) -> None:
    """Feeds a day, and waits until its STATE is printed."""
    assert process.stdin
    assert process.stdout
    process.stdin.write(lines(day))
    process.stdin.flush()
    assert f"2026-01-{day:02d}".encode() in process.stdout.readline()


def assert_whole(place: Place, days: int, snapshots: int) -> None:
    assert [row["name"] for row in place.rows("orders")] == [f"day {day}" for day in range(1, days + 1)]
    names = place.names("orders")
    assert (len(set(names)), names) == (snapshots, sorted(names))


def test_a_clock_that_goes_back_between_runs(place: Place, clock: Clock) -> None:
    for day, offset in enumerate(["+0", "-1h", "-25h", "-1h"], start=1):
        clock.set(offset)
        before = place.names("orders") if day > 1 else []
        run(place, clock, day)
        assert place.names("orders")[: len(before)] == before
        assert_whole(place, day, day)
    started = sorted(path.name for path in (place.root / "_meta" / "runs").glob("*.json"))
    first, last = (paths.run_moment(name) for name in (started[0], started[-1]))
    assert first
    assert last
    assert last - first > timedelta(hours=24)


def test_a_clock_that_goes_back_in_mid_run(place: Place, clock: Clock) -> None:
    run(place, clock, 1)
    with start(place, clock) as process:
        begin(process, 2)
        clock.set("-1h")
        _, err = process.communicate(lines(3), timeout=PATIENCE)
    assert process.returncode == 0, err.decode()
    assert place.record()["finished_at"] < place.record()["started_at"]
    assert_whole(place, 3, 2)


def test_a_clock_that_goes_back_and_a_run_that_dies_then(place: Place, clock: Clock) -> None:
    run(place, clock, 1)
    with start(place, clock) as process:
        begin(process, 2)
        clock.set("-1h")
        begin(process, 3)
        process.send_signal(signal.SIGKILL)
    run(place, clock, 4)
    assert_whole(place, 4, 3)
    assert place.staged() == []
