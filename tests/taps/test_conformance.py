"""Every tap in `taps/` is held to docs/tap-contract.md; a new tap needs no line here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from singer_sdk.testing import get_tap_test_class
from singer_sdk.testing.templates import AttributeTestTemplate

from scripts import settings_tables
from tap_common.stream import DELETED_AT
from tap_common.testing import CHECKS, TapUnderTest, discover, failures, stale
from tests.taps.waivers import WAIVERS

ROOT = Path(__file__).resolve().parent.parent.parent
TAPS = discover(ROOT / "taps")


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("tap", TAPS, ids=lambda tap: tap.name)
def test_every_tap_keeps_the_contract(tap: TapUnderTest, check: str) -> None:
    assert failures(tap, check, WAIVERS) == []


def test_waivers_are_about_taps_and_checks_that_exist() -> None:
    assert stale(WAIVERS, TAPS) == []


def test_the_contract_names_every_check() -> None:
    text = (ROOT / "docs" / "tap-contract.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\[([a-z_, ]+)\]", text))
    checks = {name for group in named for name in group.split(", ")}

    assert checks == {*CHECKS, "settings_table", "sdk"}


def test_a_waiver_that_nothing_needs_fails() -> None:
    tap = TAPS[0]

    assert failures(tap, "files", {(tap.name, "files"): "old times"}) == [
        f"the waiver of files for {tap.name} is no longer needed: remove it"
    ]
    assert stale({("tap-gone", "files"): "it left"}, TAPS) == ["waiver tap-gone/files"]


def test_a_tap_that_breaks_the_contract_is_caught(tmp_path: Path) -> None:
    (tmp_path / "tap-broken" / "tap_broken").mkdir(parents=True)

    (broken,) = discover(tmp_path)

    assert "README.md is missing" in failures(broken, "files", {})
    assert "tap_broken/streams.py is missing" in failures(broken, "files", {})


def test_settings_tables_are_the_generated_ones() -> None:
    places = sorted((ROOT / "taps").glob("*/README.md"))
    texts = {path: path.read_text(encoding="utf-8") for path in places}

    assert {path for path, text in texts.items() if not settings_tables.BLOCK.search(text)} == set()
    assert {path for path, text in texts.items() if settings_tables.rewritten(text) != text} == set()


@pytest.fixture(autouse=True)
def each_attribute_by_its_own_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK caches them on one test object for all attributes: whichever's come first stand for all."""
    cached = vars(AttributeTestTemplate)["non_null_attribute_values"]
    monkeypatch.setattr(AttributeTestTemplate, "non_null_attribute_values", property(cached.func))


# The SDK's own suite, on each tap's stub rows. One of its tests wants a STATE, which stub rows must not give;
# others warn of a column no row holds: no stub row was deleted. The first filter names that column only:
# another without a value fails there.
_NOTHING_DELETED = pytest.mark.filterwarnings(
    rf"ignore:Fields in transformed catalog .*\(\{{'{DELETED_AT}'\}}\)$",
    "ignore:No records were available to test",
)
for _tap in TAPS:
    _suite = get_tap_test_class(_tap.tap_class, config={})
    delattr(_suite, "test_tap_valid_final_state")
    globals()[f"TestSdk{_tap.name.title().replace('-', '')}"] = _NOTHING_DELETED(_suite)
