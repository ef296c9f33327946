"""`export CONFIG`: a table of the journal as a file that other programs read."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import trio

from trade_runtime.cli.check import complain
from trade_runtime.cli.instruments import environment
from trade_runtime.errors import ConfigError, DataError, TradeRuntimeError
from trade_runtime.model.instrument import text
from trade_runtime.model.tables import ORDERS, TABLES, Column, Row, Table
from trade_runtime.plugins import Plugins
from trade_runtime.protocols import Store
from trade_runtime.settings import Settings

BATCH_ROWS = 10_000
"""Rows that are read, and written, at a time."""

RECORDS = Table(
    "records",
    (
        Column("seq", "integer"),
        Column("ts_ns", "integer"),
        Column("kind"),
        Column("payload"),
        Column("digest"),
    ),
    key=1,
)

EXPORTED = {**TABLES, "stops": ORDERS, "records": RECORDS}
"""What can be exported, and the columns that it has."""

FORMATS = (".parquet", ".csv")


@click.command("export")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--table", type=click.Choice(sorted(EXPORTED)), required=True, help="Which.")
@click.option(
    "--to",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    required=True,
    help="A .parquet or .csv; one that is there is replaced once the new one is whole.",
)
def export_command(config: Path, table: str, target: Path) -> None:
    """Write a table of the state that CONFIG names to a file.

    Amounts are text, exact; times are nanoseconds since 1970. A runtime may be running on it.

    Exit code 0: it is there; 2: CONFIG cannot be read, or FILE cannot be written; 3: the state is
    damaged or unreadable.
    """
    try:
        if target.suffix not in FORMATS:
            raise ConfigError(f"--to {target}: write a name that ends with .parquet or .csv")
        rows = trio.run(_export, Settings.from_toml(config), table, target)
    except TradeRuntimeError as error:
        complain(error)
        sys.exit(error.exit_code)
    click.echo(f"{rows:,} rows of {table} in {target}")


async def _export(settings: Settings, name: str, target: Path) -> int:
    plugins = Plugins()
    env = environment(settings.runtime.data_dir)
    draft, count = target.with_name(target.name + ".new"), 0
    try:
        async with plugins.open_store(settings, env, read_only=True) as store:
            with _Writer(EXPORTED[name], draft, target.suffix) as writer:
                async for rows in _rows(store, name):
                    writer.write(rows)
                    count += len(rows)
        draft.replace(target)
    except OSError as error:
        why = str(error) if error.errno is None else os.strerror(error.errno)
        raise ConfigError(f"--to {target}: {why}") from error
    finally:
        draft.unlink(missing_ok=True)
    return count


async def _rows(store: Store, name: str) -> AsyncIterator[Sequence[Row]]:
    """Give the rows of a table, in the order of its key."""
    table, after = EXPORTED[name], None
    while True:
        if table is RECORDS:
            batch = await store.read(0 if after is None else int(str(after[0])), BATCH_ROWS)
            rows: Sequence[Row] = [
                (r.seq, r.ts_ns, r.kind, r.payload.decode(), r.digest) for r in batch
            ]
        else:
            rows = await store.rows(table, after, BATCH_ROWS)
        if not rows:
            return
        after = tuple(rows[-1][: table.key])
        yield [row for row in rows if name != "stops" or _is_stop(row)]


def _is_stop(row: Row) -> bool:
    facts = dict(zip(ORDERS.names, row, strict=True))
    return bool(facts["protective"] and facts["live"])


class _Writer:
    """Writes rows to a file of either format, batch by batch."""

    def __init__(self, table: Table, path: Path, suffix: str) -> None:
        # Arrow is wanted by few commands, and takes its time to load.
        import pyarrow as pa  # noqa: PLC0415

        kinds = {"text": pa.string(), "integer": pa.int64(), "flag": pa.bool_()}
        self._arrow: Any = pa
        self._columns = table.columns
        self._schema = pa.schema(
            [pa.field(c.name, kinds.get(c.kind, pa.string()), c.optional) for c in table.columns]
        )
        if suffix == ".csv":
            from pyarrow.csv import CSVWriter  # noqa: PLC0415

            self._file: Any = CSVWriter(path, self._schema)
        else:
            from pyarrow.parquet import ParquetWriter  # noqa: PLC0415

            self._file = ParquetWriter(path, self._schema)

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, rows: Sequence[Row]) -> None:
        """Write some.

        Raises:
            DataError: a number is too large for the format.
        """
        columns = [
            [_value(column, row[n]) for row in rows] for n, column in enumerate(self._columns)
        ]
        try:
            self._file.write(self._arrow.table(columns, schema=self._schema))
        except (self._arrow.ArrowInvalid, OverflowError) as error:
            raise DataError(f"a row cannot be written: {error}") from error


def _value(column: Column, value: object) -> object:
    if value is None:
        return None
    if column.kind == "decimal":
        return text(Decimal(str(value)))
    return bool(value) if column.kind == "flag" else value
