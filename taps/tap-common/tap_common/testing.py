"""The conformance kit: finds every tap in a folder and holds it to docs/tap-contract.md.

`discover` returns the taps, `CHECKS` the rules by name; a check takes a tap and returns sentences on what is
wrong, none if all is well. Waivers are data: `{("tap-shopify", "files"): "reason"}`.
"""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]

from tap_common.stream import ANNOTATION, DELETED_AT, CommonStream
from tap_common.tap import CommonTap

Waivers = Mapping[tuple[str, str], str]
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
MODULES = ("__init__.py", "__main__.py", "tap.py", "client.py", "streams.py")
SECRET_WORDS = ("token", "secret", "password", "api_key", "private_key")


@dataclass(frozen=True)
class TapUnderTest:
    """One tap as the kit sees it: its folder, and its class."""

    folder: Path

    @property
    def name(self) -> str:
        """The command, `tap-shopify`."""
        return self.folder.name

    @property
    def package(self) -> Path:
        """The folder of the Python package."""
        return self.folder / self.name.replace("-", "_")

    @cached_property
    def tap_class(self) -> type[CommonTap]:
        """The tap's class: the one in `tap.py` that is no base class."""
        module = importlib.import_module(f"{self.package.name}.tap")
        found = [
            item
            for item in vars(module).values()
            if isinstance(item, type) and issubclass(item, CommonTap) and item.__module__ == module.__name__
        ]
        return found[0]

    @cached_property
    def streams(self) -> list[CommonStream]:
        """The tap's streams, made without credentials."""
        return cast("list[CommonStream]", list(self.tap_class(config={}).streams.values()))

    @cached_property
    def about(self) -> dict[str, Any]:
        """The settings by name, as `--about` shows them."""
        run = self.run("--about", "--format=json")
        return dict(json.loads(run.stdout)["settings"]["properties"])

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the installed command in an environment without settings, as a user would."""
        command = Path(sys.executable).parent / self.name
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        return subprocess.run(  # noqa: S603 - our own command
            [command, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=environment,
        )

    @cached_property
    def stub_run(self) -> subprocess.CompletedProcess[str]:
        """A run without any setting."""
        return self.run()


def discover(folder: Path) -> list[TapUnderTest]:
    """Return every tap in a folder."""
    return [TapUnderTest(path) for path in sorted(folder.glob("tap-*")) if path.name != "tap-common"]


# --- the rules ----------------------------------------------------------------------------------------------


def files(tap: TapUnderTest) -> Iterator[str]:
    """The files are there, under the names every tap uses."""
    wanted = [tap.folder / "README.md", tap.folder / "pyproject.toml"]
    wanted += [tap.package / name for name in MODULES]
    yield from (f"{path.relative_to(tap.folder)} is missing" for path in wanted if not path.is_file())


def client_names_no_stream(tap: TapUnderTest) -> Iterator[str]:
    """`client.py` holds how we talk, for any stream."""
    text = (tap.package / "client.py").read_text(encoding="utf-8")
    for stream in tap.streams:
        if re.search(rf"[\"']{stream.name}[\"']", text):
            yield f"client.py names the stream {stream.name}"


def stream_files(tap: TapUnderTest) -> Iterator[str]:
    """Each stream has its schema, its stub rows, and its query or path; nothing is left over."""
    names = {stream.name for stream in tap.streams}
    for folder, ending in (("schemas", "json"), ("stub", "jsonl")):
        there = {path.stem for path in (tap.package / folder).glob(f"*.{ending}")}
        yield from (f"{folder}/{name}.{ending} is missing" for name in sorted(names - there))
        yield from (f"{folder}/{name}.{ending} belongs to no stream" for name in sorted(there - names))
    for stream in tap.streams:
        query = tap.package / "queries" / f"{stream.name}.graphql"
        if not query.is_file() and not getattr(stream, "path", None):
            yield f"{stream.name} has neither a query nor a path"


def settings(tap: TapUnderTest) -> Iterator[str]:
    """Settings are described, secrets are marked, `stub_data` is there."""
    for name, declared in tap.about.items():
        if not declared.get("description"):
            yield f"the setting {name} has no description"
        if any(word in name for word in SECRET_WORDS) and not declared.get("secret"):
            yield f"the setting {name} is not marked as secret"
    if set(tap.about.get("stub_data", {}).get("enum", ())) < {"auto", "never"}:
        yield "stub_data with auto and never is missing"
    missing = [name for way in tap.tap_class.credentials for name in way if name not in tap.about]
    yield from (f"the credential {name} is no setting" for name in missing)


def keys(tap: TapUnderTest) -> Iterator[str]:
    """Keys are declared columns; what is bookmarked is a date-time."""
    for stream in tap.streams:
        columns = stream.schema["properties"]
        if not stream.primary_keys:
            yield f"{stream.name} has no primary key"
        yield from (
            f"{stream.name}.{key} is not declared" for key in stream.primary_keys if key not in columns
        )
        if (key := stream.replication_key) and columns.get(key, {}).get("format") != "date-time":
            yield f"{stream.name}.{key} is no date-time"


def names(tap: TapUnderTest) -> Iterator[str]:
    """Streams and columns are snake_case; items of arrays of objects are declared."""
    for stream in tap.streams:
        if not SNAKE.fullmatch(stream.name):
            yield f"the stream {stream.name} is not snake_case"
        yield from _names(stream.schema, stream.name)


def _names(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, declared in schema.get("properties", {}).items():
        if not SNAKE.fullmatch(name) and name != DELETED_AT:
            yield f"{path}.{name} is not snake_case"
        items = declared.get("items", {})
        if "object" in items.get("type", ()) and not items.get("properties"):
            yield f"{path}.{name} holds objects without declared properties"
        yield from _names(items or declared, f"{path}.{name}")


def stub_rows(tap: TapUnderTest) -> Iterator[str]:
    """Stub rows pass their schema, hold nothing undeclared, and have distinct keys."""
    for stream in tap.streams:
        path = tap.package / "stub" / f"{stream.name}.jsonl"
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        if not rows:
            yield f"{stream.name} has no stub rows"
        validator = Draft202012Validator(stream.schema, format_checker=FormatChecker())
        for row in rows:
            yield from (
                f"{stream.name}: {error.json_path} {error.message}" for error in validator.iter_errors(row)
            )
            yield from _undeclared(row, stream.schema, stream.name)
        found = [tuple(row.get(key) for key in stream.primary_keys) for row in rows]
        if len(set(found)) < len(found):
            yield f"{stream.name}: stub rows share a key"


def _undeclared(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:  # noqa: ANN401 - JSON
    if isinstance(value, list):
        for item in value:
            yield from _undeclared(item, schema.get("items", {}), path)
    if isinstance(value, dict):
        for name, inner in value.items():
            declared = schema.get("properties", {}).get(name)
            if declared is None:
                yield f"{path}.{name} is not declared"
            else:
                yield from _undeclared(inner, declared, f"{path}.{name}")


def stub_run(tap: TapUnderTest) -> Iterator[str]:
    """A run without credentials says so, marks every SCHEMA, closes every version and prints no STATE."""
    run = tap.stub_run
    messages = [json.loads(line) for line in run.stdout.splitlines()]
    if run.returncode:
        yield f"a stub run ends with {run.returncode}"
    warnings = [line for line in run.stderr.splitlines() if "WARNING" in line and "STUB" in line]
    if len(warnings) != 1:
        yield f"a stub run warns {len(warnings)} times, not once"
    if any(message["type"] == "STATE" for message in messages):
        yield "a stub run prints STATE"
    wanted = {"source": tap.name.removeprefix("tap-"), "origin": "stub", "closes_with": "ACTIVATE_VERSION"}
    for stream in tap.streams:
        mine = [message for message in messages if message.get("stream") == stream.name]
        kinds = [message["type"] for message in mine]
        if kinds[:1] != ["SCHEMA"] or mine[0]["schema"].get(ANNOTATION) != wanted:
            yield f"{stream.name} does not open with an annotated SCHEMA"
        if kinds[-1:] != ["ACTIVATE_VERSION"] or kinds.count("ACTIVATE_VERSION") != 1:
            yield f"{stream.name} does not close with its one ACTIVATE_VERSION"
        if len({message.get("version") for message in mine[1:]}) != 1 or mine[-1].get("version") is None:
            yield f"{stream.name} does not carry one version"


def errors(tap: TapUnderTest) -> Iterator[str]:
    """A user's mistake ends in one line and the right exit code."""
    usual = tap.tap_class.credentials[0]
    half = json.dumps({usual[0]: "x"}) if len(usual) > 1 else None
    cases = [(("--config", "/nonexistent/config.json"), 2)]
    for arguments, code in cases:
        run = tap.run(*arguments)
        if run.returncode != code or len(run.stderr.splitlines()) != 1 or run.stdout:
            yield f"{arguments} ends with {run.returncode}, {len(run.stderr.splitlines())} lines on stderr"
    if half and not any("missing" in error for error in _config_errors(tap, json.loads(half))):
        yield "half of the credentials is no error"


def _config_errors(tap: TapUnderTest, config: dict[str, Any]) -> list[str]:
    return tap.tap_class(config=config, validate_config=False)._validate_config(raise_errors=False)  # noqa: SLF001


Check = Callable[[TapUnderTest], Iterator[str]]
CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        files,
        client_names_no_stream,
        stream_files,
        settings,
        keys,
        names,
        stub_rows,
        stub_run,
        errors,
    )
}


def failures(tap: TapUnderTest, check: str, waivers: Waivers) -> list[str]:
    """Return what is wrong, waivers taken into account: a waiver that nothing needs is wrong too."""
    found = list(CHECKS[check](tap))
    if (tap.name, check) not in waivers:
        return found
    return [] if found else [f"the waiver of {check} for {tap.name} is no longer needed: remove it"]


def stale(waivers: Waivers, taps: list[TapUnderTest]) -> list[str]:
    """Return waivers for taps or checks that do not exist, and those without a reason."""
    known = {tap.name for tap in taps}
    return [
        f"waiver {tap}/{check}"
        for (tap, check), reason in waivers.items()
        if tap not in known or check not in CHECKS or not reason.strip()
    ]
