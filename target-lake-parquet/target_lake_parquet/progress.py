"""How far a run is, while it runs: a line on a terminal, or a log line a minute for each stream that moves.

A thread of its own looks at counts that the run keeps anyway, so that reading costs nothing and a tap that is
silent is told of too.
"""

import contextlib
import logging
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lake_parquet.errors import printable
from lake_parquet.staging import Staging
from target_lake_parquet.proof import FULL_TABLE, NO_VALUE, UNFINISHED

if TYPE_CHECKING:
    from rich.text import Text

    from target_lake_parquet.stream import Stream

REFRESHES = 2
"""Times a second that a terminal's line is written anew."""

SPAN = 5
"""Seconds that a terminal's speed is measured over."""

MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ][\d:.]+(Z|[+-][\d:]+)?)?")


class Standing(NamedTuple):
    """A stream's records so far, and the last bookmark up to which they are durable."""

    stream: str
    rows: int
    bookmark: Mapping[str, Any] | None


def standings(streams: Mapping[str, "Stream"], staging: Staging) -> list[Standing]:
    """How far each stream is; asked on another thread than the one that reads."""
    return [
        Standing(name, stream.evidence.rows, kept.facts.bookmark if kept else None)
        for name, stream in list(streams.items())
        for kept in [staging.kept(stream.dataset())]
    ]


class Measured(NamedTuple):
    """A stream's standing, its records a second, and whether it moved since it was last looked at."""

    stream: str
    rows: int
    speed: float
    durable: str | None
    moved: bool


class Meter:
    """Speeds from the standings of one moment and of some before."""

    def __init__(self, samples: int) -> None:
        """Measures over so many moments."""
        self._samples: deque[tuple[float, dict[str, int]]] = deque(maxlen=samples)

    def measure(self, now: float, standings: Sequence[Standing]) -> list[Measured]:
        """What there is to tell of each stream at the moment `now`, in seconds."""
        before = self._samples[-1][1] if self._samples else {}
        self._samples.append((now, {one.stream: one.rows for one in standings}))
        since, oldest = self._samples[0]
        seconds = now - since
        return [
            Measured(
                printable(one.stream),
                one.rows,
                (one.rows - oldest.get(one.stream, 0)) / seconds if seconds > 0 else 0.0,
                durable_up_to(one.bookmark),
                one.rows != before.get(one.stream, 0),
            )
            for one in standings
        ]


def durable_up_to(bookmark: Mapping[str, Any] | None) -> str | None:
    """Where a bookmark stands, or None without one: the earliest of its dates, else the least of its numbers.

    Any other value may be personal, and is not shown.
    """
    if bookmark is None:
        return None
    values = list(_values(bookmark))
    moments = [value for value in values if isinstance(value, str) and MOMENT.fullmatch(value)]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if moments:
        return min(moments)
    return str(min(numbers)) if numbers else "its last bookmark"


def _values(value: object) -> Iterator[object]:
    """The values of a bookmark that say how far the read is."""
    if isinstance(value, Mapping):
        for key, sub in value.items():
            if key not in FULL_TABLE | NO_VALUE and key not in UNFINISHED:
                yield from _values(sub)
    elif isinstance(value, list):
        for sub in value:
            yield from _values(sub)
    else:
        yield value


def log_lines(measured: Sequence[Measured], publishing: str | None) -> list[str]:
    """A sentence for each stream that moved, or one that says what is waited for."""
    moved = [one for one in measured if one.moved]
    if publishing is not None:
        return [f"Publishing {printable(publishing)}."]
    if not moved:
        return [f"No record for a while: waiting for the tap, {sum(one.rows for one in measured):,} so far."]
    return [
        f"Reading {one.stream}: {one.rows:,} rows, {one.speed:,.0f} rows/s, {_durable(one)}." for one in moved
    ]


def _durable(one: Measured) -> str:
    return f"durable up to {one.durable}" if one.durable else "nothing durable yet"


def terminal_line(measured: Sequence[Measured], publishing: str | None) -> str:
    """The streams that move, the fastest first; else what is waited for."""
    if publishing is not None:
        return f"publishing {printable(publishing)}"
    moving = sorted((one for one in measured if one.speed), key=lambda one: -one.speed)
    if not moving:
        return f"waiting for the tap, {sum(one.rows for one in measured):,} rows so far"
    return " | ".join(
        f"{one.stream} {one.rows:,} rows, {one.speed:,.0f} rows/s, {_durable(one)}" for one in moving
    )


class Progress:
    """Tells how far a run is until it is stopped; `publishing` is the stream that is being published."""

    def __init__(
        self, logger: logging.Logger, seconds: int, standings: Callable[[], Sequence[Standing]]
    ) -> None:
        """Tells nothing yet; in a log every so many seconds, 0: never."""
        self.publishing: str | None = None
        self._logger, self._seconds, self._standings = logger, seconds, standings
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins."""
        if self._seconds:
            tell = self._on_terminal if sys.stderr.isatty() else self._in_log
            thread = threading.Thread(target=tell, name="progress", daemon=True)
            thread.start()
            self._thread = thread  # not before: a signal in between, and `stop` would join what never began

    def stop(self) -> None:
        """Tells no more, and takes the terminal's line away."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=2)  # a terminal that takes nothing holds no run up
            self._thread = None

    def _in_log(self) -> None:
        meter = Meter(2)
        meter.measure(time.monotonic(), [])
        while not self._ended.wait(self._seconds):
            for line in log_lines(meter.measure(time.monotonic(), self._standings()), self.publishing):
                self._logger.info("%s", line)

    def _on_terminal(self) -> None:
        meter = Meter(REFRESHES * SPAN)
        meter.measure(time.monotonic(), [])
        if self._ended.wait(1):  # a short run has nothing to tell of
            return
        from rich.console import Console  # noqa: PLC0415 - for terminals alone
        from rich.live import Live  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        def line() -> "Text":
            measured = meter.measure(time.monotonic(), self._standings())
            return Text(terminal_line(measured, self.publishing), no_wrap=True, overflow="ellipsis")

        console = Console(stderr=True)
        # one line, never more: a taller one would wipe out what the tap writes to the same terminal
        live = Live(line(), console=console, auto_refresh=False, transient=True, redirect_stdout=False)
        with _above(console), live:
            while not self._ended.wait(1 / REFRESHES):
                live.update(line(), refresh=True)


@contextlib.contextmanager
def _above(console: Any) -> Iterator[None]:  # noqa: ANN401 - rich is imported for terminals alone
    """Has log lines written above the terminal's line for a while."""
    from rich.file_proxy import FileProxy  # noqa: PLC0415

    logger: logging.Logger = logging.getLogger()
    handlers = [
        one for one in logger.handlers if isinstance(one, logging.StreamHandler) and one.stream is sys.stderr
    ]
    for one in handlers:
        one.setStream(FileProxy(console, sys.stderr))
    try:
        yield
    finally:
        for one in handlers:
            one.setStream(sys.stderr)
