"""Each setting that `--about` lists, and the effect it has. A setting without such a test fails."""

import json
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lake_parquet import Lake
from target_lake_parquet.settings import StreamSettings, unknown_settings
from target_lake_parquet.settings_table import SETTINGS
from tests.stores import servers
from tests.stores.proxy import proxy
from tests.target.command import Ended, Place, assert_clear
from tests.target.messages import INTEGER, KEY, MOMENT, STRING, activate, bookmark, record, schema

ITEMS = {"type": "array", "items": {"type": "object", "properties": {"sku": STRING, "tags": {
    "type": "array", "items": {"type": "object", "properties": {"t": STRING}}}}}}  # fmt: skip
WHO = {"type": "object", "properties": {"at": {"type": "object", "properties": {"zip": STRING}}}}
HEAD = schema("s", {"id": KEY, "n": STRING})
ONE, TWO = record("s", id=1, n="a"), record("s", id=2, n="b")


def test_every_setting_of_about_has_a_test_that_shows_its_effect(place: Place) -> None:
    about = json.loads(place.command("target-lake-parquet", "--about", "--format", "json").out)
    listed = set(about["settings"]["properties"])
    assert listed == set(SETTINGS["properties"])
    shown = {name for name in listed if any(test.startswith(f"test_{name}_") for test in globals())}
    assert listed - shown == set()


def metadata(place: Place, dataset: str = "s") -> Any:
    return pq.read_metadata(place.root / place.lake.latest_snapshot(dataset).path)


INCREMENTAL = schema("s", {"id": KEY, "n": STRING, "at": MOMENT}, bookmarks=["at"])


def states_of(place: Place, **config: Any) -> list[str]:
    """The STATE lines of a run with a STATE after each of three records."""
    marks = [bookmark("s", f"2026-01-0{day}", "at") for day in (1, 2, 3)]
    lines = [INCREMENTAL]
    for day, mark in enumerate(marks, 1):
        lines += [record("s", id=day, n="x" * 700_000, at=f"2026-01-0{day}T00:00:00Z"), mark]
    return place.good(*lines, **config).out.splitlines()


def test_checkpoint_seconds_sets_how_often_a_state_is_printed(place: Place) -> None:
    assert len(states_of(place, checkpoint_seconds=0)) == 3
    assert len(states_of(place)) == 1


def test_checkpoint_seconds_counts_from_the_last_state_printed(place: Place) -> None:
    argv = ("target-lake-parquet", "--config", place.configured(checkpoint_seconds=2))
    with place.feeding(*argv) as process:
        process.feed(f"{INCREMENTAL}\n".encode())
        for day, pause in ((1, 2.5), (2, 0), (3, 0)):
            time.sleep(pause)
            line = record("s", id=day, at=f"2026-01-0{day}T00:00:00Z")
            process.feed(f"{line}\n{bookmark('s', f'2026-01-0{day}', 'at')}\n".encode())
        ended = process.end()
    assert [line.count("2026-01-01") for line in ended.out.splitlines()] == [1, 0], ended.err


def test_checkpoint_mb_has_a_state_printed_after_so_much_input(place: Place) -> None:
    assert len(states_of(place, checkpoint_mb=1)) == 2
    assert len(states_of(place, checkpoint_mb=3)) == 1


def test_progress_seconds_sets_how_often_a_line_tells_how_far_the_run_is(place: Place) -> None:
    for seconds, told in ((1, True), (0, False)):
        argv = ("target-lake-parquet", "--config", place.configured(progress_seconds=seconds))
        with place.feeding(*argv) as process:
            process.feed(f"{HEAD}\n{ONE}\n".encode())
            time.sleep(1.5)
            process.feed(f"{TWO}\n".encode())
            ended = process.end()
        assert ended.code == 0, ended.err
        assert ("Reading s: 1 rows" in ended.err) is told


def test_lake_root_is_where_the_lake_stands(place: Place) -> None:
    place.good(HEAD, ONE, lake_root=str(place.folder / "elsewhere"))
    assert [one.name for one in (place.folder / "elsewhere/raw").iterdir()] == ["s"]
    place.good(HEAD, ONE, lake_root=None)
    assert (place.folder / "storage/lake/raw/s").is_dir()


