"""Messages in, messages out as the user's stream maps want them: the SDK's mapper, over our messages.

A stream without a map stays bytes. The records of a mapped one are read one by one, numbers as the SDK reads
them (with a point: as Decimal), and written as lines again: the rooms after this one see messages alone.
"""

import ast
import copy
import importlib.util
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fnmatch import fnmatch
from typing import Any

import msgspec
from singer_sdk.exceptions import StreamMapConfigError
from singer_sdk.mapper import (
    NULL_STRING,
    CustomStreamMap,
    PluginMapper,
    RemoveRecordTransform,
    SameRecordTransform,
    StreamMap,
)

from lake_parquet.errors import UsageError
from lake_parquet.merge import DELETED_AT
from target_lake_parquet.caps import check_caps
from target_lake_parquet.messages import (
    BY_MAP,
    ActivateVersion,
    BadMessage,
    BatchMessage,
    Message,
    RefusedRecord,
    Rows,
    SchemaMessage,
)
from target_lake_parquet.two_names import TwoNamesError, check_names
from target_lake_parquet.unreadable import explain

DEFINITIONS = ("definitions", "$defs")


class _Line(msgspec.Struct, omit_defaults=True):
    """A RECORD line; what else a tap may put into its envelope goes no further."""

    type: str
    stream: str
    record: dict[str, Any]
    time_extracted: Any = None
    version: Any = None


