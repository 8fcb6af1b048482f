"""The type table as a table of examples, and how columns, keys and child datasets are named."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake_parquet.names import alike
from lake_parquet.paths import dataset_name
from target_lake_parquet import columns
from target_lake_parquet.columns import (
    Kind,
    NoColumnsError,
    Plan,
    Table,
    UnknownKeyError,
    column_names,
    table_of,
)

S, I, N, B = ({"type": name} for name in ("string", "integer", "number", "boolean"))  # noqa: E741 - short on purpose
NULL = {"type": "null"}
OBJECT = {"type": "object", "properties": {"a": I}}
ARRAY = {"type": "array", "items": OBJECT}

# The rows of the table in the module's docstring, in its order; other writings of the same below it.
TABLE: dict[str, list[tuple[Any, str]]] = {
    "`integer`": [
        (I, "integer"),
        ({"type": "integer", "maximum": 2**63 - 1, "minimum": -(2**63)}, "integer"),
        ({"type": "integer", "maximum": 2**63}, "decimal(38,0)"),
        ({"type": "integer", "minimum": -(2**63) - 1}, "decimal(38,0)"),
        ({"type": "integer", "maximum": 18446744073709551615, "exclusiveMaximum": False}, "decimal(38,0)"),
        ({"type": "integer", "multipleOf": 5}, "integer"),
        ({"type": "integer", "exclusiveMaximum": 2**63}, "integer"),
        ({"type": "integer", "exclusiveMaximum": 2**64}, "decimal(38,0)"),
        ({"type": "integer", "maximum": 18446744073709552000.0}, "decimal(38,0)"),
        ({"type": "integer", "maximum": 10**60}, "decimal(38,0)"),
        ({"type": "integer", "maximum": "9"}, "integer"),
    ],
    "`number`": [
        (N, "number"),
        ({"type": "number", "multipleOf": 0.01}, "decimal(38,2)"),
        ({"type": "number", "multipleOf": 1e-10}, "decimal(38,10)"),
        ({"type": "number", "multipleOf": 0.10}, "decimal(38,1)"),
        ({"type": "number", "multipleOf": 1e-37}, "decimal(38,37)"),
        ({"type": "number", "multipleOf": 1e-38}, "number"),
        ({"type": "number", "multipleOf": 0.05}, "number"),
        ({"type": "number", "multipleOf": 1}, "number"),
        ({"type": "number", "multipleOf": 0}, "number"),
        ({"type": "number", "multipleOf": -0.01}, "number"),
        ({"type": "number", "multipleOf": "0.01"}, "number"),
        ({"type": "number", "minimum": 0, "exclusiveMinimum": True}, "number"),
    ],
    "`boolean`": [(B, "boolean")],
    "`string`": [(S, "string"), ({"type": "string", "maxLength": 4, "pattern": "(a+)+$"}, "string")],
    "`string`, `format: date-time`": [({"type": "string", "format": "date-time"}, "timestamp")],
    "`string`, `format: date`": [({"type": "string", "format": "date"}, "date")],
    "`string` or `number`, `format: singer.decimal` or `x-singer.decimal`": [
        ({"type": "string", "format": "singer.decimal"}, "decimal(38,9)"),
        ({"type": "string", "format": "x-singer.decimal", "precision": 10, "scale": 2}, "decimal(38,2)"),
        ({"type": "string", "format": "singer.decimal", "scale": 0}, "decimal(38,0)"),
        ({"type": "string", "format": "singer.decimal", "precision": 76, "scale": 2}, "string"),
        ({"type": "string", "format": "singer.decimal", "scale": 38}, "decimal(38,38)"),
        ({"type": "string", "format": "singer.decimal", "scale": 39}, "string"),
        ({"type": ["null", "number"], "format": "singer.decimal", "scale": 4}, "decimal(38,4)"),
        ({"type": ["number", "string"], "format": "x-singer.decimal", "scale": 2}, "string"),
    ],
    "`string`, any other `format` (`time`, `uuid`, ...)": [
        ({"type": "string", "format": name}, "string") for name in ("time", "uuid", "binary", "email", "")
    ]
    + [
        ({"type": "string", "contentEncoding": "base64"}, "string"),
        ({"type": "string", "contentMediaType": "application/json"}, "string"),
    ],
    "several of `string`, `integer`, `number` and `boolean`": [
        ({"type": ["string", "integer"]}, "string"),
        ({"type": ["boolean", "null", "string"]}, "string"),
        ({"type": ["number", "string"], "format": "date-time"}, "string"),
        ({"type": ["boolean", "integer"]}, "string"),
    ],
    "`integer` with `number`": [
        ({"type": ["integer", "number"]}, "number"),
        ({"type": ["number", "integer"], "multipleOf": 0.01}, "decimal(38,2)"),
    ],
    "`object` with `properties`": [
        (OBJECT, "x__a: integer"),
        ({**OBJECT, "additionalProperties": S}, "x__a: integer"),
        ({**OBJECT, "patternProperties": {"^b": S}}, "x__a: integer"),
        ({**OBJECT, "additionalProperties": False, "required": ["a", "b"]}, "x__a: integer"),
        ({"type": "object", "properties": {"a": True}}, "x__a: json"),
        ({"type": "object", "properties": {"a": {}}}, "x__a: json"),
    ],
    "`array` of objects with `properties`, under a parent with keys": [(ARRAY, "x/ a: integer")],
    "anything else: other arrays and objects, mixtures with those, no type": [
        ({"type": "array"}, "json"),
        ({"type": "array", "items": S}, "json"),
        ({"type": "array", "items": {}}, "json"),
        ({"type": "array", "items": [S, I]}, "json"),
        ({"type": "array", "items": True}, "json"),
        ({"type": "array", "prefixItems": [S], "items": OBJECT}, "json"),
        ({"type": "array", "items": {"type": ["object", "string"], "properties": {"a": S}}}, "json"),
        ({"type": "object"}, "json"),
        ({"type": "object", "properties": {}}, "json"),
        ({"type": "object", "additionalProperties": S}, "json"),
        ({"type": "object", "patternProperties": {".*": S}}, "json"),
        ({"type": ["object", "string"], "properties": {"a": S}}, "json"),
        ({"type": ["array", "object"]}, "json"),
        ({"type": ["string", "number", "integer", "array", "object", "boolean", "null"]}, "json"),
        ({"type": "null"}, "json"),
        ({"type": []}, "json"),
        ({"type": "decimal"}, "json"),
        ({}, "json"),
        (True, "json"),
        (False, "json"),
        (None, "json"),
    ],
}

OTHER_WRITINGS: list[tuple[Any, str]] = [
    # null by list in any order, by anyOf, or twice
    ({"type": ["null", "integer"]}, "integer"),
    ({"type": ["integer", "null"]}, "integer"),
    ({"type": ["String", "NULL"]}, "string"),
    ({"type": ["null", "string"], "format": "date-time"}, "timestamp"),
    ({"anyOf": [I, NULL]}, "integer"),
    ({"anyOf": [NULL, S]}, "string"),
    ({"anyOf": [NULL, {"type": ["string", "null"]}]}, "string"),
    ({"oneOf": [NULL, {"type": "string", "format": "date"}]}, "date"),
    ({"description": "d", "anyOf": [I, NULL]}, "integer"),
    ({"anyOf": [{"type": ["null"]}, N]}, "number"),
    # branches
    ({"anyOf": [I, N]}, "number"),
    ({"anyOf": [I, S]}, "string"),
    ({"anyOf": [B, S]}, "string"),
    ({"anyOf": [{"type": "string", "format": "date-time"}, S]}, "string"),
    ({"anyOf": [{"type": "string", "format": "date-time"}, NULL]}, "timestamp"),
    ({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}, "string"),
    ({"anyOf": [S, OBJECT]}, "json"),
    ({"anyOf": [{}, S]}, "json"),
    ({"anyOf": []}, "json"),
    ({"anyOf": [True, S]}, "json"),
    ({"anyOf": [False, S]}, "string"),
    ({"anyOf": "S"}, "json"),
    ({"type": "string", "anyOf": [{"maxLength": 4}, {"pattern": "x"}]}, "string"),
    ({**OBJECT, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, "x__a: integer"),
    ({"anyOf": [{"const": "a"}, {"enum": ["b", None]}]}, "string"),
    ({"anyOf": [{"anyOf": [I, NULL]}, NULL]}, "integer"),
    ({"anyOf": [OBJECT, NULL]}, "x__a: integer"),
    ({"anyOf": [ARRAY, NULL]}, "x/ a: integer"),
    ({"anyOf": [{"type": "array"}, ARRAY]}, "json"),
    (
        {"anyOf": [{"type": "object", "properties": {"a": I}}, {"type": "object", "properties": {"b": S}}]},
        "x__a: integer, x__b: string",
    ),
    (
        {"oneOf": [{"type": "object", "properties": {"a": I}}, {"type": "object", "properties": {"a": S}}]},
        "x__a: string",
    ),
    ({"type": ["null", "object"], "anyOf": [OBJECT, NULL]}, "x__a: integer"),
    ({"allOf": [{"type": "string"}, {"format": "date"}]}, "date"),
    ({"allOf": [OBJECT, {"type": "object", "properties": {"b": S}}]}, "x__a: integer, x__b: string"),
    ({"type": "number", "allOf": [{"multipleOf": 0.01}]}, "decimal(38,2)"),
    ({"type": "integer", "allOf": [{"maximum": 2**64}]}, "decimal(38,0)"),
    ({"allOf": [N, I]}, "integer"),
    ({"allOf": [True, S]}, "string"),
    ({"allOf": {"type": "string"}}, "json"),
    (
        {"allOf": [{"properties": {"a": S}}, {"properties": {"a": {"format": "date"}, "b": I}}]},
        "x__a: date, x__b: integer",
    ),
    (
        {"type": "array", "allOf": [{"items": OBJECT}, {"items": {"properties": {"b": S}}}]},
        "x/ a: integer, b: string",
    ),
    # no type, and what gives it away
    ({"properties": {"a": I}}, "x__a: integer"),
    ({"items": OBJECT}, "x/ a: integer"),
    ({"enum": ["a", "b", None]}, "string"),
    ({"enum": [1, 2]}, "integer"),
    ({"enum": [1, 2.5]}, "number"),
    ({"enum": [True]}, "boolean"),
    ({"enum": [1, "a"]}, "string"),
    ({"enum": [None]}, "json"),
    ({"enum": "abc"}, "json"),
    ({"const": "a"}, "string"),
    ({"const": None}, "json"),
    ({"const": {"a": 1}}, "json"),
    ({"format": "date-time"}, "json"),
    # references
    ({"$ref": "#/definitions/day"}, "date"),
    ({"$ref": "#/definitions/order"}, "x__day: date"),
    ({"$ref": "#/definitions/deep~1er~0"}, "string"),
    ({"anyOf": [{"$ref": "#/definitions/day"}, NULL]}, "date"),
    ({"type": "array", "items": {"$ref": "#/definitions/order"}}, "x/ day: date"),
    ({"$ref": "#/$defs/day"}, "date"),
    ({"$ref": "#/definitions/two%20words"}, "integer"),
    ({"$ref": "#/definitions/no~01slash"}, "integer"),
    ({"$ref": "#/$defs/list/1"}, "integer"),
    ({"$ref": "#/definitions/day", "description": "d", "default": None}, "date"),
    ({"$ref": "#/$defs/text", "format": "date-time"}, "timestamp"),
    ({"$ref": "#/definitions/none", "type": "integer"}, "integer"),
    ({"$ref": "#/$defs/list/2"}, "json"),
    ({"$ref": "#/$defs/list/" + "9" * 5000}, "json"),
    ({"$ref": "#day"}, "json"),
    ({"$ref": "#/definitions/self"}, "json"),
    ({"$ref": "#/definitions/ring"}, "json"),
    ({"$ref": "#/definitions/tree"}, "x__children: json, x__name: string"),
    ({"$ref": "#/definitions/none"}, "json"),
    ({"$ref": "http://127.0.0.1:9/x.json"}, "json"),
    ({"$ref": "file:///etc/passwd"}, "json"),
    ({"$ref": 7}, "json"),
]

DEFINITIONS = {
    "day": {"type": ["null", "string"], "format": "date"},
    "order": {"type": "object", "properties": {"day": {"$ref": "#/definitions/day"}}},
    "deep/er~": S,
    "two words": I,
    "no~1slash": I,
    "self": {"$ref": "#/definitions/self"},
    "ring": {"anyOf": [{"$ref": "#/definitions/self"}, {"$ref": "#/definitions/ring"}]},
    "tree": {
        "type": "object",
        "properties": {"name": S, "children": {"type": "array", "items": {"$ref": "#/definitions/tree"}}},
    },
}
DEFS = {"day": {"type": "string", "format": "date"}, "text": S, "list": [S, I]}


def kinds(table: Table) -> dict[str, str]:
    return {
        column.name: f"decimal(38,{column.scale})" if column.kind is Kind.DECIMAL else column.kind.value
        for column in table.columns
    }


def planned(schema: Any, **plan: Any) -> str:
    """A field `x` of that schema, under a parent with a key, as text."""
    document = {"properties": {"id": I, "x": schema}, "definitions": DEFINITIONS, "$defs": DEFS}
    table = table_of(document, ["id"], Plan(**plan))
    plain = {name: kind for name, kind in kinds(table).items() if name != "id"}
    if list(plain) == ["x"]:
        return plain["x"]
    parts = [", ".join(f"{name}: {kind}" for name, kind in sorted(plain.items()))] if plain else []
    parts += [
        f"{child.suffix}/ " + ", ".join(f"{n}: {k}" for n, k in kinds(child).items())
        for child in table.children
    ]
    return ", ".join(parts)


@pytest.mark.parametrize(
    ("schema", "expected"), [example for row in TABLE.values() for example in row] + OTHER_WRITINGS, ids=repr
)
def test_a_schema_becomes_a_column(schema: Any, expected: str) -> None:
    assert planned(schema) == expected


def _table_rows(text: str) -> list[str]:
    lines = re.findall(r"^\| (.*?) \| (.*) \|$", text[text.index("| JSON Schema | column |") :], re.MULTILINE)
    rows = [f"{left} | {right}" for left, right in lines]
    end = next(i for i, row in enumerate(rows) if row.startswith("anything else"))
    return rows[2 : end + 1]


def test_the_examples_walk_the_table_in_the_docstring_and_the_docs_repeat_it() -> None:
    assert columns.__doc__ is not None
    rows = _table_rows(columns.__doc__)
    assert [row.split(" | ")[0] for row in rows] == list(TABLE)
    assert _table_rows((Path(__file__).parents[2] / "docs/lake-format.md").read_text()) == rows


# Keys.


def test_keys_may_be_named_as_fields_or_as_columns() -> None:
    document = {"properties": {"id": I, "a.b": I, "shop": {"type": "object", "properties": {"id": I}}}}
    assert table_of(document, ["id"]).keys == ("id",)
    assert table_of(document, ["a.b", "shop__id"]).keys == ("a.b", "shop__id")
    assert table_of(document, []).keys == ()
    assert table_of(document, ["id", "id"]).keys == ("id",)


@pytest.mark.parametrize("key", ["missing", "shop", "lines", "ID"])
def test_a_key_that_is_no_plain_column_is_refused(key: str) -> None:
    document = {"properties": {"id": I, "shop": OBJECT, "lines": ARRAY}}
    with pytest.raises(UnknownKeyError, match=key):
        table_of(document, ["id", key])


# Names.


NAMES: list[tuple[list[tuple[str, ...]], list[str]]] = [
    ([("a",), ("b", "c")], ["a", "b__c"]),
    ([("a", "b"), ("a__b",)], ["a__b_9c8d40", "a__b"]),
    ([("Id",), ("id",)], ["Id", "id_"]),
    ([("",), ("_unnamed",)], ["_unnamed", "_unnamed_"]),
    ([("a\nb",), ("a\tb",)], ["a_b_", "a_b"]),
    (
        [("a.b",), ("a b",), ("a/b",), ("ümläut",), ("日本",), ("😀",)],
        ["a.b", "a b", "a/b", "ümläut", "日本", "😀"],
    ),
    ([("straße",), ("STRASSE",)], ["straße_", "STRASSE"]),
    ([("\0row",)], ["_row"]),
    ([("é",), ("e\u0301",)], ["é_", "e\u0301"]),
    ([("😀\u200d😀",), ("x" * 300,)], ["😀\u200d😀", "x" * 300]),
    ([("a", ""), ("a", "_unnamed")], ["a___unnamed", "a___unnamed_"]),
    ([("a__", "b"), ("a", "__b")], ["a____b_", "a____b"]),
    ([("a\ud800b",)], ["a_b"]),
]


@pytest.mark.parametrize(("paths", "names"), NAMES)
def test_columns_are_named_by_their_path_and_marked_where_names_meet(
    paths: list[tuple[str, ...]], names: list[str]
) -> None:
    found = column_names(paths)
    for path, name in zip(paths, names, strict=True):
        if name.endswith("_"):
            assert re.fullmatch(re.escape(name) + "[0-9a-f]{6}", found[path])
        elif re.search("_[0-9a-f]{6}$", name):
            assert re.fullmatch(re.escape(name[:-6]) + "[0-9a-f]{6}", found[path])
        else:
            assert found[path] == name


def test_a_name_that_looks_like_a_mark_takes_none_away() -> None:
    """A field may be called like another's marked name."""
    marked = column_names([("a", "b"), ("a__b",)])["a", "b"]
    names = column_names([("a", "b"), ("a__b",), (marked,)])
    assert names[("a__b",)] == "a__b"
    assert names[(marked,)] == marked
    assert re.fullmatch(f"{marked}[0-9a-f]", names["a", "b"])


