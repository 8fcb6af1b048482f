"""A family's staged rows in, published snapshots out: children first; their stream's file is the commit.

A claim decides which of two writers on one dataset comes first; the other merges again, so both land.
Files get their final name only when they are whole and durable.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl

from lake_parquet import paths, snapshots
from lake_parquet.claims import Head, clear_pending, keep_aside, propose, settle
from lake_parquet.deadruns import DeadRows, has_dead_rows, waiting_rows
from lake_parquet.errors import LakeError
from lake_parquet.evolution import Evolution, evolution
from lake_parquet.family import Family, Member, with_children
from lake_parquet.family_merge import merge_family, steps_of
from lake_parquet.files import sha256
from lake_parquet.footer import SnapshotInfo
from lake_parquet.ground import Ground, find_ground, is_replaced_stub, is_settled, names_of, strange_child
from lake_parquet.merge import Merged
from lake_parquet.outcome import news_of, summary_of, vanished
from lake_parquet.parquet_files import ParquetOptions, write_parquet
from lake_parquet.policy import (
    Decision,
    StreamFacts,
    decide,
    follows,
    hold_for_change,
    hold_for_drop,
    may_keep,
)
from lake_parquet.runs import DatasetSummary
from lake_parquet.snapshots import Snapshot
from lake_parquet.staging import ROW, Staging
from lake_parquet.store import Store
from lake_parquet.widen import unite

MOST_TRIES = 100
"""How often a writer merges again because others were faster; each time one of them has published."""

SMALL = 16 * 2**20
"""Bytes of a family that is committed beside another: its staged rows and its latest snapshots."""

CLOCK_OFF = timedelta(minutes=5)
"""How far names may be ahead of the clock before it is said: each later one then follows them."""


@dataclass(slots=True)
class Committer:
    """Publishes the families of one run."""

    store: Store
    staging: Staging
    run_id: str
    tap: str | None = None
    options: ParquetOptions = field(default_factory=ParquetOptions)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    checksums: dict[str, str] = field(default_factory=dict)

    def commit(self, family: Family, facts: StreamFacts, *, waits: bool = True) -> list[DatasetSummary]:
        """Publishes a family, or holds it; one summary a dataset, the stream's first.

        Raises:
            LakeError: a file of the lake cannot be read, or the rows cannot be written.
            TurnTaken: another writer is at the family, and `waits` is false.
        """
        try:
            return self._commit(family, facts, waits=waits)
        except pl.exceptions.PolarsError as error:  # its text may hold values, and values may be secret
            raise LakeError(
                f"{family.stream.dataset}: its rows could not be merged ({type(error).__name__}): "
                "see the traceback with the log level DEBUG"
            ) from error

    def _commit(self, family: Family, facts: StreamFacts, *, waits: bool) -> list[DatasetSummary]:
        stream = family.stream.dataset
        with self.store.turn(stream, waits=waits) as alone:
            for _ in range(MOST_TRIES):
                head = settle(self.store, stream)
                clear_pending(self.store, stream, alone=alone, now=self.clock())
                summaries = self._attempt(family, facts, head)
                if summaries is not None:
                    return summaries
        raise LakeError(
            f"{stream}: other writers were faster {MOST_TRIES} times: run again when they are done"
        )

    def _attempt(self, family: Family, facts: StreamFacts, head: Head) -> list[DatasetSummary] | None:
        """Merges onto the latest snapshot and publishes; None where another writer was faster."""
        stream = family.stream.dataset
        path = paths.snapshot_path(stream, head.latest) if head.latest else None
        previous = snapshots.read(self.store, path) if path else None
        with ExitStack() as runs:
            waiting = waiting_rows(self.store.workplace, family, facts, previous, runs)
            if not waiting and not self.staging.segments(stream):  # another run has published what waited
                return [summary_of(family.stream, facts, "unchanged", previous, [])]
            fitting = [one for one in waiting if follows(facts, one.staged.facts)]
            decision = self._decide(facts, previous, begun=bool(fitting))
            if decision.hold:
                return self._hold(family, facts, previous, decision)
            base = None if is_replaced_stub(facts, previous) else previous
            absorbs = decision.keeps_base if base else decision.load_method != "overwrite"
            absorbed = fitting if absorbs else []  # what this run read anew needs no earlier rows
            others = [rows.staged.family for rows in absorbed]
            names, strange = names_of(base, [*others, family])
            family = replace(with_children(family, others), names=names)
            ground = find_ground(self.store, family, head, base)
            if strange := strange or strange_child(self.store, family, ground):
                return self._hold(family, facts, previous, replace(decision, hold=strange))
            merged = self._merge(family, facts, decision, ground, absorbed)
            evolved = self._evolved(family, merged, ground)
            if base and (refusal := _refusal(facts, decision, base, merged, evolved)):
                return self._hold(family, facts, previous, replace(decision, hold=refusal))
            written: dict[str, Snapshot] = {}
            settled = all(is_settled(m, merged, ground, decision) for m in family.members())
            if not (base and settled and _keeps_version(facts, base, decision)):
                ids = tuple(rows.run.id for rows in absorbed)
                published = self._publish(family, facts, decision, merged, evolved, ground, ids)
                if published is None:
                    return None
                written = published
            for rows in waiting:
                rows.run.settle(stream)
            self.staging.settle(stream)
            return self._summaries(family, facts, decision, merged, evolved, ground.befores, written)

    def _evolved(self, family: Family, merged: dict[str, Merged], ground: Ground) -> dict[str, Evolution]:
        """How the columns of each dataset go on."""
        names = [member.dataset for member in family.members()]
        return {
            name: evolution(ground.befores[name], merged[name].rows, self.staging.segments(name))
            for name in names
        }

    def _merge(
        self,
        family: Family,
        facts: StreamFacts,
        decision: Decision,
        ground: Ground,
        absorbed: list[DeadRows],
    ) -> dict[str, Merged]:
        folder = self.staging.folder
        scans = {
            dataset: before.base(folder) if before else None for dataset, before in ground.befores.items()
        }
        steps = steps_of(absorbed, self.staging, family, facts, decision)
        return merge_family(family, facts, decision, scans, steps, folder)

    def _decide(self, facts: StreamFacts, previous: Snapshot | None, *, begun: bool) -> Decision:
        if previous is not None and previous.info is None:
            return Decision(
                "",
                hold=f"{previous.path} was not written by this project: move it out of the dataset's folder",
            )
        return decide(facts, previous.info if previous else None, begun=begun)

    def is_small(self, family: Family) -> bool:
        """Tells whether a family may be committed beside another: neither needs much memory.

        Not where rows of dead runs wait: a run of theirs is open to one family at a time. Not in an object
        store, where it would cost a request for each dataset to know.
        """
        if not self.store.keeps_workplace or has_dead_rows(self.store.workplace):
            return False
        size = 0
        for member in family.members():
            size += self.staging.size(member.dataset)
            for name in snapshots.names(self.store, member.dataset)[-1:]:
                size += self.store.size(paths.snapshot_path(member.dataset, name)) or 0
        return size <= SMALL

    def may_keep(self, family: Family, facts: StreamFacts) -> bool:
        """Tells whether a later run could publish a stream's rows: its bookmark may be handed on now."""
        with ExitStack() as runs:
            previous = snapshots.latest(self.store, family.stream.dataset)
            if previous is not None and previous.info is None:
                return False
            waiting = waiting_rows(self.store.workplace, family, facts, previous, runs)
            begun = any(follows(facts, one.staged.facts) for one in waiting)
            return may_keep(facts, previous.info if previous else None, begun=begun)

    def _publish(
        self,
        family: Family,
        facts: StreamFacts,
        decision: Decision,
        merged: dict[str, Merged],
        evolved: dict[str, Evolution],
        ground: Ground,
        absorbed: tuple[str, ...],
    ) -> dict[str, Snapshot] | None:
        befores, moment = ground.befores, self.clock()
        name = _next_name(family, moment, max([ground.head.end, *ground.newest.values()]))
        before = befores[family.stream.dataset]
        files = dict(before.info.children) if before and before.info and decision.keeps_base else {}
        written: dict[str, Snapshot] = {}
        finished: list[tuple[str, Path]] = []
        for member in (*family.children, family.stream):
            result, own_before = merged[member.dataset], befores[member.dataset]
            stays = is_settled(member, merged, ground, decision)
            if member is not family.stream and own_before and stays:
                files[member.dataset] = own_before.path
                continue
            columns = evolved[member.dataset]
            info = self._info(member, facts, decision, result, own_before, columns, moment)
            info = msgspec.structs.replace(info, version=_version(facts, before))
            if member is family.stream:
                info = msgspec.structs.replace(
                    info,
                    filtered=facts.filtered,
                    absorbed=self._absorbed(member, before, absorbed),
                    children=files,
                    names=family.names,
                    bookmark=facts.bookmark,
                    schema=family.schema,
                )
            temporary = self.staging.scratch(f"{member.dataset}.publish")
            write_parquet(result.rows, temporary, self.options, info.to_metadata(), columns.schema)
            files[member.dataset] = path = paths.snapshot_path(member.dataset, name)
            finished.append((member.dataset, temporary))
            with temporary.open("rb") as file:
                self.checksums[path] = sha256(file)
            written[member.dataset] = self._checked(path, temporary, info)
        won = propose(self.store, family.stream.dataset, ground.head, name, self.run_id, finished)
        return written if won else None

    def _info(
        self,
        member: Member,
        facts: StreamFacts,
        decision: Decision,
        result: Merged,
        before: Snapshot | None,
        columns: Evolution,
        moment: datetime,
    ) -> SnapshotInfo:
        """What a snapshot's footer says, but for what only a stream's own says."""
        return SnapshotInfo(
            run_id=self.run_id,
            owner=member.owner,
            created_at=moment.isoformat().replace("+00:00", "Z"),
            load_method=decision.load_method,
            row_count=result.row_count,
            keys=member.keys,
            replication_keys=facts.replication_keys,
            origin=facts.origin,
            account=facts.account,
            tap=self.tap,
            base=before.path if before and decision.keeps_base else None,
            json_columns=columns.texts,
            field_ids=columns.ids,
            last_field_id=columns.last,
            absent=columns.absent,
        )

    def _absorbed(
        self, stream: Member, before: Snapshot | None, absorbed: tuple[str, ...]
    ) -> tuple[str, ...]:
        """The runs whose kept rows the snapshot holds, as long as staging has these rows."""
        earlier = before.info.absorbed if before and before.info else ()
        own = (self.run_id,) if self.staging.kept(stream.dataset) else ()
        still = (run for run in earlier if (self.store.workplace / paths.STAGING / run).exists())
        return tuple(dict.fromkeys((*still, *absorbed, *own)))

    def _checked(self, path: str, file: Path, info: SnapshotInfo) -> Snapshot:
        """Reads a finished file's footer back: only a whole file may get a name."""
        snapshot = snapshots.describe(self.store, path, file)
        if snapshot.row_count != info.row_count:
            raise LakeError(
                f"{snapshot.dataset}: the new snapshot has {snapshot.row_count} rows where {info.row_count} "
                "were counted; nothing was published"
            )
        return snapshot

    def _hold(
        self, family: Family, facts: StreamFacts, previous: Snapshot | None, decision: Decision
    ) -> list[DatasetSummary]:
        """Keeps a family's rows aside; the latest snapshots stay what they are."""
        summaries = []
        if not self.store.keeps_workplace:
            decision = replace(decision, waits=False)
        if decision.waits and family.stream.rows_read:
            self.staging.keep([(family, facts)])
        for member in family.members():
            reason = decision.hold or ""
            notes = [reason] if member is family.stream else [f"held with {family.stream.dataset}"]
            segments = self.staging.segments(member.dataset)
            if member.rows_read and decision.waits:
                notes.append(
                    f"the {member.rows_read} rows that arrived wait in {paths.STAGING}/{self.run_id}"
                )
            elif member.rows_read:
                kept = f"{paths.INCOMPLETE}/{self.run_id}/{member.dataset}{paths.SUFFIX}"
                temporary = self.staging.scratch(f"{member.dataset}.held")
                united, _ = unite(segments)
                write_parquet(pl.concat(united).drop(ROW), temporary, self.options)
                keep_aside(self.store, temporary, kept)
                notes.append(f"the {member.rows_read} rows that arrived are kept in {kept}")
            if member is family.stream:
                notes += family.notes
            latest = previous if member is family.stream else snapshots.latest(self.store, member.dataset)
            summaries.append(summary_of(member, facts, "held", latest, notes))
        return summaries

    def _summaries(
        self,
        family: Family,
        facts: StreamFacts,
        decision: Decision,
        merged: dict[str, Merged],
        evolved: dict[str, Evolution],
        befores: dict[str, Snapshot | None],
        written: dict[str, Snapshot],
    ) -> list[DatasetSummary]:
        summaries = []
        for member in family.members():
            result, before = merged[member.dataset], befores[member.dataset]
            now = written.get(member.dataset)
            notes = [*result.notes, *(evolved[member.dataset].notes() if now else ())]
            if member is family.stream:
                notes += [*decision.notes, *family.notes, *vanished(family, before)]
                if facts.proof == "unproven" and now:
                    notes.append("the stream gave no proof that it was read to its end")
                if now and paths.snapshot_moment(now.name) - self.clock() > CLOCK_OFF:
                    notes.append(f"the clock is behind the names that are there: {now.name} is in the future")
            summary = summary_of(member, facts, "published" if now else "unchanged", now or before, notes)
            summary.rows_added, summary.rows_updated, summary.rows_deleted = (
                result.added,
                result.updated,
                result.deleted,
            )
            summary.sha256 = self.checksums.get(now.path) if now else None
            summary.base = before.path if before and decision.keeps_base else None
            summaries.append(summary)
        return summaries