_lines = msgspec.json.Decoder(_Line, float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


class _Refused(Exception):  # noqa: N818 - it says what becomes of the record
    """A record cannot be mapped; the reason shows no value of it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


class Maps:
    """The stream maps of a run. `filtered` counts the records that a filter left out, by mapped stream."""

    def __init__(self, config: Mapping[str, Any], max_depth: int) -> None:
        """Reads `stream_maps`, `stream_map_config` and `faker_config`: the SDK's settings.

        Raises:
            UsageError: they hold what the mapper does not know, or an expression that is none.
        """
        own = copy.deepcopy(dict(config))  # the mapper takes some of it out
        check_maps(own["stream_maps"])
        check_faker(own.get("faker_config") or {})
        logging.getLogger("singer_sdk.mapper").setLevel(logging.WARNING)  # else it logs the user's filters
        self._mapper = PluginMapper(own, logging.getLogger(__name__))
        self._seen: dict[str, tuple[object, object]] = {}
        self._tap_streams: dict[str, str] = {}
        self._max_depth = max_depth
        self.filtered: Counter[str] = Counter()

    def apply(self, messages: Iterable[Message]) -> Iterator[Message]:
        """Maps the messages of a run, in their order; line numbers stay those of the input.

        Raises:
            UsageError: the maps do not fit a stream's SCHEMA.
        """
        for message in messages:
            if isinstance(message, SchemaMessage):
                yield from self._schemas(message)
            elif isinstance(message, Rows):
                yield from self._rows(message)
            elif isinstance(message, RefusedRecord):  # what the maps mask would stand in its text
                yield from (replace(message, stream=name, text=b"") for name in self._names(message.stream))
            elif isinstance(message, ActivateVersion | BatchMessage | BadMessage):
                yield from (replace(message, stream=name) for name in self._names(message.stream))
            else:
                yield message

    @property
    def is_idle(self) -> bool:
        """Tells that no SCHEMA came."""
        return not self._seen

    def unused(self) -> list[str]:
        """The streams that the maps name and that never came: a misspelt name leaves rows as they are."""
        named = {_source(name, definition) for name, definition in self._mapper.stream_maps_dict.items()}
        return sorted(name for name in named if not any(fnmatch(stream, name) for stream in self._seen))

    def _made(self, stream: str) -> Sequence[StreamMap] | None:
        """The maps of a tap's stream that leave something of it; None before its SCHEMA."""
        maps = self._mapper.stream_maps.get(stream)
        return maps and [one for one in maps if not isinstance(one, RemoveRecordTransform)]

    def _names(self, stream: str) -> list[str]:
        maps = self._made(stream)
        return [stream] if maps is None else [one.stream_alias for one in maps]

    def _schemas(self, message: SchemaMessage) -> Iterator[SchemaMessage]:
        stream, schema = message.stream, message.schema
        if not isinstance(schema.get("properties"), dict):  # there is nothing to map; the stream will fail
            yield from (replace(message, stream=name, tap_stream=stream) for name in self._names(stream))
            return
        if self._seen.get(stream) != (schema, message.key_properties):
            self._register(message)
            self._seen[stream] = (schema, message.key_properties)
        for one in self._made(stream) or ():
            mapped = schema
            if isinstance(one, CustomStreamMap):
                # `__else__` drops these too: our taps' mark, and what a `$ref` of a kept property names
                kept = {k: v for k, v in schema.items() if k.startswith("x-") or k in DEFINITIONS}
                mapped = {**kept, **one.transformed_schema}
            keys = tuple(one.transformed_key_properties or ())
            yield replace(
                message, stream=one.stream_alias, schema=mapped, key_properties=keys, tap_stream=stream
            )

    def _register(self, message: SchemaMessage) -> None:
        stream, at = message.stream, f"line {message.line}: stream_maps"
        try:
            self._mapper.register_raw_stream_schema(stream, message.schema, list(message.key_properties))
        except StreamMapConfigError as error:
            raise UsageError(f"{at} do not fit stream {stream!r}: {error}") from error
        except Exception as error:  # whatever a SCHEMA and a map can be together
            raise UsageError(f"{at} do not fit stream {stream!r} ({type(error).__name__})") from error
        names = self._names(stream)
        for name in names:
            if not isinstance(name, str) or not name:
                raise UsageError(f"{at} give stream {stream!r} an __alias__ that is no name")
            other = self._tap_streams.setdefault(name, stream)
            if other != stream or names.count(name) > 1:
                raise UsageError(
                    f"{at} make stream {name!r} of {other!r} and again of {stream!r}: "
                    "give one of them another __alias__"
                )
        for one in self._mapper.stream_maps[stream]:
            if isinstance(one, CustomStreamMap):
                one._eval = _telling(one._eval)  # type: ignore[method-assign]  # noqa: SLF001 - only here is the property known

    def _rows(self, rows: Rows) -> Iterator[Message]:
        maps = self._made(rows.stream)
        if maps is None:
            yield rows
        lines: list[tuple[int, _Line | _Refused]] = []
        for one in maps or ():
            if isinstance(one, SameRecordTransform):
                yield rows
            elif isinstance(one, CustomStreamMap):
                lines = lines or list(_read(rows, self._max_depth))
                yield from self._mapped(one, lines, keeps_deletes=not self._says_deleted(rows.stream))

    def _says_deleted(self, stream: str) -> bool:
        """Tells whether a map of the stream says itself what becomes of the mark of deleted rows."""
        return any(
            isinstance(definition, dict) and DELETED_AT in definition
            for name, definition in self._mapper.stream_maps_dict.items()
            if fnmatch(stream, _source(name, definition))
        )

    def _mapped(
        self, one: CustomStreamMap, lines: Sequence[tuple[int, _Line | _Refused]], *, keeps_deletes: bool
    ) -> Iterator[Message]:
        """The lines as `one` maps them: runs that stand together in the input, and those that cannot be."""
        made: list[bytes] = []
        first = 0
        for number, line in lines:
            try:
                mapped = _map(one, line, keeps_deletes=keeps_deletes)
            except _Refused as refused:
                yield RefusedRecord(number, one.stream_alias, refused.field, str(refused))
                continue
            if mapped is None:
                self.filtered[one.stream_alias] += 1
                continue
            if made and number != first + len(made):
                yield Rows(one.stream_alias, b"".join(made), first, len(made))
                made = []
            first = first if made else number
            made.append(mapped)
        if made:
            yield Rows(one.stream_alias, b"".join(made), first, len(made))


def check_maps(maps: Mapping[str, Any]) -> None:
    """Looks at `stream_maps` before any message comes.

    Raises:
        UsageError: they hold a word that the mapper does not know, or an expression that is none.
    """
    for stream, definition in maps.items():
        nothing = definition is None or definition == NULL_STRING
        if stream.startswith("__") and not (stream == "__else__" and nothing):
            raise UsageError(f"stream_maps: {stream} is no word for streams, but for __else__ with null")
        if not nothing and not isinstance(definition, dict):
            raise UsageError(f"stream_maps: {stream} must be an object, or null to leave the stream out")
        for field, value in (definition or {}).items() if not nothing else ():
            if problem := _problem(field, value):
                raise UsageError(f"stream_maps: {stream}.{field} {problem}")


def check_faker(config: Mapping[str, Any]) -> None:
    """Makes what `fake` is to be, before any message comes.

    Raises:
        UsageError: the package is missing, or does not take what `config` says.
    """
    if not config:
        return
    if importlib.util.find_spec("faker") is None:
        raise UsageError("faker_config needs the package faker: install the target with its extra [faker]")
    from faker import Faker  # noqa: PLC0415 - few runs make values up

    unknown = sorted(config.keys() - {"seed", "locale"})
    try:
        Faker(config.get("locale")).seed_instance(config.get("seed"))
    except Exception as error:  # noqa: BLE001 - it checks little, and fails as it comes
        unknown = [name for name in ("locale", "seed") if name in config]
        raise UsageError(f"faker_config: {' or '.join(unknown)} is none that faker takes ({error})") from None
    if unknown:
        raise UsageError(f"faker_config: {', '.join(unknown)} is no word of it: it takes seed and locale")


def _problem(field: str, value: object) -> str | None:
    """What is the matter with one line of a stream's map."""
    if value is None or (value == NULL_STRING and not field.startswith("__")):
        return None
    if field == "__key_properties__":
        is_names = isinstance(value, list) and all(isinstance(name, str) for name in value)
        return None if is_names else "must be a list of properties"
    if field == "__else__":
        return None if value == NULL_STRING else "can only be null"
    if not isinstance(value, str):
        return "must be an expression (a string), or null"
    if field.startswith("__") and field not in ("__source__", "__alias__", "__filter__"):
        return "is no word of stream maps"
    is_good = field in ("__source__", "__alias__") or _is_expression(value)
    return None if is_good else "is no expression that can be read: mend its syntax"


def _is_expression(text: str) -> bool:
    try:
        return isinstance(ast.parse(text).body[0], ast.Expr)
    except (SyntaxError, ValueError, IndexError, RecursionError):
        return False


def _source(name: str, definition: object) -> str:
    """The tap's stream, or pattern of streams, that a map is of."""
    source = definition.get("__source__") if isinstance(definition, dict) else None
    return source if isinstance(source, str) else name


def _telling(evaluate: Callable[..., Any]) -> Callable[..., Any]:
    """Evaluates expressions; a failure names the property and shows no value."""

    def tell(**asked: Any) -> Any:  # noqa: ANN401 - the SDK's signature
        try:
            return evaluate(**asked)
        except Exception as error:  # noqa: BLE001 - an expression may do anything
            cause = error.__cause__ or error
            what = type(cause).__name__
            if what == "NameNotDefined":
                what = f"the record has no {getattr(cause, 'name', '')!r}"
            reason = f"cannot be made {BY_MAP} ({what})"
            raise _Refused(asked["property_name"] or "__filter__", reason) from None

    return tell


def _read(rows: Rows, max_depth: int) -> Iterator[tuple[int, _Line | _Refused]]:
    for number, line in zip(rows.lines, rows.block.removesuffix(b"\n").split(b"\n"), strict=True):
        try:
            yield number, _line_of(line, rows.stream, max_depth)
        except (msgspec.MsgspecError, RecursionError, ValueError, ArithmeticError) as error:
            yield number, _Refused(*explain(line, error))


def _line_of(text: bytes, stream: str, max_depth: int) -> _Line:
    check_caps(text, max_depth)
    line = _lines.decode(text)
    check_names(text, msgspec.Raw())
    if (line.type.upper(), line.stream) != ("RECORD", stream):
        raise TwoNamesError(stream)
    return line


def _map(one: CustomStreamMap, line: _Line | _Refused, *, keeps_deletes: bool) -> bytes | None:
    """A line as `one` maps it; None where a filter leaves it out."""
    if isinstance(line, _Refused):
        raise line
    made = one.transform(copy.copy(line.record))
    if made is None:  # the SDK says so of an empty record, too
        if not one.get_filter_result(line.record):
            return None
        made = {}
    if keeps_deletes and line.record.get(DELETED_AT) is not None:
        made.setdefault(DELETED_AT, line.record[DELETED_AT])  # `__else__` must not bring a row back
    try:
        mapped = _Line("RECORD", one.stream_alias, made, line.time_extracted, line.version)
        return _encoder.encode(mapped) + b"\n"
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise _Refused("record", f"its stream map made what is no JSON ({type(error).__name__})") from None
