"""Hostile names and planted files: nothing outside the lake is touched, whoever tries."""

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.target.command import Place, assert_clear
from tests.target.messages import KEY, record, schema

NAMES = {
    "dots": "..",
    "a dot": ".",
    "up": "../../etc/x",
    "up and in again": "../lake/../x",
    "up, far": "../" * 40 + "tmp/x",
    "absolute": "/etc/x",
    "absolute, doubled": "//etc//x",
    "in a folder": "a/b",
    "ends in a slash": "a/",
    "escaped dots": "%2e%2e/%2e%2e/x",
    "escaped slash": "..%2fx",
    "escaped twice": "%252e%252e%252fx",
    "overlong UTF-8": "..%c0%afx",
    "backslashes": "..\\..\\x",
    "a drive": "C:\\x",
    "a share": "\\\\host\\share\\x",
    "NUL": "a\0b",
    "NUL and up": "x\0/../../y",
    "newline": "a\nb",
    "carriage return": "a\rb",
    "tab": "a\tb",
    "escape": "a\x1b[2Jb",
    "DEL": "a\x7fb",
    "right to left": "a\u202eb",
    "zero width": "a\u200bb",
    "full-width slash": "..\uff0f..\uff0fx",
    "fraction slash": "..\u2044x",
    "one dot leader": "\u2024\u2024/x",
    "NFC": "caf\u00e9",
    "NFD": "cafe\u0301",
    "case": "CAF\u00c9",
    "emoji": "\U0001f600",
    "trailing dot": "a.",
    "trailing space": "a ",
    "leading space": " a",
    "spaces": "   ",
    "dots and spaces": ". .",
    "leading dot": ".hidden",
    "leading underscore": "_private",
    "leading dash": "-rf",
    "an option": "--help",
    "the lake's own": "_meta",
    "the lake's staging": ".staging",
    "a device": "CON",
    "a device with an ending": "nul.parquet",
    "a port": "com1",
    "255 bytes": "a" * 255,
    "256 bytes": "a" * 256,
    "5,000 bytes": "a" * 5000,
    "5,000 bytes of dots": "../" * 1700,
    "200 letters of four bytes": "\U0001f600" * 200,
    "a star": "*",
    "a question": "a?b",
    "brackets": "[!a]",
    "braces": "{a,b}",
    "a template": "{tenant}",
    "a shell": "$(touch /tmp/x);`id`|&<>",
    "a pattern": "^.*$",
    "quotes": "'\"",
    "a home": "~root",
    "a URL": "file:///etc/x",
    "a bucket": "s3://bucket/x",
    "a stream's": "a:$DATA",
    "equals": "k=v",
    "hash": "#x",
    "separator": "a__b",
    "a snapshot's name": "20990101T000000000000Z.parquet",
}  # fmt: skip
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,199}")


def outside(place: Place) -> dict[str, Any]:
    """All that stands beside the lake: what it is, and what is in it."""
    found: dict[str, Any] = {}
    for folder, folders, files in os.walk(place.folder):
        if Path(folder) == place.folder:
            folders[:] = [name for name in folders if name != "lake"]
            files = [name for name in files if name not in ("config.json", "stdout", "stderr")]  # noqa: PLW2901
        for name in (*folders, *files):
            path = Path(folder, name)
            status = path.lstat()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
            times = (status.st_mtime_ns, status.st_ino) if not path.is_fifo() else ()
            found[str(path.relative_to(place.folder))] = (status.st_mode, status.st_size, times, content)
    return found


def made(place: Place) -> list[str]:
    """The folders below `raw`, each with nothing but snapshots in it."""
    folders = sorted((place.root / "raw").iterdir()) if (place.root / "raw").is_dir() else []
    for folder in folders:
        assert not folder.is_symlink()
        assert all(re.fullmatch(r"\d{8}T\d{12}Z\.parquet", one.name) for one in folder.iterdir())
    assert {one.name for one in place.root.iterdir()} <= {"raw", "_meta", ".staging", ".incomplete"}
    return [folder.name for folder in folders]


@pytest.fixture
def neighbours(place: Place) -> dict[str, Any]:
    """Files beside the lake that a name could reach."""
    for path in ("etc/x", "x", "secret/canary"):
        (place.folder / path).parent.mkdir(exist_ok=True)
        (place.folder / path).write_text("untouched")
    return outside(place)


@pytest.mark.parametrize("case", NAMES)
def test_a_stream_of_any_name_stays_in_the_lake(place: Place, neighbours: dict[str, Any], case: str) -> None:
    name = NAMES[case]
    items = {"type": "array", "items": {"type": "object", "properties": {name: KEY}}}
    ended = place.run(schema(name, {"id": KEY, "list": items}), record(name, id=1, list=[{name: 2}]))
    assert ended.code == 0, ended.err
    parent = place.record()["datasets"][0]["dataset"]
    dataset, child = sorted(made(place), key=lambda made_: made_ != parent)
    assert PLAIN.fullmatch(dataset)
    assert PLAIN.fullmatch(child)
    assert place.frame(dataset)["id"].to_list() == [1]
    assert place.frame(child).height == 1
    assert outside(place) == neighbours
    assert not set("\0\x1b\r") & set(ended.err)


@pytest.mark.parametrize("case", NAMES)
def test_a_tenant_and_a_source_of_any_name_stay_in_the_lake(
    place: Place, neighbours: dict[str, Any], case: str
) -> None:
    name = NAMES[case]
    ended = place.run(schema("s", {"id": KEY}), record("s", id=1), tenant_id=name, source=name)
    if case == "separator":
        assert ended.code == 2
        assert_clear(ended.err)
    else:
        assert ended.code == 0, ended.err
        (dataset,) = made(place)
        assert PLAIN.fullmatch(dataset)
        assert place.frame(dataset)["id"].to_list() == [1]
    assert outside(place) == neighbours


