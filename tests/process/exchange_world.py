"""A trader's folder whose venue is a local exchange, a process of its own that speaks a real
venue's wire. It outlives every runtime, and what it did is read from its own record.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from decimal import ROUND_DOWN, Decimal
from pathlib import Path
from typing import Any

import attrs

from tests.process.judge import Evidence, Row, read_journal
from tests.process.support import Run, World, start, toml

KEYS = {"TEST_API_KEY": "key", "TEST_API_SECRET": secrets.token_hex(32)}


@attrs.frozen
class Kind:
    """A venue whose wire is spoken.

    Attributes:
        name: of the kind, as `--venue` and `kind =` have it.
        symbol: what is traded.
        base: its base currency.
        urls: the settings of its addresses, and the path of each.
        lot: the smallest step of a quantity.
        switch_secs: after how much silence its dead-man's switch fires; 0 where it has none.
        trade_id: returns the number of a fill in the exchange's record, of its id on the wire.
    """

    name: str
    symbol: str
    base: str
    urls: Mapping[str, str]
    lot: Decimal = Decimal("0.0001")
    switch_secs: int = 0
    trade_id: Callable[[str], str] = str

    def __str__(self) -> str:
        return self.name


SPOT = Kind(
    "binance_spot",
    "ETHUSDT",
    "ETH",
    {"rest_url": "http", "ws_url": "ws", "ws_api_url": "ws"},
)
USDM = Kind(
    "binance_usdm",
    "ETHUSDT",
    "ETH",
    {"rest_url": "http", "ws_url": "ws"},
    switch_secs=5,
)
KRAKEN = Kind(
    "kraken_spot",
    "ETH/USD",
    "ETH",
    {"rest_url": "http", "ws_url": "ws", "ws_private_url": "ws"},
    switch_secs=3,
    trade_id=lambda told: str(int(told.removeprefix("T").replace("-", ""), 36)),
)
KINDS = (SPOT, USDM, KRAKEN)


class Exchange:
    """The exchange's process, steered and looked at over its control endpoints."""

    def __init__(self, run: Run, record: Path) -> None:
        self.run = run
        self.record = record
        self.port = int(run.out.rpartition(":")[2])

    def ask(self, path: str, method: str = "GET", body: Mapping[str, Any] | None = None) -> Any:
        """Ask a control endpoint."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/_control/{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def fault(self, text: str) -> None:
        """Have something go wrong from now on."""
        self.ask("faults", "POST", {"fault": text})

    def mend(self) -> None:
        """End all faults."""
        self.ask("faults", "DELETE")

    def open_orders(self) -> list[Row]:
        """Return the orders that rest."""
        found: list[Row] = self.ask("state")["open_orders"]
        return found

    def counts(self) -> tuple[int, int]:
        """Return how many entries and how many stops rest."""
        orders = self.open_orders()
        stops = sum(1 for order in orders if order["type"].startswith("stop"))
        return len(orders) - stops, stops

    def lines(self) -> list[Row]:
        """Return the record, as far as it is written."""
        return [json.loads(line) for line in self.record.read_text().splitlines() if line]


class ExchangeWorld(World):
    """A trader's folder, and an exchange of a kind."""

    def __init__(self, folder: Path, kind: Kind) -> None:
        super().__init__(folder)
        self.kind = kind
        self.record = folder / "exchange.jsonl"
        self.instruments = [f"{kind.symbol}.venue"]
        """What every strategy trades."""

    @contextlib.contextmanager
    def exchange(self, *args: str) -> Iterator[Exchange]:
        """Start the exchange, with more arguments."""
        keys = ("--api-key", KEYS["TEST_API_KEY"], "--api-secret", KEYS["TEST_API_SECRET"])
        how = ("--venue", self.kind.name, "--port", "0", "--record-to", str(self.record))
        with start(
            self.folder / "exchange", "-m", "trade_runtime", "exchange", *how, *keys, *args
        ) as run:
            run.until(lambda: "http://" in run.out, "a port")
            yield Exchange(run, self.record)
            assert run.process.poll() is None, f"the exchange ended: {run}"

    def trade(
        self, exchange: Exchange, *strategies: Mapping[str, Any], **sections: Mapping[str, Any]
    ) -> None:
        """Write a configuration that trades live on the exchange."""
        at = f"127.0.0.1:{exchange.port}"
        table: dict[str, Any] = {
            "kind": self.kind.name,
            "live": True,
            "api_key": "env:TEST_API_KEY",
            "api_secret": "env:TEST_API_SECRET",
            **{name: f"{scheme}://{at}" for name, scheme in self.kind.urls.items()},
            **sections.pop("venue", {}),
        }
        tables: dict[str, Any] = {
            "runtime": {"name": "world", "data_dir": "./state"},
            "venues": {"venue": table},
            "protection": {"stop_pct": 5.0, "grace_secs": 0.2},
            "strategies": [{**one, "instruments": list(self.instruments)} for one in strategies],
        }
        for name, section in sections.items():
            tables[name] = {**tables.get(name, {}), **section}
        self.config.write_text(toml(tables))

    @contextlib.contextmanager
    def run(self, *args: str, **how: Any) -> Iterator[Run]:
        """Start a runtime, with the keys in its environment."""
        with super().run(*args, env={**os.environ, **KEYS}, **how) as run:
            yield run

    def evidence(self) -> Evidence:
        """Read the exchange's record and the journal."""
        orders: dict[str, Row] = {}
        fills: list[Row] = []
        history: list[Row] = []
        for line in map(json.loads, self.record.read_text().splitlines()):
            if "order_id" not in line or "client_id" not in line:
                continue
            name, event = line["client_id"], line["event"]
            history.append({**line, "client_order_id": name})
            if event == "refuse":
                continue
            if event == "submit":
                orders[name] = {
                    **line,
                    "created_ns": line["at_ns"],
                    "status": "open",
                    "filled": "0",
                }
                continue
            orders[name].update(status=line["status"], filled=line["filled"])
            if event == "amend":
                orders[name]["quantity"] = line["quantity"]
            if event == "fill":
                fills.append({**line, "client_order_id": name})
        records = read_journal(self)
        for record in records:
            if record["kind"] == "fill":
                record["payload"]["trade_id"] = self.kind.trade_id(record["payload"]["trade_id"])
        return Evidence(orders, fills, history, records, self.verify(), self.held, self.coverable)

    def held(self, fills: list[Row]) -> Decimal:
        """Return the position that the exchange's fills make."""
        total = Decimal(0)
        for fill in fills:
            sign = 1 if fill["side"] == "buy" else -1
            total += sign * Decimal(fill["quantity"])
            if fill.get("fee_currency") == self.kind.base:
                total -= Decimal(fill["fee"])
        return total

    def coverable(self, quantity: Decimal) -> Decimal:
        """Return what of a position a stop can be for: whole lots."""
        return (abs(quantity) / self.kind.lot).to_integral_value(ROUND_DOWN) * self.kind.lot
