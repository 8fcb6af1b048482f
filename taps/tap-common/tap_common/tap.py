"""A tap as every one here is: settings from file or environment, one account, stub data, plain errors."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import IO, Any, ClassVar

import click
from singer_sdk import Tap
from singer_sdk.cli import plugin_cli
from singer_sdk.helpers._catalog import get_selected_schema
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities
from singer_sdk.plugin_base import JSONSchemaValidator, PluginBase
from singer_sdk.singerlib import Catalog

from tap_common import cli
from tap_common.about import about as about_text
from tap_common.config import describe, gather, origin_of, secrets_in, unknown_settings, utc_timestamp
from tap_common.emit import LineWriter, StateLines
from tap_common.errors import AccountError, ApiError, ConfigError, IncompleteError, UsageError
from tap_common.redact import clean, foreign, protect


class CommonTap(Tap, abc.ABC):
    """What a tap of ours adds to the SDK's: the same behaviour around every API."""

    message_writer_class = LineWriter
    message_writer: LineWriter
    capabilities: ClassVar[Any] = [
        TapCapabilities.CATALOG,
        TapCapabilities.STATE,
        TapCapabilities.DISCOVER,
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]
    credentials: ClassVar[tuple[tuple[str, ...], ...]]
    """The ways in, the usual one first: settings that together open the API. Without any, stub data."""

    @abc.abstractmethod
    def identify(self) -> list[str]:
        """Return the accounts that the credentials open, as the API itself names them, in reading order."""

    def still_answers(self) -> None:
        """Ask the account that is read something simple, anew: is the trouble a stream's, or its own?

        Raises:
            ApiError: The account does not answer either.
        """
        self.identify()

    @property
    def parted_by(self) -> str | None:
        """The column that tells several accounts of one run apart; None where a run reads one."""
        return None

    def turn_to(self, part: dict[str, str] | None) -> None:
        """Read from this account from now on; for taps that read several."""

    def check_settings(self, config: dict[str, Any]) -> None:
        """Check, and where useful rewrite, what a JSON Schema cannot express."""

    # --- settings ------------------------------------------------------------------------------------------

    def __init__(
        self,
        *,
        config: Mapping[str, Any] | None = None,
        parse_env_config: bool = False,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        if parse_env_config:
            _ = self._env_var_config  # reads `.env`; the environment itself is always looked at
        settings = self._declared_settings()
        self.given = gather(config or {}, settings, self.name)
        secret = {key for key, declared in settings["properties"].items() if declared.get("secret")}
        protect(text for key in secret & self.given.keys() for text in secrets_in(self.given[key], secret))
        self.origin = "stub"
        self._opened = False
        self.parts: list[dict[str, str] | None] = [None]
        self._given_up: dict[str, Exception] = {}
        self._accounts_of_state: list[str] = []
        self._state_of_several = False
        super().__init__(config=self.given, parse_env_config=False, **kwargs)
        self._state_writer: StateLines = StateLines(self.message_writer)
        self._state_writer.assume_written(self.state)  # the SDK would open with it

    @classmethod
    def _declared_settings(cls) -> dict[str, Any]:
        schema = cls.config_jsonschema
        cls.append_builtin_config(schema)
        return schema

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check the settings, all of them, before anything else happens.

        Raises:
            ConfigError: Something is wrong, in one line.
        """
        schema = self._declared_settings()
        errors = [describe(error, schema) for error in JSONSchemaValidator(schema).iter_errors(self._config)]
        try:
            if not errors:
                self.origin = origin_of(self._config, self.credentials, self.name)
                if "start_date" in self._config:
                    self._config["start_date"] = utc_timestamp(self._config["start_date"], "start_date")
                self.check_settings(self._config)
        except ConfigError as error:
            errors.append(str(error))
        if errors and raise_errors:
            raise ConfigError(" ".join(errors))
        return errors

    @property
    def is_stub(self) -> bool:
        """Whether this run sends stub data."""
        return self.origin == "stub"

    @property
    def source(self) -> str:
        """The source's plain name: `shopify` for `tap-shopify`."""
        return self.name.removeprefix("tap-")

    @property
    def package(self) -> str:
        """The package that holds schemas, queries and stub rows."""
        return type(self).__module__.partition(".")[0]

    # --- streams and schemas -------------------------------------------------------------------------------

    def setup_mapper(self) -> None:
        """Register the streams' own schemas with the mapper, where the SDK registers the catalog's copies."""
        PluginBase.setup_mapper(self)
        for stream in self.streams.values():
            schema = get_selected_schema(stream.name, stream.effective_schema, stream.mask)
            self.mapper.register_raw_stream_schema(stream.name, schema, stream.primary_keys)

    # --- one account, one state ----------------------------------------------------------------------------

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over a state, after a look at its shape."""
        bookmarks = state.get("bookmarks", {})
        if not isinstance(bookmarks, dict) or not all(
            isinstance(value, dict) for value in bookmarks.values()
        ):
            raise UsageError(
                "The state holds 'bookmarks' that are not objects. Give a state this tap printed."
            )
        super().load_state(state)
        if state.get("account") is not None:
            self._accounts_of_state = [str(state["account"])]
        elif isinstance(state.get("accounts"), list):
            self._accounts_of_state = [str(name) for name in state["accounts"]]
        self._state_of_several = "accounts" in state

    @property
    def state_writer(self) -> StateLines:
        """The one way to print a STATE."""
        return self._state_writer

    def open(self) -> None:
        """Find out whose data this is, once, before anything is printed.

        Raises:
            ConfigError: The state belongs to another account.
            ApiError: The API cannot be reached or refuses.
        """
        if self._opened:
            return
        for sentence in unknown_settings(self.given, self._declared_settings()):
            self.logger.warning("%s", sentence)
        if self.is_stub:
            self.state_writer.silent = True
            self.logger.warning(
                "No credentials: these are STUB rows that ship with %s, not your data; no bookmark is kept. "
                "Set %s to read the API.",
                self.name,
                " and ".join(self.credentials[0]),
            )
        else:
            self._check_accounts(self.identify())
        self._opened = True

    def _check_accounts(self, accounts: list[str]) -> None:
        """Take over whose data this is; a state of somebody else's, or kept in the other way, is refused."""
        owners = self._accounts_of_state
        several = self.parted_by is not None
        if len(set(accounts)) < len(accounts):
            raise ConfigError(f"Two entries name the same account: {_list(accounts)}. Remove one.")
        if owners and (several != self._state_of_several or not set(owners) & set(accounts)):
            raise ConfigError(
                f"This state belongs to {_list(owners)}, you asked for {_list(accounts)}. Give it a "
                "state of its own; under Meltano, set TENANT_ID (or state_id_suffix) for each tenant."
            )
        if self.parted_by is None:
            self.state["account"] = accounts[0]  # type: ignore[typeddict-unknown-key]
            return
        kept = [name for name in owners if name not in accounts]
        self.state["accounts"] = [*accounts, *kept]  # type: ignore[typeddict-unknown-key]
        self.parts = [{self.parted_by: name} for name in accounts]

    # --- streams that fail alone ---------------------------------------------------------------------------

    def run_discovery(self) -> str:
        """Print the catalog.

        Raises:
            IncompleteError: A stream is not in it, because its columns could not be found out.
        """
        catalog = super().run_discovery()
        self.check_complete()
        return catalog

    def give_up(self, stream: str, error: Exception) -> None:
        """Take over that a stream cannot be read to its end, and say why.

        Raises:
            ApiError: The same one, if the account does not answer at all: no stream would fare better.
        """
        if isinstance(error, AccountError):
            raise error
        if isinstance(error, ApiError):
            try:
                self.still_answers()
            except ApiError:
                raise error  # noqa: B904 - what the stream met says more than the question after it
        self._given_up[stream] = error
        self.logger.error("Stream %s failed; the others go on. %s", stream, cli.said(error, self.name))
        self.logger.debug("%s", cli.way(error))

    def check_complete(self) -> None:
        """Refuse to end well where a stream failed.

        Raises:
            IncompleteError: With the names of those that did.
        """
        if not self._given_up:
            return
        count, names = len(self._given_up), ", ".join(self._given_up)
        raise IncompleteError(
            f"{count} stream{'' if count == 1 else 's'} failed: {names}. The errors above say why; the "
            "others went well. Mend what can be mended, or deselect what cannot, and run again with the last "
            "state."
        ) from next(iter(self._given_up.values()))

    # --- the command ---------------------------------------------------------------------------------------

    @plugin_cli
    def cli(cls) -> click.Command:  # noqa: N805
        """The command, with errors told in one line."""
        return cli.command(cls)  # type: ignore[arg-type]

    @classmethod
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:  # noqa: ANN401, ARG003
        """Read the `--config` files."""
        return cli.config_input(value)

    @classmethod
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: Any = None,  # noqa: ANN401 - the SDK's private type
        state: IO[str] | None = None,
        catalog: IO[str] | None = None,
    ) -> None:
        """Run the tap as the command line asks."""
        if about:
            if about_format:
                cls.print_about(about_format)
            else:
                click.echo(about_text(cls, cls._declared_settings()))
            return
        config = config or cli.config_input(())
        tap = cls(
            config=config.config,
            parse_env_config=config.parse_env,
            state=cli.read_state(state) if state else None,
            catalog=Catalog.from_dict(cli.read_catalog(catalog)) if catalog else None,
        )
        tap.logger.debug("Settings given: %s", clean(", ".join(sorted(tap.given))))
        cli.calm_collector()
        tap.sync_all()
        tap.check_complete()

    def _handle_termination(self, signum: int, frame: object) -> None:
        """Stop at a signal: no last STATE, which would claim what nobody read."""
        cli.stop(signum, frame)


def _list(names: list[str]) -> str:
    return foreign(" and ".join(names))
