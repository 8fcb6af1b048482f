"""Streams that were not published in, the error that a run ends with out."""

from collections.abc import Iterable

from singer_sdk.exceptions import MissingKeyPropertiesError, RecordsWithoutSchemaException

from lake_parquet.errors import LakeError
from target_lake_parquet.stream import Stream


class Incomplete(LakeError):  # noqa: N818 - it says how the run ended
    """Some dataset was not published; the log says which and why."""


class KeysMissingError(Incomplete, MissingKeyPropertiesError):
    """Records lack what tells them apart."""


class RecordBeforeSchemaError(Incomplete, RecordsWithoutSchemaException):
    """Nothing says what the columns of a record are."""


def error_of(streams: Iterable[Stream]) -> type[Incomplete]:
    """The SDK's own error where one says why a stream was given up: its standard tests ask for them."""
    if any(stream.lacks_schema for stream in streams):
        return RecordBeforeSchemaError
    return KeysMissingError if any(stream.lacks_key for stream in streams) else Incomplete
