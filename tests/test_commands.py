"""The commands of the Makefile, as a new user types them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_demo_starts_clean_and_shows_what_changed(tmp_path: Path) -> None:
    """Neither an earlier demo nor what the user has set for shops of their own leads it astray."""
    folder = tmp_path / "a demo"
    (folder / "meltano").mkdir(parents=True)
    (folder / "meltano/meltano.db").write_text("left by an earlier demo")
    (folder / "lake/raw/left").mkdir(parents=True)
    mine = {
        "SHOPIFY_SHOP_DOMAIN": "mine",
        "SHOPIFY_ACCESS_TOKEN": "x",
        "TAP_SHOPIFY_START_DATE": "2999-01-01",
    }
    mine |= {"MELTANO_DATABASE_URI": f"sqlite:///{tmp_path}/mine.db", "NO_COLOR": "1"}
    run = subprocess.run(
        [sys.executable, ROOT / "scripts/demo.py", folder],
        env=os.environ | mine,
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    shown = re.sub(r" +", " ", run.stdout)
    assert "acme_shopify_orders published shopify_api 500 500 500 0" in shown
    assert re.search(r"acme_shopify_orders published shopify_api 502 \d+ 2 3\n", shown)
    assert re.search(r"acme_shopify_customers unchanged shopify_api 40 \d+ 0 0\n", shown)
    assert "502 orders, 5 of them new or changed" in shown
    assert not (tmp_path / "mine.db").exists()
    assert not (folder / "lake/raw/left").exists()


def test_without_a_python_that_is_new_enough_set_up_says_so(tmp_path: Path) -> None:
    checkout, tools = tmp_path / "a checkout", tmp_path / "bin"
    checkout.mkdir()
    tools.mkdir()
    for name in ("Makefile", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, checkout)
    for member in ROOT.glob("t*/**/pyproject.toml"):
        (checkout / member.relative_to(ROOT).parent).mkdir(parents=True)
        shutil.copy(member, checkout / member.relative_to(ROOT))
    for name in ("make", "bash", "sed", "sh", "test"):
        (tools / name).symlink_to(str(shutil.which(name)))
    run = subprocess.run(
        ["make", "setup"], cwd=checkout, env={"PATH": str(tools)}, check=False, capture_output=True, text=True
    )
    assert run.returncode != 0
    assert "Python 3.11 or newer is needed and was not found on PATH" in run.stderr
    assert not (checkout / ".venv").exists()
