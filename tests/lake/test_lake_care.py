"""`lake check`, `lake verify`, `lake prune`: what is odd, what is damaged, what may go."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result

from lake_parquet import Lake, claims, prune
from lake_parquet.claims import BEGINNING
from lake_parquet.cli import main
from lake_parquet.footer import Owner
from lake_parquet.health import Limits
from lake_parquet.local_store import LocalStore
from lake_parquet.overview import look_around
from lake_parquet.paths import claim_path
from lake_parquet.prune import Policy, Weight, superseded, weigh
from lake_parquet.runs import DatasetSummary, RunRecord, write_run
from lake_parquet.snapshots import Snapshot
from lake_parquet.staging import Staging
from target_lake_parquet.summary import lake_sentence
from tests.lake.writer import ITEMS, PARENT, Writer, frame

NOW = datetime.now(UTC)
SCHEMA = {"id": pl.Int64, "v": pl.String}
ITEM = {PARENT + "id": pl.Int64, "_position": pl.Int64, "sku": pl.String}


def lake(writer: Writer, *argv: str) -> Result:
    return CliRunner().invoke(main, [*argv, "--lake", str(writer.root)])


def parsed(writer: Writer, *argv: str) -> Any:
    return json.loads(lake(writer, *argv, "--json").stdout)


def rows(count: int) -> pl.DataFrame:
    return frame([{"id": n, "v": "x"} for n in range(count)], SCHEMA)


def told(writer: Writer, days_ago: float = 0, run: str = "1", **facts: Any) -> None:
    moment = (NOW - timedelta(days=days_ago)).isoformat()
    one = DatasetSummary(**{"dataset": "orders", "stream": "orders", "status": "published", **facts})
    record = RunRecord(run_id=f"2026010{run}", started_at=moment, finished_at=moment, datasets=[one])
    write_run(writer.lake.store, record)


def published(writer: Writer, days_ago: float, count: int, **more: Any) -> list[DatasetSummary]:
    writer.clock = NOW - timedelta(days=days_ago)
    return writer.write([rows(count)], load_method="overwrite", **more)


def test_a_healthy_lake_is_silent_and_exits_0(writer: Writer) -> None:
    published(writer, 9, 3)
    told(writer)
    result = lake(writer, "check")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert parsed(writer, "check") == []


ODD: list[tuple[str, float, list[int], dict[str, Any], str]] = [
    ("stale", 2, [3], {}, "last read 2 d ago, more than 26 h"),
    ("drop", 0, [10, 4], {}, "rows fell from 10 to 4 (-60%)"),
    ("held", 0, [3], {"status": "held", "notes": ["the reason"]}, "the reason"),
    ("failed", 0, [3], {"status": "failed", "notes": ["line 7"]}, "line 7"),
]


@pytest.mark.parametrize(("kind", "days_ago", "counts", "last", "text"), ODD, ids=[one[0] for one in ODD])
def test_each_alarm_is_a_line_and_exit_code_1(
    writer: Writer, kind: str, days_ago: float, counts: list[int], last: dict[str, Any], text: str
) -> None:
    for number, count in enumerate(counts):
        published(writer, days_ago + 1 - number / 10, count)
    told(writer, days_ago + 0.1, "1")
    told(writer, days_ago, "2", **last)
    result = lake(writer, "check")
    assert (result.exit_code, result.stdout) == (1, f"{kind}: orders: {text}\n")
    assert parsed(writer, "check") == [{"dataset": "orders", "alarm": kind, "text": text}]
    assert lake(writer, "check", "--ignore", "ord*").stdout == "missing: *: no dataset matches\n"


def test_datasets_of_an_object_store_are_looked_at_at_once(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each footer is a wait there: one looked at after the other would never meet another."""
    children = frame([{PARENT + "id": 0, "_position": 0, "sku": "a"}], ITEM)
    writer.upsert(rows(1), items=[children])
    met = threading.Barrier(2, timeout=20)
    read = Lake.read

    def slow(lake: Lake, dataset: str, name: str) -> Snapshot:
        met.wait()
        return read(lake, dataset, name)

    monkeypatch.setattr(LocalStore, "keeps_workplace", property(lambda _: False))
    monkeypatch.setattr(Lake, "read", slow)
    found, _ = look_around(writer.lake, "*", Limits(), NOW)
    assert [(one.dataset, one.row_count) for one in found] == [("orders", 1), ("orders__items", 1)]


