"""The command as people run it: real processes, one line for an error, the right exit code, no secret."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tap_shopify.streams import STREAMS
from tests.emulators.shopify import Fault, ShopifyServer, TokenBucket
from tests.taps.conftest import TOKEN
from tests.taps.singer import TAP, Output, Run, run, selected


@pytest.fixture
def shop() -> Iterator[ShopifyServer]:
    """A small shop, with one order more than fits a page."""
    bucket = TokenBucket(capacity=100_000, restore_rate=5_000)
    with ShopifyServer(token=TOKEN, orders=101, customers=5, products=3, bucket=bucket) as server:
        yield server


def written(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def assert_one_line(done: Run, *words: str, code: int = 1) -> None:
    """A failed run said one thing, to a person, and nothing to the pipe."""
    assert done.code == code, done.stderr
    assert len(done.errors) == 1, done.stderr
    for word in words:
        assert word in done.errors[0]
    assert "Traceback" not in done.stderr
    assert TOKEN not in done.stderr
    assert done.stdout == ""


def test_a_wrong_token(tmp_path: Path, shop: ShopifyServer) -> None:
    secret = "shpat_wrong_but_secret"  # noqa: S105 - opens nothing
    file = written(tmp_path / "shop.json", {"shop_domain": shop.domain, "access_token": secret})

    done = run("--config", file)

    assert_one_line(done, "refused the access token", "access_token", shop.domain)
    assert secret not in done.stderr


def test_a_shop_that_is_not_there(tmp_path: Path, shop: ShopifyServer, config: dict[str, Any]) -> None:
    shop.faults.add(Fault.status(404), times=None)

    assert_one_line(run("--config", written(tmp_path / "c", config)), "No such shop", "shop_domain")


def test_a_server_that_is_down(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = written(
        tmp_path / "c", {"shop_domain": f"127.0.0.1:{port}", "access_token": TOKEN, "max_tries": 1}
    )

    assert_one_line(run("--config", file), f"127.0.0.1:{port} cannot be reached", "Connection refused")


def test_half_of_the_credentials(tmp_path: Path) -> None:
    file = written(tmp_path / "c", {"shop_domain": "acme"})

    assert_one_line(run("--config", file), "access_token is missing", "SHOPIFY_ACCESS_TOKEN")
    file = written(tmp_path / "c", {"access_token": TOKEN, "shop_domain": ""})
    assert_one_line(run("--config", file), "shop_domain is missing", "SHOPIFY_SHOP_DOMAIN")


def test_no_credentials_where_stub_data_is_never(tmp_path: Path) -> None:
    file = written(tmp_path / "c", {"stub_data": "never"})

    assert_one_line(run("--config", file), "No credentials", "SHOPIFY_SHOP_DOMAIN and SHOPIFY_ACCESS_TOKEN")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"shop_domain": "acme",\n "access_token": "' + TOKEN, ("not valid JSON", "line 2")),
        ("[]", ("one JSON object",)),
        ("", ("not valid JSON", "line 1")),
        ("[" * 100_000, ("not valid JSON",)),
    ],
)
def test_a_config_file_that_is_no_config(tmp_path: Path, content: str, words: tuple[str, ...]) -> None:
    file = written(tmp_path / "shop.json", content)
    words = words if not content.startswith("[[") else ()

    assert_one_line(run("--config", file), "shop.json", *words, code=2)


def test_a_config_file_that_is_missing() -> None:
    assert_one_line(run("--config", "nowhere.json"), "nowhere.json does not exist", code=2)


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("api_version", "2026-13", "api_version"),
        ("start_date", "yesterday", "Give a date"),
        ("shop_domain", "acme.example.com", "myshopify.com domain"),
        ("stub_data", "maybe", "stub_data"),
        ("max_tries", 0, "max_tries"),
        ("access_token", 12345678, "access_token"),
    ],
)
def test_settings_that_are_wrong(tmp_path: Path, setting: str, value: object, words: str) -> None:
    good = {"shop_domain": "acme", "access_token": TOKEN}
    done = run("--config", written(tmp_path / "c", {**good, setting: value}))

    assert_one_line(done, words)
    assert "12345678" not in done.stderr


@pytest.mark.parametrize("content", ["{", "[]", '{"bookmarks": {"orders": 1}}', '{"bookmarks": []}'])
def test_a_state_that_is_no_state(tmp_path: Path, config: dict[str, Any], content: str) -> None:
    done = run("--config", written(tmp_path / "c", config), "--state", written(tmp_path / "s", content))

    assert_one_line(done, "tate", code=2)


def test_a_catalog_that_is_no_catalog(tmp_path: Path, config: dict[str, Any]) -> None:
    done = run("--config", written(tmp_path / "c", config), "--catalog", written(tmp_path / "s", "{}"))

    assert_one_line(done, "no list of streams", "--discover", code=2)


def test_another_shops_state(tmp_path: Path, config: dict[str, Any]) -> None:
    state = written(tmp_path / "s", {"account": "bolt.myshopify.com", "bookmarks": {}})

    done = run("--config", written(tmp_path / "c", config), "--state", state)

    assert_one_line(
        done,
        "This state belongs to bolt.myshopify.com, you asked for acme.myshopify.com",
        "TENANT_ID",
    )


def test_a_log_level_that_is_none() -> None:
    done = run("--about", env={"TAP_SHOPIFY_LOGLEVEL": "WOBBLE"})

    said = "Error: logging cannot be set up (ValueError: Unknown level: 'WOBBLE'): mend TAP_SHOPIFY_LOGLEVEL"
    assert (done.code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(said)


def test_a_traceback_is_there_for_who_asks(
    tmp_path: Path, shop: ShopifyServer, config: dict[str, Any]
) -> None:
    """With the token nowhere in it, although the debug log shows what libraries say."""
    shop.faults.add(Fault.status(403, body=f'{{"errors": "token {TOKEN} \\u001b[31mis bad"}}'), times=None)

    done = run("--config", written(tmp_path / "c", config), env={"TAP_SHOPIFY_LOGLEVEL": "DEBUG"})

    assert done.code == 1
    assert "Traceback" in done.stderr
    assert TOKEN not in done.stderr
    assert "\x1b" not in done.stderr


def test_state_and_records_over_a_pipe(tmp_path: Path, shop: ShopifyServer, config: dict[str, Any]) -> None:
    """The state file holds what a target prints: several lines, of which the last counts."""
    file = written(tmp_path / "c", config)
    catalog = written(tmp_path / "catalog", selected(config, ("orders",)))
    first = run("--config", file, "--catalog", catalog)
    state = written(
        tmp_path / "s",
        "".join(json.dumps(item["value"]) + "\n" for item in Output.of(first.stdout).kind("STATE")),
    )
    touched = shop.store.touch_orders(2)

    second = run("--config", file, "--catalog", catalog, "--state", state)

    assert (first.code, second.code) == (0, 0)
    rows = Output.of(second.stdout).rows("orders")
    assert {*touched} <= {row["admin_graphql_api_id"] for row in rows}
    assert len(rows) < 20
    empty = written(tmp_path / "s", "")
    assert run("--config", file, "--catalog", catalog, "--state", empty).stdout.count("RECORD") == 101


def test_plain_environment_names_work_and_the_file_beats_them(
    tmp_path: Path, shop: ShopifyServer, config: dict[str, Any]
) -> None:
    plain = {"SHOPIFY_SHOP_DOMAIN": shop.domain, "SHOPIFY_ACCESS_TOKEN": TOKEN}
    prefixed = {"TAP_SHOPIFY_ACCESS_TOKEN": TOKEN, "SHOPIFY_ACCESS_TOKEN": "shpat_wrong"}

    catalog = written(tmp_path / "catalog", selected(config, ("shop",)))
    assert Output.of(run("--catalog", catalog, env=plain).stdout).rows("shop") != []
    assert run("--catalog", catalog, env={**prefixed, "SHOPIFY_SHOP_DOMAIN": shop.domain}).code == 0
    file = written(tmp_path / "c", {**config, "start_date": ""})
    done = run("--catalog", catalog, "--config", file, env={"SHOPIFY_ACCESS_TOKEN": "shpat_wrong"})
    assert done.code == 0


def test_a_stub_run_is_loud_and_leaves_no_state() -> None:
    done = run()

    assert done.code == 0
    output = Output.of(done.stdout)
    assert output.kind("STATE") == []
    assert {len(output.rows(name)) > 0 for name in ("customers", "orders", "products")} == {True}
    warnings = [line for line in done.stderr.splitlines() if "WARNING" in line]
    assert len(warnings) == 1
    assert "STUB" in warnings[0]
    assert "shop_domain and access_token" in warnings[0]


def test_a_misspelt_setting_is_named(tmp_path: Path) -> None:
    done = run("--config", written(tmp_path / "c", {"stubdata": "auto"}))

    assert "'stubdata' does not exist and is ignored. Did you mean stub_data?" in done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["--nope"], ["--version"], ["--about"]])
def test_the_installed_command_does_what_the_forked_one_does(arguments: list[str]) -> None:
    alone = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    done = subprocess.run([TAP, *arguments], capture_output=True, text=True, check=False, env=alone)

    assert run(*arguments) == Run(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_run_at_once_and_claims_nothing(
    tmp_path: Path, shop: ShopifyServer, config: dict[str, Any], number: signal.Signals, code: int
) -> None:
    rule = shop.faults.add(Fault.slow(30), nth=2, times=None, root="orders")
    file = written(tmp_path / "c", {**config, "page_size": 100})
    catalog = written(tmp_path / "catalog", selected(config))
    # To a file: a full pipe would stop the tap before the fault does.
    with (tmp_path / "out").open("wb") as out:
        command: list[str | Path] = [TAP, "--config", file, "--catalog", catalog]
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True)
    while not rule.fired:
        assert process.poll() is None
        time.sleep(0.02)

    process.send_signal(number)
    _, stderr = process.communicate(timeout=5)

    assert process.returncode == code
    assert "Traceback" not in stderr
    output = Output.of((tmp_path / "out").read_text(encoding="utf-8"))
    assert "starting_replication_value" in output.state["bookmarks"]["orders"]
    assert output.kind("ACTIVATE_VERSION", "orders") == []


def test_a_reader_that_dies_is_told_of_in_one_line(tmp_path: Path, config: dict[str, Any]) -> None:
    process = subprocess.Popen(
        [TAP, "--config", written(tmp_path / "c", config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()

    stderr = process.stderr.read()
    process.stderr.close()

    assert process.wait(10) == 1
    assert stderr.count("The program that reads this tap's output has stopped.") == 1
    assert "Traceback" not in stderr
    assert "BrokenPipe" not in stderr


def test_discovery_needs_no_credentials_and_python_m_works() -> None:
    done = run("--discover")
    module = subprocess.run(
        [TAP.parent / "python", "-m", "tap_shopify", "--version"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
    )

    found = [stream["tap_stream_id"] for stream in json.loads(done.stdout)["streams"]]
    assert found == sorted(vars(stream)["name"] for stream in STREAMS)
    assert module.stdout.startswith("tap-shopify v0.1.0")
