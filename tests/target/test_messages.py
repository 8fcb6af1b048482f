"""Lines in, messages out: what is read, what is refused, and with which words."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_lake_parquet.caps import TooDeepError
from target_lake_parquet.heads import by_stream, count_lines
from target_lake_parquet.messages import (
    CHUNK_BYTES,
    SHORT_RUN,
    ActivateVersion,
    BadLine,
    BadMessage,
    CutLine,
    Message,
    Rows,
    SchemaMessage,
    StateMessage,
    UnknownMessage,
    read_messages,
    record_of,
)


def read(*lines: bytes | str, limit: int = 2**20) -> list[Message]:
    data = b"".join(line if isinstance(line, bytes) else line.encode() + b"\n" for line in lines)
    return list(read_messages(io.BytesIO(data), limit))


def row(stream: str, value: int) -> str:
    return json.dumps({"type": "RECORD", "stream": stream, "record": {"id": value}})


def test_records_of_one_stream_come_together_until_something_else_does() -> None:
    state = '{"type": "STATE", "value": {"a": 1}}'
    many = [row("a", value) for value in range(SHORT_RUN)]
    found = read(*many, row("b", 3), row("a", 4), state, row("a", 5))
    told = [(one.stream, one.first_line, one.count) if isinstance(one, Rows) else type(one) for one in found]
    assert told == [("a", 1, 16), ("b", 17, 1), ("a", 18, 1), StateMessage, ("a", 20, 1)]
    assert found[0] == Rows("a", "".join(line + "\n" for line in many).encode(), 1, 16)


@given(st.binary(max_size=300), st.integers(0, 400))
def test_line_ends_are_counted_in_chunks_of_any_size(text: bytes, times: int) -> None:
    assert count_lines(text * times) == (text * times).count(b"\n")


def test_records_of_streams_that_take_turns_are_gathered_by_stream() -> None:
    """Up to the next other message; each record keeps its own line's number."""
    state = '{"type": "STATE", "value": {"a": 1}}'
    turns = [row(stream, value) for value in range(20) for stream in ("a", "b")]
    found = read(*turns, row("b{", 1), *turns, state, *turns)
    told = [(one.stream, tuple(one.lines)) if isinstance(one, Rows) else type(one) for one in found]
    assert told == [
        ("a", (*range(1, 41, 2), *range(42, 82, 2))),
        ("b", (*range(2, 41, 2), *range(43, 82, 2))),
        ("b{", (41,)),
        StateMessage,
        ("a", tuple(range(83, 123, 2))),
        ("b", tuple(range(84, 123, 2))),
    ]


def test_turns_of_any_length_are_gathered_up_to_the_next_message() -> None:
    many = CHUNK_BYTES // len(row("a", 10_000))
    turns = [row(stream, value) for value in range(many) for stream in ("a", "b")]
    found = read(*turns, '{"type": "STATE", "value": {"a": 1}}', *turns)
    lines: dict[str, list[str]] = {"a": [], "b": []}
    numbers: dict[str, list[int]] = {"a": [], "b": []}
    for one in found:
        if isinstance(one, Rows):
            lines[one.stream] += one.block.decode().splitlines()
            numbers[one.stream] += one.lines.to_list()
    assert lines == {"a": turns[::2] * 2, "b": turns[1::2] * 2}
    after = len(turns) + 1
    for first, stream in enumerate(("a", "b"), 1):
        rows = range(first, after, 2)
        assert numbers[stream] == [*rows, *(number + after for number in rows)]
    assert [one.line for one in found if isinstance(one, StateMessage)] == [after]


def test_a_record_line_of_an_uncommon_writing_is_a_run_of_its_own() -> None:
    for line in (
        '{"stream": "a", "record": {"id": 1}, "type": "RECORD"}',
        '{"type": "record", "stream": "a", "record": {"id": 1}}',
        '{"type":  "RECORD", "stream": "\\u0061", "record": {"id": 1}}',
    ):
        assert read(line) == [Rows("a", (line + "\n").encode(), 1, 1)]
        assert bytes(record_of(line.encode())) == b'{"id": 1}'


def test_a_streams_records_stay_in_order_however_their_lines_begin() -> None:
    """The last row of a key wins: a record in another writing must not be passed by one that came later."""
    turns = [
        line
        for value in range(20)
        for line in (row("a", value) if value % 3 else row("a", value).replace(": ", ":"), row("b", value))
    ]
    found = {one.stream: one for one in read(*turns) if isinstance(one, Rows)}
    assert {name: one.lines.to_list() for name, one in found.items()} == {
        "a": [*range(1, 41, 2)],
        "b": [*range(2, 41, 2)],
    }
    assert found["a"].block.decode().splitlines() == turns[::2]


KINDS = ["a", "b", "b{", "a compact", "a crlf", "a spaced", "b latin", "state", "blank"]


