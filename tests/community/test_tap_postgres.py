"""A community tap from PyPI, untouched, reads a real PostgreSQL into the lake: each value as in the table."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Interface, IPv6Address
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import set_json_loads

from tests.community import oracle, postgres
from tests.community.oracle import JsonText, Kinds, Number, Row
from tests.community.singer import COMMAND, TENANT, Run, dataset_of, environment, finished, write_config

DISTRIBUTION = "meltanolabs-tap-postgres==0.10.0"
INCREMENTAL = {"shop-changes": "updated_at"}

EVERYTHING: Kinds = {
    "id": "int64",
    "sm": "int64",
    "i": "int64",
    "bi": "int64",
    "n2": "float64",
    "n38": "decimal:10",
    "n": "string",  # 50 digits before the point, 25 after it: no decimal holds both
    "r": "float64",
    "d": "float64",
    "t": "string",
    "vc": "string",
    "c": "string",
    "b": "bool",
    "dt": "date",
    "ts": "timestamp",
    "tstz": "timestamp",
    "tm": "string",
    "tmtz": "string",
    "iv": "string",
    "u": "string",
    "j": "json",
    "jb": "json",
    "ia": "json",
    "ta": "json",
    "by": "string",
    "md": "string",
    "ip": "string",
    "a.b": "string",
    "select": "string",
    "ümläut": "string",
    "MixedCase": "int64",
}
KINDS: dict[str, Kinds] = {
    "shop-everything": EVERYTHING,
    "shop-changes": {"id": "int64", "name": "string", "updated_at": "timestamp"},
    "shop-keyless": {"a": "int64", "b": "string"},
    "shop-nothing": {"id": "int64", "note": "string", "at": "timestamp"},
    "shop-happy_view": {"id": "int64", "sm": "int64"},
    "shop-Weird Name": {"id": "int64", "v": "string"},
}

TABLES = r"""
create schema shop;
create type shop.mood as enum ('sad', 'ok', 'happy');
create table shop.everything (
  id bigint primary key, sm smallint, i int, bi bigint, n2 numeric(10, 2), n38 numeric(38, 10), n numeric,
  r real, d double precision, t text, vc varchar(20), c char(5), b boolean,
  dt date, ts timestamp, tstz timestamptz, tm time, tmtz timetz, iv interval,
  u uuid, j json, jb jsonb, ia int[], ta text[], by bytea, md shop.mood, ip inet,
  "a.b" text, "select" text, "ümläut" text, "MixedCase" int);
insert into shop.everything (id) values (1);
insert into shop.everything values (
  2, 32767, 2147483647, 9223372036854775807, 99999999.99, 9999999999999999999999999999.9999999999,
  0.1234567890123456789012345, 3.4028235e38, 1.7976931348623157e308,
  E'Füß \U0001F680\n"q" \\ \u2028', 'véry', 'ab', true,
  '9999-12-31', '9999-12-31 23:59:59.999999', '9999-12-31 23:59:59.999999+00',
  '23:59:59.999999', '23:59:59.999999-12:00', '1 year 2 mons 3 days 04:05:06.789',
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a": 1.50, "b": [1, null], "ü": "é"}', '{"k": 1.50, "n": null}',
  '{1,NULL,-2147483648}', '{"a","b,\"c",NULL,"NULL"}', '\xdeadbeef', 'happy', '10.0.0.1/8',
  'dot', 'reserved', 'ü', 7);
insert into shop.everything values (
  3, -32768, -2147483648, -9223372036854775808, -99999999.99, -9999999999999999999999999999.9999999999,
  'NaN', 1e-37, 5e-324, '', '', '', false,
  '0001-01-01', '0001-01-01 00:00:00', '0001-01-01 00:00:00+00',
  '00:00:00', '00:00:00+14:00', '-1 days',
  '00000000-0000-0000-0000-000000000000', '"text"', '[1, "x", {"y": null}]',
  '{}', '{}', '', 'sad', '::1', '', '', '', -7);
