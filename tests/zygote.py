"""Starts the real commands fast: imports them once, then forks a process for each start.

Each start is a process of its own, with the descriptors, environment, folder and signals that it was given,
and it ends as any Python process does. Only the second of importing is saved.
The commands as installed are started too, in `test_target_ends.py` and `test_shopify_cli.py`: both ways must
end alike.
"""

import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

STOPS = {signal.SIGINT, signal.SIGTERM}

IMPATIENT = "IMPATIENT"
"""In the environment of a tap that is not to wait seconds for its API."""


def serve(path: str) -> str:
    """Answers each connection with a fork; returns in the forked process alone, with the command's name."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        connection, _ = listener.accept()
        if os.fork():
            connection.close()
            continue
        listener.close()
        return _start(connection)


def _start(connection: socket.socket) -> str:
    """In a process that waits for the command and reports; the command itself returns its name."""
    raw, descriptors, _, _ = socket.recv_fds(connection, 2**20, 3)
    request = json.loads(raw)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # while libraries tidy up after the fork, they would swallow what a signal raises
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    child = os.fork()
    if child:
        for descriptor in descriptors:
            os.close(descriptor)
        connection.sendall(f"{child}\n".encode())
        _, status = os.waitpid(child, 0)
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    connection.close()
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
    sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - as Python's own: whoever replaces it closes nothing
    os.environ.clear()
    os.environ.update(request["env"])
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    os.chdir(request["cwd"])
    sys.argv = request["argv"]
    return Path(sys.argv[0]).name


def main(begin: Callable[[], None] = lambda: None) -> None:
    """Imports, serves, and in each forked process runs `begin` and the command."""
    from lake_parquet.cli import main as lake  # noqa: PLC0415 - what is imported here is what forking saves
    from tap_common.http import JsonApi  # noqa: PLC0415
    from tap_shopify.bulk import BulkOperations  # noqa: PLC0415
    from tap_shopify.tap import TapShopify  # noqa: PLC0415
    from target_lake_parquet.target import TargetLakeParquet  # noqa: PLC0415

    gc.collect()
    gc.freeze()  # else each process walks all that was imported when it ends: 0.2 s
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    name = serve(sys.argv[1])
    begin()
    if os.environ.pop(IMPATIENT, ""):
        BulkOperations.first_wait = JsonApi.retry_base = 0.01
    if name == "lake":
        lake()
        return
    plugin: Any = {"tap-shopify": TapShopify, "target-lake-parquet": TargetLakeParquet}[name]
    plugin.cli(prog_name=name)  # looking at `cli` sets up logging, so not before the fork


if __name__ == "__main__":
    main()
