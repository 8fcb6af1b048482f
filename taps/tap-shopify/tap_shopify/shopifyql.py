"""A table that Shopify made of a ShopifyQL query in; out come its JSON Schema and typed records.

A report is restated: refunds, late orders and Shopify's own corrections change days that are long gone. So a
report is read in full each time and replaces what was there. The window is the query's own (`SINCE -2y`).
Sources: Shopify, "ShopifyQL with the GraphQL Admin API", the types `ShopifyqlTableData` and `ColumnDataType`.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from tap_common.emit import Row
from tap_common.errors import ApiError, ConfigError
from tap_common.pages import Page
from tap_common.redact import foreign
from tap_common.stream import CommonStream
from tap_shopify.client import QUERIES, ShopifyClient
from tap_shopify.graphql import Query, snake

if TYPE_CHECKING:
    from tap_shopify.tap import TapShopify

SCOPED_AS = "shopifyql"
"""The document, and what `scopes.json` calls it."""
MOST_UNASKED = 1000
"""Rows after which Shopify may stop where a query sets no LIMIT: as many as that are suspicious."""
LIMIT = re.compile(r"\bLIMIT\s+(\d+)", re.IGNORECASE)
Json = dict[str, Any]
logger = logging.getLogger("tap-shopify")


class Report(msgspec.Struct, frozen=True):
    """One entry of the setting `shopifyql`."""

    name: str
    query: str
    primary_keys: tuple[str, ...] = ()


def reports_of(config: Mapping[str, Any], taken: Iterable[str]) -> list[Report]:
    """Return the reports that the settings ask for.

    Raises:
        ConfigError: Two streams would have one name.
    """
    reports = [msgspec.convert(entry, Report) for entry in config.get("shopifyql") or ()]
    names = set(taken)
    for report in reports:
        if report.name in names:
            raise ConfigError(
                f"The setting shopifyql names a stream {report.name}, which there is already. "
                "Give it another name."
            )
        names.add(report.name)
    return reports


# --- types --------------------------------------------------------------------------------------------------


def _text(value: Any) -> str:  # noqa: ANN401 - JSON
    return value if isinstance(value, str) else json.dumps(value)


def _integer(value: Any) -> int:  # noqa: ANN401 - JSON
    number = int(value)
    if isinstance(value, float) and number != value:
        raise ValueError("it has a fraction")
    return number


def _boolean(value: Any) -> bool:  # noqa: ANN401 - JSON
    return {"true": True, "false": False}[_text(value).lower()]


def _date(value: Any) -> str:  # noqa: ANN401 - JSON
    return datetime.fromisoformat(value).date().isoformat()


def _moment(value: Any) -> str:  # noqa: ANN401 - JSON
    """Return a time, of seconds since 1970 too. Without an offset it is the shop's time, and stays so."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC).isoformat()
    return datetime.fromisoformat(value).isoformat()


def _decimal(value: Any) -> str:  # noqa: ANN401 - JSON
    text = _text(value)
    float(text)
    return text


@dataclass(frozen=True)
class Kind:
    """How a type of Shopify's is declared, and how a value of it is read."""

    declared: Json
    read: Callable[[Any], Any]


