"""RECORD lines of a stream in, typed frames out: the fast way where it is sure, else the exact one. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from lake_parquet.merge import DELETED_AT
from lake_parquet.staging import ROW
from target_lake_parquet.columns import Column, Kind, Plan, Table
from target_lake_parquet.decode import BadRecord, Decoded, decode, full_name
from target_lake_parquet.fast import FastPlan, decode_fast, plan_of
from target_lake_parquet.heads import count_lines
from target_lake_parquet.messages import MAX_DEPTH, Rows, record_of
from target_lake_parquet.metadata import read_envelopes
from target_lake_parquet.picked import undeclared_places
from target_lake_parquet.places import tree_of
from target_lake_parquet.suspects import LONG_LINE, Screen, Suspect
from target_lake_parquet.unreadable import explain
from target_lake_parquet.values import dtype_of
from target_lake_parquet.whole_lines import pieces

if TYPE_CHECKING:
    from target_lake_parquet.validation import Validator  # only who validates loads its library

PARTS = 16
"""A block that the fast way refuses is cut into so many parts: one odd record must not slow the others."""

PAUSE = 15
"""After a block whose every part was refused, so many are decoded without a try."""

MAX_CELLS = 4_000_000
"""Rows times columns that are decoded at once: short records of a wide table would fill the memory."""

MAX_UNDECLARED = 1000
"""Records that hold more unknown names than this make up names as they go: there is nothing to learn."""

COERCED = (Kind.STRING, Kind.INTEGER)
UNSURE = (Kind.NUMBER, Kind.JSON)

LAST_LINE = 2**63 - 1

_DELETED = f'"{DELETED_AT}"'.encode()


@dataclass(frozen=True, slots=True)
class Rules:
    """Which records are bad, and whether they are taken out so that the others can be stored.

    With `adding`, fields that the schema does not name become columns that it names; blocks must come one by
    one then.
    """

    max_depth: int = MAX_DEPTH
    refuses_undeclared: bool = False
    sets_aside: bool = False
    adding: Plan | None = None


class BlockDecoder:
    """Decodes the records of one stream, under one SCHEMA."""

    def __init__(
        self,
        table: Table,
        rules: Rules | None = None,
        *,
        validator: "Validator | None" = None,
        reads_envelopes: bool = False,
    ) -> None:
        """Plans both ways for `table`; either can validate records first, and read their envelopes too."""
        self.table = table
        self.rules = rules or Rules()
        self._validator = validator
        self._reads_envelopes = reads_envelopes
        self._plan = plan_of(table, reads_envelopes=reads_envelopes, max_depth=self.rules.max_depth)
        self._pause = 0
        self._screens = False
        self._screen: tuple[FastPlan, Screen] | None = None
        self._declares_deletes = DELETED_AT in tree_of(table).below
        self._reads_deletes = self._declares_deletes

    def _declare_deletes(self) -> None:
        """Takes over the columns with the mark of deleted rows, for later blocks too."""
        with_mark = self._with_deletes
        self.table, self._plan, self._reads_deletes = with_mark.table, with_mark._plan, True  # noqa: SLF001 - one of ours

    @cached_property
    def _with_deletes(self) -> "BlockDecoder":
        """Decodes blocks with the mark of deleted rows, which many taps do not declare in their SCHEMA."""
        mark = Column(DELETED_AT, (DELETED_AT,), Kind.TIMESTAMP)
        table = replace(self.table, columns=(*self.table.columns, mark))
        return BlockDecoder(
            table, self.rules, validator=self._validator, reads_envelopes=self._reads_envelopes
        )

    def decode(self, rows: Sequence[Rows]) -> Iterator[Decoded]:
        """Decodes runs of RECORD lines, in order; several frames a table may come of them."""
        block = b"".join(run.block for run in rows)
        if not self._reads_deletes and _DELETED in block and self.rules.adding:
            self._declare_deletes()  # blocks come one by one here, and learn of added fields from each other
        elif not self._reads_deletes and _DELETED in block:
            yield from map(_without_idle_mark, self._with_deletes.decode(rows))
            return
        lines = _line_numbers(rows)
        width = sum(len(member.columns) for member in self.table.family())
        for part, numbers in _parts(block, lines, len(lines) * width // MAX_CELLS + 1):
            for decoded in self._decode(part, numbers):
                self._count_added(decoded)
                yield decoded if self._declares_deletes else _without_idle_mark(decoded)

    def _decode(self, block: bytes, lines: pl.Series) -> Iterator[Decoded]:
        plan = self._plan if not self._pause else None
        suspects = self._suspects(block) if plan is not None and self._screens else []
        self._screens = bool(suspects)
        if suspects:
            yield from self._decode_around(suspects, block, lines)
            return
        decoded = self._try_fast(plan, block, lines)
        if decoded is not None:
            yield decoded
        elif plan is None:
            self._pause = max(0, self._pause - 1)
            yield self._decode_exact(block, lines)
        elif suspects := self._suspects(block):
            self._screens = True  # of the next block they are known before it is refused
            yield from self._decode_around(suspects, block, lines)
        else:
            yield from self._decode_parts(block, lines)

    def _suspects(self, block: bytes) -> list[Suspect]:
        """The few lines that may be why the fast way refuses the block."""
        plan = self._plan
        if plan is None:
            return []
        if self._screen is None or self._screen[0] is not plan:
            try:
                self._screen = plan, Screen(plan.table, plan.picked, plan.undeclared)
            except ValueError:  # a field has a name that msgspec cannot look for
                return []
        return self._screen[1].suspects(block)

    def _decode_around(
        self, suspects: Sequence[Suspect], block: bytes, lines: pl.Series
    ) -> Iterator[Decoded]:
        """Decodes a few lines the exact way, the others the fast way; in parts where that fails."""
        rest, odd = _sorted_out(suspects, block)
        rows = pl.Series([suspect.row for suspect in suspects])
        is_odd = pl.int_range(len(lines), eager=True).is_in(rows.implode())
        fast = self._try_fast(self._plan, rest, lines.filter(~is_odd))
        if fast is None:
            yield from self._decode_parts(block, lines)
        else:
            numbers = lines.filter(is_odd)
            # a line that is odd by its length alone would take fifty times its memory as Python's objects
            long = self._try_fast(self._plan, odd, numbers) if len(odd) > LONG_LINE else None
            yield from woven(fast, long or self._decode_exact(odd, numbers))

    def _decode_parts(self, block: bytes, lines: pl.Series) -> Iterator[Decoded]:
        """Decodes a block that the fast way refused; what it refused one part for it knows at the next."""
        taken = 0
        for part, numbers in _parts(block, lines, PARTS):
            plan = self._plan
            decoded = self._try_fast(plan, part, numbers)
            if decoded is not None:
                taken += 1
                yield decoded
                continue
            decoded = self._decode_exact(part, numbers)
            if plan is not None and plan is self._plan:
                self._plan = learnt(plan, part, decoded, self.rules)
            yield decoded
        self._pause = 0 if taken else PAUSE

    def _try_fast(self, plan: FastPlan | None, block: bytes, lines: pl.Series) -> Decoded | None:
        decoded = decode_fast(plan, block, lines) if plan is not None else None
        return decoded and self._validated(decoded, block, lines)

    def _decode_exact(self, block: bytes, lines: pl.Series) -> Decoded:
        decoded = decode_exact(self.table, block, lines, self.rules)
        if self._reads_envelopes and not decoded.bad:
            decoded.envelopes = read_envelopes(block)
        decoded = self._validated(decoded, block, lines)
        if self.rules.adding and decoded.table is not None and decoded.table != self.table:
            self.table = decoded.table  # later blocks go the fast way with the new columns
            self._plan = plan_of(
                self.table,
                self._plan.picked if self._plan else (),
                reads_envelopes=self._reads_envelopes,
                max_depth=self.rules.max_depth,
            )
        return decoded

    def _count_added(self, decoded: Decoded) -> None:
        for member in self.table.family() if self.rules.adding else ():
            for column in member.columns:
                if column.is_added and column.name in decoded.frames[member.suffix]:
                    count = decoded.frames[member.suffix][column.name].count()
                    decoded.added[full_name(member, column)] = count

    def _validated(self, decoded: Decoded, block: bytes, lines: pl.Series) -> Decoded:
        if self._validator is not None:
            decoded.bad.extend(self._validator.check(block, lines.to_list()))
        return self._without_bad(decoded, block, lines) if self.rules.sets_aside and decoded.bad else decoded

    def _without_bad(self, decoded: Decoded, block: bytes, lines: pl.Series) -> Decoded:
        """Decodes a block again without its bad records, as if they had not come."""
        bad = {one.line for one in decoded.bad}
        numbered = list(zip(lines.to_list(), pieces(block, 1), strict=True))
        rest = b"".join(line for number, line in numbered if number not in bad)
        numbers = lines.filter(~lines.is_in(bad))
        fast = self._try_fast(self._plan, rest, numbers) if rest else None
        good = fast or self._decode_exact(rest, numbers)
        # without them other records may be bad: what an added column holds depends on who is there
        good.bad = [*decoded.bad, *good.bad]
        good.aside |= {number: line.removesuffix(b"\n") for number, line in numbered if number in bad}
        return good


def decode_exact(table: Table, block: bytes, lines: pl.Series, rules: Rules | None = None) -> Decoded:
    """Decodes a block record by record: whatever a line holds, it becomes rows or a bad record."""
    rules = rules or Rules()
    numbers, records = [], []
    refused: list[BadRecord] = []
    numbered = list(zip(lines.to_list(), pieces(block, 1), strict=True))  # of one line it makes no copy
    for number, line in numbered:
        try:
            records.append(record_of(line, rules.max_depth))
            numbers.append(number)
        except ValueError as error:
            refused.append(BadRecord(number, *explain(line, error)))
    decoded = decode(table, numbers, records, rules.adding)
    if rules.refuses_undeclared and decoded.undeclared:
        refused += [
            BadRecord(number, ".".join(filter(None, (suffix, *path))), "is not named by the schema")
            for number, line in numbered
            for suffix, path in sorted(undeclared_places(table, line))
        ]
    decoded.bad = [*refused, *decoded.bad]
    return decoded


def learnt(plan: FastPlan, block: bytes, exact: Decoded, rules: Rules) -> FastPlan | None:
    """The plan for blocks such as one that was refused: what was odd in it is read value by value."""
    columns = [
        (table, column)
        for table in plan.table.family()
        for column in table.columns
        if column.kind is not Kind.NOTHING
    ]
    odd = {
        (table.suffix, column.path)
        for table, column in columns
        if exact.frames[table.suffix].schema[column.name] != dtype_of(column)
        or (column.kind in COERCED and any(name == full_name(table, column) for name, _ in exact.coerced))
    }
    learns = exact.undeclared and not rules.refuses_undeclared and not rules.adding
    undeclared = undeclared_places(plan.table, block) if learns else set()
    if not odd and not undeclared and not exact.bad:
        # numbers of many digits, or strings with escapes
        odd = {(table.suffix, column.path) for table, column in columns if column.kind in UNSURE}
    any_members = not odd and not exact.undeclared and not exact.bad and plan.picker is None
    is_known = odd <= plan.picked and undeclared <= plan.undeclared and not any_members
    if is_known or len(plan.undeclared | undeclared) > MAX_UNDECLARED:
        return plan
    picked = plan.picked | odd
    return plan_of(
        plan.table,
        picked,
        plan.undeclared | undeclared,
        reads_envelopes=plan.reads_envelopes,
        max_depth=rules.max_depth,
        any_members=any_members,
    )


def woven(many: Decoded, few: Decoded) -> list[Decoded]:
    """Two parts of a block in the order of their lines; what was noticed of both is in the first piece.

    They are one piece but where a column of the few has widened.
    """
    if all(few.frames[suffix].schema == frame.schema for suffix, frame in many.frames.items()):
        return [_joined(many, few)]
    cuts = [cut for line in few.frames[""][ROW] for cut in (line, line + 1)]
    starts, ends = [0, *cuts], [*cuts, LAST_LINE]
    first, *others = (
        _lines(few if number % 2 else many, start, end)
        for number, (start, end) in enumerate(zip(starts, ends, strict=True))
    )
    _notice(first, many, few)
    return [first, *(piece for piece in others if piece.frames[""].height)]


def _joined(many: Decoded, few: Decoded) -> Decoded:
    """Two parts of a block with the same columns as one, in the order of their lines."""
    whole = Decoded()
    for suffix, frame in many.frames.items():
        rows = pl.concat([frame, few.frames[suffix]])
        whole.frames[suffix] = rows.sort(ROW, maintain_order=True)
        if not suffix and many.envelopes is not None and few.envelopes is not None:
            order = rows[ROW].arg_sort()  # each line is one row here
            whole.envelopes = pl.concat([many.envelopes, few.envelopes])[order]
    _notice(whole, many, few)
    return whole


def _notice(piece: Decoded, many: Decoded, few: Decoded) -> None:
    piece.coerced = dict(Counter(many.coerced) + Counter(few.coerced))
    piece.undeclared = dict(Counter(many.undeclared) + Counter(few.undeclared))
    piece.bad, piece.aside = [*many.bad, *few.bad], many.aside | few.aside


def _lines(decoded: Decoded, start: int, end: int) -> Decoded:
    """The rows of the lines from `start` up to `end`."""
    envelopes = decoded.envelopes
    piece = Decoded()
    for suffix, frame in decoded.frames.items():
        first, last = (frame[ROW].search_sorted(line) for line in (start, end))
        piece.frames[suffix] = frame.slice(first, last - first)
        if not suffix and envelopes is not None:
            piece.envelopes = envelopes.slice(first, last - first)
    return piece


def _without_idle_mark(decoded: Decoded) -> Decoded:
    """Leaves the mark of deleted rows out where no row has it: its name may be some text's, or a null's."""
    rows = decoded.frames[""]
    if DELETED_AT in rows.columns and rows[DELETED_AT].null_count() == rows.height:
        decoded.frames[""] = rows.drop(DELETED_AT)
    return decoded


def _line_numbers(rows: Sequence[Rows]) -> pl.Series:
    """The line number of each record."""
    if len(rows) == 1:
        return rows[0].lines
    if any(run.numbers is not None for run in rows):
        return pl.concat([run.lines for run in rows])
    firsts = pl.Series([run.first_line for run in rows], dtype=pl.Int64)
    ends = firsts + pl.Series([run.count for run in rows], dtype=pl.Int64)
    return pl.int_ranges(firsts, ends, eager=True).explode()


def _parts(block: bytes, lines: pl.Series, count: int) -> Iterator[tuple[bytes, pl.Series]]:
    """Cuts a block into so many parts of whole lines, about equal in size."""
    if count == 1:
        yield block, lines
        return
    first = 0
    for part in pieces(block, len(block) // count + 1):
        rows = count_lines(part)
        yield part, lines.slice(first, rows)
        first += rows


def _sorted_out(suspects: Sequence[Suspect], block: bytes) -> tuple[bytes, bytes]:
    """The lines of a block that are no suspects, and those that are."""
    starts = [0, *(suspect.end for suspect in suspects)]
    ends = [*(suspect.start for suspect in suspects), len(block)]
    rest = b"".join(block[start:end] for start, end in zip(starts, ends, strict=True))
    return rest, b"".join(block[suspect.start : suspect.end] for suspect in suspects)
