"""Starts the real commands: each a process of its own, forked from one that has imported what they need.

A test session starts a command some hundred times; to import its libraries takes it a second each time.
"""

import atexit
import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

PATIENCE = 60


class Zygote:
    """The process that forks the commands; see `zygote.py`."""

    def __init__(self, module: str = "tests.zygote") -> None:
        """Starts it and waits until it is ready."""
        self.folder = tempfile.TemporaryDirectory()
        self.path = str(Path(self.folder.name) / "socket")
        root = Path(__file__).parents[1]
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, self.path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            cwd=root,
            env={**os.environ, "COLUMNS": "200"},
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def close(self) -> None:
        """Ends it."""
        self.process.kill()
        self.process.communicate()
        self.folder.cleanup()

    def start(
        self, argv: Sequence[str], descriptors: Sequence[int], cwd: Path, env: Mapping[str, str]
    ) -> "Forked":
        """Starts a command with the given stdin, stdout and stderr."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(2 * PATIENCE)
        connection.connect(self.path)
        request = json.dumps({"argv": list(argv), "cwd": str(cwd), "env": dict(env)}).encode()
        socket.send_fds(connection, [request], list(descriptors))
        return Forked(connection)


class Forked:
    """A command that runs."""

    def __init__(self, connection: socket.socket) -> None:
        """Learns its process id."""
        self._reports = connection.makefile("r")
        connection.close()
        self.pid = int(self._reports.readline())

    def send_signal(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Waits for its end; returns the exit code."""
        with self._reports:
            return int(self._reports.readline())

    def end(self) -> int:
        """Waits for its end; returns the exit code.

        Raises:
            TimeoutError: it took longer than `PATIENCE`, and was killed.
        """
        code, hung = self.ended(PATIENCE)
        if hung:
            raise TimeoutError(f"process {self.pid} hung")
        return code

    def ended(self, seconds: float) -> tuple[int, bool]:
        """Waits for its end: the exit code, and whether it had to be killed because it took longer."""
        late = threading.Event()

        def kill() -> None:
            late.set()
            self.send_signal(signal.SIGKILL)

        timer = threading.Timer(seconds, kill)
        timer.start()
        try:
            return self.wait(), late.is_set()
        finally:
            timer.cancel()


@functools.cache
def zygote() -> Zygote:
    """The one of this test process; it ends with it."""
    one = Zygote()
    atexit.register(one.close)
    return one


def start(
    argv: Sequence[str | Path],
    descriptors: Sequence[int],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
) -> Forked:
    """Starts a command with the given stdin, stdout and stderr."""
    return zygote().start([str(one) for one in argv], descriptors, cwd or Path.cwd(), env)


def run(
    argv: Sequence[str | Path], *, stdin: bytes = b"", env: Mapping[str, str], cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Runs a command to its end, `stdin` in a pipe, as `subprocess.run` does.

    Raises:
        TimeoutError: it took longer than `PATIENCE`, and was killed.
    """
    read, write = os.pipe()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            forked = start(argv, [read, out.fileno(), err.fileno()], env=env, cwd=cwd)
        finally:
            os.close(read)
        feeder = threading.Thread(target=_feed, args=(write, stdin))  # it may hang before it reads all
        feeder.start()
        code = forked.end()
        feeder.join()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(argv, code, out.read(), err.read())


def _feed(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), open(descriptor, "wb") as pipe:
        pipe.write(data)
