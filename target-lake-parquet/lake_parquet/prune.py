"""A lake's snapshots in, those that may go out; and their removal.

Never the latest; never what a kept snapshot of a parent names as its child; never what a run or a reader may
still stand on: a snapshot goes only when its successor was there before every running run began, and longer
than a grace period. Nor anything of a dataset that cannot be read, or of its children: nobody knows what it
names.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from itertools import pairwise

from lake_parquet import paths
from lake_parquet.errors import LakeError
from lake_parquet.lake import Lake

GRACE = timedelta(hours=24)
"""How long a snapshot stays after it ceased to be the latest: queries that began then may still read it."""

MOST_FILES = 2000
"""Files whose sizes a run asks for when it tells the lake's size."""

KEEP_LAST, KEEP_DAILY = 7, 30

ASIDE_KEPT = timedelta(days=30)
"""How long the sample job keeps rows and records that were put aside."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What to keep of each dataset: the last snapshots, and of the last days each day's (UTC) last one."""

    keep_last: int = KEEP_LAST
    keep_daily: int = KEEP_DAILY

    def keeps(self, names: Sequence[str], now: datetime) -> set[str]:
        """The names (in order) that are kept."""
        kept = set(names[-max(1, self.keep_last) :])
        if len(kept) == len(names):
            return kept
        newest_of_day = {paths.snapshot_moment(name).date(): name for name in names}
        first_day = now.date() - timedelta(days=self.keep_daily - 1)
        return kept | {name for day, name in newest_of_day.items() if self.keep_daily and day >= first_day}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A snapshot that may go; `is_parent`: it names files of child datasets."""

    dataset: str
    name: str
    bytes: int
    is_parent: bool

    @property
    def path(self) -> str:
        """Where it stands, relative to the lake's root."""
        return paths.snapshot_path(self.dataset, self.name)


@dataclass(slots=True)
class Weight:
    """What a lake holds, and up to how much of it `lake prune` would free; more, if not `is_whole`.

    `aside` are the bytes of `.incomplete` and `.quarantine`, `old_aside` those from before `ASIDE_KEPT`.
    """

    snapshots: int = 0
    bytes: int = 0
    prunable: int = 0
    aside: int = 0
    old_aside: int = 0
    is_whole: bool = True


def superseded(names: Sequence[str], kept: set[str], in_use_since: datetime) -> list[str]:
    """The names (in order) that are not kept, and whose successor was there before `in_use_since`."""
    return [
        name
        for name, successor in pairwise(names)
        if name not in kept and paths.snapshot_moment(successor) < in_use_since
    ]


def plan(
    lake: Lake, pattern: str, policy: Policy, now: datetime, grace: timedelta = GRACE
) -> tuple[list[Candidate], dict[str, str]]:
    """What may go of the datasets that match, the parents first: so no parent is left without its child.

    And of each dataset whose folder or kept snapshots cannot be read, why not.
    """
    everything, odd = lake.survey()
    in_use_since = min([now - grace, *lake.running_since()])
    going = {
        dataset: superseded(names, policy.keeps(names, now), in_use_since)
        for dataset, names in everything.items()
        if fnmatchcase(dataset, pattern)
    }
    named = _named_children(lake, everything, going, odd)
    found = [
        _candidate(lake, dataset, name)
        for dataset, names in going.items()
        if not is_held_back(dataset, odd)
        for name in names
        if paths.snapshot_path(dataset, name) not in named
    ]
    return sorted(found, key=lambda one: (not one.is_parent, one.dataset, one.name)), odd


def is_held_back(dataset: str, odd: Iterable[str]) -> bool:
    """Tells whether a dataset is one of the `odd` ones, or may be a child of one: a long name is cut."""
    return any(dataset == one or dataset.startswith(paths.child_prefix(one)) for one in odd)


def _named_children(
    lake: Lake,
    everything: Mapping[str, Sequence[str]],
    going: Mapping[str, Sequence[str]],
    odd: dict[str, str],
) -> set[str]:
    """The files that snapshots which stay name as their children; adds to `odd` what cannot be read."""
    named: set[str] = set()
    for dataset, names in everything.items():
        for name in set(names) - set(going.get(dataset, ())):
            try:
                info = lake.read(dataset, name).info
            except LakeError as error:
                odd[dataset] = str(error)
                break
            named |= set(info.children.values()) if info else set()
    return named


def _candidate(lake: Lake, dataset: str, name: str) -> Candidate:
    try:
        snapshot = lake.read(dataset, name)
    except LakeError:  # damaged, and not among those that are kept
        return Candidate(dataset, name, 0, is_parent=False)
    is_parent = bool(snapshot.info and snapshot.info.children)
    return Candidate(dataset, name, snapshot.size, is_parent)


def weigh(lake: Lake, now: datetime) -> Weight:
    """Weighs a lake by its listing, without a look into files, and stops at `MOST_FILES` of them."""
    weight = Weight()
    _weigh_aside(lake, now, weight)
    for dataset in lake.folders():
        try:
            names, _ = lake.entries(dataset)
        except LakeError:  # `lake verify` tells of it
            continue
        going = set(superseded(names, Policy().keeps(names, now), now - GRACE))
        for name in names:
            if weight.snapshots == MOST_FILES:
                weight.is_whole = False
                return weight
            size = lake.size(dataset, name)
            weight.snapshots += 1
            weight.bytes += size
            weight.prunable += size if name in going else 0
    return weight


def _weigh_aside(lake: Lake, now: datetime, weight: Weight) -> None:
    """Adds what was put aside, of the oldest runs first, and no more than `MOST_FILES` of it."""
    runs = [(paths.INCOMPLETE, run) for run in lake.kept_aside()]
    runs += [(paths.QUARANTINE, run) for run in lake.quarantined()]
    old = began_before([run for _, run in runs], now - ASIDE_KEPT)
    sizes = ((run, size) for where, run in runs for size in lake.sizes_aside(where, run))
    for number, (run, size) in enumerate(sizes):
        if number == MOST_FILES:
            weight.is_whole = False
            return
        weight.aside += size
        weight.old_aside += size if run in old else 0


def remove(lake: Lake, candidates: Sequence[Candidate]) -> None:
    """Removes snapshots, in this order."""
    for one in candidates:
        lake.remove(one.dataset, one.name)


def began_before(runs: Sequence[str], moment: datetime) -> list[str]:
    """Those of `runs` that began before `moment`."""
    began = {run: paths.run_moment(run) for run in runs}
    return [run for run, at in began.items() if at is not None and at < moment]
