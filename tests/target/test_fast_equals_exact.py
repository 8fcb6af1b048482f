"""Two ways, one result: whatever the fast way takes, it makes of it what the exact way makes.

FAST_EXAMPLES=20000 runs the property long.
"""

import json
import os
from collections import Counter
from decimal import Decimal, InvalidOperation
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from lake_parquet.widen import unite
from target_lake_parquet.blocks import MAX_UNDECLARED, PARTS, BlockDecoder, Rules, decode_exact
from target_lake_parquet.columns import Plan, Table, table_of
from target_lake_parquet.decode import Decoded
from target_lake_parquet.fast import decode_fast, plan_of
from target_lake_parquet.messages import Rows
from target_lake_parquet.metadata import read_envelopes
from target_lake_parquet.places import Place
from target_lake_parquet.validation import Validator

ALL = set(range(99))
TAGS = ['{"id": 1, "tags": []}', '{"id": 2, "tags": [null, "a"]}', '{"id": 3, "tags": null}']

EXAMPLES = int(os.environ.get("FAST_EXAMPLES", "150"))

LEAVES: dict[str, dict[str, Any]] = {
    "text": {"type": ["string", "null"]},
    "whole": {"type": ["integer", "null"]},
    "real": {"type": ["number", "null"]},
    "money": {"type": ["string", "null"], "format": "x-singer.decimal", "scale": 2},
    "cents": {"type": "number", "multipleOf": 0.01},
    "flag": {"type": ["boolean", "null"]},
    "moment": {"type": ["string", "null"], "format": "date-time"},
    "day": {"type": ["string", "null"], "format": "date"},
    "tags": {"type": ["array", "null"], "items": {"type": ["string", "null"]}},
    "any": {},
}
GOOD: dict[str, st.SearchStrategy[str]] = {
    "text": st.text().map(json.dumps),
    "whole": st.integers(-(2**63), 2**63 - 1).map(str),
    "real": st.one_of(
        st.floats(allow_nan=False, allow_infinity=False).map(json.dumps), st.integers().map(str)
    ),
    "money": st.decimals(-(10**9), 10**9, places=2).map(lambda number: f'"{number}"'),
    "cents": st.decimals(-(10**9), 10**9, places=2).map(str),
    "flag": st.sampled_from(["true", "false"]),
    "moment": st.one_of(
        st.datetimes().map(lambda moment: json.dumps(moment.isoformat() + "Z")),
        st.sampled_from(
            ['"2024-02-29T23:59:59.999999+05:30"', '"2024-01-01 00:00:00"', '"0001-01-01T00:00:00Z"']
        ),
        st.datetimes().map(lambda moment: json.dumps(moment.isoformat())),
        st.sampled_from(
            ['"2024-03-31T02:30:00.123456789"', '"2024-10-27 02:30:00"', '"9999-12-31T23:59:59-05:00"']
        ),
    ),
    "day": st.dates().map(lambda day: f'"{day}"'),
    "tags": st.lists(st.one_of(st.none(), st.text(max_size=5))).map(json.dumps),
    "any": st.sampled_from(['{"a": 1}', "[1]", '"x"', "1.50"]),
}
ODD = st.sampled_from(
    [
        *["null", "NaN", "Infinity", "-Infinity", "1e400", "-1e-400", "4.9e-324", "1E5", "-0", "-0.0"],
        *["01", "+1"],
        *["0.1234567890123456789", "12345678901234567890", "9007199254740993"],
        *["17.1700000000000017053025658242404"],
        *['"1"', '"1.234"', '" 1.5 "', '"1_000"', '"+1.5"', '".5"', '"5."', '"1e5"', '"NaN"'],
        *['""', "7.0", "7.5", "1e-41", '"1e-48"', '"-1e-05"', '"+1e30"'],
        *["true", "1", "{}", "[]", "[1]", '["a", 1]', '[["a"]]'],
        *['["\\ud800"]', '["\\"", "\\u0001"]', '"\\u0000"'],
        *['"2024-13-01"', '"2024-02-30T00:00:00Z"', '"2024-01-01T00:00:60Z"', '"2024-01-01T24:00:00Z"'],
        *['"2024-01-01T00:00:00.1234567Z"', '"2024-01-01T00:00:00"', '"2024-1-1"'],
        *['"10000-01-01T00:00:00Z"'],
        *['"3e-412a"', '"Infinity"', '"Information"', '"1234567890123456789"', "1.5 ", '{"a": {"a": 1}}'],
    ]
)  # fmt: skip