@given(st.lists(st.sampled_from(KINDS), max_size=30), st.integers(1, 400))
def test_it_does_not_matter_where_the_reading_pauses(kinds: list[str], size: int) -> None:
    texts = {
        "state": b'{"type": "STATE", "value": {}}',
        "blank": b"",
        "a compact": row("a", 1).replace(": ", ":").encode(),
        "a crlf": row("a", 1).encode() + b"\r",
        "a spaced": row("a", 1).replace('"record":', '"record" :').encode(),
        "b latin": row("b", 1).replace("1", '"\xe9"').encode("latin-1"),
    }
    data = b"".join(texts.get(kind, row(kind, 1).encode()) + b"\n" for kind in kinds)

    class Slow(io.BytesIO):
        def read1(self, _: int | None = -1, /) -> bytes:
            return super().read1(size)

    def told(messages: list[Message]) -> list[tuple[int, object]]:
        """Each message on its own, by its line: runs may be cut anywhere, but no row passes another kind."""
        each: list[tuple[int, object]] = []
        last: dict[str, int] = {}
        for one in messages:
            if isinstance(one, Rows):
                rows = one.block.split(b"\n")[:-1]
                assert one.lines.is_sorted()
                assert one.lines[0] > last.get(one.stream, 0), "a stream's records stay in order"
                last[one.stream] = one.lines[-1]
                found = [(line, (one.stream, row)) for line, row in zip(one.lines, rows, strict=True)]
                assert found[0][0] > max(
                    (line for line, kind in each if not isinstance(kind, tuple)), default=0
                )
                each += found
            else:
                assert one.line > max((line for line, _ in each), default=0)
                each.append((one.line, one))
        return sorted(each, key=lambda told: told[0])

    whole = list(read_messages(io.BytesIO(data), 2**20))
    assert told(list(read_messages(Slow(data), 2**20))) == told(whole)


def test_control_messages_are_read_whatever_their_case_or_extra_fields() -> None:
    found = read(
        '{"type": "Schema", "stream": "a", "schema": {"x": 1}, "key_properties": ["id"], "more": 1}',
        '{"type":"SCHEMA", "stream": "b", "schema": {}, "key_properties": null, "bookmark_properties":"at"}',
        '{"type": "state", "value":  {"b" :1} }',
        '{"type": "ACTIVATE_VERSION", "stream": "a", "version": 7}',
    )
    assert found == [
        SchemaMessage(1, "a", {"x": 1}, ("id",), ()),
        SchemaMessage(2, "b", {}, (), ("at",)),
        StateMessage(3, b'{"b" :1}', {"b": 1}),
        ActivateVersion(4, "a", 7),
    ]


def test_blank_lines_and_carriage_returns_are_left_out_but_counted() -> None:
    found = read("", "  \r", row("a", 1) + "\r", "")
    assert [(one.first_line, one.count) for one in found if isinstance(one, Rows)] == [(3, 1)]


def test_a_last_line_without_its_end_is_taken_if_whole_and_told_if_cut() -> None:
    whole = row("a", 1).encode()
    (one,) = read(whole)
    assert isinstance(one, Rows)
    rows, cut = read(row("a", 1), whole[:-1])
    assert isinstance(rows, Rows)
    assert cut == CutLine(2)
    assert read(b'{"type": "RECORD", "stre') == [CutLine(1)]
    assert read(b"   ") == []


@pytest.mark.parametrize(
    "line",
    [
        *["hello", "[]", "1", "null", "{}", '{"type": 5}', '{"type": ""}', '{"type": "STATE", "value": {}}x'],
        *[
            '{"type": "STATE"}',
            '{"type": "RECORD", "record": {}}',
            '{"type": "SCHEMA", "stream": "", "schema": {}}',
        ],
        *['{"type": "RECORD", "stream": 5, "record": {}}', "\x00", "{'type': 'STATE', 'value': 1}"],
    ],
)
def test_a_line_that_is_no_message_is_refused_with_its_number(line: str) -> None:
    with pytest.raises(BadLine, match="line 2 is no Singer message"):
        read(row("a", 1), line)


def test_a_line_that_is_not_readable_concerns_its_stream_alone_where_its_beginning_names_it() -> None:
    assert read('{"stream": "a", "type": "RECORD", "record": {"n": NaN}}', row("b", 1)) == [
        Rows("a", b'{"stream": "a", "type": "RECORD", "record": {"n": NaN}}\n', 1, 1),
        Rows("b", row("b", 1).encode() + b"\n", 2, 1),
    ]
    assert read(' { "type":"SCHEMA" , "stream" : "a", "schema": {"n": 1,}}') == [
        BadMessage(
            1,
            "a",
            "the SCHEMA message is not readable (JSON is malformed: trailing comma in object (byte 55)): "
            "look at what the tap prints there",
        )
    ]


