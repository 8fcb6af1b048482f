"""Write tap-shopify's JSON Schemas from its queries and Shopify's own schema.

    python scripts/generate_shopify_schemas.py admin_2026-10.graphql.gz
    python scripts/generate_shopify_schemas.py --check tests/emulators/shopify/admin_2026-10.graphql

A column's type is what the API declares for the field it comes from. All columns but the key may be null: the
API adds and drops "non-null" between versions, and a lake's types should not follow.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphql import (
    FieldNode,
    GraphQLOutputType,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    get_named_type,
    get_nullable_type,
    is_enum_type,
    is_list_type,
    parse,
    visit,
)

from tap_shopify.access import KINDS
from tap_shopify.graphql import WRITTEN_FOR, Column, Query, Way, for_version, step
from tap_shopify.rows import GID_COLUMN
from tap_shopify.stream import ShopifyStream, is_within
from tap_shopify.streams import STREAMS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "taps" / "tap-shopify" / "tap_shopify"
ACCESS = ROOT / "tests" / "emulators" / "shopify" / "access.json"
Json = dict[str, Any]

# The SDK's convention for exact decimals: a string, with the digits a database needs.
DECIMAL = {"type": ["string", "null"], "format": "x-singer.decimal", "precision": 38, "scale": 6}
SCALARS: Mapping[str, Json] = {
    "BigInt": {"type": ["integer", "null"]},
    "Boolean": {"type": ["boolean", "null"]},
    "Date": {"type": ["string", "null"], "format": "date"},
    "DateTime": {"type": ["string", "null"], "format": "date-time"},
    "Decimal": DECIMAL,
    "Float": {"type": ["number", "null"]},
    "Int": {"type": ["integer", "null"]},
    "Money": DECIMAL,
    "UnsignedInt64": {"type": ["integer", "null"]},
    **{name: {"type": ["string", "null"]} for name in ("FormattedString", "HTML", "ID", "String", "URL")},
}


def load(path: Path) -> GraphQLSchema:
    """Return the API's schema; the real one does not pass validation, hence `assume_valid`."""
    data = path.read_bytes()
    return build_schema((gzip.decompress(data) if path.suffix == ".gz" else data).decode(), assume_valid=True)


def schema_of(stream: type[ShopifyStream], query: Query, api: GraphQLSchema) -> Json:
    """Return the JSON Schema of a stream's rows: what they carry of others, then their own columns."""
    kind = "QueryRoot"
    for field in query.fields:
        kind = _inside(api, kind, field)
    root = columns_of(query.columns, kind, api)
    row, columns = root, query.columns
    for name in stream.rows_at:
        (column,) = (column for column in columns if column.name == name)
        columns, row = column.columns, _object(row[name])["properties"]
    carried = {name: _at(row, path) for name, path in stream.moved.items()}
    carried |= {name: _at(root, path) for name, path in stream.parent_columns.items()}
    gone = {path.partition(".")[0] for path in stream.moved.values()}
    properties = carried | {name: declared for name, declared in row.items() if name not in gone}
    for name in stream.primary_keys:
        properties[name] = {**properties[name], "type": properties[name]["type"][:1]}
    return {"type": "object", "properties": properties}


def _inside(api: GraphQLSchema, parent: str, field: str) -> str:
    """Return the type behind a field; of a connection, the type of its nodes."""
    declared = api.type_map[parent].fields[field].type  # type: ignore[attr-defined]
    name = str(get_named_type(declared))
    return str(get_named_type(_nodes(declared, api))) if name.endswith("Connection") else name


def _object(schema: Json) -> Json:
    return _object(schema["items"]) if "items" in schema else schema


def _at(properties: Json, path: str) -> Json:
    first, _, rest = path.partition(".")
    return _at(_object(properties[first])["properties"], rest) if rest else dict(properties[first])


def columns_of(columns: tuple[Column, ...], parent: str, api: GraphQLSchema) -> Json:
    """Return the properties of an object type, in the order they are asked for."""
    properties: Json = {}
    for column in columns:
        name = column.field.name.value
        if name == "__typename":
            properties[column.name] = SCALARS["String"]
            continue
        if column.is_id:
            properties |= {"id": SCALARS["Int"], GID_COLUMN: SCALARS["ID"]}
            continue
        owner = api.type_map[column.on[0] if column.on else parent]
        declared = owner.fields[name].type  # type: ignore[attr-defined]
        properties[column.name] = type_of(column, _nodes(declared, api) if column.nodes else declared, api)
    return properties


def type_of(column: Column, declared: GraphQLOutputType, api: GraphQLSchema) -> Json:
    """Return the schema of one column."""
    bare = get_nullable_type(declared)
    if is_list_type(bare):
        inner = type_of(column, bare.of_type, api)
        return {"type": ["array", "null"], "items": inner}
    if column.columns:
        return {"type": ["object", "null"], "properties": columns_of(column.columns, str(bare), api)}
    if is_enum_type(bare):
        return SCALARS["String"]
    if str(bare) == "ID" and column.name.endswith("_id") and not column.name.endswith(GID_COLUMN):
        return SCALARS["Int"]  # another object's, as it stands in that object's `id`
    return SCALARS[str(bare)]


def _nodes(declared: GraphQLOutputType, api: GraphQLSchema) -> GraphQLOutputType:
    """Return the type of a connection's `nodes`."""
    return api.type_map[str(get_named_type(declared))].fields["nodes"].type  # type: ignore[attr-defined,no-any-return]


