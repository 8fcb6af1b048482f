"""What the benchmarks measure with holds what it promises; no time is asserted."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from benchmarks import cases, measure, report, shopify, streams, tools
from tests.emulators.shopify import ShopifyServer

ROOT = Path(__file__).resolve().parents[1]
KINDS = sorted(streams.KINDS)
COUNT = 5_200  # beyond the first odd record, and no multiple of anything


def messages(variant: str, kind: str, count: int = COUNT) -> list[dict[str, Any]]:
    text = b"".join(streams.VARIANTS[variant](kind, count))
    return [json.loads(line) for line in text.splitlines()]


def records(variant: str, kind: str) -> list[dict[str, Any]]:
    return [one["record"] for one in messages(variant, kind) if one["type"] == "RECORD"]


def test_the_same_call_gives_the_same_bytes_on_every_machine() -> None:
    made = {
        kind: hashlib.sha256(b"".join(streams.plain(kind, 1000))).hexdigest()[:16]
        for kind in ("narrow", "orders")
    }
    assert made == {"narrow": "ecc927f65205e3b6", "orders": "2efa99a1227b4d76"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variant", sorted(streams.VARIANTS.keys() - {"nothing", "no_records", "repeated"}))
def test_a_variant_holds_every_key_once(variant: str, kind: str) -> None:
    assert sorted(one["id"] for one in records(variant, kind)) == list(range(COUNT))


@pytest.mark.parametrize("kind", KINDS)
def test_the_repeated_stream_differs_from_the_plain_one_in_its_keys_and_repetition_alone(kind: str) -> None:
    repeated = messages("repeated", kind)
    rounded = -(-COUNT // streams.REPEATED) * streams.REPEATED
    first = [one for one in messages("plain", kind, streams.REPEATED) if one["type"] == "RECORD"]
    assert [one["record"]["id"] for one in repeated[1:-1]] == list(range(rounded))
    again = [{**one, "record": one["record"] | {"id": None}} for one in first] * (rounded // streams.REPEATED)
    assert [{**one, "record": one["record"] | {"id": None}} for one in repeated[1:-1]] == again
    assert [repeated[0], repeated[-1]] == [messages("plain", kind)[0], messages("plain", kind)[-1]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("variant", "hands"), [("interleaved", 2), ("fifty", 50)])
def test_dealt_streams_take_turns(variant: str, hands: int, kind: str) -> None:
    names = [one["stream"] for one in messages(variant, kind) if one["type"] == "RECORD"]
    assert names == [f"{kind}_{number % hands:02d}" for number in range(COUNT)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variant", sorted(streams.VARIANTS.keys() - {"nothing"}))
def test_every_stream_is_closed_by_a_bookmark(variant: str, kind: str) -> None:
    sent = messages(variant, kind)
    schemas = {one["stream"] for one in sent if one["type"] == "SCHEMA"}
    assert sent[-1]["type"] == "STATE"
    assert sent[-1]["value"]["bookmarks"].keys() == schemas


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_comes_after_every_hundred_records(kind: str) -> None:
    kinds = [one["type"] for one in messages("states", kind, 250)]
    assert kinds == [
        "SCHEMA",
        *["RECORD"] * 100,
        "STATE",
        *["RECORD"] * 100,
        "STATE",
        *["RECORD"] * 50,
        "STATE",
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("variant", "changed"), [("coerced", {"id": 5000.0}), ("bad", {"updated_at": "not a moment"})]
)
def test_odd_streams_have_one_odd_record(variant: str, changed: dict[str, Any], kind: str) -> None:
    plain, odd = messages("plain", kind), messages(variant, kind)
    differing = [(one, other) for one, other in zip(plain, odd, strict=True) if repr(one) != repr(other)]
    (one, other), *more = differing
    assert more == []
    assert repr(one["record"] | changed) == repr(other["record"])


@pytest.mark.parametrize("kind", KINDS)
def test_the_long_line_is_twenty_megabytes_and_alone(kind: str) -> None:
    lengths = [len(line) for line in streams.long_line(kind, 100)]
    assert Counter(length > streams.LONG_LINE_BYTES for length in lengths) == {True: 1, False: 101}


@pytest.mark.parametrize("kind", KINDS)
def test_records_weigh_what_sizes_are_reckoned_with(kind: str) -> None:
    first = cases.SIZES[kind] // 2
    weights = [len(streams._record(kind, streams.KINDS[kind][1](first + number))) for number in range(1000)]
    assert sum(weights) / 1000 == pytest.approx(cases.BYTES_EACH[kind], rel=0.02)


def first_cells(text: str) -> Iterator[list[str]]:
    """The first column of each table, without its head."""
    for found in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        yield [row.split("|")[1].strip() for row in found.splitlines()[2:]]


def test_the_page_lists_what_the_code_measures() -> None:
    titles = [tool.title for tool in tools.TOOLS]
    loads = [load.title for load in cases.LOADS for _ in cases.SIZES]
    page = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    own = [case.title for case in cases.CASES]
    assert list(first_cells(page)) == [titles, titles, own, loads, list(shopify.TAPS), titles]


def test_writing_the_page_anew_keeps_what_was_measured_of_tap_shopify() -> None:
    page = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    assert shopify.SECTION.read_text(encoding="utf-8").rstrip() in page


def test_peers_are_pinned() -> None:
    wanted = [one for tool in tools.PEERS for one in tool.requires]
    pinned = r"[a-z-]+(\[[a-z,]+\])?(==[0-9.]+| @ git\+https://[^@]+@[0-9a-f]{40})"
    assert [one for one in wanted if not re.fullmatch(pinned, one)] == []


@pytest.mark.parametrize("wrong", ["parquet", "parquet=/no/such/folder", "sdk=benchmarks", "=benchmarks"])
def test_a_peer_s_checkout_is_a_folder_of_a_peer_that_is_installed(wrong: str) -> None:
    command = [sys.executable, "-m", "benchmarks.run", "--checkout", wrong]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    said = f"argument --checkout: '{wrong}' is not one of dlt, duckdb, jsonl, parquet, '=', and a folder"
    assert (done.returncode, said in done.stderr) == (2, True)


def test_the_versions_of_an_environment_are_told_one_a_line_and_no_folder_with_them() -> None:
    told = tools.versions(tools.BIN).splitlines()
    assert [one for one in told if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", one)] == []
    assert f"polars=={version('polars')}" in told


def test_a_cost_is_the_command_s_own(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"x" * 100)
    script = "import sys; kept = b'1' * 300_000_000; assert len(sys.stdin.read()) == 100"
    for piped in (False, True):
        cost = cost_in_a_small_process([sys.executable, "-c", script], tmp_path / "in", piped=piped)
        assert 300 < cost["peak_mb"] < 400
        assert cost["cpu"] > 0
        assert cost["wall"] > 0


def cost_in_a_small_process(command: list[str], source: Path, *, piped: bool) -> dict[str, float]:
    """As `measure.run`, but not in this process: the kernel begins a child's peak at its parent's."""
    script = (
        "import dataclasses, json, pathlib; from benchmarks import measure; "
        f"cost = measure.run({command!r}, pathlib.Path({str(source)!r}), piped={piped}); "
        "print(json.dumps(dataclasses.asdict(cost)))"
    )
    said = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True)
    found: dict[str, float] = json.loads(said.stdout)
    return found


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / "in").touch()
    with pytest.raises(measure.Failed, match="exit code 3: this is why"):
        measure.run(
            [sys.executable, "-c", "import sys; print('this is why', file=sys.stderr); sys.exit(3)"],
            tmp_path / "in",
        )


def test_a_share_is_scaled_but_for_its_start() -> None:
    part, empty = measure.Cost(1.5, 1.2, 90), measure.Cost(0.5, 0.2, 50)
    assert measure.scaled(part, empty, 0.1) == measure.Cost(10.5, 10.2, 90)


def test_a_ratio_is_that_of_rounds() -> None:
    """A machine that is slow for one round slows both."""
    ours = [measure.Cost(wall, 1, 0) for wall in (1, 10, 1)]
    raw = [measure.Cost(wall, 1, 0) for wall in (2, 20, 2)]
    assert measure.ratio(ours, raw) == 0.5


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_peak_of_reading_is_told_beside_a_whole_run(tmp_path: Path) -> None:
    source, told = tmp_path / "in.jsonl", tmp_path / "told.json"
    source.write_bytes(b"".join(streams.plain("narrow", 100)))
    _, *arguments = tools.target(tools.BIN, tmp_path / "lake", "narrow")
    command = [sys.executable, "-m", "benchmarks.reading_peak", told, *arguments]
    cost = measure.run(
        command, source, env={"PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    )
    assert 50 < json.loads(told.read_text())["reading_peak_mb"] <= cost.peak_mb
    assert len(list((tmp_path / "lake/raw/bench_narrow").glob("*.parquet"))) == 1


def test_what_is_neither_idle_nor_ours_is_other_work() -> None:
    before = measure.Clock(all=100.0, busy=40.0, own=10.0)

    assert measure.Clock(all=120.0, busy=52.0, own=21.0).others(before) == 0.05
    assert measure.Clock(all=120.0, busy=50.0, own=20.1).others(before) == 0.0  # the counters' ticks differ
    assert before.others(before) == 0.0


def test_a_child_that_ended_is_ours_and_its_work_was_the_machines() -> None:
    before = measure.Clock.now()
    burn = "import time\nwhile time.process_time() < 1: pass"
    subprocess.run([sys.executable, "-c", burn], check=True)
    after = measure.Clock.now()

    assert after.own - before.own >= 1
    assert after.all - before.all >= after.busy - before.busy >= 0.9  # its ticks are hundredths


def test_the_page_warns_of_figures_that_are_not_the_machines_own() -> None:
    assert report.quiet(0.05) == "Other work took 5.0% of the machine meanwhile."
    assert (
        report.quiet(0.051)
        == "**Other work took 5.1% of the machine meanwhile. These are not its own figures.**"
    )


# ---- tap-shopify

SHOP_NAME = """
import json, sys, urllib.request
import requests
url = "https://acme.myshopify.com/admin/api/2025-07/shop.json"
headers = {"X-Shopify-Access-Token": sys.argv[1]}
with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as response:
    print(json.load(response)["shop"]["name"], requests.get(url, headers=headers).json()["shop"]["name"])
"""


def test_a_program_that_knows_no_other_address_is_led_to_the_emulator() -> None:
    with ShopifyServer(shop=shopify.SHOP, token=shopify.TOKEN, orders=1, customers=1, products=1) as server:
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "benchmarks" / "redirect"),
            "BENCH_SHOPIFY_PORT": server.url.rpartition(":")[2],
        }
        command = [sys.executable, "-c", SHOP_NAME, shopify.TOKEN]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)

    assert done.stdout == "Acme Acme\n"


def test_the_section_tells_ratios_and_whether_bars_are_met() -> None:
    pairs = [(measure.Cost(2, 1, 50), measure.Cost(24, 13, 70))]
    text = shopify.section(1_000, pairs, [(1, 3.0), (1, 5.0), (1, 4.5)], "Measured.")

    assert "| **tap-shopify** | 2.0 | 1.0 | 50 | 1 | 1 |" in text
    assert "| singer-io's tap-shopify | 24.0 | 13.0 | 70 | 12.0 | 13.0 |" in text
    assert "at least 10 times as fast as singer-io's tap: met." in text
    assert "takes 4.50 times as long" in text
    assert "at most 4: missed." in text