def test_tenant_id_names_the_dataset_and_stands_in_every_row(place: Place) -> None:
    place.good(
        schema("s", {"id": KEY, "items": ITEMS}), record("s", id=1, items=[{"sku": "x"}]), tenant_id="acme"
    )
    assert place.datasets() == ["acme_s", "acme_s__items", "acme_s__items__tags"]
    assert place.rows("acme_s") == [{"_tenant": "acme", "id": 1}]
    assert place.frame("acme_s__items")["_tenant"].to_list() == ["acme"]


def test_tenant_column_names_that_column_or_leaves_it_out(place: Place) -> None:
    place.good(HEAD, ONE, tenant_id="acme", tenant_column="shop")
    assert place.frame("acme_s").columns == ["shop", "id", "n"]
    place.good(HEAD, ONE, tenant_id="bolt", tenant_column="")
    assert place.frame("bolt_s").columns == ["id", "n"]


def test_source_names_the_dataset_before_meltano_and_the_tap_do(place: Place) -> None:
    marked = schema("s", {"id": KEY}, mark={"source": "marked", "origin": "api"})
    meltano = {"MELTANO_EXTRACT__LOAD_SCHEMA": "tap_shop"}
    place.run(marked)
    place.run(marked, env=meltano)
    place.run(marked, env=meltano, source="set")
    assert place.datasets() == ["marked_s", "set_s", "shop_s"]
    assert place.summary("set_s")["source"] == "set_api"


def test_tap_stands_in_the_run_and_in_the_file_before_meltanos_name(place: Place) -> None:
    meltano = {"MELTANO_EXTRACTOR_NAME": "tap-shop--acme"}
    place.run(HEAD, ONE, env=meltano)
    assert place.record()["tap"] == "tap-shop--acme"
    place.run(HEAD, TWO, env=meltano, tap="tap-mine", load_method="append-only")
    info = place.lake.latest_snapshot("s").info
    assert info is not None
    assert (place.record()["tap"], info.tap) == ("tap-mine", "tap-mine")


@pytest.mark.parametrize("codec", ["zstd", "snappy", "gzip", "lz4", "uncompressed"])
def test_compression_is_the_files_codec(place: Place, codec: str) -> None:
    place.good(HEAD, ONE, compression=codec)
    assert metadata(place).row_group(0).column(0).compression == codec.upper()


@pytest.mark.parametrize(("codec", "levels"), [("zstd", (1, 22)), ("gzip", (1, 9))])
def test_compression_level_makes_the_file_smaller(place: Place, codec: str, levels: tuple[int, ...]) -> None:
    rows = [record("s", id=i, n=f"{i * i} {i % 97} {i % 13} words words") for i in range(20_000)]
    sizes = []
    for level in levels:
        place.good(HEAD, *rows, source=f"l{level}", compression=codec, compression_level=level)
        sizes.append(place.summary(f"l{level}_s")["bytes"])
    assert sizes[1] < sizes[0]


def test_row_group_rows_is_the_size_of_row_groups(place: Place) -> None:
    place.good(HEAD, *(record("s", id=i) for i in range(25)), row_group_rows=10)
    found = metadata(place)
    assert [found.row_group(i).num_rows for i in range(found.num_row_groups)] == [10, 10, 5]


def test_max_line_mb_refuses_longer_lines(place: Place) -> None:
    long = record("s", id=1, n="x" * 2**20)
    assert "line 2 is longer than 1 MiB" in place.run(HEAD, long, max_line_mb=1).err
    place.good(HEAD, long, max_line_mb=2)


def test_max_depth_refuses_deeper_messages(place: Place) -> None:
    lines = [schema("s", {"id": KEY, "any": {}}), record("s", id=1, any=[[[1]]])]
    ended = place.run(*lines, max_depth=4)
    assert "line 2: field 'any' is nested deeper than 4 levels" in ended.err
    assert "SCHEMA message is not readable (is nested deeper than 3" in place.run(*lines, max_depth=3).err
    place.good(*lines, max_depth=5)
    assert place.rows("s") == [{"id": 1, "any": "[[[1]]]"}]


