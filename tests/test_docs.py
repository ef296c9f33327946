"""The documentation, held to the code: what a reader copies works, what a page names exists.

Conventions, each an HTML comment on the line before a fenced block:

- `<!-- file: NAME -->`: the block is a file; it is there when the later blocks of its page run.
- `<!-- skip: WHY -->`: the block is not run, or not read as a configuration.
- `<!-- on: FILE -->`: the query is put to this file of a demo that has run.

Every other `python` block of a page is run, top to bottom, in one namespace; every `toml` block is
read, as a configuration where its tables are those of one.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import click
import msgspec
import pytest

from trade_runtime.cli.main import cli
from trade_runtime.managers.venue_tables import read_venue
from trade_runtime.model.records import KINDS
from trade_runtime.plugins import Plugins
from trade_runtime.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)]

FENCE = re.compile(
    r"(?:<!-- (?P<mark>file|skip|on): (?P<value>[^\n]*?) -->\n)?"
    r"^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
COMMAND = re.compile(r"python3? -m trade_runtime(?P<rest>[^\n`|&;)<>\"]*)")
LINK = re.compile(r"\]\((?!https?:|#)(?P<path>[^)#\s]+)")
TEST_NAME = re.compile(r"`(?P<file>tests/[\w/]+\.py)(?:::(?P<name>[\w:]+))?`")
PLACEHOLDERS = {"N": "1", "X": "2", "SECS": "5"}
CONFIG_TABLES = {field.name for field in attrs.fields(Settings)} - {"base_dir", "source"}


@attrs.frozen
class Block:
    """A fenced block of a page."""

    language: str
    text: str
    line: int
    mark: str
    value: str

    @property
    def file(self) -> str | None:
        """The name of the file that it is, if it is one."""
        return self.value if self.mark == "file" else None

    @property
    def skipped(self) -> bool:
        """It is there to be read only."""
        return self.mark == "skip"


def blocks_of(text: str) -> list[Block]:
    """Every fenced block of a page, in order."""
    return [
        Block(
            match["language"],
            match["text"],
            text.count("\n", 0, match.start("text")) + 1,
            match["mark"] or "",
            match["value"] or "",
        )
        for match in FENCE.finditer(text)
    ]


def name_of(page: Path) -> str:
    """A page as the repository names it."""
    return page.relative_to(ROOT).as_posix()


def pages_with(language: str) -> list[Any]:
    """The pages with a block of a language that is not skipped."""
    return [
        pytest.param(page, id=name_of(page))
        for page in PAGES
        if any(
            b.language == language and not b.skipped
            for b in blocks_of(page.read_text(encoding="utf-8"))
        )
    ]


def write_files(page: Path, folder: Path) -> None:
    """Write the files that a page shows."""
    for block in blocks_of(page.read_text(encoding="utf-8")):
        if block.file is not None:
            (folder / block.file).write_text(block.text, encoding="utf-8")


# --- code and configurations
# -----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", pages_with("python"))
def test_every_python_block_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a reader copies into a file, and runs, runs."""
    write_files(page, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks_of(page.read_text(encoding="utf-8")):
        if block.language == "python" and not block.skipped:
            # Errors show the line of the page.
            source = "\n" * (block.line - 1) + block.text
            exec(compile(source, str(page), "exec", dont_inherit=True), names)


@pytest.mark.parametrize("page", pages_with("toml"))
def test_every_configuration_is_valid(page: Path) -> None:
    """A block whose tables are those of a configuration is one; any other is TOML at least."""
    plugins = Plugins()
    for block in blocks_of(page.read_text(encoding="utf-8")):
        if block.language != "toml" or block.skipped:
            continue
        table = tomllib.loads(block.text)
        if table.keys() <= CONFIG_TABLES:
            settings = Settings.from_mapping(table, "/srv")
            for name in settings.venues:
                read_venue(settings, name, plugins.venues, live=False)


MOST_DEMOS = 5
"""Runs of the demo until every query must have found something."""


@pytest.mark.parametrize("page", pages_with("sql"))
def test_every_query_gives_an_answer(page: Path, tmp_path: Path) -> None:
    """Every query of a page works on the files of a demo, and finds something there.

    The demo goes on where it was until it has traded enough for all of them.
    """
    demo = (sys.executable, "-m", "trade_runtime", "--data-dir", str(tmp_path / "demo"))
    found = blocks_of(page.read_text(encoding="utf-8"))
    blocks = [block for block in found if block.language == "sql" and not block.skipped]
    silent = ["not run yet"]
    for _ in range(MOST_DEMOS):
        subprocess.run([*demo, "--duration", "6"], check=True, capture_output=True, timeout=60)
        answers = {b.line: _query(tmp_path / "demo" / b.value, b.text) for b in blocks}
        silent = [f"line {line}" for line, answer in answers.items() if not answer]
        if not silent:
            return
    assert [] == silent


def _query(file: Path, sql: str) -> str:
    import sqlite3  # noqa: PLC0415 - only here

    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        return repr(connection.execute(sql).fetchall()).strip("[]")
    finally:
        connection.close()


@pytest.mark.process
def test_the_first_strategy_is_walked_through(tmp_path: Path) -> None:
    """The tutorial as a reader does it: check, run, look at the report, prove, run again."""
    write_files(DOCS / "tutorial" / "first-strategy.md", tmp_path)

    def call(*words: str) -> str:
        program = [sys.executable, "-m", "trade_runtime", *words]
        done = subprocess.run(
            program, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "dips.py:Dips on ETHUSDT.paper" in call("check", "dips.toml")
    for _ in range(2):
        call("run", "dips.toml", "--report", "report.json", "--duration", "2")
        assert json.loads((tmp_path / "report.json").read_text("utf-8"))["outcome"] == "clean"
        assert "stopped in order" in call("check", "dips.toml")
    assert json.loads(call("verify", "dips.toml"))["ok"] is True


# --- commands
# -----------------------------------------------------------------------------------


def commands_of(text: str) -> Iterator[list[str]]:
    """The arguments of every call of the command line on a page; abridged ones left out."""
    for match in COMMAND.finditer(text):
        words = shlex.split(match["rest"].strip(), comments=True)
        words = [PLACEHOLDERS.get(word, word) for word in words]
        if not any(mark in match["rest"] for mark in ("...", "[", "…")):
            yield words


def parse(words: list[str]) -> None:
    """Read a command line as the program would, without doing anything.

    Raises:
        click.UsageError: there is no such command or option.
    """
    context = cli.make_context("trade_runtime", list(words), resilient_parsing=False)
    # Where click keeps a group's arguments; there is no public name for it any more.
    rest = [*context._protected_args, *context.args]
    if rest:
        _, command, arguments = cli.resolve_command(context, rest)
        assert command is not None
        command.make_context(command.name, arguments, parent=context)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=name_of(page))
        for page in PAGES
        if list(commands_of(page.read_text(encoding="utf-8")))
    ],
)
def test_every_command_exists(page: Path) -> None:
    """Commands and options that a page names are those of the program."""
    for words in commands_of(page.read_text(encoding="utf-8")):
        try:
            parse(words)
        except click.exceptions.Exit:
            pass  # --help and --version
        except click.UsageError as error:
            pytest.fail(f"{shlex.join(words)}: {error.format_message()}")


