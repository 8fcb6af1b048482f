"""What the faults hit: sources that go on from a bookmark, and lakes that runs have left before."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.target.messages import KEY, MOMENT, STRING, activate, record, schema

ARRAY = {"type": "array", "items": {"type": "object", "properties": {"sku": STRING}}}
ORDERS = schema("orders", {"id": KEY, "updated_at": MOMENT, "items": ARRAY}, bookmarks=["updated_at"])
EVENTS = schema("events", {"n": KEY, "updated_at": MOMENT}, keys=[], bookmarks=["updated_at"])
SHOPS = schema("shops", {"id": KEY, "name": STRING, "items": ARRAY})


INBOX = "in-box"


@dataclass(frozen=True)
class Stream:
    """A source's stream: its records by the day on which they changed. A full one is read anew each time.

    `mark` is what its bookmark calls the last moment that was read.
    """

    schema: str
    days: Mapping[int, Sequence[str]]
    full: bool = False
    mark: str = "replication_key_value"

    @property
    def name(self) -> str:
        """Its name."""
        return str(json.loads(self.schema)["stream"])

    def records(self, after: int, to: int) -> Iterator[tuple[int, Sequence[str]]]:
        """The days that a read brings."""
        if self.full:
            yield to, self.days[to]
        else:
            yield from ((day, rows) for day, rows in sorted(self.days.items()) if after < day <= to)


def order(identity: int, day: int, *skus: str) -> str:
    items = [{"sku": sku} for sku in skus]
    return record("orders", id=identity, updated_at=f"2026-01-{day:02d}T12:00:00Z", items=items)


def event(n: int, day: int) -> str:
    return record("events", n=n, updated_at=f"2026-01-{day:02d}T12:00:00Z")


def shop(identity: int, name: str, *skus: str) -> str:
    return record("shops", id=identity, name=name, items=[{"sku": sku} for sku in skus])


def batch(name: str) -> str:
    encoding = {"format": "jsonl"}
    line = {"type": "BATCH", "stream": "orders", "encoding": encoding, "manifest": [f"file://{INBOX}/{name}"]}
    return json.dumps(line)


ORDER_DAYS = Stream(
    ORDERS,
    {
        1: [order(1, 1, "x", "y"), order(2, 1, "z"), order(3, 1)],
        2: [order(1, 2, "x2"), order(4, 2, "w", "w")],
        3: [order(2, 3), order(5, 3, "v"), order(4, 3, "w3")],
    },
)
EVENT_DAYS = Stream(EVENTS, {day: [event(day, day), event(10 + day, day)] for day in (1, 2, 3)})
SHOP_DAYS = Stream(
    SHOPS,
    {
        1: [shop(1, "a", "p", "q"), shop(2, "b", "r"), shop(3, "c")],
        3: [shop(1, "a3", "p3"), shop(2, "b", "r"), shop(4, "d", "s")],
    },
    full=True,
)


LINE_DAYS = Stream(
    schema("lines", {"n": KEY}, keys=[]),
    {day: [record("lines", n=day), record("lines", n=day), record("lines", n=0)] for day in (1, 2, 3)},
    mark="modified_since",
)
BAD_DAYS = Stream(
    ORDERS, {day: [*rows, record("orders", id=f"bad {day}")] for day, rows in ORDER_DAYS.days.items()}
)
BATCH_DAYS = Stream(
    ORDERS, {1: [batch("1.jsonl")], 2: [batch("2.jsonl"), *ORDER_DAYS.days[2]], 3: [batch("3.jsonl")]}
)
BATCH_FILES = {
    f"{day}.jsonl": "".join(json.dumps(json.loads(row)["record"]) + "\n" for row in rows)
    for day, rows in ORDER_DAYS.days.items()
}


@dataclass(frozen=True)
class Scenario:
    """Runs that came before, and the one that faults hit: it reads to the third day.

    `before` is the day to which a good run has read; `dead` that to which a run has read that died after its
    STATEs. `again` makes that run begin a day earlier than the bookmark says, as many taps do. `files` are
    those that BATCH messages name, in a folder that they call `INBOX`. Rows that nothing tells apart are not
    `exact`: those that no STATE covers may be there twice.
    """

    streams: Sequence[Stream]
    before: int = 0
    dead: int = 0
    again: bool = False
    config: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    exact: bool = True

    def lines(self, state: Any, to: int = 3) -> list[str]:
        """What a tap sends that goes on from `state`: days after each stream's bookmark."""
        bookmarks = dict(state["bookmarks"]) if state else {}
        sent = [_state(bookmarks)] if bookmarks else []
        for stream in self.streams:
            sent.append(stream.schema)
            mark = bookmarks.get(stream.name, {}).get(stream.mark, "2026-01-00")
            for day, rows in stream.records(int(mark[8:10]), to):
                sent += rows
                if stream.full:
                    sent.append(activate(stream.name, 1))
                else:
                    moment = f"2026-01-{day:02d}T12:00:00Z"
                    key = {"replication_key": "updated_at"} if stream.schema.count("updated_at") else {}
                    bookmarks[stream.name] = {**key, stream.mark: moment}
                sent.append(_state(bookmarks))
        return sent


def _state(bookmarks: Mapping[str, Any]) -> str:
    return json.dumps({"type": "STATE", "value": {"bookmarks": dict(bookmarks)}})


EACH = {"checkpoint_seconds": 0}
SCENARIOS = {
    "first": Scenario([ORDER_DAYS], config=EACH),
    "upsert": Scenario([ORDER_DAYS], before=1),
    "overwrite": Scenario([SHOP_DAYS], before=1),
    "append": Scenario([EVENT_DAYS], before=1, config=EACH),
    "two streams": Scenario([ORDER_DAYS, EVENT_DAYS, SHOP_DAYS], before=1, config=EACH),
    "recovers": Scenario([ORDER_DAYS, EVENT_DAYS], before=1, dead=2, config=EACH),
    "recovers the same": Scenario([ORDER_DAYS], before=2, dead=2, again=True, config=EACH),
    "goes on": Scenario([ORDER_DAYS, EVENT_DAYS], dead=2, config=EACH),
    "no replication key": Scenario([LINE_DAYS], before=1, config=EACH, exact=False),
    "quarantine": Scenario([BAD_DAYS], before=1, config={**EACH, "on_bad_record": "quarantine"}),
    "batch": Scenario([BATCH_DAYS], before=1, config=EACH, files=BATCH_FILES),
}
