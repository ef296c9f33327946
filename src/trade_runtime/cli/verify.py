"""`verify CONFIG`: proves the state that a configuration names, and prints it as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import trio

from trade_runtime.cli.check import complain
from trade_runtime.cli.preflight import Journal, read_journal
from trade_runtime.errors import EXIT_CLEAN, ConfigError, StoreError
from trade_runtime.machines.order import Order
from trade_runtime.model.instrument import text
from trade_runtime.settings import Settings


@click.command("verify")
@click.argument("config", type=click.Path(path_type=Path))
def verify_command(config: Path) -> None:
    """Prove the state that CONFIG names and print it as JSON. Nothing is created or changed.

    Every record's checksum is computed anew and every position added up from its fills; a journal
    that does not exist yet is in order. It may be in use by a runtime.

    Exit code 0: it is what was written; 2: CONFIG cannot be read; 3: it is damaged or unreadable.
    """
    code = EXIT_CLEAN
    try:
        settings = Settings.from_toml(config)
        verdict = sound(trio.run(read_journal, settings))
    except ConfigError as error:
        complain(error)
        sys.exit(error.exit_code)
    except StoreError as error:
        verdict, code = damaged(error), error.exit_code
    click.echo(json.dumps(verdict, indent=2))
    sys.exit(code)


def sound(journal: Journal) -> dict[str, Any]:
    """Return what a journal says, as plain JSON values; numbers of money are strings."""
    state = journal.state
    return {
        "ok": True,
        "records": journal.records,
        "removed": journal.removed,
        "tables": journal.tabled,
        "clean": state.clean,
        "open_intents": [_intent(order) for order in state.live()],
        "positions": [
            {
                "strategy": position.strategy,
                "instrument": position.instrument,
                "quantity": text(position.quantity),
                "average_price": text(position.average_price),
            }
            for position in state.ledger.open()
        ],
    }


def damaged(error: StoreError) -> dict[str, Any]:
    """Return what can be said where the journal cannot be trusted: null is "not known"."""
    unknown = dict.fromkeys(("records", "removed", "tables", "clean", "open_intents", "positions"))
    return {"ok": False, **unknown, "error": str(error)}


def _intent(order: Order) -> dict[str, Any]:
    spec = order.spec
    return {
        "id": order.id,
        "strategy": order.strategy,
        "instrument": order.instrument,
        "side": order.side,
        "type": order.type,
        "quantity": text(order.quantity),
        "filled": text(order.filled),
        "price": None if spec.price is None else text(spec.price),
        "trigger_price": None if spec.trigger_price is None else text(spec.trigger_price),
        "protective": spec.protective,
        "state": order.state,
    }