# What the fast way takes: numbers of a float's digits, texts without escapes.
PLAIN = GOOD | {
    "real": st.decimals(-(10**6), 10**6, places=4).map(str),
    "tags": st.lists(st.one_of(st.none(), st.text("aé0 ", max_size=5))).map(json.dumps),
}


@st.composite
def records(draw: st.DrawFn, names: list[str], oddness: int, depth: int = 0) -> str:
    """A record's JSON text, with missing fields; `oddness` of a hundred are odd, doubled or unknown ones.

    A record holds a dozen fields, and a block several records: with much of it nothing would go the fast way.
    """

    def is_odd() -> bool:
        return draw(st.integers(0, 99)) < oddness

    good = GOOD if oddness else PLAIN
    parts = []
    for name in names:
        if not draw(st.integers(0, 19)):
            continue
        parts.append(f'"{name}": {draw(ODD) if is_odd() else draw(good[name])}')
        if is_odd():
            parts.append(f'"{name}": {draw(good[name])}')
    if depth == 0:
        inner = st.one_of(st.just("null"), records(names, oddness, 1))
        parts.append(f'"object": {draw(inner)}')
        parts.append(
            '"items": null' if is_odd() else f'"items": [{", ".join(draw(st.lists(inner, max_size=3)))}]'
        )
        parts.append('"id": null' if is_odd() else f'"id": {draw(st.integers(0, 5))}')
    extra = [name for name in ("unknown", "other") if is_odd()]
    parts += [f'"{name}": {draw(st.one_of(st.just("1"), ODD))}' for name in extra]
    return "{" + ", ".join(parts) + "}"


def schema_of(names: list[str]) -> dict[str, Any]:
    leaves = {name: LEAVES[name] for name in names}
    inner = {"type": ["object", "null"], "properties": leaves}
    items = {"type": ["array", "null"], "items": inner}
    return {"properties": {"id": {"type": ["integer", "null"]}, **leaves, "object": inner, "items": items}}


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    names = draw(st.lists(st.sampled_from(sorted(LEAVES)), min_size=1, max_size=4, unique=True))
    oddness = draw(st.sampled_from([0, 0, 1, 5]))
    return names, draw(st.lists(records(names, oddness), min_size=1, max_size=6))


@st.composite
def plans(draw: st.DrawFn) -> tuple[set[int], set[Place]]:
    """Which columns to read value by value, and which fields are known to be undeclared."""
    unknown = st.sampled_from(["unknown", "other"])
    places = st.tuples(st.sampled_from([("", ()), ("", ("object",)), ("items", ())]), unknown).map(
        lambda at: (at[0][0], (*at[0][1], at[1]))
    )
    columns: st.SearchStrategy[set[int]] = st.one_of(
        st.just(set()), st.sets(st.integers(0, 14)), st.just(ALL)
    )
    return draw(columns), draw(st.sets(places))


def places_of(table: Table) -> list[Place]:
    return [(member.suffix, column.path) for member in table.family() for column in member.columns]


def block_of(texts: list[str]) -> bytes:
    return "".join(f'{{"type":"RECORD","stream":"s","record":{text}}}\n' for text in texts).encode()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(streams(), plans(), st.sampled_from([None, "Europe/Berlin", "Pacific/Apia"]))
