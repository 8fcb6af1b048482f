"""What `lake` tells of a target that runs, and of one that was killed: neither has written its record."""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from lake_parquet.cli import main
from lake_parquet.files import is_held, try_lock
from lake_parquet.recover import FIRST_LOAD
from tests.target.command import Place
from tests.target.orders import CHANGES, change
from tests.target.test_durable import EACH, killed, mark


def lake(place: Place, *argv: str) -> Result:
    return CliRunner().invoke(main, [*argv, "--lake", str(place.root)])


def parsed(place: Place, *argv: str) -> Any:
    return json.loads(lake(place, *argv, "--json").stdout)


def died(place: Place) -> str:
    """The dead run's id; its lock is made older than the moment in which a run may be about to begin."""
    (run,) = place.staged()
    os.utime(place.root / ".staging" / run / "lock", (0, 0))
    return run


def waiting(rows: int) -> dict[str, Any]:
    return {"dataset": "orders", "stream": "orders", "status": "waiting", "rows_read": rows, "proof": "open"}


def unfinished(place: Place) -> list[dict[str, Any]]:
    """What `lake runs` tells of runs without a record, the oldest first."""
    runs = sorted(parsed(place, "runs"), key=lambda run: run["run_id"])
    return [run for run in runs if run["status"] in ("running", "died")]


def facts(run: dict[str, Any]) -> dict[str, Any]:
    """What is known of an unfinished run, without what nobody knows yet."""
    run["datasets"] = [{name: one[name] for name in waiting(0)} for one in run["datasets"]]
    del run["started_at"]
    return {name: value for name, value in run.items() if value is not None}


def test_a_killed_run_with_rows_that_wait_is_odd_and_an_alarm_until_a_run_publishes_them(
    place: Place,
) -> None:
    place.good(CHANGES, change(1, "old"), mark("orders", 1), tap="tap-x")
    killed(place, CHANGES, change(2, "new", 2), mark("orders", 2), tap="tap-x")
    run = died(place)
    known = {"run_id": run, "status": "died", "tap": "tap-x", "datasets": [waiting(1)]}

    assert [facts(one) for one in unfinished(place)] == [known]
    assert facts(parsed(place, "runs")[-1]) == known
    told = lake(place, "ls").stderr.splitlines()[-2:]
    text = (
        f"the run {run} of tap-x began 0 s ago and died; 1 row of orders wait: the next run publishes what "
    )
    assert [line.replace(seconds(line), "0 s") for line in told] == [
        "odd: 1 run died",
        f"died: {text}it left, or lake recover",
    ]
    checked = lake(place, "check")
    assert checked.exit_code == 1
    assert checked.stdout.startswith(f"died: the run {run} of tap-x began ")
    (alarm,) = parsed(place, "check")
    assert (alarm["run"], alarm["alarm"]) == (run, "died")
    assert lake(place, "check", "--ignore", "ord*").stdout == "missing: *: no dataset matches\n"

    place.good(mark("orders", 2), CHANGES, change(3, "newest", 3), mark("orders", 3))
    assert unfinished(place) == []
    assert lake(place, "check").exit_code == 0


def seconds(line: str) -> str:
    """The time in a line that tells `began 3 s ago`, or something that is not in it."""
    return line.partition(" began ")[2].partition(" ago ")[0] or "\0"


def test_rows_of_a_first_load_that_was_killed_are_told_though_there_is_no_dataset_yet(place: Place) -> None:
    killed(place, CHANGES, change(1, "a"), change(2, "b", 2), mark("orders", 2))
    run = died(place)
    told = lake(place, "ls").stderr.splitlines()
    assert told[0] == f"The lake at {place.root} holds no snapshot yet."
    assert told[1].startswith(f"died: the run {run} ")
    assert "2 rows of orders wait" in told[1]
    assert lake(place, "check").exit_code == 1


def test_a_run_that_was_killed_before_anything_was_durable_is_told_too(place: Place) -> None:
    place.good(CHANGES, change(1, "old"), mark("orders", 1))
    killed(place, CHANGES, change(2, "new", 2))
    run = died(place)
    assert [facts(one) for one in unfinished(place)] == [{"run_id": run, "status": "died", "datasets": []}]
    shown = lake(place, "runs").stdout.splitlines()[1]
    assert run in shown
    assert shown.endswith("it left no rows that wait: the next run begins at the last bookmark")
    assert lake(place, "check").exit_code == 1


def test_a_run_that_goes_on_is_told_and_no_alarm(place: Place) -> None:
    place.good(CHANGES, change(1, "old"), mark("orders", 1))
    with place.feeding("target-lake-parquet", "--config", place.configured(**EACH)) as process:
        process.feed(f"{CHANGES}\n{change(2, 'new', 2)}\n{mark('orders', 2)}\n".encode())
        deadline = time.monotonic() + 30
        while not (place.folder / "stdout").read_text():
            assert time.monotonic() < deadline, process.err()
            time.sleep(0.01)
        run = died(place)  # its lock's age alone is none
        known = {"run_id": run, "status": "running", "datasets": [waiting(1)]}
        assert [facts(one) for one in unfinished(place)] == [known]
        told = lake(place, "ls").stderr.splitlines()[-2:]
        assert told[0] == "nothing odd"
        assert told[1].startswith(f"running: the run {run} began ")
        assert told[1].endswith("; durable so far: 1 row of orders")
        assert lake(place, "check").exit_code == 0
        assert process.end().code == 0
    assert unfinished(place) == []


def test_a_run_that_is_about_to_begin_is_not_taken_for_a_dead_one(place: Place) -> None:
    place.good(CHANGES, change(1, "old"), mark("orders", 1))
    folder = place.root / ".staging" / "20260101T000000000000Z-00000a"
    folder.mkdir()
    assert lake(place, "check").exit_code == 0
    (folder / "lock").touch()
    assert [one["status"] for one in unfinished(place)] == ["running"]
    (folder / "lock").unlink()
    (folder / "lock").symlink_to(place.root / "nowhere")
    assert unfinished(place) == []


def test_looking_at_a_lock_all_the_time_keeps_nobody_from_taking_it(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            is_held(lock)

    lookers = [threading.Thread(target=look) for _ in range(4)]
    for one in lookers:
        one.start()
    missed = 0
    for _ in range(300):
        taken = try_lock(lock)
        if taken is None:
            missed += 1
        else:
            os.close(taken)
    ended.set()
    for one in lookers:
        one.join()
    assert missed == 0
    taken = try_lock(lock)
    assert taken is not None
    assert (is_held(lock), try_lock(lock)) == (True, None)
    os.close(taken)
    assert not is_held(lock)


def test_recover_tells_of_rows_that_go_on_waiting_and_what_publishes_them(place: Place) -> None:
    killed(place, CHANGES, change(1, "a"), change(2, "b", 2), mark("orders", 2))
    killed(place, mark("orders", 2), CHANGES, change(3, "c", 3), mark("orders", 3))
    result = lake(place, "recover")
    assert (result.exit_code, result.stdout) == (1, f"orders: held, 3 rows waiting: {FIRST_LOAD}\n")
    assert "`lake recover --publish-incomplete`" in FIRST_LOAD
    assert lake(place, "recover", "--publish-incomplete").exit_code == 0
    assert len(place.rows("orders")) == 3
    assert unfinished(place) == []