def generate(api: GraphQLSchema) -> dict[Path, str]:
    """Return every schema file with its content."""
    files = {}
    for stream in STREAMS:
        name = str(stream.name)  # type: ignore[misc]  # the SDK thinks that only instances have one
        query = Query((PACKAGE / "queries" / f"{name}.graphql").read_text(encoding="utf-8"))
        files[PACKAGE / "schemas" / f"{name}.json"] = _written(schema_of(stream, query, api)) + "\n"
    files[PACKAGE / "types.json"] = types_of(api)
    files[PACKAGE / "scopes.json"] = scopes_of(api)
    return files


def scopes_of(api: GraphQLSchema) -> str:
    """Return what each query requires of a token, by Shopify's words on types and fields, as JSON.

    What a stream cannot do without is required for the stream, the rest for single columns.
    """
    vital = {str(vars(stream)["name"]): stream.vital() for stream in STREAMS}
    lines = []
    for path in sorted((PACKAGE / "queries").glob("*.graphql")):
        query = Query(path.read_text(encoding="utf-8"))
        needs, columns = set[str](), dict[str, list[str]]()
        for way, required in sorted(required_by(query, api).items()):
            if path.stem not in vital or any(is_within(one, way) for one in vital[path.stem]):
                needs |= required
        for way, required in sorted(required_by(query, api).items()):
            name = ".".join(way)
            above = [all_of for around, all_of in columns.items() if name.startswith(f"{around}.")]
            if more := sorted(required - needs.union(*above)):
                columns[name] = more
        if not needs and not query.connection.nodes:
            continue
        facts: Json = {"root": query.connection.field.name.value, "needs": sorted(needs)}
        if columns:
            facts["columns"] = columns
        lines.append(f"{json.dumps(path.stem)}: {json.dumps(facts)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def required_by(query: Query, api: GraphQLSchema) -> dict[Way, set[str]]:
    """Return what the columns of a query require, by the way to each from the row on; the row is `()`."""
    required: dict[str, set[str]] = {}
    for requirement, names in json.loads(ACCESS.read_text(encoding="utf-8")).items():
        # What is named first is what a person is told to grant.
        scopes = sorted(requirement.split("|"), key=lambda scope: scope != KINDS[0])
        for name in names:
            required.setdefault(name, set()).add("|".join(scopes))
    info, found, at = TypeInfo(api), dict[Way, set[str]](), list[str]()

    class Needs(Visitor):
        def enter_field(self, node: FieldNode, *_: object) -> None:
            at.extend(step(node))
            parent, answer = info.get_parent_type(), info.get_type()
            names = [f"{parent}.{node.name.value}", str(get_named_type(answer)) if answer else ""]
            way = tuple(at) if is_within(tuple(at), query.path) else query.path
            found.setdefault(way[len(query.path) :], set()).update(
                *(required.get(name, ()) for name in names)
            )

        def leave_field(self, node: FieldNode, *_: object) -> None:
            del at[len(at) - len(step(node)) :]

    visit(parse(query.text), TypeInfoVisitor(info, Needs()))
    return found


def types_of(api: GraphQLSchema) -> str:
    """Return the type behind each field with fields of its own that a query asks for, as JSON."""
    found: dict[str, dict[str, str]] = {}
    info = TypeInfo(api)

    class Notes(Visitor):
        def enter_field(self, node: FieldNode, *_: object) -> None:
            parent, declared = info.get_parent_type(), info.get_type()
            if node.selection_set and parent and declared:
                found.setdefault(parent.name, {})[node.name.value] = get_named_type(declared).name

    for path in sorted((PACKAGE / "queries").glob("*.graphql")):
        source = path.read_text(encoding="utf-8")
        visit(for_version(parse(source), WRITTEN_FOR), TypeInfoVisitor(info, Notes()))
    assert api.query_type is not None  # noqa: S101 - every API has queries
    for field in {stream.found_by for stream in STREAMS}:  # remainders are asked for by id
        found["QueryRoot"][field] = get_named_type(api.query_type.fields[field].type).name
    lines = [f"{json.dumps(name)}: {json.dumps(found[name], sort_keys=True)}" for name in sorted(found)]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _written(value: Json, indent: str = "") -> str:
    """Return JSON with one line a column, so that a change of a column is a change of a line."""
    if "properties" not in value and "items" not in value:
        return json.dumps(value)
    inner = indent + "  "
    lines = [
        f"{inner}{json.dumps(key)}: "
        + (
            _properties(item, inner)
            if key == "properties"
            else _written(item, inner)
            if key == "items"
            else json.dumps(item)
        )
        for key, item in value.items()
    ]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


def _properties(properties: Json, indent: str) -> str:
    inner = indent + "  "
    lines = [f"{inner}{json.dumps(name)}: {_written(item, inner)}" for name, item in properties.items()]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


def main() -> int:
    """Write the files, or with --check say which of them differ."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("schema", type=Path, help="the API's schema in SDL, plain or .gz")
    parser.add_argument(
        "--check", action="store_true", help="write nothing, exit 1 where a file would change"
    )
    arguments = parser.parse_args()
    stale = 0
    for path, text in generate(load(arguments.schema)).items():
        same = path.exists() and path.read_text(encoding="utf-8") == text
        if not same and not arguments.check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        stale += not same
        print(f"{'unchanged' if same else 'differs' if arguments.check else 'written'}  {path.name}")
    return int(arguments.check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
