"""A bulk result of five million lines is put together in the memory of a small one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

MOST_MB = 250
READ = """
import json, sys
from pathlib import Path
from tap_shopify.bulk_query import Nested
from tap_shopify.jsonl import objects

orders, each, text = int(sys.argv[1]), 9, "x" * 200

def lines():  # every parent first: the order that is hardest on a reader
    for at in range(orders):
        yield json.dumps({"id": f"gid://shopify/Order/{at}", "note": text}).encode()
    for place in range(each):
        for at in range(orders):
            parent = f"gid://shopify/Order/{at}"
            child = {"_in_lines": "LineItem", "id": f"{parent}/{place}", "title": text, "__parentId": parent}
            yield json.dumps(child).encode()

found = children = 0
for row in objects(lines(), [Nested("lines", "_in_lines", None)], orders * (each + 1) * 300, "Stream orders"):
    found += 1
    children += len(row["lines"]["nodes"])
# getrusage would count what the starting process held before exec
status = Path("/proc/self/status").read_text()
peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps([found, children, peak]))
"""


def read(orders: int) -> tuple[int, int, float]:
    """Return how many orders and line items came out of so many orders, and the process's peak in MB."""
    done = subprocess.run([sys.executable, "-c", READ, str(orders)], check=True, capture_output=True)
    found, children, peak = json.loads(done.stdout)
    return found, children, peak


@pytest.mark.parametrize("orders", [20_000, pytest.param(500_000, marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_result(orders: int) -> None:
    found, children, peak = read(orders)

    assert (found, children) == (orders, orders * 9)
    assert peak < MOST_MB
