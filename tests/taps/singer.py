"""Runs a tap, in this process or as one of its own, and returns what it said."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from singer_sdk.singerlib import Catalog

from tap_common.errors import IncompleteError
from tap_shopify.tap import TapShopify
from tests import processes

TAP = Path(sys.executable).parent / "tap-shopify"
Message = dict[str, Any]


@dataclass(frozen=True)
class Output:
    """The messages of a run, in order."""

    messages: list[Message]

    @classmethod
    def of(cls, text: str) -> Output:
        """Read lines of JSON."""
        return cls([json.loads(line) for line in text.splitlines()])

    def kind(self, kind: str, stream: str | None = None) -> list[Message]:
        """Return the messages of a type, of one stream or of all."""
        return [
            message
            for message in self.messages
            if message["type"] == kind and (stream is None or message["stream"] == stream)
        ]

    def rows(self, stream: str) -> list[dict[str, Any]]:
        """Return the records of a stream."""
        return [message["record"] for message in self.kind("RECORD", stream)]

    def types(self, stream: str) -> list[str]:
        """Return the types of a stream's messages, in order, STATE of all streams among them."""
        return [message["type"] for message in self.messages if message.get("stream", stream) == stream]

    @property
    def state(self) -> dict[str, Any]:
        """The last STATE."""
        return dict(self.kind("STATE")[-1]["value"])


def sync(tap: TapShopify) -> Output:
    """Run a tap in this process; what it printed before an error is lost with the error.

    Raises:
        Exception: What ended the run, or the first stream's own error.
    """
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with redirect_stdout(out):
        try:
            tap.sync_all()
            tap.check_complete()
        except IncompleteError as error:
            raise error.__cause__ or error from None
    out.seek(0)
    return Output.of(out.read())


FIRST_THREE = ("customers", "orders", "products")


def selected(
    config: Mapping[str, Any], streams: tuple[str, ...] = FIRST_THREE, deselect: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the tap's catalog with some streams selected, without some columns (`orders.note`)."""
    catalog = TapShopify(config=dict(config), validate_config=False, setup_mapper=False).catalog_dict
    for entry in catalog["streams"]:
        for metadata in entry["metadata"]:
            path = ".".join([entry["tap_stream_id"], *metadata["breadcrumb"][1::2]])
            if not metadata["breadcrumb"]:
                metadata["metadata"]["selected"] = path in streams
            elif path in deselect:
                metadata["metadata"]["selected"] = False
    return catalog


def read(
    config: Mapping[str, Any],
    *,
    streams: tuple[str, ...] = FIRST_THREE,
    state: Mapping[str, Any] | None = None,
    deselect: tuple[str, ...] = (),
) -> Output:
    """Run the tap on some streams, without some columns (`orders.note`)."""
    catalog = selected(config, streams, deselect)
    return sync(
        TapShopify(config=dict(config), state=dict(state or {}), catalog=Catalog.from_dict(catalog)),
    )


@dataclass(frozen=True)
class Run:
    """A process that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def errors(self) -> list[str]:
        """What it complained about."""
        return [line for line in self.stderr.splitlines() if "| ERROR" in line]


def run(*arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Run:
    """Run `tap-shopify` as a process, in an environment that holds nothing else."""
    alone = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **(env or {})}
    done = processes.run([TAP, *arguments], env=alone, cwd=cwd)
    return Run(done.returncode, done.stdout.decode(), done.stderr.decode())
