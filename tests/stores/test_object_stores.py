"""What is special to object stores: the probe, the refusals, what a message says, and the real command."""

import json
import os
import tempfile
from pathlib import Path

import pytest

from lake_parquet import Lake, object_store
from lake_parquet.errors import LakeError
from lake_parquet.object_store import ObjectStore
from lake_parquet.ranges import TAIL_BYTES, RangeReader
from tests.stores import servers
from tests.stores.conftest import Running, use
from tests.stores.proxy import Proxy
from tests.target.command import Place
from tests.target.messages import KEY, STRING, record, schema

ORDERS = schema("orders", {"id": KEY, "name": STRING}, bookmarks=["name"])


@pytest.mark.parametrize("name", ["moto", pytest.param("seaweed", marks=pytest.mark.slow)])
def test_a_store_that_refuses_to_replace_passes_the_probe(
    running: Running, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    use(monkeypatch, running[name].endpoint)
    url = running[name].url()
    for _ in range(2):
        ObjectStore(url).prepare()


@pytest.mark.slow
def test_a_store_that_replaces_is_refused(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, running["rclone"].endpoint)
    for _ in range(2):
        with pytest.raises(LakeError, match="ignores If-None-Match"):
            ObjectStore(running["rclone"].url()).prepare()


def test_a_store_that_forgets_conditions_is_refused(spoilt: Proxy, running: Running) -> None:
    spoilt.faults.forgets_conditions = True
    with pytest.raises(LakeError, match="set single_writer to true"):
        ObjectStore(running["moto"].url()).prepare()


def test_a_file_past_the_ceiling_is_refused(
    running: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, running["moto"].endpoint)
    store = ObjectStore(running["moto"].url())
    file = tmp_path / "big"
    with file.open("wb") as handle:
        os.truncate(handle.fileno(), 5 * 2**30 + 1)
    with pytest.raises(LakeError, match=r"5\.0 GiB are more than the 5 GiB"):
        store.take_in(file, "_meta/pending/a/1")
    assert store.files("_meta/pending/a") == []


def test_wrong_credentials_are_told_at_once_and_not_repeated(spoilt: Proxy, running: Running) -> None:
    store = ObjectStore(running["moto"].url())
    spoilt.faults.operation, spoilt.faults.fault, spoilt.faults.always = "put new", "403", True
    with pytest.raises(LakeError, match="give the environment credentials that may") as raised:
        store.create("_meta/claims/a/1.json", b"x")
    assert spoilt.faults.spoilt == 1
    assert servers.SECRET not in str(raised.value)


def test_a_message_holds_no_query_and_no_user() -> None:
    error = RuntimeError("Error performing GET https://me:canary@host/x?sig=canary in 1s\nDebug canary")
    assert object_store._reason(error) == "Error performing GET https://host/x in 1s"


def test_another_users_folder_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"lake-parquet-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LakeError, match="not this user's alone"):
        ObjectStore("s3://bucket")


def test_ranges_read_as_a_file_does() -> None:
    whole = os.urandom(TAIL_BYTES + 1000)
    asked: list[tuple[int, int]] = []

    def get(start: int, end: int) -> bytes:
        asked.append((start, end))
        return whole[start:end]

    with RangeReader(get, len(whole)) as reader:
        for offset, whence, size in [
            (-8, 2, 8),
            (-100, 2, 50),
            (0, 1, 50),
            (500, 0, 700),
            (10, 0, -1),
            (0, 2, 1),
        ]:
            reader.seek(offset, whence)
            start = reader.tell()
            assert reader.read(size) == whole[start : start + size if size >= 0 else None]
    assert asked == [(1000, len(whole)), (500, 1200), (10, len(whole))]


def test_the_target_and_the_lake_command_work_on_a_bucket(
    running: Running, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = running["moto"]
    env, root = server.env() | {"TMPDIR": str(place.folder)}, server.url()
    outs = []
    for name in ("a", "b"):
        state = json.dumps(
            {"type": "STATE", "value": {"bookmarks": {"orders": {"replication_key_value": name}}}}
        )
        ended = place.run(ORDERS, record("orders", id=1, name=name), state, env=env, lake_root=root)
        assert ended.code == 0, ended.err
        assert servers.SECRET not in ended.err
        outs.append(ended.out)
    assert ['"a"' in outs[0], '"b"' in outs[1]] == [True, True]
    use(monkeypatch, server.endpoint)
    lake = Lake(root)
    assert lake.latest("orders").collect().rows() == [(1, "b")]
    assert len(lake.snapshots("orders")) == 2
    runs = lake.store.files("_meta/runs")
    texts = [lake.store.read(f"_meta/runs/{name}").decode() for name in runs]
    assert len(texts) == 2
    assert not [text for text in texts if servers.SECRET in text or servers.KEY in text]
    listed = place.command("lake", "ls", "--lake", root, "--json", env=env)
    assert [row["dataset"] for row in json.loads(listed.out)] == ["orders"]


def test_a_bucket_that_is_not_there_is_told(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, running["moto"].endpoint)
    with pytest.raises(LakeError, match="there is no such bucket"):
        ObjectStore("s3://none-of-this-name/lake").prepare()
