"""`check` and `run` on bad input: the exit code, one clear line, and a folder as it was before."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.cli_world import STRATEGY, World, command
from tests.support.backtests import make_project
from trade_runtime.cli.check import check_command
from trade_runtime.cli.instruments import similar_symbols
from trade_runtime.cli.places import check_data_dir
from trade_runtime.errors import ConfigError

Mistake = Callable[[World], None]


def replaced(old: str, new: str) -> Mistake:
    """The configuration with one thing said differently."""

    def make(world: World) -> None:
        assert old in world.config.read_text()
        world.write(lambda text: text.replace(old, new))

    return make


def without_config(world: World) -> None:
    world.config.unlink()


def broken_strategy(world: World) -> None:
    (world.folder / "buyer.py").write_text("import trade_runtime\nvalue = 1 / 0\n")


def folder_is_a_file(world: World) -> None:
    (world.folder / "state").write_text("not a folder")


def folder_below_a_file(world: World) -> None:
    (world.folder / "file").write_text("not a folder")
    world.write(lambda text: text.replace("./state", "./file/below/state"))


def flipped_byte(world: World) -> None:
    world.trade()
    data = bytearray(world.journal.read_bytes())
    data[len(data) // 2] ^= 1
    world.journal.write_bytes(data)


def flipped_byte_after_a_crash(world: World) -> None:
    """Without its seal the file is proven record by record."""
    world.trade()
    next(world.journal.parent.glob("*.seal")).unlink()
    with sqlite3.connect(world.journal) as journal:
        journal.execute("UPDATE records SET payload = CAST(replace(payload, '0.5', '0.6') AS BLOB)")
    journal.close()


def newer_schema(world: World) -> None:
    world.trade()
    next(world.journal.parent.glob("*.seal")).unlink()
    with sqlite3.connect(world.journal) as journal:
        journal.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    journal.close()


MISTAKES: dict[str, tuple[Mistake, int, str]] = {
    "missing file": (without_config, 2, "config.toml: no such file"),
    "broken TOML": (replaced('"world"', '"world'), 2, "config.toml: line 2, column"),
    "unknown key": (
        replaced("seed = 1", "sead = 1"),
        2,
        'runtime.sead: unknown key; did you mean "seed"?',
    ),
    "wrong type": (
        replaced("stop_pct = 5.0", "stop_pct = true"),
        2,
        "protection.stop_pct: expected",
    ),
    "negative timeout": (
        replaced("[protection]", "[shutdown]\norder_timeout_secs = -1\n[protection]"),
        2,
        "shutdown.order_timeout_secs: must be a finite number above 0, got -1",
    ),
    "budgets above the cap": (
        replaced("[protection]", "[shutdown]\ntimeout_secs = 3.0\n[protection]"),
        2,
        "above timeout_secs 3; raise timeout_secs to 5 or lower the budgets",
    ),
    "strategy that does not import": (
        broken_strategy,
        2,
        "line 2: does not import: ZeroDivisionError",
    ),
    "strategy file that is missing": (
        replaced("buyer.py", "bayer.py"),
        2,
        'strategies[0].class: {folder}/bayer.py: no such file; did you mean "buyer.py"?',
    ),
    "class that is not there": (
        replaced(":Buyer", ":Seller"),
        2,
        'strategies[0].class: {folder}/buyer.py: has no class "Seller"; there are "Buyer"',
    ),
    "instrument that the venue lacks": (
        replaced("ETHUSDT", "ETHUSTD"),
        2,
        '"ETHUSTD.paper": venue "sim" does not have "ETHUSTD"; did you mean "ETHUSDT.paper"?',
    ),
    "market data from nowhere": (
        replaced('"sim"', '"sin"'),
        2,
        'venues.paper.market_data: there is no table [venues.sin]; did you mean "sim"?',
    ),
    "market data from a venue that has none": (
        replaced('market_data = "sim"', 'market_data = "paper"'),
        2,
        'venues.paper.market_data: "paper" brings no market data; venues that do: "sim"',
    ),
    "no market data": (
        replaced('market_data = "sim"\n', ""),
        2,
        'venues.paper.market_data: missing; name a venue that brings market data: "sim"',
    ),
    "kind of venue that does not exist": (
        replaced('"synthetic"', '"synthetik"'),
        2,
        "venues.sim.kind: no venue of kind 'synthetik'",
    ),
    "option of a venue that does not exist": (
        replaced("balances", "balance"),
        2,
        'venues.paper.balance: unknown key; did you mean "balances"?',
    ),
    "store that does not exist": (
        replaced("[protection]", '[store]\nurl = "mysql:///x"\n[protection]'),
        2,
        "store.url: no store of scheme 'mysql'",
    ),
    "data_dir that is a file": (
        folder_is_a_file,
        2,
        "runtime.data_dir: {folder}/state is a file; name a folder",
    ),
    "data_dir below a file": (
        folder_below_a_file,
        2,
        "runtime.data_dir: {folder}/file/below/state lies below {folder}/file, which is a file",
    ),
    "flipped byte": (flipped_byte, 3, "journal.sqlite"),
    "record changed after a crash": (
        flipped_byte_after_a_crash,
        3,
        "is not what was written; restore it from a backup",
    ),
    "newer schema": (newer_schema, 3, "its schema version is 99"),
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A folder in which nothing is wrong."""
    world = World(tmp_path)
    world.write()
    return world


