"""The objects of a page in; whole records out: reshaped, nothing cut, and of the level the stream is about.

The reshaping is the same for every stream and driven by its document alone:

- `id` becomes the number in it, and the whole gid stands beside it as `admin_graphql_api_id`;
- a connection (`{ nodes, pageInfo }`) becomes a list, and what is left of it is fetched;
- a plain list that came as long as it was asked for is fetched anew, without a limit;
- integers that GraphQL spells as strings (UnsignedInt64) become integers, and so do ids of other objects in
  columns called `..._id`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tap_common.emit import Row
from tap_common.errors import ApiError
from tap_common.pages import PageGuard
from tap_common.redact import foreign
from tap_shopify.gids import number_of, type_of
from tap_shopify.graphql import Column, is_searched, rest
from tap_shopify.walk import check_end

GID_COLUMN = "admin_graphql_api_id"
COPIES = 10
"""Objects whose remainders are asked for in one request."""
Execute = Callable[[str, Mapping[str, Any], str], Mapping[str, Any]]
logger = logging.getLogger("tap-shopify")


@dataclass(frozen=True)
class Remainder:
    """What was not in a reply of a nested list: of which object, the way to the list, and from where.

    `rows` is the list that it belongs to, `count` how many came of it, also of those that were handed on.
    Without a cursor, the list comes anew.
    """

    owner: str
    way: tuple[Column, ...]
    shape: Shape
    rows: list[Row]
    cursor: str | None
    count: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The way to the list, from the object that it is asked of."""
        return tuple(column.name for column in self.way)


class Shape:
    """Turns the objects of a reply into rows, in place; made once a stream, from columns and schema.

    `way` leads from the nearest object with an id to these objects: a list is fetched by that id.
    """

    def __init__(
        self, columns: tuple[Column, ...], schema: Mapping[str, Any], way: tuple[Column, ...] = ()
    ) -> None:
        properties = schema.get("properties", {})
        self.has_id = any(column.is_id for column in columns)
        self.way = () if self.has_id else way
        self.integers = [
            column.name
            for column in columns
            if not column.is_id
            and not column.columns
            and "integer" in properties.get(column.name, {}).get("type", ())
        ]
        inner = (
            (column, Shape(column.columns, _object_schema(properties.get(column.name, {})), self._to(column)))
            for column in columns
            if column.columns
        )
        self.inner = [
            (column.name, column, column.nodes, column.limit, shape)
            for column, shape in inner
            if column.nodes or column.limit or shape.does_something
        ]

    def _to(self, column: Column) -> tuple[Column, ...]:
        return (*self.way, column)

    @property
    def does_something(self) -> bool:
        """Whether rows change at all."""
        return bool(self.has_id or self.integers or self.inner)

    def apply(self, row: Row, left: list[Remainder], owner: str = "") -> None:
        """Reshape one row, and note in `left` what is still to be fetched inside it."""
        if self.has_id and (gid := row.get("id")) is not None:
            owner = str(gid)
            row[GID_COLUMN] = gid
            row["id"] = number_of(owner)
        for name in self.integers:
            if type(value := row.get(name)) is str:
                row[name] = number_of(value) if value.startswith("gid:") else int(value)
        for name, column, is_connection, limit, shape in self.inner:
            if (value := row.get(name)) is None:
                continue
            if is_connection:
                page, value = value["pageInfo"], value["nodes"]
                row[name] = value
                if page["hasNextPage"]:
                    way, cursor = self._to(column), page["endCursor"]
                    left.append(Remainder(owner, way, shape, value, cursor, len(value)))
            elif limit is not None and len(value) >= limit:
                value.clear()
                left.append(Remainder(owner, self._to(column), shape, value, None))
            for item in value if type(value) is list else (value,):
                shape.apply(item, left, owner)