def test_limits_are_the_callers(writer: Writer) -> None:
    published(writer, 5, 10)
    published(writer, 4, 8)
    told(writer, 3)
    assert lake(writer, "check", "--max-age", "4d").exit_code == 0
    result = lake(writer, "check", "--max-age", "70h", "--max-drop", "10%")
    assert result.stdout.splitlines() == [
        "stale: orders: last read 3 d ago, more than 2 d",
        "drop: orders: rows fell from 10 to 8 (-20%)",
    ]


@pytest.mark.parametrize("option", [["--max-age", "soon"], ["--max-drop", "200%"], ["--max-drop", "x"]])
def test_a_limit_that_is_none_is_wrong_usage(writer: Writer, option: list[str]) -> None:
    published(writer, 0, 1)
    assert lake(writer, "check", *option).exit_code == 2


def test_stub_rows_and_a_dataset_that_never_came_are_alarms(writer: Writer) -> None:
    published(writer, 0, 1, origin="stub", owner=Owner("orders", "acme", "shopify"))
    told(writer, dataset="acme_pg_items", status="failed", notes=["line 2: field 'id' is no number"])
    assert lake(writer, "check").stdout.splitlines() == [
        "failed: acme_pg_items: line 2: field 'id' is no number",
        "stub: orders: the rows are made up: set the tap's credentials",
    ]
    (never, _) = parsed(writer, "ls")
    assert (never["dataset"], never["row_count"], never["path"]) == ("acme_pg_items", None, None)


def test_an_empty_lake_is_an_alarm(writer: Writer) -> None:
    writer.root.mkdir()
    assert lake(writer, "check").exit_code == 1


def test_new_columns_and_cut_runs_are_news_not_alarms(writer: Writer) -> None:
    writer.upsert(rows(1))
    writer.upsert(frame([{"id": 2, "w": 1.5}], {"id": pl.Int64, "w": pl.Float64}))
    told(writer, proof="open", rows_quarantined=3)
    assert lake(writer, "check").exit_code == 0
    (one,) = parsed(writer, "ls")
    assert [(note["kind"], note["text"]) for note in one["notes"]] == [
        ("cut", "the last run was cut short; what arrived was merged"),
        ("quarantine", "3 bad rows were put aside"),
        ("drift", "new: w"),
    ]


def test_a_whole_lake_verifies(writer: Writer) -> None:
    writer.upsert(rows(2), items=[frame([{PARENT + "id": 1, "_position": 0, "sku": "a"}], ITEM)])
    result = lake(writer, "verify")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("2 files, 3 rows, ")


def damaged(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at : at + 40] = bytes(40)
    path.write_bytes(content)


def test_verify_names_each_kind_of_damage(writer: Writer) -> None:
    for count in (5, 6, 7):
        published(writer, 9 - count, count)
    raw = writer.root / "raw"
    first, second, third = sorted((raw / "orders").iterdir())
    first.write_bytes(first.read_bytes()[:-9])
    damaged(second, at=10)
    pl.DataFrame({"t": [[1]]}).write_parquet(raw / "orders/20990101T000000000000Z.parquet")
    (raw / "orders/notes.txt").write_text("x")
    (raw / "stray.parquet").write_text("x")
    result = lake(writer, "verify")
    assert result.exit_code == 1
    problems = dict(line.split(": ", 1) for line in result.stdout.splitlines())
    foreign = "is no snapshot, and readers may stumble over it: move it out of there"
    assert {name: text for name, text in problems.items() if "orders/2026" not in name} == {
        "raw/orders/notes.txt": foreign,
        "raw/stray.parquet": foreign,
        "raw/orders/20990101T000000000000Z.parquet": problems["raw/orders/20990101T000000000000Z.parquet"],
    }
    assert problems["raw/orders/20990101T000000000000Z.parquet"].startswith("column 't' is a ")
    assert "cannot be read as Parquet" in problems[f"raw/orders/{first.name}"]
    assert "its rows cannot be read" in problems[f"raw/orders/{second.name}"]
    assert f"raw/orders/{third.name}" not in problems
    (raw / "orders/20990102T000000000000Z.parquet").symlink_to(third)
    assert "raw/orders: " in lake(writer, "verify").stdout


