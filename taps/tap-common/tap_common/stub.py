"""Rows for a run without credentials: `stub/<stream>.jsonl` in the tap's own package."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import msgspec


def stub_rows(package: str, stream: str) -> Iterator[dict[str, Any]]:
    """Yield the stub rows of a stream; they look as records of the API do."""
    text = files(package).joinpath("stub", f"{stream}.jsonl").read_text(encoding="utf-8")
    for line in text.splitlines():
        yield msgspec.json.decode(line, type=dict[str, Any])