part = st.text(alphabet=st.sampled_from("aAbB_. \néE\u0301"), max_size=4)
paths = st.lists(st.lists(part, min_size=1, max_size=3).map(tuple), unique=True, max_size=8)


@given(paths, st.sampled_from(["__", "_", ".", "a"]), st.randoms())
def test_names_are_unique_but_for_case_and_stable_under_order(
    found: list[tuple[str, ...]], separator: str, random: Any
) -> None:
    names = column_names(found, separator)
    assert len({alike(name) for name in names.values()}) == len(found)
    assert all(name and name.isprintable() for name in names.values())
    shuffled = list(found)
    random.shuffle(shuffled)
    assert column_names(shuffled, separator) == names


def test_a_name_whose_path_nobody_noted_is_its_first_askers_alone() -> None:
    names = column_names([("a__b",), ("a", "b")], known={"a__b": ()})
    assert names["a__b",] == "a__b" != names["a", "b"]


def test_a_name_that_the_target_fills_now_is_not_its_old_fields_any_more() -> None:
    known = {"_tenant": ("_tenant",)}
    names = column_names([("_tenant",)], reserved=frozenset(["_tenant"]), known=known)
    assert re.fullmatch("_tenant_[0-9a-f]{6}", names["_tenant",])


def test_a_reserved_name_is_not_given_to_a_field() -> None:
    table = table_of({"properties": {"id": I, "_Tenant": S}}, ["id"], Plan(reserved=frozenset(["_tenant"])))
    own, marked = table.columns
    assert own.name == "id"
    assert re.fullmatch("_Tenant_[0-9a-f]{6}", marked.name)


