"""The real commit code on a made-up store and clock: writers that are stopped, or die, between any two steps.

A step is one question to the store. A schedule says who takes the next step; a seed, or a search, makes it.
Each writer adds one row to a parent and to its child dataset; what a reader sees is checked after every step.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import greenlet  # type: ignore[import-untyped]

from lake_parquet import claims, paths, snapshots
from lake_parquet.claims import Claim, Head
from lake_parquet.errors import LakeError

PARENT, CHILD = "orders", "orders__items"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SKEWS = (timedelta(), timedelta(hours=-1), timedelta(hours=1))


class Violation(AssertionError):  # noqa: N818 - it is what was found, not a fault of the harness
    """A promise was broken."""


@dataclass
class World:
    """All that outlives a writer: what is stored, and which rows someone was told are safe."""

    stored: dict[str, bytes] = field(default_factory=dict)
    acked: set[int] = field(default_factory=set)
    overwrites: bool = False

    def latest(self, dataset: str) -> dict[str, Any] | None:
        """What a reader finds: the contents under the greatest name."""
        names = [path for path in self.stored if path.startswith(f"raw/{dataset}/")]
        return json.loads(self.stored[max(names)]) if names else None

    def check(self) -> None:
        """What must hold at every instant."""
        parent, child = self.latest(PARENT), self.latest(CHILD)
        in_parent, in_child = (set(one["rows"]) if one else set() for one in (parent, child))
        if not self.acked <= in_parent or not self.acked <= in_child:
            raise Violation(f"rows {self.acked - (in_parent & in_child)} were said to be safe and are lost")
        if not in_parent <= in_child:
            raise Violation("a parent's children are not there")

    def check_end(self) -> None:
        """What must hold when all is quiet and the next run has looked."""
        parent, child = self.latest(PARENT), self.latest(CHILD)
        if parent and (child is None or set(parent["rows"]) != set(child["rows"])):
            raise Violation("parent and child differ")
        if parent and parent["child"] != max(
            path for path in self.stored if path.startswith(f"raw/{CHILD}/")
        ):
            raise Violation("the parent names another child than the latest")


class SimStore:
    """One writer's view of the world; every question lets others go first."""

    def __init__(self, world: World) -> None:
        """Looks at `world`."""
        self.world = world
        self.heard: list[object] = []
        self.local: dict[Path, bytes] = {}
        self.is_blind = False

    def _step(self) -> None:
        greenlet.getcurrent().parent.switch()

    def _hear(self, answer: Any) -> Any:
        self.heard.append(answer)
        return answer

    def files(self, folder: str) -> list[str]:
        """A list."""
        self._step()
        prefix = f"{folder}/"
        return list(
            self._hear(
                tuple(sorted(p.removeprefix(prefix) for p in self.world.stored if p.startswith(prefix)))
            )
        )

    def read(self, path: str) -> bytes:
        """A read."""
        self._step()
        if path not in self.world.stored:
            self._hear(None)
            raise FileNotFoundError(path)
        return bytes(self._hear(self.world.stored[path]))

    def size(self, path: str) -> int | None:
        """A look."""
        self._step()
        found = self.world.stored.get(path)
        answer: int | None = self._hear(None if found is None else len(found))
        return answer

    def create(self, path: str, content: bytes) -> bool:
        """A conditional put."""
        self._step()
        new = path not in self.world.stored
        if new or self.world.overwrites:
            self.world.stored[path] = content
        return bool(self._hear(new or self.world.overwrites))

    def take_in(self, file: Path, path: str) -> int:
        """An upload. Nobody knows the path yet: no step of its own."""
        self.world.stored[path] = self.local[file]
        return len(self.local[file])

    def publish(self, source: str, path: str) -> bool:
        """A create-only copy."""
        self._step()
        if source not in self.world.stored:
            self._hear(None)
            raise FileNotFoundError(source)
        new = path not in self.world.stored
        if new:
            self.world.stored[path] = self.world.stored[source]
        return bool(self._hear(new))

    def delete(self, path: str) -> None:
        """A removal."""
        self._step()
        self.world.stored.pop(path, None)
        self._hear("deleted")


Write = Callable[[SimStore, int, datetime], bool]


def write(store: SimStore, row: int, now: datetime) -> bool:
    """One commit, as the committer does it: settle, read, merge, propose; again where another was faster."""
    for _ in range(20):
        head = claims.settle(store, PARENT)  # type: ignore[arg-type]
        files, name = merge(store, head, row, now)
        if claims.propose(store, PARENT, head, name, f"{row}", files):  # type: ignore[arg-type]
            return True
    return False


