"""The tables that people query: what of the journal stands in them, column by column.

They are made from the records and written with them, in one transaction, so they say what the
journal says up to its last record. The journal is the truth; `verify` proves that they equal it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal

import attrs

Kind = Literal["text", "integer", "decimal", "flag"]
"""A store keeps a decimal exactly: as a number where it has exact ones, else as its text."""

Value = str | int | Decimal | bool | None
Row = tuple[Value, ...]


@attrs.frozen
class Column:
    """A column; `optional` says that it may be without a value."""

    name: str
    kind: Kind = "text"
    optional: bool = False


@attrs.frozen
class Table:
    """A table.

    Attributes:
        name: of it.
        columns: in their order, those of the key first.
        key: how many of them tell one row from another: a row that comes again replaces the one
            that is there.
    """

    name: str
    columns: tuple[Column, ...]
    key: int

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)


Rows = Mapping[str, Sequence[Row]]
"""By table, rows in the order of its columns."""

ORDERS = Table(
    "orders",
    (
        Column("client_order_id"),
        Column("strategy"),
        Column("instrument"),
        Column("side"),
        Column("type"),
        Column("tif"),
        Column("quantity", "decimal"),
        Column("price", "decimal", optional=True),
        Column("trigger_price", "decimal", optional=True),
        Column("filled", "decimal"),
        Column("average_price", "decimal", optional=True),
        Column("state"),
        Column("live", "flag"),
        Column("reason"),
        Column("protective", "flag"),
        Column("reduce_only", "flag"),
        Column("parent", optional=True),
        Column("oco"),
        Column("venue_order_id", optional=True),
        Column("created_ns", "integer"),
    ),
    key=1,
)

FILLS = Table(
    "fills",
    (
        Column("client_order_id"),
        Column("trade_id"),
        Column("strategy"),
        Column("instrument"),
        Column("side"),
        Column("quantity", "decimal"),
        Column("price", "decimal"),
        Column("fee", "decimal"),
        Column("fee_currency"),
        Column("maker", "flag"),
        Column("realised", "decimal"),
        Column("ts_ns", "integer"),
    ),
    key=2,
)

POSITIONS = Table(
    "positions",
    (
        Column("strategy"),
        Column("instrument"),
        Column("quantity", "decimal"),
        Column("average_price", "decimal"),
        Column("realised", "decimal"),
        Column("fees"),
        Column("opened_ns", "integer"),
    ),
    key=2,
)

BALANCES = Table(
    "balances",
    (
        Column("venue"),
        Column("currency"),
        Column("total", "decimal"),
        Column("told_ns", "integer"),
    ),
    key=2,
)

TABLES: Mapping[str, Table] = {one.name: one for one in (ORDERS, FILLS, POSITIONS, BALANCES)}