def test_ten_thousand_columns_are_no_trouble() -> None:
    document = {"properties": {f"c{i}": S for i in range(10_000)}}
    assert len(table_of(document).columns) == 10_000


def test_a_schema_nested_without_end_is_read_to_a_depth() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"a": S}}
    for _ in range(300):
        schema = {"type": "object", "properties": {"a": schema}}
    (column,) = table_of(schema).columns
    assert column.kind is Kind.JSON


def test_the_whole_schema_may_stand_behind_a_reference_or_in_parts() -> None:
    order = {"type": "object", "properties": {"id": I}}
    for document in (
        {"$ref": "#/definitions/order", "definitions": {"order": order}},
        {"allOf": [order]},
        {"type": ["null", "object"], "anyOf": [order, NULL]},
    ):
        assert kinds(table_of(document)) == {"id": "integer"}


@pytest.mark.parametrize(
    "document", [{}, {"properties": {}}, {"type": "object"}, {"$ref": "#"}, {"properties": []}]
)
def test_a_schema_without_properties_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(NoColumnsError):
        table_of(document)


@pytest.mark.parametrize("keyword", ["properties", "anyOf", "allOf"])
def test_references_that_double_each_other_have_an_end(keyword: str) -> None:
    """Thirty definitions would be a thousand million parts."""
    definitions: dict[str, Any] = {"30": S}
    for i in range(30):
        ref = {"$ref": f"#/definitions/{i + 1}"}
        definitions[str(i)] = {keyword: {"a": ref, "b": ref} if keyword == "properties" else [ref, ref]}
    document = {"properties": {"x": {"$ref": "#/definitions/0"}}, "definitions": definitions}
    with pytest.raises(ValueError, match="parts"):
        table_of(document)