def test_unknown_messages_end_the_run_or_are_counted(place: Place) -> None:
    lines = [HEAD, '{"type": "CONTROL"}', ONE, '{"type": "CONTROL"}', '{"type": "control", "stream": "s"}']
    ended = place.run(*lines)
    assert ended.code == 1
    assert "line 2 has the unknown message type 'CONTROL'" in ended.err
    assert place.datasets() == []
    ended = place.good(*lines, unknown_messages="ignore")
    assert "Ignored 2 messages of the unknown type 'CONTROL'" in ended.err
    assert "Ignored 1 messages of the unknown type 'control'" in ended.err
    assert place.rows("s") == [{"id": 1, "n": "a"}]


def test_on_bad_record_fails_the_stream_or_sets_the_record_aside(place: Place) -> None:
    lines = [HEAD, ONE, record("s", id="x")]
    assert place.run(*lines, on_bad_record="fail").code == 1
    assert place.datasets() == []
    place.good(*lines, on_bad_record="quarantine")
    assert place.rows("s") == [{"id": 1, "n": "a"}]
    assert place.summary("s")["rows_quarantined"] == 1


def test_max_bad_records_is_the_most_that_may_be_set_aside(place: Place) -> None:
    lines = [HEAD, ONE, record("s", id="x"), record("s", id="y")]
    assert place.run(*lines, on_bad_record="quarantine", max_bad_records=1).code == 1
    place.good(*lines, on_bad_record="quarantine", max_bad_records=2)


def batched(place: Place, size: int) -> str:
    file = place.folder / "batch.jsonl"
    file.write_text(json.dumps({"id": 1, "n": "x" * size}))
    return json.dumps(
        {"type": "BATCH", "stream": "s", "encoding": {"format": "jsonl"}, "manifest": [file.as_uri()]}
    )


def test_batch_roots_are_the_folders_that_batch_files_may_come_from(place: Place) -> None:
    line = batched(place, 1)
    for roots in ([], [str(place.folder / "other")]):
        ended = place.run(HEAD, line, batch_roots=roots)
        assert ended.code == 1
        assert "batch_roots" in ended.err
    place.good(HEAD, line, batch_roots=[str(place.folder / "other"), str(place.folder)])
    assert place.rows("s") == [{"id": 1, "n": "x"}]


def test_max_batch_mb_refuses_larger_files(place: Place) -> None:
    line, roots = batched(place, 2**20), [str(place.folder)]
    assert "holds more than 1 MiB" in place.run(HEAD, line, batch_roots=roots, max_batch_mb=1).err
    place.good(HEAD, line, batch_roots=roots, max_batch_mb=2)


@pytest.mark.parametrize(
    ("method", "ids"), [("auto", [2]), ("overwrite", [2]), ("upsert", [1, 2]), ("append-only", [1, 1, 2])]
)
def test_load_method_says_what_a_snapshot_holds(place: Place, method: str, ids: list[int]) -> None:
    again = [ONE] if method == "append-only" else []
    place.good(HEAD, ONE, load_method=method)
    place.good(HEAD, *again, TWO, load_method=method, max_row_drop=1)
    assert [row["id"] for row in place.rows("s")] == ids


def test_arrays_may_stay_json_text(place: Place) -> None:
    lines = [schema("s", {"id": KEY, "items": ITEMS}), record("s", id=1, items=[{"sku": "x"}])]
    place.good(*lines, arrays="json")
    assert place.datasets() == ["s"]
    assert place.rows("s") == [{"id": 1, "items": '[{"sku":"x"}]'}]
    info = place.lake.latest_snapshot("s").info
    assert info is not None
    assert info.json_columns == ("items",)


def test_split_depth_is_the_levels_of_child_datasets(place: Place) -> None:
    lines = [
        schema("s", {"id": KEY, "items": ITEMS}),
        record("s", id=1, items=[{"sku": "x", "tags": [{"t": "y"}]}]),
    ]
    place.good(*lines, split_depth=1)
    assert place.datasets() == ["s", "s__items"]
    assert place.frame("s__items")["tags"].to_list() == ['[{"t":"y"}]']


