"""A grid of backtests: one for each combination of values, each a pure function of its point.

A point is what it takes to run it anywhere: the configuration as a mapping, and what is set in it.
So any engine that runs functions on many machines can run a grid; here it is worker processes.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Any

import attrs

from trade_runtime.backtest.result import Result
from trade_runtime.backtest.run import run_backtest
from trade_runtime.errors import ConfigError, TradeRuntimeError
from trade_runtime.model.instrument import text
from trade_runtime.model.orders import ZERO
from trade_runtime.settings import Settings
from trade_runtime.spelling import did_you_mean

MAX_POINTS = 100_000
"""Combinations of a grid, at most."""

NEAR = 0.8
"""From which likeness on a parameter is taken for a mistyped one. A strategy may have others than
those in the file, so only what is very near is refused."""


@attrs.frozen
class Axis:
    """A place in the configuration, and the values it is to take: `KEY=V1,V2`."""

    key: str
    values: tuple[Any, ...]

    @classmethod
    def parse(cls, text: str) -> Axis:
        """Read `KEY=V1,V2`; a value is read as TOML, and as plain text where it is none.

        Raises:
            ConfigError: there is no key, or no value.
        """
        key, equals, values = text.partition("=")
        parts = [part.strip() for part in values.split(",") if part.strip()]
        if not (key.strip() and equals and parts):
            raise ConfigError(
                f'--grid "{text}": write KEY=V1,V2, for example params.size=0.01,0.02'
            )
        return cls(key.strip(), tuple(_value(part) for part in parts))


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


@attrs.frozen
class Point:
    """One backtest of a grid.

    Attributes:
        config: the configuration, as TOML reads it.
        base_dir: what its paths are relative to.
        values: what is set in it, by key.
    """

    config: Mapping[str, Any]
    base_dir: str
    values: Mapping[str, Any]

    def settings(self) -> Settings:
        """Return the configuration with the values set in it.

        Raises:
            ConfigError: a key names nothing, or a value does not fit.
        """
        mapping = deepcopy(dict(self.config))
        for key, value in self.values.items():
            _set(mapping, key, value)
        return Settings.from_mapping(mapping, self.base_dir)


def _set(mapping: dict[str, Any], key: str, value: Any) -> None:
    """Set what a dotted key names. `strategies.NAME...` goes by the name; `params.KEY` is set in
    every strategy. A part with a dot in it stands in quotes: `instruments."X.VENUE".tick`.
    """
    parts = _parts(key)
    tables: list[Any] = [mapping]
    if parts[0] == "params":
        tables = list(mapping.get("strategies", []))
    elif parts[0] == "strategies" and len(parts) > 2:
        tables = [s for s in mapping.get("strategies", []) if s.get("name") == parts[1]]
        parts = parts[2:]
    if not tables:
        raise ConfigError(f"--grid {key}: the configuration has no such strategy")
    if parts[0] == "params":
        _check_param(key, parts[1:], tables)
    for table in tables:
        for part in parts[:-1]:
            table = table.setdefault(part, {})  # noqa: PLW2901 - going down
            if not isinstance(table, dict):
                raise ConfigError(f"--grid {key}: {part} is no table")
        table[parts[-1]] = value


def _parts(key: str) -> list[str]:
    """Return the parts of a dotted key; one that TOML wants in quotes may stand in quotes."""
    try:
        inner: Any = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        return key.split(".")
    parts: list[str] = []
    while isinstance(inner, dict):
        part, inner = inner.popitem()
        parts.append(part)
    return parts


def _check_param(key: str, name: Sequence[str], strategies: Iterable[Mapping[str, Any]]) -> None:
    """Refuse what is nearly the name of a parameter: the strategy alone knows which there are, and
    a grid over none of them would come to the same everywhere.
    """
    known = {one for strategy in strategies for one in strategy.get("params", {})}
    wanted = name[0] if name else ""
    meant = did_you_mean(wanted, known, NEAR)
    if wanted not in known and meant:
        raise ConfigError(
            f'--grid {key}: no strategy has the parameter "{wanted}"{meant}'
            " If not, write it into the strategy's params, too"
        )


def points(config: Mapping[str, Any], base_dir: Path, axes: Sequence[Axis]) -> list[Point]:
    """Return a point for each combination of the values, the last axis changing first.

    Raises:
        ConfigError: a key stands there twice, or there are too many combinations.
    """
    keys = [axis.key for axis in axes]
    for key in keys:
        if keys.count(key) > 1:
            raise ConfigError(f"--grid {key}: given twice; write all its values in one")
    found = [
        Point(config, str(base_dir), dict(zip(keys, values, strict=True)))
        for values in product(*(axis.values for axis in axes))
    ]
    if len(found) > MAX_POINTS:
        raise ConfigError(f"--grid: {len(found)} combinations; at most {MAX_POINTS}")
    return found


def run_point(point: Point) -> dict[str, Any]:
    """Run one backtest and return its row. It raises nothing: an error is told in the row."""
    row = dict(point.values)
    try:
        result = run_backtest(point.settings())
    except TradeRuntimeError as error:
        return {**row, "outcome": "failed", "detail": str(error)}
    return {**row, **_figures(result)}


def _figures(result: Result) -> dict[str, Any]:
    failed = [f"{s.name}: {s.detail}" for s in result.strategies if s.outcome == "failed"]
    row: dict[str, Any] = {
        "outcome": "failed" if failed else result.outcome,
        "detail": "; ".join(failed),
        "events": result.events,
        "orders": result.orders,
        "fills": len(result.fills),
    }
    for currency, realised in result.realised_pnl.items():
        row[f"realised {currency}"] = text(realised)
        row[f"fees {currency}"] = text(result.fees.get(currency, ZERO))
        row[f"net {currency}"] = text(result.net_pnl(currency))
        row[f"drawdown {currency}"] = result.max_drawdown(currency)
    row["engine_secs"] = round(result.engine_secs, 6)
    return row


def known_rows(path: Path) -> dict[str, dict[str, Any]]:
    """Return the rows that an earlier run left, by digest; a last line that was cut off is left
    out.
    """
    rows: dict[str, dict[str, Any]] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if row.get("outcome") == "complete":
                rows[row["digest"]] = row
    return rows


def write_table(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write the rows as CSV, with every column that any of them has."""
    import csv  # noqa: PLC0415 - only a grid that is kept needs it

    rows = list(rows)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows(rows)
