"""What is known of a dataset in, what is odd about it out. Pure: the clock's time is given.

`lake ls` shows these notes, `lake check` makes alarms of some of them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from lake_parquet.column_types import drift
from lake_parquet.readable import readable_time
from lake_parquet.runs import DatasetSummary
from lake_parquet.snapshots import Snapshot

Kind = Literal["unreadable", "failed", "held", "stale", "drop", "stub", "cut", "quarantine", "drift"]

KINDS: dict[Kind, str] = {
    "unreadable": "the latest file is no Parquet, or the folder holds a link or a pipe",
    "failed": "the last run that named the dataset could not load it",
    "held": "the last run that named the dataset kept its rows aside",
    "stale": "no run has read it successfully for longer than `--max-age`",
    "drop": "the latest snapshot lost more of its rows than `--max-drop`",
    "stub": "the rows are made up, for want of credentials",
    "cut": "the last run was cut short; what arrived was merged",
    "quarantine": "the last run put bad rows aside",
    "drift": "columns came, went or were widened since the previous snapshot",
}
"""Every note, the worst first, and what it says."""

ALARMS: frozenset[Kind] = frozenset(["unreadable", "failed", "held", "stale", "drop", "stub"])
"""The notes that make `lake check` fail; the others are news."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something odd about a dataset."""

    kind: Kind
    text: str

    @property
    def is_alarm(self) -> bool:
        """Tells whether `lake check` fails for it."""
        return self.kind in ALARMS

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(KINDS).index(self.kind)


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on a dataset is stale, and what share of its rows (0 to 1) may go at once; None: never."""

    max_age: timedelta | None = timedelta(hours=26)
    max_drop: float | None = 0.5


def notes_of(
    latest: Snapshot,
    previous: Snapshot | None,
    last: DatasetSummary | None,
    age: timedelta,
    limits: Limits,
) -> list[Note]:
    """What is odd about a dataset, the worst first.

    `last` is what the newest run that named it did to it, `age` the time since a run last read it well.
    """
    notes = [*notes_of_run(last), *_of_age(age, limits)]
    if previous is not None:
        notes += _of_rows(previous.row_count, latest.row_count, limits)
        changed = drift(previous.schema, latest.schema)
        if changed:
            notes.append(Note("drift", changed))
    if latest.info is not None and latest.info.is_stub:
        notes.append(Note("stub", "the rows are made up: set the tap's credentials"))
    return sorted(notes, key=lambda note: note.rank)


def notes_of_run(last: DatasetSummary | None) -> list[Note]:
    """What is odd about the last run that named a dataset."""
    if last is None:
        return []
    reason = last.notes[0] if last.notes else "its run's log says why"
    if last.status == "failed":
        return [Note("failed", reason)]
    if last.status == "held":
        return [Note("held", reason)]
    notes = []
    if last.proof == "open":
        notes.append(Note("cut", "the last run was cut short; what arrived was merged"))
    if last.rows_quarantined:
        notes.append(Note("quarantine", _put_aside(last)))
    return notes


def _put_aside(last: DatasetSummary) -> str:
    """How many bad rows, and where they are, as the run noted it."""
    noted = next((note for note in last.notes if "/" + last.dataset + ".jsonl" in note), None)
    return noted or f"{last.rows_quarantined:,} bad rows were put aside"


def _of_age(age: timedelta, limits: Limits) -> list[Note]:
    if limits.max_age is None or age <= limits.max_age:
        return []
    told = readable_time(age)
    return [Note("stale", f"last read {told} ago, more than {readable_time(limits.max_age)}")]


def _of_rows(before: int, after: int, limits: Limits) -> list[Note]:
    if limits.max_drop is None or not before or after >= before * (1 - limits.max_drop):
        return []
    return [Note("drop", f"rows fell from {before:,} to {after:,} ({(after - before) / before:+.0%})")]


def age_at(moment: str, now: datetime) -> timedelta:
    """The time from an ISO 8601 moment to `now`; never below zero, whatever a clock says."""
    return max(now - datetime.fromisoformat(moment), timedelta())
