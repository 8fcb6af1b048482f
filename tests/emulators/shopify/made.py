"""A type of the schema in; out come objects of it, made up, the same ones for the same seed.

A row of the store need not hold every field of its type: what is asked for and not there is made when it is
first asked, from the row's own name and the field's, and then stays. So a new stream needs a query only.
What no generator can know (an order's totals, a product's variants) stands in the `data_*` modules.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_enum_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)

from tests.emulators.shopify.money import RATES, SHOP_CURRENCY, bag, decimal_text, money_text
from tests.emulators.shopify.refs import Ref, gid, times

if TYPE_CHECKING:
    from tests.emulators.shopify.store import Store

Row = dict[str, Any]

PATH = "__path"
"""Where a made row stands, `gid://shopify/Order/1.returns.0`: its seed."""
PARENT = "__parent"
"""The global id of the row that a made row belongs to."""
CREATED = ("createdAt", "processedAt", "issuedAt", "initiatedAt", "transactionDate", "occurredAt")
"""Times that do not move with a change; `updatedAt` does."""
NULL_SHARE = 0.2
MOST_ITEMS = 3
WORDS = ("Linen", "Größe", "café", "Aiko's", "blue", "señal", "日本", "north", "No. 7", "Crème", "B2B", "ß")


def source_of(store: Store, path: str) -> Random:
    """Return the randomness of a place."""
    return Random(f"{store.seed}/{path}")  # noqa: S311 - test data, no secrets


def number_at(path: str) -> int:
    """Return the number of the object at a place: twelve digits or so, another for every place."""
    return int.from_bytes(hashlib.sha1(path.encode()).digest()[:5]) + 10**12  # noqa: S324 - no secrets


def path_of(row: Row) -> str:
    """Return what names a row: its global id, its place, or the content of a hand-made row without either."""
    if path := row.get(PATH) or row.get("id"):
        return str(path)
    row[PATH] = hashlib.sha1(json.dumps(row, sort_keys=True, default=str).encode()).hexdigest()  # noqa: S324
    return str(row[PATH])


class Maker:
    """Makes rows and values for one schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self.schema = schema
        assert schema.query_type is not None
        self.tables = {
            node_type(definition).name: name
            for name, definition in reversed(list(schema.query_type.fields.items()))
            if is_connection(definition)
        }
        """The root connection that lists the objects of a type."""

    # ---- rows

    def row(self, store: Store, kind: GraphQLNamedType, path: str, place: int, parent: Row | None) -> Row:
        """Return a new row of a type: its id, its times, whom it belongs to; the rest is made when asked."""
        source = source_of(store, path)
        if is_abstract_type(kind):
            members = sorted(one.name for one in self.schema.get_possible_types(kind))
            if kind.name == "Discount" and parent is not None:
                members = [name for name in members if name[:12] == str(parent["id"]).split("/")[3][:12]]
            kind = self.schema.type_map[source.choice(members)]
        assert is_object_type(kind)
        row: Row = {"__typename": kind.name, PATH: path}
        if parent is not None:
            row[PARENT] = parent.get("id") or parent.get(PARENT)
        if "id" in kind.fields:
            row["id"] = gid(self._name_in_id(kind, path), number_at(path))
            created, updated = times(source, place)
            row |= dict.fromkeys(CREATED, created) | {"updatedAt": updated}
            store.made[row["id"]] = row
        elif parent is not None:
            # What has no id of its own changes with what it belongs to.
            row["__of"] = parent
        return row

    def _name_in_id(self, kind: GraphQLObjectType, path: str) -> str:
        """Return the name that ids of a type bear: a discount's tells whether it needs a code."""
        if kind.name != "DiscountNode":
            return kind.name
        return ("DiscountCodeNode", "DiscountAutomaticNode")[number_at(path) % 2]

    def rows(self, store: Store, owner: Row, owner_type: str, name: str, kind: GraphQLNamedType) -> list[Row]:
        """Return the rows of a nested connection, the same ones each time."""
        if name not in owner:
            path = f"{path_of(owner)}.{name}"
            source = source_of(store, path)
            size = store.nested.get((owner_type, name), source.randrange(MOST_ITEMS + 1))
            if (table := self.tables.get(kind.name)) and (there := store.rows(table)):
                places = sorted(source.sample(range(len(there)), min(size, len(there))))
                owner[name] = [Ref(there[place]["id"]) for place in places]
            else:
                owner[name] = [
                    self.row(store, kind, f"{path}.{place}", place, owner) for place in range(size)
                ]
        found = (store.get(item.gid) if type(item) is Ref else item for item in owner[name])
        return [row for row in found if row is not None]

    def table(self, store: Store, name: str, size: int, start: int = 0) -> list[Row]:
        """Return rows of a root connection that has no module of its own."""
        assert self.schema.query_type is not None
        kind = node_type(self.schema.query_type.fields[name])
        places = range(start, start + size)
        return [self.row(store, kind, f"{name}.{place}", place + 1, None) for place in places]

    # ---- values

    def value(self, store: Store, owner: Row, name: str, declared: GraphQLOutputType) -> object:
        """Return the value of a field that a row does not hold, and let it hold it from now on."""
        if name in {*CREATED, "updatedAt"} and (above := owner.get("__of")) is not None:
            return self._time_above(above, name)
        path = f"{path_of(owner)}.{name}"
        value = self.made(store, owner, path, name, declared)
        owner[name] = value
        return value

    def _time_above(self, row: Row, name: str) -> object:
        while name not in row and "__of" in row:
            row = row["__of"]
        return row.get(name)

    def made(self, store: Store, owner: Row, path: str, name: str, declared: GraphQLOutputType) -> object:
        """Return a value for a place."""
        source = source_of(store, path)
        bare, kind = get_nullable_type(declared), get_named_type(declared)
        if is_list_type(bare):
            size = store.nested.get((str(owner.get("__typename")), name), source.randrange(MOST_ITEMS))
            return [self.made(store, owner, f"{path}.{place}", name, bare.of_type) for place in range(size)]
        if (back := self._back(store, owner, name, kind)) is not None:
            return back
        if not is_non_null_type(declared) and source.random() < NULL_SHARE and kind.name != "Count":
            return None
        if is_enum_type(kind):
            return enum_value(source, kind)
        if kind.name in LEAVES:
            return LEAVES[kind.name](source, name)
        if is_object_type(kind) or is_abstract_type(kind):
            return self._object(store, owner, path, kind, source, must=is_non_null_type(declared))
        raise TypeError(f"no values of {kind} can be made: tests/emulators/shopify/made.py")

    def _object(
        self, store: Store, owner: Row, path: str, kind: GraphQLNamedType, source: Random, *, must: bool
    ) -> object:
        if kind.name == "MoneyBag":
            return bag(source.randrange(100, 90_000), source.choice(sorted(RATES)))
        if kind.name == "MoneyV2":
            return {
                "amount": decimal_text(source.randrange(100, 90_000) / 100),
                "currencyCode": SHOP_CURRENCY,
            }
        if kind.name == "Count":
            return {"count": source.randrange(50), "precision": "EXACT"}
        if kind.name == "Shop":
            return store.shop
        if table := self.tables.get(kind.name):
            there = store.rows(table)
            if there or not must:
                return Ref(source.choice(there)["id"]) if there else None
        return self.row(store, kind, path, source.randrange(300), owner)

    def _back(self, store: Store, owner: Row, name: str, kind: GraphQLNamedType) -> Ref | None:
        """Return the row that a made row belongs to, where the field leads there."""
        if (parent := owner.get(PARENT)) is None or (row := store.get(parent)) is None:
            return None
        above = str(row.get("__typename") or parent.split("/")[3])
        named = name == "owner" or name == above[0].lower() + above[1:]
        if not named:
            return None
        if is_abstract_type(kind):
            above_type = self.schema.type_map.get(above)
            fits = is_object_type(above_type) and above_type in self.schema.get_possible_types(kind)
        else:
            fits = kind.name == above
        return Ref(parent) if fits else None


