"""Every name in the lake, as pure functions of strings.

<lake_root>/raw/<dataset>/<YYYYMMDDTHHMMSSffffffZ>.parquet   finished snapshots, and nothing else
<lake_root>/_meta/runs/<run_id>.json                         one run
<lake_root>/_meta/claims/<stream's dataset>/<snapshot>.json   what follows a snapshot: decided once
<lake_root>/_meta/pending/<stream's dataset>/                finished files on the way to their final names
<lake_root>/_meta/locks/<stream's dataset>.lock              writers of a family wait for each other
<lake_root>/.staging/<run_id>/                               a running run's rows, not yet published
<lake_root>/.staging/lock                                    held while such a folder comes or goes
<lake_root>/.incomplete/<run_id>/<dataset>.parquet           rows kept aside: no proof of completeness
<lake_root>/.quarantine/<run_id>/<dataset>.jsonl             records that could not be stored
"""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

RAW = "raw"
META = "_meta"
RUNS = f"{META}/runs"
LOCKS = f"{META}/locks"
CLAIMS = f"{META}/claims"
PENDING = f"{META}/pending"
STAGING = ".staging"
STAGING_LOCK = ".staging/lock"
INCOMPLETE = ".incomplete"
QUARANTINE = ".quarantine"
SUFFIX = ".parquet"
SEPARATOR = "__"
DATASET_TEMPLATE = "{tenant}_{source}_{stream}"
MAX_NAME = 200
"""Bytes of a dataset's name: file systems end at 255, and temporary names add to it."""

_STAMP = "%Y%m%dT%H%M%S%fZ"
_SNAPSHOT = re.compile(r"\d{8}T\d{12}Z\.parquet")
_PART = re.compile(r"\{(tenant|source|stream)\}")
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_WINDOWS = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)")


def check_template(template: str) -> None:
    """Checks a template of dataset names.

    Raises:
        ValueError: it is none; the message says why.
    """
    literals, parts = _PART.split(template)[::2], _PART.findall(template)
    if "stream" not in parts or len(set(parts)) != len(parts):
        raise ValueError("it must name {stream}, and each of {tenant}, {source}, {stream} once at most")
    if any(_UNSAFE.search(literal) for literal in literals):
        raise ValueError("beside {tenant}, {source} and {stream} it may hold A-Z a-z 0-9 _ - alone")
    if any(SEPARATOR in literal for literal in literals):
        raise ValueError(f"{SEPARATOR!r} parts a dataset from its child datasets")


def _filled(template: str, values: dict[str, str | None]) -> str:
    """Fills a template; an empty part takes the text before it along, the first part the text after it."""
    first, *rest = _PART.split(template)
    pairs = zip(rest[::2], ["", *rest[1:-1:2]], strict=True)
    filled = ""
    for part, before in pairs:
        if value := values[part]:
            filled += (before if filled else "") + _safe(value)
    return first + filled + rest[-1]


def dataset_name(
    tenant: str | None,
    source: str | None,
    stream: str,
    child: str | None = None,
    template: str = DATASET_TEMPLATE,
) -> str:
    """Names a dataset: the template filled, empty parts left out, then `__` and the child.

    Characters outside `A-Z a-z 0-9 _ -` become `_`, so that a name is a plain folder on every system. Two
    streams can meet in one name; the owner in each snapshot's metadata tells them apart, and the
    second one is refused.
    """
    name = _filled(template, {"tenant": tenant, "source": source, "stream": stream})
    name = name.lstrip("_-") or "stream"  # readers hide folders that begin with `_` or `.`
    if _WINDOWS.fullmatch(name):
        name += "_"
    if child:
        name += SEPARATOR + _safe(child)
    if len(name) > MAX_NAME:
        name = name[: MAX_NAME - 9] + "_" + hashlib.sha256(name.encode()).hexdigest()[:8]
    return name


def child_prefix(name: str) -> str:
    """How the names of a dataset's children begin, be they so long that they are cut."""
    return (name + SEPARATOR)[: MAX_NAME - 9]


def _safe(part: str) -> str:
    return _UNSAFE.sub("_", part)


def snapshot_name(moment: datetime, newest: str | None = None) -> str:
    """Names a snapshot after `moment` (aware), or a microsecond after `newest` where the clock is behind."""
    moment = moment.astimezone(UTC)
    if newest is not None:
        moment = max(moment, snapshot_moment(newest) + timedelta(microseconds=1))
    return moment.strftime(_STAMP) + SUFFIX


def snapshot_moment(name: str) -> datetime:
    """Reads the moment in a snapshot's file name."""
    return datetime.strptime(PurePosixPath(name).name, _STAMP + SUFFIX).replace(tzinfo=UTC)


def is_snapshot(name: str) -> bool:
    """Tells whether a file name is a finished snapshot's."""
    return _SNAPSHOT.fullmatch(name) is not None


def is_dataset(name: str) -> bool:
    """Tells whether a name can be a dataset's folder: one plain folder in `raw`, and nowhere else."""
    return bool(name) and name[0] not in "._" and not any(char in name for char in "/\\\0")


def snapshot_path(dataset: str, name: str) -> str:
    """Where a snapshot stands, relative to the lake's root."""
    return f"{RAW}/{dataset}/{name}"


def claim_path(stream: str, name: str) -> str:
    """Where it stands what follows snapshot `name` of a family; `stream` is its stream's dataset."""
    return f"{CLAIMS}/{stream}/{name.removesuffix(SUFFIX)}.json"


def pending_path(stream: str, run_id: str, token: str, dataset: str) -> str:
    """Where a family's finished file waits for its final name."""
    return f"{PENDING}/{stream}/{run_id}-{token}.{dataset}{SUFFIX}"


def run_moment(name: str) -> datetime | None:
    """Reads when a run began, in its id or a name that begins with it."""
    try:
        return datetime.strptime(name.split("-", 1)[0], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def run_id(moment: datetime, token: str) -> str:
    """Names a run: sorts by start, unique by its random token."""
    return f"{moment.astimezone(UTC).strftime(_STAMP)}-{token}"
