"""Errors of the command line in, one line and an exit code out."""

import json
import logging
import os
import select
import signal
import stat
import sys
import time
from collections.abc import Collection
from json import JSONDecodeError
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import click
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.plugin_base import SingerCommand

from lake_parquet.errors import LakeError, UsageError

NO_MORE = "nothing more was published, no further bookmark was printed"


class Interrupted(BaseException):
    """A signal asked the run to stop."""

    def __init__(self, received: signal.Signals) -> None:
        """Stops for `received`."""
        super().__init__(f"stopped by {received.name}: {NO_MORE}")
        self.exit_code = 128 + received


class TargetCommand(SingerCommand):
    """The SDK's command, but for how it fails: no traceback for a user's mistake.

    Exit codes: 0 all published; 1 something held, failed or interrupted by an error; 2 wrong usage;
    130 and 143 for SIGINT and SIGTERM. `TARGET_LAKE_PARQUET_LOGLEVEL=DEBUG` shows tracebacks.
    """

    @classmethod
    def of(cls, command: SingerCommand, logger: logging.Logger) -> "TargetCommand":
        """Makes one of the SDK's command."""
        return cls(
            name=command.name,
            callback=command.callback,
            params=command.params,
            help=command.help,
            context_settings=command.context_settings,
            logger=logger,
        )

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - click's own signature
        """Runs the command; ends the process."""
        try:
            for number in (signal.SIGINT, signal.SIGTERM):  # until the target has its own way
                signal.signal(number, _stop)
            return super().main(*args, **kwargs)
        except (
            LakeError,
            OSError,
            ConfigValidationError,
            Interrupted,
            MemoryError,
        ) as error:
            code = tell(error, self.logger)
            if not isinstance(error, Interrupted):
                read_on(0)
            sys.exit(code)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        """Runs the callback without the SDK's own reporting of config errors, which `main` puts in a line."""
        logging.captureWarnings(capture=True)
        return click.Command.invoke(self, ctx)


def tell(error: BaseException, logger: logging.Logger) -> int:
    """Says in one line why the command ends; returns the exit code."""
    logger.debug("Traceback asked for by the log level.", exc_info=error)
    message, code = explain(error)
    if os.environ.get("SINGER_SDK_LOG_CONFIG"):
        # a runner that reads our log must see the level; a traceback would not be the user's
        logger.log(logging.ERROR, "%s", message)
    else:
        click.echo(f"Error: {message}", err=True)
    sys.stderr.flush()
    return code


def may_unwind(frame: FrameType | None) -> bool:
    """Tells whether an exception raised here reaches our own code as it is.

    Polars calls Python from Rust: there it would become a panic with a traceback, or be lost.
    """
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] == "polars":
            return False
        frame = frame.f_back
    return True


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's signature
    """Stops a command that has hardly begun; more signals do not disturb it."""
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
    raise Interrupted(signal.Signals(number))


def read_on(pipe: int, seconds: float = 5, pause: float = 0.3) -> None:
    """Reads what a writer still sends, and drops it, until it ends or pauses.

    A reader that goes while Meltano has bytes for it makes Meltano fail: three tracebacks, and our line lost.
    A writer that never pauses is left after some seconds: a tap may have hours to go.
    """
    end = time.monotonic() + seconds
    try:
        kind = os.fstat(pipe).st_mode
        if not (stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)):
            return
        while time.monotonic() < end and select.select([pipe], [], [], pause)[0]:
            if not os.read(pipe, 1 << 20):
                return
    except (OSError, ValueError):
        return  # no standard input, or a system that cannot wait for pipes


class Config(NamedTuple):
    """What `--config` names: the settings of all files, where later ones win, and whether it says `ENV`."""

    config: dict[str, Any]
    parse_env: bool


def read_config(names: Collection[str]) -> Config:
    """Reads config files, each once, for one may be a pipe: the SDK's own errors are tracebacks.

    Raises:
        UsageError: one cannot be read, or holds no JSON object.
    """
    config: dict[str, Any] = {}
    files = [name for name in names if name != "ENV"]
    for name in files:
        try:
            content = json.loads(Path(name).read_text(encoding="utf-8"), parse_constant=_no_number)
            json.dumps(content, ensure_ascii=False).encode()
        except OSError as error:
            raise UsageError(f"config {name!r} cannot be read ({error.strerror}): check --config") from error
        except JSONDecodeError as error:
            where = f"line {error.lineno}, column {error.colno}"
            raise UsageError(f"config {name!r} is not JSON ({error.msg}, {where}): mend the file") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"config {name!r} is not UTF-8: save it anew in that encoding") from error
        except UnicodeEncodeError:
            raise UsageError(
                f"config {name!r} holds half a surrogate pair in a text: mend the file"
            ) from None
        except (ValueError, RecursionError):
            what = "a number that is none or too long, or is nested too deeply"
            raise UsageError(f"config {name!r} holds {what}: mend the file") from None
        if not isinstance(content, dict):
            raise UsageError(f'config {name!r} holds no JSON object: it must read {{"<setting>": ...}}')
        config |= content
    return Config(config, "ENV" in names)


def _no_number(text: str) -> float:
    raise ValueError(text)


def explain(error: BaseException) -> tuple[str, int]:
    """What happened in one line, and the exit code for it."""
    if isinstance(error, LakeError | Interrupted):
        return str(error), error.exit_code
    if isinstance(error, ConfigValidationError):
        return "the config is wrong: " + "; ".join(error.errors), UsageError.exit_code
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror or error}{where}: {NO_MORE}", 1
    return f"{type(error).__name__}: {error}", 1
