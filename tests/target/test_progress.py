"""How far a run is: a log line for each stream that moves in a pipe, one live line on a terminal."""

import fcntl
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from target_lake_parquet.progress import Meter, Standing, durable_up_to, log_lines, terminal_line
from tests.processes import PATIENCE
from tests.target.command import ENV, Place
from tests.target.messages import KEY, MOMENT, STRING, activate, bookmark, record, schema
from tests.target.orders import CHANGES, ORDERS, change

EVENTS = schema("events", {"id": KEY, "name": STRING, "at": MOMENT}, bookmarks=["at"])


@pytest.mark.parametrize(
    ("mark", "told"),
    [
        (None, None),
        ({}, "its last bookmark"),
        ({"replication_key": "at", "replication_key_value": "2026-01-02T03:04:05Z"}, "2026-01-02T03:04:05Z"),
        ({"updated_at": "2026-01-02", "last_id": 7, "version": 1}, "2026-01-02"),
        ({"replication_key_value": 1234, "version": 5}, "1234"),
        ({"replication_key": "email", "replication_key_value": "ann@example.com"}, "its last bookmark"),
        (
            {
                "partitions": [
                    {"context": {"shop": 1}, "replication_key_value": "2026-03-01T00:00:00+02:00"},
                    {"context": {"shop": 2}, "replication_key_value": "2026-02-01T00:00:00.5Z"},
                ]
            },
            "2026-02-01T00:00:00.5Z",
        ),
        (
            {
                "progress_markers": {"replication_key_value": "2026-09-09"},
                "starting_replication_value": "2026",
            },
            "its last bookmark",
        ),
    ],
)
def test_the_date_or_number_of_a_bookmark_is_told_and_nothing_personal(mark: Any, told: str | None) -> None:
    assert durable_up_to(mark) == told


def test_speed_is_measured_between_the_oldest_sample_and_now() -> None:
    meter = Meter(2)
    assert [one.speed for one in meter.measure(0.0, [Standing("a", 10, None)])] == [0.0]
    assert [one.speed for one in meter.measure(2.0, [Standing("a", 110, None)])] == [50.0]
    (a, b) = meter.measure(4.0, [Standing("a", 110, None), Standing("b", 8000, {"at": "2026-01-01"})])
    assert (a.speed, a.moved, b.speed, b.moved) == (0.0, False, 4000.0, True)
    assert log_lines([a, b], None) == ["Reading b: 8,000 rows, 4,000 rows/s, durable up to 2026-01-01."]
    assert terminal_line([a, b], None) == "b 8,000 rows, 4,000 rows/s, durable up to 2026-01-01"
    assert log_lines([a], None) == ["No record for a while: waiting for the tap, 110 so far."]
    assert log_lines([a, b], "shop_orders") == ["Publishing shop_orders."]


def test_a_pipe_gets_a_line_for_each_stream_that_moves_and_how_far_it_is_durable(place: Place) -> None:
    argv = ("target-lake-parquet", "--config", place.configured(progress_seconds=1, checkpoint_seconds=0))
    lines = [EVENTS, ORDERS, record("events", id=1, name="a", at="2026-01-05T00:00:00Z")]
    lines += [record("orders", id=1, name="x"), bookmark("events", "2026-01-05T00:00:00Z", "at")]
    with place.feeding(*argv) as process:
        process.feed("".join(line + "\n" for line in lines).encode())
        deadline = time.monotonic() + PATIENCE
        while "waiting for the tap" not in process.err():
            assert time.monotonic() < deadline, process.err()
            time.sleep(0.05)
        process.feed(f"{activate('orders', 1)}\n".encode())
        ended = process.end()
    assert ended.code == 0, ended.err
    told = re.findall(r"((?:Reading|No record) .*)", ended.err)
    assert re.fullmatch(
        r"Reading events: 1 rows, \d rows/s, durable up to 2026-01-05T00:00:00Z\.", told[0]
    ), told
    assert re.fullmatch(r"Reading orders: 1 rows, \d rows/s, nothing durable yet\.", told[1]), told
    assert told[2] == "No record for a while: waiting for the tap, 2 so far."


