"""The pruned schema: what it keeps, what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphql import (
    build_schema,
    parse,
    print_ast,
    validate,
)

from scripts.prune_shopify_schema import QUERY_FOLDERS, prune, read_queries
from tests.emulators.shopify.schema import SCHEMA_FILES, admin_schema

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("version", SCHEMA_FILES)
def test_the_committed_schemas_accept_every_query_of_the_tap(version: str) -> None:
    folder = QUERY_FOLDERS[0]
    refused = {
        path.name: validate(admin_schema(version), document)
        for path, document in read_queries([folder], version)
    }

    assert {name: problems for name, problems in refused.items() if problems} == {}
    assert len(refused) >= 4


WHOLE = '''
schema { query: QueryRoot mutation: Mutation }
"""Everything has an id."""
interface Node { id: ID! }
type QueryRoot { orders(first: Int, sortKey: Keys = ID): [Order!]! pets(filter: PetFilter): [Pet] }
type Mutation { feed: Pet }
type Order implements Node & Tagged {
  id: ID! paid: Paid old: Int @deprecated(reason: "new") owner: Owner pet: Pet
}
interface Tagged { id: ID! }
union Owner = Person | Company
type Person { name: String friends(by: Way): [Person] }
type Company { name: String }
type Pet implements Node { id: ID! }
enum Keys { ID AGE }
enum Paid { YES NO }
enum Way { LAND SEA }
input PetFilter { name: String }
scalar Unused
'''
CUT = """\
interface Node {
  id: ID!
}

type QueryRoot {
  orders(first: Int, sortKey: Keys = ID): [Order!]!
}

type Order implements Node {
  id: ID!
  paid: Paid
  old: Int @deprecated(reason: "new")
  owner: Owner
}

union Owner = Person | Company

type Person {
  name: String
  friends(by: Way): [Person]
}

type Company {
  name: String
}

enum Keys {
  ID
  AGE
}

enum Paid {
  YES
  NO
}

enum Way {
  LAND
  SEA
}"""


def test_pruning_keeps_reached_types_whole_and_nothing_else() -> None:
    query = parse("{ orders(first: 1) { id ... on Node { id } owner { __typename } } }")
    cut = prune(parse(WHOLE), [(Path("orders.graphql"), query)])

    assert print_ast(parse(cut)) == "schema {\n  query: QueryRoot\n}\n\n" + CUT
    assert validate(build_schema(cut), query) == []


def test_pruning_stops_at_a_query_that_the_whole_schema_refuses() -> None:
    with pytest.raises(SystemExit, match=r"orders\.graphql: Shopify's schema refuses it: Cannot query field"):
        prune(parse(WHOLE), [(ROOT / "orders.graphql", parse("{ orders { colour } }"))])