@pytest.mark.parametrize("name", MISTAKES)
def test_check_tells_a_mistake_in_one_line_and_changes_nothing(world: World, name: str) -> None:
    """The line names the place and the mend; every file is byte for byte as it was."""
    mistake, code, says = MISTAKES[name]
    mistake(world)
    before = world.digest()
    result = CliRunner().invoke(check_command, [str(world.config)])
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert says.format(folder=world.folder) in line
    assert (code, "") == (result.exit_code, result.stdout)
    assert before == world.digest()


@pytest.mark.process
@pytest.mark.parametrize("name", MISTAKES)
def test_run_refuses_what_check_refuses(world: World, name: str) -> None:
    """The same code and line from `run`, which leaves the folder alone as well."""
    mistake, code, says = MISTAKES[name]
    mistake(world)
    before = world.digest()
    result = command("run", world.config, "--duration", "1")
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, result.stderr
    assert says.format(folder=world.folder) in errors[0]
    assert "Traceback" not in result.stderr
    assert code == result.returncode
    assert before == world.digest()


def test_all_mistakes_are_told_at_once(world: World) -> None:
    """What is wrong in different places takes one round of mending, not three."""
    world.write(
        lambda text: (
            text.replace("buyer.py", "bayer.py")
            .replace("./state", "./config.toml")
            .replace("balances", "balance")
        )
    )
    result = CliRunner().invoke(check_command, [str(world.config)])
    places = [line.removeprefix(f"error: {world.config}: ") for line in result.stderr.splitlines()]
    assert ["strategies[0].class", "runtime.data_dir", "venues.paper.balance"] == [
        place.partition(":")[0] for place in places
    ]


def test_a_good_configuration_is_summed_up_and_nothing_is_made(world: World) -> None:
    """What would run, where, how it is protected and how long a stop may take."""
    before = world.digest()
    result = CliRunner().invoke(check_command, [str(world.config)])
    assert (0, "") == (result.exit_code, result.stderr)
    assert [
        f"{world.config}: ok",
        "  runtime     world",
        f"  state       {world.folder}/state (new)",
        "  venue       sim: synthetic, market data",
        "  venue       paper: paper, trades on the market data of sim",
        "  strategy    buyer: buyer.py:Buyer on ETHUSDT.paper",
        "  protection  every position; a missing stop-loss is placed 5.0 % off the average price",
        "  stop        within 5 s (orders 2, prices 1, state 2); forced after 30 s",
        "  docker      kills after 10 s: use docker stop -t 32, or stop_grace_period: 32s",
    ] == result.stdout.splitlines()
    assert before == world.digest()


