"""A message's line in, whether it names its type or its stream twice out. Pure.

Parsers take the last one, and the rooms that tell lines apart by how they begin the first: such a line would
belong to one stream here and to another there.
"""

import json
import re

import msgspec

_ONCE = (b'"type"', b'"stream"')
_ESCAPED = re.compile(rb"\\u00(?:6[15dD]|7[02349])")
"""A letter of those names, written as no tap writes it."""


class EnvelopeError(ValueError):
    """A RECORD is sound JSON, and none that can be stored; the message goes on after "the record"."""


class TwoNamesError(EnvelopeError):
    """A message names two types, or two streams. `stream` is the first one, empty where there is none."""

    def __init__(self, stream: str) -> None:
        """Says so of a message."""
        super().__init__("names two types, or two streams")
        self.stream = stream


def check_names(line: bytes, inner: msgspec.Raw) -> None:
    """Looks at a line of JSON; in its part `inner` such names are the user's own.

    Raises:
        TwoNamesError: it has two types, or two streams, that differ.
    """
    once = all(line.count(name) <= 1 or line.count(name) - bytes(inner).count(name) <= 1 for name in _ONCE)
    if once and _ESCAPED.search(line) is None:
        return
    members = json.loads(line, object_pairs_hook=list, parse_int=str, parse_float=str)
    types = {str(value).upper() for name, value in members if name == "type"}
    streams = [value for name, value in members if name == "stream"]
    if len(types) > 1 or len({*map(str, streams)}) > 1:
        raise TwoNamesError(next((one for one in streams if isinstance(one, str)), ""))