def test_an_option_that_does_not_exist_is_found() -> None:
    """The check above can fail."""
    with pytest.raises(click.UsageError):
        parse(["run", "trader.toml", "--forever"])
    with pytest.raises(click.UsageError):
        parse(["walk", "trader.toml"])


# --- names
# -----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [pytest.param(page, id=name_of(page)) for page in PAGES])
def test_every_link_leads_somewhere(page: Path) -> None:
    """A relative link names a file that exists; Sphinx sees to headings and references."""
    text = page.read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    for match in LINK.finditer(prose):
        assert (page.parent / match["path"]).exists(), match["path"]


def names_in(file: Path) -> set[str]:
    """The tests of a file, as pytest names them after the file."""
    names: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            names.add(node.name)
            names |= {f"{node.name}::{inner.name}" for inner in _functions(node.body)}
    return names | {node.name for node in _functions(ast.parse(file.read_text("utf-8")).body)}


def _functions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("page", [pytest.param(page, id=name_of(page)) for page in PAGES])
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    """A guarantee leans on a test that is there."""
    for match in TEST_NAME.finditer(page.read_text(encoding="utf-8")):
        file = ROOT / match["file"]
        assert file.exists(), match["file"]
        if match["name"]:
            assert match["name"] in names_in(file), match[0]