def merge(store: SimStore, head: Head, row: int, now: datetime) -> tuple[list[tuple[str, Path]], str]:
    """The next parent and child, and their name: the rows that are there and one more."""
    parent: dict[str, Any] = {"rows": []}
    child: dict[str, Any] = {"rows": []}
    if head.latest:
        parent = json.loads(store.read(paths.snapshot_path(PARENT, head.latest)))
        child = json.loads(store.read(parent["child"]))
    newest = snapshots.names(store, CHILD)  # type: ignore[arg-type]
    name = paths.snapshot_name(now, max([head.end, *newest]))
    child = {"rows": sorted({*child["rows"], row}), "run": f"{row}"}
    parent = {
        "rows": sorted({*parent["rows"], row}),
        "child": paths.snapshot_path(CHILD, name),
        "run": f"{row}",
    }
    store.local = {Path(CHILD): json.dumps(child).encode(), Path(PARENT): json.dumps(parent).encode()}
    return [(CHILD, Path(CHILD)), (PARENT, Path(PARENT))], name


def prune_claims(store: SimStore) -> None:
    """What `lake prune` removes of claims, at once: it spares the young, and these would hide a fault."""
    names = snapshots.names(store, PARENT)  # type: ignore[arg-type]
    for name in claims.claimed(store, PARENT) if names else ():  # type: ignore[arg-type]
        if name < names[-1]:
            store.delete(paths.claim_path(PARENT, name))


@dataclass
class Run:
    """Some writers in one world, moved step by step; two runs of a schedule are equal.

    With `pruning`, old claims are removed meanwhile, as often as there are writers.
    """

    write: Write = write
    skews: Sequence[timedelta] = (timedelta(), timedelta())
    overwrites: bool = False
    pruning: bool = False

    def __post_init__(self) -> None:
        """Starts the writers."""
        self.world = World(overwrites=self.overwrites)
        self.steps = 0
        self.threads = [
            greenlet.greenlet(lambda row=row, skew=skew: self._write(row, skew))
            for row, skew in enumerate(self.skews)
        ]
        if self.pruning:
            self.threads.append(greenlet.greenlet(self._prune))
        self.stores = [SimStore(self.world) for _ in self.threads]
        self.alive = set(range(len(self.threads)))
        for thread in self.threads:
            thread.switch()

    def _write(self, row: int, skew: timedelta) -> None:
        if not self.write(self.stores[row], row, NOON + skew):
            raise Violation(f"writer {row} never gets its turn")
        self.world.acked.add(row)

    def _prune(self) -> None:
        for _ in self.skews:
            prune_claims(self.stores[-1])

    def step(self, writer: int) -> None:
        """Lets a writer go one step."""
        self.steps += 1
        try:
            self.threads[writer].switch()
        except (LakeError, FileNotFoundError) as error:
            raise Violation(f"writer {writer}: {error!r}") from error
        if self.threads[writer].dead:
            self.alive.discard(writer)
        self.world.check()

    def move(self, move: int) -> None:
        """A step of writer `move`, or, where it is negative, the crash of writer `-move - 1`."""
        self.step(move) if move >= 0 else self.crash(-move - 1)

    def crash(self, writer: int) -> None:
        """Ends a writer where it stands."""
        self.alive.discard(writer)

    def end(self) -> None:
        """Lets the next run look, and checks what it leaves."""
        next_run = SimStore(self.world)
        thread = greenlet.greenlet(lambda: claims.settle(next_run, PARENT))  # type: ignore[arg-type]
        while not thread.dead:
            thread.switch()
        self.world.check()
        self.world.check_end()

    def state(self) -> tuple[object, ...]:
        """Where it stands: equal states go on equally."""
        heard = tuple(tuple(store.heard) for store in self.stores)
        return frozenset(self.world.stored.items()), heard, frozenset(self.alive), frozenset(self.world.acked)


def search(make: Callable[[], Run], most_crashes: int = 1) -> tuple[int, int]:
    """Tries every schedule, with every crash; returns how many states and how many ends there are."""
    seen: set[tuple[object, ...]] = set()
    ends = 0
    waiting: list[tuple[int, ...]] = [()]  # a schedule: n is a step of writer n, -n-1 its crash
    while waiting:
        schedule = waiting.pop()
        with simulated():
            run = make()
            for move in schedule:
                run.move(move)
            while (state := run.state()) not in seen:
                seen.add(state)
                if not run.alive:
                    run.end()
                    ends += 1
                    break
                crashes = run.alive if sum(move < 0 for move in schedule) < most_crashes else ()
                first, *others = [*run.alive, *(-writer - 1 for writer in crashes)]
                waiting += [(*schedule, move) for move in others]
                schedule = (*schedule, first)
                run.move(first)
    return len(seen), ends


