"""Finds a strategy's class: in a file beside the configuration, or in an importable module.

Stands beside the configuration; the strategies' layer and `check` use it. Guarantees that loading
writes nothing (no `__pycache__`), that a file's module never takes the name of another, and that
whatever is wrong with a trader's file is one line naming the file, the line and the mend.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from trade_runtime.errors import ConfigError
from trade_runtime.model.ids import StrategyName
from trade_runtime.settings import Settings
from trade_runtime.spelling import suggest

if TYPE_CHECKING:
    from trade_runtime.strategy import Strategy


def load_strategy_class(reference: str, base_dir: Path | str = ".") -> type[Strategy]:
    """Return the class that `reference` names.

    The same file gives the same module as long as it is unchanged, so two classes of one file see
    each other. The code of the file runs, as in any import.

    Args:
        reference: `FILE.py:CLASS` or `MODULE:CLASS`.
        base_dir: what a relative FILE is relative to.

    Raises:
        ConfigError: one line: no such file or module, it does not import, no such class, or the
            class is no `Strategy`.
    """
    where, _, name = reference.rpartition(":")
    if not where or not name:
        raise ConfigError(f'"{reference}" names no class; write "FILE.py:CLASS" or "MODULE:CLASS"')
    is_file = where.endswith(".py") or "/" in where or "\\" in where
    with _nothing_written():
        module = _load_file(Path(base_dir) / where) if is_file else _load_module(where)
        return _class_of(module, name)


def _load_file(path: Path) -> ModuleType:
    try:
        source = path.read_bytes()
    except FileNotFoundError:
        names = (file.name for file in path.parent.glob("*.py"))
        raise ConfigError(f"{path}: no such file{suggest(path.name, names)}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise ConfigError(f"{str(path)!r}: no file can have that name") from None
    digest = hashlib.blake2b(bytes(path.absolute()) + b"\0" + source, digest_size=8).hexdigest()
    name = f"trade_runtime_strategy_{path.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = str(path)
    # Data classes with text annotations look their module up while it is being executed.
    sys.modules[name] = module
    try:
        exec(compile(source, str(path), "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, Exception | SystemExit):
            raise ConfigError(_import_failure(str(path), error)) from None
        raise
    return module


def _load_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigError(_import_failure(name, error)) from None
        raise ConfigError(
            f'there is no module "{error.name}" (for "{name}"); install it, put its folder into'
            f' PYTHONPATH, or name a file: "{name.replace(".", "/")}.py"'
        ) from None
    except (Exception, SystemExit) as error:
        raise ConfigError(_import_failure(name, error)) from None


def _import_failure(what: str, error: BaseException) -> str:
    """Return one line on why `what` does not import, with the innermost line of it at fault."""
    if isinstance(error, SyntaxError):
        file, line, reason = error.filename or what, error.lineno or 0, error.msg
    else:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if frame.filename == what] or [
            frame for frame in frames if "importlib" not in frame.filename
        ]
        file, line = (ours[-1].filename, ours[-1].lineno or 0) if ours else (what, 0)
        reason = " ".join(str(error).split())
    at = f"{file}: line {line}: " if line else f"{file}: "
    reason = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
    return f"{at}does not import: {reason}; mend it, or name another class"


def _class_of(module: ModuleType, name: str) -> type[Strategy]:
    from trade_runtime.strategy import Strategy  # noqa: PLC0415 - the configuration needs none

    where = module.__file__ or module.__name__
    found = vars(module).get(name)
    classes = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Strategy) and value is not Strategy
    }
    if name in classes:
        return classes[name]
    if found is None:
        raise ConfigError(f'{where}: has no class "{name}"{suggest(name, classes)}')
    raise ConfigError(
        f'{where}: "{name}" is no strategy; write class {name}(trade_runtime.Strategy)'
    )


@contextmanager
def _nothing_written() -> Iterator[None]:
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def load_strategies(settings: Settings) -> list[Strategy]:
    """Make every strategy that the settings name, with its name, instruments and params.

    Raises:
        ConfigError: one of them cannot be loaded or made; the message names its table.
    """
    made = []
    for index, table in enumerate(settings.strategies):
        where = f"strategies[{index}].class"
        try:
            strategy = load_strategy_class(table.factory, settings.base_dir)()
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None
        except Exception as error:
            raise ConfigError(
                f"{where}: {table.factory} cannot be made without arguments:"
                f" {type(error).__name__}: {error}"
            ) from None
        strategy.name = StrategyName(table.name)
        strategy.instruments = tuple(table.instruments)
        strategy.params = table.params
        made.append(strategy)
    return made
