"""A real PostgreSQL on loopback, started for a test from whatever Debian (or another system) installed."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import psycopg

UNPRIVILEGED = ("postgres", "nobody")
STARTUP_SECONDS = 30


class Drop(TypedDict, total=False):
    """How `subprocess` starts a process as somebody else."""

    user: str
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Server:
    """Where the running server listens."""

    port: int
    host: str = "127.0.0.1"
    user: str = "lake"
    database: str = "postgres"

    def connect(self) -> psycopg.Connection:
        """A connection that commits each statement."""
        return psycopg.connect(
            host=self.host, port=self.port, user=self.user, dbname=self.database, autocommit=True
        )


def binaries() -> Path | None:
    """The folder of the newest `initdb` and `postgres` on this machine, or None."""
    on_path = shutil.which("initdb")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    candidates += sorted(debian, key=lambda folder: float(folder.parent.name), reverse=True)
    return next((f for f in candidates if (f / "initdb").exists() and (f / "postgres").exists()), None)


@contextmanager
def running(binary_folder: Path) -> Iterator[Server]:
    """A fresh, empty server; gone, with its files, when the block ends."""
    drop = _unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="lake-postgres-"))
    try:
        if drop:
            shutil.chown(folder, drop["user"])
        data = folder / "data"
        initdb = [str(binary_folder / "initdb"), "-D", str(data), "-U", Server.user, "-A", "trust"]
        initdb += ["--encoding=UTF8", "--locale=C", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **drop)
        with _started(binary_folder, data, drop) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _started(binary_folder: Path, data: Path, drop: Drop) -> Iterator[Server]:
    server = Server(port=_free_port())
    settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "timezone=UTC"]
    command = [str(binary_folder / "postgres"), "-D", str(data), "-p", str(server.port)]
    command += [part for setting in settings for part in ("-c", setting)]
    with (data.parent / "log").open("w+b") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=data.parent, **drop)
        try:
            _wait_until_it_answers(server, process, Path(log.name))
            yield server
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _unprivileged() -> Drop:
    """PostgreSQL refuses to run as root: whom to run it as then, nobody special otherwise."""
    if os.getuid() != 0:
        return {}
    import pwd  # noqa: PLC0415  # exists on POSIX only, as does root

    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = next(known[name] for name in UNPRIVILEGED if name in known)
    return {"user": entry.pw_name, "group": entry.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_it_answers(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while True:
        try:
            server.connect().close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}") from None
            time.sleep(0.05)
        else:
            return
