"""What each snapshot says about itself: one JSON document under the key `lake` in the Parquet footer."""

from typing import Any

import msgspec

from lake_parquet.names import Names

KEY = "lake"
FORMAT = 1


class Owner(msgspec.Struct, frozen=True):
    """Whose dataset it is, in the names as they were given: joined names can meet, these cannot."""

    stream: str
    tenant: str | None = None
    source: str | None = None
    child: str | None = None

    def __str__(self) -> str:
        """Names the owner for a message."""
        parts = [
            ("tenant", self.tenant),
            ("source", self.source),
            ("stream", self.stream),
            ("child", self.child),
        ]
        return ", ".join(f"{name} {value!r}" for name, value in parts if value)


class SnapshotInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A snapshot's metadata. `children` names the child datasets' files that belong to it, by dataset.

    `filtered` counts the records of its run that a stream map's filter left out.
    `field_ids` are the columns' ids in the file, `last_field_id` is the highest that the dataset ever gave,
    `absent` names the columns that its run did not bring: they stay, null in new rows.
    `names` tells where in a record the values of each column stand, for all datasets of a stream: in the
    stream's own snapshot, by what a dataset's name adds to the stream's.
    `absorbed` are the runs whose rows, kept in staging when they ended early, it holds: none is merged twice.
    """

    format: int = FORMAT
    run_id: str
    owner: Owner
    created_at: str
    load_method: str
    row_count: int
    filtered: int = 0
    keys: tuple[str, ...] = ()
    replication_keys: tuple[str, ...] = ()
    origin: str | None = None
    account: str | None = None
    tap: str | None = None
    version: int | None = None
    base: str | None = None
    absorbed: tuple[str, ...] = ()
    children: dict[str, str] = {}
    json_columns: tuple[str, ...] = ()
    field_ids: dict[str, int] = {}
    last_field_id: int = 0
    absent: tuple[str, ...] = ()
    names: Names = {}
    bookmark: Any = None
    schema: Any = None

    @property
    def is_stub(self) -> bool:
        """Tells whether the rows are made up, for want of credentials."""
        return self.origin == "stub"

    def to_metadata(self) -> dict[str, str]:
        """The Parquet key-value metadata that carries this document."""
        return {KEY: msgspec.json.encode(self).decode()}


def read_info(metadata: dict[bytes, bytes] | None) -> SnapshotInfo | None:
    """Reads the document back from a footer's key-value metadata; None where a file has none of ours."""
    raw = (metadata or {}).get(KEY.encode())
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=SnapshotInfo)
    except msgspec.DecodeError:
        return None
