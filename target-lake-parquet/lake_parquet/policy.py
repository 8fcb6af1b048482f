"""What a run knows of a stream and what the lake holds in, what to do with the rows out. Pure.

The rules stand in `docs/lake-format.md`; each hold names what happened and the setting that accepts it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from lake_parquet.footer import Owner, SnapshotInfo
from lake_parquet.runs import Proof

LoadMethod = Literal["auto", "upsert", "append-only", "overwrite"]
UNPROVEN_ROW_DROP = 0.05


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What a run knows of a stream when it ends.

    `version` is the stream version that the tap activated, `rows_version` that of its rows,
    `resumed` whether the read began at a bookmark, `is_empty` whether it brought no rows,
    `origin` our taps' mark (`api`, `stub`), `proof` whether the stream was seen to its end,
    `bookmark` the stream's in the last STATE, `account` the shop or site that was read,
    `filtered` how many records a stream map's filter left out,
    `covered` the input line of the last STATE that holds its bookmark: later rows will be read again,
    `reads_anew` our taps' word that they read everything and say so at the end,
    `on_schema_change` whether columns may differ from those of the previous snapshot,
    `hold` why the run itself found that its rows must not be published.
    """

    owner: Owner
    keys: tuple[str, ...] = ()
    replication_keys: tuple[str, ...] = ()
    incremental: bool = False
    resumed: bool = False
    is_empty: bool = False
    version: int | None = None
    rows_version: int | None = None
    origin: str | None = None
    proof: Proof = "unproven"
    load_method: LoadMethod = "auto"
    on_incomplete: Literal["hold", "publish"] = "hold"
    max_row_drop: float | None = None
    on_schema_change: Literal["evolve", "freeze"] = "evolve"
    hard_delete: bool = True
    bookmark: Any = None
    account: str | None = None
    filtered: int = 0
    covered: int | None = None
    reads_anew: bool = False
    hold: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of the rows: held with a reason, or published by a method, with or without its base.

    Held rows that `waits` marks stay in staging, and their bookmark is handed on: the next run goes on there.
    """

    load_method: str
    keeps_base: bool = False
    hold: str | None = None
    notes: tuple[str, ...] = field(default=())
    waits: bool = False


def method_of(facts: StreamFacts) -> str:
    """The load method, `auto` resolved. Stub rows are always a whole of their own."""
    if facts.origin == "stub":
        return "overwrite"
    if facts.load_method != "auto":
        return facts.load_method
    if not facts.incremental:
        return "overwrite"
    return "upsert" if facts.keys else "append-only"


def follows(facts: StreamFacts, earlier: StreamFacts) -> bool:
    """Tells whether rows that a dead run left are of the same stream version, where both are known.

    A read that began anew, under a version of its own, has read what was there by then.
    """
    before = earlier.rows_version if earlier.version is None else earlier.version
    return None in (facts.version, before) or facts.version == before


def may_keep(facts: StreamFacts, previous: SnapshotInfo | None, *, begun: bool) -> bool:
    """Tells whether rows of a stream in mid-read may be kept for later runs, and its bookmark handed on.

    They may where a later run can publish them as they are: onto the previous snapshot, or, together with
    what it reads itself, as the first one. `begun` says that earlier rows of a first load are kept already.
    """
    if facts.reads_anew and previous is not None and not previous.is_stub:
        return False  # what the source has deleted would stay in the lake
    decision = decide(facts, previous, begun=begun)
    if decision.load_method == "overwrite":
        return False
    return decision.waits or (decision.hold is None and (decision.keeps_base or previous is None))


def decide(facts: StreamFacts, previous: SnapshotInfo | None, *, begun: bool = False) -> Decision:
    """Decides what becomes of a stream's rows, before they are looked at.

    `begun` says that rows of a first load that was cut short wait in staging: this run goes on with it.
    """
    method = method_of(facts)
    refusal = _refusal(facts, method)
    if refusal:
        return Decision(method, hold=refusal)
    if previous is None:
        return _first(facts, method, begun=begun)
    refusal = _stranger(facts, previous)
    if refusal:
        return Decision(method, hold=refusal)
    if previous.is_stub and facts.origin != "stub":
        decision = _first(facts, method, begun=begun)
        return replace(decision, notes=(*decision.notes, "replaces stub data"))
    return _next(facts, method, previous)


def _stranger(facts: StreamFacts, previous: SnapshotInfo) -> str | None:
    """Why these rows do not belong into the dataset."""
    if previous.owner != facts.owner:
        return (
            f"the dataset belongs to {previous.owner}, this run brings {facts.owner}: "
            "give one of them another tenant_id or source, or rename it by a stream map"
        )
    if facts.account and previous.account and facts.account != previous.account:
        return (
            f"the dataset holds the rows of {previous.account}, this run brings those of "
            f"{facts.account}: give each account a tenant_id of its own"
        )
    if facts.origin == "stub" and not previous.is_stub:
        return "stub data never replaces data of the API: set the tap's credentials"
    return None


def _refusal(facts: StreamFacts, method: str) -> str | None:
    """Why no snapshot can be made of these rows, whatever the lake holds."""
    if facts.hold:
        return facts.hold
    if method == "upsert" and not facts.keys:
        return "load_method is upsert, and the stream has no key_properties: use append-only or overwrite"
    if facts.resumed and method == "overwrite" and facts.load_method == "auto" and facts.origin != "stub":
        return (
            "the read went on in the middle of a full table, so this run holds the remainder only: "
            "read the stream anew (meltano run --full-refresh)"
        )
    return None


def _first(facts: StreamFacts, method: str, *, begun: bool) -> Decision:
    """A dataset's first snapshot must be a whole: nothing stands behind it that could complete it."""
    if facts.resumed and method != "overwrite" and not begun:
        return Decision(
            method,
            hold="the read began at a bookmark, and the lake has no snapshot of this dataset to build on: "
            "the lake moved, or the state is another tenant's. Set lake_root or tenant_id right, "
            "or read anew (meltano run --full-refresh)",
        )
    decision = _unless_open(facts, Decision(method))
    if decision.hold and method != "overwrite":
        return replace(decision, waits=True)
    return decision


