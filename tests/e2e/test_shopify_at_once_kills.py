"""SIGKILL at every request of a first load that is read in several places at once: nothing lost or doubled.

The bookmarks in between are put to use: the target prints each as soon as its rows are safe.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.shopify_pipe import Pipe
from tests.emulators.shopify import ShopifyServer, TokenBucket
from tests.taps.conftest import TOKEN

TABLES = ("customers", "orders")
STAGES = ("asked", "answered")


@pytest.fixture
def shop() -> Iterator[ShopifyServer]:
    bucket = TokenBucket(100_000, 50_000)
    with ShopifyServer(token=TOKEN, orders=60, customers=20, products=4, bucket=bucket) as running:
        yield running


def loaded_after_a_kill(shop: ShopifyServer, folder: Path, kill_at: int, stage: str) -> int:
    """Load from nothing, killed once; return how many requests were made before that."""
    settings = {"bulk": "never", "page_size": 3}
    pipe = Pipe(folder / f"{stage}-{kill_at}", [shop], TABLES, settings, {"checkpoint_seconds": 0})
    made = pipe.run(kill_at, stage, meanwhile=lambda: shop.store.touch_orders(3))
    pipe.run()
    pipe.assert_whole()
    shutil.rmtree(pipe.folder)
    return made


def test_a_load_killed_while_it_reads_at_once_is_taken_up_without_loss(
    shop: ShopifyServer, tmp_path: Path
) -> None:
    """The long form below takes all requests; here two, one before and one after the answer."""
    for kill_at, stage in zip((12, 24), STAGES, strict=True):
        assert loaded_after_a_kill(shop, tmp_path, kill_at, stage) >= kill_at


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_load_killed_at_any_request_is_taken_up_without_loss(
    shop: ShopifyServer, tmp_path: Path, stage: str
) -> None:
    kill_at = 1
    while loaded_after_a_kill(shop, tmp_path, kill_at, stage) >= kill_at:
        kill_at += 1

    assert kill_at > 40
