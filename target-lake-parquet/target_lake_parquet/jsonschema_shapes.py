"""JSON Schema in, the shape of a value out: one of the few things a column can be. Pure.

Real taps speak several drafts at once, so nothing here validates: keywords that say something about a
value's shape are read, all others (`exclusiveMaximum`, `maxLength`, `pattern`, ...) are left alone.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar
from urllib.parse import unquote

MAX_DEPTH = 100
"""Schemas nested or referenced deeper than this are read as "anything": recursive ones never end."""
_INDEX = re.compile("[0-9]{1,9}")
T = TypeVar("T")


MAX_PARTS = 100_000
"""A schema may have so many parts, each counted as often as it is referenced: a few `$ref` make billions."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a JSON value may be: JSON type names without "null", and what they hold.

    `types` is empty where the schema does not say. `properties` counts for objects, `items` for arrays.
    """

    types: frozenset[str]
    formats: frozenset[str] = frozenset()
    properties: Mapping[str, "Shape"] = field(default_factory=dict)
    items: "Shape | None" = None
    multiple_of: Decimal | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    precision: int | None = None
    scale: int | None = None


ANYTHING = Shape(types=frozenset())


def shape_of(schema: object) -> Shape:
    """Reads what a value may be from its JSON Schema, over `anyOf`, `oneOf`, `allOf` and local `$ref`.

    References to other documents are never fetched: such a value is "anything", and so is a recursive one.

    Raises:
        ValueError: the schema has more than MAX_PARTS parts.
    """
    return _Reader(schema).shape_of(schema)


class _Reader:
    """Reads one document: what `$ref: "#/..."` points into, and how many more parts it may have."""

    def __init__(self, root: object) -> None:
        self.root = root
        self.left = MAX_PARTS

    def shape_of(self, schema: object, depth: int = 0, refs: tuple[object, ...] = ()) -> Shape:
        """The shape of a part, `depth` levels down, behind the references `refs`."""
        self.left -= 1
        if self.left < 0:
            raise ValueError(f"the SCHEMA has more than {MAX_PARTS:,} parts: leave fields out at the tap")
        if not isinstance(schema, dict) or depth > MAX_DEPTH:
            return ANYTHING
        shape = self._own_shape(schema, depth, refs)
        ref = schema.get("$ref")
        if ref is not None and ref not in refs:
            shape = _both(shape, self.shape_of(resolve(ref, self.root), depth + 1, (*refs, ref)))
        for keyword in ("anyOf", "oneOf"):
            branches = [branch for branch in _list(schema.get(keyword)) if not _is_nothing(branch)]
            if branches:
                shape = _both(shape, _union([self.shape_of(branch, depth + 1, refs) for branch in branches]))
        for branch in _list(schema.get("allOf")):
            shape = _both(shape, self.shape_of(branch, depth + 1, refs))
        return shape

    def _own_shape(self, schema: Mapping[str, Any], depth: int, refs: tuple[object, ...]) -> Shape:
        declared = schema.get("type")
        names = [declared] if isinstance(declared, str) else _list(declared)
        types = frozenset(name.lower() for name in names if isinstance(name, str)) - {"null"}
        properties = schema.get("properties")
        items = None if "prefixItems" in schema else schema.get("items")
        return Shape(
            types=types if names else frozenset(_types_by_example(schema)),
            formats=frozenset([schema["format"]]) if isinstance(schema.get("format"), str) else frozenset(),
            properties={
                name: self.shape_of(sub, depth + 1, refs)
                for name, sub in (properties.items() if isinstance(properties, dict) else ())
            },
            items=self.shape_of(items, depth + 1, refs) if isinstance(items, dict) else None,
            multiple_of=_decimal(schema.get("multipleOf")),
            minimum=_bound(schema, "minimum", "exclusiveMinimum", 1),
            maximum=_bound(schema, "maximum", "exclusiveMaximum", -1),
            precision=_integer(schema.get("precision")),
            scale=_integer(schema.get("scale")),
        )


def _types_by_example(schema: Mapping[str, Any]) -> Iterator[str]:
    """What a schema without `type` still gives away: properties, items, const, enum."""
    if isinstance(schema.get("properties"), dict) and schema["properties"]:
        yield "object"
    elif isinstance(schema.get("items"), dict):
        yield "array"
    enum = schema.get("enum")
    examples = enum if isinstance(enum, list) else []
    for example in [*examples, *([schema["const"]] if "const" in schema else [])]:
        name = {
            str: "string",
            bool: "boolean",
            int: "integer",
            float: "number",
            dict: "object",
            list: "array",
        }
        if example is not None:
            yield name.get(type(example), "number")


def _union(branches: list[Shape]) -> Shape:
    """A value that may be any of `branches`; one that says nothing makes the whole say nothing."""
    if not branches or any(not branch.types for branch in branches):
        return ANYTHING
    formats = [branch.formats for branch in branches if "string" in branch.types]
    items = [branch.items for branch in branches if "array" in branch.types]
    properties: dict[str, Shape] = {}
    for branch in branches:
        for name, shape in branch.properties.items():
            properties[name] = _union([properties[name], shape]) if name in properties else shape
    first = branches[0] if len(branches) == 1 else Shape(types=frozenset())
    return Shape(
        types=frozenset().union(*(branch.types for branch in branches)),
        # branches that disagree about the format leave a plain string
        formats=formats[0] if formats and all(one == formats[0] for one in formats) else frozenset(),
        properties=properties,
        items=_union([one if one is not None else ANYTHING for one in items]) if items else None,
        multiple_of=first.multiple_of,
        minimum=first.minimum,
        maximum=first.maximum,
        precision=first.precision,
        scale=first.scale,
    )


def _both(left: Shape, right: Shape) -> Shape:
    """A value that must be both: what one side leaves open the other side may say."""
    shared = {name: _both(left.properties[name], right.properties[name])
              for name in left.properties.keys() & right.properties.keys()}  # fmt: skip
    return Shape(
        types=_common_types(left.types, right.types),
        formats=left.formats or right.formats,
        properties={**left.properties, **right.properties, **shared},
        items=_both(left.items, right.items) if left.items and right.items else left.items or right.items,
        multiple_of=_first(left.multiple_of, right.multiple_of),
        minimum=_first(left.minimum, right.minimum),
        maximum=_first(left.maximum, right.maximum),
        precision=_first(left.precision, right.precision),
        scale=_first(left.scale, right.scale),
    )


def _common_types(left: frozenset[str], right: frozenset[str]) -> frozenset[str]:
    """The types that both sides allow; where they allow none in common, what the right side says."""
    if not left or not right:
        return left or right
    if "number" in left | right and "integer" in left | right:
        left, right = (side | {"integer"} if "number" in side else side for side in (left, right))
    return left & right or right


def _first(left: T | None, right: T | None) -> T | None:
    return right if left is None else left


def _is_nothing(schema: object) -> bool:
    """Tells whether a branch allows no value but null."""
    return schema is False or (isinstance(schema, dict) and schema.get("type") in ("null", ["null"]))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def resolve(ref: object, root: object) -> object | None:
    """The part of `root` that a local JSON Pointer names, or None."""
    if not isinstance(ref, str) or not (ref == "#" or ref.startswith("#/")):
        return None
    node = root
    for part in unquote(ref).split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict) and key in node:
            node = node[key]
        elif isinstance(node, list) and _INDEX.fullmatch(key) and int(key) < len(node):
            node = node[int(key)]
        else:
            return None
    return node


def _bound(schema: Mapping[str, Any], plain: str, exclusive: str, inward: int) -> Decimal | None:
    """The last integer within a bound; an exclusive bound is a number, or in older drafts a flag."""
    beyond = _decimal(schema.get(exclusive))
    return _first(_decimal(schema.get(plain)), None if beyond is None else beyond + inward)


def _decimal(value: object) -> Decimal | None:
    if value is None or isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _integer(value: object) -> int | None:
    number = _decimal(value)
    return None if number is None else int(number)
