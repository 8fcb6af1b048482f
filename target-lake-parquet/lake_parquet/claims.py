"""Which snapshot follows which: decided once for each snapshot of a family, whatever writers meet or die.

A writer that has merged puts its finished files aside and then a claim on the snapshot it built on, if nobody
else has: the claim names the next snapshot and those files, and is the commit. Who holds it gives the files
their names, children first, the stream's last. Any later writer that finds a claim not carried out does so
in the place of the one that died, with the same files. Who came too late merges again.

Safe on any store that can create-if-absent; no lock, no lease and no clock is trusted.
`docs/decisions/` says how it came to be, `tests/lake/simulation.py` tries it out.
"""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from lake_parquet import paths, snapshots
from lake_parquet.errors import LakeError
from lake_parquet.store import Store

BEGINNING = paths.snapshot_name(datetime(1970, 1, 1, tzinfo=UTC))
"""What a family's first snapshot follows."""

PENDING_KEPT = timedelta(days=7)
"""How long finished files may wait for a claim where no lock tells whether their writer lives."""


class Waiting(msgspec.Struct, frozen=True):
    """A finished file of a family: of which dataset, where it waits, its bytes."""

    dataset: str
    path: str
    bytes: int


class Claim(msgspec.Struct, frozen=True):
    """What follows a snapshot. `files` all get `name`; none where the claim is void."""

    name: str
    run_id: str = ""
    token: str = ""
    files: tuple[Waiting, ...] = ()


@dataclass(frozen=True, slots=True)
class Head:
    """The latest snapshot's name, and the name that the next claim is put on.

    They differ where a decided snapshot is not there: removed by hand, or lost with a power cut.
    """

    latest: str | None
    end: str


def settle(store: Store, stream: str) -> Head:
    """Carries out what was decided for a family and not done yet; tells where it stands then."""
    while (head := _settle(store, stream)) is None:
        pass  # others went on meanwhile
    return head


def _settle(store: Store, stream: str) -> Head | None:
    names = snapshots.names(store, stream)
    latest = names[-1] if names else None
    end = latest or BEGINNING
    while (claim := _claim_on(store, stream, end)) is not None:
        if _came_late(store, stream, end, claim):
            return None
        if _carry_out(store, claim):
            latest = claim.name
        end = claim.name
    return Head(latest, end)


def propose(
    store: Store, stream: str, head: Head, name: str, run_id: str, files: Sequence[tuple[str, Path]]
) -> bool:
    """Publishes finished files, by dataset, the stream's last, as what follows `head`.

    Returns False where another writer was first: nothing of them is published, and the files are gone.
    """
    token = secrets.token_hex(4)
    waiting: list[Waiting] = []
    try:
        for dataset, file in files:
            path = paths.pending_path(stream, run_id, token, dataset)
            waiting.append(Waiting(dataset, path, store.take_in(file, path)))
    except BaseException:
        _delete(store, waiting)
        raise
    claim = Claim(name, run_id, token, tuple(waiting))
    won = store.create(paths.claim_path(stream, head.end), msgspec.json.encode(claim))
    if not won or _came_late(store, stream, head.end, claim):
        _delete(store, waiting)
        return False
    if not _carry_out(store, claim):
        raise LakeError(f"{stream}: {name} was removed while it was published: run again")
    return True


def _came_late(store: Store, stream: str, end: str, claim: Claim) -> bool:
    """Tells whether others went on from `end` by another claim, which was pruned since.

    Then the one that took its place decides nothing. Pruned is only what a later snapshot follows: where
    none is seen after the claim was, it is the first one, and counts.
    """
    names = snapshots.names(store, stream)
    if not names or names[-1] <= end:
        return False
    return claim.name not in names or not _is_of(store, stream, claim)


def _is_of(store: Store, stream: str, claim: Claim) -> bool:
    """Tells whether the snapshot of a claim's name is that claim's: a name may come twice, a run does not."""
    info = snapshots.read(store, paths.snapshot_path(stream, claim.name)).info
    return info is not None and info.run_id == claim.run_id


def keep_aside(store: Store, file: Path, path: str) -> None:
    """Moves a finished local file to a path that no reader looks at, durably and never over another."""
    waiting = f"{paths.PENDING}/{file.name}-{secrets.token_hex(4)}"
    store.take_in(file, waiting)
    store.publish(waiting, path)
    store.delete(waiting)


def clear_pending(store: Store, stream: str, *, alone: bool, now: datetime) -> None:
    """Removes what dead writers left on the way; call after `settle`.

    `alone` says that no other writer can be at the family. Should one be, after all: what it claims is
    void then, and it fails with nothing published.
    """
    folder = f"{paths.PENDING}/{stream}"
    for name in store.files(folder):
        begun = paths.run_moment(name)
        if alone or (begun is not None and now - begun > PENDING_KEPT):
            store.delete(f"{folder}/{name}")


def claimed(store: Store, stream: str) -> list[str]:
    """The names of the snapshots that a claim was put on, in order."""
    files = store.files(f"{paths.CLAIMS}/{stream}")
    names = (file.removesuffix(".json") + paths.SUFFIX for file in files if file.endswith(".json"))
    return sorted(name for name in names if paths.is_snapshot(name))


def _claim_on(store: Store, stream: str, name: str) -> Claim | None:
    path = paths.claim_path(stream, name)
    try:
        content = store.read(path)
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(content, type=Claim)
    except msgspec.DecodeError:  # a power cut took the contents: everyone passes it over alike
        return Claim(paths.snapshot_name(paths.snapshot_moment(name), name))


def _carry_out(store: Store, claim: Claim) -> bool:
    """Gives a claim's files their names; False where there is no such snapshot to be had any more."""
    done = False
    for file in claim.files:
        path = paths.snapshot_path(file.dataset, claim.name)
        try:
            new = store.publish(file.path, path)
        except FileNotFoundError:  # another was done with it, or it is lost
            if store.size(path) is None:
                return False  # what follows would be a stream without its child
            done = False
            continue
        if not new and store.size(path) != file.bytes:
            raise LakeError(f"{path} stands where run {claim.run_id} is to publish: move it away")
        done = True
    if not done and claim.files:
        done = store.size(paths.snapshot_path(claim.files[-1].dataset, claim.name)) is not None
    if done:
        _delete(store, claim.files)
    return done


def _delete(store: Store, files: Sequence[Waiting]) -> None:
    for file in files:
        with suppress(LakeError):  # what stays is cleared away later; the commit stands or falls without it
            store.delete(file.path)