# Child tables.


def family(
    document: Mapping[str, Any], keys: list[str], **plan: Any
) -> dict[str, tuple[tuple[str, ...], list[str]]]:
    tables = table_of({"properties": dict(document)}, keys, Plan(**plan)).family()
    return {table.suffix: (table.keys, [column.name for column in table.columns]) for table in tables}


NESTED = {"id": I, "lines": {"type": "array", "items": {"type": "object", "properties": {"sku": S, "taxes": {
    "type": "array", "items": {"type": "object", "properties": {"rate": N, "parts": ARRAY}}}}}}}  # fmt: skip


def test_an_array_of_objects_becomes_a_child_with_its_parents_keys_and_a_position() -> None:
    assert family(NESTED, ["id"]) == {
        "": (("id",), ["id"]),
        "lines": (("_parent_id", "_position"), ["sku"]),
        "lines__taxes": (("_parent__parent_id", "_parent__position", "_position"), ["rate", "parts"]),
    }


@pytest.mark.parametrize(
    ("keys", "plan", "suffixes"),
    [
        (["id"], {"split_depth": 1}, ["", "lines"]),
        (["id"], {"split_depth": 3}, ["", "lines", "lines__taxes", "lines__taxes__parts"]),
        (["id"], {"split_arrays": False}, [""]),
        ([], {}, [""]),
    ],
)
def test_arrays_split_as_deep_as_asked_and_only_below_keys(
    keys: list[str], plan: dict[str, Any], suffixes: list[str]
) -> None:
    assert list(family(NESTED, keys, **plan)) == suffixes


