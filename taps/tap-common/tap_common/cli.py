"""The command line around a tap: one line for an error, the right exit code, nothing said twice.

Exit codes: 0 read to the end; 1 settings, API or state refused, if only for one stream; 2 called wrongly; 130
and 143 stopped by SIGINT and SIGTERM. A traceback appears when the log level is DEBUG
(`TAP_SHOPIFY_LOGLEVEL=DEBUG`).
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
from singer_sdk._logging import _setup_console_logging
from singer_sdk.plugin_base import SingerCommand, _ConfigInput, _plugin_log_level

from tap_common.config import Config, parse_json_object, read_config_files
from tap_common.errors import TapError, UsageError
from tap_common.redact import clean, foreign, protect

if TYPE_CHECKING:
    from tap_common.tap import CommonTap


# The SDK says so because we look at the environment ourselves.
NOT_TRUE_HERE = {"Skipping parse of env var settings..."}
# What the SDK says of every stream; one line at a stream's end says it better. Shown at level DEBUG.
DETAILS = {
    "METRIC: %s",
    "Skipping deselected stream '%s'.",
    "Starting incremental sync of '%s' with bookmark value: %s",
}


class TapCommand(click.Command):
    """Runs a tap's command and turns what goes wrong into one line and an exit code."""

    def __init__(self, inner: SingerCommand) -> None:
        super().__init__(
            name=inner.name,
            callback=inner.callback,
            params=inner.params,
            help=inner.help,
            context_settings=inner.context_settings,
        )
        self.logger = inner.logger

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Run the command."""
        logging.captureWarnings(capture=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        try:
            return super().main(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the last resort; the traceback is one setting away
            self._tell(error)
            sys.exit(error.exit_code if isinstance(error, TapError) else 1)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401
        """Run the tap; say so when nobody reads it any more, which click would keep to itself."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # What is left in the buffer cannot be written either; Python would complain of it at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise TapError("The program that reads this tap's output has stopped.") from None

    def _tell(self, error: Exception) -> None:
        self.logger.error("%s", said(error, str(self.name)))
        self.logger.debug("%s", way(error))


def said(error: Exception, tap: str) -> str:
    """Return what an error says to a person, on one line."""
    if isinstance(error, TapError):
        return foreign(error, 2000)
    level = f"{tap.upper().replace('-', '_')}_LOGLEVEL=DEBUG"
    return (
        f"Unexpected {type(error).__name__} in {_place(error)}: report it to the tap's authors. "
        f"Set {level} to see the way there."
    )


def _place(error: BaseException) -> str:
    """Return the file and line that raised; not what it said, which may quote a record."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}, line {frame.lineno}"


def way(error: BaseException) -> str:
    """Return a traceback, of each error in the chain; only ours say more than their names."""
    lines: list[str] = []
    inner: BaseException | None = error
    while inner is not None:
        words = f": {inner}" if isinstance(inner, TapError) else ""
        calls = "".join(traceback.format_tb(inner.__traceback__))
        lines.insert(0, f"Traceback (most recent call last):\n{calls}{type(inner).__name__}{words}")
        inner = inner.__cause__ or inner.__context__
    return "\n".join(lines)


def command(tap: type[CommonTap]) -> TapCommand:
    """Return the command of a tap, with logging set up."""
    try:
        _setup_console_logging(log_level=_plugin_log_level(plugin_name=tap.name))
    except Exception as error:  # noqa: BLE001 - logging's own readers fail as it comes
        level = f"{tap.name.upper().replace('-', '_')}_LOGLEVEL"
        click.echo(
            f"Error: logging cannot be set up ({type(error).__name__}: {error}): mend {level}, LOGLEVEL or "
            "SINGER_SDK_LOG_CONFIG in the environment, or unset it",
            err=True,
        )
        sys.exit(UsageError.exit_code)
    protect(())
    root = logging.getLogger()
    hushed = NOT_TRUE_HERE if root.isEnabledFor(logging.DEBUG) else NOT_TRUE_HERE | DETAILS
    for handler in root.handlers:
        handler.addFilter(lambda record: record.msg not in hushed)
    inner = tap.get_singer_command()
    assert isinstance(inner, SingerCommand)  # noqa: S101 - narrows the SDK's declared type
    return TapCommand(inner)


def stop(signum: int, _frame: object) -> None:
    """End the process now, with the exit code a shell expects of the signal.

    Whole lines are flushed as they are written; a line cut in the middle tells the target that the stream is
    open, and so it is. Nothing runs after this, so nothing can claim more.
    """
    name = signal.Signals(signum).name
    os.write(2, f"Stopped by {name}. The last STATE printed is where the next run goes on.\n".encode())
    os._exit(128 + signum)


def calm_collector() -> None:
    """Look for cycles less often.

    Rows are trees of dicts without cycles: looking for some in each page made its records twice as slow.
    """
    gc.freeze()
    gc.set_threshold(200_000)


def config_input(paths: Sequence[str]) -> _ConfigInput:
    """Return what `--config` named."""
    config, env = read_config_files(paths)
    return _ConfigInput(config=config, parse_env=env)


def read_state(file: IO[str]) -> Config:
    """Return the state in a file: of several lines the last, as a target's output holds them; empty is none.

    Raises:
        UsageError: It is not JSON.
    """
    lines = [line for line in _text(file, "state file").splitlines() if line.strip()]
    if not lines:
        return {}
    what = f"state file {foreign(file.name)}"
    try:
        return parse_json_object("\n".join(lines), what)
    except UsageError:
        if len(lines) == 1:
            raise
        return parse_json_object(lines[-1], f"last line of the {what}")


def read_catalog(file: IO[str]) -> Config:
    """Return the catalog in a file.

    Raises:
        UsageError: It is not a catalog.
    """
    catalog = parse_json_object(_text(file, "catalog"), f"catalog {foreign(file.name)}")
    streams = catalog.get("streams")
    if not isinstance(streams, list):
        raise UsageError(
            f"The catalog {foreign(file.name)} has no list of streams. Make one with --discover."
        )
    return catalog


def _text(file: IO[str], what: str) -> str:
    try:
        return file.read()
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"The {what} {clean(file.name)} cannot be read as text.") from None
