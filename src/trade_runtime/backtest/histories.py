"""The histories that a configuration names, opened and merged by time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trade_runtime.backtest.merge import merged
from trade_runtime.errors import ConfigError
from trade_runtime.plugins import Plugins
from trade_runtime.protocols import HistoryPlugin, HistoryQuery, MarketEvent
from trade_runtime.settings import DataSettings, Settings, suggest


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
            _plugin(data, f"backtest.data[{index}]", plugins).read(
                HistoryQuery(
                    data.path,
                    data.kind,
                    data.instrument,
                    backtest.start_ns,
                    backtest.end_ns,
                    data.options,
                )
            )
            for index, data in enumerate(backtest.data)
        ]
    )


def _plugin(data: DataSettings, path: str, plugins: Plugins) -> HistoryPlugin:
    if data.format != "auto":
        found = plugins.histories.get(data.format)
        if found is None:
            raise ConfigError(
                f'{path}.format: no format "{data.format}"{suggest(data.format, plugins.histories)}'
            )
        if data.kind not in found.kinds:
            raise ConfigError(
                f'{path}.kind: the format "{data.format}" tells no {data.kind};'
                f" it tells {', '.join(sorted(found.kinds))}"
            )
        return found
    for name in sorted(plugins.histories):
        plugin = plugins.histories[name]
        if data.kind in plugin.kinds and data.path.name.endswith(plugin.suffixes or ("\0",)):
            return plugin
    raise ConfigError(
        f"{path}.format: {data.path.name} does not tell its format by its name; name one of"
        f" {', '.join(sorted(plugins.histories))}"
    )
