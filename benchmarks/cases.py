"""What our target is measured with besides the plain stream: cases for time, inputs for memory."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks import streams

SIZES = {"orders": 100_000, "narrow": 1_000_000}
BIG_BYTES = 2_000_000_000
BYTES_EACH = {"orders": 1_270, "narrow": 194}
"""About what a record takes on its line."""

READING_PEAK_MB = 400
EMPTY_SECONDS = 1.0
PLAIN_RATIO = 1.2
"""The bars of the target: memory, start-up, and the plain stream against the raw limit."""

Lines = Callable[[str, int], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Case:
    """A way in which an input differs from the plain one; `most` is how many times longer it may take.

    `seconds` is a bar on the time itself. `rows` makes of the records written the number of rows
    that must stand in the lake, children apart. `setting` names the setting without which a version
    cannot run it.
    """

    key: str
    title: str
    lines: Lines
    most: float | None = None
    seconds: float | None = None
    rows: Callable[[int], int] = int
    config: Mapping[str, Any] = field(default_factory=dict)
    setting: str | None = None
    piped: bool = False


def _none(_count: int) -> int:
    return 0


def _good(count: int) -> int:
    return count - sum(streams.is_odd(number) for number in range(count))


CASES = (
    Case("pipe", "the plain stream through a pipe, not from a file", streams.plain, piped=True),
    Case("interleaved", "two streams, A B A B", streams.interleaved, most=1.5),
    Case("fifty", "fifty streams at once, record by record", streams.fifty, most=1.5),
    Case("states", "a STATE after every 100 records", streams.states, most=1.5),
    Case("coerced", "one value of another type in every 10,000 records, coerced", streams.coerced, most=2),
    Case("often", "one value of another type in every 20 records, coerced", streams.often_coerced),
    Case(
        "bad",
        "one bad record in every 10,000, quarantined",
        streams.bad,
        most=2,
        rows=_good,
        config={"on_bad_record": "quarantine"},
        setting="on_bad_record",
    ),
    Case("untyped", "one more column, without a type: JSON text", streams.untyped),
    Case("no_records", "a stream without records", streams.no_records, seconds=EMPTY_SECONDS, rows=_none),
    Case("nothing", "no input at all", streams.nothing, seconds=EMPTY_SECONDS, rows=_none),
)


@dataclass(frozen=True, slots=True)
class Load:
    """An input whose memory is measured; `count` makes its records from those of the plain stream."""

    key: str
    title: str
    lines: Lines
    is_big: bool = False
    config: Mapping[str, Any] = field(default_factory=dict)
    setting: str | None = None


LOADS = (
    Load("plain", "the plain stream", streams.plain),
    Load("big", "2 GB of it, every key new", streams.repeated, is_big=True),
    Load("long_line", "with one line of 20 MB", streams.long_line),
    Load("fifty", "dealt to fifty streams", streams.fifty),
    Load("coerced", "one coerced value in every 10,000 records", streams.coerced),
    Load("often", "one coerced value in every 20 records", streams.often_coerced),
    Load(
        "bad",
        "one quarantined record in every 10,000",
        streams.bad,
        config={"on_bad_record": "quarantine"},
        setting="on_bad_record",
    ),
    Load("untyped", "one more column without a type", streams.untyped),
)


def records_of(kind: str, scale: float, *, is_big: bool = False) -> int:
    """How many records an input holds at a scale."""
    return max(int((BIG_BYTES // BYTES_EACH[kind] if is_big else SIZES[kind]) * scale), 1)
