"""A tap in; out comes what a person wants to know of it before the first run: `--about`."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tap_common.config import env_prefixes

if TYPE_CHECKING:
    from tap_common.tap import CommonTap

WIDTH = 100


def about(tap: type[CommonTap], settings: dict[str, Any]) -> str:
    """Return a page of plain text: what the tap is, the ways in, every setting with its default."""
    strong, plain = env_prefixes(tap.name)
    lines = [
        f"{tap.name} {tap.get_plugin_version()}: {(tap.__doc__ or '').strip()}",
        "",
        "Credentials, one of these sets; without any, stub data:",
        *(f"  {', '.join(way)}" for way in tap.credentials),
        "",
        f"Settings, in the config file, or as {plain}<SETTING> ({strong}<SETTING> counts before it):",
        *_settings(settings),
        "",
        f"Streams: {tap.name} --discover. As JSON or Markdown: --about --format=json, --format=markdown.",
    ]
    return "\n".join(lines)


def _settings(settings: dict[str, Any]) -> Iterator[str]:
    for name, declared in settings["properties"].items():
        notes = ["secret"] if declared.get("secret") else []
        if (default := declared.get("default")) is not None:
            shown = default if isinstance(default, str) else json.dumps(default)
            notes.append(f"default {shown}")
        yield f"  {name}" + (f" ({', '.join(notes)})" if notes else "")
        text = " ".join(str(declared.get("description", "")).split())
        yield textwrap.fill(text, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
