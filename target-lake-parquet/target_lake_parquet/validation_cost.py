"""JSON Schema in, how often validating looks at one place of a record out. Pure.

A few `$ref` that double each other make a schema of some lines look at one value 2^60 times, and the
validator cannot be interrupted. Parts for different places of a record cost no more than the record is
large; parts for the same place are counted together, each as often as it is referenced.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any

from target_lake_parquet.jsonschema_shapes import resolve

LEVELS = 200
"""How far down a recursive schema is followed: no record is deeper."""
LIMIT = 100_000
"""More looks at one place than this are too many."""
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
IN_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies")
NAMED = {"properties", "patternProperties", "dependentSchemas", "dependencies"}
"""Keywords that hold schemas under names of their own."""
BELOW = (
    ("properties", "additionalProperties", "unevaluatedProperties"),
    ("items", "prefixItems", "additionalItems", "unevaluatedItems"),
    ("contains",),
    ("propertyNames",),
)
"""Keywords whose schemas are for what is inside the value; of a group no two are for the same place."""


def most_looks(schema: Mapping[str, Any]) -> int:
    """The most parts of a schema that are for one place of a record: past LIMIT the true number is larger.

    Raises:
        RecursionError: it is nested too deeply.
    """
    counter = _Counter(schema)
    looks = 0
    for levels in range(LEVELS):  # one by one: a level needs the counts of those below, and no deep recursion
        looks = counter.looks(schema, levels)
        if looks > LIMIT or not counter.recurs(schema):
            break
    return looks


class _Counter:
    """Counts parts for values of so many levels; those that lead to no recursion cost the same at any."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.resolve = cache(lambda ref: resolve(ref, root))
        self.known: dict[tuple[int, int], int] = {}
        self.recursive: dict[int, bool] = {}

    def looks(self, schema: object, levels: int) -> int:
        """Counts the parts for the value that `schema` is for, and for the dearest place inside it."""
        if not isinstance(schema, Mapping) or levels < 0:
            return 1
        here = (id(schema), levels if self.recurs(schema) else LEVELS)
        if here not in self.known:
            self.known[here] = 1  # what refers to itself in place is no further part
            below = here[1] - 1
            inside = sum(max(self._inside(schema, group, below), default=0) for group in BELOW)
            patterns = sum(self._inside(schema, ("patternProperties",), below))
            in_place = sum(self.looks(one, here[1]) for one in self._in_place(schema))
            self.known[here] = 1 + inside + patterns + in_place
        return self.known[here]

    def recurs(self, schema: object) -> bool:
        """Tells whether a part leads to one that leads to itself."""
        if not isinstance(schema, Mapping):
            return False
        if id(schema) not in self.recursive:
            self.recursive[id(schema)] = True  # whoever comes here again before it is told goes in a circle
            keywords = (*(name for group in BELOW for name in group), "patternProperties")
            below = (one for keyword in keywords for one in _below(schema, keyword))
            found = any(map(self.recurs, chain(below, self._in_place(schema))))
            self.recursive[id(schema)] = found
        return self.recursive[id(schema)]

    def _inside(self, schema: Mapping[str, Any], keywords: Sequence[str], levels: int) -> Iterator[int]:
        return (self.looks(one, levels) for keyword in keywords for one in _below(schema, keyword))

    def _in_place(self, schema: Mapping[str, Any]) -> Iterator[object]:
        for keyword in REFERENCES:
            if isinstance(schema.get(keyword), str):
                yield self.resolve(schema[keyword])
        for keyword in IN_PLACE:
            yield from _below(schema, keyword)


def _below(schema: Mapping[str, Any], keyword: str) -> Iterator[object]:
    """The schemas that a keyword holds: one, a list, or some by name."""
    value = schema.get(keyword)
    if isinstance(value, list):
        yield from value
    elif isinstance(value, Mapping) and keyword in NAMED:
        yield from value.values()
    elif value is not None:
        yield value