def test_verify_misses_a_child_that_its_parent_names(writer: Writer) -> None:
    writer.upsert(rows(2), items=[frame([{PARENT + "id": 1, "_position": 0, "sku": "a"}], ITEM)])
    (child,) = (writer.root / "raw" / ITEMS).iterdir()
    child.unlink()
    result = lake(writer, "verify")
    assert result.exit_code == 1
    assert f"names raw/{ITEMS}/{child.name} as its child in {ITEMS}, which is not there" in result.stdout


def names(*days: float) -> list[str]:
    return [f"{NOW - timedelta(days=day):%Y%m%dT%H%M%S%f}Z.parquet" for day in days]


KEPT = [
    (Policy(1, 0), [3.0, 2.0, 1.0], [2]),
    (Policy(2, 0), [3.0, 2.0, 1.0], [1, 2]),
    (Policy(1, 2), [3.0, 2.0, 1.0, 0.0], [2, 3]),
    (Policy(1, 9), [3.0, 2.0, 1.0], [0, 1, 2]),
    (Policy(9, 0), [3.0, 2.0], [0, 1]),
]


@pytest.mark.parametrize(("policy", "days", "kept"), KEPT, ids=repr)
def test_a_policy_keeps_the_last_and_the_last_of_each_day(
    policy: Policy, days: list[float], kept: list[int]
) -> None:
    own = names(*days)
    assert policy.keeps(own, NOW) == {own[i] for i in kept}


def test_of_a_day_the_last_one_is_kept() -> None:
    noon = NOW.replace(hour=12, minute=0)
    own = [f"{noon.replace(minute=minute):%Y%m%dT%H%M%S%f}Z.parquet" for minute in (1, 2, 3)]
    assert Policy(1, 1).keeps(own, noon) == {own[2]}
    assert superseded(own, {own[2]}, noon.replace(minute=3)) == [own[0]]


def test_prune_lists_and_only_with_yes_removes(writer: Writer) -> None:
    for day in (9, 8, 7, 6):
        published(writer, day, day)
    before = writer.names()
    sizes = {one.path: one.size for one in writer.lake.snapshots("orders")}
    listed = parsed(writer, "prune", "--keep-last", "2", "--keep-daily", "0")
    gone = [f"raw/orders/{name}" for name in before[:2]]
    assert listed == {
        "removed": False,
        "bytes": sum(sizes[path] for path in gone),
        "snapshots": [{"path": path, "bytes": sizes[path]} for path in gone],
        "incomplete": [],
        "quarantine": [],
        "claims": [claim_path("orders", name) for name in (BEGINNING, *before[:2])],
        "runs": [],
        "odd": {},
    }
    assert writer.names() == before
    result = lake(writer, "prune", "--keep-last", "2", "--keep-daily", "0", "--yes")
    assert result.exit_code == 0
    assert result.stderr.startswith("Removed 2 snapshots, ")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["what", *gone, "_meta/claims/orders"]
    assert writer.names() == before[2:]
    again = lake(writer, "prune", "--keep-last", "2", "--keep-daily", "0", "--yes")
    assert (again.exit_code, again.stdout) == (0, "")


def test_a_child_that_a_kept_parent_names_stays(writer: Writer) -> None:
    """The child did not change for four runs: its one old file belongs to every parent."""
    item = frame([{PARENT + "id": 0, "_position": 0, "sku": "a"}], ITEM)
    for day in (9, 8, 7, 6):
        writer.clock = NOW - timedelta(days=day)
        items = [item] if day in (9, 6) else [frame([], ITEM)]
        writer.upsert(rows(1) if day == 9 else frame([{"id": day, "v": "x"}], SCHEMA), items=items)
    children = writer.names(ITEMS)
    assert len(children) < 4
    lake(writer, "prune", "--keep-last", "2", "--keep-daily", "0", "--yes")
    assert len(writer.names()) == 2
    for one in writer.lake.snapshots("orders"):
        assert one.info is not None
        assert (writer.root / one.info.children[ITEMS]).exists()
    assert lake(writer, "verify").exit_code == 0
    only = lake(writer, "prune", ITEMS, "--keep-last", "1", "--keep-daily", "0", "--yes")
    assert only.exit_code == 0
    assert lake(writer, "verify").exit_code == 0


