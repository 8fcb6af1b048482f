"""The rooms stay rooms: who reads stdin, writes stdout, opens Parquet, imports whom, and how long it gets."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "target-lake-parquet"
ROOMS = {
    f"{path.parent.name}.{path.stem}": ast.parse(path.read_text(encoding="utf-8"))
    for package in ("lake_parquet", "target_lake_parquet")
    for path in sorted((HOUSE / package).glob("*.py"))
}
LAKE = {room for room in ROOMS if room.startswith("lake_parquet.")}

MAX_MODULE_LINES, MAX_FUNCTION_LINES = 400, 50
LONG_MODULES: dict[str, str] = {
    "tap_shopify.streams": "a table: a few lines for each of 57 streams",
}
"""Room -> why it may be longer."""
LONG_FUNCTIONS: dict[str, str] = {}
"""`room.function` -> why it may be longer."""


def names(tree: ast.AST) -> Iterator[str]:
    """Every dotted name that a module speaks: `sys.stdin.buffer` gives itself, `sys.stdin` and `sys`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            yield dotted(node)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def dotted(node: ast.expr) -> str:
    """The last names of a chain: `pl.scan_parquet`, or `.scan_parquet` below a call."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def rooms_that_say(*words: str, prefix: bool = False) -> set[str]:
    """The rooms where a name ends in one of `words` (or begins so)."""

    def matches(name: str, word: str) -> bool:
        return name.startswith(word) if prefix else name == word or name.endswith(f".{word}")

    return {
        room
        for room, tree in ROOMS.items()
        if any(matches(name, word) for name in names(tree) for word in words)
    }


def test_the_check_sees_what_it_looks_for() -> None:
    tree = ast.parse(
        "import pyarrow.parquet as pq\nfrom os import link\nsys.stdin.buffer.read()\nf(x).rename('a')"
    )
    found = set(names(tree))
    assert {"pyarrow.parquet", "os.link", "sys.stdin.buffer.read", ".rename"} <= found


def test_only_the_entry_takes_stdin() -> None:
    """`messages` reads what the entry hands it."""
    assert rooms_that_say("stdin", "stdin.buffer", "input") == {"target_lake_parquet.target"}
    assert rooms_that_say("cmd.Cmd") == {"lake_parquet.shell"}


def test_only_state_writes_stdout_but_for_the_lake_command() -> None:
    assert rooms_that_say("stdout", "stdout.buffer", "stdout.fileno") == {
        "target_lake_parquet.state",
        "lake_parquet.render",
    }
    assert rooms_that_say("print") - rooms_that_say("console.print", "_console.print") == set()


PARQUET = (
    "scan_parquet",
    "read_parquet",
    "sink_parquet",
    "write_parquet",
    "read_metadata",
    "ParquetWriter",
    "ParquetFile",
)


def test_only_the_lake_opens_parquet() -> None:
    assert rooms_that_say(*PARQUET) <= LAKE
    assert rooms_that_say("pyarrow.parquet") <= LAKE
    assert rooms_that_say(*PARQUET) != set()


def test_only_files_gives_files_their_names() -> None:
    assert rooms_that_say("rename", "renames", "link", "symlink", "hardlink_to") == {"lake_parquet.files"}
    replaced = {
        room
        for room, tree in ROOMS.items()
        if any(n in ("os.replace", "temporary.replace") for n in names(tree))
    }
    assert replaced <= {"lake_parquet.files"}
    assert rooms_that_say("rmtree") <= {"lake_parquet.staging", "lake_parquet.deadruns"}


def test_the_lake_knows_no_target() -> None:
    imports = {name for room in LAKE for name in names(ROOMS[room])}
    assert not {name for name in imports if name.startswith(("target_lake_parquet", "singer_sdk"))}


PURE = [
    "lake_parquet.column_types",
    "lake_parquet.conform",
    "lake_parquet.evolution",
    "lake_parquet.family",
    "lake_parquet.health",
    "lake_parquet.merge",
    "lake_parquet.names",
    "lake_parquet.outcome",
    "lake_parquet.paths",
    "lake_parquet.policy",
    "lake_parquet.readable",
    "lake_parquet.when",
    "lake_parquet.widen",
    "target_lake_parquet.blocks",
    "target_lake_parquet.mark",
    "target_lake_parquet.noticed",
    "target_lake_parquet.two_names",
    "target_lake_parquet.whole_lines",
    "target_lake_parquet.caps",
    "target_lake_parquet.columns",
    "target_lake_parquet.dates",
    "target_lake_parquet.decode",
    "target_lake_parquet.fast",
    "target_lake_parquet.heads",
    "target_lake_parquet.jsonschema_shapes",
    "target_lake_parquet.lines",
    "target_lake_parquet.metadata",
    "target_lake_parquet.picked",
    "target_lake_parquet.places",
    "target_lake_parquet.suspects",
    "target_lake_parquet.proof",
    "target_lake_parquet.unreadable",
    "target_lake_parquet.validation",
    "target_lake_parquet.validation_cost",
    "target_lake_parquet.values",
]


@pytest.mark.parametrize("room", PURE)
def test_a_pure_room_touches_neither_files_nor_environment_nor_clock(room: str) -> None:
    effects = ("os.", "sys.", "shutil.", "logging.", "pathlib.Path", "time.", "secrets.", "random.")
    said = {
        name
        for name in names(ROOMS[room])
        if name.startswith(effects) or name in ("open", "os", "sys", "logging")
    }
    said |= {
        name for name in names(ROOMS[room]) if name.endswith(("datetime.now", "date.today", ".write_text"))
    }
    assert said == set()


def test_imports_run_one_way() -> None:
    command = Path(sys.executable).parent / "lint-imports"
    ended = subprocess.run([command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout


def lengths(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_module_and_no_function_grows_past_what_one_reads_at_once() -> None:
    """Those of the target and of the taps."""
    texts = {
        f"{path.parent.name}.{path.stem}": path.read_text(encoding="utf-8")
        for path in (*HOUSE.glob("*/*.py"), *ROOT.glob("taps/*/*/*.py"))
    }
    sizes = {room: len(text.splitlines()) for room, text in texts.items()}
    assert {room for room, size in sizes.items() if size > MAX_MODULE_LINES} == set(LONG_MODULES)
    long = {
        f"{room}.{name}"
        for room, text in texts.items()
        for name, n in lengths(ast.parse(text))
        if n > MAX_FUNCTION_LINES
    }
    assert long == set(LONG_FUNCTIONS)


def test_every_room_says_in_its_first_line_what_it_is() -> None:
    bare = [room for room, tree in ROOMS.items() if not ast.get_docstring(tree)]
    assert bare == []
