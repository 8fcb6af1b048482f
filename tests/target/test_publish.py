"""Many streams of a run: committed beside each other, told in their order, stopped with a true record."""

import fcntl
import itertools
import json
import signal
import threading
import time

import pytest

from lake_parquet.runs import DatasetSummary
from lake_parquet.store import TurnTaken
from target_lake_parquet.publish import Publisher
from tests.target.command import Place
from tests.target.messages import KEY, MOMENT, STRING, bookmark, record, schema
from tests.target.test_durable import killed

MANY = [f"s{number:02d}" for number in range(40)]
PROPERTIES = {"id": KEY, "name": STRING, "updated_at": MOMENT}


def opened(stream: str) -> str:
    return schema(stream, PROPERTIES, bookmarks=["updated_at"])


def row(stream: str, identity: int, name: str) -> str:
    return record(stream, id=identity, name=name, updated_at=f"2026-01-{identity:02d}T00:00:00Z")


def marks(*streams: str, day: int) -> str:
    each = {
        name: {"replication_key": "updated_at", "replication_key_value": f"2026-01-{day:02d}"}
        for name in streams
    }
    return json.dumps({"type": "STATE", "value": {"bookmarks": each}})


def test_every_stream_of_many_is_published_and_told_in_its_order(place: Place) -> None:
    lines = [opened(name) for name in MANY]
    lines += [row(name, at, f"{name} {at}") for at, name in itertools.product((1, 2), MANY)]
    place.good(*lines, marks(*MANY, day=2))
    assert [one["dataset"] for one in place.record()["datasets"]] == MANY
    assert {one["status"] for one in place.record()["datasets"]} == {"published"}
    assert {name: [one["name"] for one in place.rows(name)] for name in MANY} == {
        name: [f"{name} 1", f"{name} 2"] for name in MANY
    }


def test_a_signal_among_many_commits_leaves_what_the_record_says(place: Place) -> None:
    """Another writer is at the last stream: this run waits for it when the signal comes."""
    lines = [opened(name) for name in MANY] + [row(name, 1, "a") for name in MANY] + [marks(*MANY, day=1)]
    place.good(opened("other"), row("other", 1, "a"), bookmark("other", "2026-01-01"))
    (locks,) = {path.parent for path in place.root.rglob("other.lock")}
    with (locks / f"{MANY[-1]}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with place.feeding("target-lake-parquet", "--config", place.configured()) as process:
            process.feed("".join(line + "\n" for line in lines).encode())
            process.close()
            while len(list((place.root / "raw").iterdir())) < 20:
                time.sleep(0.002)
            process.forked.send_signal(signal.SIGTERM)
            ended = process.end()
    assert (ended.code, ended.out) == (143, "")
    told = {one["dataset"] for one in place.record()["datasets"] if one["status"] == "published"}
    assert told == set(place.datasets()) - {"other"}
    assert {one["dataset"] for one in place.record()["datasets"]} == set(MANY)
    place.good(*lines)
    assert place.datasets() == ["other", *MANY]


def test_rows_of_two_streams_that_one_dead_run_left_are_both_taken_up(place: Place) -> None:
    """A first load waits for the run that reads to its end; a dead run's folder is open to one at a time."""
    two = [opened("a"), opened("b")]
    killed(place, *two, row("a", 1, "kept"), row("b", 1, "kept"), marks("a", "b", day=1))
    assert place.datasets() == []
    place.good(marks("a", "b", day=1), *two, row("a", 2, "new"), row("b", 2, "new"), marks("a", "b", day=2))
    assert {name: [one["name"] for one in place.rows(name)] for name in ("a", "b")} == {
        "a": ["kept", "new"],
        "b": ["kept", "new"],
    }
    assert place.staged() == []


class Commits:
    """Commits that note which others were under way; `slow` ones take their time."""

    def __init__(self, *, taken: str = "", broken: str = "") -> None:
        self.under_way: set[str] = set()
        self.beside: dict[str, set[str]] = {}
        self.threads: dict[str, bool] = {}
        self.taken, self.broken = taken, broken

    def __call__(self, name: str, *, waits: bool) -> list[DatasetSummary]:
        if name == self.taken and not waits:
            raise TurnTaken(name)
        if name == self.broken:
            raise OSError(28, "No space left on device")
        self.threads[name] = threading.current_thread() is not threading.main_thread()
        self.under_way.add(name)
        self.beside[name] = self.under_way - {name}
        time.sleep(0.02)
        self.under_way.discard(name)
        return [DatasetSummary(dataset=name, stream=name, status="published")]


def told(summaries: list[list[DatasetSummary]]) -> list[str]:
    return [one.dataset for some in summaries for one in some]


def test_a_large_stream_is_committed_alone() -> None:
    commits = Commits()
    publisher = Publisher(commits, lambda name: name != "large")
    assert told(list(publisher.publish(["a", "b", "large", "c", "d"]))) == [
        "a",
        "b",
        "large",
        "c",
        "d",
    ]
    assert commits.beside["large"] == set()
    assert all("large" not in others for others in commits.beside.values())
    assert commits.threads == {"a": True, "b": True, "large": False, "c": True, "d": True}


def test_another_writer_is_waited_for_where_a_signal_is_heard() -> None:
    commits = Commits(taken="b")
    assert told(list(Publisher(commits, lambda _: True).publish(["a", "b", "c"]))) == ["a", "b", "c"]
    assert commits.threads == {"a": True, "b": False, "c": True}


def test_a_disk_that_fails_ends_the_commits_and_what_was_done_is_told() -> None:
    commits = Commits(broken="b")
    publisher = Publisher(commits, lambda _: True)
    rest = publisher.publish(["a", "b", *MANY])
    assert told([next(rest)]) == ["a"]
    with pytest.raises(OSError, match="No space left"):
        next(rest)
    done = told([publisher.stop()])
    assert set(done) == set(commits.beside) - {"a"}
    assert done == MANY[: len(done)]
    assert len(done) < len(MANY)
