"""Bulk operations: their slots, their life by a clock, and the files they leave behind.

server.store.bulk.pace = BulkPace(running=30)          each takes half a minute, by its clock
server.store.bulk.fail("INTERNAL_SERVER_ERROR", 0.6)   the next one breaks after 60 % of its lines
server.store.bulk.occupy(5)                            five of another program of the same app
server.store.bulk.short = Short(lines=3)               results lack their last three lines from now on
server.store.bulk.has_urls = False                     results are nowhere to be had, though counted
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphql import FieldNode, OperationDefinitionNode, SelectionSetNode, parse, print_ast

from tests.emulators.shopify import bulk_rules
from tests.emulators.shopify.bulk_lines import ORDERS, Renderer
from tests.emulators.shopify.resolvers import Context
from tests.emulators.shopify.schema import admin_schema
from tests.emulators.shopify.scopes import asks_for

if TYPE_CHECKING:
    from tests.emulators.shopify.store import Store

Row = dict[str, Any]
MOST_AT_ONCE = 5
URL_SECONDS = 7 * 86_400
LONGEST_RUN_SECONDS = 10 * 86_400
ENDED = frozenset({"CANCELED", "COMPLETED", "EXPIRED", "FAILED"})
PATH = "/bulk/"
SMALL = 5_000
"""Objects at the root that are written at once; more are written while the operation runs."""


@dataclass(frozen=True)
class BulkPace:
    """How many seconds of the clock an operation is CREATED, RUNNING, and, once canceled, CANCELING."""

    created: float = 0.0
    running: float = 0.0
    canceling: float = 0.0


@dataclass(frozen=True)
class Short:
    """How many of its last lines a result lacks, which are counted; and whether its size tells of them."""

    lines: int
    is_sized: bool = True


@dataclass
class Operation:
    """One bulk operation and what becomes of it."""

    number: int
    query: str
    created_at: str
    started: float
    pace: BulkPace
    failure: tuple[str, float] | None = None
    is_foreign: bool = False
    canceled: float | None = None
    key: str = field(default_factory=lambda: secrets.token_hex(8))
    lines: int = 0
    roots: int = 0
    size: int = 0
    thread: threading.Thread | None = None

    @property
    def gid(self) -> str:
        """The global id."""
        return f"gid://shopify/BulkOperation/{self.number}"

    def ends(self) -> float:
        """Return when it has ended by the clock: canceled, or done."""
        if self.canceled is not None:
            return self.canceled + self.pace.canceling
        return self.started + self.pace.created + min(self.pace.running, LONGEST_RUN_SECONDS)

    def status(self, now: float) -> str:
        """Return the status at a moment."""
        if self.canceled is not None:
            return "CANCELING" if now < self.ends() else "CANCELED"
        if now < self.started + self.pace.created:
            return "CREATED"
        if now < self.ends() or self.is_foreign or (self.thread and self.thread.is_alive()):
            return "RUNNING"
        if self.failure or self.pace.running > LONGEST_RUN_SECONDS:
            return "FAILED"
        return "COMPLETED" if now < self.ends() + URL_SECONDS else "EXPIRED"


@dataclass(frozen=True)
class Kept:
    """The lines of a document over all rows, and where each root object's stand: start, bytes, lines."""

    path: Path
    places: dict[str, tuple[int, int, int]]

    @classmethod
    def of(cls, path: Path, renderer: Renderer) -> Kept:
        """Render a document into a file."""
        places: dict[str, tuple[int, int, int]] = {}
        (root,) = renderer.roots
        with path.open("wb", buffering=1 << 20) as out:
            for row, block in zip(root.rows, renderer.blocks(), strict=True):
                places[row["id"]] = (out.tell(), sum(map(len, block)), len(block))
                out.writelines(block)
        return cls(path, places)


def without_search(text: str) -> str:
    """Return a document without comments and without the filter of its one root field."""
    document = parse(text, no_location=True)
    (operation,) = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    (root,) = operation.selection_set.selections
    assert isinstance(root, FieldNode)
    arguments = tuple(one for one in root.arguments or () if one.name.value != "query")
    return print_ast(SelectionSetNode(selections=(replace(root, arguments=arguments),)))


