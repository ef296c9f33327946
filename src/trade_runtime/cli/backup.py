"""`backup CONFIG`: a copy of the journal, while it is in use too."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import trio

from trade_runtime.cli.check import complain
from trade_runtime.errors import ConfigError, TradeRuntimeError
from trade_runtime.plugins import Plugins
from trade_runtime.settings import Settings


@click.command("backup")
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    required=True,
    help="A file that is not there yet; its seal is written beside it.",
)
def backup_command(config: Path, target: Path) -> None:
    """Copy the journal that CONFIG names, whole and sealed, also while a runtime writes to it.

    The copy is what was durable at one moment. To go on from it, put it and its seal in the place
    of the journal.

    Exit code 0: it is there; 2: CONFIG cannot be read, FILE cannot be written, or the store has
    tools of its own; 3: the state is damaged or unreadable.
    """
    try:
        settings = Settings.from_toml(config)
        plugin, location = Plugins().store(settings.store.url)
        if plugin.back_up is None:
            raise ConfigError(
                f"store.url: a store of scheme {settings.store.scheme!r} is backed up with its own"
                " tools; see the reference of the journal's store"
            )
        trio.run(plugin.back_up, location, settings.runtime.data_dir, target)
    except TradeRuntimeError as error:
        complain(error)
        sys.exit(error.exit_code)
    click.echo(f"{target}, and its seal beside it")
