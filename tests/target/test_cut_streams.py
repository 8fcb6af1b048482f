"""What real taps printed, cut short everywhere: a truncated stream never replaces a whole snapshot.

Each recording is loaded whole, then once more cut at a place: the input ends there, or inside the next line.
A tap that raised, was killed, or exited 0 on SIGTERM looks like one of the two; real processes in a pipe
without `pipefail` show that it does. `make test` takes some places, the slow tests each tenth.
"""

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from tests.target.command import BIN, ENV, Ended, Place
from tests.target.messages import KEY, STRING, record, schema, state

DATA = Path(__file__).parents[1] / "community" / "data"
WHOLE = Path(os.environ["SINGER_SAMPLES"]) if "SINGER_SAMPLES" in os.environ else None
SAMPLES = [*sorted(DATA.glob("*/*.jsonl")), *(sorted(WHOLE.glob("*.singer.jsonl")) if WHOLE else [])]
MOST_DROP = 0.05
ACCEPTING = ("on_incomplete", "max_row_drop", "load_method")
"""The settings that publish what was held; a note names the one that would."""


@dataclass
class Sweep:
    """A lake that holds a recording whole, and what cut runs do to it."""

    place: Place
    lines: list[bytes]

    def load(self, data: bytes) -> Ended:
        config = self.place.configured(source="tap")
        return self.place.command("target-lake-parquet", "--config", config, stdin=data)

    def latest(self) -> dict[str, int]:
        """The rows of each dataset's latest snapshot."""
        lake = self.place.lake
        return {name: lake.latest_snapshot(name).row_count for name in lake.datasets()}

    def method(self, dataset: str) -> str:
        info = self.place.lake.latest_snapshot(dataset).info
        return info.load_method if info else ""

    def cut(self, at: int, *, inside: bool) -> None:
        """Loads the lines before `at`, and half of the one there if `inside`; nothing may be lost by it."""
        before = self.latest()
        data = b"".join(self.lines[:at]) + (self.lines[at][: len(self.lines[at]) // 2] if inside else b"")
        ended = self.load(data)
        where = f"cut at line {at} of {len(self.lines)}{', inside it' if inside else ''}"
        run = self.place.record()
        assert "Traceback" not in ended.err, ended.err
        after = self.latest()
        told = {one["dataset"]: one for one in run["datasets"]}
        for dataset, count in before.items():
            # an upsert that reads old changes again may stand between a row's delete and its return
            if self.method(dataset) == "upsert":
                continue
            assert after[dataset] >= count * (1 - MOST_DROP), (where, dataset, told)
            if after[dataset] < count:
                assert told[dataset]["proof"] == "unproven", (where, dataset, told)
        held = [one for one in run["datasets"] if one["status"] == "held"]
        for one in held:
            assert any(name in note for note in one["notes"] for name in ACCEPTING), one
            if one["rows_read"]:
                aside = self.place.root / ".incomplete" / run["run_id"] / f"{one['dataset']}.parquet"
                assert pl.scan_parquet(aside).select(pl.len()).collect().item() > 0
        expected = 1 if held or inside or any(one["status"] == "failed" for one in run["datasets"]) else 0
        assert ended.code == expected, (where, ended.err)

    def heal(self, whole: dict[str, int]) -> None:
        """A healthy run publishes, or finds nothing new, and all is there."""
        ended = self.load(b"".join(self.lines))
        assert ended.code == 0, ended.err
        assert self.latest() == whole
        assert {one["status"] for one in self.place.record()["datasets"]} <= {"published", "unchanged"}


def sweep(place: Place, sample: Path, tenths: range) -> None:
    lines = sample.read_bytes().splitlines(keepends=True)
    one = Sweep(place, lines)
    ended = one.load(b"".join(lines))
    assert ended.code == 0, ended.err
    whole = one.latest()
    for tenth in tenths:
        for inside in (False, True):
            one.cut(len(lines) * tenth // 10, inside=inside)
    if not any(one.method(name) == "append-only" for name in whole):  # which read again appends again
        one.heal(whole)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_cut_recording_never_replaces_a_whole_one(sample: Path, place: Place) -> None:
    sweep(place, sample, range(3, 10, 6))


@pytest.mark.slow
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_recording_cut_at_each_tenth_never_replaces_a_whole_one(sample: Path, place: Place) -> None:
    sweep(place, sample, range(10))


# --- a full table as the Meltano SDK sends it: an empty bookmark each 10,000 rows, and no more ----------

BIG = [schema("big", {"id": KEY, "name": STRING})]
for number in range(20_000):
    BIG.append(record("big", id=number, name=f"n{number}"))
    if number == 9_999:
        BIG.append(state({"bookmarks": {"big": {}}}))


@pytest.mark.parametrize("rows", [10_000, 12_000, 18_999])
def test_a_full_table_cut_right_after_the_sdks_state_or_later_is_held(place: Place, rows: int) -> None:
    place.good(*BIG)
    ended = place.run(*BIG[: rows + 2])
    one = place.summary("big")
    assert (ended.code, one["status"], one["row_count"], one["rows_read"]) == (1, "held", 20_000, rows)
    assert "max_row_drop" in " ".join(one["notes"])
    aside = place.root / ".incomplete" / place.record()["run_id"] / "big.parquet"
    assert pl.read_parquet(aside).height == rows
    accepted = place.good(*BIG[: rows + 2], max_row_drop=1)
    assert (accepted.code, place.summary("big")["row_count"]) == (0, rows)


def test_a_full_table_that_lost_less_than_max_row_drop_is_published_with_a_note(place: Place) -> None:
    place.good(*BIG)
    place.good(*BIG[: 19_001 + 2])
    one = place.summary("big")
    assert (one["status"], one["row_count"], one["proof"]) == ("published", 19_001, "unproven")
    assert one["notes"] != []


# --- taps that end in other ways, in a pipe of a shell that does not look at them ------------------------

TAP = """
import os, signal, sys
lines, how = int(sys.argv[2]), sys.argv[3]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # as the SDK's taps do
for number, line in enumerate(open(sys.argv[1], "rb")):
    if number == lines:
        sys.stdout.buffer.flush()
        if how == "exception":
            raise ValueError("the source went away")
        if how == "cut":
            sys.stdout.buffer.write(line[: len(line) // 2]); sys.stdout.buffer.flush(); os._exit(0)
        os.kill(os.getpid(), getattr(signal, how))
    sys.stdout.buffer.write(line)
"""
ENDS = ("exception", "SIGKILL", "SIGTERM", "cut")


@pytest.mark.parametrize("how", ENDS)
def test_in_a_pipe_without_pipefail_the_target_alone_tells_that_the_tap_died(place: Place, how: str) -> None:
    tap, stream = place.folder / "tap.py", place.folder / "stream.jsonl"
    tap.write_text(TAP)
    stream.write_text("".join(line + "\n" for line in BIG))
    config = place.configured()

    def pipe(lines: int) -> int:
        words = [sys.executable, str(tap), str(stream), str(lines), how]
        target = [str(BIN / "target-lake-parquet"), "--config", config]
        line = f"{shlex.join(words)} | {shlex.join(target)}"
        return subprocess.run(
            ["sh", "-c", line], capture_output=True, check=False, env=ENV, timeout=120
        ).returncode

    assert pipe(-1) == 0
    assert pipe(12_002) == 1
    one = place.summary("big")
    assert (one["status"], one["row_count"], one["rows_read"]) == ("held", 20_000, 12_000)
    assert one["proof"] == ("open" if how == "cut" else "unproven")
    assert pipe(-1) == 0
    assert place.summary("big")["status"] == "unchanged"
