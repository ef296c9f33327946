"""The configuration: frozen attrs classes, read from TOML or built by an embedding program.

Stands beside the values: every layer may read it, and it imports none. A mistake is a `ConfigError`
of one line that names the file, the TOML path, what is wrong and the mend; several mistakes are
several lines. No secret is ever in a repr or in an error.
"""

from trade_runtime.settings.history import BacktestSettings, DataSettings, InstrumentSettings
from trade_runtime.settings.reader import structure
from trade_runtime.settings.risk import RiskSettings
from trade_runtime.settings.root import Settings
from trade_runtime.settings.secrets import Table, is_secret, masked, masked_url
from trade_runtime.settings.sections import (
    CacheSettings,
    LogSettings,
    OrderSettings,
    OwnerSettings,
    PriceSettings,
    ProtectionSettings,
    RuntimeSettings,
    ShutdownConfig,
    StoreSettings,
    StrategySettings,
    SupervisionSettings,
    VenueTable,
)

__all__ = [
    "BacktestSettings",
    "CacheSettings",
    "DataSettings",
    "InstrumentSettings",
    "LogSettings",
    "OrderSettings",
    "OwnerSettings",
    "PriceSettings",
    "ProtectionSettings",
    "RiskSettings",
    "RuntimeSettings",
    "Settings",
    "ShutdownConfig",
    "StoreSettings",
    "StrategySettings",
    "SupervisionSettings",
    "Table",
    "VenueTable",
    "is_secret",
    "masked",
    "masked_url",
    "structure",
]
