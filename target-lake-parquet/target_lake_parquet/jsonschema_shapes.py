"""JSON Schema in, the shape of a value out: one of the few things a column can be. Pure.

Real taps speak several drafts at once, so nothing here validates: keywords that say something about a
value's shape are read, all others (`exclusiveMaximum`, `maxLength`, `pattern`, ...) are left alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

MAX_DEPTH = 100
"""Schemas nested or referenced deeper than this are read as "anything": recursive ones never end."""


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


@dataclass(slots=True)
class _Document:
    """The stream's whole schema, which `$ref: "#/..."` points into, and how many parts were read of it."""

    root: object
    parts: int = 0


def shape_of(schema: object) -> Shape:
    """Reads what a value may be from its JSON Schema, over `anyOf`, `oneOf`, `allOf` and local `$ref`.

    References to other documents are never fetched: such a value is "anything", and so is a recursive one.

    Raises:
        ValueError: the schema has more than MAX_PARTS parts.
    """
    return _shape(schema, _Document(schema))


def _shape(schema: object, root: _Document, depth: int = 0, refs: tuple[str, ...] = ()) -> Shape:
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return ANYTHING
    root.parts += 1
    if root.parts > MAX_PARTS:
        raise ValueError(f"the SCHEMA has more than {MAX_PARTS:,} parts: leave fields out at the tap")
    if "$ref" in schema:
        ref = schema["$ref"]
        target = _resolve(ref, root.root) if ref not in refs else None
        return _shape(target, root, depth + 1, (*refs, ref)) if target is not None else ANYTHING
    own = _own_shape(schema, root, depth, refs)
    for keyword in ("anyOf", "oneOf"):
        branches = schema.get(keyword)
        if isinstance(branches, list) and branches:
            union = _union(
                [_shape(branch, root, depth + 1, refs) for branch in branches if not _is_null(branch)]
            )
            own = _both(own, union)
    all_of = schema.get("allOf")
    for branch in all_of if isinstance(all_of, list) else ():
        own = _both(own, _shape(branch, root, depth + 1, refs))
    return own


def _own_shape(schema: Mapping[str, Any], root: _Document, depth: int, refs: tuple[str, ...]) -> Shape:
    declared = schema.get("type")
    names = [declared] if isinstance(declared, str) else declared if isinstance(declared, list) else []
    types = frozenset(name.lower() for name in names if isinstance(name, str)) - {"null"}
    if not names:
        types = frozenset(_types_by_example(schema))
    properties = schema.get("properties")
    items = schema.get("items")
    return Shape(
        types=types,
        formats=frozenset([schema["format"]]) if isinstance(schema.get("format"), str) else frozenset(),
        properties={
            name: _shape(sub, root, depth + 1, refs)
            for name, sub in (properties.items() if isinstance(properties, Mapping) else ())
        },
        items=_shape(items, root, depth + 1, refs) if isinstance(items, Mapping) else None,
        multiple_of=_decimal(schema.get("multipleOf")),
        minimum=_decimal(schema.get("minimum")),
        maximum=_decimal(schema.get("maximum")),
        precision=_integer(schema.get("precision")),
        scale=_integer(schema.get("scale")),
    )


def _types_by_example(schema: Mapping[str, Any]) -> Iterator[str]:
    """What a schema without `type` still gives away: properties, items, const, enum."""
    if isinstance(schema.get("properties"), Mapping) and schema["properties"]:
        yield "object"
    elif isinstance(schema.get("items"), Mapping):
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
    return Shape(
        types=(left.types & right.types or right.types)
        if left.types and right.types
        else left.types or right.types,
        formats=left.formats or right.formats,
        properties={**left.properties, **right.properties},
        items=left.items if left.items is not None else right.items,
        multiple_of=left.multiple_of if left.multiple_of is not None else right.multiple_of,
        minimum=left.minimum if left.minimum is not None else right.minimum,
        maximum=left.maximum if left.maximum is not None else right.maximum,
        precision=left.precision if left.precision is not None else right.precision,
        scale=left.scale if left.scale is not None else right.scale,
    )


def _is_null(schema: object) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") in ("null", ["null"])


def _resolve(ref: object, root: object) -> object | None:
    """The part of `root` that a local JSON Pointer names, or None."""
    if not isinstance(ref, str) or not ref.startswith("#"):
        return None
    node = root
    for part in filter(None, ref[1:].split("/")):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, Mapping) and key in node:
            node = node[key]
        else:
            return None
    return node


def _decimal(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _integer(value: object) -> int | None:
    return int(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else None