def test_flattening_max_depth_leaves_deeper_objects_as_json_text(place: Place) -> None:
    lines = [schema("s", {"id": KEY, "who": WHO}), record("s", id=1, who={"at": {"zip": "1"}})]
    for depth, expected in (
        (None, {"who__at__zip": "1"}),
        (1, {"who__at": '{"zip":"1"}'}),
        (0, {"who": '{"at":{"zip":"1"}}'}),
    ):
        place.good(*lines, flattening_max_depth=depth, source=f"d{depth}")
        assert place.rows(f"d{depth}_s") == [{"id": 1, **expected}]


def test_flattening_separator_joins_the_names_of_columns_and_not_of_child_datasets(place: Place) -> None:
    cart = {"type": "object", "properties": {"total": INTEGER, "items": ITEMS}}
    lines = [
        schema("s", {"id": KEY, "cart": cart, "cart.total": INTEGER}),
        record("s", id=1, cart={"total": 7, "items": []}, **{"cart.total": 8}),
    ]
    place.good(*lines, flattening_separator=".", stream_overrides={"s": {"flattening_separator": ""}})
    assert place.datasets() == ["s", "s__cart__items", "s__cart__items__tags"]
    assert place.rows("s") == [{"id": 1, "cart.total_8a6806": 7, "cart.total": 8}]
    ended = place.run(*lines, flattening_separator="\n")
    assert (ended.code, "flattening_separator" in ended.err) == (2, True)


@pytest.mark.parametrize(
    ("template", "config", "dataset"),
    [
        ("{tenant}_{source}_{stream}", {"tenant_id": "acme", "source": "shop"}, "acme_shop_orders"),
        ("raw-{source}-{stream}-{tenant}", {"tenant_id": "acme", "source": "shop"}, "raw-shop-orders-acme"),
        ("raw-{source}-{stream}-{tenant}", {}, "raw-orders"),
        ("{stream}", {"tenant_id": "acme", "source": "shop"}, "orders"),
        ("", {"tenant_id": "acme"}, "acme_orders"),
    ],
)
def test_dataset_template_names_datasets(
    place: Place, template: str, config: dict[str, str], dataset: str
) -> None:
    head = schema("orders", {"id": KEY, "items": ITEMS})
    place.good(head, record("orders", id=1), dataset_template=template, **config)
    assert place.datasets() == [dataset, f"{dataset}__items", f"{dataset}__items__tags"]


@pytest.mark.parametrize(
    "template",
    ["{tenant}", "orders", "{stream}{stream}", "{name}_{stream}", "{stream", "../{stream}",
     "{tenant}/{stream}", "{tenant}__{stream}", "{stream}.x", "{stream!r}", "{0}{stream}", "é{stream}"],
)  # fmt: skip
def test_dataset_template_that_names_no_dataset_is_refused(place: Place, template: str) -> None:
    ended = place.run(HEAD, ONE, dataset_template=template)
    assert ended.code == 2
    assert f"dataset_template {template!r} names no dataset: " in ended.err
    assert place.datasets() == []


def test_dataset_template_without_the_tenant_mixes_no_tenants(place: Place) -> None:
    place.good(HEAD, ONE, dataset_template="{stream}", tenant_id="acme")
    ended = place.run(HEAD, TWO, dataset_template="{stream}", tenant_id="bolt")
    assert ended.code == 1
    assert "belongs to tenant 'acme'" in ended.err
    assert place.rows("s") == [{"_tenant": "acme", "id": 1, "n": "a"}]


def test_undeclared_fields_are_counted_added_or_refused(place: Place) -> None:
    lines = [HEAD, record("s", id=1, another="x", more=1)]
    place.good(*lines, undeclared_fields="warn")
    assert place.rows("s") == [{"id": 1, "n": None}]
    assert (
        "fields left out that the schema does not name: another (1), more (1)" in place.summary("s")["notes"]
    )
    place.good(*lines, undeclared_fields="add", source="wide")
    assert place.rows("wide_s") == [{"id": 1, "n": None, "another": "x", "more": 1}]
    ended = place.run(*lines, undeclared_fields="fail", source="strict")
    assert ended.code == 1
    assert "line 2: field 'another' is not named by the schema" in ended.err
    assert place.datasets() == ["s", "wide_s"]