@example((["real"], ['{"id": 1, "real": 0.1234567890123456789}']), (set(), set()), None)
@example((["real"], ['{"id": 1, "real": 0.1234567890123456789}']), (ALL, set()), None)
@example((["real"], ['{"id": 1, "real": -1e-400}']), (set(), set()), None)
@example((["real"], ['{"id": 1, "real": -1e-400}']), (ALL, set()), None)
@example((["tags"], TAGS), (set(), set()), None)
@example((["tags"], TAGS), (ALL, set()), None)
def test_what_the_fast_way_takes_is_what_the_exact_way_makes(
    stream: tuple[list[str], list[str]], how: tuple[set[int], set[Place]], zone: str | None
) -> None:
    names, texts = stream
    table = table_of(schema_of(names), ["id"], Plan(naive_zone=zone))
    block, lines = block_of(texts), pl.Series(range(7, 7 + len(texts)), dtype=pl.Int64)
    exact = decode_exact(table, block, lines)
    chosen, undeclared = how
    plan = plan_of(table, {place for i, place in enumerate(places_of(table)) if i in chosen}, undeclared)
    assert plan is not None
    fast = decode_fast(plan, block, lines)
    if fast is None:
        return
    assert (exact.bad, exact.coerced, exact.undeclared) == ([], fast.coerced, fast.undeclared)
    assert fast.frames.keys() == exact.frames.keys()
    for suffix, frame in exact.frames.items():
        assert_frame_equal(fast.frames[suffix], frame, check_exact=True)


@pytest.mark.parametrize("scale", [0, 2, 9, 18, 28])
@pytest.mark.parametrize("text", ["1e{}", "-0.25E{}", '"12345e{}"', '"+1e{}"'])
def test_a_decimal_of_any_exponent_is_itself_or_goes_the_exact_way(scale: int, text: str) -> None:
    """Arrow read past its powers of ten: a zero of `1e-48`, and of one in twelve such numbers."""
    table = table_of(
        {"properties": {"d": {"type": "string", "format": "singer.decimal", "scale": scale}}}, []
    )
    plan, line = plan_of(table), pl.Series([1])
    assert plan is not None
    wrong = []
    for exponent in range(-999, 60):
        block = block_of([f'{{"d": {text.format(exponent)}}}'])
        fast = decode_fast(plan, block, line)
        if fast and not fast.frames[""].equals(decode_exact(table, block, line).frames[""]):
            wrong.append(exponent)
    assert wrong == []


def test_a_good_part_of_the_streams_above_goes_the_fast_way() -> None:
    """Else the property would be of little: what goes the exact way equals itself."""
    ways: Counter[str] = Counter()

    @settings(max_examples=200, deadline=None, derandomize=True, database=None)
    @given(streams())
    def take(stream: tuple[list[str], list[str]]) -> None:
        names, texts = stream
        plan = plan_of(table_of(schema_of(names), ["id"]))
        assert plan is not None
        fast = decode_fast(plan, block_of(texts), pl.Series(range(len(texts)), dtype=pl.Int64))
        rows = 0 if fast is None else fast.frames[""].height
        ways["exact" if fast is None else "fast, several rows" if rows > 1 else "fast"] += 1

    take()
    # Hypothesis takes constants from the modules that are imported: which streams it makes depends on them
    assert ways["exact"] < ways.total() * 2 // 3
    assert ways["fast, several rows"] > ways.total() // 10


def test_a_plain_stream_does_go_the_fast_way() -> None:
    """The property above would hold of a fast way that takes nothing."""
    table = table_of(schema_of(sorted(LEAVES)), ["id"])
    plain = {
        "text": "ü",
        "whole": 1,
        "real": 0.1,
        "money": "12.50",
        "flag": True,
        "moment": "2024-01-01T00:00:00.5+01:00",
        "day": "2024-01-01",
        "tags": ["a", None],
        "any": {"a": [1]},
    }
    record = {"id": 1, **plain, "object": plain, "items": [plain, None, {}]}
    plan = plan_of(table)
    assert plan is not None
    assert decode_fast(plan, block_of([json.dumps(record)] * 3), pl.Series([1, 2, 3])) is not None


