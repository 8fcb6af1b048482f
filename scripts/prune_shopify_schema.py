"""Cut Shopify's Admin GraphQL schema down to what the tap's queries reach, and keep the cut as test data.

    python scripts/prune_shopify_schema.py admin_2026-01.graphql.gz admin_2026-10.graphql.gz

Reads every query of tap-shopify and of the emulator, walks them through the real schema, and writes the part
that is left. The rules keep one promise: a document that the real schema refuses, the pruned one refuses.
Nothing is ever added or loosened: whole types, fields and union members leave; what stays (arguments, enums,
input types, deprecations) stays as it is.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from graphql import (
    DefinitionNode,
    DirectiveDefinitionNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    FieldDefinitionNode,
    FieldNode,
    GraphQLSchema,
    InputObjectTypeDefinitionNode,
    InterfaceTypeDefinitionNode,
    ListTypeNode,
    NamedTypeNode,
    Node,
    NonNullTypeNode,
    ObjectTypeDefinitionNode,
    ScalarTypeDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    TypeNode,
    UnionTypeDefinitionNode,
    Visitor,
    build_ast_schema,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    parse,
    print_ast,
    validate,
    visit,
)

from tap_shopify.bulk_query import BulkQuery, UnfitError
from tap_shopify.graphql import WRITTEN_FOR, Query, counting, for_version
from tap_shopify.stream import ShopifyStream
from tap_shopify.streams import STREAMS

ROOT = Path(__file__).resolve().parent.parent
QUERY_FOLDERS = (
    ROOT / "taps" / "tap-shopify" / "tap_shopify" / "queries",
    ROOT / "tests" / "emulators" / "shopify" / "queries",
)
OUTPUT = ROOT / "tests" / "emulators" / "shopify"
NEWEST = WRITTEN_FOR
VERSION = re.compile(r"20\d\d-\d\d")
# A connection's filters stand in a table in the description of its argument `query`.
FILTER = re.compile(r"^\| ([a-z_.]+) \| (\w+) \|", re.MULTILINE)
ROOTS = {"QueryRoot": "query", "Mutation": "mutation"}
STANDARD_SCALARS = frozenset({"Boolean", "Float", "ID", "Int", "String"})
# Every second type is a Node: `node(id:)` must not pull the whole schema in; nodes named in queries stay.
OPEN_INTERFACES = frozenset({"Node"})
HEADER = """\
# Shopify's Admin GraphQL schema {version}, pruned to what tap-shopify's queries reach; no descriptions.
# Source: npm package @shopify/dev-mcp 1.16.0, ISC licence, Copyright 2025-present Shopify Inc.
# Written by scripts/prune_shopify_schema.py: run it again rather than edit this file.

