"""A line's bytes in, a refusal where parsing them would cost too much: looked at before any parser is. Pure.

No check makes objects of what the bytes say; most lines cost two counts and one search.
"""

import itertools
import re

MAX_NUMBER = 1000
"""A number written with so many digits, or more, is refused: no column holds it, and reading it is slow."""

LONG_NUMBER = f"holds a number of {MAX_NUMBER:,} digits or more"

# a string that is not closed ends with the line: else each quote in it would be tried as another beginning
_STRING = rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)'
_STRINGS = re.compile(_STRING, re.DOTALL)
_TOKENS = re.compile(_STRING + rb"|[][{}]", re.DOTALL)
_DIGITS = bytes(ord("0") if chr(byte) in "0123456789." else byte for byte in range(256))
_STEPS = bytes.maketrans(b"{[}]", b"\x01\x01\xff\xff")
_PIECE = 2**16
_NO_BRACKETS = bytes(byte for byte in range(256) if chr(byte) not in "{}[]")


class TooDeepError(ValueError):
    """A line is nested too deeply. `near` is the last name before that on its record's top level, if any."""

    def __init__(self, max_depth: int, near: str) -> None:
        """Says so of a line that nests deeper than `max_depth`."""
        super().__init__(f"is nested deeper than {max_depth} levels (max_depth)")
        self.near = near


def check_caps(line: bytes, max_depth: int) -> None:
    """Looks at a message's line of JSON, or of what should be some.

    Raises:
        TooDeepError: it nests deeper than `max_depth`.
        ValueError: it holds a number of too many digits.
    """
    may_be_deep = line.count(b"{") + line.count(b"[") > max_depth
    may_be_long = len(line) > MAX_NUMBER and _has_digits(line)
    if not may_be_deep and not may_be_long:
        return
    bare = _STRINGS.sub(b'""', line)
    if may_be_deep and _is_deeper(bare, max_depth):
        raise TooDeepError(max_depth, _name_before(line, max_depth))
    if may_be_long and _has_digits(bare):
        raise ValueError(LONG_NUMBER)


def is_utf8(text: bytes) -> bool:
    """Tells whether bytes are UTF-8, as all JSON is (RFC 8259, section 8.1)."""
    try:
        return text.isascii() or bool(text.decode())
    except UnicodeDecodeError:
        return False


def _has_digits(text: bytes) -> bool:
    """Tells whether so many digits stand in a row, looking at a piece at a time: a line may be long."""
    starts = range(0, len(text), _PIECE)
    return any(b"0" * MAX_NUMBER in text[at : at + _PIECE + MAX_NUMBER].translate(_DIGITS) for at in starts)


def _is_deeper(bare: bytes, max_depth: int) -> bool:
    """Tells whether brackets nest deeper: a running sum of +1 and -1, piece by piece."""
    steps = memoryview(bare.translate(_STEPS, _NO_BRACKETS)).cast("b")
    depth = 0
    for at in range(0, len(steps), _PIECE):
        depths = list(itertools.accumulate(steps[at : at + _PIECE], initial=depth))
        if max(depths) > max_depth:
            return True
        depth = depths[-1]
    return False


def _name_before(line: bytes, max_depth: int) -> str:
    depth, name = 0, b""
    for token in _TOKENS.finditer(line):
        if token[0][:1] == b'"':
            name = token[0] if depth == 2 else name  # noqa: PLR2004 - the message, then its record
        else:
            depth += 1 if token[0] in b"{[" else -1
            if depth > max_depth:
                break
    return name[1:-1].decode(errors="replace")
