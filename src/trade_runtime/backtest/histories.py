"""The histories that a configuration names, opened and merged by time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

import attrs

from trade_runtime.backtest.book_start import book_from
from trade_runtime.backtest.merge import merged
from trade_runtime.errors import ConfigError, DataError
from trade_runtime.plugins import Plugins
from trade_runtime.protocols import HistoryPlugin, HistoryQuery, MarketEvent
from trade_runtime.settings import BacktestSettings, DataSettings, Settings
from trade_runtime.spelling import suggest


def open_histories(settings: Settings, plugins: Plugins) -> Iterator[Sequence[MarketEvent]]:
    """Give every event of `[[backtest.data]]` in chunks, in the order of their times.

    Those of one time come in the order of the tables, and in one chunk.

    Raises:
        ConfigError: there is none, or a format is not known or cannot tell what is asked of it.
        DataError: a history is not what it should be.
    """
    backtest = settings.backtest
    if not backtest.data:
        raise ConfigError(
            "backtest.data: missing; write [[backtest.data]] with instrument, kind and path"
        )
    return merged(
        [
            _events(data, f"backtest.data[{index}]", backtest, plugins)
            for index, data in enumerate(backtest.data)
        ]
    )


def check_beginning(data: DataSettings, where: str, plugins: Plugins) -> None:
    """Read the first chunk of a history, whatever the stretch of time that is wanted.

    Raises:
        ConfigError: the format is not known or cannot tell what is asked of it.
        DataError: it is not what it should be.
    """
    query = HistoryQuery(data.path, data.kind, data.instrument, None, None, data.options)
    next(_plugin(data, where, plugins).read(query), None)


def _events(
    data: DataSettings, where: str, backtest: BacktestSettings, plugins: Plugins
) -> Iterator[Sequence[MarketEvent]]:
    plugin = _plugin(data, where, plugins)
    start_ns, end_ns = backtest.start_ns, backtest.end_ns
    query = HistoryQuery(data.path, data.kind, data.instrument, start_ns, end_ns, data.options)
    if data.kind == "book" and start_ns is not None:
        # What comes before makes the book that it begins with.
        return book_from(start_ns, plugin.read(attrs.evolve(query, start_ns=None)))
    return plugin.read(query)


def _plugin(data: DataSettings, where: str, plugins: Plugins) -> HistoryPlugin:
    if data.format == "auto":
        return _by_name(data, where, plugins)
    found = plugins.histories.get(data.format)
    if found is None:
        raise ConfigError(
            f'{where}.format: no format "{data.format}"{suggest(data.format, plugins.histories)}'
        )
    if data.kind not in found.kinds:
        raise ConfigError(
            f'{where}.kind: the format "{data.format}" tells no {data.kind};'
            f" it tells {', '.join(sorted(found.kinds))}"
        )
    return found


def _by_name(data: DataSettings, where: str, plugins: Plugins) -> HistoryPlugin:
    """Choose a format by the name of the file, or by the names of the files in a folder."""
    able = {
        name: plugins.histories[name]
        for name in sorted(plugins.histories)
        if data.kind in plugins.histories[name].kinds
    }
    path = data.path
    try:
        names = [file.name for file in path.iterdir()] if path.is_dir() else [path.name]
    except OSError as error:
        raise DataError.of_system(path, error) from None
    fitting = {chosen for name in names if (chosen := _format_of(name, able))}
    if len(fitting) == 1:
        return able[fitting.pop()]
    if fitting:
        raise ConfigError(
            f"{where}.format: the folder {path.name} has files of more than one format; name one of"
            f" {', '.join(sorted(fitting))}"
        )
    raise ConfigError(
        f"{where}.format: {path.name} does not tell its format by its name; name one that has"
        f" {data.kind}: {', '.join(able)}"
    )


def _format_of(name: str, able: Mapping[str, HistoryPlugin]) -> str | None:
    for format_name, plugin in able.items():
        if any(fnmatchcase(name, pattern) for pattern in plugin.patterns):
            return format_name
    for format_name, plugin in able.items():
        if name.endswith(plugin.suffixes or ("\0",)):
            return format_name
    return None
