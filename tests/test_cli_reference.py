"""The reference of the command line, held to the code: every command, every option, its default."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from trade_runtime.cli.backtest import backtest_command
from trade_runtime.cli.check import check_command
from trade_runtime.cli.exchange import exchange_command
from trade_runtime.cli.main import COMMANDS, cli
from trade_runtime.cli.reconcile import reconcile_command
from trade_runtime.cli.replay import replay_command
from trade_runtime.cli.resume import resume_command
from trade_runtime.cli.run import run_command
from trade_runtime.cli.verify import verify_command

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "cli.md"

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="installed without the docs")


def section(title: str) -> str:
    """The text under a heading, down to the next one of its kind."""
    found = re.search(
        rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE
    )
    assert found is not None, f"there is no section {title!r}"
    return found[1]


def test_every_command_is_in_the_table() -> None:
    """And none that does not exist."""
    table = PAGE.read_text().partition("What each exit code means")[0]
    named = set(re.findall(r"^\| \[?`(\w+)`", table, re.MULTILINE))
    assert set(COMMANDS) == named


@pytest.mark.parametrize(
    ("title", "command"),
    [
        ("The demo", cli),
        ("`run`", run_command),
        ("`check`", check_command),
        ("`verify`", verify_command),
        ("`resume`", resume_command),
        ("`reconcile`", reconcile_command),
        ("`backtest`", backtest_command),
        ("`replay`", replay_command),
        ("`exchange`", exchange_command),
    ],
)
def test_every_option_is_documented_with_its_default(title: str, command: click.Command) -> None:
    """A row for each option and no other; a default that is a word stands in its row."""
    rows = dict(re.findall(r"^\| `(--[\w-]+)` \| (.*?) \|", section(title), re.MULTILINE))
    options = {
        option.opts[0]: option
        for option in command.params
        if isinstance(option, click.Option) and option.opts[0] != "--version"
    }
    assert set(options) == set(rows)
    for name, option in options.items():
        if isinstance(option.default, str | Path):
            assert f"`{option.default}`" == rows[name]