insert into shop.everything (id, n2, n38, n, r, d, dt, ts, tstz, tm, tmtz, iv, j, jb) values (
  4, 0, 1234567890123456789012345678.0123456789, 12345678901234567890123456789012345678901234567890, 'NaN',
  '-Infinity', '2024-02-29', '2024-02-29 12:00', '2024-03-31 02:30:00+02', '12:00', '12:00+00', '0',
  '17', 'false');
create table shop.changes (id int primary key, name text, updated_at timestamptz not null);
insert into shop.changes
  select n, 'row ' || n, timestamptz '2024-01-01 00:00+00' + n * interval '1 hour'
  from generate_series(1, 10) n;
create table shop.keyless (a int, b text);
insert into shop.keyless values (1, 'a'), (1, 'a'), (2, null);
create table shop.nothing (id int primary key, note text, at timestamptz);
create view shop.happy_view as select id, sm from shop.everything where id < 4;
create table shop."Weird Name" (id int primary key, v text);
insert into shop."Weird Name" values (1, 'x');
"""
CHANGES = """
insert into shop.changes values (11, 'row 11', '2024-01-02 00:00+00');
update shop.changes set name = 'changed', updated_at = '2024-01-02 01:00+00' where id = 1;
insert into shop.keyless values (3, 'c');
"""


@pytest.fixture(scope="session")
def tap(request: pytest.FixtureRequest) -> str:
    """The tap's command, in a virtual environment of its own that later runs find again."""
    assert request.config.cache
    folder = request.config.cache.mkdir("community-taps")
    environment_folder = folder / DISTRIBUTION.replace("==", "-")
    command = environment_folder / "bin" / "tap-postgres"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = environment_folder / "installed"
        if not done.exists():
            uv = str(Path(sys.executable).with_name("uv"))
            steps = [
                [uv, "venv", "--clear", "--python", sys.executable, str(environment_folder)],
                [uv, "pip", "install", "--python", str(environment_folder), DISTRIBUTION],
            ]
            for step in steps:
                result = subprocess.run(step, capture_output=True, text=True, check=False, timeout=180)
                if result.returncode:
                    message = f"{DISTRIBUTION} could not be installed: {result.stderr.strip()[-300:]}"
                    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(message)
            done.touch()
    return str(command)


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    folder = postgres.binaries()
    if folder is None:
        pytest.skip("no PostgreSQL server on this machine (Debian: apt install postgresql)")
    with postgres.running(folder) as running:
        yield running


@dataclass
class Shop:
    """The database, the tap that reads it, the lake that holds it."""

    server: postgres.Server
    tap: str
    folder: Path

    def prepare(self) -> None:
        """Fills the database and selects every table: the tap selects none by itself."""
        with self.server.connect() as connection:
            connection.execute(TABLES)
        config = {"host": self.server.host, "port": self.server.port, "user": self.server.user}
        config |= {"password": "unused", "database": self.server.database}
        self._write("tap.json", config | {"filter_schemas": ["shop"]})
        discovered = subprocess.run(
            [self.tap, "--config", self._path("tap.json"), "--discover"], capture_output=True, check=True
        )
        catalog = json.loads(discovered.stdout)
        for stream in catalog["streams"]:
            key = INCREMENTAL.get(stream["tap_stream_id"])
            top = next(entry["metadata"] for entry in stream["metadata"] if entry["breadcrumb"] == [])
            top["selected"] = True
            top["replication-method"] = "INCREMENTAL" if key else "FULL_TABLE"
            if key:
                top["replication-key"] = key
        self._write("catalog.json", catalog)

    def sync(self, state: Any = None) -> Run:
        """`tap-postgres ... | target-lake-parquet ... > state.json`."""
        reading = [self.tap, "--config", self._path("tap.json"), "--catalog", self._path("catalog.json")]
        if state is not None:
            self._write("state.json", state)
            reading += ["--state", self._path("state.json")]
        writing = [COMMAND, "--config", str(write_config(self.folder))]
        with (
            (self.folder / "tap.log").open("wb") as log,
            subprocess.Popen(reading, stdout=subprocess.PIPE, stderr=log) as source,
        ):
            loaded = subprocess.run(
                writing, stdin=source.stdout, capture_output=True, check=False, timeout=120, env=environment()
            )
        assert source.returncode == 0, (self.folder / "tap.log").read_text()
        return finished(loaded.returncode, loaded.stdout, loaded.stderr, self.folder / "lake")

    def rows(self, stream: str) -> list[Row]:
        """The rows of a table as PostgreSQL has them, in the form the lake should hold."""
        kinds = KINDS[stream]
        table = psycopg.sql.Identifier(*stream.split("-", 1))
        with self.server.connect() as connection:
            set_json_loads(lambda text: json.loads(text, parse_float=Decimal), connection)
            cursor = connection.execute(psycopg.sql.SQL("select * from {}").format(table))
            return [
                {name: as_sent(value, kinds[name]) for name, value in zip(kinds, row, strict=True)}
                | {"_tenant": TENANT}
                for row in cursor
            ]

    def _write(self, name: str, content: Any) -> None:
        (self.folder / name).write_text(json.dumps(content))

    def _path(self, name: str) -> str:
        return str(self.folder / name)


