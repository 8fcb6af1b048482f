"""Many real processes that write to one dataset at once, and what came of it."""

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lake.test_commit import items, pairs, rows, skus
from tests.lake.writer import ITEMS, Writer


@dataclass(frozen=True)
class Outcome:
    """What was told done, what of it is not there, how many snapshots there are, and whether all is one."""

    acked: int
    lost: int
    snapshots: int
    children_differ: bool

    def __str__(self) -> str:
        """Tells it in a line."""
        return f"{self.acked} commits told done, {self.lost} rows lost, {self.snapshots} snapshots"


def hammer(root: Path, url: str, writers: int, rounds: int) -> Outcome:
    """Has `writers` processes upsert a row of their own and its child, `rounds` times each."""
    context = multiprocessing.get_context("spawn")
    done: multiprocessing.queues.Queue[int] = context.Queue()
    processes = [
        context.Process(target=_write, args=(root, url, 1000 * n, rounds, done)) for n in range(writers)
    ]
    for process in processes:
        process.start()
    acked = [done.get(timeout=600) for _ in range(writers * rounds)]
    for process in processes:
        process.join()
    writer = Writer(root, url=url)
    parents = [identity for identity, _ in pairs(writer)]
    children = [identity for identity, _ in skus(writer)]
    names = writer.names()
    return Outcome(
        acked=len(acked),
        lost=len(_missing(acked, parents)) + len(_missing(acked, children)),
        snapshots=len(names),
        children_differ=parents != children or names != writer.names(ITEMS),
    )


def _missing(acked: Sequence[int], found: Sequence[int]) -> set[int]:
    return set(acked) - set(found)


def _write(root: Path, url: str, first: int, rounds: int, done: "multiprocessing.queues.Queue[int]") -> None:
    writer = Writer(root, runs=first, url=url)
    for identity in range(first, first + rounds):
        writer.upsert(rows((identity, "x")), items=items((1, identity, f"{identity}")))
        done.put(identity)
