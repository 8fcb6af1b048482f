"""JSON Schema in, column plan out: the only type table in the project. Pure.

A stream becomes one table, and each of its arrays of declared objects one more, as `docs/lake-format.md`
explains. The table of types:

| JSON Schema | column |
| --- | --- |
| `integer` | int64; decimal(38, 0) where `minimum` or `maximum` passes int64 |
| `number` | float64; decimal where `multipleOf` is a power of ten below 1 and the digits fit |
| `boolean` | bool |
| `string` | string |
| `string`, `format: date-time` | timestamp, microseconds, UTC |
| `string`, `format: date` | date |
| `string` or `number`, `format: singer.decimal` or `x-singer.decimal` | decimal(38, `scale`), else 9 |
| `string`, any other `format` (`time`, `uuid`, ...) | string |
| several of `string`, `integer`, `number` and `boolean` | string |
| `integer` with `number` | as `number` |
| `object` with `properties` | its properties, named `parent__child` |
| `array` of objects with `properties`, under a parent with keys | a child dataset |
| anything else: other arrays and objects, mixtures with those, no type | string holding JSON text |
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from unicodedata import category

from lake_parquet.merge import DELETED_AT
from lake_parquet.names import Names, Path, TableNames, alike
from lake_parquet.paths import SEPARATOR, dataset_name
from lake_parquet.widen import MAX_DIGITS
from target_lake_parquet.jsonschema_shapes import Shape, shape_of

INT64 = (Decimal(-(2**63)), Decimal(2**63 - 1))
DECIMAL_FORMATS = {"singer.decimal", "x-singer.decimal"}
DEFAULT_SCALE = 9
MAX_COLUMNS = 20_000
"""Of one table. Each column costs memory in every block and every file, whether it holds anything or not."""

POSITION = "_position"
PARENT = "_parent_"
UNNAMED = "_unnamed"
UNNAMEABLE = frozenset(["Cc", "Cs", "Zl", "Zp"])
MARK_DIGITS = 6


class Kind(StrEnum):
    """What a column holds."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    DATE = "date"
    JSON = "json"
    NOTHING = "nothing"
    """No column yet: an undeclared field that was null so far."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name in Parquet, where its value stands in a record, and its type.

    `scale` counts for decimals only; their precision is always 38 digits, decimal128's most. `is_string_list`
    tells JSON text that can only be a list of strings. `zone` is that of date-times without an offset, None
    stands for UTC. `is_added` tells a field that the schema does not name: its kind follows its values.
    `is_whole` tells a decimal that holds integers.
    """

    name: str
    path: tuple[str, ...]
    kind: Kind
    scale: int = 0
    is_string_list: bool = False
    zone: str | None = None
    is_added: bool = False
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of a stream, or of an array of objects within it.

    `suffix` names the child dataset (`line_items`; empty for the stream itself), `path` is where the array
    stands in its parent's record, `keys` are the columns that identify a row (a child's: its parent's too).
    """

    suffix: str
    path: tuple[str, ...]
    columns: tuple[Column, ...]
    keys: tuple[str, ...]
    children: tuple["Table", ...] = ()

    def family(self) -> Iterator["Table"]:
        """This table and every table below it."""
        yield self
        for child in self.children:
            yield from child.family()


@dataclass(frozen=True, slots=True)
class Plan:
    """How deep to go: settings that shape the columns. `reserved` are names that the target itself fills.

    `names` are those that the stream's datasets have, `there` all columns of its own one: old ones, whose
    place in a record no snapshot noted, among them.
    """

    split_arrays: bool = True
    split_depth: int = 2
    max_depth: int | None = None
    separator: str = SEPARATOR
    reserved: frozenset[str] = frozenset()
    naive_zone: str | None = None
    names: Names = field(default_factory=dict)
    there: frozenset[str] = frozenset()

    def known(self, suffix: str) -> dict[str, Path]:
        """The columns that a dataset has; the path is empty where nothing tells it."""
        return dict.fromkeys(() if suffix else self.there, ()) | self.names.get(suffix, TableNames()).columns

    def arrays(self) -> dict[str, Path]:
        """The child datasets that there are, and where their records stand."""
        return {suffix: table.array for suffix, table in self.names.items() if suffix}


class NoColumnsError(ValueError):
    """A schema names no columns."""


class UnknownKeyError(ValueError):
    """A key property is named that the schema does not have as a plain column."""


def table_of(
    schema: Mapping[str, object], key_properties: Sequence[str] = (), plan: Plan | None = None
) -> Table:
    """Plans the columns of a stream from its SCHEMA message.

    Raises:
        NoColumnsError: the schema has no properties.
        ValueError: the schema has more parts than any source means.
        UnknownKeyError: a key property is not among the schema's plain columns.
        ValueError: the schema would make too many columns.
    """
    plan = plan or Plan()
    shape = shape_of(schema)
    if not shape.properties:
        raise NoColumnsError("the SCHEMA has no properties: the tap must name the stream's columns there")
    splits = bool(key_properties) and plan.split_arrays
    columns, arrays = _columns(shape, "", plan, splits=splits, reserved=plan.reserved)
    named = {column.path: column.name for column in columns}
    named |= {(column.name,): column.name for column in columns if (column.name,) not in named}
    missing = [key for key in key_properties if (key,) not in named]
    if missing:
        raise UnknownKeyError(
            f"key_properties name what the schema has no plain column for: {', '.join(missing)}: "
            "mend the tap's catalog"
        )
    keys = tuple(dict.fromkeys(named[(key,)] for key in key_properties))
    folders = Claimed(plan.arrays(), key=_folder)
    return Table("", (), columns, keys, _children(arrays, Table("", (), (), keys), plan, folders))


def with_added(table: Table, kinds: Mapping[tuple[str, ...], Kind], plan: Plan) -> Table:
    """The table with fields that its schema does not name; those it has already widen to hold both kinds."""
    columns = [
        replace(column, kind=wider(column.kind, kinds[column.path])) if column.path in kinds else column
        for column in table.columns
    ]
    known = plan.known(table.suffix) | {column.name: column.path for column in columns}
    new = sorted(kinds.keys() - {column.path for column in columns}, key=_by_depth)
    names = column_names(new, plan.separator, plan.reserved.union(table.keys), known)
    columns += [Column(names[path], path, kinds[path], is_added=True) for path in new]
    return replace(table, columns=tuple(columns))


def names_of(table: Table) -> Names:
    """What the columns of a stream's datasets are called, as its snapshots note it."""
    arrays = {
        child.suffix: (member.suffix, *child.path) for member in table.family() for child in member.children
    }
    return {
        member.suffix: TableNames(
            {column.name: column.path for column in member.columns}, arrays.get(member.suffix, ())
        )
        for member in table.family()
    }