class BulkOperations:
    """The bulk operations of one app in one shop.

    `clock` is any function that returns seconds; `order` is how lines are laid out where objects are not to
    be grouped: `mixed`, `grouped` or `parents first`, each of which the API allows itself.
    """

    def __init__(self, store: Store, origin: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.store = store
        self.origin = origin
        self.clock = clock
        self.pace = BulkPace()
        self.order = "mixed"
        self.short = Short(0)
        self.has_urls = True
        self.kept: dict[str, Kept] | None = None
        """Lines by document, once a measurement set this to `{}`: rendered once, for data that stays."""
        self.operations: dict[str, Operation] = {}
        self._failures: list[tuple[str, float]] = []
        self._folder: Path | None = None

    # ---- what a test decides

    def fail(self, code: str, share: float = 0.0) -> None:
        """Let the next operation fail with an error code, after a share of its lines; 0 leaves no data."""
        self._failures.append((code, share))

    def occupy(self, count: int) -> list[str]:
        """Take slots with operations that the same app started elsewhere; they run until `finish`."""
        return [self._add("{ shop { id } }", is_foreign=True).gid for _ in range(count)]

    def finish(self, gid: str) -> None:
        """End an operation that was started elsewhere."""
        self.operations[gid].is_foreign = False

    # ---- the API

    def run(self, text: str, *, is_grouped: bool) -> Row:
        """Start an operation, and return the payload of `bulkOperationRunQuery`."""
        if refused := bulk_rules.refusals(admin_schema(), text):
            return {
                "bulkOperation": None,
                "userErrors": [
                    {"field": ["query"], "message": message, "code": "INVALID"} for message in refused
                ],
            }
        if len(busy := self.unfinished()) >= MOST_AT_ONCE:
            message = (
                "A bulk query operation for this app and shop is already in progress: "
                + ", ".join(busy)
                + "."
            )
            problem = {"field": None, "message": message, "code": "OPERATION_IN_PROGRESS"}
            return {"bulkOperation": None, "userErrors": [problem]}
        operation = self._add(text)
        if asks_for(admin_schema(), text, self.store.protected):
            operation.failure = ("ACCESS_DENIED", 0.0)
        started = self.row(operation.gid) or {}
        renderer = Renderer(admin_schema(), text, Context(self.store))
        operation.roots = sum(len(root.rows) for root in renderer.roots)
        if self.kept is not None:
            self._copy(operation, text, [row["id"] for row in renderer.roots[0].rows])
            return {"bulkOperation": {**started, "status": "CREATED"}, "userErrors": []}
        lines = ORDERS["grouped" if is_grouped else self.order](renderer.blocks())
        if operation.roots <= SMALL:
            self._write(operation, lines)
        else:
            operation.thread = threading.Thread(target=self._write, args=(operation, lines), daemon=True)
            operation.thread.start()
        return {"bulkOperation": {**started, "status": "CREATED"}, "userErrors": []}

    def cancel(self, gid: str) -> Row:
        """Begin to cancel an operation, and return the payload of `bulkOperationCancel`."""
        operation = self.operations.get(gid)
        if operation is None:
            problem = {"field": ["id"], "message": "Bulk operation does not exist"}
            return {"bulkOperation": None, "userErrors": [problem]}
        status = self._status(operation)
        if status in ENDED:
            message = f"A bulk operation cannot be canceled when it is {status.lower()}"
            return {"bulkOperation": self.row(gid), "userErrors": [{"field": None, "message": message}]}
        operation.canceled = operation.canceled if operation.canceled is not None else self.clock()
        return {"bulkOperation": {**(self.row(gid) or {}), "status": "CANCELING"}, "userErrors": []}

    def unfinished(self) -> list[str]:
        """Return the ids of the operations that hold a slot; one that is being canceled does."""
        return [gid for gid, one in self.operations.items() if self._status(one) not in ENDED]

    def rows(self) -> list[Row]:
        """Return every operation as its GraphQL type has it, oldest first."""
        return [row for gid in self.operations if (row := self.row(gid))]

    def row(self, gid: str) -> Row | None:
        """Return one operation as its GraphQL type has it; None where there is none."""
        operation = self.operations.get(gid)
        if operation is None:
            return None
        status = self._status(operation)
        url = f"{self.origin}{PATH}{operation.number}.jsonl?key={operation.key}"
        is_done, has_lines = status == "COMPLETED", bool(operation.lines)
        is_kept = self.clock() < operation.ends() + URL_SECONDS
        is_partial = status in {"FAILED", "CANCELED"} and has_lines and is_kept
        counted = status in ENDED
        return {
            "id": gid,
            "type": "QUERY",
            "status": status,
            "errorCode": self._error_code(operation) if status == "FAILED" else None,
            "query": operation.query,
            "createdAt": operation.created_at,
            "completedAt": self.store.timestamp if status in {"COMPLETED", "EXPIRED"} else None,
            "objectCount": str(operation.lines if counted else 0),
            "rootObjectCount": str(operation.roots if counted else 0),
            "fileSize": str(operation.size) if is_done and has_lines else None,
            "url": url if is_done and has_lines and self.has_urls else None,
            "partialDataUrl": url if is_partial else None,
        }

    def file(self, path: str) -> Path | None:
        """Return the file behind the path of a URL; None where it is wrong, or was good and has expired."""
        for operation in self.operations.values():
            if path == f"{PATH}{operation.number}.jsonl?key={operation.key}":
                expired = self.clock() >= operation.ends() + URL_SECONDS
                return None if expired else self._path(operation)
        return None

    def close(self) -> None:
        """Remove every file."""
        for operation in self.operations.values():
            if operation.thread:
                operation.thread.join()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    # ---- inside

    def _add(self, text: str, *, is_foreign: bool = False) -> Operation:
        with self.store.lock:
            failure = self._failures.pop(0) if self._failures and not is_foreign else None
            operation = Operation(
                number=9_000_000_000 + len(self.operations),
                query=text,
                created_at=self.store.timestamp,
                started=self.clock(),
                pace=self.pace,
                failure=failure,
                is_foreign=is_foreign,
            )
            self.operations[operation.gid] = operation
            return operation

    def _status(self, operation: Operation) -> str:
        return operation.status(self.clock())

    def _error_code(self, operation: Operation) -> str:
        return operation.failure[0] if operation.failure else "TIMEOUT"

    def _path(self, operation: Operation) -> Path:
        return self._place(f"{operation.number}.jsonl")

    def _place(self, name: str) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="emulator-bulk-"))
        return self._folder / name

    def keep(self, text: str) -> Kept:
        """Render a document for all rows, whatever its filter, unless it was; return its lines, grouped."""
        assert self.kept is not None
        document = without_search(text)
        if document not in self.kept:
            path = self._place(f"kept-{len(self.kept)}.jsonl")
            renderer = Renderer(admin_schema(), document, Context(self.store))
            self.kept[document] = Kept.of(path, renderer)
        return self.kept[document]

    def _copy(self, operation: Operation, text: str, gids: list[str]) -> None:
        """Make a result of kept lines; all of them in their order are the kept file itself."""
        kept = self.keep(text)
        path = self._path(operation)
        operation.lines = sum(kept.places[gid][2] for gid in gids)
        if gids == list(kept.places):
            path.hardlink_to(kept.path)
        else:
            with kept.path.open("rb") as source, path.open("wb", buffering=1 << 20) as out:
                for start, length, _ in (kept.places[gid] for gid in gids):
                    source.seek(start)
                    out.write(source.read(length))
        operation.size = path.stat().st_size

    def _write(self, operation: Operation, lines: Iterable[bytes]) -> None:
        path = self._path(operation)
        with path.open("wb", buffering=1 << 20) as out:
            for line in lines:
                out.write(line)
                operation.lines += 1
        if operation.failure:
            keep = int(operation.lines * operation.failure[1])
            cut(path, keep)
            operation.lines = keep
        operation.size = path.stat().st_size
        if self.short.lines:
            cut(path, operation.lines - self.short.lines)
            if not self.short.is_sized:
                operation.size = path.stat().st_size


def cut(path: Path, lines: int) -> None:
    """Keep so many lines of a file."""
    with path.open("rb+") as file:
        for _ in range(lines):
            file.readline()
        file.truncate()