def test_state_that_exists_is_read_and_left_as_it_is(world: World) -> None:
    """A check between two runs says what the next one would go on from."""
    world.trade()
    before = world.digest()
    result = CliRunner().invoke(check_command, [str(world.config)])
    assert 0 == result.exit_code
    assert "1 positions and 1 orders open; the last run stopped in order" in result.stdout
    assert before == world.digest()


def test_a_venue_that_cannot_be_reached_is_a_warning(world: World) -> None:
    """No network is no mistake in the configuration: it says what was not checked, and exits 0."""
    world.write(
        lambda text: text.replace(
            'kind = "synthetic"\nseed = 3',
            'kind = "binance_spot"\nws_url = "ws://127.0.0.1:9"\nrest_url = "http://127.0.0.1:9"',
        )
    )
    before = world.digest()
    result = CliRunner().invoke(check_command, [str(world.config)])
    assert 0 == result.exit_code
    assert result.stderr.startswith("warning: venues.sim: could not be asked for its instruments")
    assert before == world.digest()
    result = CliRunner().invoke(check_command, [str(world.config), "--offline"])
    assert (0, "") == (result.exit_code, result.stderr)


def test_a_configuration_without_strategies_is_a_warning(world: World) -> None:
    """It can be run, but hardly as it was meant."""
    world.write(lambda text: text.partition("[[strategies]]")[0])
    result = CliRunner().invoke(check_command, [str(world.config)])
    assert (0, "warning: strategies: there are none, so nothing will be traded\n") == (
        result.exit_code,
        result.stderr,
    )


class TestForBacktests:
    """A configuration that names a history."""

    @pytest.fixture
    def project(self, tmp_path: Path) -> Path:
        """A folder with one that is for backtests alone."""
        return make_project(tmp_path)

    def test_one_for_backtests_alone_is_checked_and_says_so(self, project: Path) -> None:
        """Neither state nor stop: it will have none. Nothing is made."""
        before = World(project).digest()
        result = CliRunner().invoke(check_command, [str(project / "bt.toml")])
        assert (0, "") == (result.exit_code, result.stderr)
        assert [
            f"{project}/bt.toml: ok",
            "  runtime     test",
            "  venue       sim: paper, trades",
            "  strategy    turns: turns.py:Turns on ETHUSDT.sim",
            f"  history     quotes of ETHUSDT.sim in {project}/ticks.csv",
            "  protection  off: positions may be without a stop-loss",
            "  usable      for backtest only; run needs venues.sim.market_data",
        ] == result.stdout.splitlines()
        assert before == World(project).digest()

    @pytest.mark.process
    def test_run_refuses_it_with_the_mend(self, project: Path) -> None:
        """One line, and nothing is made."""
        result = command("run", project / "bt.toml")
        (line,) = result.stderr.splitlines()
        assert 2 == result.returncode
        assert "venues.sim.market_data: missing; the configuration is for backtest alone" in line
        mend = '[venues.live] kind = "binance_spot", and write market_data = "live"'
        assert line.endswith(mend)
        assert {"bt.toml", "turns.py", "ticks.csv"} == {path.name for path in project.iterdir()}

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            (
                '"ticks.csv"',
                '"tick.csv"',
                'data[0]: {folder}/tick.csv: no such file; did you mean "ticks.csv"?',
            ),
            ('path = "t', 'pth = "t', 'backtest.data[0].pth: unknown key; did you mean "path"?'),
            ('"quotes"', '"trades"', 'ticks.csv: no column "price"'),
            (
                '"ticks.csv"',
                '"ticks.csv"\noptions = { colums = {} }',
                'no option "colums"; did you mean "columns"?',
            ),
            ('"ticks.csv"', '"ticks.csv"\nformat = "cvs"', 'no format "cvs"; did you mean "csv"?'),
            ('[instruments."ETHUSDT.sim"]', '[instruments."X.sim"]', "missing: a backtest asks no"),
            ("turns.py:Turns", "turns.py:Turn", 'did you mean "Turns"?'),
        ],
    )
    def test_what_keeps_a_backtest_from_beginning(
        self, project: Path, old: str, new: str, said: str
    ) -> None:
        """Exit code 2 and the line that `backtest` would give."""
        config = project / "bt.toml"
        config.write_text(config.read_text().replace(old, new))
        result = CliRunner().invoke(check_command, [str(config)])
        assert (2, "") == (result.exit_code, result.stdout)
        assert said.format(folder=project) in result.stderr.splitlines()[0]

    def test_one_for_both_is_only_warned_of_its_history(self, world: World) -> None:
        """A live run does without: the machine that it is on may not have the files."""
        data = """
[[backtest.data]]
instrument = "ETHUSDT.paper"
kind = "quotes"
path = "ticks.csv"
"""
        world.write(lambda text: text + data)
        result = CliRunner().invoke(check_command, [str(world.config)])
        assert 0 == result.exit_code
        told = result.stderr.splitlines()
        assert ["warning: for a backtest: "] * 2 == [line[:25] for line in told]
        assert 'instruments."ETHUSDT.paper": missing: a backtest asks no venue' in told[0]
        assert f"backtest.data[0]: {world.folder}/ticks.csv: no such file" in told[1]
        assert "within 5 s" in result.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="speaks of Linux's own file systems")
