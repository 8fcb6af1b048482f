"""Records set aside: who may read them, what stands there, and that nothing stands there without one."""

import base64
import json
import os
from pathlib import Path

import pytest

from lake_parquet.errors import LakeError
from lake_parquet.local_store import LocalStore
from lake_parquet.quarantine import Problem, Quarantine, quarantined

WHY = Problem("a", "is odd")


def test_a_record_is_one_json_line_with_its_place_its_reason_and_its_own_text(tmp_path: Path) -> None:
    quarantine = Quarantine(LocalStore(tmp_path), "run")
    quarantine.append("s", [quarantined(7, [WHY, Problem("b", "is even")], b'{"a": "\xc3\xbc\n"}')])
    quarantine.append("s", [quarantined(9, [WHY], b'{"a": "\xff"}')])
    quarantine.sync()
    path = tmp_path / ".quarantine" / "run" / "s.jsonl"
    assert quarantine.path("s") == str(path.relative_to(tmp_path))
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {
            "line": 7,
            "field": "a",
            "reason": "is odd",
            "message": '{"a": "ü\n"}',
            "more": [{"field": "b", "reason": "is even"}],
        },
        {
            "line": 9,
            "field": "a",
            "reason": "is odd",
            "message": '{"a": "\\xff"}',
            "message_base64": base64.b64encode(b'{"a": "\xff"}').decode(),
        },
    ]


def test_its_owner_alone_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        quarantine = Quarantine(LocalStore(tmp_path), "run")
        quarantine.append("s", [quarantined(1, [WHY], b"{}")])
    finally:
        os.umask(before)
    folder = tmp_path / ".quarantine" / "run"
    assert [oct(path.stat().st_mode & 0o777) for path in (folder, folder / "s.jsonl")] == ["0o700", "0o600"]


def test_without_a_record_there_is_no_folder(tmp_path: Path) -> None:
    Quarantine(LocalStore(tmp_path), "run").sync()
    assert list(tmp_path.iterdir()) == []


def test_it_is_durable_when_it_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("lake_parquet.quarantine.sync_file", synced.append)
    quarantine = Quarantine(LocalStore(tmp_path), "run")
    quarantine.append("s", [quarantined(1, [WHY], b"{}")])
    quarantine.append("t", [quarantined(1, [WHY], b"{}")])
    quarantine.sync()
    quarantine.sync()
    assert sorted(synced) == [tmp_path / quarantine.path(name) for name in ("s", "t")]


def test_a_disk_that_fails_is_told(tmp_path: Path) -> None:
    (tmp_path / ".quarantine").touch()
    with pytest.raises(LakeError, match=r"\.quarantine cannot be written \(Not a directory\)"):
        Quarantine(LocalStore(tmp_path), "run").append("s", [quarantined(1, [WHY], b"{}")])


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    quarantine = Quarantine(LocalStore(tmp_path), "run")
    path = tmp_path / quarantine.path("s")
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LakeError, match="a lake holds none"):
        quarantine.append("s", [quarantined(1, [WHY], b"{}")])
    assert not (tmp_path / "elsewhere").exists()


class Bucket(LocalStore):
    """A store whose workplace is not the lake: an object store's likeness."""

    keeps_workplace = False

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.workplace = root / "work"


def test_in_an_object_store_it_is_written_when_it_is_synced_and_no_copy_stays(tmp_path: Path) -> None:
    quarantine = Quarantine(Bucket(tmp_path), "run")
    path = quarantine.path("s")
    for number in (1, 2):
        quarantine.append("s", [quarantined(number, [WHY], b"{}")])
        quarantine.sync()
    assert len((tmp_path / path).read_text().splitlines()) == 2
    quarantine.close()
    assert not (tmp_path / "work" / path).exists()