def test_naive_timezone_is_the_zone_of_date_times_without_an_offset(place: Place) -> None:
    lines = [
        schema("s", {"id": KEY, "at": MOMENT}),
        record("s", id=1, at="2024-07-01T12:00:00"),
        record("s", id=2, at="2024-07-01T12:00:00Z"),
    ]
    for zone, hour, notes in (
        ("UTC", 12, []),
        ("Europe/Berlin", 10, ["1 values of at without an offset taken as Europe/Berlin"]),
    ):
        place.good(*lines, naive_timezone=zone, source=zone[:3])
        assert [row["at"].hour for row in place.rows(f"{zone[:3]}_s")] == [hour, 12]
        assert place.summary(f"{zone[:3]}_s")["notes"][: len(notes)] == notes
    overrides = {"s": {"naive_timezone": "Asia/Tokyo"}}
    place.good(*lines, stream_overrides=overrides, source="tokyo")
    assert [row["at"].hour for row in place.rows("tokyo_s")] == [3, 12]


@pytest.mark.parametrize("where", ["plain", "override"])
def test_naive_timezone_that_is_no_zone_is_wrong_usage(place: Place, where: str) -> None:
    wrong = {"naive_timezone": "Berlin"}
    ended = place.run(HEAD, ONE, **(wrong if where == "plain" else {"stream_overrides": {"x*": wrong}}))
    assert ended.code == 2
    assert "naive_timezone 'Berlin' is no time zone" in ended.err


def test_on_incomplete_publishes_a_stream_that_was_cut_short(place: Place) -> None:
    lines = [schema("s", {"id": KEY}, mark={"closes_with": "ACTIVATE_VERSION"}), record("s", id=1)]
    assert place.run(*lines).code == 1
    assert place.datasets() == []
    place.good(*lines, on_incomplete="publish")
    assert place.rows("s") == [{"id": 1}]
    assert "published though cut short" in place.summary("s")["notes"]


def test_max_row_drop_is_the_share_of_rows_that_may_go(place: Place) -> None:
    place.good(HEAD, ONE, TWO, activate("s", 1))
    fewer = [HEAD, activate("s", 2), ONE, activate("s", 2)]
    assert place.run(*fewer, max_row_drop=0.4).code == 1
    place.good(*fewer, max_row_drop=0.5)
    assert place.rows("s") == [{"id": 1, "n": "a"}]


def test_on_schema_change_may_freeze_the_columns(place: Place) -> None:
    place.good(HEAD, ONE)
    more = [schema("s", {"id": KEY, "n": STRING, "more": STRING}), record("s", id=1, n="a", more="b")]
    assert place.run(*more, on_schema_change="freeze").code == 1
    assert place.rows("s") == [{"id": 1, "n": "a"}]
    place.good(*more, on_schema_change="evolve")
    assert place.rows("s") == [{"id": 1, "n": "a", "more": "b"}]


@pytest.mark.parametrize("declared", [{"_sdc_deleted_at": MOMENT}, {}], ids=["declared", "in records only"])
def test_hard_delete_removes_marked_rows_or_keeps_them(place: Place, declared: dict[str, Any]) -> None:
    marked = record("s", id=1, _sdc_deleted_at="2026-01-01T00:00:00Z")
    lines = [schema("s", {"id": KEY, **declared}), marked, record("s", id=2)]
    place.good(*lines)
    assert [row["id"] for row in place.rows("s")] == [2]
    place.good(*lines, hard_delete=False, source="soft")
    assert [(row["id"], row["_sdc_deleted_at"] is None) for row in place.rows("soft_s")] == [
        (1, False),
        (2, True),
    ]