def test_every_guarantee_names_its_test() -> None:
    """No guarantee stands on its word alone."""
    page = (DOCS / "explanation" / "guarantees.md").read_text(encoding="utf-8")
    promised = page.partition("\n## What is guaranteed")[2].partition("\n## What is not")[0]
    rows = [line for line in promised.splitlines() if re.match(r"^\| \d", line)]
    assert len(rows) >= 10
    for row in rows:
        assert TEST_NAME.search(row), row


# --- tables
# -----------------------------------------------------------------------------------


def rows_of(page: str, columns: int) -> list[list[str]]:
    """The rows of every table of a page with so many columns, headings and rules left out."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    found = [
        [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        for line in lines
        if line.startswith("| ")
    ]
    return [row for row in found if len(row) == columns]


def fields_of(cls: type) -> tuple[str, ...]:
    """The fields of a record's payload."""
    assert issubclass(cls, msgspec.Struct)
    return cls.__struct_fields__


def test_every_kind_of_record_is_documented() -> None:
    """The page on the journal lists each kind with the fields of its payload, and no other."""
    documented = {
        row[0].strip("`"): re.findall(r"`(\w+)`", row[2])
        for row in rows_of("reference/journal.md", 3)
        if row[0].startswith("`")
    }
    actual = {kind: list(fields_of(cls)) for cls, kind in KINDS.items()}
    assert actual == documented


@attrs.frozen
class Limit:
    """A named number of the source."""

    name: str
    value: str
    module: str


def limits() -> set[Limit]:
    """Every number in capitals at the top level of a module that bounds something."""
    package = ROOT / "src" / "trade_runtime"
    found = set()
    for path in sorted(package.rglob("*.py")):
        module = path.relative_to(package).as_posix()
        if not module.startswith(("demo/", "testing/")):
            body = ast.parse(path.read_text(encoding="utf-8")).body
            for node, after in zip(body, [*body[1:], None], strict=True):
                limit = _limit(node, after, module)
                if limit is not None:
                    found.add(limit)
    return found


BOUNDS = re.compile(r"(^|_)(MAX|MOST)_|_(SECS|BATCH|BYTES|ATTEMPTS|CHECKS|FRAMES|QUEUE|PAGES|KIB)$")
NO_BOUNDS = re.compile(r"^EXIT_|^(SCHEMA|SCHEMA_VERSION|APPLICATION_ID|VIRTUAL_EPOCH_NS)$")


def _limit(node: ast.stmt, after: ast.stmt | None, module: str) -> Limit | None:
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target, value = node.targets[0], node.value
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        target, value = node.target, node.value
    else:
        return None
    if not isinstance(target, ast.Name) or not re.fullmatch(r"[A-Z][A-Z0-9_]*", target.id):
        return None
    text = ast.unparse(value)
    if not re.fullmatch(r"[\d_.\s*+<-]+", text):
        return None
    documented = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
    if NO_BOUNDS.search(target.id) or not (documented or BOUNDS.search(target.id)):
        return None
    number = eval(text)
    return Limit(target.id, f"{number:,}" if isinstance(number, int) else f"{number:g}", module)


def test_every_limit_is_listed() -> None:
    """The page lists each named bound of the source with its value and its place, and no other."""
    listed = {
        Limit(row[0].strip("`"), row[1].split(" ")[0], row[2].strip("`"))
        for row in rows_of("reference/limits.md", 4)
        if row[0].startswith("`") and row[0].strip("`").isupper()
    }
    missing = [f"| `{one.name}` | {one.value} | `{one.module}` |" for one in limits() - listed]
    gone = [f"| `{one.name}` | {one.value} | `{one.module}` |" for one in listed - limits()]
    assert not missing, "add to docs/reference/limits.md:\n" + "\n".join(sorted(missing))
    assert not gone, "take out of docs/reference/limits.md:\n" + "\n".join(sorted(gone))