def _next(facts: StreamFacts, method: str, previous: SnapshotInfo) -> Decision:
    differs = facts.load_method == "auto" and facts.origin != "stub" and method != previous.load_method
    if differs and facts.is_empty and not facts.incremental:
        method = previous.load_method  # no rows and no bookmark say nothing of how the stream is read
    elif differs and previous.row_count:
        return Decision(
            method,
            hold=f"the dataset was loaded as {previous.load_method} so far, this run would load it as "
            f"{method}: set load_method to {method} to accept the change",
        )
    if method != "overwrite" and set(facts.keys) != set(previous.keys):
        return Decision(
            method,
            hold=f"the keys changed from {_names(previous.keys)} to {_names(facts.keys)}: "
            "load the stream once with load_method overwrite and --full-refresh",
        )
    other_version = facts.version is not None and facts.version != previous.version
    if other_version and previous.version is None and facts.resumed:
        other_version = False  # the tap learned to send versions; the bookmark says that the base counts
    if method == "append-only":  # nothing but a version tells its rows apart
        other_version &= facts.load_method != "append-only" and previous.version is not None
    if method == "overwrite" or other_version:
        return _unless_open(facts, Decision(method))
    return _unless_open(facts, Decision(method, keeps_base=True))


def _unless_open(facts: StreamFacts, decision: Decision) -> Decision:
    if facts.proof != "open":
        return decision
    if decision.keeps_base and decision.load_method == "upsert":
        return replace(decision, notes=("the stream was cut short: what arrived is merged",))
    if decision.keeps_base and decision.load_method == "append-only" and facts.covered is not None:
        note = "the stream was cut short: what arrived up to its last bookmark is appended"
        return replace(decision, notes=(note,))
    if facts.on_incomplete == "publish":
        return Decision(
            decision.load_method, decision.keeps_base, notes=(*decision.notes, "published though cut short")
        )
    return Decision(
        decision.load_method,
        hold="the stream was cut short (the tap died or was stopped): run it again, "
        "or set on_incomplete to publish",
    )


def hold_for_drop(facts: StreamFacts, rows_before: int, rows_after: int) -> str | None:
    """Refuses a snapshot that lost suspiciously many rows: a tap that dies looks like one that is done.

    Both counts are of what the tap sent: the records that a stream map's filter left out are among them.
    """
    limit = facts.max_row_drop
    if limit is None and facts.proof == "unproven":
        limit = UNPROVEN_ROW_DROP
    if limit is None or rows_after >= rows_before * (1 - limit):
        return None
    return (
        f"rows fell from {rows_before} to {rows_after}, and max_row_drop is {limit:g}: "
        "if the source really lost them, set max_row_drop to 1"
    )


def hold_for_change(facts: StreamFacts, news: Sequence[str]) -> str | None:
    """Refuses a snapshot whose columns differ from the previous one's, where the stream's are frozen."""
    if facts.on_schema_change != "freeze" or not news:
        return None
    return (
        f"the columns changed ({'; '.join(news)}), and on_schema_change is freeze: "
        "set it to evolve for one run to accept them"
    )


def _names(keys: tuple[str, ...]) -> str:
    return "(" + ", ".join(keys) + ")"