def _next_name(family: Family, moment: datetime, newest: str) -> str:
    """Names the family's next files: after `moment`, and after all that are there."""
    try:
        return paths.snapshot_name(moment, newest)
    except (ValueError, OverflowError) as error:
        dataset = family.stream.dataset
        raise LakeError(f"{dataset}: no name can follow {newest}: move that file away") from error


def _refusal(
    facts: StreamFacts,
    decision: Decision,
    base: Snapshot,
    merged: dict[str, Merged],
    evolved: dict[str, Evolution],
) -> str | None:
    """Why merged rows must not follow `base`: too many are gone, or frozen columns differ."""
    if not decision.keeps_base:
        before = base.row_count + (base.info.filtered if base.info else 0)
        drop = hold_for_drop(facts, before, merged[base.dataset].row_count + facts.filtered)
        if drop:
            return drop
    return hold_for_change(facts, news_of(evolved, base))


def _keeps_version(facts: StreamFacts, base: Snapshot, decision: Decision) -> bool:
    """Tells whether `base` names the rows' version: where rows go on, the next run must find it there."""
    is_same = base.info is not None and base.info.version == _version(facts, base)
    return is_same or decision.load_method == "overwrite"


def _version(facts: StreamFacts, before: Snapshot | None) -> int | None:
    if facts.version is not None and facts.proof != "open":
        return facts.version
    known = before.info.version if before and before.info else None
    return facts.rows_version if known is None else known
