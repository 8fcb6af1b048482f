"""`docs/lake-command.md` and the command agree, on a terminal and in a pipe a large lake stays readable."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import click
import polars as pl
import pytest
import yaml

from lake_parquet.cli import main
from lake_parquet.footer import Owner, SnapshotInfo
from lake_parquet.health import ALARMS, KINDS

ROOT = Path(__file__).resolve().parents[2]
DOCS = (ROOT / "docs/lake-command.md").read_text()
LAKE = str(Path(sys.executable).parent / "lake")
EVERYWHERE = {"--lake", "--json"}


def test_the_docs_list_every_command_with_its_options() -> None:
    rows = re.findall(r"^\| `lake (\w+)` \| (.*?) \| (.*?) \|$", DOCS, re.MULTILINE)
    documented = {name: (text, set(re.findall(r"--[a-z-]+", options))) for name, text, options in rows}
    declared = {}
    for name, command in main.commands.items():
        options = {option for one in command.params if isinstance(one, click.Option) for option in one.opts}
        assert options >= EVERYWHERE
        declared[name] = (command.get_short_help_str(limit=100), options - EVERYWHERE)
    assert documented == declared


def test_the_help_shows_each_command_in_one_whole_line() -> None:
    for command in main.commands.values():
        assert not command.get_short_help_str(limit=60).endswith("...")


def test_the_docs_list_every_note() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (yes)? ?\| (.*?) \|$", DOCS, re.MULTILINE)
    assert [(name, bool(alarm), text) for name, alarm, text in rows] == [
        (kind, kind in ALARMS, text) for kind, text in KINDS.items()
    ]


def test_commands_in_readme_and_meltano_are_ones_that_the_command_takes() -> None:
    text = (ROOT / "README.md").read_text() + DOCS
    for name, options in re.findall(r"^ +(?:.*bin/)?lake (\w+)(.*)$", text, re.MULTILINE):
        used = set(re.findall(r"(?<= )--[a-z-]+", options.partition("#")[0]))
        assert used <= {option for one in main.commands[name].params for option in one.opts}
    (lake,) = yaml.safe_load((ROOT / "meltano.yml").read_text())["plugins"]["utilities"]
    for command in lake["commands"].values():
        name, *arguments = command["args"].split()
        assert main.commands[name].make_context(name, arguments).params["pattern"] == "*"


def shown(*argv: str, columns: int = 100, **environment: str) -> str:
    """What a command prints on a terminal."""
    ours, theirs = pty.openpty()
    env = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "TERM": "xterm",
        "COLUMNS": str(columns),
        **environment,
    }
    process = subprocess.Popen([LAKE, *argv], stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    output = b""
    try:
        while block := os.read(ours, 1 << 16):
            output += block
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.wait() == 0, output
    return output.decode().replace("\r\n", "\n")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of 300 datasets of 30 shops, the last one of them with made-up rows."""
    root = tmp_path_factory.mktemp("lake")
    for number in range(300):
        shop = f"shop{number // 10:02d}"
        info = SnapshotInfo(
            run_id="r",
            owner=Owner(f"s{number % 10}", shop, "pg"),
            created_at="2999-01-01T00:00:00Z",
            load_method="overwrite",
            row_count=1,
            origin="stub" if number == 299 else None,
        )
        folder = root / "raw" / f"{shop}_pg_s{number % 10}"
        folder.mkdir(parents=True)
        pl.DataFrame({"id": [1]}).write_parquet(
            folder / "20260101T000000000000Z.parquet", metadata=info.to_metadata()
        )
    return root


def test_a_terminal_shows_the_odd_ones_of_a_large_lake_first_and_says_how_many_more(large: Path) -> None:
    lines = shown("ls", "--lake", str(large), columns=80, NO_COLOR="1").splitlines()
    assert " 300 datasets, 300 rows, " in lines[0] + lines[1]
    table = [line.split()[0] for line in lines if re.match(r"  shop\d\d_pg_s\d ", line)]
    assert (table[0], len(table)) == ("shop29_pg_s9", 60)
    assert "... and 240 more: lake ls 'PATTERN' picks some, --all lists them all." in lines
    assert "stub: shop29_pg_s9: the rows are made up: set the tap's credentials" in lines
    assert len(lines) < 100
    colour = re.compile(r"\x1b\[(\d;)?3\dm")
    assert not colour.search("".join(lines))
    assert colour.search(shown("ls", "shop29*", "--lake", str(large)))


def test_a_pipe_gets_every_dataset_a_line(large: Path) -> None:
    run = subprocess.run([LAKE, "ls", "--lake", large], check=True, capture_output=True, text=True)
    lines = run.stdout.splitlines()
    assert len(lines) == 301
    assert re.fullmatch(r"shop29_pg_s9 +1  █      - +\d+ B     1  0 s  pg_stub  stub", lines[1])
    assert {len(line.split("  ")[0]) for line in lines[1:]} == {len("shop29_pg_s9")}


def test_a_shell_completes_commands_and_datasets(large: Path) -> None:
    def completed(words: str, position: int) -> list[str]:
        env = os.environ | {
            "_LAKE_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(position),
            "LAKE_ROOT": str(large),
        }
        run = subprocess.run([LAKE], env=env, check=True, capture_output=True, text=True)
        return [line.removeprefix("plain,") for line in run.stdout.splitlines()]

    assert completed("lake pr", 1) == ["prune"]
    assert completed("lake show shop29_pg_s", 2) == [f"shop29_pg_s{number}" for number in range(10)]
    assert completed("lake show ../", 2) == [""]


@pytest.fixture
def family(tmp_path: Path) -> Path:
    """A stream with three children, one of them with made-up rows, and a name of 45 characters."""
    for name in ("", "__lines", "__lines__taxes_and_other_duties_of_a_line", "__refunds"):
        info = SnapshotInfo(
            run_id="r",
            owner=Owner("orders", "acme", "shop", name.removeprefix("__") or None),
            created_at="2999-01-01T00:00:00Z",
            load_method="overwrite",
            row_count=2,
            origin="stub" if name == "__refunds" else None,
        )
        folder = tmp_path / "raw" / f"acme_shop_orders{name}"
        folder.mkdir(parents=True)
        pl.DataFrame({"id": [1, 2]}).write_parquet(
            folder / "20260101T000000000000Z.parquet", metadata=info.to_metadata()
        )
    return tmp_path


def table(root: Path, *argv: str, columns: int) -> list[list[str]]:
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown("ls", "--lake", str(root), *argv, columns=columns))
    lines = [re.sub(r"\d+ B ", "500 B ", line) for line in text.splitlines()]
    return [re.split("  +", line.strip()) for line in lines if re.match(" *(dataset|acme_shop_orders)", line)]


def test_children_stand_in_their_parents_row_unless_they_are_odd_or_asked_for(family: Path) -> None:
    assert table(family, columns=120)[1:] == [
        ["acme_shop_orders__refunds", "2", "█", "-", "500 B", "1", "0 s", "stub"],
        ["acme_shop_orders", "2", "█", "-", "500 B", "1", "0 s", "+2 tables (4 rows)"],
    ]
    assert len(table(family, "--all", columns=120)) == 5


def test_a_narrow_terminal_leaves_out_columns_and_cuts_no_name(family: Path) -> None:
    long = "acme_shop_orders__lines__taxes_and_other_duties_of_a_line"
    assert [row for row in table(family, "--all", columns=80) if row[0] in ("dataset", long)] == [
        ["dataset", "rows", "age", "notes"],
        [long, "2", "0 s"],
    ]