def blocks_of(texts: list[str], each: int = 1000) -> list[Rows]:
    return [
        Rows("s", block_of(texts[at : at + each]), at + 1, len(texts[at : at + each]))
        for at in range(0, len(texts), each)
    ]


WIDE = {
    "id": {"type": "integer"},
    "name": {"type": "string"},
    "real": {"type": "number"},
    "whole": LEAVES["whole"],
}
GOOD_WIDE = {"id": 1, "name": "x", "real": 0.5, "whole": 1}


@pytest.mark.parametrize(
    ("odd", "coerced", "undeclared"),
    [
        ({"name": 5}, {("name", "written as JSON text"): 1000}, {}),
        ({"name": {"a": 1}}, {("name", "written as JSON text"): 1000}, {}),
        ({"whole": 7.0}, {("whole", "whole number written as integer"): 1000}, {}),
        ({"whole": 2**63}, {}, {}),
        ({"real": 0.30000000000000004}, {}, {}),
        ({"more": [1], "other": 2}, {}, {"more": 1000, "other": 1000}),
    ],
)
def test_what_a_stream_was_refused_for_is_learnt(
    odd: dict[str, Any], coerced: dict[tuple[str, str], int], undeclared: dict[str, int]
) -> None:
    """The first block goes the exact way in part, the second the fast way as a whole, with all its counts."""
    table = table_of({"properties": WIDE}, ["id"])
    texts = [json.dumps({**GOOD_WIDE, "id": number, **odd}) for number in range(2000)]
    first, second = blocks_of(texts)
    decoder = BlockDecoder(table)
    assert len(list(decoder.decode([first]))) == PARTS
    (decoded,) = decoder.decode([second])
    exact = decode_exact(table, second.block, pl.Series(range(1001, 2001), dtype=pl.Int64))
    assert (decoded.coerced, decoded.undeclared, decoded.bad) == (coerced, undeclared, [])
    assert_frame_equal(decoded.frames[""], exact.frames[""], check_exact=True)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(streams())
@example((["real"], ['{"real": -1e-400, "id": 0}', '{"real": 55973690659141632, "id": 0}'] * 3))
@example((["text"], ['{"text": "_sdc_deleted_at", "id": 0}']))
def test_however_a_block_is_cut_each_line_comes_out_once_and_the_same(
    stream: tuple[list[str], list[str]],
) -> None:
    """With a third of plain lines between the odd ones, and twice: the second block knows of the first."""
    names, texts = stream
    texts = [each for text in texts for each in (text, '{"id": 1}', text)]
    table, rules = table_of(schema_of(names), ["id"]), Rules(sets_aside=True)
    alone = [
        decode_exact(table, block_of([text]), pl.Series([7 + number], dtype=pl.Int64), rules)
        for number, text in enumerate(texts)
    ]
    good = [one for one in alone if not one.bad]
    decoder = BlockDecoder(table, rules)
    for _ in range(2):
        parts = list(decoder.decode([Rows("s", block_of(texts), 7, len(texts))]))
        found = [one for part in parts for one in part.bad]
        assert sorted(found, key=repr) == sorted((one for each in alone for one in each.bad), key=repr)
        assert counted(parts, "coerced") == counted(good, "coerced")
        assert counted(parts, "undeclared") == counted(good, "undeclared")
        for suffix in alone[0].frames:
            assert united(parts, suffix) == united(good, suffix)


def counted(parts: list[Decoded], what: str) -> Counter[Any]:
    return sum((Counter(getattr(part, what)) for part in parts), Counter())