def _object_schema(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    items: Mapping[str, Any] | None = schema.get("items")
    return items or schema


@dataclass(frozen=True)
class Level:
    """Which rows of a page a stream is about, and what they carry; see `ShopifyStream` for the meaning."""

    rows_at: tuple[str, ...] = ()
    parent_columns: Mapping[str, str] = field(default_factory=dict)
    moved: Mapping[str, str] = field(default_factory=dict)

    def schema_of_root(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the schema of the root's rows, as far as that of the stream's rows tells it."""
        for name in reversed(self.rows_at):
            schema = {"properties": {name: {"items": schema}}}
        return schema

    def records(self, rows: Iterable[Row]) -> list[Row]:
        """Return the stream's rows in some rows of the root."""
        if not (self.rows_at or self.moved):
            return list(rows)
        return [self._record(root, row) for root in rows for row in _below(root, self.rows_at)]

    def take(self, rows: Iterable[Row]) -> list[Row]:
        """Return the stream's rows that lie in a list, and empty the list for those still to come."""
        rows = list(rows)
        records = self.records(rows)
        for row in rows:
            for above in _below(row, self.rows_at[:-1]):
                above.get(self.rows_at[-1], []).clear()
        return records

    def _record(self, root: Row, row: Row) -> Row:
        record = {column: _at(row, path) for column, path in self.moved.items()}
        record |= {column: _at(root, path) for column, path in self.parent_columns.items()}
        return record | {name: value for name, value in row.items() if name not in self._gone}

    @property
    def _gone(self) -> set[str]:
        return {path.partition(".")[0] for path in self.moved.values()}


def _below(row: Row, way: tuple[str, ...]) -> Iterator[Row]:
    if not way:
        yield row
        return
    value = row.get(way[0])
    for inner in value if isinstance(value, list) else () if value is None else (value,):
        yield from _below(inner, way[1:])


def _at(row: Row, path: str) -> Any:  # noqa: ANN401 - whatever the column holds
    value: Any = row
    for name in path.split("."):
        value = None if value is None else value.get(name)
    return value


def newest(row: Row, path: str) -> str | None:
    """Return the time at a path of a row as it came; of the times in a list the newest."""
    first, _, rest_of_path = path.partition(".")
    value = row.get(first)
    if not rest_of_path or value is None:
        return value
    if isinstance(value, list):
        return max(filter(None, (newest(item, rest_of_path) for item in value)), default=None)
    return newest(value, rest_of_path)


class Remainders:
    """Fetches what is left of nested lists, the lists of several objects in one request."""

    def __init__(self, execute: Execute, stream: str, found_by: str, search: str | None) -> None:
        self._execute = execute
        self._search = search
        self._stream = stream
        self._found_by = found_by

    def rounds(self, left: list[Remainder]) -> Iterator[list[Remainder]]:
        """Fetch a page of every list that did not fit, and another; yield what is left as long as some is."""
        guards: dict[tuple[str, tuple[str, ...]], PageGuard] = {}
        while left:
            groups: dict[tuple[str, tuple[str, ...]], list[Remainder]] = {}
            for part in left:
                groups.setdefault((type_of(part.owner), part.names), []).append(part)
                if part.way[-1].nodes:
                    guard = guards.setdefault((part.owner, part.names), PageGuard(self._what(part)))
                    guard.following(part.cursor, more=True)
            left = []
            for parts in groups.values():
                for start in range(0, len(parts), COPIES):
                    left += self._fetch(parts[start : start + COPIES])
            if left:
                yield left

    def _fetch(self, parts: list[Remainder]) -> list[Remainder]:
        """Append one page to each list; return what is left after it."""
        way, names = parts[0].way, parts[0].names
        variables: Row = {}
        for number, part in enumerate(parts):
            variables[f"id{number}"] = part.owner
            if way[-1].nodes:
                variables[f"after{number}"] = part.cursor
        if is_searched(way[-1]):
            variables["query"] = self._search
        document = rest(type_of(parts[0].owner), way, len(parts), self._found_by)
        data = self._execute(document, variables, f"{self._stream}.{'.'.join(names)}")
        left: list[Remainder] = []
        for number, part in enumerate(parts):
            found = data.get(f"n{number}")
            if found is None:
                logger.warning(
                    "%s was deleted while it was read; it is sent with the %d %s read so far.",
                    foreign(part.owner, 100),
                    len(part.rows),
                    names[-1],
                )
                continue
            self._take(part, _at(found, ".".join(names)), left)
        return left

    def _take(self, part: Remainder, value: Any, left: list[Remainder]) -> None:  # noqa: ANN401
        rows = value.get("nodes") if isinstance(value, dict) else value
        if not isinstance(rows, list):
            raise ApiError(
                f"Stream {self._stream}: Shopify's answer holds no {part.way[-1].name}. "
                "Nothing past this page was read."
            )
        for row in rows:
            part.shape.apply(row, left, part.owner)
        part.rows.extend(rows)
        if not isinstance(value, dict):
            return
        count = part.count + len(rows)
        if value["pageInfo"]["hasNextPage"]:
            left.append(replace(part, cursor=value["pageInfo"]["endCursor"], count=count))
        else:
            check_end(self._what(part), count)

    def _what(self, part: Remainder) -> str:
        return f"Stream {self._stream}, {part.names[-1]} of {part.owner}"
