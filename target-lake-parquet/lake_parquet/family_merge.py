"""A family's previous snapshots and staged rows in, the next snapshots' rows out, over all its datasets.

Rows that earlier runs left in staging come first, a run after the other, then this run's: what is in between
is a private file, so that only one run's keys are in memory at a time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from lake_parquet.deadruns import DeadRows
from lake_parquet.family import Family
from lake_parquet.large_merge import Side, is_large, merge_large
from lake_parquet.merge import Merged, Rule, height_of, merge_child, merge_stream
from lake_parquet.names import TableNames
from lake_parquet.policy import Decision, StreamFacts
from lake_parquet.staging import ROW, StagedRows, Staging

Scans = Mapping[str, pl.LazyFrame | None]


@dataclass(frozen=True, slots=True)
class Step:
    """The rows of one run. `until` is the input line that ends them; None takes all."""

    rows: StagedRows
    until: int | None = None
    note: str | None = None

    def segments(self, dataset: str) -> list[pl.LazyFrame]:
        """Its blocks of a dataset."""
        blocks = self.rows.segments(dataset)
        return blocks if self.until is None else [block.filter(pl.col(ROW) < self.until) for block in blocks]

    def height(self, dataset: str) -> int:
        """Its rows of a dataset."""
        if self.until is None:
            return self.rows.height(dataset)  # known without a look
        return sum(map(height_of, self.segments(dataset)))


def steps_of(
    waiting: Sequence[DeadRows], staging: Staging, family: Family, facts: StreamFacts, decision: Decision
) -> list[Step]:
    """The runs whose rows make the next snapshot, the oldest first."""
    steps = [
        Step(
            rows,
            _until(rows.staged.facts, decision),
            f"with {rows.staged.family.stream.rows_read} rows that the run {rows.run.id} left",
        )
        for rows in waiting
    ]
    if staging.segments(family.stream.dataset):
        steps.append(Step(staging, _until(facts, decision)))
    return steps


def _until(facts: StreamFacts, decision: Decision) -> int | None:
    """Without keys a row that is read again would double: those after the last bookmark wait for that."""
    is_cut = facts.proof == "open" and decision.load_method == "append-only"
    return facts.covered if is_cut else None


def merge_family(
    family: Family,
    facts: StreamFacts,
    decision: Decision,
    befores: Scans,
    steps: Sequence[Step],
    scratch: Path,
) -> dict[str, Merged]:
    """Merges all steps onto the previous snapshots; `scratch` is a folder for what is in between."""
    scans = befores
    all_merged: list[dict[str, Merged]] = []
    for number, step in enumerate(steps):
        keeps = decision.keeps_base or number > 0
        merged = _merge(family, _rule(family, facts, decision, keeps=keeps), scans, step, scratch)
        if number < len(steps) - 1:
            scans = {
                name: _write(one.rows, scratch / f"{name}.{number}.step") for name, one in merged.items()
            }
        all_merged.append(merged)
    is_first = befores[family.stream.dataset] is None
    return {
        member.dataset: _sum(
            [merged[member.dataset] for merged in all_merged if member.dataset in merged], is_first=is_first
        )
        for member in family.members()
    }


def _write(rows: pl.LazyFrame, path: Path) -> pl.LazyFrame:
    rows.sink_parquet(path, compression="lz4")
    return pl.scan_parquet(path)


def _sum(steps: Sequence[Merged], *, is_first: bool) -> Merged:
    """The last step's rows, with what changed over all of them."""
    last = steps[-1]
    if len(steps) == 1:
        return last
    notes = [note for step in steps for note in step.notes]
    if is_first:
        return replace(last, added=last.row_count, updated=0, deleted=0, same_columns=False, notes=notes)
    updated = [step.updated for step in steps]
    return replace(
        last,
        added=sum(step.added for step in steps),
        updated=None if None in updated else sum(filter(None, updated)),
        deleted=sum(step.deleted for step in steps),
        same_columns=all(step.same_columns for step in steps),
        notes=notes,
    )


def _rule(family: Family, facts: StreamFacts, decision: Decision, *, keeps: bool) -> Rule:
    replaces = decision.load_method != "append-only"
    return Rule(
        keys=family.stream.keys,
        keeps=keeps,
        replaces=replaces,
        replication_key=_column_of(family, facts.replication_keys[0]) if facts.replication_keys else None,
        # where no row replaces another, one that says that another is deleted is all there is of it
        hard_delete=facts.hard_delete and replaces,
    )


def _column_of(family: Family, field: str) -> str:
    """What the column of one of the stream's own fields is called."""
    columns = family.names.get("", TableNames()).columns
    return next((name for name, path in columns.items() if path == (field,)), field)


def _merge(family: Family, rule: Rule, scans: Scans, step: Step, scratch: Path) -> dict[str, Merged]:
    sides = list(_sides(family, scans, step))
    stream, children = sides[0], sides[1:]
    if rule.keys and rule.replaces and is_large(sides):
        merged = merge_large(stream, children, rule, scratch)
    else:
        result = merge_stream(stream.previous, stream.run, rule)
        merged = {stream.name: result}
        for child in children:
            own = replace(rule, keys=child.keys)
            merged[child.name] = merge_child(
                child.previous, child.run, result, child.parents, own, child.height
            )
    own_notes = [*filter(None, [step.note]), *merged[stream.name].notes]
    return merged | {stream.name: replace(merged[stream.name], notes=own_notes)}


def _sides(family: Family, scans: Scans, step: Step) -> Iterator[Side]:
    """The datasets that have rows to merge, the stream first."""
    for member in family.members():
        before, segments = scans.get(member.dataset), step.segments(member.dataset)
        if not segments and before is not None:  # the array was not in that run's schema
            segments = [before.head(0).with_columns(pl.lit(None, pl.Int64).alias(ROW))]
        if segments:
            height = step.height(member.dataset)
            yield Side(member.dataset, before, segments, height, member.keys, member.parents)
