"""The commands, each imported when it is called, so that none waits for what another needs."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import click
import structlog

from trade_runtime.cli.signals import HANGUP, SIGNALS
from trade_runtime.version import __version__

log = structlog.get_logger("cli")

COMMANDS = {
    "run": ("run", "run_command"),
    "check": ("check", "check_command"),
    "verify": ("verify", "verify_command"),
    "export": ("export", "export_command"),
    "backup": ("backup", "backup_command"),
    "resume": ("resume", "resume_command"),
    "reconcile": ("reconcile", "reconcile_command"),
    "backtest": ("backtest", "backtest_command"),
    "replay": ("replay", "replay_command"),
    "exchange": ("exchange", "exchange_command"),
    "sweep": ("sweep", "sweep_command"),
}
"""A command's name, its module in this package, and its name there."""


class LazyGroup(click.Group):
    """A group that imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name every command, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"..cli.{module}", __package__), name)
        return command


@click.group(cls=LazyGroup, invoke_without_command=True)
@click.version_option(__version__, package_name="trade_runtime")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("trade_runtime_demo"),
    show_default=True,
    help="Where the demo keeps its state.",
)
@click.option(
    "--duration",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECS",
    help="Stop the demo in order after so many seconds.",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the demo's stop report here too.",
)
@click.option("--log-format", type=click.Choice(("auto", "text", "json")))
@click.pass_context
def cli(
    ctx: click.Context,
    data_dir: Path,
    duration: float | None,
    report: Path | None,
    log_format: str | None,
) -> None:
    """Run trading strategies that stop safely, however they are stopped.

    Without a command: a demo. It trades on paper in a simulated market, needs no network and no
    configuration, and keeps its state in --data-dir, so that the next demo goes on from there.
    """
    if ctx.invoked_subcommand is None:
        from trade_runtime.cli.run import execute  # noqa: PLC0415
        from trade_runtime.demo import demo_settings  # noqa: PLC0415 - only the demo needs them

        sys.exit(execute(lambda: demo_settings(data_dir), report, duration, log_format))


def main() -> None:
    """Run the command line, and end the process with its exit code, whatever comes late."""
    try:
        cli(prog_name="python -m trade_runtime")
    except SystemExit as end:
        leave(end.code)
        raise


def leave(code: str | int | None) -> None:
    """Let nothing change an exit code that is known: neither a signal nor a thread.

    Python puts the system's own handlers back while it ends, so a signal in its last moments would
    kill the process; and it waits for threads, of which a strategy may have left one that never
    ends.
    """
    for number in (*SIGNALS, HANGUP):
        if number is not None and callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_IGN)
    others = (t for t in threading.enumerate() if t is not threading.main_thread())
    waited_for = [thread.name for thread in others if not thread.daemon]
    if waited_for:
        log.warning("Threads that strategies left are cut off", threads=waited_for)
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))
