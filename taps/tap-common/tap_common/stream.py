"""A stream as every tap here has it: pages of rows in, RECORD, ACTIVATE_VERSION and STATE out.

A tap's own stream says where pages come from (`pages`); order, versions, bookmarks and the annotation are the
same for all of them and stand here.
"""

from __future__ import annotations

import abc
import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from singer_sdk import Stream
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform, StreamMap
from singer_sdk.singerlib import SchemaMessage
from singer_sdk.singerlib.catalog import REPLICATION_INCREMENTAL

from tap_common.emit import Row
from tap_common.errors import ApiError, ConfigError
from tap_common.pages import Page
from tap_common.stub import stub_rows

if TYPE_CHECKING:
    from tap_common.tap import CommonTap

ANNOTATION = "x-singerlake"
DELETED_AT = "_sdc_deleted_at"
"""The column of a tombstone: a record that holds its key and when its row was deleted, and nothing else."""
OWN_ERRORS = (ApiError, ConfigError, AttributeError, LookupError, TypeError, ValueError)
"""What may go wrong with one stream alone: refusals, and answers of a shape that our code does not know."""
Part = dict[str, str] | None
"""One account of several, as it stands in the state; None where there is but one."""


class CommonStream(Stream, abc.ABC):
    """One stream of records."""

    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE  # the API is typed; tests hold records to the schema
    is_sorted = True  # bookmarks are ours to set, whatever the order; the SDK would keep others
    part: Part = None
    """The account that is read now."""
    _tap: CommonTap

    def __init__(self, tap: CommonTap, *arguments: Any, **named: Any) -> None:  # noqa: ANN401
        super().__init__(tap, *arguments, **named)
        added: dict[str, Any] = {}
        if column := tap.parted_by:
            self.primary_keys = (column, *self.primary_keys)
            added[column] = {"type": ["string"]}
        if self.has_tombstones:
            added[DELETED_AT] = {"type": ["string", "null"], "format": "date-time"}
        if added:
            self.__dict__["schema"] = _merged(self.schema, {"properties": added})

    @property
    def has_tombstones(self) -> bool:
        """Whether this stream tells of deleted rows; the schema then declares the mark."""
        return False

    @property
    def wants_tombstones(self) -> bool:
        """Whether deleted rows are to be told: in an incremental read, unless the mark is deselected."""
        return (
            self.has_tombstones
            and self.replication_method == REPLICATION_INCREMENTAL
            and (DELETED_AT,) not in self._deselected
        )

    @abc.abstractmethod
    def pages(self, since: datetime | None) -> Iterator[Page]:
        """Yield pages of finished rows, those changed at or after `since`.

        A row is yielded once everything that belongs to it is there, and a bookmark with the rows that make
        it true: every record changed before it was yielded by then. `Progress` works it out.
        """

    # --- what kind of read this is -------------------------------------------------------------------------

    @cached_property
    def _bookmarks(self) -> list[tuple[Part, str | None]]:
        """The bookmark that each part of this read starts from, as it stood in the state before the read."""
        return [(part, self._bookmark_in_state(part)) for part in self._tap.parts]

    def _bookmark_in_state(self, part: Part) -> str | None:
        if self.replication_method != REPLICATION_INCREMENTAL or self._tap.is_stub:
            return None
        state = self.get_context_state(part)
        return (
            state.get("replication_key_value")
            if state.get("replication_key") == self.replication_key
            else None
        )

    def _bookmark_of(self, part: Part) -> str | None:
        return next((value for known, value in self._bookmarks if known == part), None)

    @property
    def version(self) -> int | None:
        """The version of a read that starts without any bookmark, so of everything there is; else None."""
        return None if any(value for _, value in self._bookmarks) else self._initialized_at

    @property
    def lag(self) -> timedelta:
        """How far the API's search may lag behind its data."""
        return timedelta(seconds=int(self.config.get("lookback", 0)))

    @property
    def effective_schema(self) -> dict[str, Any]:
        """The declared schema, with what a catalog changes in it.

        The SDK would take the catalog's schema instead; its Schema class drops every keyword it does not know
        (`precision` and `scale` among them), also on the way through `--discover`.
        """
        return _merged(self.schema, self._input_schema or {})

    @property
    def emit_activate_version_messages(self) -> bool:
        """False: the SDK would send ACTIVATE_VERSION at the opening, where it proves nothing."""
        return False

    def get_replication_key_signpost(self, context: Any = None) -> None:  # noqa: ANN401
        """Return None: a signpost is for streams that come unsorted."""

    # --- messages ------------------------------------------------------------------------------------------

    def _write_schema_message(self) -> None:
        self._tap.open()  # nothing is printed before the API said who it is
        super()._write_schema_message()

    def _generate_schema_messages(self) -> Iterator[SchemaMessage]:  # type: ignore[override]
        """Yield SCHEMA messages that say where the records come from and how the stream will end.

        Inside `schema`, where catalogs, stream maps and mapper plugins leave it alone.
        """
        note = {"source": self._tap.source, "origin": self._tap.origin}
        if account := self._tap.state.get("account"):
            note["account"] = str(account)
        if self.version is not None:
            note["closes_with"] = "ACTIVATE_VERSION"
        for message in super()._generate_schema_messages():
            message.schema = {**message.schema, ANNOTATION: note}
            yield message

    def log(self, message: str, *args: Any, level: int = logging.INFO, **kwargs: Any) -> None:  # noqa: ANN401
        """Log, but leave errors to the command line, and how a read goes to the line at its end."""
        if message.startswith(("An unhandled error", "Beginning sync")):
            level = logging.DEBUG
        super().log(message, *args, level=level, **kwargs)

    @cached_property
    def _deselected(self) -> list[tuple[str, ...]]:
        """Paths of columns the catalog leaves out, parents first."""
        return sorted(tuple(crumb[1::2]) for crumb, selected in self.mask.items() if crumb and not selected)

    @cached_property
    def _as_they_are(self) -> bool:
        """Whether records go out as they came: no stream map, no flattening."""
        only, *others = self.stream_maps
        return not others and type(only) is SameRecordTransform and not only.flattening_enabled

    def _write_rows(self, rows: list[Row]) -> None:
        extracted = datetime.now(UTC)
        for path in self._deselected:
            for row in rows:
                _drop(row, path)
        if self._as_they_are:
            alias = self.stream_maps[0].stream_alias
            self._tap.message_writer.write_records(alias, rows, version=self.version, extracted=extracted)
            return
        for stream_map in self.stream_maps:
            # Copies: a map may change the record it is given, and several maps are given the same one.
            mapped = (self._mapped(stream_map, row) for row in rows)
            self._tap.message_writer.write_records(
                stream_map.stream_alias,
                (row for row in mapped if row is not None),
                version=self.version,
                extracted=extracted,
            )

    def _mapped(self, stream_map: StreamMap, row: Row) -> Row | None:
        """Return what a map makes of a row; a tombstone stays one, with every column for the map to see."""
        if DELETED_AT not in row:
            return stream_map.transform(dict(row))
        record = stream_map.transform(dict.fromkeys(self.schema["properties"]) | row)
        return None if record is None else {**record, DELETED_AT: row[DELETED_AT]}

    # --- the read ------------------------------------------------------------------------------------------

    def get_records(self, context: Any) -> Iterable[Row]:  # noqa: ANN401
        """Yield every record; for callers outside a sync."""
        for page in self._pages(context):
            yield from page.rows

    def get_batch_config(self, config: Mapping[str, Any]) -> None:
        """Return None: this tap sends records, not files."""

    def _pages(self, part: Part) -> Iterator[Page]:
        if self._tap.is_stub:
            yield Page(list(stub_rows(self._tap.package, self.name)))
            return
        self._tap.turn_to(part)
        self.part = part
        for page in self.pages(self.since(part)):
            for row in page.rows if part else ():
                row.update(part or {})
            yield page

    def since(self, part: Part) -> datetime | None:
        """Return where a read of this part starts; None for everything there is."""
        since = self.get_starting_timestamp(part)
        return since - self.lag if since is not None and self._bookmark_of(part) else since

    def _sync_records(  # type: ignore[override]
        self,
        context: Any = None,  # noqa: ANN401, ARG002 - the tap's parts are the contexts
        *,
        write_messages: bool = True,
    ) -> Iterator[Row]:
        for part in self._tap.parts:  # all of them first: no state may look as if the stream had ended
            self._write_starting_replication_value(part)
        counter = self.get_record_counter()
        read, is_whole = 0, True
        with counter, self.get_sync_timer():
            for part in self._tap.parts:
                try:
                    for rows in self._sync_part(part, read, write_messages=write_messages):
                        counter.increment(len(rows))
                        read += len(rows)
                        yield from rows
                except OWN_ERRORS as error:
                    self._tap.give_up(self.name, error)
                    is_whole = False
        if is_whole:
            self._close(write_messages=write_messages)
            self.log("%s", self._account_of(read))
        elif write_messages:
            self._tap.state_writer.write_state(self.tap_state)  # with the marks of a stream that is open

    def _sync_part(self, part: Part, read: int, *, write_messages: bool) -> Iterator[list[Row]]:
        """Write the records of one account and yield them, page by page; `read` came from those before."""
        limit = self.ABORT_AT_RECORD_COUNT
        for page in self._pages(part):
            rows = page.rows if limit is None else page.rows[: max(limit - read, 0)]
            if write_messages:
                self._write_rows(rows)
            read += len(rows)
            yield rows
            if len(rows) < len(page.rows):
                self._check_max_record_limit(current_record_index=read)
            self._set_bookmark(part, page.bookmark)
            if rows and write_messages:
                self._tap.state_writer.write_state(self.tap_state)

    def finalize_state_progress_markers(self, state: Any = None) -> None:  # noqa: ANN401
        """Leave the state alone: `_close` took the marks of a whole read away, an open one keeps them."""

    def _account_of(self, read: int) -> str:
        """Return what a read has brought, in one line for people."""
        count = f"Stream {self.name}: {read:,} record{'' if read == 1 else 's'}"
        if self._tap.is_stub:
            return f"{count}, stub data."
        if self.replication_method != REPLICATION_INCREMENTAL:
            return f"{count}, read in full."
        since = [str(value or self.config.get("start_date") or "") for _, value in self._bookmarks]
        until = [value for part in self._tap.parts if (value := self._bookmark_in_state(part))]
        way = f"changed since {min(since)}" if all(since) else "read from the start"
        return f"{count}, {way}" + (f", bookmark {min(until)}." if until else ".")

    def _close(self, *, write_messages: bool) -> None:
        """Say that the stream was read to its end: the version first, then a STATE free of marks."""
        for part in self._tap.parts:
            self._finalize_state(self.get_context_state(part))
        if write_messages:
            if self.version is not None:
                self._write_activate_version_message(self.version)
            self._tap.state_writer.write_again(self.tap_state)
        self.state_manager.is_flushed = True

    def _set_bookmark(self, part: Part, value: str | None) -> None:
        if value is None or self.replication_method != REPLICATION_INCREMENTAL:
            return
        state = self.get_context_state(part)
        state["replication_key"] = self.replication_key
        state["replication_key_value"] = max(value, self._bookmark_of(part) or value)


def _drop(row: Row, path: tuple[str, ...]) -> None:
    for name in path[:-1]:
        inner = row.get(name)
        if not isinstance(inner, dict):
            return
        row = inner
    row.pop(path[-1], None)


def _merged(declared: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the declared schema with another laid over it, keyword by keyword."""
    result = dict(declared)
    for key, value in given.items():
        ours = result.get(key)
        result[key] = _merged(ours, value) if isinstance(ours, dict) and isinstance(value, dict) else value
    return result