def kind_of_values(values: Iterable[object]) -> Kind:
    """The kind of a column that holds all of `values`, as `decode` reads them from JSON."""
    types = set(map(type, values)) - {type(None)}
    if not types:
        return Kind.NOTHING
    if types & {dict, list}:
        return Kind.JSON
    if types <= {int, float, Decimal}:
        return Kind.INTEGER if types == {int} else Kind.NUMBER
    return Kind.BOOLEAN if types == {bool} else Kind.STRING


def wider(one: Kind, other: Kind) -> Kind:
    """The kind that holds values of both, as far as fields are concerned that no schema names."""
    both = {one, other} - {Kind.NOTHING}
    if len(both) < 2:  # noqa: PLR2004 - the two of them
        return both.pop() if both else Kind.NOTHING
    if Kind.JSON in both:
        return Kind.JSON
    return Kind.NUMBER if both == {Kind.INTEGER, Kind.NUMBER} else Kind.STRING


def _children(
    arrays: Sequence[tuple[tuple[str, ...], Shape]],
    parent: Table,
    plan: Plan,
    folders: "Claimed",
    level: int = 1,
) -> tuple[Table, ...]:
    keys = tuple(PARENT + key for key in parent.keys)
    reserved = plan.reserved | {*keys, POSITION}
    # all of a level are named before what is below them, so that the shallowest keep their names
    named = [
        (_suffix(path, parent.suffix, folders), path, shape)
        for path, shape in sorted(arrays, key=lambda array: _by_depth(array[0]))
    ]
    tables = []
    for suffix, path, shape in named:
        columns, deeper = _columns(shape, suffix, plan, splits=level < plan.split_depth, reserved=reserved)
        table = Table(suffix, path, columns, (*keys, POSITION))
        tables.append(replace(table, children=_children(deeper, table, plan, folders, level + 1)))
    return tuple(tables)


