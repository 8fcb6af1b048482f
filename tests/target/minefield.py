"""Texts that JSON parsers disagree about, by what becomes of them here. RFC 8259 rules; the tables are data.

`GOOD` and `BAD` are values as they may stand in a record, `DOCUMENTED` whole inputs with the words that
`docs/lake-format.md` has for them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal


def text(*contents: str | bytes) -> Iterator[bytes]:
    """Strings with these contents."""
    for content in contents:
        yield b'"' + (content if isinstance(content, bytes) else content.encode()) + b'"'


def plain(*texts: str | bytes) -> Iterator[bytes]:
    """The texts themselves."""
    for one in texts:
        yield one if isinstance(one, bytes) else one.encode()


# fmt: off
GOOD: dict[str, list[bytes]] = {
    "words": [*plain("null", "true", "false")],
    "whole numbers": [
        *plain("0", "-0", "1", "-1", "10", "123456789", "9007199254740993", "9223372036854775807"),
        *plain("-9223372036854775808", "9223372036854775808", "123456789012345678901234567890"),
        *plain("9" * 38, "9" * 39, "1" + "0" * 998),
    ],
    "broken numbers": [
        *plain("0.0", "-0.0", "0.5", "-0.5", "1.5", "1.0", "0.1", "3.141592653589793238462643383279"),
        *plain("0e0", "0e+1", "0E0", "1e5", "1E5", "1e+5", "1E+05", "1e-5", "1.5e3", "-1.5e-3",
            "123e-10000"),
        *plain("1e22", "1e23", "1e308", "1e309", "1e400", "-1e400", "1e-400", "4.9e-324", "2.5e-324"),
        *plain("0.1e1", "1." + "0" * 900, "0." + "9" * 50,
            "17.1700000000000017053025658242404460906982421875"),
        *plain("1e0", "1e00", "1e-00", "1.7976931348623157e308", "-123.456e78", "9e37", "99e36", "1.5e37",
            "123456789012345678901234567e9", "12345678901234567890123456789", "9e99", "1E+38"),
    ],
    "strings": [
        *text("", " ", "a", "a" * 5000, "ü", "日本語", "🎈", "\u2028\u2029", "\ufeff", "\ufffe\uffff",
            "\U0010ffff"),
        *text("\x7f", "\u0080", "\u200f\u202e", "e\u0301", "/", "'", "[{", "}]", "//", "/* */", "#",
            "\u00a0"),
        *text(r"\"", r"\\", r"\/", r"\b\f\n\r\t", r"\u0000", r"\u0000a\u0000", r"\u001f", r"\u007f",
            r"\u00e9"),
        *text(r"\ud83c\udf88", r"\uD834\uDD1E", r"\uFFFE", r"\uffff", r"\u0022", r"\u005C", r"a\u002fb",
            r"\\u0000"),
        *text(r"\\\"", r"\\n", "NaN", "null", "1", "0.1", "true", "-", "1e5", "{}", "[]", "0" * 2000,
            "9" * 2000),
        *text("[" * 500, "{" * 500, r"\u00A0", r"\u0041\u030a"),
    ],
    "arrays": [
        *plain("[]", "[ ]", "[null]", "[1]", "[1, 2]", '["a"]', '["a", null]', "[[]]", "[[1], [2]]",
            "[true]"),
        *plain('[{"a": "x"}]', "[[[[[]]]]]", "[ 1 ,\t2 ]", "[" * 90 + "]" * 90,
            "[" + ",".join(["[]"] * 500) + "]"),
        *plain('["' + "x" * 2000 + '"]', "[0.1, 1e5, -0]", '["\\u0000"]', '[{}, null, {"a": null}]'),
    ],
    "objects": [
        *plain("{}", "{ }", '{"a": 1}', '{"a": "x"}', '{"a": null}', '{"a": {"a": {}}}', '{"a" : "x"}'),
        *plain('{"": 1}', '{" ": 1}', '{"\\u0000": 1}', '{"ü": 1}', '{"a.b": 1}', '{"a": [1, {"b": 2}]}'),
        *plain('{"a": "x", "b": "y"}', '{"\\u0061": "x"}', '{"__proto__": 1}', '{"$ref": "#"}'),
        *plain('{"a":' * 80 + "1" + "}" * 80, '{"type": "RECORD", "stream": "s", "record": {}}'),
    ],
    "white space": [*plain(" 1", "1 ", "\t1\t", "  [ ]  ", ' "a" ', '\t{ "a"\t:\t1 }\t', "\r1", "1\r")],
    "doubled names": [*plain('{"a": 1, "a": 2}', '{"a": 1, "a": 1}', '{"a": "x", "b": 1, "a": "y"}',
        '{"a": 1, "\\u0061": 2}')],
}

BAD: dict[str, list[bytes]] = {
    "no JSON": [
        *plain("", " ", "a", "nul", "tru", "fals", "NULL", "True", "False", "None", "undefined", "nil",
            "x", "@", "\\"),
        *plain("*", "&", "<null>", "<.>", "$", "'", "`a`", "ü", "\u00a0", "\u2060", "\ufeff1", "1\ufeff",
            "\x00", "1\x00"),
        *plain("\x0c", "1\x0c", "\x0b1", "1\x0b", "\x1a", "\x7f", "(1)", "=1", "1;", "1 2", "1 true",
            '"a" "b"', "[] []"),
    ],
    "words that JSON does not know": [
        *plain("NaN", "-NaN", "nan", "Infinity", "-Infinity", "+Infinity", "inf", "-inf", "Inf", "INF",
            "-foo"),
        *plain("[NaN]", "[-Infinity]", '{"a": NaN}', '{"a": {"b": [Infinity]}}', "[Nan]", "[Inf]",
            "1.#INF", "1.#QNAN"),
    ],
    "numbers": [
        *plain("01", "-01", "00", "-00", "012", "+1", "+0", "++1", "--1", "-", "+", "- 1", "1.", "-1.",
            ".5", "-.5", "."),
        *plain("1.e5", "0.e1", ".e1", "1e", "1E", "1e+", "1e-", "1.0e", "1.0e+", "1eE2", "1e1e1", "1e1.5",
            "1.2.3", "1..2"),
        *plain("0x1", "0xFF", "0b1", "0o7", "1_000", "1,000", "1 000", "1a", "1f", "1L", "1d", "1e5a",
            "0e", "0e+", "-a"),
        *plain("1/2", "\uff11", "\u0663", "1\u00a0", "1+1", "1-1", "[01]", "[1.]", "[.1]", "[-]", "[+1]",
            "[1e]", "[0x1]", "[1_0]", "[1a]"),
    ],
    "strings": [
        *plain("'a'", "'", '"', '"a', 'a"', '"""', '"a"b"', '"a\'', "`a`", '"\\"', '"\\', "“a”", 'u"a"',
            '"a"1'),
        *text(r"\a", r"\x41", r"\0", r"\'", r"\ ", r"\U0041", r"\e", r"\v", "\\ü", r"\u", r"\u1", r"\u12",
            r"\u123", r"\u12g4"),
        *text(r"\u{41}", r"\uD8", r"\u00zz", r"\u+041", r"\u 041", "\\\t"),
        *(b'"' + bytes([code]) + b'"' for code in range(0x20) if code not in b"\n"),
        *plain('["\t"]', '{"a": "\x01"}', '{"a\tb": 1}', '["\x00"]'),
    ],
    "half a surrogate pair": [
        *text(r"\ud800", r"\udfff", r"\udc00\ud800", r"\ud800\ud800", r"\ud83c", r"\ud83cx", r"\ud83c\n",
            r"a\udead"),
        *text(r"\ud800\u0041", r"\ud888\u1234", r"\uDd1e\uD834"),
        *plain('["\\ud800"]', '{"a": "\\udc00"}', '{"\\ud800": 1}'),
    ],
    "bytes that are not UTF-8": [
        *text(b"\xff", b"\xfe", b"\x80", b"\xbf", b"\xe9", b"a\xc3", b"\xc3\x28", b"\xe2\x82",
            b"\xf0\x9f\x8e", b"\xa0\xa1"),
        *text(b"\xc0\x80", b"\xc0\xaf", b"\xc1\xbf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf",
            b"\xfc\x83\xbf\xbf\xbf\xbf"),
        *text(b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\xbc\xed\xbe\x88", b"\xf4\x90\x80\x80",
            b"\xf8\x88\x80\x80\x80"),
        *plain(b'["\xff"]', b'{"a": "\xff"}', b'{"\xff": 1}', b'{"a": {"b": ["\xe5"]}}'),
    ],
    "other bytes outside strings": [*plain(b"\xff", b"[\xff]", b"1\xe5", b"\xe5", b"[\xc2\xa0]",
        b"\xef\xbb\xbf1", b"\xef\xbb")],
    "arrays": [
        *plain("[", "]", "[1", "1]", "[1,", "[,1]", "[1,]", "[1,,2]", "[,]", "[1 2]", '["a" "b"]',
            "[1:2]", '["a": 1]', "[1}"),
        *plain("[[1]", "[]]", "[1]]", "[;]", "[(1)]", "[1,\x0c2]", "[a]", "['a']", '["a', "[1e", "[-",
            "[tru]", "[nul", '["\\x"]'),
        *plain("[...]", "[*]", "[1, ...]", "[\\u0031]", '[""', "[\u00a0]"),
    ],
    "objects": [
        *plain("{", "}", '{"a"', '{"a":', '{"a": 1', '{"a" 1}', '{"a"}', '{"a": }', "{: 1}", "{,}",
            '{"a": 1,}', '{"a": 1,,}'),
        *plain('{, "a": 1}', '{"a": 1 "b": 2}', '{"a": 1; "b": 2}', "{a: 1}", "{'a': 1}", "{1: 1}",
            "{null: 1}", "{[]: 1}"),
        *plain('{"a": 1]', '{"a": 1}}', '{"a":: 1}', '{"a" = 1}', '{"a": 1, 1}', '{"a": 1, "b"}',
            '{"a": 1 2}', "{{}}", '{"a" b: 1}'),
        *plain('{"a": a}', "{\"a\": 'x'}", '{"a": "x}', '{"a": 1} {"b": 2}', '{"a": 1}{"b": 2}',
            '{"a": 1}x', '{"a": 1}#', "{...}"),
    ],
    "comments": [
        *plain("1 // a", "// a", "/* a */ 1", "1 /* a */", "1 # a", "# a", "[1 /* a */]",
            '{"a": 1 /* b */}', '{"a": 1} // b'),
        *plain('{"a": /* b */ 1}', "1 -- a", "1 ; a", "<!-- 1 -->", "[1, // a"),
    ],
    "too many digits": [
        *plain("9" * 1000, "-" + "9" * 1000, "9" * 5000, "9" * 100_000, "0." + "1" * 1000,
            "1." + "0" * 1000, "1e" + "0" * 1000),
        *plain("[" + "9" * 1000 + "]", '{"a": ' + "9" * 1000 + "}", '{"a": {"b": [0.' + "3" * 1500 + "]}}"),
    ],
    "exponents past reason": [*plain("1e99999999999999999999", "[1e-99999999999999999999]",
        "-1E+99999999999999999999")],
    "too deep": [
        *plain("[" * 99 + "]" * 99, "[" * 2000 + "]" * 2000, "[" * 100_000 + "]" * 100_000, "[" * 100_000),
        *plain('{"a":' * 99 + "1" + "}" * 99, '{"a":' * 100_000, '[{"a":' * 50_000,
            '[{"a":' * 60 + "1" + "}]" * 60),
    ],
}