def test_a_short_run_in_a_pipe_says_nothing_of_it_and_never_imports_rich(place: Place) -> None:
    ended = place.good(CHANGES, change(1, "a"), bookmark("orders", 1))
    assert "rows/s" not in ended.err
    code = "import sys, target_lake_parquet.target; print([m for m in sys.modules if m.startswith('rich')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"[]\n"


class Terminal:
    """A target whose stderr is a terminal of 120 columns; what it shows is collected."""

    def __init__(self, place: Place, **config: Any) -> None:
        """Starts it."""
        self.leader, follower = pty.openpty()
        fcntl.ioctl(follower, 0x5414, b"\x32\x00\x78\x00\x00\x00\x00\x00")  # TIOCSWINSZ: 50 rows, 120 columns
        read, self.stdin = os.pipe()
        self.out = place.folder / "out"
        argv = ["target-lake-parquet", "--config", place.configured(**config)]
        environ = {**ENV, "TERM": "xterm", "COLUMNS": "120"}
        with self.out.open("wb") as out:
            self.forked = place.zygote.start(argv, [read, out.fileno(), follower], place.folder, environ)
        os.close(follower)
        os.close(read)
        self.shown = b""
        self.reader = threading.Thread(target=self._collect)
        self.reader.start()

    def _collect(self) -> None:
        try:
            while chunk := os.read(self.leader, 65536):
                self.shown += chunk
        except OSError:  # the other end is closed: so a terminal says end of file
            pass

    def feed(self, *lines: str) -> None:
        """Writes to its stdin."""
        os.write(self.stdin, "".join(line + "\n" for line in lines).encode())

    def await_shown(self, text: bytes) -> None:
        """Waits until it showed a text."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            time.sleep(0.05)

    def end(self) -> int:
        """Closes its stdin and waits for its end."""
        os.close(self.stdin)
        code = self.forked.wait()
        self.reader.join()
        os.close(self.leader)
        return code


def test_a_terminal_shows_one_live_line_that_is_gone_at_the_end(place: Place) -> None:
    terminal = Terminal(place, checkpoint_seconds=0)
    terminal.feed(EVENTS, record("events", id=1, name="a", at="2026-01-05T00:00:00Z"))
    terminal.feed(bookmark("events", "2026-01-05T00:00:00Z", "at"))
    terminal.await_shown(b"durable up to 2026-01-05T00:00:00Z")
    assert terminal.end() == 0
    shown = terminal.shown.decode()
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown)  # without colours
    assert re.search(r"events 1 rows, \d rows/s, durable up to 2026-01-05T00:00:00Z", text)
    assert b"rows/s" not in terminal.out.read_bytes()
    assert text.count("\x1b[1A") == 1  # up once, when the line goes: never over a line of the tap's
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor is there again
    assert text.index("\x1b[?25h") < text.index("Published events")


def test_log_lines_stand_above_the_live_line(place: Place) -> None:
    terminal = Terminal(place)
    terminal.feed(EVENTS)
    terminal.await_shown(b"waiting for the tap")
    terminal.feed(record("events", id="no number", name="a", at=None), '{"type": "NEWS"}')
    assert terminal.end() == 1
    assert b"NEWS" in terminal.shown


def test_a_signal_gives_the_terminal_back(place: Place) -> None:
    terminal = Terminal(place)
    terminal.feed(EVENTS)
    terminal.await_shown(b"waiting for the tap")
    terminal.forked.send_signal(signal.SIGTERM)
    assert terminal.end() == 143
    assert terminal.shown.count(b"\x1b[?25l") == terminal.shown.count(b"\x1b[?25h") == 1