TEXT = Kind({"type": ["string", "null"]}, _text)
EXACT = {"type": ["string", "null"], "format": "x-singer.decimal", "precision": 38, "scale": 6}
DECIMAL = Kind(EXACT, _decimal)
NUMBER = Kind({"type": ["number", "null"]}, float)
INTEGER = Kind({"type": ["integer", "null"]}, _integer)
DATE = Kind({"type": ["string", "null"], "format": "date"}, _date)
MOMENT = Kind({"type": ["string", "null"], "format": "date-time"}, _moment)
KINDS: Mapping[str, Kind] = {
    "BOOLEAN": Kind({"type": ["boolean", "null"]}, _boolean),
    **dict.fromkeys(("MONEY", "DECIMAL"), DECIMAL),
    **dict.fromkeys(("INTEGER", "DAY_OF_WEEK", "HOUR_OF_DAY", "MONTH_OF_YEAR", "WEEK_OF_YEAR"), INTEGER),
    **dict.fromkeys(("CUMULATIVE", "FLOAT", "MULTIPLIER", "PERCENT", "RATING", "UNITLESS_SCALAR"), NUMBER),
    **{f"{unit}_DURATION": NUMBER for unit in ("DAY", "HOUR", "MILLISECOND", "MINUTE", "SECOND")},
    **{f"{unit}_TIMESTAMP": DATE for unit in ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR")},
    **{f"{unit}_TIMESTAMP": MOMENT for unit in ("HOUR", "MINUTE", "SECOND")},
    "TIMESTAMP": MOMENT,
}
"""Types that are no texts; ids, entities, colours, places and what comes later are."""


@dataclass(frozen=True)
class Column:
    """A column of a report: Shopify's name of it, ours, and its type; arrays hold values of that type."""

    asked: str
    name: str
    type: str
    is_array: bool

    @property
    def kind(self) -> Kind:
        """How its values are declared and read."""
        return KINDS.get(self.type, TEXT)

    def declared(self) -> Json:
        """Return the column's JSON Schema."""
        one = self.kind.declared
        return {"type": ["array", "null"], "items": one} if self.is_array else one

    def read(self, value: Any) -> Any:  # noqa: ANN401 - JSON
        """Return a value of the declared type.

        Raises:
            ValueError, TypeError, KeyError: It cannot be one.
        """
        if value is None:
            return None
        if self.is_array:
            return [None if item is None else self.kind.read(item) for item in value]
        return self.kind.read(value)


@dataclass(frozen=True)
class Table:
    """The answer to one query."""

    columns: tuple[Column, ...]
    rows: list[Any]

    def schema(self) -> Json:
        """Return the JSON Schema of the records."""
        properties = {column.name: column.declared() for column in self.columns}
        return {"type": "object", "properties": properties}

    def records(self, what: str) -> Iterator[Row]:
        """Yield the rows, typed.

        Raises:
            ApiError: A value is not of the type that Shopify declares; it is not quoted.
        """
        for row in self.rows:
            values = [row.get(column.asked) for column in self.columns] if isinstance(row, dict) else row
            pairs = zip(self.columns, values, strict=True)
            yield {column.name: _read(column, value, what) for column, value in pairs}


def _read(column: Column, value: Any, what: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return column.read(value)
    except (ValueError, TypeError, KeyError, OverflowError):
        raise ApiError(
            f"{what}: Shopify calls the column {column.asked} {column.type}, and a value of it is none. "
            "Leave the column out of the query, and report it to the tap's authors."
        ) from None


def table_of(answer: Mapping[str, Any], what: str) -> Table:
    """Return the table in an answer.

    Raises:
        ConfigError: Shopify cannot read the query; with its words.
        ApiError: There is no table all the same, or two columns would have one name.
    """
    if errors := answer.get("parse_errors"):
        said = "; ".join(foreign(error, 300) for error in errors)
        raise ConfigError(
            f"{what}: Shopify cannot read its ShopifyQL query: {said}. Mend it in the setting shopifyql; "
            "shopify.dev/docs/api/shopifyql is the language's reference."
        )
    for warning in answer.get("parse_warnings") or ():
        logger.warning("%s: Shopify warns of its ShopifyQL query: %s", what, foreign(warning, 300))
    table = answer.get("table_data")
    if table is None:
        raise ApiError(f"{what}: Shopify's answer holds neither a table nor an error. Try again later.")
    columns = tuple(_column(column) for column in table["columns"])
    names = [column.name for column in columns]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"{what}: two columns would be called {min(twice)}. Rename one with AS.")
    return Table(columns, table["rows"])


def _column(column: Mapping[str, Any]) -> Column:
    asked, is_array = str(column["name"]), column["data_type"] == "ARRAY"
    name = re.sub(r"[^a-z0-9]+", "_", snake(asked)).strip("_") or "column"
    kind = str((column.get("sub_type") if is_array else column["data_type"]) or "")
    return Column(asked, name if not name[0].isdigit() else f"_{name}", kind, is_array)


# --- the stream ---------------------------------------------------------------------------------------------


def fetch(client: ShopifyClient, report: Report) -> Table:
    """Ask a shop for a report.

    Raises:
        ConfigError: The query is wrong.
        DeniedError: The token may not read reports, or the app no protected customer data.
        ApiError: Shopify refused otherwise, or could not be reached.
    """
    what = f"Stream {report.name}"
    query = Query(QUERIES.joinpath(f"{SCOPED_AS}.graphql").read_text(encoding="utf-8"), client.version)
    page = query.page(client.execute(query.text, {"query": report.query}, report.name))
    if page is None:
        raise ApiError(f"{what}: Shopify's answer holds no report. Try again later.")
    table = table_of(page["nodes"][0], what)
    names = [column.name for column in table.columns]
    if unknown := [key for key in report.primary_keys if key not in names]:
        raise ConfigError(
            f"{what}: primary_keys names {unknown[0]}, which is no column of the report. It has "
            f"{', '.join(names)}."
        )
    return table


class ShopifyqlStream(CommonStream):
    """A report of the user's: a query in the settings, the columns that Shopify says it has."""

    replication_key: ClassVar[str | None] = None
    primary_keys: tuple[str, ...] = ()
    schema: Json = {}  # noqa: RUF012 - each stream has its own
    _tap: TapShopify

    def __init__(self, tap: TapShopify, report: Report, table: Table) -> None:
        self.report = report
        self.columns = table.columns
        self.primary_keys = report.primary_keys
        self.schema = table.schema()
        super().__init__(tap, name=report.name)

    def pages(self, since: datetime | None) -> Iterator[Page]:  # noqa: ARG002 - all of it, each time
        """Yield the report, as it is now."""
        what = f"Stream {self.name}"
        table = fetch(self._tap.client, self.report)
        if table.columns != self.columns:
            raise ApiError(f"{what}: Shopify answers with other columns than at the start. Run again.")
        records = list(table.records(what))
        self._check(records, what)
        yield Page(records)

    def _check(self, records: list[Row], what: str) -> None:
        keys = self.report.primary_keys
        if keys and len({tuple(map(str, map(record.get, keys))) for record in records}) < len(records):
            raise ConfigError(
                f"{what}: rows share the same {', '.join(keys)}, and one would replace the other. Name every "
                "column of GROUP BY in primary_keys."
            )
        asked = LIMIT.search(self.report.query)
        if records and len(records) == (int(asked[1]) if asked else MOST_UNASKED):
            logger.warning(
                "%s: exactly %d rows came, as many as %s: there may be more. Raise LIMIT in the query, or "
                "group by longer periods.",
                what,
                len(records),
                "LIMIT allows" if asked else "Shopify sends without LIMIT",
            )