@pytest.mark.parametrize("place", ["/proc/state", "/sys/deep/state", "/proc"])
def test_a_file_system_that_holds_no_files_is_refused(place: str) -> None:
    """Root may write everywhere by permission; there it fails all the same, and is told before."""
    with pytest.raises(ConfigError, match=r"runtime\.data_dir: /(proc|sys).*holds no files"):
        check_data_dir(Path(place), "runtime.data_dir")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may pass, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
@pytest.mark.parametrize("nameless", [True, False])
def test_a_folder_of_others_is_refused(
    open_folder: Path, nameless: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that this user may not write, also where the system knows no nameless files."""
    if not nameless:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    locked = open_folder / "locked"
    locked.mkdir(mode=0o555)
    check_data_dir(open_folder / "new", "runtime.data_dir")
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(ConfigError, match="Permission denied"):
            check_data_dir(locked, "runtime.data_dir")
        with pytest.raises(ConfigError, match=r"cannot be made in .*/locked: Permission denied"):
            check_data_dir(locked / "deep" / "state", "runtime.data_dir")
    finally:
        os.seteuid(user)
    assert [locked] == list(open_folder.iterdir())


def test_a_link_to_nowhere_and_an_impossible_name_are_refused(tmp_path: Path) -> None:
    """Both would only fail later, in words that help nobody."""
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="is a link to what does not exist"):
        check_data_dir(tmp_path / "link", "runtime.data_dir")
    with pytest.raises(ConfigError, match="no folder can have that name"):
        check_data_dir(tmp_path / "a\0b", "runtime.data_dir")
    with pytest.raises(ConfigError, match="File name too long"):
        check_data_dir(tmp_path / ("x" * 300), "runtime.data_dir")


@pytest.mark.parametrize(
    ("symbol", "meant"),
    [
        ("eth-usdt", "ETHUSDT"),
        ("ETHUSD", "ETHUSDT"),
        ("XBTUSDT", "BTCUSDT"),
        ("EHTUSDT", "ETHUSDT"),
    ],
)
def test_what_was_probably_meant_is_asked_for(symbol: str, meant: str) -> None:
    """Spellings of other venues, and two letters swapped."""
    similar = similar_symbols(symbol)
    assert meant in similar
    assert symbol not in similar


@pytest.mark.process
def test_a_state_of_another_version_is_found_before_the_start(world: World) -> None:
    """One line with the strategy and the mend; `run` refuses it with the same, exit code 2."""
    hooks = """
    def on_save(self):
        return {}
    def on_load(self, state):
        pass
"""
    buyer = world.folder / "buyer.py"
    buyer.write_text(STRATEGY + hooks)
    world.trade()
    buyer.write_text(STRATEGY + "    state_version = 2\n" + hooks)
    for what in ("check", "run"):
        told = command(what, world.config)
        assert 2 == told.returncode
        assert "strategy buyer: its saved state is of version 1" in told.stderr
        assert "write on_migrate" in told.stderr
