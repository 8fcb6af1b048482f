"""One run: messages in, published snapshots and a printed bookmark out."""

import contextlib
import heapq
import logging
import secrets
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, BinaryIO

from lake_parquet import paths, snapshots
from lake_parquet.commit import Committer
from lake_parquet.deadruns import sweep
from lake_parquet.errors import LakeError
from lake_parquet.lake import Lake
from lake_parquet.policy import StreamFacts
from lake_parquet.prune import weigh
from lake_parquet.quarantine import Quarantine
from lake_parquet.recover import recover
from lake_parquet.runs import DatasetSummary, Proof, RunRecord, write_run
from lake_parquet.staging import Staging
from lake_parquet.store import open_store
from target_lake_parquet.batches import unpack
from target_lake_parquet.decode import BadRecord
from target_lake_parquet.incomplete import Incomplete, error_of
from target_lake_parquet.lines import Lines
from target_lake_parquet.maps import Maps
from target_lake_parquet.messages import (
    ActivateVersion,
    BadLine,
    BadMessage,
    BatchMessage,
    CutLine,
    Message,
    RefusedRecord,
    Rows,
    SchemaMessage,
    StateMessage,
    UnknownMessage,
    read_messages,
)
from target_lake_parquet.pace import Pace
from target_lake_parquet.progress import Progress, standings
from target_lake_parquet.proof import LastState, is_incremental, proof_of
from target_lake_parquet.publish import Publisher
from target_lake_parquet.settings import Settings
from target_lake_parquet.state import States
from target_lake_parquet.stream import Stream, new_stream
from target_lake_parquet.summary import lake_sentence, log_summary, print_table, sentence
from target_lake_parquet.workers import Workers

WAITING_BYTES = 48 * 2**20
"""Records of all streams together that may wait for their blocks to fill."""

IDLE_BYTES = 16 * 2**20
"""As many of them wait while a thread is free: the blocks of many streams would all fill at the same time."""
FLUSHED_SHARE = 50
"""One stream of so many is decoded at a time, the fullest first."""