def as_sent(value: Any, kind: str) -> Any:  # noqa: PLR0911  # one line a type, as the tap documents it
    """A value of PostgreSQL, as the tap sends it and the lake must hold it."""
    if kind == "json":
        return None if value is None else JsonText(value)
    match value:
        case float() | Decimal() if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124
            return None  # JSON has neither NaN nor Infinity: the tap sends null
        case Decimal():
            return Number(value)
        case datetime():
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        case date():
            return value
        case time():
            return value.isoformat()
        case timedelta():  # the tap counts an interval from 1970, years as 365 days and months as 30
            return (datetime(1970, 1, 1, tzinfo=UTC) + value).isoformat()
        case UUID() | IPv4Interface() | IPv6Address():
            return str(value)
        case bytes():
            return value.hex()
    return value


@pytest.fixture(scope="module")
def shop(server: postgres.Server, tap: str, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shop = Shop(server, tap, tmp_path_factory.mktemp("shop"))
    shop.prepare()
    return shop


def test_every_value_of_every_table_arrives_and_a_second_run_brings_the_changes(shop: Shop) -> None:
    first = shop.sync()

    assert first.exit_code == 0, first.log
    bookmark = {"replication_key": "updated_at", "replication_key_value": "2024-01-01T10:00:00.000000+00:00"}
    full_table: dict[str, Any] = {stream: {} for stream in KINDS}
    assert first.states[-1:] == [{"bookmarks": full_table | {"shop-changes": bookmark}}]
    assert_lake_equals_database(shop)
    assert statuses(first) == {dataset_of(stream): "published" for stream in KINDS}

    with shop.server.connect() as connection:
        connection.execute(CHANGES)
    second = shop.sync(first.states[-1])

    assert second.exit_code == 0, second.log
    bookmark |= {"replication_key_value": "2024-01-02T01:00:00.000000+00:00"}
    assert second.states[-1:] == [{"bookmarks": full_table | {"shop-changes": bookmark}}]
    assert_lake_equals_database(shop)
    published = {dataset_of("shop-changes"): "published", dataset_of("shop-keyless"): "published"}
    assert statuses(second) == {dataset_of(stream): "unchanged" for stream in KINDS} | published
    changes = second.summary()["datasets"][dataset_of("shop-changes")]
    counts = {name: changes[name] for name in ("rows_read", "rows_added", "rows_updated", "row_count")}
    # the row at the bookmark is read again, and is no update
    assert counts == {"rows_read": 3, "rows_added": 1, "rows_updated": 1, "row_count": 11}


def statuses(run: Run) -> dict[str, str]:
    return {name: entry["status"] for name, entry in run.summary()["datasets"].items()}


def assert_lake_equals_database(shop: Shop) -> None:
    lake = shop.folder / "lake"
    for stream, kinds in KINDS.items():
        expected = oracle.in_order(shop.rows(stream))
        types = oracle.stored({**kinds, "_tenant": "string"})
        for reader, read in oracle.READERS.items():
            found_types, found = read(oracle.latest(lake, dataset_of(stream)))
            said = f"{reader}, {stream}"
            assert (said, oracle.comparable(found_types, types)) == (said, types)
            assert (said, oracle.in_order(found)) == (said, expected)
