"""Where a run changes the lake, call by call; and a fault put into one of these calls."""

import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.faults.zygote import GO
from tests.target.command import ENV, PATIENCE, Ended, Forked, Zygote

CALLS = (
    "openat,write,pwrite64,writev,pwritev,fsync,fdatasync,ftruncate,fallocate,copy_file_range,link,linkat,rename,"
    "renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,flock,chmod,fchmod"
)
HANGS = 15
"""Seconds after which a run is killed: it would not end."""
_ENTRY = re.compile(r"(\d+) +(\w+)\((.*)")
_RUN = re.compile(r"\d{8}T\d{12}Z(-[0-9a-f]{6}(\.[0-9a-f]{8})?)?")
_TOKEN = re.compile(r"\b[0-9a-f]{8}([0-9a-f]{8})?\b")


class Point(NamedTuple):
    """A thread's nth call of that name, and what it does to which file, times and tokens left out."""

    call: str
    nth: int
    what: str
    changes: bool


class Traced(NamedTuple):
    """How a run ended, and its calls."""

    ended: Ended
    log: str


def run(
    zygote: Zygote,
    folder: Path,
    lines: Sequence[str],
    config: Path,
    *,
    inject: str | None = None,
    trace: bool = False,
    env: Mapping[str, str] | None = None,
) -> Traced:
    """Runs the target on `lines`; `inject` is strace's, `call:fault:when=n`."""
    files = folder / "stdin", folder / "stdout", folder / "stderr", folder / "strace"
    stdin, out, err, log = files
    stdin.write_text("".join(line + "\n" for line in lines))
    traced = trace or inject is not None
    argv = ("target-lake-parquet", "--config", str(config))
    with stdin.open("rb") as read, out.open("wb") as wrote, err.open("wb") as told:
        descriptors = [read.fileno(), wrote.fileno(), told.fileno()]
        held = {"HELD": "1"} if traced else {}
        forked = zygote.start(
            argv, descriptors, folder, {**ENV, "POLARS_MAX_THREADS": "2", **held, **(env or {})}
        )
    tracer = _attach(forked.pid, log, inject) if traced else None
    if tracer:
        forked.send_signal(GO)
    ended = end(forked, out, err)
    if tracer:
        tracer.communicate(timeout=PATIENCE)
    return Traced(ended, log.read_text(errors="replace") if traced else "")


def end(forked: Forked, out: Path, err: Path) -> Ended:
    """Waits for the end of a run."""
    timer = threading.Timer(HANGS, forked.send_signal, [signal.SIGKILL])
    timer.start()
    code = forked.wait()
    timer.cancel()
    return Ended(code, out.read_text(), err.read_text(errors="replace"))


def die(zygote: Zygote, folder: Path, lines: Sequence[str], config: Path) -> Ended:
    """Runs the target on `lines`, and kills it when it has printed a STATE for each day, its input open."""
    out, err = folder / "stdout", folder / "stderr"
    first = next(number for number, line in enumerate(lines) if '"RECORD"' in line)
    states = sum('"STATE"' in line for line in lines[first:])
    read, write = os.pipe()
    with out.open("wb") as wrote, err.open("wb") as told:
        argv = ("target-lake-parquet", "--config", str(config))
        forked = zygote.start(argv, [read, wrote.fileno(), told.fileno()], folder)
    os.close(read)
    os.write(write, "".join(line + "\n" for line in lines).encode())
    deadline = time.monotonic() + PATIENCE
    while out.read_text().count("\n") < states:
        assert time.monotonic() < deadline, err.read_text()
        time.sleep(0.01)
    forked.send_signal(signal.SIGKILL)
    os.close(write)
    return end(forked, out, err)


def _attach(pid: int, log: Path, inject: str | None) -> subprocess.Popen[bytes]:
    calls = ["-e", f"trace={CALLS}", *(["-e", f"inject={inject}"] if inject else [])]
    tracer = subprocess.Popen(
        ["strace", "-f", "-y", "-o", str(log), *calls, "-p", str(pid)], stderr=subprocess.PIPE
    )
    assert tracer.stderr is not None
    told = tracer.stderr.readline()
    assert b"attached" in told, told
    return tracer


def points(log: str, lake: Path, stdout: Path) -> Iterator[Point]:
    """Every call that touches the lake, or hands on a STATE."""
    counts: Counter[tuple[str, str]] = Counter()
    seen = set()
    for line in log.splitlines():
        entry = _ENTRY.match(line)
        if entry is None:
            continue
        thread, call, rest = entry.groups()
        counts[thread, call] += 1
        where = str(stdout) if str(stdout) in rest else str(lake)
        if where not in rest or (call, counts[thread, call]) in seen:
            continue
        seen.add((call, counts[thread, call]))
        changes = call != "openat" or "O_CREAT" in rest or "O_TRUNC" in rest
        yield Point(call, counts[thread, call], _what(rest, where), changes)


def _what(rest: str, where: str) -> str:
    """The files that a call names, so that runs can be compared."""
    files = re.findall(re.escape(where) + r"[^\"<>]*", rest)
    return " -> ".join(_TOKEN.sub("*", _RUN.sub("*", file.removeprefix(where))) or "." for file in files)


def is_killed(ended: Ended) -> bool:
    """Tells whether SIGKILL ended a run."""
    return ended.code == -signal.SIGKILL
