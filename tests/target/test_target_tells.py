"""What a run tells: its record, log lines, structured logs, and a table on a terminal."""

import fcntl
import hashlib
import json
import os
import pty
import re
import subprocess
import sys

from lake_parquet.readable import readable_bytes
from lake_parquet.runs import DatasetSummary, RunRecord
from tests.target.command import ENV, Place
from tests.target.messages import (
    bookmark,
    record,
)
from tests.target.orders import CHANGES, ORDERS, change


def test_the_run_record_has_the_fields_that_the_design_names(place: Place) -> None:
    place.good(
        CHANGES, change(1, "a"), bookmark("orders", 1), tap="tap-shop", tenant_id="acme", source="shop"
    )
    run = place.record()
    (one,) = run.pop("datasets")
    assert run == {
        "run_id": run["run_id"],
        "started_at": run["started_at"],
        "finished_at": run["finished_at"],
        "status": "ok",
        "tap": "tap-shop",
        "tenant_id": "acme",
        "source": "shop",
        "error": None,
    }
    moment = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
    assert moment.fullmatch(run["started_at"])
    assert moment.fullmatch(run["finished_at"])
    path = place.lake.latest_snapshot("acme_shop_orders").path
    assert one == {
        "dataset": "acme_shop_orders",
        "stream": "orders",
        "status": "published",
        "path": path,
        "row_count": 1,
        "rows_read": 1,
        "rows_added": 1,
        "rows_updated": 0,
        "rows_deleted": 0,
        "rows_quarantined": 0,
        "proof": "proven",
        "bytes": (place.root / path).stat().st_size,
        "sha256": hashlib.sha256((place.root / path).read_bytes()).hexdigest(),
        "source": "shop",
        "base": None,
        "notes": [],
    }
    assert set(RunRecord.__struct_fields__) == {*run, "datasets"}
    assert set(DatasetSummary.__struct_fields__) == set(one)


def test_the_log_line_names_the_facts(place: Place) -> None:
    ended = place.good(CHANGES, change(1, "a"), bookmark("orders", 1), source="shop")
    (line,) = [line for line in ended.err.splitlines() if "Published" in line]
    one = place.summary("shop_orders")
    size = f"{one['bytes'] / 1000:.1f} kB" if one["bytes"] >= 1000 else f"{one['bytes']} B"
    said = "Published shop_orders: 1 rows (+1 added, 0 updated, 0 deleted), 1 read, "
    said += f"{size}, source shop, path {one['path']}."
    assert line.endswith(said)


def test_structured_logging_carries_the_facts_as_extra(place: Place) -> None:
    (place.folder / "log.yaml").write_text(
        "version: 1\n"
        "disable_existing_loggers: false\n"
        "formatters: {json: {(): singer_sdk.logging.StructuredFormatter}}\n"
        "handlers: {err: {class: logging.StreamHandler, formatter: json, stream: ext://sys.stderr}}\n"
        "root: {level: INFO, handlers: [err]}\n"
    )
    env = {"SINGER_SDK_LOG_CONFIG": str(place.folder / "log.yaml")}
    ended = place.run(CHANGES, change(1, "a"), bookmark("orders", 1), env=env, source="shop")
    assert ended.code == 0, ended.err
    logged = [json.loads(line) for line in ended.err.splitlines() if line.startswith("{")]
    (published,) = [one for one in logged if one["message"].startswith("Published")]
    summary = place.summary("shop_orders")
    summary["lake_path"] = summary.pop("path")
    assert published["extra"] == summary


def test_a_terminal_gets_a_table_and_a_pipe_does_not(place: Place) -> None:
    lines = [CHANGES, change(1, "a"), bookmark("orders", 1)]
    assert "deleted  " not in place.good(*lines).err
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, 0x5414, b"\x32\x00\xc8\x00\x00\x00\x00\x00")  # TIOCSWINSZ: 50 rows, 200 columns
    read, write = os.pipe()
    os.write(write, "".join(line + "\n" for line in lines).encode())
    os.close(write)
    argv = ["target-lake-parquet", "--config", place.configured()]
    with (place.folder / "out").open("wb") as out:
        descriptors = [read, out.fileno(), follower]
        forked = place.zygote.start(argv, descriptors, place.folder, {**ENV, "TERM": "xterm"})
    os.close(follower)
    os.close(read)
    shown = b""
    try:
        while chunk := os.read(leader, 65536):
            shown += chunk
    except OSError:  # the other end is closed: so a terminal says end of file
        pass
    os.close(leader)
    assert forked.wait() == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode())
    assert re.search(r"dataset\s+status\s+source\s+rows\s+added\s+updated\s+deleted\s+size\s+snapshot", text)
    assert re.search(r"orders\s+unchanged\s+-\s+1\s+0\s+0\s+0", text)


def test_nothing_in_nothing_out(place: Place) -> None:
    ended = place.run()
    assert (ended.code, ended.out) == (0, "")
    assert place.datasets() == []
    assert place.record()["datasets"] == []
    assert "No message arrived" in ended.err


def test_version_and_help_write_nothing(place: Place) -> None:
    for option in ("--version", "--help", "--about"):
        ended = place.command("target-lake-parquet", option)
        assert ended.code == 0
    assert [one.name for one in place.folder.iterdir() if one.is_dir()] == []


def test_python_m_is_the_command() -> None:
    argv = [sys.executable, "-m", "target_lake_parquet", "--version"]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, env=ENV)
    assert ended.returncode == 0
    assert ended.stdout.startswith("target-lake-parquet")


def test_a_failed_stream_names_the_snapshot_that_stays_the_latest(place: Place) -> None:
    place.good(ORDERS, record("orders", id=1, name="a"))
    latest = place.summary("orders")
    ended = place.run(ORDERS, record("orders", id="x"))
    failed = place.summary("orders")
    assert (ended.code, failed["status"], failed["row_count"]) == (1, "failed", 1)
    assert (failed["path"], failed["bytes"]) == (latest["path"], latest["bytes"])


def test_a_run_that_is_broken_off_lists_its_streams_and_tells_the_error_once(place: Place) -> None:
    ended = place.run(ORDERS, record("orders", id=1), "no message")
    run = place.record()
    assert (ended.code, run["status"]) == (1, "failed")
    assert "line 3 is no Singer message" in run["error"]
    assert [(one["dataset"], one["status"]) for one in run["datasets"]] == [("orders", "failed")]
    assert ended.err.count("no Singer message") == 1


def test_a_run_tells_the_lakes_size_and_what_prune_would_free(place: Place) -> None:
    lines = (ORDERS, change(1, "a"))
    ended = place.good(*lines)
    size = readable_bytes(place.summary("orders")["bytes"])
    assert f"The lake holds {size} in 1 snapshot.\n" in ended.err
    for day in range(1, 9):
        copy = place.root / "raw/orders" / f"2026010{day}T000000000000Z.parquet"
        copy.write_bytes(b"x" * 1000)
    ended = place.good(*lines)
    assert "in 9 snapshots; `lake prune` would free up to 2.0 kB.\n" in ended.err
