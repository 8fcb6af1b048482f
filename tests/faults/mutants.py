"""The target with one protection taken away each: what a harness must catch to be worth its time."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock

from lake_parquet import staging
from lake_parquet.commit import Committer
from lake_parquet.deadruns import DeadRun
from lake_parquet.local_store import LocalStore
from target_lake_parquet.messages import StateMessage
from target_lake_parquet.run import Run
from target_lake_parquet.state import States


@dataclass(frozen=True)
class Mutant:
    """A protection less: what takes it away, and which harness must catch that, in which scenario."""

    apply: Callable[[], None]
    caught_by: str
    scenario: str


def _put(owner: Any, name: str, value: Any) -> None:
    mock.patch.object(owner, name, value).start()


def direct_write() -> None:
    """A snapshot is written under its final name, piece by piece."""

    def publish(store: LocalStore, source: str, path: str) -> bool:
        place = store.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        content = (store.root / source).read_bytes()
        with place.open("wb", buffering=0) as file:
            for at in range(0, len(content), 500):
                os.pwrite(file.fileno(), content[at : at + 500], at)
        return True

    _put(LocalStore, "publish", publish)


def early_state() -> None:
    """A STATE is printed when it comes."""
    received = States.received

    def at_once(states: States, message: StateMessage) -> None:
        received(states, message)
        states.hand_on({})

    _put(States, "received", at_once)


def state_before_keep() -> None:
    """In mid-run a STATE is printed before the journal stands."""
    keep, hand_on = staging.Staging.keep, States.hand_on
    waiting: list[Any] = []

    def later(run: Run) -> None:
        checkpoint(run)
        for one in waiting:
            keep(run.staging, one)
        waiting.clear()

    def note(own: staging.Staging, families: Any) -> None:
        waiting.append(families)
        own.journal = own.journal  # as if it had been written

    def print_all(states: States, unpublished: Any) -> None:  # noqa: ARG001
        hand_on(states, {})

    checkpoint = Run._checkpoint
    _put(staging.Staging, "keep", note)
    _put(States, "hand_on", print_all)
    _put(Run, "_checkpoint", later)


def nothing_absorbed() -> None:
    """A snapshot does not say which runs' rows it holds."""
    _put(Committer, "_absorbed", lambda *_: ())


def settled_early() -> None:
    """Kept rows go before the snapshot that holds them is there."""
    publish = Committer._publish

    def settle_first(own: Committer, family: Any, *rest: Any) -> Any:
        if own.staging.kept(family.stream.dataset):
            own.staging.settle(family.stream.dataset)
        return publish(own, family, *rest)

    _put(Committer, "_publish", settle_first)


def dead_runs_stay() -> None:
    """What a dead run left in staging is never cleared away."""
    _put(DeadRun, "settle", lambda *_: None)


def no_file_sync() -> None:
    """No file is synced."""
    _sync_only(stat.S_ISDIR)


def no_folder_sync() -> None:
    """No folder is synced."""
    _sync_only(lambda mode: not stat.S_ISDIR(mode))


def _sync_only(wanted: Callable[[int], bool]) -> None:
    fsync = os.fsync
    _put(os, "fsync", lambda fd: fsync(fd) if wanted(os.fstat(fd).st_mode) else None)


def unsynced_segments() -> None:
    """The journal stands, and a STATE is printed, before the rows it names are synced."""
    _put(staging, "sync_file", lambda _: None)


ALL = {
    "direct write": Mutant(direct_write, "kill", "upsert"),
    "STATE when it comes": Mutant(early_state, "kill", "upsert"),
    "STATE before the journal": Mutant(state_before_keep, "kill", "append"),
    "no absorbed runs": Mutant(nothing_absorbed, "kill", "no replication key"),
    "settled before the commit": Mutant(settled_early, "kill", "append"),
    "dead runs' rows stay": Mutant(dead_runs_stay, "kill", "recovers"),
    "no fsync of files": Mutant(no_file_sync, "power", "upsert"),
    "no fsync of folders": Mutant(no_folder_sync, "power", "append"),
    "journal before its rows": Mutant(unsynced_segments, "power", "append"),
}
