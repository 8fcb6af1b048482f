"""SIGKILL at every request of an incremental run, resumed from the last state: nothing lost, nothing twice.

Real processes on a real pipe: the tap, the target, a lake on disk, and a shop that changes as the tap dies.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.shopify_pipe import Pipe
from tests.emulators.shopify import ShopifyServer, TokenBucket
from tests.taps.conftest import TOKEN

TABLES = ("customers", "orders", "products")
STAGES = ("asked", "answered")


@pytest.fixture(scope="module")
def shop() -> Iterator[ShopifyServer]:
    bucket = TokenBucket(100_000, 50_000)
    with ShopifyServer(token=TOKEN, orders=12, customers=6, products=4, bucket=bucket) as running:
        yield running


@pytest.fixture(scope="module")
def loaded(shop: ShopifyServer, tmp_path_factory: pytest.TempPathFactory) -> Pipe:
    """A lake after the first load, and a shop where much has changed since."""
    pipe = Pipe(tmp_path_factory.mktemp("loaded"), [shop], TABLES)
    pipe.run()
    pipe.assert_whole()
    for _ in range(2):
        shop.store.touch_customers(2)
        shop.store.advance(300)
        shop.store.touch_orders(3)
        shop.store.touch_products(2)
        shop.store.add_order()
        shop.store.advance(300)
    return pipe


@pytest.fixture(scope="module")
def requests_of_a_run(loaded: Pipe, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many requests the incremental run makes when nobody kills it."""
    pipe = loaded.copy(tmp_path_factory.mktemp("whole") / "pipe")
    made = pipe.run()
    pipe.assert_whole()
    return made


def killed_and_resumed(loaded: Pipe, folder: Path, kill_at: int, stage: str) -> None:
    pipe = loaded.copy(folder / f"{stage}-{kill_at}")
    pipe.run(kill_at, stage, meanwhile=lambda: pipe.shops[0].store.touch_orders(1))
    pipe.run()
    pipe.assert_whole()
    shutil.rmtree(pipe.folder)


def test_a_run_killed_at_some_requests_is_taken_up_without_loss(
    loaded: Pipe, requests_of_a_run: int, tmp_path: Path
) -> None:
    """The long form below takes them all; here two, one before and one after the answer."""
    assert requests_of_a_run > 8
    for kill_at, stage in zip((requests_of_a_run // 3, requests_of_a_run * 2 // 3), STAGES, strict=True):
        killed_and_resumed(loaded, tmp_path, kill_at, stage)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_run_killed_at_any_request_is_taken_up_without_loss(
    loaded: Pipe, requests_of_a_run: int, tmp_path: Path, stage: str
) -> None:
    for kill_at in range(1, requests_of_a_run + 1):
        killed_and_resumed(loaded, tmp_path, kill_at, stage)


@pytest.mark.slow
def test_runs_that_all_die_but_the_last_add_up_to_one(loaded: Pipe, tmp_path: Path) -> None:
    """Each gets one request further than the one before."""
    pipe = loaded.copy(tmp_path / "pipe")
    kill_at = 1
    while pipe.run(kill_at, meanwhile=lambda: pipe.shops[0].store.touch_orders(1)) >= kill_at:
        kill_at += 1

    assert kill_at > 5
    pipe.assert_whole()