"""


class Reach(Visitor):
    """Notes every composite type that a document selects from, and every root field it asks for."""

    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self.info = info
        self.types: set[str] = set()
        self.root_fields: set[str] = set()

    def enter_field(self, node: FieldNode, *_: object) -> None:
        """Note the type above a field and the type it answers with."""
        parent = self.info.get_parent_type()
        answer = self.info.get_type()
        for reached in (parent, get_named_type(answer) if answer else None):
            if reached is not None and is_composite_type(reached):
                self.types.add(reached.name)
        if parent is not None and parent.name in ROOTS:
            self.root_fields.add(node.name.value)


def read_schema(path: Path) -> DocumentNode:
    """Parse the schema document, gzipped or plain.

    Raises:
        OSError: the file cannot be read.
        graphql.GraphQLSyntaxError: it is no GraphQL document.
    """
    raw = path.read_bytes()
    text = gzip.decompress(raw) if path.suffix == ".gz" else raw
    return parse(text.decode("utf-8"), no_location=True)


def read_queries(folders: Iterable[Path], version: str) -> Iterator[tuple[Path, DocumentNode]]:
    """Yield the `*.graphql` documents of the folders as they are sent to a version, in a fixed order."""
    for folder in folders:
        for path in sorted(folder.glob("*.graphql")):
            yield path, for_version(parse(path.read_text(encoding="utf-8")), version)


def made_queries(version: str) -> Iterator[tuple[Path, DocumentNode]]:
    """Yield what the tap makes of its documents: for bulk operations, counts, and lookups by id."""
    for stream in STREAMS:
        path = QUERY_FOLDERS[0] / f"{vars(stream)['name']}.graphql"
        with contextlib.suppress(UnfitError):
            query = Query(path.read_text(encoding="utf-8"), version)
            yield path, parse(BulkQuery(query).document(None, {}))
        if stream.count:
            yield path, parse(counting(stream.count, is_searched=False))
        if stream.count and (stream.filtered_by or stream.search):
            yield path, parse(counting(stream.count, is_searched=True))
        if stream.found_by != ShopifyStream.found_by:
            yield path, parse(f"query Found($id: ID!) {{ {stream.found_by}(id: $id) {{ id }} }}")


def reached(
    schema: GraphQLSchema, queries: Iterable[tuple[Path, DocumentNode]], version: str = NEWEST
) -> tuple[set[str], set[str]]:
    """Return the names of the composite types and of the root fields that the queries reach.

    Every member of a reached union or interface counts as reached, so that no real answer lacks a type.

    Raises:
        SystemExit: the real schema refuses a query; the message names the file.
    """
    types: set[str] = set()
    root_fields: set[str] = set()
    for path, document in queries:
        errors = validate(schema, document)
        if errors and path.parent == OUTPUT / "queries" and version != NEWEST:
            continue  # the emulator's own documents ask for what is new
        if errors:
            sys.exit(f"{path.relative_to(ROOT)}: Shopify's schema refuses it: {errors[0].message}")
        info = TypeInfo(schema)
        reach = Reach(info)
        visit(document, TypeInfoVisitor(info, reach))
        types |= reach.types
        root_fields |= reach.root_fields
    for name in types - OPEN_INTERFACES:
        abstract = schema.type_map[name]
        if is_abstract_type(abstract):
            types |= {member.name for member in schema.get_possible_types(abstract)}
    return types, root_fields


def named(node: TypeNode) -> str:
    """Return the name at the heart of a type reference: `Order` of `[Order!]!`."""
    while isinstance(node, ListTypeNode | NonNullTypeNode):
        node = node.type
    if not isinstance(node, NamedTypeNode):
        raise TypeError(f"not a type reference: {node}")
    return node.name.value


class Pruner:
    """Holds the rules of the cut for one schema document."""

    def __init__(self, document: DocumentNode, types: set[str], root_fields: set[str]) -> None:
        self.document = document
        self.types = types
        self.root_fields = root_fields
        self.leaves = STANDARD_SCALARS | {
            node.name.value
            for node in document.definitions
            if isinstance(node, ScalarTypeDefinitionNode | EnumTypeDefinitionNode)
        }

    def pruned(self) -> list[DefinitionNode]:
        """Return the definitions that stay, in the order of the source."""
        outputs = {id(node): cut for node in self.document.definitions if (cut := self.output(node))}
        wanted = self.inputs(outputs.values())
        kept = []
        for node in self.document.definitions:
            if id(node) in outputs:
                kept.append(outputs[id(node)])
            elif isinstance(
                node, ScalarTypeDefinitionNode | EnumTypeDefinitionNode | InputObjectTypeDefinitionNode
            ):
                kept += [node] if node.name.value in wanted else []
        return kept

    def output(self, node: DefinitionNode) -> DefinitionNode | None:
        """Return a composite type or directive without what is not reached; None when all of it leaves."""
        if isinstance(node, DirectiveDefinitionNode):
            return node
        if isinstance(node, UnionTypeDefinitionNode) and node.name.value in self.types:
            members = (member for member in node.types or () if member.name.value in self.types)
            return replace(node, types=tuple(members))
        if (
            isinstance(node, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode)
            and node.name.value in self.types
        ):
            faces = (face for face in node.interfaces or () if face.name.value in self.types)
            fields = (field for field in node.fields or () if self.stays(node.name.value, field))
            return replace(node, interfaces=tuple(faces), fields=tuple(fields))
        return None

    def stays(self, owner: str, field: FieldDefinitionNode) -> bool:
        """Tell whether a field of a reached type stays.

        All fields stay that answer with a leaf or a reached type, so that a real field is accepted and a
        wrong one refused. Of the roots only the asked ones do: the emulator must not answer what it
        does not model.
        """
        if owner in ROOTS:
            return field.name.value in self.root_fields
        return named(field.type) in self.leaves or named(field.type) in self.types

    def inputs(self, outputs: Iterable[DefinitionNode]) -> set[str]:
        """Return the names of all leaf and input types that the kept definitions mention, however deep."""
        by_name = {
            node.name.value: node
            for node in self.document.definitions
            if isinstance(node, InputObjectTypeDefinitionNode)
        }
        wanted: set[str] = set()
        for node in outputs:
            if isinstance(node, DirectiveDefinitionNode):
                wanted |= {named(argument.type) for argument in node.arguments or ()}
            elif isinstance(node, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode):
                for field in node.fields or ():
                    wanted |= {
                        named(field.type),
                        *(named(argument.type) for argument in field.arguments or ()),
                    }
        todo = list(wanted)
        while todo:
            if (definition := by_name.get(todo.pop())) is None:
                continue
            new = {named(field.type) for field in definition.fields or ()} - wanted
            wanted |= new
            todo += new
        return wanted


class WithoutDescriptions(Visitor):
    """Drops every description: prose is most of the schema's size, and no test reads it."""

    def enter(self, node: Node, *_: object) -> Node | None:
        """Answer with the node without its description; None leaves a node as it is."""
        if not getattr(node, "description", None):
            return None
        return replace(node, description=None)  # type: ignore[call-arg]  # some nodes carry it, not all


