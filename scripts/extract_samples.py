"""Cuts small extracts, with all their oddities, out of recorded Singer streams.

Every SCHEMA, STATE and ACTIVATE_VERSION line is kept, byte for byte and in its place. Of a stream's RECORD
lines those stay that show something new: a field of another type, of another pattern of letters and digits,
or null for the first time; and the first and the last few, which the bookmarks speak of.

    python scripts/extract_samples.py <folder of *.singer.jsonl> [--out tests/community/data/recorded]
"""

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

SUFFIX = ".singer.jsonl"
SMALL = 20
EDGES = 3


def main() -> None:
    """Reads every recording of a folder, writes its extract."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("source", type=Path, help="folder of recorded streams, *.singer.jsonl")
    arguments.add_argument("--out", type=Path, default=Path("tests/community/data/recorded"))
    arguments.add_argument("--most", type=int, default=24, help="rows of a stream, at most")
    options = arguments.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for recording in sorted(options.source.glob(f"*{SUFFIX}")):
        lines = recording.read_bytes().splitlines(keepends=True)
        kept = list(extract(lines, options.most))
        target = options.out / f"{recording.name.removesuffix(SUFFIX)}.jsonl"
        target.write_bytes(b"".join(kept))
        print(f"{target}: {len(kept)} of {len(lines)} lines")


def extract(lines: list[bytes], most: int) -> Iterator[bytes]:
    """The lines to keep, in their order."""
    records: defaultdict[str, list[int]] = defaultdict(list)
    parsed = [json.loads(line) for line in lines]
    for number, message in enumerate(parsed):
        if message["type"] == "RECORD":
            records[message["stream"]].append(number)
    keep = {number for number, message in enumerate(parsed) if message["type"] != "RECORD"}
    for numbers in records.values():
        keep |= _telling([(number, parsed[number]["record"]) for number in numbers], most)
    return (line for number, line in enumerate(lines) if number in keep)


def _telling(records: list[tuple[int, dict[str, object]]], most: int) -> set[int]:
    """The rows to keep of one stream: its edges first, then whatever shows something new."""
    if len(records) <= SMALL:
        return {number for number, _ in records}
    edges = [*records[:EDGES], *records[-EDGES:]]
    keep: set[int] = set()
    seen: set[tuple[str, str]] = set()
    for number, record in [*edges, *records]:
        features = {(name, _pattern(value)) for name, value in record.items()} | {("", " ".join(record))}
        if (number, record) in edges or not features <= seen:
            seen |= features
            keep.add(number)
        if len(keep) == most:
            break
    return keep


def _pattern(value: object) -> str:
    """Values of the same pattern tell the same story: digits are 9, letters are a, runs are one."""
    text = json.dumps(value, ensure_ascii=False)[:40]
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", text))


if __name__ == "__main__":
    main()
