"""How a run ends: signals, kill -9, full disks, closed pipes; by the forked command and the installed one."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from target_lake_parquet.cli import may_unwind
from tests.target.command import BIN, ENV, Place, assert_clear
from tests.target.messages import (
    bookmark,
    record,
    state,
)
from tests.target.orders import CHANGES, ORDERS, change


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_in_mid_stream_publishes_nothing_and_says_so(
    place: Place, number: signal.Signals, code: int
) -> None:
    place.good(CHANGES, change(1, "old"), bookmark("orders", "2026-01-01"))
    with place.feeding("target-lake-parquet", "--config", place.configured()) as process:
        process.feed(f"{CHANGES}\n{change(1, 'new')}\n{bookmark('orders', '2026-01-02')}\n".encode())
        process.await_read()
        started = time.monotonic()
        process.forked.send_signal(number)
        process.forked.send_signal(number)  # Ctrl-C under Meltano comes twice
        ended = process.end()
    assert time.monotonic() - started < 5
    assert (ended.code, ended.out) == (code, "")
    assert f"Error: stopped by {number.name}" in ended.err
    assert "Traceback" not in ended.err
    assert [row["name"] for row in place.rows("orders")] == ["old"]
    assert (place.staged(), place.record()["status"]) == ([], "failed")


@pytest.mark.parametrize("library", ["click", "singer_sdk", "polars"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_while_libraries_are_imported_says_so(
    tmp_path: Path, library: str, number: signal.Signals, code: int
) -> None:
    (tmp_path / f"{library}.py").write_text(f"import os\nos.kill(os.getpid(), {int(number)})\n")
    for command in ([BIN / "target-lake-parquet"], [sys.executable, "-m", "target_lake_parquet"]):
        ended = subprocess.run(
            command, env={**ENV, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
        )
        assert (ended.returncode, ended.stdout) == (code, "")
        assert ended.stderr == f"Error: stopped by {number.name} while starting: nothing was read\n"


def test_after_kill_9_the_next_run_heals_and_clears_up(place: Place) -> None:
    place.good(CHANGES, change(1, "old"), bookmark("orders", "2026-01-01"))
    with place.feeding("target-lake-parquet", "--config", place.configured()) as process:
        process.feed(f"{CHANGES}\n{change(1, 'new', 2)}\n".encode())
        process.await_read()
        process.forked.send_signal(signal.SIGKILL)
        assert process.end().code == -signal.SIGKILL
    assert len(place.staged()) == 1
    assert [row["name"] for row in place.rows("orders")] == ["old"]
    place.good(CHANGES, change(1, "new", 2), bookmark("orders", "2026-01-02"))
    assert [row["name"] for row in place.rows("orders")] == ["new"]
    assert place.staged() == []


def test_runs_that_start_and_sweep_at_once_do_not_take_each_others_staging(place: Place) -> None:
    with place.feeding("target-lake-parquet", "--config", place.configured()) as first:
        first.feed(f"{ORDERS}\n{record('orders', id=1, name='a')}\n".encode())
        first.await_read()
        place.config = {"source": "other"}
        place.good(ORDERS, record("orders", id=2, name="b"))
        assert len(place.staged()) == 1
        first.close()
        assert first.forked.wait() == 0
    assert place.datasets() == ["orders", "other_orders"]


def installed(place: Place, lines: list[str], **streams: Any) -> subprocess.CompletedProcess[bytes]:
    argv = [str(BIN / "target-lake-parquet"), "--config", place.configured()]
    data = "".join(line + "\n" for line in lines).encode()
    return subprocess.run(argv, input=data, env=ENV, cwd=place.folder, check=False, timeout=60, **streams)


def test_the_installed_command_does_what_the_forked_one_does(place: Place) -> None:
    end = bookmark("orders", "2026-01-01")
    ended = installed(place, [CHANGES, change(1, "a"), end], capture_output=True)
    assert (ended.returncode, json.loads(ended.stdout)) == (0, json.loads(end)["value"])
    assert len(place.rows("orders")) == 1


def test_a_full_disk_behind_stdout_is_one_line(place: Place) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = installed(
            place, [ORDERS, record("orders", id=1), state({})], stdout=full, stderr=subprocess.PIPE
        )
    err = ended.stderr.decode()
    assert ended.returncode == 1
    assert_clear(err)
    assert "Exception ignored" not in err
    assert "No space left on device" in err
    assert len(place.rows("orders")) == 1


def test_a_closed_stdout_is_one_line(place: Place) -> None:
    read, write = os.pipe()
    os.close(read)
    ended = installed(
        place, [ORDERS, record("orders", id=1), state({})], stdout=write, stderr=subprocess.PIPE
    )
    os.close(write)
    err = ended.stderr.decode()
    assert ended.returncode == 1
    assert_clear(err)
    assert "Exception ignored" not in err
    assert "the state could not be printed (Broken pipe)" in err


@contextlib.contextmanager
def broken_stderr(kind: str) -> Iterator[dict[str, Any]]:
    """How to start a process whose stderr is a full disk, a pipe that nobody reads, or not there at all."""
    if kind == "none":
        yield {"preexec_fn": lambda: os.close(2)}
        return
    read, write = os.pipe()
    os.close(read)
    with Path("/dev/full").open("wb") as full:
        yield {"stderr": full if kind == "full" else write}
    os.close(write)


@pytest.mark.parametrize("kind", ["full", "unread", "none"])
def test_a_broken_stderr_changes_nothing_but_what_is_seen(place: Place, kind: str) -> None:
    end = bookmark("orders", "2026-01-01")
    with broken_stderr(kind) as streams:
        ended = installed(place, [CHANGES, change(1, "a"), end], stdout=subprocess.PIPE, **streams)
        assert (ended.returncode, json.loads(ended.stdout)) == (0, json.loads(end)["value"])
        assert [row["name"] for row in place.rows("orders")] == ["a"]
        ended = installed(place, [CHANGES, "{"], stdout=subprocess.PIPE, **streams)
        assert (ended.returncode, ended.stdout) == (1, b"")
        usage = [str(BIN / "target-lake-parquet"), "--config", "missing.json"]
        assert subprocess.run(usage, env=ENV, check=False, timeout=60, **streams).returncode == 2
        care = [str(BIN / "lake"), "show", "nothing", "--lake", str(place.root)]
        assert subprocess.run(care, env=ENV, check=False, timeout=60, **streams).returncode == 1


def test_a_disk_that_fills_up_publishes_nothing(place: Place) -> None:
    rows = [record("orders", id=i, name=f"{i * 7919:x}" * 4) for i in range(20_000)]

    def small() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    ended = installed(place, [ORDERS, *rows, state({})], capture_output=True, preexec_fn=small)
    err = ended.stderr.decode()
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert_clear(err)
    assert place.datasets() == []
    assert place.staged() == []


def test_a_signal_below_native_code_is_not_an_exception_there() -> None:
    seen: list[bool] = []

    def callback(value: int) -> int:
        seen.append(may_unwind(sys._getframe()))
        return value

    pl.Series([1]).map_elements(callback, return_dtype=pl.Int64)
    callback(1)
    assert seen == [False, True]
