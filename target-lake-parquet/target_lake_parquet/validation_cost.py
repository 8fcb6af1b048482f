"""JSON Schema in, how often validating looks at one place of a record out. Pure.

A few `$ref` that double each other make a schema of some lines look at one value 2^60 times, and the
validator cannot be interrupted. Parts for different places of a record cost no more than the record is
large; parts for the same place are counted together, each as often as it is referenced.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from target_lake_parquet.jsonschema_shapes import resolve

LEVELS = 30
"""How far down a recursive schema is followed: doubling shows long before."""
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
    """The most parts of a schema that are for one place of a record; recursive ones go on for LEVELS levels.

    Raises:
        RecursionError: it is nested too deeply.
    """
    return _Counter(schema).looks(schema, LEVELS)


class _Counter:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root = root
        self.known: dict[tuple[int, int], int] = {}

    def looks(self, schema: object, levels: int) -> int:
        """Counts the parts for the value that `schema` is for, and for the dearest place inside it."""
        if not isinstance(schema, Mapping) or levels == 0:
            return 1
        here = (id(schema), levels)
        if here not in self.known:
            self.known[here] = 1  # what refers to itself in place is no further part
            inside = sum(
                max(
                    (self.looks(one, levels - 1) for keyword in group for one in _below(schema, keyword)),
                    default=0,
                )
                for group in BELOW
            )
            patterns = sum(self.looks(one, levels - 1) for one in _below(schema, "patternProperties"))
            self.known[here] = (
                1 + inside + patterns + sum(self.looks(one, levels) for one in self._in_place(schema))
            )
        return self.known[here]

    def _in_place(self, schema: Mapping[str, Any]) -> Iterator[object]:
        for keyword in REFERENCES:
            if keyword in schema:
                yield resolve(schema[keyword], self.root)
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