def at_random(seed: int, writers: int = 5, make: Callable[..., Run] = Run) -> int:
    """Runs writers in an order, with skews and crashes, that a seed makes; returns how many were told."""
    chance = random.Random(seed)  # noqa: S311 - a schedule, no secret
    skews = [chance.choice(SKEWS) for _ in range(writers)]
    crashing = chance.choice([0, 0, 0.01, 0.05])
    with simulated():
        run = make(skews=skews)
        while run.alive:
            writer = chance.choice(sorted(run.alive))
            if chance.random() < crashing:
                run.crash(writer)
            else:
                run.step(writer)
        run.end()
    return len(run.world.acked)


@contextmanager
def simulated() -> Iterator[None]:
    """Replaces chance in the code by counting, and a look into a footer by one into what stands for it."""
    numbers, came_late = iter(range(10**9)), claims._came_late

    def token(*_: object) -> str:
        return f"{next(numbers)}"

    def unless_blind(store: Any, *given: Any) -> bool:
        return not store.is_blind and came_late(store, *given)

    with (
        mock.patch("secrets.token_hex", new=token),
        mock.patch("lake_parquet.claims._is_of", new=_is_of),
        mock.patch("lake_parquet.claims._came_late", new=unless_blind),
    ):
        yield


def _is_of(store: SimStore, stream: str, claim: Claim) -> bool:
    return bool(json.loads(store.read(paths.snapshot_path(stream, claim.name)))["run"] == claim.run_id)


def without_claims(store: SimStore, row: int, now: datetime) -> bool:
    """A mutant: create-only names alone."""
    for _ in range(20):
        names = snapshots.names(store, PARENT)  # type: ignore[arg-type]
        latest = names[-1] if names else None
        files, name = merge(store, Head(latest, latest or claims.BEGINNING), row, now)
        done = [_publish(store, dataset, name, file, row) for dataset, file in files]
        if all(done):
            return True
    return False


def with_a_claim_each(store: SimStore, row: int, now: datetime) -> bool:
    """A mutant: parent and child are claimed one by one."""
    for _ in range(20):
        head = claims.settle(store, PARENT)  # type: ignore[arg-type]
        child_head = claims.settle(store, CHILD)  # type: ignore[arg-type]
        files, name = merge(store, head, row, now)
        won = [
            claims.propose(store, dataset, at, name, f"{row}", [(dataset, file)])  # type: ignore[arg-type]
            for at, (dataset, file) in zip((child_head, head), files, strict=True)
        ]
        if all(won):
            return True
    return False


def parent_first(store: SimStore, row: int, now: datetime) -> bool:
    """A mutant: the parent is published before its children."""
    for _ in range(20):
        head = claims.settle(store, PARENT)  # type: ignore[arg-type]
        files, name = merge(store, head, row, now)
        if claims.propose(store, PARENT, head, name, f"{row}", files[::-1]):  # type: ignore[arg-type]
            return True
    return False


def with_own_files(store: SimStore, row: int, now: datetime) -> bool:
    """A mutant: who loses the claim publishes its own files under a name of its own."""
    head = claims.settle(store, PARENT)  # type: ignore[arg-type]
    files, name = merge(store, head, row, now)
    if claims.propose(store, PARENT, head, name, f"{row}", files):  # type: ignore[arg-type]
        return True
    name = paths.snapshot_name(now, name)
    done = [_publish(store, dataset, name, file, row) for dataset, file in files]
    return all(done)


def told_too_early(store: SimStore, row: int, now: datetime) -> bool:
    """A mutant: done is said when the files are uploaded and before the claim is won."""
    head = claims.settle(store, PARENT)  # type: ignore[arg-type]
    files, name = merge(store, head, row, now)
    store.world.acked.add(row)
    return claims.propose(store, PARENT, head, name, f"{row}", files)  # type: ignore[arg-type]


def blind_to_pruning(store: SimStore, row: int, now: datetime) -> bool:
    """A mutant: whoever gets a claim, or finds one, takes it for the first on that snapshot."""
    store.is_blind = True
    return write(store, row, now)


def _publish(store: SimStore, dataset: str, name: str, file: Path, row: int) -> bool:
    source = f"_meta/pending/{PARENT}/{row}.{dataset}"
    store.take_in(file, source)
    return store.publish(source, paths.snapshot_path(dataset, name))


MUTANTS: dict[str, Callable[..., Run]] = {
    "no claim": lambda **given: Run(write=without_claims, **given),
    "a claim a dataset": lambda **given: Run(write=with_a_claim_each, **given),
    "the parent first": lambda **given: Run(write=parent_first, **given),
    "a name of its own after losing": lambda **given: Run(write=with_own_files, **given),
    "done too early": lambda **given: Run(write=told_too_early, **given),
    "a put that replaces": lambda **given: Run(overwrites=True, **given),
    "a pruned claim taken anew": lambda **given: Run(write=blind_to_pruning, pruning=True, **given),
}
