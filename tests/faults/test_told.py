"""The figures of the long tests, and the page that keeps them."""

from datetime import UTC, datetime
from pathlib import Path

from tests.faults import told
from tests.faults.told import BEGIN, END, Told

SEEN = [
    Told(True, "upsert: SIGKILL", "51 points", "SIGKILL at a call", 51, 0),
    Told(False, "append: SIGKILL", "70 points", "SIGKILL at a call", 70, 2),
    Told(True, "mutant: direct write", "caught | at\nonce"),
]


def test_figures_are_summed_by_kind_and_told_part_by_part() -> None:
    lines = told.table(SEEN, datetime(2026, 11, 23, tzinfo=UTC), every=6).splitlines()
    assert lines[0].startswith(
        "Seen on 23 November 2026 by `make crash-test`, faults at one call in 6, "
        "SIGKILL and errors at every call; "
    )
    assert [line for line in lines[1:] if line.startswith("| ") and "---" not in line] == [
        "| kind | tried | promises broken |",
        "| SIGKILL at a call | 121 | 2 |",
        "| part | seen |",
        "| upsert: SIGKILL | 51 points |",
        "| append: SIGKILL | **failed** 70 points |",
        r"| mutant: direct write | caught \| at once |",
    ]


def test_they_replace_the_old_ones_on_their_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    told.write(SEEN, page, every=1)
    text = page.read_text()
    assert (text.startswith(f"before\n{BEGIN}\nSeen on "), text.endswith(f"\n{END}\nafter\n")) == (True, True)
    assert ("old" in text, "faults at every call" in text) == (False, True)