class Run:
    """A run of the target over one input."""

    def __init__(self, settings: Settings, logger: logging.Logger) -> None:
        """Claims a place in the lake.

        Raises:
            LakeError: the lake cannot be written, or a setting is wrong.
        """
        self.settings = settings
        self.logger = logger
        self.maps = Maps(settings.maps, settings.max_depth) if settings.maps else None
        self.store = open_store(settings.lake_root, single_writer=settings.single_writer)
        self.started = now = datetime.now(UTC)
        self.id = paths.run_id(now, secrets.token_hex(3))
        self.record = RunRecord(
            run_id=self.id,
            started_at=_text(now),
            tap=settings.tap,
            tenant_id=settings.tenant_id,
            source=settings.source,
        )
        self.store.prepare()
        self.staging = Staging(self.store.workplace, self.id, settings.tap)
        self._take_up_dead_runs()
        self.committer = Committer(self.store, self.staging, self.id, settings.tap, settings.parquet)
        self.publisher = Publisher(self._commit, self._is_small)
        self.pace = Pace(settings.checkpoint_seconds, settings.checkpoint_bytes)
        self.quarantine = Quarantine(self.store, self.id)
        self.workers = Workers()
        self.streams: dict[str, Stream] = {}
        self.taken: dict[str, str] = {}
        self.states = States()
        self.lines = Lines()
        self.counts: Counter[str] = Counter()
        self._ignored: Counter[str] = Counter()
        self._at = 0
        self._state_at = -1
        self._waiting = 0
        self._is_cut = False
        self.progress = Progress(
            logger, settings.progress_seconds, lambda: standings(self.streams, self.staging)
        )

    def _take_up_dead_runs(self) -> None:
        """Publishes what earlier runs left durable, before anything of this one is merged."""
        for told in sweep(self.store):
            self.logger.info("%s", told)
        for one in recover(self.store, self.settings.parquet):
            if one.status in ("published", "unchanged"):
                self.logger.info("Recovered from an earlier run: %s", sentence(one))
            elif one.status == "failed":
                self.logger.warning("Rows that an earlier run left could not be published: %s", sentence(one))

    def read(self, source: BinaryIO) -> Counter[str]:
        """Reads the whole input into staging; returns how many messages of each type it held."""
        self.progress.start()
        read = read_messages(source, self.settings.max_line_bytes, self.settings.max_depth)
        messages = unpack(read, self.settings, self.lines)
        for message in self.maps.apply(messages) if self.maps else messages:
            self._at += 1
            self._take(message)
        for stream in self.streams.values():
            stream.flush(self.staging, self.workers)
        self.workers.drain()
        for stream in self.streams.values():
            stream.close()
        for kind, count in self._ignored.items():
            self.logger.warning("Ignored %d messages of the unknown type %r.", count, kind)
        return self.counts

    def _take(self, message: Message) -> None:
        if isinstance(message, Rows):
            self.counts["RECORD"] += message.count
            stream = self._stream_of(message, message.first_line, "RECORD")
            stream.evidence.last_data = self._at
            stream.take_rows(message, self.staging, self.workers)
            self.pace.took(len(message.block))
            self._bound_waiting(len(message.block))
        elif isinstance(message, BatchMessage):
            self.counts["BATCH"] += 1
            stream = self._stream_of(message, self.lines.of_input(message.line), "BATCH")
            stream.evidence.last_data = self._at
        elif isinstance(message, StateMessage):
            self._take_state(message)
        elif isinstance(message, SchemaMessage):
            self.counts["SCHEMA"] += 1
            self._take_schema(message)
        elif isinstance(message, ActivateVersion):
            self.counts["ACTIVATE_VERSION"] += 1
            activated = self.streams.get(message.stream)
            if activated is not None:
                activated.evidence.activations.append(self._at)
                activated.evidence.version = message.version
        elif isinstance(message, BadMessage | RefusedRecord):
            self._refuse(message)
        elif isinstance(message, UnknownMessage):
            self._take_unknown(message)
        elif isinstance(message, CutLine):
            self._is_cut = True
            self.logger.error("The input ends inside line %d: the tap died.", message.line)

    def _stream_of(self, message: Rows | BatchMessage, number: int, kind: str) -> Stream:
        """The stream of a message that may not come before its SCHEMA: it fails the stream."""
        stream = self.streams.get(message.stream)
        if stream is None:
            stream = self._open(SchemaMessage(number, message.stream, {}, (), ()))
            stream.lacks_schema = True
            stream.fail(
                f"{self.lines.where(number)}: a {kind} of the stream comes before its SCHEMA: "
                "the tap must send it first"
            )
        return stream

    def _refuse(self, message: BadMessage | RefusedRecord) -> None:
        stream = self.streams.get(message.stream)
        stream = stream or self._open(SchemaMessage(message.line, message.stream, {}, (), ()))
        stream.evidence.last_data = self._at
        if isinstance(message, RefusedRecord):
            stream.evidence.rows += 1
            texts = {message.line: message.text} if message.text else {}
            stream.refuse([BadRecord(message.line, message.field, message.reason)], texts)
        else:
            stream.fail(f"line {message.line}: {message.reason}")

    def _bound_waiting(self, added: int) -> None:
        """Decodes the stream with the most waiting bytes when too many wait, fewer if a thread is free."""
        self._waiting += added  # at most: a stream whose block is full does not wait for this
        most = WAITING_BYTES if self.workers.are_busy else IDLE_BYTES
        if self._waiting <= most:
            return
        self._waiting = sum(stream.waiting_bytes for stream in self.streams.values())
        if self._waiting > most:
            count = -(-len(self.streams) // FLUSHED_SHARE)
            for fullest in heapq.nlargest(count, self.streams.values(), lambda one: one.waiting_bytes):
                self._waiting -= fullest.waiting_bytes
                fullest.flush(self.staging, self.workers)

    def _take_state(self, message: StateMessage) -> None:
        self.counts["STATE"] += 1
        self._state_at = self._at
        self.states.received(message)
        if self.pace.is_due():
            self._checkpoint()

    def _checkpoint(self) -> None:
        """Makes what has arrived durable, and prints the STATE that covers it.

        A stream whose rows no later run could publish (a full table's, say) keeps its old bookmark in it.
        """
        self.pace.restart()
        if not (self.states.has_bookmarks and self.store.keeps_workplace) or self._is_stub():
            return
        for stream in self.streams.values():
            stream.flush(self.staging, self.workers)
        self.workers.drain()
        open_ones = [(stream.family(), self._facts(stream, "open")) for stream in self._good()]
        kept = [(family, facts) for family, facts in open_ones if self.committer.may_keep(family, facts)]
        self.quarantine.sync()
        self.staging.keep(kept)
        datasets = {family.stream.dataset for family, _ in kept}
        others = [name for name, stream in self.streams.items() if stream.dataset() not in datasets]
        self.states.hand_on(self._bookmarks_before(others))

    def _good(self) -> list[Stream]:
        return [stream for stream in self.streams.values() if not stream.failure]

    def _is_stub(self) -> bool:
        return any(stream.origin == "stub" for stream in self.streams.values())

    def _take_unknown(self, message: UnknownMessage) -> None:
        if self.settings.unknown_messages == "fail":
            raise BadLine(
                f"line {message.line} has the unknown message type {message.type!r}: "
                "remove what prints it, or set unknown_messages to ignore"
            )
        self._ignored[message.type] += 1

    def _take_schema(self, message: SchemaMessage) -> None:
        stream = self.streams.get(message.stream) or self._open(message)
        stream.evidence.last_data = self._at
        stream.take_schema(message, self.staging, self.workers)

    def _open(self, message: SchemaMessage) -> Stream:
        """Opens a stream at its first SCHEMA, or at what came in place of one."""
        self.states.begin(message.tap_stream or message.stream)
        self.streams[message.stream] = stream = new_stream(
            message, self.settings, self.taken, self.lines, self.quarantine, self.started, self.store
        )
        if stream.owner.source is None and len(self.streams) == 1:
            self.logger.warning("Nothing names the source: datasets are called like %s.", stream.dataset())
        return stream

    def finish(self) -> None:
        """Publishes what may be published, prints the bookmark that follows from it, and tells what happened.

        Raises:
            Incomplete: a dataset was held or failed.
        """
        self.quarantine.sync()
        self._ask_maps()
        for summaries in self.publisher.publish(list(self.streams.values())):
            self.record.datasets += summaries
        missing = [one for one in self.record.datasets if one.status in ("held", "failed")]
        sources = {stream.owner.source for stream in self.streams.values()}
        self.record.source = self.settings.source or (sources.pop() if len(sources) == 1 else None)
        is_open = any(one.proof == "open" for one in self.record.datasets)
        self.record.status = "incomplete" if missing or is_open or self._is_cut else "ok"
        if not self._at and (self.maps is None or self.maps.is_idle):
            self.logger.warning("No message arrived: if the tap failed, its own log says why.")
        for pattern in self.settings.unused_overrides(self.streams):
            self.logger.warning("stream_overrides name %r, and no such stream came: check its name.", pattern)
        self._tell()
        unpublished = dict.fromkeys(one.stream for one in missing)
        if self._is_stub():
            self.logger.warning("The rows are stub data: no STATE is printed, the real bookmark stays.")
        else:
            self.states.hand_on(self._bookmarks_before(unpublished))
        if missing:
            streams = ", ".join(sorted(unpublished))
            raise error_of(self.streams.values())(
                f"{len(unpublished)} of {len(self.streams)} streams not published ({streams}): "
                "the log says why"
            )
        if self._is_cut:
            raise Incomplete(
                "the input was cut short: what was held and what was published stands in the log"
            )

    def _facts(self, stream: Stream, proof: Proof) -> StreamFacts:
        return stream.facts(
            proof,
            self.states.opening(stream.tap_stream),
            self.states.bookmark(stream.tap_stream),
            self.states.covered(stream.tap_stream),
        )

    def _is_small(self, stream: Stream) -> bool:
        return not stream.failure and self.committer.is_small(stream.family())

    def _commit(self, stream: Stream, *, waits: bool) -> list[DatasetSummary]:
        self.progress.publishing = stream.dataset()
        if stream.failure:
            return [self._failed(stream)]
        last = self.states.last.value if self.states.last else None
        state = LastState(last, self._state_at, is_last=self._state_at == self._at)
        proof = proof_of(
            stream.tap_stream, stream.evidence, state, is_cut=self._is_cut, others=self.states.streams
        )
        try:
            return self.committer.commit(stream.family(), self._facts(stream, proof), waits=waits)
        except LakeError as error:  # one dataset's trouble never stops the others
            self.logger.debug("Traceback asked for by the log level.", exc_info=error)
            stream.fail(str(error))
            return [self._failed(stream)]

    def _failed(self, stream: Stream) -> DatasetSummary:
        """The summary of a stream that was given up: its latest snapshot stays what it was."""
        summary = stream.failed()
        with contextlib.suppress(LakeError):  # an unreadable file may be why
            latest = snapshots.latest(self.store, summary.dataset)
            if latest is not None and latest.info is not None and latest.info.owner == stream.owner:
                summary.path, summary.row_count, summary.bytes = latest.path, latest.row_count, latest.size
        return summary

    def _ask_maps(self) -> None:
        """Hears from the maps what they left out, and which of them were for nothing."""
        if self.maps is None:
            return
        for stream in self.streams.values():
            stream.filtered = self.maps.filtered[stream.name]
        for name in self.maps.unused():
            self.logger.warning(
                "stream_maps name %r, and no such stream came: its rows are not mapped.", name
            )

    def _bookmarks_before(self, unpublished: Iterable[str]) -> dict[str, Any]:
        """The bookmarks of the tap's streams that move back; one that differs for two of its maps goes."""
        bookmarks: dict[str, Any] = {}
        for name in unpublished:
            tap_stream, before = self.streams[name].tap_stream, self._bookmark_before(name)
            bookmarks[tap_stream] = before if bookmarks.setdefault(tap_stream, before) == before else None
        return bookmarks

    def _bookmark_before(self, name: str) -> Any:  # noqa: ANN401 - a bookmark is any JSON value
        """The bookmark that fits what the lake holds of a stream which this run did not publish.

        The one that its rows kept in staging reach; else the one the tap began with, if it said so; else the
        one that the latest snapshot came with. A full table has none: resumed from one, the next snapshot
        would hold the remainder only.
        """
        stream = self.streams[name]
        kept = self.staging.kept(stream.dataset())
        if kept is not None:
            return kept.facts.bookmark
        opening = self.states.opening(stream.tap_stream)
        if opening is not None:
            return opening if is_incremental(opening) else None
        with contextlib.suppress(LakeError):  # an unreadable file is why the stream failed
            latest = snapshots.latest(self.store, stream.dataset())
            info = latest.info if latest else None
            if info is not None and info.owner == stream.owner and info.load_method != "overwrite":
                return info.bookmark
        return None

    def give_up(self, error: BaseException) -> None:
        """Ends a run that `error` broke off; what it had published by then stays and is told."""
        self.workers.close()
        if self.record.finished_at is not None:
            return
        self.record.datasets += self.publisher.stop()
        self.record.status = "failed"
        self.record.error = str(error) or type(error).__name__
        told = {one.stream for one in self.record.datasets}
        for stream in self.streams.values():
            if stream.name not in told:
                stream.fail("the run was broken off")
                self.record.datasets.append(self._failed(stream))
        with contextlib.suppress(OSError, LakeError):  # the error may be that nothing can be written any more
            self._tell()
        self.staging.close()
        self.quarantine.close()

    def _tell(self) -> None:
        self.progress.stop()
        self.record.finished_at = _text(datetime.now(UTC))
        write_run(self.store, self.record)
        self.staging.close()
        self.quarantine.close()
        log_summary(self.logger, self.record)
        if self.store.keeps_workplace:  # an object store would be asked once a file
            with contextlib.suppress(LakeError, OSError):  # a size is not worth a failure
                self.logger.info(lake_sentence(weigh(Lake(self.settings.lake_root), datetime.now(UTC))))
        print_table(self.record)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
