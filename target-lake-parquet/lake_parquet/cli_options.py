"""What the commands of `lake` share: options, kinds of values, completion, errors and exit codes."""

import re
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import click
import polars as pl

from lake_parquet.errors import LakeError
from lake_parquet.lake import Lake
from lake_parquet.stderr import outlast_stderr

Command = TypeVar("Command", bound=Callable[..., Any])

ENV = ["LAKE_ROOT", "TARGET_LAKE_PARQUET_LAKE_ROOT"]


class LakeGroup(click.Group):
    """Turns an error into one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        """The commands in the order in which a person needs them."""
        return list(self.commands)

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - click's own signature
        """Runs the command; ends the process."""
        outlast_stderr()
        try:
            return super().main(*args, **kwargs)
        except LakeError as error:
            click.echo(f"Error: {error}", err=True)
            sys.exit(error.exit_code)
        except (pl.exceptions.PolarsError, OSError) as error:
            click.echo(f"Error: {first_line(error)}: `lake verify` tells which files are damaged", err=True)
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        """Runs a command; Ctrl-C ends it as it ends any other."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(130)


def first_line(error: BaseException) -> str:
    """What an error of a library says, in one line."""
    return (str(error).splitlines() or [""])[0].strip() or type(error).__name__


class Age(click.ParamType[timedelta]):
    """A length of time such as `26h`."""

    name = "age"
    units = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}  # noqa: RUF012 - a constant

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Reads it."""
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([mhdw])", str(value))
        if not found:
            self.fail(f"{value!r} is no length of time: write 90m, 26h, 7d or 2w", param, ctx)
        return timedelta(**{self.units[found[2]]: float(found[1])})


class Share(click.ParamType[float]):
    """A share such as `50%` or `0.5`."""

    name = "share"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Reads it."""
        if isinstance(value, float):
            return value
        try:
            share = float(str(value).removesuffix("%")) / (100 if str(value).endswith("%") else 1)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            self.fail(f"{value!r} is no share: write 50% or 0.5", param, ctx)
        return share


def complete_dataset(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - click's own signature
    """Names datasets for a shell."""
    try:
        return list(Lake(ctx.params.get("lake") or "storage/lake").survey(incomplete + "*")[0])
    except (LakeError, OSError):
        return []


def options(command: Command) -> Command:
    """The options that every command has: which lake, and JSON."""
    command = click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)
    return click.option(
        "--lake",
        default="storage/lake",
        show_default=True,
        envvar=ENV,
        metavar="FOLDER",
        help=f"The lake's folder or URL; else the environment's {' or '.join(ENV)}.",
    )(command)


def dataset_argument(*, pattern: bool = False) -> Callable[[Command], Command]:
    """The dataset's name, completed by a shell; with `pattern` it may be left out, or match several."""
    if pattern:
        return click.argument("pattern", default="*", shell_complete=complete_dataset)
    return click.argument(
        "dataset", required=False, metavar="DATASET", callback=_named, shell_complete=complete_dataset
    )


def _named(ctx: click.Context, param: click.Parameter, value: str | None) -> str:  # noqa: ARG001 - click's own
    if not value:
        raise click.UsageError(
            f"Name a dataset, as in: {ctx.command_path} NAME. `lake ls` lists them all.", ctx
        )
    return value


def open_lake(root: str) -> Lake:
    """Opens a lake that must be there.

    Raises:
        LakeError: there is none.
    """
    lake = Lake(root)
    if not lake.exists():
        raise LakeError(f"there is no lake at {root}: name its folder or URL with --lake or {ENV[0]}")
    return lake