def _by_depth(path: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    return len(path), path


def _suffix(path: Path, parent: str, folders: "Claimed") -> str:
    """Names a child dataset; one that would share a folder with a sibling gets a mark, as columns do."""
    return folders.claim(SEPARATOR.join(filter(None, (parent, *map(readable, path)))), (parent, *path))


def _folder(suffix: str) -> str:
    """What the names of child datasets have in common that would share a folder."""
    return dataset_name(None, None, "x", suffix).casefold()


def _columns(
    shape: Shape, suffix: str, plan: Plan, *, splits: bool, reserved: frozenset[str] = frozenset()
) -> tuple[tuple[Column, ...], list[tuple[tuple[str, ...], Shape]]]:
    """The plain columns of a dataset, and the arrays that become child datasets of it."""
    plain: list[Column] = []
    arrays: list[tuple[tuple[str, ...], Shape]] = []
    for path, leaf in _leaves(shape, (), plan):
        if (
            splits
            and leaf.types == {"array"}
            and leaf.items
            and leaf.items.types == {"object"}
            and leaf.items.properties
        ):
            arrays.append((path, leaf.items))
        else:
            kind, scale = kind_of(leaf)
            if path == (DELETED_AT,):
                kind, scale = Kind.TIMESTAMP, 0  # the pipeline's: any other value would delete the row
            is_string_list = (
                leaf.types == {"array"} and leaf.items is not None and leaf.items.types == {"string"}
            )
            is_whole = kind is Kind.DECIMAL and leaf.types == {"integer"}
            zone = plan.naive_zone
            plain.append(Column("", path, kind, scale, is_string_list, zone, is_whole=is_whole))
    if len(plain) > MAX_COLUMNS:
        raise ValueError(
            f"the SCHEMA makes {len(plain):,} columns of one table, and {MAX_COLUMNS:,} are the most: "
            "leave fields out at the tap, or set flattening_max_depth"
        )
    paths = [column.path for column in plain]
    names = column_names(paths, plan.separator, reserved, plan.known(suffix))
    return tuple(replace(column, name=names[column.path]) for column in plain), arrays


def _leaves(shape: Shape, prefix: tuple[str, ...], plan: Plan) -> Iterator[tuple[tuple[str, ...], Shape]]:
    for name, sub in shape.properties.items():
        path = (*prefix, name)
        deeper = plan.max_depth is None or len(path) <= plan.max_depth
        if sub.types == {"object"} and sub.properties and deeper:
            yield from _leaves(sub, path, plan)
        else:
            yield path, sub


def kind_of(shape: Shape) -> tuple[Kind, int]:
    """The kind of a column that holds `shape`, and its scale where it is a decimal."""
    types = shape.types
    if not types or types & {"object", "array"} or types - {"string", "integer", "number", "boolean"}:
        return Kind.JSON, 0
    # strings and numbers together are what tap-s3-csv calls a column that holds words as well
    if shape.formats & DECIMAL_FORMATS and (types == {"string"} or types <= {"integer", "number"}):
        return _decimal_kind(shape)
    if types == {"boolean"}:
        return Kind.BOOLEAN, 0
    if types == {"integer"}:
        bounds = [bound for bound in (shape.minimum, shape.maximum) if bound is not None]
        beyond = any(not INT64[0] <= bound <= INT64[1] for bound in bounds)
        return (Kind.DECIMAL if beyond else Kind.INTEGER), 0
    if types <= {"integer", "number"}:
        return _number_kind(shape)
    return _string_kind(shape) if types == {"string"} else Kind.STRING, 0


def _decimal_kind(shape: Shape) -> tuple[Kind, int]:
    scale = DEFAULT_SCALE if shape.scale is None else shape.scale
    fits = 0 <= scale <= MAX_DIGITS and (shape.precision or MAX_DIGITS) <= MAX_DIGITS
    return (Kind.DECIMAL, scale) if fits else (Kind.STRING, 0)


def _string_kind(shape: Shape) -> Kind:
    if shape.formats == {"date-time"}:
        return Kind.TIMESTAMP
    return Kind.DATE if shape.formats == {"date"} else Kind.STRING


def _number_kind(shape: Shape) -> tuple[Kind, int]:
    """A decimal where the schema promises a number of digits after the point that fits, else a float."""
    step = shape.multiple_of
    if step is None or step <= 0:
        return Kind.NUMBER, 0
    _, digits, exponent = step.normalize().as_tuple()
    scale = -int(exponent)
    # 1e-38 and its like are "no limit" in the words of the taps that send them
    fits = digits == (1,) and 0 < scale < MAX_DIGITS
    return (Kind.DECIMAL, scale) if fits else (Kind.NUMBER, 0)


def column_names(
    paths: Sequence[Path],
    separator: str = "__",
    reserved: frozenset[str] = frozenset(),
    known: Mapping[str, Path] | None = None,
) -> dict[Path, str]:
    """Names columns: path parts joined; a name that is taken, upper and lower case apart, gets a mark.

    Spark and Athena do not tell `Id` from `id`, nobody tells two Unicode writings of `é` apart. A path that
    has a name among the `known` ones keeps it; no other gets that. Among new paths of one name the shallowest
    gets it, then the alphabetically first; the others end in `_` and six hexadecimal digits of their path's
    SHA-256, so that a marked name depends on its own path alone.
    """
    claimed = Claimed(known or {}, reserved)
    return {
        path: claimed.claim(separator.join(map(readable, path)), path)
        for path in sorted(paths, key=_by_depth)
    }


class Claimed:
    """Names that are taken: the `known` ones by their paths, `reserved` ones by nobody who asks."""

    def __init__(
        self,
        known: Mapping[str, Path],
        reserved: Collection[str] = (),
        key: Callable[[str], str] = alike,
    ) -> None:
        """Two names are one where their `key` is. A known name without a path is its first asker's."""
        self._key = key
        filled = set(map(key, reserved))
        self._taken = filled.union(map(key, known))
        own = {name: path for name, path in known.items() if key(name) not in filled}
        self._by_path = {path: name for name, path in own.items() if path}
        self._open = {name for name, path in own.items() if not path}

    def claim(self, name: str, path: Path) -> str:
        """Claims the path's own name; a new one gets `name`, with the shortest mark that makes it free."""
        if path in self._by_path:
            return self._by_path[path]
        free, digits = name, MARK_DIGITS
        while self._key(free) in self._taken and free not in self._open:
            digest = hashlib.sha256("\0".join(path).encode("utf-8", "surrogatepass")).hexdigest()
            free = f"{name}_{(digest * (digits // len(digest) + 1))[:digits]}"
            digits += 1
        self._taken.add(self._key(free))
        self._open.discard(free)
        return free


def readable(part: str) -> str:
    """A path part as received, but for what no reader can name: nothing, control and half characters."""
    plain = part.isascii() and part.isprintable()  # as nearly all are
    name = part if plain else "".join("_" if category(char) in UNNAMEABLE else char for char in part)
    name = name or UNNAMED
    return "_" + name[1:] if name == "*" or name.startswith("^") else name
