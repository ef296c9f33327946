"""`export` and `backup`: what the journal has, in files that other programs read."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import trio
from click.testing import CliRunner, Result

from tests.stores import NAME
from tests.test_tables import opened, run, select
from trade_runtime.cli import export
from trade_runtime.cli.main import cli

CONFIG = """
[runtime]
name = "test"
data_dir = "state"
[venues.paper]
kind = "paper"
market_data = "sim"
[venues.sim]
kind = "synthetic"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a configuration, and the journal of a run in `state`."""
    (tmp_path / "test.toml").write_text(CONFIG)
    (tmp_path / "state").mkdir()
    trio.run(run, tmp_path / "state", 1)
    return tmp_path


def command(folder: Path, *args: str) -> Result:
    """Run a command on it."""
    name, *rest = args
    return CliRunner().invoke(cli, [name, str(folder / "test.toml"), *rest])


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize("table", ["orders", "fills", "positions", "records"])
def test_a_table_is_there_to_the_last_row(
    folder: Path, table: str, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In either format, in many pieces, exactly."""
    monkeypatch.setattr(export, "BATCH_ROWS", 17)
    target = folder / f"out.{suffix}"
    done = command(folder, "export", "--table", table, "--to", str(target))
    assert 0 == done.exit_code, done.output
    (count,) = select(folder / "state", f"SELECT count(*) FROM {table}")[0]
    assert done.output == f"{count:,} rows of {table} in {target}\n"
    assert [(count,)] == duckdb.connect().execute(f"SELECT count(*) FROM '{target}'").fetchall()
    if table == "fills":
        theirs = (
            duckdb.connect().execute(f"SELECT trade_id, quantity, fee FROM '{target}'").fetchall()
        )
        ours = select(folder / "state", "SELECT trade_id, quantity, fee FROM fills")
        exact = [
            sorted((str(a), Decimal(str(b)), Decimal(str(c))) for a, b, c in rows)
            for rows in (theirs, ours)
        ]
        if suffix == "parquet":  # what reads a CSV may take its numbers for floats
            assert exact[0] == exact[1]
    assert [target.name] == [path.name for path in folder.glob("out.*")]


def test_the_stops_are_those_of_the_view(folder: Path) -> None:
    """As many, and no order that is none."""
    target = folder / "stops.parquet"
    assert 0 == command(folder, "export", "--table", "stops", "--to", str(target)).exit_code
    theirs = duckdb.connect().execute(f"SELECT client_order_id FROM '{target}'").fetchall()
    assert sorted(theirs) == sorted(select(folder / "state", "SELECT client_order_id FROM stops"))


@pytest.mark.parametrize(
    ("target", "told"),
    [("x.txt", "write a name that ends with"), ("none/x.csv", "No such file or directory")],
)
def test_what_cannot_be_written_is_told(folder: Path, target: str, told: str) -> None:
    """And nothing is left of it."""
    done = command(folder, "export", "--table", "fills", "--to", str(folder / target))
    assert (2, True) == (done.exit_code, told in done.output)
    assert not list(folder.glob("*.new"))


def test_a_backup_is_whole_sealed_and_goes_on(folder: Path) -> None:
    """In the place of the journal it is one, and the next start goes on from it."""
    target = folder / "copy.sqlite"
    done = command(folder, "backup", "--to", str(target))
    assert (0, f"{target}, and its seal beside it\n") == (done.exit_code, done.output)
    (folder / "again").mkdir()
    target.rename(folder / "again" / NAME)
    target.with_name("copy.sqlite.seal").rename(folder / "again" / f"{NAME}.seal")
    (folder / "test.toml").write_text(CONFIG.replace('"state"', '"again"'))
    verdict = command(folder, "verify")
    assert 0 == verdict.exit_code, verdict.output

    async def go_on() -> int:
        async with opened(folder / "again") as state:
            return state.seq

    (before,) = select(folder / "state", "SELECT max(seq) FROM records")
    assert trio.run(go_on) == int(str(before[0])) + 1


def test_a_backup_of_one_in_use_has_what_is_durable(folder: Path) -> None:
    """Its owner, in this process, goes on meanwhile."""
    target = folder / "copy.sqlite"

    async def work() -> int:
        async with opened(folder / "state") as state:
            await state.flush()
            done = await trio.to_thread.run_sync(command, folder, "backup", "--to", str(target))
            assert 0 == done.exit_code, done.output
            return state.durable_seq

    durable = trio.run(work)
    target.rename(folder / NAME)
    assert [(durable,)] == select(folder, "SELECT max(seq) FROM records")


def test_a_backup_replaces_nothing(folder: Path) -> None:
    """What is there stays as it is."""
    target = folder / "copy.sqlite"
    target.write_text("mine")
    done = command(folder, "backup", "--to", str(target))
    assert (2, True) == (done.exit_code, "is there already" in done.output)
    assert "mine" == target.read_text()


def test_there_may_be_nothing_to_back_up(tmp_path: Path) -> None:
    """Then nothing is made."""
    (tmp_path / "test.toml").write_text(CONFIG)
    done = command(tmp_path, "backup", "--to", str(tmp_path / "copy.sqlite"))
    assert (3, True) == (done.exit_code, "there is no journal to back up" in done.output)
    assert ["test.toml"] == [path.name for path in tmp_path.iterdir()]
