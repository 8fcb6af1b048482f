"""Where a run changes the lake, call by call; and a fault put into one of these calls."""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tests.faults.zygote import GO
from tests.processes import PATIENCE, Zygote
from tests.target.command import ENV, Ended

CALLS = (
    "openat,write,pwrite64,writev,pwritev,fsync,fdatasync,ftruncate,fallocate,copy_file_range,link,linkat,rename,"
    "renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,flock,chmod,fchmod"
)
HANGS = 60
"""Seconds after which a run is killed: it would not end. A healthy one takes two; others may hold it up."""
_ENTRY = re.compile(r"(\d+) +(\w+)\((.*)")
_BY_FIRST = ("link", "rename")
"""Calls with two names that strace finds by the first only."""
STDOUT, STDERR = "stdout", "stderr"


class Point(NamedTuple):
    """A thread's nth call of that name on that file."""

    call: str
    path: str
    nth: int
    changes: bool

    def __str__(self) -> str:
        """Tells it as `call 2 at file`."""
        return f"{self.call} {self.nth} at {'/'.join(Path(self.path).parts[-3:])}"


class Traced(NamedTuple):
    """How a run ended, and its calls; `hangs`: it was killed because it did not end."""

    ended: Ended
    log: str
    hangs: bool = False


class Fate(NamedTuple):
    """What befalls a run.

    `inject` is a fault, in strace's words, and where it strikes; `stop` a signal, and after how many seconds
    it comes; whoever reads the STATEs goes away when he has heard `hears` of them.
    """

    inject: tuple[Point, str] | None = None
    trace: bool = False
    stop: tuple[signal.Signals, float] | None = None
    hears: int | None = None


def run(
    zygote: Zygote, folder: Path, lines: Sequence[str], config: Path, fate: Fate, env: Mapping[str, str]
) -> Traced:
    """Runs the target on `lines`."""
    inject, trace, stop, hears = fate
    files = folder / "stdin", folder / STDOUT, folder / STDERR, folder / "strace"
    stdin, out, err, log = files
    stdin.write_text("".join(line + "\n" for line in lines))
    traced = trace or inject is not None
    argv = ("target-lake-parquet", "--config", str(config))
    with stdin.open("rb") as read, _heard(out, hears) as wrote, err.open("wb") as told:
        descriptors = [read.fileno(), wrote.fileno(), told.fileno()]
        held = {"HELD": "1"} if traced else {}
        forked = zygote.start(argv, descriptors, folder, {**ENV, "POLARS_MAX_THREADS": "2", **held, **env})
        tracer = _attach(forked.pid, log, inject) if traced else None
        if tracer:
            forked.send_signal(GO)
        elif stop:
            time.sleep(stop[1])
            with contextlib.suppress(ProcessLookupError):
                forked.send_signal(stop[0])
        wrote.close()
        ended, hangs = forked.ended(HANGS)
    if tracer:
        try:
            tracer.communicate(timeout=HANGS)
        except subprocess.TimeoutExpired:
            tracer.kill()
            tracer.communicate()
            hangs = True
    said = Ended(ended, out.read_text(), err.read_text(errors="replace"))
    return Traced(said, log.read_text(errors="replace") if traced else "", hangs)


@contextlib.contextmanager
def _heard(out: Path, lines: int | None) -> Iterator[BinaryIO]:
    """A stdout that ends in a file; in a pipe whose reader goes after so many lines, where they are given."""
    if lines is None:
        with out.open("wb") as file:
            yield file
        return
    read, write = os.pipe()

    def hear() -> None:
        with open(read, "rb") as pipe, out.open("wb") as file:  # noqa: PTH123 - a descriptor
            for _ in range(lines):
                file.write(pipe.readline())

    reader = threading.Thread(target=hear)
    reader.start()
    if not lines:
        reader.join()
    with open(write, "wb") as pipe:  # noqa: PTH123 - a descriptor
        yield pipe
    reader.join()


def die(zygote: Zygote, folder: Path, lines: Sequence[str], config: Path, *, env: Mapping[str, str]) -> Ended:
    """Runs the target on `lines`, and kills it when it has printed a STATE for each day, its input open."""
    out, err = folder / STDOUT, folder / STDERR
    first = next(number for number, line in enumerate(lines) if '"RECORD"' in line)
    states = sum('"STATE"' in line for line in lines[first:])
    read, write = os.pipe()
    with out.open("wb") as wrote, err.open("wb") as told:
        argv = ("target-lake-parquet", "--config", str(config))
        descriptors = [read, wrote.fileno(), told.fileno()]
        forked = zygote.start(argv, descriptors, folder, {**ENV, **env})
    os.close(read)
    os.write(write, "".join(line + "\n" for line in lines).encode())
    deadline = time.monotonic() + PATIENCE
    while out.read_text().count("\n") < states:
        assert time.monotonic() < deadline, err.read_text()
        time.sleep(0.01)
    forked.send_signal(signal.SIGKILL)
    os.close(write)
    return Ended(forked.ended(HANGS)[0], out.read_text(), err.read_text(errors="replace"))


def _attach(pid: int, log: Path, inject: tuple[Point, str] | None) -> subprocess.Popen[bytes]:
    calls = ["-e", f"trace={CALLS}"]
    if inject:
        point, fault = inject
        calls += ["-P", point.path, "-e", f"inject={point.call}:{fault}:when={point.nth}"]
    tracer = subprocess.Popen(
        ["strace", "-f", "-y", "-o", str(log), *calls, "-p", str(pid)], stderr=subprocess.PIPE
    )
    assert tracer.stderr is not None
    told = tracer.stderr.readline()
    assert b"attached" in told, told
    return tracer


class Entry(NamedTuple):
    """A call in a log: a thread's nth of that name on that file, and all that strace tells of it.

    `path` is the file of the run's folder by which strace finds the call; None where it names none.
    """

    call: str
    path: str | None
    nth: int
    text: str


def entries(log: str, folder: Path) -> Iterator[Entry]:
    """The calls of a run, in the order in which they began."""
    counts: Counter[tuple[str, str, str | None]] = Counter()
    named = re.compile(re.escape(str(folder)) + r"/[^\"<>]+")
    for line in log.splitlines():
        if found := _ENTRY.match(line):
            thread, call, text = found.groups()
            files = named.findall(text)
            path = files[0 if call in _BY_FIRST else -1] if files else None
            counts[thread, call, path] += 1
            yield Entry(call, path, counts[thread, call, path], text)


def points(log: str, folder: Path, lake: Path) -> list[Point]:
    """Every call that touches the lake, or hands on a STATE."""
    ours = (str(lake), str(folder / STDOUT))
    found = {
        (one.call, one.path, one.nth): Point(one.call, one.path, one.nth, _changes(one))
        for one in entries(log, folder)
        if one.path and one.path.startswith(ours)
    }
    return list(found.values())


def hits(log: str, point: Point, folder: Path) -> int:
    """How many calls a fault at `point` hit: none where the run went another way."""
    return sum(one[:3] == point[:3] for one in entries(log, folder))


def _changes(one: Entry) -> bool:
    return one.call != "openat" or "O_CREAT" in one.text or "O_TRUNC" in one.text


def is_killed(ended: Ended) -> bool:
    """Tells whether SIGKILL ended a run."""
    return ended.code == -signal.SIGKILL
