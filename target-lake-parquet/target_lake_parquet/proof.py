"""What was seen of a stream in, whether it was read to its end out. Pure.

End of file proves nothing: a tap that died looks the same, and so does one that exits 0 on SIGTERM. The rules
are those of `docs/lake-format.md`; the words in bookmarks are the SDK's, singer-io's and pipelinewise's.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from lake_parquet.runs import Proof

UNFINISHED = (
    "progress_markers",
    "starting_replication_value",
    "replication_key_signpost",
    "last_pk_fetched",
    "max_pk_values",
)
"""Words in a bookmark that say: the stream is still being read."""

FULL_TABLE = frozenset(
    [
        "version",
        "xmin",
        "last_replication_method",
        "initial_full_table_complete",
        "last_pk_fetched",
        "max_pk_values",
        "context",
        "bulk_operation",
    ]
)
"""Words in a bookmark that say nothing of an incremental read."""

NO_VALUE = frozenset(
    [
        "version",
        "last_replication_method",
        "replication_method",
        "replication_key",
        "context",
        "xmin",
        "bulk_operation",  # our own: what the source prepares for the stream, begun before its turn
    ]
)
"""Words in a bookmark that stand there before anything was read."""


@dataclass(slots=True)
class Evidence:
    """What was seen of a stream; the numbers count messages.

    `closes_with` is our taps' word that they end the read with an ACTIVATE_VERSION, `version` the stream's
    version by the last such message, `rows_version` by the last RECORD.
    """

    closes_with: str | None = None
    rows: int = 0
    last_data: int = -1
    activations: list[int] = field(default_factory=list)
    version: int | None = None
    rows_version: int | None = None


@dataclass(frozen=True, slots=True)
class LastState:
    """The last STATE of the input: its payload, when it came, and whether it was the input's last message."""

    value: Any = None
    at: int = -1
    is_last: bool = False


def bookmark_of(state: object, stream: str, others: Container[str] = ()) -> Mapping[str, Any] | None:
    """A stream's bookmark in a STATE payload; database taps put the schema before the stream's name."""
    bookmarks = state.get("bookmarks") if isinstance(state, Mapping) else None
    key = bookmark_key(bookmarks, stream, others)
    found = bookmarks[key] if key is not None and isinstance(bookmarks, Mapping) else None
    return found if isinstance(found, Mapping) else None


def bookmark_key(bookmarks: object, stream: str, others: Container[str] = ()) -> str | None:
    """The key of a stream's bookmark among `bookmarks`; keys that are the streams `others` are not its."""
    if not isinstance(bookmarks, Mapping):
        return None
    if stream in bookmarks:
        return stream
    ending = f"-{stream}"
    return next((k for k in bookmarks if isinstance(k, str) and k.endswith(ending) and k not in others), None)


def has_value(bookmark: Mapping[str, Any] | None) -> bool:
    """Tells whether a bookmark holds a place that a read could begin at, or the word that all was read."""
    return _says(bookmark, NO_VALUE)


def is_incremental(bookmark: Mapping[str, Any] | None) -> bool:
    """Tells whether a bookmark is that of an incremental read."""
    return _says(bookmark, FULL_TABLE)


def is_resumable(bookmark: Mapping[str, Any] | None) -> bool:
    """Tells whether a read that was handed this bookmark leaves out what came before it."""
    in_full_table = ("last_pk_fetched", "max_pk_values", "xmin")  # where an interrupted full table goes on
    if bookmark and any(bookmark.get(word) is not None for word in in_full_table):
        return True
    return _says(bookmark, FULL_TABLE | NO_VALUE)


def _says(value: object, ignored: frozenset[str]) -> bool:
    if isinstance(value, Mapping):
        return any(_says(sub, ignored) for key, sub in value.items() if key not in ignored)
    if isinstance(value, list):
        return any(_says(sub, ignored) for sub in value)
    return value is not False and value not in (None, "")


def is_unfinished(bookmark: Mapping[str, Any] | None) -> bool:
    """Tells whether a bookmark, or one of its partitions, says that its stream is still being read."""
    if not bookmark:
        return False
    partitions = bookmark.get("partitions")
    parts = [bookmark, *(partitions if isinstance(partitions, list) else [])]
    return any(
        part.get("xmin") is not None or any(word in part for word in UNFINISHED)
        for part in parts
        if isinstance(part, Mapping)
    )


def proof_of(
    stream: str, evidence: Evidence, state: LastState, *, is_cut: bool = False, others: Container[str] = ()
) -> Proof:
    """Judges a stream at the end of the input; `is_cut` says that the input ended inside a line.

    `others` are the streams of the run.
    """
    closed = bool(evidence.activations) and evidence.activations[-1] > evidence.last_data
    # an opening ACTIVATE_VERSION before no rows looks like a closing one
    if closed and (evidence.rows or evidence.closes_with or len(evidence.activations) > 1):
        return "proven"
    if is_cut:
        return "open"
    bookmark = bookmark_of(state.value, stream, others)
    syncing = state.value.get("currently_syncing") if isinstance(state.value, Mapping) else None
    if evidence.closes_with or is_unfinished(bookmark) or syncing == stream:
        return "open"
    # one partition's bookmark says nothing of the next: partitioned streams close with the run
    in_time = state.is_last if bookmark and "partitions" in bookmark else state.at > evidence.last_data
    return "proven" if in_time and has_value(bookmark) else "unproven"
