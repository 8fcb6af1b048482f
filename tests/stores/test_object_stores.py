"""What is special to object stores: the probe, the refusals, what a message says, and the real command."""

import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import obstore
import polars as pl
import pytest
from obstore.exceptions import GenericError

from lake_parquet import Lake, object_store, paths
from lake_parquet.deadruns import sweep
from lake_parquet.errors import LakeError
from lake_parquet.object_store import ObjectStore
from lake_parquet.quarantine import Problem, Quarantine, quarantined
from lake_parquet.ranges import TAIL_BYTES, RangeReader
from lake_parquet.staging import Staging
from tests.lake.writer import frame
from tests.stores import servers
from tests.stores.conftest import Running, use
from tests.stores.google import google
from tests.stores.proxy import Proxy
from tests.target.command import Place
from tests.target.messages import KEY, STRING, record, schema

SECRETS = (servers.SECRET, servers.KEY, servers.AZURE_KEY, "BEGIN PRIVATE KEY")
CLOUDS = ("google", "azurite")
ORDERS = schema("orders", {"id": KEY, "name": STRING}, bookmarks=["name"])


@pytest.mark.parametrize("name", ["moto", pytest.param("seaweed", marks=pytest.mark.slow)])
def test_a_store_that_refuses_to_replace_passes_the_probe(
    running: Running, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    use(monkeypatch, running[name])
    url = running[name].url()
    for _ in range(2):
        ObjectStore(url).prepare()


@pytest.mark.slow
def test_a_store_that_replaces_is_refused(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, running["rclone"])
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
    use(monkeypatch, running["moto"])
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


def test_a_message_holds_no_byte_of_a_key() -> None:
    error = RuntimeError("Error reading pem file: illegal section start: [45, 45, 98]")
    assert object_store._reason(error) == "Error reading pem file: illegal section start:"


AZURE = {"AZURE_STORAGE_ACCOUNT_NAME": "a"}
WRONG = {
    "no file": ("gs", {"GOOGLE_APPLICATION_CREDENTIALS": "{folder}/none"}, "Unable to open service account"),
    "no JSON": ("gs", {"GOOGLE_APPLICATION_CREDENTIALS": "{folder}/canary"}, "expected value at line 1"),
    "no key": ("gs", {"GOOGLE_APPLICATION_CREDENTIALS": "{folder}/account"}, "Error reading pem file"),
    "no account": ("az", {}, "Account must be specified"),
    "no base64": ("az", AZURE | {"AZURE_STORAGE_ACCOUNT_KEY": "canary!"}, "Invalid Access Key"),
    "no signature": ("az", AZURE | {"AZURE_STORAGE_SAS_TOKEN": "canary"}, "in SAS query"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_credentials_that_are_none_are_told_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    scheme, env, told = WRONG[what]
    (tmp_path / "canary").write_text("canary")
    account = {"type": "service_account", "client_email": "canary", "private_key_id": "canary"}
    (tmp_path / "account").write_text(json.dumps(account | {"private_key": "-----BEGIN canary"}))
    for name, value in env.items():
        monkeypatch.setenv(name, value.format(folder=tmp_path))
    with pytest.raises(LakeError, match=told) as raised:
        ObjectStore(f"{scheme}://bucket/lake")
    text = str(raised.value)
    assert text.endswith(f"the environment must say how, as by {object_store.CREDENTIALS[scheme]}")
    assert "canary" not in text.replace("/canary", "")
    assert "45, 45" not in text


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_a_machine_without_credentials_is_told_at_once(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "a")
    asked = []

    def no_role(*_: object, **__: object) -> None:
        asked.append(1)
        raise GenericError("Error performing token request: Error performing GET http://169.254.169.254/x")

    monkeypatch.setattr(obstore, "list", no_role)
    with pytest.raises(LakeError, match=f"no credentials.*: set {object_store.CREDENTIALS[scheme]}$"):
        ObjectStore(f"{scheme}://bucket/lake").exists()
    assert asked == [1]


@pytest.mark.slow
@pytest.mark.parametrize("name", CLOUDS)
def test_the_clouds_refuse_what_a_store_must_refuse(
    running: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """Replacing a file; a bucket that is not there; another's key."""
    server = running[name]
    use(monkeypatch, server)
    for _ in range(2):
        ObjectStore(server.url()).prepare()
    with pytest.raises(LakeError, match="there is no such bucket"):
        ObjectStore(f"{server.scheme}://none-of-this-name/lake").prepare()
    with google("http://127.0.0.1:1") as other:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(other.write_credentials(tmp_path / "other")))
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "b3RoZXI=")
    with pytest.raises(LakeError, match="give the environment credentials that may") as raised:
        ObjectStore(server.url()).prepare()
    assert "b3RoZXI" not in str(raised.value)


@pytest.mark.slow
def test_googles_interface_without_conditions_is_refused(
    running: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, running["google"])
    with google(running["moto"].endpoint) as front:
        front.forgets_conditions = True
        monkeypatch.setenv("GOOGLE_BASE_URL", front.endpoint)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(front.write_credentials(tmp_path / "key")))
        with pytest.raises(LakeError, match="set single_writer to true"):
            ObjectStore("gs://lake/forgets").prepare()


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


@pytest.mark.parametrize("name", ["moto", *(pytest.param(one, marks=pytest.mark.slow) for one in CLOUDS)])
def test_the_target_and_the_lake_command_work_on_a_bucket(
    running: Running, place: Place, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    server = running[name]
    env, root = server.env() | {"TMPDIR": str(place.folder)}, server.url()
    outs = []
    for value in ("a", "b"):
        state = json.dumps(
            {"type": "STATE", "value": {"bookmarks": {"orders": {"replication_key_value": value}}}}
        )
        ended = place.run(ORDERS, record("orders", id=1, name=value), state, env=env, lake_root=root)
        assert ended.code == 0, ended.err
        assert not any(secret in ended.err for secret in SECRETS)
        outs.append(ended.out)
    assert ['"a"' in outs[0], '"b"' in outs[1]] == [True, True]
    use(monkeypatch, server)
    lake = Lake(root)
    assert lake.latest("orders").collect().rows() == [(1, "b")]
    assert len(lake.snapshots("orders")) == 2
    runs = lake.store.files("_meta/runs")
    texts = [lake.store.read(f"_meta/runs/{name}").decode() for name in runs]
    assert len(texts) == 2
    assert not [text for text in texts if any(secret in text for secret in SECRETS)]
    listed = place.command("lake", "ls", "--lake", root, "--json", env=env)
    assert [row["dataset"] for row in json.loads(listed.out)] == ["orders"]


def test_what_a_killed_run_left_in_the_workplace_comes_to_the_bucket_and_leaves_the_machine(
    running: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Rows that no STATE rests on, and bad records: both may be of people."""
    use(monkeypatch, running["moto"])
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    store = ObjectStore(running["moto"].url())
    store.prepare()
    run = paths.run_id(datetime.now(UTC), "0000aa")
    staging = Staging(store.workplace, run)
    monkeypatch.setattr("lake_parquet.staging.SMALL_BLOCK", -1)  # as large blocks do, it goes to disk
    staging.append("orders", frame([{"id": 1}], {"id": pl.Int64}))
    Quarantine(store, run).append("orders", [quarantined(7, [Problem("id", "is odd")], b'{"id": "x"}')])
    assert staging._lock is not None
    os.close(staging._lock)  # as the kernel does when it kills

    (said,) = sweep(store)

    assert said == f"The dead run {run} left rows of orders: they are kept in .incomplete/{run}."
    aside = f".incomplete/{run}/orders"
    assert pl.read_parquet(store.read(f"{aside}/000000.parquet")).to_dicts() == [{"id": 1}]
    bad = json.loads(store.read(f".quarantine/{run}/orders.jsonl"))
    assert (bad["line"], bad["message"]) == (7, '{"id": "x"}')
    assert [path for path in store.workplace.rglob("*") if path.is_file() and path.name != "lock"] == []


def test_a_bucket_that_is_not_there_is_told(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, running["moto"])
    with pytest.raises(LakeError, match="there is no such bucket"):
        ObjectStore("s3://none-of-this-name/lake").prepare()