# fmt: on
NAMED = {
    "half a surrogate pair": "holds half a surrogate pair",
    "bytes that are not UTF-8": "holds bytes that are not UTF-8",
    "too many digits": "holds a number of 1,000 digits or more",
    "exponents past reason": "holds a number with too large an exponent",
    "too deep": "is nested deeper than 100 levels (max_depth)",
}
"""Kinds whose field is made out, and what is said of it."""


Fate = Literal["stored", "bad record", "stream fails", "run ends", "held", "skipped"]


@dataclass(frozen=True, slots=True)
class Documented:
    """A row of the table in the docs, and an input that shows it.

    `lines` come between the SCHEMA of stream `s` (an integer key `id`, a number `n`,
        a text `v`) and its good
    record 2; `field` and `words` are what the error says; `row` is what is stored beside it.
    """

    what: str
    becomes: str
    fate: Fate
    lines: tuple[bytes, ...]
    field: str = "record"
    words: str = ""
    row: tuple[object, object] | None = None


def rec(fields: str | bytes, stream: str = "s") -> bytes:
    """A RECORD line with id 1 and more fields."""
    more = fields if isinstance(fields, bytes) else fields.encode()
    return b'{"type": "RECORD", "stream": "%b", "record": {"id": 1, %b}}' % (stream.encode(), more)