def is_connection(definition: GraphQLField) -> bool:
    """Tell whether a field answers with a connection."""
    return get_named_type(definition.type).name.endswith("Connection")


def node_type(definition: GraphQLField) -> GraphQLNamedType:
    """Return the type of a connection's nodes."""
    connection = get_named_type(definition.type)
    assert isinstance(connection, GraphQLObjectType)
    kind: GraphQLNamedType = get_named_type(connection.fields["nodes"].type)
    return kind


def enum_value(source: Random, kind: GraphQLEnumType) -> str:
    """Return one of the values that are not deprecated; money is the shop's."""
    if kind.name == "CurrencyCode":
        return SHOP_CURRENCY
    return source.choice([str(name) for name, value in kind.values.items() if not value.deprecation_reason])


def text(source: Random, name: str) -> str:
    """Return a text that suits the name of its field."""
    word = source.choice(WORDS)
    number = source.randrange(1, 10_000)
    lower = name.lower()
    if "email" in lower:
        return f"{name}{number}@example.com"
    if "phone" in lower:
        return f"+4930555{number:05d}"
    if lower.endswith(("handle", "key", "namespace", "type")):
        return f"{name.lower()}_{number}"
    if lower.endswith(("country", "countrycode")):
        return source.choice(("DE", "CA", "JP"))
    return f"{word} {name} {number}"


LEAVES: dict[str, Callable[[Random, str], Any]] = {
    "BigInt": lambda source, _name: str(source.randrange(10**12, 10**13)),
    "Boolean": lambda source, _name: source.random() < 0.5,
    "Color": lambda source, _name: f"#{source.randrange(16**6):06X}",
    "Date": lambda source, _name: f"2027-{source.randrange(1, 13):02d}-{source.randrange(1, 29):02d}",
    "DateTime": lambda source, _name: times(source, source.randrange(300))[1],
    "Decimal": lambda source, _name: decimal_text(source.randrange(1, 10_000) / 100),
    "Float": lambda source, _name: source.randrange(1, 1000) / 8,
    "FormattedString": lambda source, name: f"<b>{text(source, name)}</b>",
    "HTML": lambda source, name: f"<p>{text(source, name)} &amp; <em>more</em></p>",
    "ID": lambda source, name: gid(name.removesuffix("Id").capitalize() or "Thing", source.randrange(10**12)),
    "Int": lambda source, _name: source.randrange(100),
    "JSON": lambda source, name: {"text": text(source, name)},
    "Money": lambda source, _name: money_text(str(source.randrange(100, 90_000) / 100)),
    "StorefrontID": lambda source, name: gid(name.capitalize(), source.randrange(10**12)),
    "String": text,
    "URL": lambda source, name: f"https://example.com/{name}/{source.randrange(10**6)}",
    "UnsignedInt64": lambda source, _name: str(source.randrange(10**6)),
    "UtcOffset": lambda _source, _name: "+01:00",
}
