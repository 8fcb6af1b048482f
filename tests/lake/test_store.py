"""What a lake needs of the place it stands in: names given once, whole files, nothing outside."""

import os
from pathlib import Path

import pytest

from lake_parquet.errors import LakeError, UsageError
from lake_parquet.local_store import LocalStore
from lake_parquet.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "lake")


def take_in(store: Store, folder: Path, text: str, path: str) -> str:
    """A finished file with `text`, taken in at `path`."""
    file = folder / "finished"
    file.write_text(text)
    assert store.take_in(file, path) == len(text)
    assert not file.exists()
    return path


def test_a_final_name_is_given_once_and_never_again(store: LocalStore, tmp_path: Path) -> None:
    first = take_in(store, tmp_path, "first", "_meta/pending/a/1")
    second = take_in(store, tmp_path, "second", "_meta/pending/a/2")
    assert store.publish(first, "raw/a/final")
    assert not store.publish(first, "raw/a/final")
    assert not store.publish(second, "raw/a/final")
    assert (store.read("raw/a/final"), store.size("raw/a/final")) == (b"first", 5)
    assert (store.files("raw/a"), store.folders("raw")) == (["final"], ["a"])


def test_what_is_gone_cannot_be_published(store: LocalStore, tmp_path: Path) -> None:
    path = take_in(store, tmp_path, "x", "_meta/pending/a/1")
    store.delete(path)
    store.delete(path)
    with pytest.raises(FileNotFoundError):
        store.publish(path, "raw/a/final")
    assert store.files("raw/a") == []


def test_of_two_small_files_the_first_stays(store: LocalStore) -> None:
    assert store.create("_meta/claims/a/1.json", b"first")
    assert not store.create("_meta/claims/a/1.json", b"second")
    assert store.read("_meta/claims/a/1.json") == b"first"
    assert store.files("_meta/pending/a") == []


def test_a_record_may_be_written_again(store: LocalStore) -> None:
    store.write("_meta/runs/1.json", b"first")
    store.write("_meta/runs/1.json", b"second")
    assert store.read("_meta/runs/1.json") == b"second"


def test_nothing_is_there_before_anything_is_written(store: LocalStore) -> None:
    assert (store.exists(), store.files("raw/a"), store.folders("raw"), store.size("raw/a/b")) == (
        False,
        [],
        [],
        None,
    )
    with pytest.raises(FileNotFoundError):
        store.read("raw/a/b")


OUTSIDE = [
    "",
    "/",
    "/etc/passwd",
    "..",
    "raw/../../etc/passwd",
    "raw//a",
    "raw/./a",
    "raw\\a",
    "raw/a\0",
    "raw/",
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_path_out_of_the_lake_is_refused(store: LocalStore, path: str) -> None:
    for use in (store.read, store.files, store.folders, store.size, store.delete, store.address):
        with pytest.raises(LakeError, match="no path inside the lake"):
            use(path)


@pytest.mark.parametrize("link", ["raw", "raw/a", "raw/a/20260101T000000000000Z.parquet"])
def test_a_symbolic_link_is_not_followed(store: LocalStore, tmp_path: Path, link: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    place = store.root / link
    place.parent.mkdir(parents=True)
    place.symlink_to(outside)
    path = take_in(store, tmp_path, "x", "_meta/pending/a/1")
    with pytest.raises(LakeError, match=r"symbolic link|plain file"):
        store.files("raw/a")
    with pytest.raises(LakeError, match="symbolic link"):
        store.publish(path, "raw/a/20260101T000000000000Z.parquet")
    assert list(outside.iterdir()) == []


def test_a_pipe_in_a_files_place_makes_nobody_wait(store: LocalStore) -> None:
    (store.root / "raw" / "a").mkdir(parents=True)
    os.mkfifo(store.root / "raw" / "a" / "pipe")
    for use in (store.open, store.read):
        with pytest.raises(LakeError, match="no plain file"):
            use("raw/a/pipe")
    with pytest.raises(LakeError, match="no plain file"):
        store.files("raw/a")


def test_a_file_system_without_hard_links_is_told(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = take_in(store, tmp_path, "x", "_meta/pending/a/1")

    def link(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(LakeError, match="no hard links"):
        store.publish(path, "raw/a/final")


@pytest.mark.parametrize(
    ("root", "why"),
    [
        ("http://b/p", "no kind of store"),
        ("s3://key:canary@b/p", "plain s3://"),
        ("s3://b/p?token=canary", "plain s3://"),
        ("s3://", "plain s3://"),
    ],
)
def test_a_url_names_a_bucket_and_holds_no_secrets(root: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as raised:
        open_store(root)
    assert "canary" not in str(raised.value)


def test_a_folder_is_named_by_path_home_or_url() -> None:
    assert open_store("a/b").url == "a/b"
    assert open_store("file:///a/b").url == "/a/b"
    assert open_store("~/lake").url == str(Path.home() / "lake")
