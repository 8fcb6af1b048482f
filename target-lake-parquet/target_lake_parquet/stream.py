"""One stream of a run: its plan of columns, its rows on the way to staging, and what was noticed of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import polars as pl

from lake_parquet.errors import printable
from lake_parquet.family import Family, Member
from lake_parquet.footer import Owner
from lake_parquet.known_names import known_names
from lake_parquet.names import Names, joined
from lake_parquet.paths import dataset_name
from lake_parquet.policy import StreamFacts
from lake_parquet.quarantine import Problem, Quarantine, Quarantined, quarantined
from lake_parquet.runs import DatasetSummary, Proof
from lake_parquet.staging import Staging
from lake_parquet.store import Store
from target_lake_parquet.blocks import BlockDecoder, Rules
from target_lake_parquet.columns import PARENT, Plan, Table, names_of, table_of
from target_lake_parquet.decode import KEY_MISSING, BadRecord, Decoded, decode
from target_lake_parquet.jsonschema_shapes import shape_of
from target_lake_parquet.lines import Lines
from target_lake_parquet.mark import Mark, read_mark
from target_lake_parquet.messages import BY_MAP, Rows, SchemaMessage
from target_lake_parquet.metadata import OWN, Moments, version_of_last, with_metadata
from target_lake_parquet.noticed import Noticed
from target_lake_parquet.proof import Evidence, is_incremental, is_resumable
from target_lake_parquet.settings import Settings, StreamSettings
from target_lake_parquet.workers import Workers

BLOCK_BYTES = 4 * 2**20
"""Records are decoded when this many bytes of them wait: large enough for whole columns, small for memory."""


@dataclass(slots=True)
class Stream:
    """A stream between its first SCHEMA and the end of the run.

    `taken` says which stream of the run writes which dataset; all streams share it. `tap_stream` is the name
    that the tap's bookmarks have for it, `filtered` the number of records that a stream map left out, `names`
    and `there` what its fields are called in the lake, and in this run so far.
    """

    name: str
    tap_stream: str
    settings: StreamSettings
    owner: Owner
    origin: str | None
    account: str | None
    tenant_column: str | None
    quarantine: Quarantine
    max_depth: int
    template: str
    taken: dict[str, str]
    lines: Lines
    started: datetime
    evidence: Evidence = field(default_factory=Evidence)
    schema: dict[str, Any] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    replication_keys: tuple[str, ...] = ()
    tables: dict[str, Table] = field(default_factory=dict)
    names: Names = field(default_factory=dict)
    there: frozenset[str] = frozenset()
    failure: str | None = None
    lacks_key: bool = False
    lacks_schema: bool = False
    hold: str | None = None
    read: Counter[str] = field(default_factory=Counter)
    noticed: Noticed = field(default_factory=Noticed)
    bad_records: int = 0
    first_bad: BadRecord | None = None
    waiting: list[Rows] = field(default_factory=list)
    waiting_bytes: int = 0
    filtered: int = 0
    _received: datetime | None = None
    _decoder: BlockDecoder | None = None
    _bare: Table | None = None

    def dataset(self, suffix: str = "") -> str:
        """The dataset of the stream, or of one of its arrays."""
        owner = self.owner
        return dataset_name(owner.tenant, owner.source, self.name, suffix or None, self.template)

    def take_schema(self, message: SchemaMessage, staging: Staging, workers: Workers) -> None:
        """Plans the columns anew; rows that came under an older SCHEMA keep their own."""
        if self.tables and (message.schema, message.key_properties) == (self.schema, self.keys):
            self.replication_keys = message.bookmark_properties
            return
        self.flush(staging, workers)
        workers.drain()
        self._learn_names()
        if self.tables and set(message.key_properties) != set(self.keys):
            self.hold = self.hold or (
                f"line {message.line}: the keys changed within the run from {list(self.keys)} to "
                f"{list(message.key_properties)}, so that nobody can say which row replaces which: "
                "mend the tap's catalog and read the stream anew"
            )
        try:
            table = self._planned(message)
            self._decoder = self._new_decoder(table, message)
        except ValueError as error:
            self.fail(f"line {message.line}: {error}")
            return
        self.taken.update({self.dataset(one.suffix).casefold(): self.name for one in table.family()})
        self.schema, self.keys = message.schema, message.key_properties
        self.replication_keys = message.bookmark_properties
        self.tables |= {member.suffix: member for member in table.family()}
        self._bare = table

    def _planned(self, message: SchemaMessage) -> Table:
        """The columns that a SCHEMA asks for; raises ValueError where it cannot have them."""
        table = table_of(message.schema, message.key_properties, self._plan(message.schema))
        for name in sorted(self.dataset(member.suffix) for member in table.family()):
            if (other := self.taken.get(name.casefold(), self.name)) != self.name:
                raise ValueError(
                    f"its dataset, or a child's, has the name of one of stream {other!r}: rename one there"
                )
        return table

    def _reserved(self, schema: Mapping[str, Any]) -> frozenset[str]:
        """The columns that the target itself fills; one that the tap declares as well gives way to it."""
        tenant = [self.tenant_column] if self.owner.tenant and self.tenant_column else []
        if not self.settings.add_record_metadata:
            return frozenset(tenant)
        return frozenset([*tenant, *(set(OWN) - shape_of(schema).properties.keys())])

    def _new_decoder(self, table: Table, message: SchemaMessage) -> BlockDecoder:
        """Plans the decoding; raises ValueError where records cannot be validated against the SCHEMA."""
        settings, validator = self.settings, None
        if settings.validate_records:
            from target_lake_parquet.validation import (  # noqa: PLC0415 - most runs do without its library
                InvalidSchemaError,
                Validator,
            )

            try:
                validator = Validator(message.schema)
            except InvalidSchemaError as error:
                raise ValueError(
                    f"the SCHEMA is no JSON Schema ({error}): "
                    "mend it at the tap, or set validate_records to false for this stream"
                ) from None
            noticed = self.noticed
            noticed.unchecked_patterns = max(noticed.unchecked_patterns, validator.unchecked)
        rules = Rules(
            max_depth=self.max_depth,
            refuses_undeclared=settings.undeclared_fields == "fail",
            sets_aside=settings.on_bad_record == "quarantine",
            adding=self._plan(message.schema) if settings.undeclared_fields == "add" else None,
        )
        return BlockDecoder(table, rules, validator=validator, reads_envelopes=settings.add_record_metadata)

    def _moments(self) -> Moments:
        now = datetime.now(UTC)
        return Moments(self._received or now, now, self.started)

    def _plan(self, schema: dict[str, Any]) -> Plan:
        settings = self.settings
        return Plan(
            split_arrays=settings.arrays == "split",
            split_depth=settings.split_depth,
            max_depth=settings.flattening_max_depth,
            separator=settings.flattening_separator,
            reserved=self._reserved(schema),
            naive_zone=None if settings.naive_timezone == "UTC" else settings.naive_timezone,
            names=self.names,
            there=self.there,
        )

    def _learn_names(self) -> None:
        """Remembers what the fields are called, those included that came without being declared."""
        if self._decoder:
            self.names = joined(self.names, names_of(self._decoder.table))

    def take_rows(self, rows: Rows, staging: Staging, workers: Workers) -> None:
        """Lets records wait until there are enough of them for a block."""
        self.evidence.rows += rows.count
        if self.failure:
            return
        if not self.waiting:
            self._received = datetime.now(UTC)
        self._bare = None  # a block brings all columns
        self.waiting.append(rows)
        self.waiting_bytes += len(rows.block)
        if self.waiting_bytes >= BLOCK_BYTES:
            self.flush(staging, workers)

    def flush(self, staging: Staging, workers: Workers) -> None:
        """Has the waiting records decoded; their rows are staged when that is done."""
        if self._bare is not None:  # the columns are there from the first snapshot on
            self._stage(decode(self._bare, [], []), staging, self._moments())
            self._bare = None
        waiting, self.waiting, self.waiting_bytes = self.waiting, [], 0
        if waiting:
            version = version_of_last(waiting[-1].block)
            self.evidence.rows_version = self.evidence.rows_version if version is None else version
        decoder, moments = self._decoder, self._moments()
        if waiting and decoder and not self.failure:
            if self.settings.undeclared_fields == "add":
                workers.drain()  # a block's new columns are known before the next one is decoded
            workers.submit(
                lambda: list(decoder.decode(waiting)),
                lambda blocks: self._stage_all(blocks, staging, moments),
            )

    def _stage_all(self, blocks: Sequence[Decoded], staging: Staging, moments: Moments) -> None:
        for decoded in blocks:
            self._stage(decoded, staging, moments)

    def _stage(self, decoded: Decoded, staging: Staging, moments: Moments) -> None:
        if decoded.bad:
            self.refuse(decoded.bad, decoded.aside)
        if self.failure:
            return
        self.noticed.take(decoded, adds=self.settings.undeclared_fields == "add")
        if self.settings.add_record_metadata:
            rows, keys = decoded.frames[""], self.tables[""].keys
            decoded.frames[""] = with_metadata(rows, decoded.envelopes, moments, keys)
        for suffix, frame in decoded.frames.items():
            self.read[suffix] += frame.height
            staging.append(self.dataset(suffix), self._with_tenant(frame))

    def _with_tenant(self, frame: pl.DataFrame) -> pl.DataFrame:
        column = self.tenant_column
        if not self.owner.tenant or not column:
            return frame
        return frame.insert_column(
            1, pl.Series(column, [self.owner.tenant], dtype=pl.String).new_from_index(0, frame.height)
        )

    def refuse(self, bad: Sequence[BadRecord], texts: Mapping[int, bytes]) -> None:
        """Gives the stream up for records that cannot be stored, or sets them aside.

        `texts` are their lines, by number, where they may be kept.
        """
        if self.failure:
            return
        problems: dict[int, list[BadRecord]] = {}
        for one in sorted(bad, key=lambda one: one.line):
            problems.setdefault(one.line, []).append(one)
        first = next(iter(problems.values()))[0]
        self.bad_records += len(problems)
        if not self.first_bad or first.line < self.first_bad.line:
            self.first_bad = first
        if self.settings.on_bad_record == "fail":
            self.lacks_key = first.reason == KEY_MISSING
            more = f" ({len(problems)} such records in this block)" if len(problems) > 1 else ""
            place = "in stream_maps" if BY_MAP in first.reason else "in the tap's schema"
            self.fail(f"{self._sentence(first)}{more}: mend it at the source or {place}")
            return
        self.quarantine.append(
            self.dataset(), [self._quarantined(one, found, texts) for one, found in problems.items()]
        )
        limit = self.settings.max_bad_records
        if limit is not None and self.bad_records > limit:
            self.fail(f"more bad records than max_bad_records, {limit}: .quarantine holds them, with reasons")

    def _quarantined(
        self, number: int, found: Sequence[BadRecord], texts: Mapping[int, bytes]
    ) -> Quarantined:
        line, batch = self.lines.place(number)
        return quarantined(
            line, [Problem(one.field, one.reason) for one in found], texts.get(number, b""), batch
        )

    def close(self) -> None:
        """Ends the stream after its last message; one whose records are all bad is given up."""
        if self.bad_records and not self.read[""]:
            self.fail("not one of its records could be stored")

    def fail(self, reason: str) -> None:
        """Gives the stream up: nothing of it is published, the other streams go on."""
        self.failure, self.waiting, self.waiting_bytes = self.failure or printable(reason), [], 0

    def facts(self, proof: Proof, opening: Any, bookmark: Any, covered: int | None) -> StreamFacts:  # noqa: ANN401 - any JSON value
        """What the lake must know of the stream to decide.

        `opening` is the bookmark the read began with, `bookmark` the one in the last STATE, which stands in
        the input line `covered`.
        """
        return StreamFacts(
            owner=self.owner,
            keys=self.tables[""].keys,
            replication_keys=self.replication_keys,
            incremental=is_incremental(bookmark) or bool(self.replication_keys),
            resumed=is_resumable(opening) and not self.evidence.closes_with,
            is_empty=not self.evidence.rows,
            version=self.evidence.version,
            rows_version=self.evidence.rows_version,
            origin=self.origin,
            proof=proof,
            load_method=self.settings.load_method,
            on_incomplete=self.settings.on_incomplete,
            max_row_drop=self.settings.max_row_drop,
            on_schema_change=self.settings.on_schema_change,
            hard_delete=self.settings.hard_delete,
            bookmark=bookmark,
            account=self.account,
            filtered=self.filtered,
            covered=covered,
            reads_anew=self.evidence.closes_with is not None,
            hold=self.hold,
        )

    def family(self) -> Family:
        """The stream's datasets."""
        self._learn_names()
        members = [self._member(table) for suffix, table in sorted(self.tables.items())]
        return Family(members[0], tuple(members[1:]), self.schema, tuple(self._notes()), self.names)

    def _member(self, table: Table) -> Member:
        level = 0 if not table.suffix else len(table.keys) - len(self.tables[""].keys)
        return Member(
            dataset=self.dataset(table.suffix),
            owner=msgspec.structs.replace(self.owner, child=table.suffix or None),
            keys=table.keys,
            parents=tuple(PARENT * level + key for key in self.tables[""].keys) if table.suffix else (),
            rows_read=self.read[table.suffix],
            rows_quarantined=0 if table.suffix else self._set_aside(),
        )

    def _sentence(self, bad: BadRecord) -> str:
        return f"{self.lines.where(bad.line)}: field {bad.field!r} {bad.reason}"

    def _set_aside(self) -> int:
        return self.bad_records if self.settings.on_bad_record == "quarantine" else 0

    def _notes(self) -> list[str]:
        notes = list(self.noticed.notes())
        if self.filtered:
            notes.append(f"{self.filtered} records left out by the stream map's filter")
        if self.first_bad and self._set_aside():
            notes.append(
                f"{_bad_records(self.bad_records)} in {self.quarantine.path(self.dataset())}, "
                f"the first: {self._sentence(self.first_bad)}"
            )
        return [printable(note) for note in notes]

    def failed(self) -> DatasetSummary:
        """The summary of a stream that was given up."""
        return DatasetSummary(
            dataset=self.dataset(),
            stream=self.name,
            status="failed",
            rows_read=self.evidence.rows - self._set_aside(),
            rows_quarantined=self._set_aside(),
            proof="open",
            source="_".join(filter(None, (self.owner.source, self.origin))) or None,
            notes=[self.failure or "", *self._notes()],
        )


def _bad_records(count: int) -> str:
    return "1 bad record is" if count == 1 else f"{count} bad records are"


def new_stream(
    message: SchemaMessage,
    settings: Settings,
    taken: dict[str, str],
    lines: Lines,
    quarantine: Quarantine,
    started: datetime,
    store: Store,
) -> Stream:
    """Opens a stream at its first SCHEMA, in a run that `started` then; the lake knows its earlier names."""
    mark, odd = Mark(), None
    try:
        mark = read_mark(message.schema)
    except ValueError as error:
        odd = f"line {message.line}: {error}"
    stream = Stream(
        name=message.stream,
        tap_stream=message.tap_stream or message.stream,
        settings=settings.of_stream(message.stream),
        owner=Owner(stream=message.stream, tenant=settings.tenant_id, source=settings.source or mark.source),
        origin=mark.origin,
        account=mark.account,
        tenant_column=settings.tenant_column,
        template=settings.dataset_template,
        quarantine=quarantine,
        max_depth=settings.max_depth,
        taken=taken,
        lines=lines,
        started=started,
        evidence=Evidence(closes_with=mark.closes_with),
        failure=odd,
    )
    stream.names, stream.there = known_names(store, stream.dataset(), stream.owner, stream.origin)
    return stream
