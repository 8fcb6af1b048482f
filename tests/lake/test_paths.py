"""Every name in the lake, as exact strings."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake_parquet import paths

DATASETS = [
    (("acme", "shopify", "orders", None), "acme_shopify_orders"),
    ((None, "shopify", "orders", None), "shopify_orders"),
    ((None, None, "orders", None), "orders"),
    (("acme", None, "orders", None), "acme_orders"),
    (("acme", "shopify", "orders", "line_items"), "acme_shopify_orders__line_items"),
    (("acme", "shopify", "orders", "line_items__taxes"), "acme_shopify_orders__line_items__taxes"),
    ((None, None, "public-Weird Name", None), "public-Weird_Name"),
    ((None, None, "../../etc/x", None), "etc_x"),
    (("../up", None, "/abs", None), "up__abs"),
    ((None, None, "..", None), "stream"),
    ((None, None, "", None), "stream"),
    ((None, None, ".hidden", None), "hidden"),
    ((None, None, "_private", None), "private"),
    ((None, None, "-flag", None), "flag"),
    ((None, None, "con", None), "con_"),
    ((None, None, "LPT1", None), "LPT1_"),
    ((None, None, "a\nb\0c", None), "a_b_c"),
    ((None, None, "a:b*c?", None), "a_b_c_"),
    ((None, None, "ümläut", None), "ml_ut"),
    ((None, None, "orders", "../x"), "orders_____x"),
]


@pytest.mark.parametrize(("parts", "name"), DATASETS)
def test_a_dataset_is_named_by_tenant_source_stream_and_child(
    parts: tuple[str | None, str | None, str, str | None], name: str
) -> None:
    assert paths.dataset_name(*parts) == name


def test_a_long_name_is_cut_and_marked_by_its_whole() -> None:
    one, other = (paths.dataset_name("acme", None, "x" * 300 + end) for end in "ab")
    assert one != other
    assert {len(one), len(other)} == {paths.MAX_NAME}


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=400), st.none() | st.text(max_size=400))
def test_no_name_leaves_its_folder_or_hides_from_readers(
    tenant: str, source: str, stream: str, child: str | None
) -> None:
    name = paths.dataset_name(tenant, source, stream, child)
    assert name
    assert set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
    assert name[0] not in "_-"
    assert len(name) <= paths.MAX_NAME


NOON = datetime(2026, 11, 23, 12, 0, 0, 42, tzinfo=UTC)


def test_a_snapshot_is_named_after_its_moment_in_utc() -> None:
    assert paths.snapshot_name(NOON) == "20261123T120000000042Z.parquet"
    assert (
        paths.snapshot_name(NOON.astimezone(timezone(timedelta(hours=5)))) == "20261123T120000000042Z.parquet"
    )


def test_a_name_is_never_behind_the_newest_one() -> None:
    newest = paths.snapshot_name(NOON)
    assert paths.snapshot_name(NOON - timedelta(hours=1), newest) == "20261123T120000000043Z.parquet"
    assert paths.snapshot_name(NOON, newest) == "20261123T120000000043Z.parquet"
    later = NOON + timedelta(seconds=1)
    assert paths.snapshot_name(later, newest) == "20261123T120001000042Z.parquet"


MOMENTS = st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - made aware


@given(MOMENTS, MOMENTS)
def test_names_sort_as_their_moments_and_read_back(one: datetime, other: datetime) -> None:
    names = paths.snapshot_name(one), paths.snapshot_name(other)
    assert (names[0] < names[1]) == (one < other)
    assert paths.snapshot_moment(names[0]) == one
    assert paths.is_snapshot(names[0])


@pytest.mark.parametrize(
    "name",
    [
        "20261123T120000Z.parquet",
        ".20261123T120000000042Z.parquet",
        "20261123T120000000042Z.parquet.tmp",
        "x.parquet",
    ],
)
def test_other_files_are_no_snapshots(name: str) -> None:
    assert not paths.is_snapshot(name)


def test_runs_and_snapshots_stand_where_the_format_says() -> None:
    assert (
        paths.snapshot_path("a_b", "20261123T120000000042Z.parquet")
        == "raw/a_b/20261123T120000000042Z.parquet"
    )
    assert paths.run_id(NOON, "c0ffee") == "20261123T120000000042Z-c0ffee"
    assert (paths.RAW, paths.RUNS, paths.STAGING, paths.INCOMPLETE) == (
        "raw",
        "_meta/runs",
        ".staging",
        ".incomplete",
    )