# fmt: off
B: Final = "bad record"
MANY = b",".join(b'"c%d": {}' % i for i in range(20_001))
DOCUMENTED = [
    Documented("bytes that are not UTF-8, overlong forms too", B, B, (rec(b'"v": "\xc0\xaf"'),), "v",
        "not UTF-8"),
    Documented('half a surrogate pair: `"\\ud800"`', B, B, (rec(r'"v": "\ud800"'),), "v",
        "half a surrogate pair"),
    Documented("a control character as it is in a string, NUL too", B, B, (rec('"v": "\x00"'),),
        words="not readable"),
    Documented('an escaped one: `"\\u0000"`', "kept", "stored", (rec(r'"v": "a\u0000\u001b"'),),
        row=(None, "a\0\x1b")),
    Documented("`NaN`, `Infinity`", B, B, (rec('"n": NaN'),), "n", "NaN or Infinity"),
    Documented("`1e400`", "kept exactly; the column widens", "stored", (rec('"v": 1e400'),), row=(None,
        "1E+400")),
    Documented("`-0.0`", "kept; 0 in an integer column", "stored", (rec('"n": -0.0'),), row=(-0.0, None)),
    Documented("a number of 1,000 digits or more", B, B, (rec('"n": ' + "9" * 1000),), "n",
        "1,000 digits or more"),
    Documented("JSON nested deeper than `max_depth`, in a RECORD", B, B, (rec('"v": ' + "[" * 100_000),),
        "v", "nested deeper"),
    Documented("single quotes, comments, commas at the end, leading zeros, ...", B, B, (rec('"v": "a",'),
        ), words="not readable"),
    Documented("names that come twice in an object", "the last one counts", "stored",
        (rec('"n": 1, "n": 2'),), row=(2.0, None)),
    Documented("two objects in a line", B, B, (rec('"n": 1') * 2,), words="not readable"),
    Documented("a record that is no object", B, B, (b'{"type": "RECORD", "stream": "s", "record": [1]}',),
        words="not an object"),
    Documented("a key property that is missing", B, B,
        (b'{"type": "RECORD", "stream": "s", "record": {"n": 1}}',), "id", "key property"),
    Documented("a key property that is null", "kept: null is a key", "stored",
        (b'{"type":"RECORD","stream":"s","record":{"id":null}}',), row=(None, None)),
    Documented("a message that names two streams or types",
        "bad record, or stream fails: the one that it names first", B,
        (rec('"n": 1')[:-1] + b', "stream": "t"}',), words="two types, or two streams"),
    Documented("a RECORD without its `record`", B, B, (b'{"type": "RECORD", "stream": "s"}',),
        words="lacks its record"),
    Documented("a RECORD before its SCHEMA", "stream fails", "stream fails", (rec('"n": 1', "t"),),
        words="comes before its SCHEMA"),
    Documented("a SCHEMA without properties, or with keys it does not have", "stream fails", "stream fails",
        (b'{"type": "SCHEMA", "stream": "t", "schema": {}}',), words="has no properties"),
    Documented("another message that is malformed, where its beginning names the stream", "stream fails",
        "stream fails",
        (b'{"type": "SCHEMA", "stream": "t", "schema": ' + b"[" * 100_000,), words="nested deeper"),
    Documented("more than 20,000 columns, or 100,000 parts of a schema", "stream fails", "stream fails",
        (b'{"type": "SCHEMA", "stream": "t", "schema": {"properties": {%b}}}' % MANY,
            ),
        words="20,001 columns"),
    Documented("a line that is no JSON object, has no type, or lacks its stream", "run ends", "run ends",
        (b"[1]",), words="no Singer message"),
    Documented("a STATE that is malformed", "run ends", "run ends", (b'{"type": "STATE", "value": {,}}',),
        words="no Singer message"),
    Documented("a type that Singer does not know", "run ends, or counted (`unknown_messages: ignore`)",
        "run ends",
        (b'{"type": "CONTROL"}',), words="unknown message type"),
    Documented("a line longer than `max_line_mb`", "run ends", "run ends", (b"x" * (2**20 + 1),),
        words="is longer than 1 MiB"),
    Documented("a byte order mark at the very beginning, CRLF, blank lines", "skipped", "skipped", (b"",
        b"  \r", rec('"v": "a"') + b"\r"), row=(None, "a")),
    Documented("a byte order mark in another line", "run ends", "run ends",
        (b"\xef\xbb\xbf" + rec('"n": 1'),), words="no Singer message"),
    Documented("a last line that is cut", "what is not proven is held", "held", (rec('"n": 1')[:-9],),
        words="ends inside line"),
]
