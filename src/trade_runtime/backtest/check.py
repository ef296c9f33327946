"""What keeps a configuration from being run over its history, found without running anything."""

from __future__ import annotations

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
    faults: list[str] = []
    try:
        Backtest(settings, plugins=plugins)
    except ConfigError as error:
        faults += str(error).splitlines()
    for index, data in enumerate(settings.backtest.data):
        where = f"backtest.data[{index}]"
        try:
            check_beginning(data, where, plugins)
        except ConfigError as error:
            faults += str(error).splitlines()
        except DataError as error:
            faults.append(f"{where}: {error}")
    return faults