def test_stream_overrides_change_settings_of_streams_by_pattern(place: Place) -> None:
    overrides = {"event*": {"load_method": "append-only"}, "events_b": {"load_method": "overwrite"}}
    for value in (1, 2):
        lines = []
        for stream in ("events_a", "events_b", "orders"):
            head = schema(stream, {"id": KEY, "at": INTEGER}, bookmarks=["at"])
            lines += [head, record(stream, id=1, at=value), bookmark(stream, value)]
        place.good(*lines, stream_overrides=overrides)
    found = {name: place.frame(name)["at"].to_list() for name in place.datasets()}
    assert found == {"events_a": [1, 2], "events_b": [2], "orders": [2]}


Runs = list[tuple[str, ...]]
APPENDED: Runs = [(HEAD, ONE), (HEAD, TWO)]
DELETED: Runs = [(HEAD, record("s", id=1, _sdc_deleted_at="2026-01-01T00:00:00Z"), TWO)]
KEPT: dict[str, tuple[dict[str, Any], Runs, int, list[int]]] = {
    "load_method": ({"load_method": "append-only"}, APPENDED, 0, [1, 2]),
    "hard_delete": ({"hard_delete": False}, DELETED, 0, [1, 2]),
    "on_bad_record": ({"on_bad_record": "quarantine"}, [(HEAD, ONE, record("s", id="x"))], 0, [1]),
    "validate_records": ({"validate_records": True}, [(HEAD, ONE, record("s", id=2, n=5))], 1, []),
    "undeclared_fields": ({"undeclared_fields": "fail"}, [(HEAD, record("s", id=1, more=5))], 1, []),
    "on_schema_change": (
        {"on_schema_change": "freeze"},
        [(HEAD, ONE), (schema("s", {"id": KEY, "n": STRING, "more": STRING}), TWO)],
        1,
        [1],
    ),
}  # fmt: skip


@pytest.mark.parametrize("setting", KEPT)
def test_stream_overrides_leave_the_settings_that_they_do_not_name(place: Place, setting: str) -> None:
    plain, runs, code, ids = KEPT[setting]
    other = {"arrays": "json", "max_row_drop": 1}
    for lines in runs:
        ended = place.run(*lines, **plain, stream_overrides={"s": other, "*": {"split_depth": 1}})
    assert (ended.code, [row["id"] for row in place.rows("s")] if place.datasets() else []) == (code, ids)


def test_stream_overrides_of_several_patterns_add_up(place: Place) -> None:
    overrides = {"*": {"load_method": "append-only"}, "s": {"add_record_metadata": True}, "x": {}}
    for line in (ONE, TWO):
        place.good(HEAD, line, stream_overrides=overrides)
    assert [row["id"] for row in place.rows("s")] == [1, 2]
    assert "_sdc_sequence" in place.frame("s").columns


def test_stream_overrides_of_no_stream_are_told(place: Place) -> None:
    ended = place.good(HEAD, ONE, stream_overrides={"t": {"arrays": "json"}, "s*": {"arrays": "json"}})
    told = [line for line in ended.err.splitlines() if "and no such stream came" in line]
    assert [line.partition("| ")[2].count("'t'") for line in told] == [1]


def test_validate_records_refuses_what_breaks_the_schema(place: Place) -> None:
    lines = [schema("s", {"id": {"type": "integer", "maximum": 1}}), ONE, TWO]
    place.good(*lines, validate_records=False)
    ended = place.run(*lines, validate_records=True, source="strict")
    assert ended.code == 1
    assert "line 3: field 'id' is not what 'maximum' in its schema allows" in ended.err
    assert place.datasets() == ["s"]


def test_add_record_metadata_adds_columns(place: Place) -> None:
    place.good(HEAD, ONE, add_record_metadata=False)
    assert place.frame("s").columns == ["id", "n"]
    place.good(HEAD, ONE, add_record_metadata=True)
    assert len([name for name in place.frame("s").columns if name.startswith("_sdc_")]) == 7


def test_stream_maps_change_what_is_loaded(place: Place) -> None:
    place.good(HEAD, ONE, stream_maps={"s": {"n": "n + '!'"}})
    assert place.rows("s") == [{"id": 1, "n": "a!"}]