def united(parts: list[Decoded], suffix: str) -> list[dict[str, Any]]:
    """The rows of all parts, once their columns have one type."""
    frames = [part.frames[suffix].lazy() for part in parts if part.frames[suffix].height]
    rows = pl.concat(unite(frames)[0]).collect().rows(named=True) if frames else []
    return [{name: plain(value) for name, value in row.items()} for row in rows]


def plain(value: Any) -> Any:
    """A value, or the number that it writes: text of a column that was one of numbers has `0.00` or `0.0`."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return value
    return number.normalize() if number.is_finite() else str(value)


def test_one_odd_record_leaves_the_others_to_the_fast_way() -> None:
    table = table_of({"properties": {"id": {"type": "integer"}, "name": {"type": "string"}}}, ["id"])
    texts = [f'{{"id": {number}, "name": "{"x" * 50}"}}' for number in range(1000)]
    texts[500] = '{"id": 500, "name": 5}'
    half = [Rows("s", block_of(texts[:300]), 1, 300), Rows("s", block_of(texts[300:]), 401, 700)]
    decoded = list(BlockDecoder(table).decode(half))
    assert [one.frames[""].height for one in decoded] == [1000]
    assert [one.coerced for one in decoded] == [{("name", "written as JSON text"): 1}]
    rows = pl.concat([one.frames[""] for one in decoded])
    assert rows["id"].to_list() == list(range(1000))
    assert rows["name"][500] == "5"
    assert rows["\0row"].to_list() == [*range(1, 301), *range(401, 1101)]


def test_messages_with_members_that_singer_does_not_know_go_the_fast_way_once_that_is_learnt() -> None:
    table = table_of({"properties": {"id": {"type": "integer"}, "name": {"type": "string"}}}, ["id"])
    line = '{"type": "RECORD", "stream": "s", "record": {"id": %d, "name": "x"}, "namespace": "public"}\n'
    decoder = BlockDecoder(table)
    blocks = [
        list(decoder.decode([Rows("s", "".join(line % n for n in range(1000)).encode(), 1, 1000)]))
        for _ in range(2)
    ]
    assert list(map(len, blocks)) == [PARTS, 1]
    assert blocks[1][0].frames[""]["id"].to_list() == list(range(1000))


def test_many_odd_records_cut_their_block_no_more_than_one_does() -> None:
    """Each cut it in two: memory and time grew with them."""
    table = table_of({"properties": {"id": {"type": "integer"}, "name": {"type": "string"}}}, ["id"])
    texts = [json.dumps({"id": n, "name": 5 if n % 20 == 0 else "x" * 50}) for n in range(10_000)]
    decoder = BlockDecoder(table)
    blocks = [list(decoder.decode([rows])) for rows in blocks_of(texts)]
    assert [sum(one.frames[""].height for one in parts) for parts in blocks] == [1000] * 10
    assert max(map(len, blocks)) <= PARTS
    assert sum(len(parts) == 1 for parts in blocks) >= 8


def test_records_that_make_up_names_as_they_go_teach_nothing() -> None:
    table = table_of({"properties": WIDE}, ["id"])
    texts = [json.dumps({**GOOD_WIDE, f"made_up_{number}": 1}) for number in range(30_000)]
    decoder = BlockDecoder(table)
    undeclared: Counter[str] = Counter()
    for rows in blocks_of(texts, 10_000):
        for decoded in decoder.decode([rows]):
            undeclared.update(decoded.undeclared)
    assert undeclared == Counter({f"made_up_{number}": 1 for number in range(30_000)})
    plan = decoder._plan  # what it learnt shows nowhere else but in memory and time
    assert plan is not None
    assert len(plan.undeclared) <= MAX_UNDECLARED


def test_a_field_name_that_msgspec_cannot_look_for_goes_the_exact_way() -> None:
    table = table_of({"properties": {"id": {"type": "integer"}, 'a"b': {}}}, ["id"])
    assert plan_of(table) is None
    (decoded,) = BlockDecoder(table).decode(blocks_of(['{"id": 1, "a\\"b": [1]}']))
    assert decoded.frames[""].rows() == [(1, 1, b"[1]")]


@pytest.mark.parametrize(
    "line", [b'{"type":"RECORD","stream":"s","record":{"id":1}}garbage\n', b'{"id":\xff}\n']
)
def test_a_block_that_holds_a_bad_line_names_it(line: bytes) -> None:
    table = table_of({"properties": {"id": {"type": "integer"}}}, ["id"])
    good = block_of(['{"id": 1}'])
    (decoded,) = (one for one in BlockDecoder(table).decode([Rows("s", good + line + good, 5, 3)]) if one.bad)
    assert next(bad.line for bad in decoded.bad) == 6


def test_messages_that_go_on_past_their_lines_are_bad_though_as_many_as_lines() -> None:
    """Two on one line, and one on two: with a column of any shape, both parsers read over line ends."""
    table = table_of({"properties": {"id": {"type": "integer"}, "j": {}}}, ["id"])
    head = b'{"type":"RECORD","stream":"s","record": {"id": %d}'
    torn = b"".join([head % 1, b"} ", head % 2, b"}\n", head % 3, b', "x":\n', head % 4, b"}}\n"])
    good = block_of(['{"id": 5, "j": {}}', '{"id": 6, "j": [1]}'])
    found = list(BlockDecoder(table).decode([Rows("s", good + torn, 1, 5)]))
    assert sorted(bad.line for part in found for bad in part.bad) == [3, 4, 5]


TIMES = st.sampled_from(
    [
        *['"2024-02-29T23:59:59.999999+05:30"', '"2024-01-01T00:00:00Z"', '"2024-01-01 00:00:00"', '""'],
        *['"yesterday"', '"2024-13-01T00:00:00Z"', "null", "5", "1.5", "true", "{}", "[]", '"\\u0000"'],
    ]
)  # fmt: skip
VERSIONS = st.sampled_from(["1", "-1", "null", "1.0", "1e3", "9223372036854775808", "true", '"1"', "{}"])


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.tuples(st.none() | TIMES, st.none() | VERSIONS), min_size=1, max_size=4))
def test_both_ways_read_the_same_of_envelopes(envelopes: list[tuple[str | None, str | None]]) -> None:
    texts = []
    for time, version in envelopes:
        rest = "".join(
            f', "{name}": {value}'
            for name, value in (("time_extracted", time), ("version", version))
            if value
        )
        texts.append(f'{{"type": "RECORD", "stream": "s", "record": {{"id": 1}}{rest}}}\n')
    block = "".join(texts).encode()
    plan = plan_of(table_of({"properties": {"id": {"type": "integer"}}}, ["id"]), reads_envelopes=True)
    assert plan is not None
    fast = decode_fast(plan, block, pl.Series(range(len(texts)), dtype=pl.Int64))
    exact = read_envelopes(block)
    assert exact.height == len(texts)
    if fast is not None:
        assert fast.envelopes is not None
        assert_frame_equal(fast.envelopes, exact)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(streams())
def test_whatever_way_decodes_a_block_its_records_are_validated(stream: tuple[list[str], list[str]]) -> None:
    names, texts = stream
    schema = schema_of(names)
    schema["properties"]["id"] = {"type": "integer", "maximum": 3}
    table, block, lines = table_of(schema, ["id"]), block_of(texts), range(7, 7 + len(texts))
    validator = Validator(schema)
    expected = list(validator.check(block, lines))
    rows = [Rows("s", block, 7, len(texts))]
    bad = [one for part in BlockDecoder(table, validator=validator).decode(rows) for one in part.bad]
    plain = [one for part in BlockDecoder(table).decode(rows) for one in part.bad]
    assert sorted(bad, key=repr) == sorted([*plain, *expected], key=repr)
