"""`exchange --venue KIND`: a local exchange on loopback that speaks a real venue's wire."""

from __future__ import annotations

import signal
import sys
from decimal import Decimal
from pathlib import Path

import click
import trio

from trade_runtime.cli.check import complain
from trade_runtime.cli.replay import Notes
from trade_runtime.errors import ConfigError, StoreError
from trade_runtime.exchange.faces import FACES, kind_of
from trade_runtime.exchange.faults import KINDS, parse_fault
from trade_runtime.exchange.floor import PING_SECS, SOCKET_LIFE_SECS
from trade_runtime.exchange.kinds import Kind
from trade_runtime.exchange.record import open_record
from trade_runtime.exchange.server import HOST, serve_exchange
from trade_runtime.exchange.settings import ExchangeSettings
from trade_runtime.lifecycle.clock import SystemClock
from trade_runtime.lifecycle.tasks import first_of
from trade_runtime.model.instrument import exact


@click.command("exchange")
@click.option("--venue", required=True, metavar="KIND", help=f"One of {', '.join(FACES)}.")
@click.option("--port", type=int, required=True, help="Where to listen; 0 takes a free port.")
@click.option("--api-key", required=True, help="Of the one account.")
@click.option(
    "--api-secret",
    required=True,
    help="What its requests are signed with, or @FILE with it or with the PEM of a public key.",
)
@click.option(
    "--recording",
    type=click.Path(path_type=Path),
    help="What moves the market; without it a made-up one does.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[:ARGS]",
    help=f"Make a fault, as in delay_events:500. Names: {', '.join(KINDS)}. May be repeated.",
)
@click.option(
    "--record-to", type=click.Path(path_type=Path), help="Where its own record goes, as JSON lines."
)
@click.option("--symbol", "symbols", multiple=True, help="What is traded. May be repeated.")
@click.option(
    "--balance",
    "balances",
    multiple=True,
    metavar="CURRENCY=AMOUNT",
    help="What the account holds at first. May be repeated.",
)
@click.option("--rate", type=float, default=10.0, show_default=True, help="Quotes a second.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of market and faults.")
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="What this venue alone knows. May be repeated.",
)
def exchange_command(  # noqa: PLR0913 - an argument for each option
    *,
    venue: str,
    port: int,
    api_key: str,
    api_secret: str,
    recording: Path | None,
    faults: tuple[str, ...],
    record_to: Path | None,
    symbols: tuple[str, ...],
    balances: tuple[str, ...],
    rate: float,
    seed: int,
    options: tuple[str, ...],
) -> None:
    """Serve an exchange on 127.0.0.1 that speaks the wire of a real venue.

    One account, orders that are matched, and faults on command. Prints one line when it listens;
    Ctrl-C or SIGTERM ends it. Exit code 0: it was told to end; 2: it cannot serve what was asked
    for; 3: its record cannot be written.
    """
    try:
        named = dict(_pairs(options))
        settings = ExchangeSettings(
            api_key=api_key,
            api_secret=_secret(api_secret),
            port=port,
            symbols=symbols,
            balances={name: _amount(name, one) for name, one in _pairs(balances)},
            recording=recording,
            quotes_per_sec=rate,
            seed=seed,
            faults=tuple(parse_fault(word) for word in faults),
            ping_secs=_secs(named, "ping_secs", PING_SECS),
            socket_life_secs=_secs(named, "socket_life_secs", SOCKET_LIFE_SECS),
            options=named,
        )
        trio.run(_serve, kind_of(venue), settings, record_to)
    except (ConfigError, StoreError) as error:
        complain(error)
        sys.exit(error.exit_code)


def _secret(word: str) -> str:
    if not word.startswith("@"):
        return word
    try:
        return Path(word[1:]).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{word[1:]}: cannot be read: {error.strerror or error}") from None


def _pairs(words: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs = []
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise ConfigError(f"{word!r}: must be NAME=VALUE")
        pairs.append((name, value))
    return pairs


def _secs(options: dict[str, str], name: str, usual: float) -> float:
    """Take a time out of the options."""
    if name not in options:
        return usual
    secs = float(_amount(name, options.pop(name)))
    if secs <= 0:
        raise ConfigError(f"option {name}: must be above 0")
    return secs


def _amount(name: str, word: str) -> Decimal:
    try:
        return exact(word)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None


async def _serve(kind: Kind, settings: ExchangeSettings, record_to: Path | None) -> None:
    clock = SystemClock()

    with (
        open_record(record_to, clock) as record,
        trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals,
    ):

        async def serve() -> None:
            await serve_exchange(
                kind, settings, clock=clock, record=record, log=Notes(), task_status=_Told(kind)
            )

        async def told_to_end() -> None:
            async for _ in signals:
                return

        await first_of(told_to_end, serve)


class _Told:
    """Prints the port when the server has it."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def started(self, value: int = 0) -> None:
        """Say where it listens."""
        click.echo(f"{self._kind.name} is served at http://{HOST}:{value} and ws://{HOST}:{value}")
