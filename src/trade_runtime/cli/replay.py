"""`replay RECORDING`: serves recorded market data on loopback, as the venue itself would."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click
import trio

from trade_runtime.cli.check import complain
from trade_runtime.errors import ConfigError
from trade_runtime.lifecycle.tasks import first_of
from trade_runtime.replay import KINDS, AtEnd, Fault, parse_fault, parse_speed, serve_replay

HOST: Final = "127.0.0.1"


@click.command("replay")
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("--port", type=int, required=True, help="Where to listen; 0 takes a free port.")
@click.option(
    "--speed",
    default="real",
    show_default=True,
    metavar="real|X|max",
    help="As recorded, X times as fast, or as fast as each client reads.",
)
@click.option(
    "--at-end",
    type=click.Choice(("hold", "close", "loop")),
    default="hold",
    show_default=True,
    help="Keep the connection open and silent, close it, or begin again.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND:NAME=VALUE,...",
    help=f"Make a fault, as in drop:at=1000. Kinds: {', '.join(KINDS)}. May be repeated.",
)
def replay_command(
    recording: Path, port: int, speed: str, at_end: AtEnd, faults: tuple[str, ...]
) -> None:
    """Serve RECORDING as Binance would, on 127.0.0.1: streams and the REST answers they need.

    Each client gets the recording from its beginning. Prints one line when it listens; Ctrl-C or
    SIGTERM ends it. Exit code 0: it was told to end; 2: it cannot serve what was asked for.
    """
    try:
        pace = parse_speed(speed)
        trio.run(_serve, recording, port, pace, at_end, [parse_fault(word) for word in faults])
    except ConfigError as error:
        complain(error)
        sys.exit(error.exit_code)


async def _serve(
    recording: Path, port: int, pace: float, at_end: AtEnd, faults: list[Fault]
) -> None:
    async def serve() -> None:
        await serve_replay(
            recording,
            port=port,
            speed="max" if pace == float("inf") else pace,
            at_end=at_end,
            faults=faults,
            task_status=_Told(recording),
            log=Notes(),
        )

    # Taken before the recording is read, which may last: it can be told to end then too.
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:

        async def told_to_end() -> None:
            async for _ in signals:
                return

        await first_of(told_to_end, serve)


class _Told:
    """Prints the port when the server has it."""

    def __init__(self, recording: Path) -> None:
        self._recording = recording

    def started(self, value: int = 0) -> None:
        """Say where it listens."""
        click.echo(f"{self._recording} is served at ws://{HOST}:{value} and http://{HOST}:{value}")


class Notes:
    """Writes what the server warns of to stderr, a line each; all else is left unsaid."""

    def debug(self, event: str, **fields: object) -> None:
        """Say nothing."""

    def info(self, event: str, **fields: object) -> None:
        """Say nothing."""

    def warning(self, event: str, **fields: object) -> None:
        """Write a warning."""
        self._write("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Write an error."""
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        words = "".join(f" {name}={value}" for name, value in fields.items())
        click.echo(f"{level}: {event}{words}", err=True)
