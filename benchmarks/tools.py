"""Who is measured: the target, the raw limit and their peers, each with the versions it is installed in."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
Command = Sequence[str | Path]


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that takes a stream.

    `command` makes its command line from its environment's `bin`, an empty folder and the kind of stream;
    `share` is the part of the input that a slow one gets;
    `least` the times that it should be slower than ours.
    """

    key: str
    title: str
    duties: str
    command: Callable[[Path, Path, str], Command]
    requires: tuple[str, ...] = ()
    share: Mapping[str, float] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    least: float | None = None


def config(place: Path, **settings: object) -> Path:
    """Writes a config file beside `place`; returns its path."""
    path = place.with_suffix(".json")
    path.write_text(json.dumps(settings))
    return path


def target(_bin: Path, folder: Path, _kind: str, **settings: object) -> Command:
    """Our target's command."""
    written = config(folder, lake_root=str(folder), source="bench", **settings)
    return [BIN / "target-lake-parquet", "--config", written]


def _raw(_bin: Path, folder: Path, kind: str) -> Command:
    return [sys.executable, HERE / "raw_limit.py", kind, folder]


def _dlt(place: Path, folder: Path, _kind: str) -> Command:
    return [place / "python", HERE / "dlt_load.py", folder]


def _duckdb(place: Path, folder: Path, _kind: str) -> Command:
    path = str(folder / "bench.duckdb")
    return [place / "target-duckdb", "-c", config(folder, filepath=path, default_target_schema="main")]


def _jsonl(place: Path, folder: Path, _kind: str) -> Command:
    return [place / "target-jsonl", "-c", config(folder, destination_path=str(folder))]


def _parquet(place: Path, folder: Path, _kind: str) -> Command:
    return [place / "target-parquet", "--config", config(folder, destination_path=str(folder))]


def _sdk(*, validated: bool) -> Callable[[Path, Path, str], Command]:
    def command(_bin: Path, folder: Path, _kind: str) -> Command:
        written = config(folder, folder=str(folder), validate_records=validated)
        return [sys.executable, HERE / "sdk_target.py", "--config", written]

    return command


SLOW = {"orders": 0.2, "narrow": 0.1}
AUTOMATTIC = "8bfbb1796e71d52863f821f5c1445525a6cea3d5"
"""target-parquet 1.1.2: its last commit, of June 2025."""

TARGET = Tool(
    "ours",
    "**target-lake-parquet**",
    "flat tables and child tables, exact types, keys, a snapshot that appears whole, every file "
    "synced to disk, state after durability, a record of the run",
    target,
)
RAW = Tool(
    "raw",
    "raw limit",
    "RECORD lines, decode with a known schema, flatten, dates, one Parquet file; serial, nothing checked or "
    "synced, no keys, no child tables, no state",
    _raw,
)
PEERS = (
    Tool(
        "dlt",
        "dlt to Parquet",
        "columns and types inferred, child tables; no Singer messages (a script reads the records), no keys "
        "on plain Parquet, files not synced, its own state",
        _dlt,
        requires=("dlt[filesystem,parquet]==1.31.0",),
        env={"RUNTIME__DLTHUB_TELEMETRY": "false"},
        least=4,
    ),
    Tool(
        "duckdb",
        "target-duckdb",
        "an upsert into one table by key; nested objects and arrays stay JSON; not validated; state",
        _duckdb,
        requires=("target-duckdb==0.8.0", "duckdb==2.0.0"),
        least=4,
    ),
    Tool(
        "sdk",
        "plain SDK target",
        "a batch of records a Parquet file, nested as it comes; not validated; no keys; state; not synced",
        _sdk(validated=False),
    ),
    Tool(
        "sdk_validated",
        "plain SDK target, validating",
        "the same, with the SDK's validation, which is its default",
        _sdk(validated=True),
        share=SLOW,
    ),
    Tool(
        "jsonl",
        "target-jsonl",
        "validates each record and appends it to a text file; no types, no keys; state at the end",
        _jsonl,
        requires=("target-jsonl==0.1.4",),
        share=SLOW,
    ),
    Tool(
        "parquet",
        "target-parquet",
        "validates, flattens, keeps arrays as text; a file written anew with each batch; no keys; state; "
        "not synced; Automattic's, from its repository: PyPI has another of that name",
        _parquet,
        requires=(f"target-parquet @ git+https://github.com/Automattic/target-parquet@{AUTOMATTIC}",),
        share=SLOW,
        least=15,
    ),
)
TOOLS = (TARGET, RAW, *PEERS)


def install(tool: Tool, root: Path, checkout: Path | None = None) -> Path:
    """Makes the environment of a peer, once a set of versions; returns where its commands stand.

    `checkout` is a folder with the peer's source, for machines that cannot reach where it is published.

    Raises:
        ValueError: it cannot be installed; the message says why.
    """
    if not tool.requires:
        return BIN
    place = root / tool.key
    stamp = place / ".installed"
    requires = (str(checkout.resolve()),) if checkout else tool.requires
    wanted = "\n".join(requires)
    if stamp.is_file() and stamp.read_text() == wanted:
        return place / "bin"
    shutil.rmtree(place, ignore_errors=True)
    _uv("venv", "--python", sys.executable, place)
    _uv("pip", "install", "--python", place / "bin" / "python", *requires)
    stamp.write_text(wanted)
    return place / "bin"


def versions(place: Path) -> str:
    """What an environment holds, as `name==version` lines."""
    return _uv("pip", "list", "--format", "freeze", "--python", place / "python")


def output(*command: str | Path) -> str:
    """What a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _uv(*arguments: str | Path) -> str:
    done = subprocess.run([BIN / "uv", *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if not line.lstrip().startswith("warning")]
        words = " ".join(" ".join(lines).replace("╰─▶", "").replace("\N{MULTIPLICATION SIGN}", "").split())
        raise ValueError((words.partition("error: ")[2] or words or "no word why")[:200])
    return done.stdout
