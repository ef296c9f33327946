"""What keeps a configuration from being run over its history, found without running anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trade_runtime.backtest.grid import Point
from trade_runtime.backtest.histories import check_beginning
from trade_runtime.backtest.run import Backtest
from trade_runtime.errors import ConfigError, DataError
from trade_runtime.plugins import Plugins
from trade_runtime.settings import Settings


def faults_of(settings: Settings, plugins: Plugins) -> list[str]:
    """Return a line for each thing that is wrong; none where a backtest can begin.

    Of each history the beginning is read, so that its columns and options are checked. What lies
    behind it is not.

    Args:
        settings: the configuration; its `[backtest]` names the history.
        plugins: where venues and formats are found.
    """
    return [*_parts(settings, plugins), *_histories(settings, plugins)]


def check_points(points: Sequence[Point], plugins: Plugins | None = None) -> None:
    """Refuse a grid in which a value can never be run, before anything is.

    Each value is tried once, not each combination of them.

    Args:
        points: of the grid.
        plugins: to find venues and formats instead of the installed ones.

    Raises:
        ConfigError: a line for each thing that is wrong, however many points have it.
    """
    plugins = plugins or Plugins()
    faults: list[str] = []
    tried: set[tuple[str, str]] = set()
    for number, point in enumerate(points):
        new = {(key, repr(value)) for key, value in point.values.items()} - tried
        if new:
            tried |= new
            settings = point.settings()
            faults += _parts(settings, plugins)
            if number == 0 or any(key.startswith("backtest.") for key, _ in new):
                faults += _histories(settings, plugins)
    if faults:
        raise ConfigError("\n".join(dict.fromkeys(faults)))


def _parts(settings: Settings, plugins: Plugins) -> list[str]:
    """Put the strategies and the venues together, and leave them."""
    try:
        Backtest(settings, plugins=plugins)
    except ConfigError as error:
        return str(error).splitlines()
    return []


def _histories(settings: Settings, plugins: Plugins) -> Iterator[str]:
    for index, data in enumerate(settings.backtest.data):
        where = f"backtest.data[{index}]"
        try:
            check_beginning(data, where, plugins)
        except ConfigError as error:
            yield from str(error).splitlines()
        except DataError as error:
            yield f"{where}: {error}"