def test_stream_map_config_is_what_expressions_call_config(place: Place) -> None:
    place.good(HEAD, ONE, stream_maps={"s": {"n": "config['word']"}}, stream_map_config={"word": "w"})
    assert place.rows("s") == [{"id": 1, "n": "w"}]


def test_faker_config_seeds_what_expressions_make_up(place: Place) -> None:
    for source, seed in (("a", 1), ("b", 1), ("c", 2)):
        maps = {"s": {"n": "fake.name()"}}
        place.good(HEAD, ONE, stream_maps=maps, faker_config={"seed": seed}, source=source)
    a, b, c = (place.rows(f"{source}_s") for source in "abc")
    assert a == b != c


def by_environment(place: Place, **variables: str) -> Ended:
    env = {f"TARGET_LAKE_PARQUET_{name}": value for name, value in variables.items()}
    argv = ("target-lake-parquet", "--config", place.configured(source="file"), "--config", "ENV")
    return place.command(*argv, stdin=f"{HEAD}\n{ONE}\n", env=env)


def test_settings_may_come_from_the_environment(place: Place) -> None:
    ended = by_environment(
        place,
        SOURCE="env",
        SPLIT_DEPTH="1",
        MAX_ROW_DROP="0.5",
        VALIDATE_RECORDS="yes",
        ADD_RECORD_METADATA="1",
        HARD_DELETE="off",
        BATCH_ROOTS="a, b",
        STREAM_MAPS='{"s": {"n": "n + config[\'more\']"}}',
        STREAM_MAP_CONFIG='{"more": "!"}',
        LOGLEVEL="INFO",
    )
    assert ended.code == 0, ended.err
    assert (place.datasets(), place.frame("env_s")["n"].to_list()) == (["env_s"], ["a!"])
    assert "_sdc_sequence" in place.frame("env_s").columns


def test_settings_may_come_from_the_environment_alone(place: Place) -> None:
    env = {"TARGET_LAKE_PARQUET_LAKE_ROOT": str(place.root)}
    ended = place.command("target-lake-parquet", "--config", "ENV", stdin=f"{HEAD}\n{ONE}\n", env=env)
    assert (ended.code, place.datasets()) == (0, ["s"]), ended.err


def test_an_empty_environment_variable_sets_nothing(place: Place) -> None:
    ended = by_environment(place, **{name.upper(): "" for name in SETTINGS["properties"]})
    assert ended.code == 0, ended.err
    assert place.rows("file_s") == [{"id": 1, "n": "a"}]


def test_an_empty_tenant_column_leaves_it_out_in_the_environment_too(place: Place) -> None:
    ended = by_environment(place, TENANT_ID="acme", TENANT_COLUMN="")
    assert ended.code == 0, ended.err
    assert place.rows("acme_file_s") == [{"id": 1, "n": "a"}]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SPLIT_DEPTH", "x", "the environment variable TARGET_LAKE_PARQUET_SPLIT_DEPTH is no integer"),
        ("SPLIT_DEPTH", "1.5", "1.5 is not of type 'integer', 'null'"),
        ("MAX_ROW_DROP", "a half", "TARGET_LAKE_PARQUET_MAX_ROW_DROP is no number"),
        ("HARD_DELETE", "nein", "TARGET_LAKE_PARQUET_HARD_DELETE is no boolean"),
        ("STREAM_MAPS", "={", "TARGET_LAKE_PARQUET_STREAM_MAPS is no JSON object"),
        ("BATCH_ROOTS", '["/tmp"', "TARGET_LAKE_PARQUET_BATCH_ROOTS is no JSON array"),
        ("STREAM_MAPS", "[" * 3000, "TARGET_LAKE_PARQUET_STREAM_MAPS is no JSON object"),
        ("TENANT_ID", "\udcff", "the environment variable TARGET_LAKE_PARQUET_TENANT_ID is not UTF-8"),
        ("LAKE_ROOT", "caf\udce9", "TARGET_LAKE_PARQUET_LAKE_ROOT is not UTF-8"),
        ("LOGLEVEL", "WOBBLE", "logging cannot be set up (ValueError: Unknown level: 'WOBBLE')"),
        ("LOAD_METHD", "upsert", "TARGET_LAKE_PARQUET_LOAD_METHD: there is no setting 'load_methd': did you"),
    ],
)
def test_an_environment_variable_that_says_nothing_of_use_is_wrong_usage(
    place: Place, name: str, value: str, message: str
) -> None:
    ended = by_environment(place, **{name: value})
    assert (ended.code, place.datasets()) == (2, [])
    assert_clear(ended.err)
    assert message in ended.err


