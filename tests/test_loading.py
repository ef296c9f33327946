"""A trader's file is loaded without a trace, and whatever is wrong with it is one line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trade_runtime.errors import ConfigError
from trade_runtime.loading import load_strategy_class
from trade_runtime.strategy import Strategy

MAKER = """
from __future__ import annotations
import dataclasses
from trade_runtime.strategy import Strategy

@dataclasses.dataclass
class Params:
    size: "int" = 1

class Maker(Strategy):
    params_type = Params

class Taker(Maker):
    pass

class Helper:
    pass

number = 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a strategy file; what the test imports is forgotten after it."""
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "maker.py").write_text(MAKER)
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


def complaint(reference: str, folder: Path) -> str:
    """What loading complains of: always one line."""
    with pytest.raises(ConfigError) as caught:
        load_strategy_class(reference, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_class_is_loaded_from_a_file_relative_to_the_configuration(folder: Path) -> None:
    """Two classes of one file come from one module, so that they know each other."""
    maker = load_strategy_class("examples/maker.py:Maker", folder)
    taker = load_strategy_class("examples/maker.py:Taker", folder)
    assert issubclass(maker, Strategy)
    assert issubclass(taker, maker)


def test_loading_leaves_nothing_on_the_disk_and_takes_no_name(folder: Path) -> None:
    """No `__pycache__`, also of what the file imports; and `import maker` finds nothing."""
    flag = sys.dont_write_bytecode
    before = sorted(folder.rglob("*"))
    load_strategy_class("examples/maker.py:Maker", folder)
    assert sorted(folder.rglob("*")) == before
    assert "maker" not in sys.modules
    assert sys.dont_write_bytecode == flag


def test_two_files_of_one_name_do_not_clash(folder: Path) -> None:
    """A second `maker.py` elsewhere is a module of its own, and a changed one is read anew."""
    (folder / "maker.py").write_text(MAKER)
    first = load_strategy_class("examples/maker.py:Maker", folder)
    second = load_strategy_class("maker.py:Maker", folder)
    assert first is not second
    (folder / "maker.py").write_text(MAKER + "\nclass Third(Strategy): pass\n")
    assert load_strategy_class("maker.py:Third", folder).__name__ == "Third"


def test_a_class_is_loaded_from_an_importable_module(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packages of the trader's own serve as well as files, and get no `__pycache__` either."""
    (folder / "pkg").mkdir()
    (folder / "pkg" / "__init__.py").touch()
    (folder / "pkg" / "mod.py").write_text(MAKER)
    monkeypatch.syspath_prepend(str(folder))
    assert issubclass(load_strategy_class("pkg.mod:Maker", folder), Strategy)
    assert not list(folder.rglob("__pycache__"))


def test_a_file_that_is_not_there(folder: Path) -> None:
    """The path, and the nearest file beside it."""
    where = folder / "examples" / "makr.py"
    assert complaint("examples/makr.py:Maker", folder) == (
        f'{where}: no such file; did you mean "maker.py"?'
    )
    assert "no such file" in complaint("nowhere/maker.py:Maker", folder)
    assert "cannot be read" in complaint("./:Maker", folder)


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        ("x = 1\ndef f(:\n    pass\n", 2, "SyntaxError: "),
        ("x = 1\n\nx = 1 / 0\n", 3, "ZeroDivisionError: division by zero"),
        ("import no_such_thing\n", 1, "ModuleNotFoundError: No module named 'no_such_thing'"),
        ("def f():\n    raise KeyError\n\nf()\n", 2, "KeyError"),
        ("import json\njson.loads('')\n", 2, "JSONDecodeError: Expecting value"),
        ("raise SystemExit('bye\\nbye')\n", 1, "SystemExit: bye bye"),
    ],
)
def test_a_file_that_does_not_import(folder: Path, source: str, line: int, reason: str) -> None:
    """The file, the line of it at fault, and the exception; and no half-made module stays."""
    (folder / "bad.py").write_text(source)
    known = set(sys.modules)
    text = complaint("bad.py:Maker", folder)
    assert text.startswith(f"{folder / 'bad.py'}: line {line}: does not import: {reason}")
    assert not [name for name in set(sys.modules) - known if "bad" in name]


def test_a_file_that_is_no_text(folder: Path) -> None:
    """Null bytes and bytes that are not UTF-8 are told like any syntax error."""
    (folder / "bad.py").write_bytes(b"x = 1\n\0\n")
    assert f"{folder / 'bad.py'}: " in complaint("bad.py:Maker", folder)
    (folder / "bad.py").write_bytes(b"x = '\xff'\n")
    assert "does not import: SyntaxError" in complaint("bad.py:Maker", folder)


def test_an_interrupt_while_loading_is_not_swallowed(folder: Path) -> None:
    """Ctrl-C during a slow import is no mistake of the configuration."""
    (folder / "slow.py").write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load_strategy_class("slow.py:Maker", folder)


def test_a_class_that_is_not_there(folder: Path) -> None:
    """The nearest strategy of the file is suggested, and no other class."""
    where = folder / "examples" / "maker.py"
    assert complaint("examples/maker.py:maker", folder) == (
        f'{where}: has no class "maker"; did you mean "Maker"?'
    )
    assert complaint("examples/maker.py:Zzz", folder) == (
        f'{where}: has no class "Zzz"; there are "Maker", "Taker"'
    )


@pytest.mark.parametrize("name", ["Helper", "number", "Strategy"])
def test_a_class_that_is_no_strategy(folder: Path, name: str) -> None:
    """What exists under the name but is not derived from `Strategy`, the base itself included."""
    where = folder / "examples" / "maker.py"
    assert complaint(f"examples/maker.py:{name}", folder).startswith(
        f'{where}: "{name}" is no strategy; write class '
    )


def test_a_module_that_is_not_there(folder: Path) -> None:
    """Which part of the name is missing; another module's absence is told as its own failure."""
    assert complaint("no_such_package.mod:Maker", folder).startswith(
        'there is no module "no_such_package" (for "no_such_package.mod"); install it'
    )


@pytest.mark.parametrize("reference", ["maker.py", ":Maker", "maker.py:", ""])
def test_a_reference_without_file_or_class(folder: Path, reference: str) -> None:
    """Both parts are named in the mend."""
    assert 'write "FILE.py:CLASS"' in complaint(reference, folder)