def test_streams_whose_names_meet_never_share_a_dataset(place: Place) -> None:
    lines = [schema(name, {"id": KEY}) for name in NAMES.values()]
    lines += [record(name, id=nth) for nth, name in enumerate(NAMES.values())]
    place.run(*lines)
    owners = {}
    for dataset in made(place):
        info = place.lake.latest_snapshot(dataset).info
        assert info is not None
        nth = list(NAMES.values()).index(info.owner.stream)
        assert place.frame(dataset)["id"].to_list() == [nth]
        owners[info.owner.stream] = dataset
    told = {one["stream"]: one["status"] for one in place.record()["datasets"]}
    assert {stream for stream, status in told.items() if status == "published"} == set(owners)
    assert set(told) == set(NAMES.values())
    assert {status for stream, status in told.items() if stream not in owners} <= {"failed", "held"}


# What a neighbour may plant.

HEAD, ONE = schema("s", {"id": KEY}), record("s", id=1)
LATE = "20990101T000000000000Z.parquet"


def link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def fifo(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)


PLANTED: dict[str, Callable[[Path, Path], None]] = {
    "raw is a link": lambda lake, away: link(lake / "raw", away),
    "raw is a FIFO": lambda lake, _: fifo(lake / "raw"),
    "the dataset is a link": lambda lake, away: link(lake / "raw/s", away),
    "the dataset is a dangling link": lambda lake, away: link(lake / "raw/s", away / "new"),
    "the dataset is a FIFO": lambda lake, _: fifo(lake / "raw/s"),
    "the latest is a link to a file": lambda lake, away: link(lake / "raw/s" / LATE, away / "canary"),
    "the latest is a link to a device": lambda lake, _: link(lake / "raw/s" / LATE, Path("/dev/zero")),
    "the latest is a dangling link": lambda lake, away: link(lake / "raw/s" / LATE, away / "new"),
    "the latest is a FIFO": lambda lake, _: fifo(lake / "raw/s" / LATE),
    "the latest is a folder": lambda lake, _: (lake / "raw/s" / LATE).mkdir(parents=True),
    "staging is a link": lambda lake, away: link(lake / ".staging", away),
    "staging is a FIFO": lambda lake, _: fifo(lake / ".staging"),
    "the staging lock is a link": lambda lake, away: link(lake / ".staging/lock", away / "new"),
    "the staging lock is a FIFO": lambda lake, _: fifo(lake / ".staging/lock"),
    "_meta is a link": lambda lake, away: link(lake / "_meta", away),
    "_meta/runs is a link": lambda lake, away: link(lake / "_meta/runs", away),
    "_meta/runs is a FIFO": lambda lake, _: fifo(lake / "_meta/runs"),
    "_meta/claims is a link": lambda lake, away: link(lake / "_meta/claims", away),
    "_meta/pending is a link": lambda lake, away: link(lake / "_meta/pending", away),
    "_meta/locks is a link": lambda lake, away: link(lake / "_meta/locks", away),
    "the lock is a link": lambda lake, away: link(lake / "_meta/locks/s.lock", away / "new"),
    "the lock is a FIFO": lambda lake, _: fifo(lake / "_meta/locks/s.lock"),
    "a run's folder in staging is a link": lambda lake, away: link(
        lake / ".staging/20200101T000000000000Z-abcdef", away),
    ".incomplete is a link": lambda lake, away: link(lake / ".incomplete", away),
    ".incomplete is a FIFO": lambda lake, _: fifo(lake / ".incomplete"),
    ".quarantine is a link": lambda lake, away: link(lake / ".quarantine", away),
    ".quarantine is a FIFO": lambda lake, _: fifo(lake / ".quarantine"),
}  # fmt: skip


@pytest.mark.parametrize("case", PLANTED)
def test_what_is_planted_in_the_lake_leads_nowhere(place: Place, case: str) -> None:
    away = place.folder / "away"
    away.mkdir()
    (away / "canary").write_text("untouched")
    (away / "dead" / "s.000000.segment").mkdir(parents=True)  # as a dead run's folder looks
    place.root.mkdir()
    PLANTED[case](place.root, away)
    before = outside(place)
    held = schema("held", {"id": KEY}, mark={"closes_with": "ACTIVATE_VERSION"})
    lines = [HEAD, ONE, record("s", id="bad"), held, record("held", id=1)]
    ended = place.run(*lines, on_bad_record="quarantine")
    assert outside(place) == before
    assert ended.code == 1  # one stream is held, whatever was planted
    assert_clear(ended.err)
    ended = place.command("lake", "recover", "--lake", str(place.root))
    assert outside(place) == before
    assert ended.code in (0, 1)
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("kind", ["FIFO", "file", "device"])
def test_a_lake_that_is_no_folder_is_refused(place: Place, kind: str) -> None:
    root = place.root
    if kind == "FIFO":
        os.mkfifo(root)
    elif kind == "file":
        root.write_text("untouched")
    ended = place.run(HEAD, ONE, lake_root="/dev/null" if kind == "device" else str(root))
    assert ended.code == 1
    assert_clear(ended.err)
    assert kind != "file" or root.read_text() == "untouched"


def test_what_is_told_of_hostile_names_stands_on_plain_lines(place: Place) -> None:
    names = ["a\nb\x1b[31m", 'x","status":"published']
    ended = place.run(*(line for name in names for line in (schema(name, {"id": KEY}), record(name, id=1))))
    assert ended.code == 0, ended.err
    assert [one["stream"] for one in place.record()["datasets"]] == names
    assert "\x1b" not in ended.err
    assert all(re.match(r"\d{4}-\d\d-\d\d ", line) for line in ended.err.splitlines())