@pytest.mark.parametrize("name", ["MELTANO_EXTRACTOR_NAME", "MELTANO_EXTRACT__LOAD_SCHEMA"])
def test_what_meltano_says_in_no_utf_8_is_wrong_usage(place: Place, name: str) -> None:
    ended = place.run(HEAD, ONE, env={name: "\udcff"})
    assert (ended.code, place.datasets()) == (2, [])
    assert_clear(ended.err)
    assert f"the environment variable {name} is not UTF-8" in ended.err


@pytest.mark.parametrize("unset", ["", None])
def test_empty_strings_and_nulls_are_unset(place: Place, unset: str | None) -> None:
    """A tenant's column apart: empty, it is left out."""
    names = SETTINGS["properties"].keys() - {"lake_root", "tenant_column"}
    ended = place.good(HEAD, ONE, **dict.fromkeys(names, unset))
    assert place.rows("s") == [{"id": 1, "n": "a"}]
    assert "has no effect" not in ended.err
    overrides = {"s": dict.fromkeys(StreamSettings.__dataclass_fields__, unset)}
    place.good(HEAD, TWO, load_method="append-only", stream_overrides=overrides, tenant_column=unset)
    assert [row["id"] for row in place.rows("s")] == [1, 2]


def test_whole_numbers_may_be_written_with_a_point(place: Place) -> None:
    place.good(
        HEAD, ONE, row_group_rows=10.0, checkpoint_mb=1e2, stream_overrides={"s": {"split_depth": 1.0}}
    )
    assert place.rows("s") == [{"id": 1, "n": "a"}]


def test_settings_of_other_targets_are_told(place: Place) -> None:
    assert unknown_settings(["lake_root", "batch_size_rows"]) == ["batch_size_rows"]
    assert "The setting batch_size_rows has no effect here" in place.good(HEAD, ONE, batch_size_rows=5).err


@pytest.mark.parametrize("name", ["_sdc_deleted_at", "_SDC_x", "_position", "_parent_id", "*", "^a", "a\nb"])
def test_tenant_column_that_is_another_s_name_is_wrong_usage(place: Place, name: str) -> None:
    ended = place.run(HEAD, ONE, tenant_id="acme", tenant_column=name)
    assert (ended.code, place.datasets()) == (2, [])
    assert_clear(ended.err)
    assert f"tenant_column {name!r} is a name that the target gives itself, or changes" in ended.err


def test_single_writer_lets_a_store_be_used_that_replaces_files(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with servers.moto() as server, proxy(server.endpoint) as forgetful:
        forgetful.faults.forgets_conditions = True
        env = servers.environment(forgetful.endpoint) | {"TMPDIR": str(tmp_path)}
        root = server.url()
        refused = place.run(HEAD, ONE, env=env, lake_root=root)
        assert refused.code == 1
        assert "set single_writer to true and never run two at once" in refused.err
        for lines in ((HEAD, ONE), (HEAD, ONE, TWO)):
            ended = place.run(*lines, env=env, lake_root=root, single_writer=True)
            assert ended.code == 0, ended.err
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        assert Lake(root).latest("s").collect()["n"].to_list() == ["a", "b"]


@pytest.mark.parametrize(("names", "rows"), [(("s", "s*"), [2]), (("s*", "s"), [1, 2])])
def test_of_several_overrides_the_last_one_wins(
    place: Place, names: tuple[str, str], rows: list[int]
) -> None:
    methods = ({"load_method": "append-only"}, {"load_method": "overwrite"})
    by_name = dict(zip(("s", "s*"), methods, strict=True))
    for line in (ONE, TWO):
        place.good(HEAD, line, stream_overrides={name: by_name[name] for name in names})
    assert [row["id"] for row in place.rows("s")] == rows