@contextmanager
def running(writer: Writer, since: datetime) -> Iterator[None]:
    staging = Staging(writer.root, f"{since:%Y%m%dT%H%M%S%f}Z-00000a")
    yield
    staging.close()


def test_what_a_running_run_or_a_recent_query_stands_on_stays(writer: Writer) -> None:
    for day in (9, 8, 7, 0.5):
        published(writer, day, int(day))
    before = writer.names()
    prune = ("prune", "--keep-last", "1", "--keep-daily", "0")
    with running(writer, NOW - timedelta(days=7.5)):
        assert [one["path"] for one in parsed(writer, *prune)["snapshots"]] == [f"raw/orders/{before[0]}"]
    assert len(parsed(writer, *prune)["snapshots"]) == 2
    assert len(parsed(writer, *prune, "--grace", "1h")["snapshots"]) == 3


def test_rows_kept_aside_go_by_age_and_only_when_asked(writer: Writer) -> None:
    published(writer, 0, 1)
    aside = writer.root / ".incomplete"
    for day in (40, 3):
        folder = aside / f"{NOW - timedelta(days=day):%Y%m%dT%H%M%S%f}Z-00000a"
        folder.mkdir(parents=True)
        (folder / "orders.parquet").write_bytes(b"x")
    old, new = sorted(folder.name for folder in aside.iterdir())
    assert parsed(writer, "prune")["incomplete"] == []
    assert parsed(writer, "prune", "--incomplete", "30d")["incomplete"] == [old]
    lake(writer, "prune", "--incomplete", "30d", "--yes")
    assert [folder.name for folder in aside.iterdir()] == [new]


def test_claims_go_when_nobody_can_stand_on_their_snapshots(writer: Writer) -> None:
    for day in (30, 20, 10, 3):
        published(writer, day, day)
    before = writer.names()
    folder = writer.root / "_meta" / "claims" / "orders"
    everything = [BEGINNING, *before[:3]]
    assert sorted(one.name for one in folder.iterdir()) == [name[:-8] + ".json" for name in everything]
    prune = ("prune", "--keep-last", "9", "--yes")
    with running(writer, NOW - timedelta(days=25)):
        assert parsed(writer, *prune)["claims"] == [claim_path("orders", BEGINNING)]
    assert parsed(writer, *prune)["claims"] == [claim_path("orders", name) for name in before[:2]]
    assert [one.name for one in folder.iterdir()] == [before[2][:-8] + ".json"]
    assert writer.names() == before
    published(writer, 0, 1)  # the next writer finds its way
    assert len(writer.names()) == 5
    assert lake(writer, "verify").exit_code == 0


def test_a_claim_that_was_not_carried_out_stays_however_old(writer: Writer) -> None:
    """Its writer died, and nobody ran since: the rows are committed, and the next run gives them a name."""
    published(writer, 30, 1)
    published(writer, 20, 2)
    _, newest = writer.names()
    files = {one: one.read_bytes() for one in (writer.root / "raw").rglob("*.parquet")}
    claim = json.loads((writer.root / claim_path("orders", writer.names()[0])).read_text())
    waiting = writer.root / claim["files"][0]["path"]
    waiting.parent.mkdir(parents=True, exist_ok=True)
    (writer.root / "raw" / "orders" / newest).rename(waiting)
    assert parsed(writer, "prune", "--yes")["claims"] == [claim_path("orders", BEGINNING)]
    assert claims.settle(writer.lake.store, "orders").latest == newest
    assert {one: one.read_bytes() for one in (writer.root / "raw").rglob("*.parquet")} == files