def test_an_array_within_an_object_is_named_by_its_path() -> None:
    found = family({"id": I, "cart": {"type": "object", "properties": {"lines": ARRAY}}}, ["id"])
    assert found == {"": (("id",), ["id"]), "cart__lines": (("_parent_id", "_position"), ["a"])}


def test_children_whose_names_would_meet_are_marked_whatever_the_order() -> None:
    nested = {
        "x": {"type": "object", "properties": {"y": ARRAY}},
        "x__y": ARRAY,
        "a b": ARRAY,
        "a_b": ARRAY,
        "A_B": ARRAY,
    }
    found = family({"id": I, **nested}, ["id"])
    assert found == family({"id": I, **dict(reversed(nested.items()))}, ["id"])
    assert "x__y" in found
    assert len({dataset_name(None, None, "s", suffix).casefold() for suffix in found}) == 6


def test_an_elements_own_fields_never_take_the_parents_names() -> None:
    element = {"type": "object", "properties": {"_parent_id": S, "_position": S, "_Position": S}}
    found = family({"id": I, "lines": {"type": "array", "items": element}}, ["id"])
    keys, names = found["lines"]
    assert keys == ("_parent_id", "_position")
    assert not {name.casefold() for name in names} & set(keys)


@pytest.mark.parametrize(
    ("depth", "names"),
    [(0, ["a: json"]), (1, ["a__b: json"]), (2, ["a__b__c: string"]), (None, ["a__b__c: string"])],
)
def test_objects_are_flattened_as_deep_as_asked(depth: int | None, names: list[str]) -> None:
    deep = {"a": {"type": "object", "properties": {"b": {"type": "object", "properties": {"c": S}}}}}
    found = kinds(table_of({"properties": deep}, [], Plan(max_depth=depth)))
    assert [f"{name}: {kind}" for name, kind in found.items()] == names
