"""The project's own files agree with each other: pins, commands, Meltano's plugins, the type table."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from target_lake_parquet import columns

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
MELTANO = yaml.safe_load((ROOT / "meltano.yml").read_text())
PLUGINS = [plugin for kind in MELTANO["plugins"].values() for plugin in kind]
OURS = [plugin for plugin in PLUGINS if "MELTANO_PROJECT_ROOT" in plugin.get("pip_url", "")]


def output(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


def pins() -> list[str]:
    return (ROOT / "constraints.txt").read_text().splitlines()


def test_constraints_are_plain_pins_in_order() -> None:
    """Nothing but `name==version`: a host or a path would tie them to one machine."""
    assert [line for line in pins() if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)] == []
    assert pins() == sorted(pins())


def test_constraints_pin_all_that_is_installed() -> None:
    """A newer Python may need fewer packages; setuptools comes with a Python, in a version of its own."""
    freeze = output(BIN / "uv", "pip", "freeze", "--python", sys.executable, "--exclude-editable")
    installed = {line for line in freeze.split() if not line.startswith("setuptools==")}
    assert installed - set(pins()) == set()
    if sys.version_info < (3, 12):
        assert set(pins()) - installed == set()


def test_the_dead_twin_of_python_backoff_is_not_installed() -> None:
    """Both are imported as `backoff`: the one that was installed last would win."""
    names = {line.split("==")[0].lower() for line in pins()}
    assert "python-backoff" in names
    assert "backoff" not in names


def test_every_library_of_a_distribution_has_a_decision() -> None:
    records = "".join(file.read_text() for file in DECISIONS).lower()
    members = [ROOT / "target-lake-parquet", *(ROOT / "taps").iterdir()]
    projects = [tomllib.loads((member / "pyproject.toml").read_text())["project"] for member in members]
    wanted = [one for project in projects for one in project["dependencies"]]
    extras = [project.get("optional-dependencies", {}).values() for project in projects]
    wanted += [one for of_project in extras for extra in of_project for one in extra]
    names = {re.split(r"[\[<>=]", one)[0] for one in wanted}
    assert {"polars", "obstore", "duckdb"} < names
    assert {name for name in names if name not in records and not name.startswith("singerlake-")} == set()


def test_each_decision_has_a_number_of_its_own() -> None:
    numbers = [file.name[:4] for file in DECISIONS]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
    titles = [file.read_text().splitlines()[0] for file in DECISIONS]
    assert [title[:8] for title in titles] == [f"# {number}: " for number in numbers]


def test_every_command_of_make_says_what_it_does() -> None:
    listed = re.findall(r"^make ([a-z-]+)", output("make", "--no-print-directory", "help"), re.MULTILINE)
    declared = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert declared is not None
    assert sorted(listed) == sorted(declared[1].split())


@pytest.mark.parametrize("plugin", OURS, ids=lambda plugin: plugin["name"])
def test_meltano_declares_settings_that_the_plugin_has(plugin: dict[str, Any]) -> None:
    about = json.loads(output(BIN / plugin["executable"], "--about", "--format=json"))
    known = about["settings"]["properties"]
    for setting in plugin["settings"]:
        assert setting["name"] in known
        secret = bool(known[setting["name"]].get("secret"))
        assert bool(setting.get("sensitive")) == secret, setting["name"]
        if setting.get("kind") == "options":
            assert [option["value"] for option in setting["options"]] == known[setting["name"]]["enum"]
    of_the_sdk = {"stream_maps", "stream_map_config", "faker_config", "flattening_enabled"} | {
        "flattening_max_depth",
        "flattening_max_key_length",
        "flattening_separator",
    }
    assert known.keys() - {setting["name"] for setting in plugin["settings"]} <= of_the_sdk
    assert set(plugin["capabilities"]) <= set(about["capabilities"])


def test_meltano_asks_the_package_index_and_nobody_else() -> None:
    assert MELTANO["send_anonymous_usage_stats"] is False
    assert MELTANO["cli"]["disable_version_check"] is True
    assert [one["name"] for one in PLUGINS if not ({"namespace", "inherit_from"} & one.keys())] == []
    assert {one["name"]: one["state_id_suffix"] for one in MELTANO["environments"]} == {
        "dev": "${TENANT_ID}",
        "prod": "${TENANT_ID}",
    }


def test_the_type_table_of_the_docs_is_the_one_of_the_code() -> None:
    def table(text: str) -> list[str]:
        lines = text.splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("| JSON Schema | column |"))
        rows = iter(lines[start:])
        return list(iter(lambda: next(rows, ""), ""))

    assert table((ROOT / "docs/lake-format.md").read_text()) == table(columns.__doc__ or "")