def test_run_records_go_when_they_explain_nothing_any_more(writer: Writer) -> None:
    store = writer.lake.store
    paths: dict[int, str | None] = {}
    for day in (400, 300, 200, 100):
        (one,) = published(writer, day, day)
        paths[day] = one.path
    Path(writer.root / str(paths[400])).unlink()

    def ran(day: int, **facts: Any) -> str:
        moment = NOW - timedelta(days=day)
        run_id = f"{moment:%Y%m%dT%H%M%S%f}Z-00000a"
        status = facts.pop("run", "ok")
        one = DatasetSummary(**{"dataset": "orders", "stream": "orders", "status": "unchanged", **facts})
        return write_run(store, RunRecord(run_id=run_id, started_at="", status=status, datasets=[one]))

    gone = ran(400, status="published", path=paths[400])
    idle = ran(390, path=paths[400])
    ran(300, status="published", path=paths[300])
    ran(99, path=paths[100])  # the last whole one
    ran(98, path=paths[100], run="incomplete")  # the last that read it well
    held = ran(97, status="held")
    ran(96, status="failed")  # the last
    elsewhere = ran(95, dataset="removed_by_hand")
    assert parsed(writer, "prune", "--keep-last", "9")["runs"] == [gone, idle, held, elsewhere]
    assert parsed(writer, "prune", "orders", "--keep-last", "9")["runs"] == [gone, idle, held]
    assert parsed(writer, "prune", "--keep-last", "9", "--keep-runs", "395d")["runs"] == [gone]
    with running(writer, NOW - timedelta(days=400)):  # or it died, and its rows wait
        assert parsed(writer, "prune", "--keep-last", "9")["runs"] == [idle, held, elsewhere]
    runs = len(list((writer.root / "_meta" / "runs").iterdir()))
    lake(writer, "prune", "--keep-last", "9", "--yes")
    assert len(list((writer.root / "_meta" / "runs").iterdir())) == runs - 4
    assert parsed(writer, "prune", "--keep-last", "9")["runs"] == []


@pytest.mark.parametrize("count", ["0", "-1", "x"])
def test_keeping_none_is_wrong_usage(writer: Writer, count: str) -> None:
    published(writer, 0, 1)
    assert lake(writer, "prune", "--keep-last", count).exit_code == 2


def test_verify_holds_each_file_against_the_checksum_of_its_run(writer: Writer) -> None:
    (summary,) = writer.write([rows(3)])
    assert summary.sha256 is not None
    told(writer, path=summary.path, sha256=summary.sha256)
    (found,) = parsed(writer, "verify")
    assert (found["has_checksum"], found["problems"]) == (True, [])
    path = writer.root / str(summary.path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"load_method"', b'"load_methoD"'))  # which no reader minds
    result = lake(writer, "verify")
    assert result.exit_code == 1
    assert f"{summary.path}: its bytes are not those that were published: SHA-256 differs\n" in result.stdout


def test_a_lake_is_weighed_by_its_listing_and_not_without_end(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (90, 80, 70, 60, 50, 40, 39, 38, 37):
        published(writer, day, day)
    sizes = [one.size for one in writer.lake.snapshots("orders")]
    assert weigh(writer.lake, NOW) == Weight(9, sum(sizes), sum(sizes[:2]), is_whole=True)
    monkeypatch.setattr(prune, "MOST_FILES", 8)
    assert weigh(writer.lake, NOW) == Weight(8, sum(sizes[:8]), sum(sizes[:2]), is_whole=False)


def test_what_was_put_aside_is_weighed_too(writer: Writer) -> None:
    for where, day, name, size in (
        (".incomplete", 40, "orders/000000.parquet", 5000),
        (".incomplete", 3, "orders.parquet", 700),
        (".quarantine", 31, "orders.jsonl", 2000),
    ):
        run = f"{NOW - timedelta(days=day):%Y%m%dT%H%M%S%f}Z-00000a"
        file = writer.root / where / run / name
        file.parent.mkdir(parents=True)
        file.write_bytes(bytes(size))
    weight = weigh(writer.lake, NOW)
    assert weight == Weight(aside=7700, old_aside=7000)
    assert lake_sentence(weight) == (
        "The lake holds 0 B in 0 snapshots and 7.7 kB put aside; "
        "`lake prune --incomplete 30d --quarantine 30d` would free up to 7.0 kB."
    )
    assert lake_sentence(Weight(1, 1000, 10)) == (
        "The lake holds 1.0 kB in 1 snapshot; `lake prune` would free up to 10 B."
    )
