"""Errors in the shape Shopify gives them: `message`, `locations`, `path` and a code under `extensions`.

graphql-core words its errors otherwise than Shopify's server does. The rule that refused a document decides
the code; the message is Shopify's where the facts for it are at hand, else graphql-core's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    Node,
    OperationDefinitionNode,
    specified_rules,
    validate,
)

JSONObject: TypeAlias = dict[str, Any]

CODES = {
    "FieldsOnCorrectTypeRule": "undefinedField",
    "KnownOperationTypesRule": "undefinedOperation",
    "KnownArgumentNamesRule": "argumentNotAccepted",
    "KnownDirectivesRule": "undefinedDirective",
    "KnownFragmentNamesRule": "undefinedFragment",
    "KnownTypeNamesRule": "undefinedType",
    "NoUndefinedVariablesRule": "variableNotDefined",
    "NoUnusedFragmentsRule": "useFragment",
    "NoUnusedVariablesRule": "variableNotUsed",
    "OverlappingFieldsCanBeMergedRule": "fieldConflict",
    "PossibleFragmentSpreadsRule": "cannotSpreadFragment",
    "ProvidedRequiredArgumentsRule": "missingRequiredArguments",
    "ScalarLeafsRule": "selectionMismatch",
    "ValuesOfCorrectTypeRule": "argumentLiteralsIncompatible",
    "VariablesAreInputTypesRule": "variableRequiresValidType",
    "VariablesInAllowedPositionRule": "variableMismatch",
}


def error(message: str, code: str, **extensions: object) -> JSONObject:
    """Return an error that stands for the whole request, such as a throttled one."""
    return {"message": message, "extensions": {"code": code, **extensions}}


def bad_request(message: str) -> GraphQLError:
    """Return the error of a resolver that cannot serve its arguments."""
    return GraphQLError(message, extensions={"code": "BAD_REQUEST"})


def syntax_error(problem: GraphQLSyntaxError) -> JSONObject:
    """Return the error of a document that does not parse."""
    return {
        "message": problem.message,
        "locations": [location.formatted for location in problem.locations or ()],
        "extensions": {"code": "parseError"},
    }


def variable_error(problem: GraphQLError) -> JSONObject:
    """Return the error of a variable whose value does not fit its declared type."""
    return {
        "message": problem.message,
        "locations": [location.formatted for location in problem.locations or ()],
        "extensions": {"code": "INVALID_VARIABLE"},
    }


def validation_errors(schema: GraphQLSchema, document: DocumentNode) -> Iterator[JSONObject]:
    """Yield every reason why the schema refuses a document, rule by rule."""
    for rule in specified_rules:
        for problem in validate(schema, document, [rule]):
            code = CODES.get(rule.__name__, rule.__name__.removesuffix("Rule"))
            yield shaped(document, problem, code)


def shaped(document: DocumentNode, problem: GraphQLError, code: str) -> JSONObject:
    """Return one validation error as Shopify words it."""
    node = problem.nodes[0] if problem.nodes else None
    message, facts = problem.message, {}
    quoted = message.split("'")[1::2]
    if code == "undefinedField":
        message = f"Field '{quoted[0]}' doesn't exist on type '{quoted[1]}'"
        facts = {"typeName": quoted[1], "fieldName": quoted[0]}
    elif code == "argumentNotAccepted":
        name = quoted[1].rsplit(".", 1)[-1]
        message = f"Field '{name}' doesn't accept argument '{quoted[0]}'"
        facts = {"name": name, "typeName": "Field", "argumentName": quoted[0]}
    return {
        "message": message,
        "locations": [location.formatted for location in problem.locations or ()],
        "path": path_to(document, node) if node else [],
        "extensions": {"code": code, **facts},
    }


def path_to(document: DocumentNode, wanted: Node) -> list[str]:
    """Return the way from operation or fragment down to a node, such as `["query Orders", "orders", "x"]`."""

    def search(node: Node, path: list[str]) -> list[str] | None:
        if isinstance(node, OperationDefinitionNode):
            path = [f"{node.operation.value} {node.name.value}" if node.name else node.operation.value]
        elif isinstance(node, FragmentDefinitionNode):
            path = [f"fragment {node.name.value}"]
        elif isinstance(node, FieldNode):
            path = [*path, node.alias.value if node.alias else node.name.value]
        if node is wanted:
            return path
        for key in node.keys:
            value = getattr(node, key, None)
            for child in value if isinstance(value, tuple | list) else (value,):
                if isinstance(child, Node) and (found := search(child, path)) is not None:
                    return found
        return None

    return search(document, []) or []
