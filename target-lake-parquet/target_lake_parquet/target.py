"""The target: Singer on stdin, Parquet snapshots in the lake, the bookmark on stdout."""

import contextlib
import fcntl
import gc
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import PurePath
from types import FrameType
from typing import IO, Any, BinaryIO, ClassVar, cast

import click
import pyarrow as pa
from singer_sdk import Target
from singer_sdk.cli import plugin_cli
from singer_sdk.configuration._dict_config import parse_environment_config
from singer_sdk.helpers.capabilities import CapabilitiesEnum, PluginCapabilities, TargetCapabilities
from singer_sdk.plugin_base import SingerCommand
from singer_sdk.singerlib.encoding.base import GenericSingerReader

from lake_parquet.errors import UsageError
from lake_parquet.stderr import outlast_stderr
from target_lake_parquet.cli import Interrupted, TargetCommand, may_unwind, read_config, tell
from target_lake_parquet.environment import MELTANO, check_text, settings_of
from target_lake_parquet.run import Run
from target_lake_parquet.settings import read_settings, tidied, unknown_settings
from target_lake_parquet.settings_table import SETTINGS


class BlockReader(GenericSingerReader[bytes]):
    """Hands the whole input to a run, in place of the SDK's loop over single records."""

    def __init__(self, run: Run) -> None:
        """Reads for `run`."""
        super().__init__()
        self.run = run

    def process_lines(
        self,
        file_input: IO[Any] | None,
        callbacks: dict[str, Callable[[dict[str, Any]], None]],  # noqa: ARG002 - the SDK's signature
    ) -> Counter[str]:
        """Reads all messages; returns how many of each type there were."""
        source = file_input if file_input is not None else self.default_input
        _widen(source)
        return self.run.read(cast("BinaryIO", getattr(source, "buffer", source)))

    @property
    def default_input(self) -> IO[bytes]:
        """Standard input, as bytes.

        Raises:
            UsageError: the shell closed it.
        """
        if sys.stdin is None:
            raise UsageError("standard input is closed: pipe a tap into it, or a file")
        return sys.stdin.buffer

    def deserialize_json(self, line: bytes) -> dict[str, Any]:
        """Not used: lines are read by the `messages` room."""
        raise NotImplementedError


class TargetLakeParquet(Target):
    """Singer target that writes complete, timestamped Parquet snapshots."""

    name = "target-lake-parquet"
    package_name = "singerlake-target-lake-parquet"
    config_jsonschema: ClassVar[dict[str, Any]] = SETTINGS
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.BATCH,
        PluginCapabilities.STRUCTURED_LOGGING,
        TargetCapabilities.VALIDATE_RECORDS,
    ]

    def __init__(
        self,
        *,
        config: dict[str, Any] | PurePath | str | list[PurePath | str] | None = None,
        parse_env_config: bool = False,
        validate_config: bool = True,
        **_: Any,  # noqa: ANN401 - the SDK's mapper and reader have no part here
    ) -> None:
        """Opens a run in the lake that the settings name."""
        self._interrupted_at: float | None = None
        if parse_env_config:
            parse_environment_config({}, "")  # of it all only this: what a `.env` says is set
            config = {**cast("dict[str, Any]", config or {}), **settings_of(os.environ)}
        super().__init__(
            config=tidied(config) if isinstance(config, dict) else config,
            validate_config=validate_config,
            setup_mapper=False,
        )
        for name in unknown_settings(self.config):
            self.logger.warning("The setting %s has no effect here; --about lists those that have.", name)
        for variable in MELTANO:
            check_text(os.environ.get(variable, ""), variable)
        self.run = Run(read_settings(self.config, os.environ), self.logger)
        self.message_reader = BlockReader(self.run)

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Adds none of the SDK's settings: a setting that is listed has an effect."""

    def process_endofpipe(self) -> None:
        """Publishes, prints the bookmark, tells what happened."""
        self.run.finish()

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        """Stops with nothing more published; a second signal within a second is the same Ctrl-C."""
        now = time.monotonic()
        if self._interrupted_at is not None and now - self._interrupted_at < 1:
            return
        self._interrupted_at = now
        stopped = Interrupted(signal.Signals(signum))
        if may_unwind(frame):
            raise stopped
        if run := getattr(self, "run", None):  # else it is being opened, and leaves what a kill leaves
            run.give_up(stopped)
        os._exit(tell(stopped, self.logger))

    @classmethod
    def invoke(cls, *, config: Any = None, file_input: IO[str] | None = None, **kwargs: Any) -> None:  # noqa: ANN401 - the SDK's own types are private
        """Runs the target over its input."""
        about = bool(kwargs.get("about"))
        if about:
            cls.print_about(kwargs.get("about_format"))
            return
        target = cls(config=config.config, parse_env_config=config.parse_env)
        _calm_collector()
        # Arrow's own pool keeps what it was given: 40 MB more at the peak, for no speed
        pa.set_memory_pool(pa.system_memory_pool())
        try:
            target.listen(file_input)
        except BaseException as error:
            target.run.give_up(error)
            raise
        for number in (signal.SIGINT, signal.SIGTERM):  # all is told: while Python ends, they would kill it
            signal.signal(number, signal.SIG_IGN)

    @classmethod
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:  # noqa: ANN401, ARG003 - the SDK's signature
        """Reads the config files that the command line names."""
        return read_config(value)

    @plugin_cli
    def cli(cls) -> click.Command:  # noqa: N805 - the SDK hands in the class
        """The command line; logging, which is set up here, must find a stderr that lasts."""
        outlast_stderr()
        try:
            return super(TargetLakeParquet, cast("type[TargetLakeParquet]", cls)).cli
        except Exception as error:  # noqa: BLE001 - logging's own readers fail as it comes
            click.echo(
                f"Error: logging cannot be set up ({type(error).__name__}: {error}): mend "
                "TARGET_LAKE_PARQUET_LOGLEVEL, LOGLEVEL or SINGER_SDK_LOG_CONFIG in the environment, "
                "or unset it",
                err=True,
            )
            sys.exit(UsageError.exit_code)

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """The command line, with errors as single lines."""
        command = super().get_singer_command()
        return TargetCommand.of(cast("SingerCommand", command), cls.logger)


def _widen(source: IO[Any]) -> None:
    """Lets a pipe hold 1 MiB, on Linux: the tap and the target wait for each other less often."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # no pipe, or no such call
        fcntl.fcntl(source.fileno(), fcntl.F_SETPIPE_SZ, 2**20)


def _calm_collector() -> None:
    """Keeps Python's collector of reference cycles from looking at what holds none, over and over.

    What was imported stays to the end: rounds over it cost 0.2 s at exit. A block's values are thousands of
    lists and dicts without cycles: rounds over them made decoding five times slower.
    """
    gc.freeze()
    gc.set_threshold(200_000)
    gc.enable()