@pytest.mark.parametrize(
    ("line", "stream"),
    [
        ('{"type": "BATCH", "stream": "s", "manifest": [NaN]}', "s"),
        ('{"type": "SCHEMA", "stream": "a", "stream": "b", "schema": NaN}', "a"),
    ],
)
def test_a_message_that_is_not_readable_concerns_the_stream_that_it_names_first(
    line: str, stream: str
) -> None:
    (found,) = read(line)
    assert isinstance(found, BadMessage)
    assert found.stream == stream


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"type": "SCHEMA", "stream": "a"}', "the SCHEMA message lacks schema: mend the tap"),
        ('{"type": "SCHEMA", "stream": "a", "schema": []}', "the SCHEMA message has schema of a wrong kind"),
        (
            '{"type": "SCHEMA", "stream": "a", "schema": {}, "key_properties": [1]}',
            "the SCHEMA message has key_pr",
        ),
        (
            '{"type": "SCHEMA", "stream": "a", "schema": {}, "key_properties": {}}',
            "the SCHEMA message has key_pr",
        ),
        (
            '{"type": "ACTIVATE_VERSION", "stream": "a", "version": true}',
            "the ACTIVATE_VERSION message has version of a wrong kind",
        ),
        ('{"type": "ACTIVATE_VERSION", "stream": "a"}', "the ACTIVATE_VERSION message lacks version"),
    ],
)
def test_a_message_that_lacks_its_parts_concerns_its_stream_alone(line: str, reason: str) -> None:
    (found,) = read(line)
    assert isinstance(found, BadMessage)
    assert (found.line, found.stream) == (1, "a")
    assert found.reason.startswith(reason)


def test_a_message_of_an_unknown_type_is_handed_on() -> None:
    assert read('{"type": "Control", "stream": "a"}') == [UnknownMessage(1, "Control")]
    assert read('{"type": "' + "X" * 1000 + '"}') == [UnknownMessage(1, "X" * 40)]


def test_a_byte_order_mark_counts_at_the_very_beginning_only() -> None:
    mark = "\ufeff"
    assert read(mark + row("a", 1)) == read(row("a", 1))
    assert read((mark + row("a", 1)).encode()) == read(row("a", 1).encode())
    with pytest.raises(BadLine, match="line 2"):
        read(row("a", 1), mark + '{"type": "STATE", "value": 1}')


def test_depth_counts_from_the_messages_own_object() -> None:
    def nested(levels: int) -> str:
        return '{"stream": "a", "type": "RECORD", "record": ' + "[" * (levels - 1) + "]" * (levels - 1) + "}"

    assert bytes(record_of(nested(100).encode())) == b"[" * 99 + b"]" * 99
    with pytest.raises(TooDeepError, match="nested deeper than 100 levels"):
        record_of(nested(101).encode())
    brackets_in_text = '{"type": "STATE", "value": "' + "[" * 5000 + '\\"{"}'
    wide = '{"type": "STATE", "value": [' + "[]," * 5000 + "0]}"
    assert [type(one) for one in read(brackets_in_text, wide)] == [StateMessage, StateMessage]


@pytest.mark.parametrize("levels", [101, 100_000])
@pytest.mark.parametrize("closing", ["]", ""])
def test_what_nests_too_deeply_concerns_its_stream_alone(levels: int, closing: str) -> None:
    deep = "[" * levels + closing * levels + "}"
    (record,) = read('{"stream": "a", "type": "RECORD", "record": ' + deep)
    assert (record.stream, record.first_line) == ("a", 1) if isinstance(record, Rows) else None
    (schema,) = read('{"type": "SCHEMA", "stream": "a", "schema": ' + deep)
    why = "the SCHEMA message is not readable (is nested deeper than 100 levels (max_depth))"
    assert schema == BadMessage(1, "a", f"{why}: look at what the tap prints there")
    with pytest.raises(BadLine, match=r"line 1 is no Singer message .is nested deeper than 100 levels"):
        read('{"type": "STATE", "value": ' + deep)


def test_two_streams_or_types_in_one_message_are_refused() -> None:
    begin = b'{"type": "RECORD", "stream": "a", "record": {"id": 1}, '
    escaped = (b'"\\u0073tream": "b"}', b'"t\\u0079pe": "STATE"}', b'"strea\\u006D": "b"}')
    for more in (b'"stream": "b"}', b'"type": "STATE"}', b'"stream": null}', *escaped):
        with pytest.raises(ValueError, match="two types, or two streams"):
            record_of(begin + more)


def test_a_line_past_the_limit_is_refused_before_it_is_held() -> None:
    class Endless(io.RawIOBase):
        taken = 0

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            self.taken += len(buffer)
            buffer[:] = b"x" * len(buffer)
            return len(buffer)

        def readable(self) -> bool:
            return True

    source = Endless()
    with pytest.raises(BadLine, match="line 1 is longer than 1 MiB: set max_line_mb higher"):
        list(read_messages(io.BufferedReader(source), 2**20))
    assert source.taken < 2**22


def test_a_line_at_the_limit_is_taken() -> None:
    line = row("a", 1).encode() + b"\n"
    assert read(line, limit=len(line)) != []
    with pytest.raises(BadLine):
        read(line, limit=len(line) - 1)


@given(st.lists(st.binary(max_size=200).map(lambda line: line.replace(b"\n", b"-")), min_size=1))
def test_lines_of_any_length_are_told_apart(lines: list[bytes]) -> None:
    chunk = b"".join(line + b"\n" for line in lines)

    found = [(block, numbers.to_list()) for _, block, numbers in by_stream(chunk, 1)]

    told = [(line + b"\n", [number]) for number, line in enumerate(lines, 1) if line not in (b"", b"\r")]
    assert found == told
