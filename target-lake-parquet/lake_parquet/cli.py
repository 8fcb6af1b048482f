"""The `lake` command: what is in the lake, and what keeps it well. Data on stdout, messages on stderr."""

import click

from lake_parquet import cli_care, cli_look, cli_ls
from lake_parquet.cli_options import LakeGroup

# \b keeps click from joining the lines
HELP = """Look into a lake of Parquet snapshots, and look after it.

\b
lake ls                             what arrived, from where, how many rows, is anything odd?
lake show acme_shopify_orders       one dataset: its columns with examples, its snapshots
lake sql "from acme_shopify_orders" every dataset's latest rows, by SQL
lake diff acme_shopify_orders       what the last run added, changed and deleted
lake check --max-age 26h            for cron: nothing, or a line for each alarm and exit code 1

Data goes to stdout, messages to stderr; in a pipe tables are plain lines, and NO_COLOR is obeyed.
Exit codes: 0 fine, 1 an alarm, a problem or an error, 2 wrong usage, 130 interrupted.
"""


@click.group(cls=LakeGroup, help=HELP)
@click.version_option(package_name="singerlake-target-lake-parquet")
def main() -> None:
    """Runs the `lake` command."""


for command in (
    cli_ls.list_datasets,
    cli_look.show_dataset,
    cli_look.query_lake,
    cli_look.diff_snapshots,
    cli_look.list_runs,
    cli_care.check_lake,
    cli_care.verify_lake,
    cli_care.prune_lake,
    cli_care.recover_lake,
):
    main.add_command(command)