def prune(document: DocumentNode, queries: Iterable[tuple[Path, DocumentNode]], version: str = NEWEST) -> str:
    """Return the text of the schema, cut to what the queries reach."""
    types, root_fields = reached(build_ast_schema(document, assume_valid=True), queries, version)
    kept = DocumentNode(definitions=tuple(Pruner(document, types, root_fields).pruned()))
    roots = "".join(f"  {word}: {name}\n" for name, word in ROOTS.items() if name in types)
    text = print_ast(visit(kept, WithoutDescriptions()))
    return f"{HEADER.format(version=version)}schema {{\n{roots}}}\n\n{text}\n"


def filters(document: DocumentNode, kept: DocumentNode) -> dict[str, dict[str, str]]:
    """Return each kept connection's search fields with their types, as Shopify's descriptions list them."""
    there = {
        (owner.name.value, field.name.value)
        for owner in kept.definitions
        if isinstance(owner, ObjectTypeDefinitionNode)
        for field in owner.fields or ()
    }
    found: dict[str, dict[str, str]] = {}
    for owner in document.definitions:
        if not isinstance(owner, ObjectTypeDefinitionNode):
            continue
        for field in owner.fields or ():
            for argument in field.arguments or ():
                name = field.name.value
                if (
                    argument.name.value == "query"
                    and argument.description
                    and (owner.name.value, name) in there
                ):
                    listed = dict(FILTER.findall(argument.description.value))
                    found[name] = {**found.get(name, {}), **listed}
    return {name: found[name] for name in sorted(found) if found[name]}


def main() -> None:
    """Write the pruned schemas beside the emulator, the newest one's filters too, and say what they hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("schemas", type=Path, nargs="+", help="whole schemas, .graphql or .graphql.gz")
    for path in sorted(parser.parse_args().schemas):
        (version,) = VERSION.findall(path.name)
        document = read_schema(path)
        queries = [*read_queries(QUERY_FOLDERS, version), *made_queries(version)]
        text = prune(document, queries, version)
        (OUTPUT / f"admin_{version}.graphql").write_text(text, encoding="utf-8")
        print(f"admin_{version}.graphql: {len(text):,} characters")
    lines = [
        f"{json.dumps(key)}: {json.dumps(value)}" for key, value in filters(document, parse(text)).items()
    ]
    (OUTPUT / "filters.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
