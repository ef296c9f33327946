"""The whole configuration: read from a TOML file, or built by an embedding program.

Stands beside the values; what outlives what is not decided here. Guarantees that whatever a
`Settings` names exists in it: the venue of every instrument, one strategy a name. Reading touches
nothing on the disk but the file itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs

from trade_runtime.errors import ConfigError
from trade_runtime.model.ids import InstrumentId, VenueName, symbol_of, venue_of
from trade_runtime.settings.checks import NAME_RULE, is_name
from trade_runtime.settings.history import BacktestSettings, InstrumentSettings
from trade_runtime.settings.keys import read_secret
from trade_runtime.settings.problems import Problem, child, raise_problems
from trade_runtime.settings.reader import fields_by_key, holds_secret, read_table, structure
from trade_runtime.settings.risk import RiskSettings
from trade_runtime.settings.scalars import described
from trade_runtime.settings.secrets import Table, is_secret
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
from trade_runtime.settings.toml import read_toml
from trade_runtime.spelling import suggest

T = TypeVar("T")

_SECTIONS: Final[dict[str, type[Any]]] = {
    "runtime": RuntimeSettings,
    "shutdown": ShutdownConfig,
    "log": LogSettings,
    "store": StoreSettings,
    "owner": OwnerSettings,
    "cache": CacheSettings,
    "prices": PriceSettings,
    "supervision": SupervisionSettings,
    "orders": OrderSettings,
    "risk": RiskSettings,
    "protection": ProtectionSettings,
    "backtest": BacktestSettings,
}


def _strategies(items: Iterable[StrategySettings]) -> tuple[StrategySettings, ...]:
    return tuple(items)


@attrs.frozen
class Settings:
    """Everything a runtime is told before it starts.

    Attributes:
        runtime: name, folder, seed.
        shutdown: budgets and duties of a stop.
        log: level and format.
        store: the journal.
        owner: the lease on the state.
        cache: what other programs read.
        prices: staleness and keep-alive.
        supervision: restarts.
        orders: acknowledgement and reconcile.
        risk: limits.
        protection: stop-losses.
        backtest: the history that a backtest runs over.
        instruments: the rules of instruments that no venue describes.
        venues: by name, the kind and the plug-in's own options.
        strategies: empty where an embedding program brings its own.
        base_dir: what strategy files are relative to.
        source: the file all this was read from, or None.

    Raises:
        ConfigError: an instrument or a name that does not exist, or exists twice.
    """

    runtime: RuntimeSettings = attrs.field(factory=RuntimeSettings)
    shutdown: ShutdownConfig = attrs.field(factory=ShutdownConfig)
    log: LogSettings = attrs.field(factory=LogSettings)
    store: StoreSettings = attrs.field(factory=StoreSettings)
    owner: OwnerSettings = attrs.field(factory=OwnerSettings)
    cache: CacheSettings = attrs.field(factory=CacheSettings)
    prices: PriceSettings = attrs.field(factory=PriceSettings)
    supervision: SupervisionSettings = attrs.field(factory=SupervisionSettings)
    orders: OrderSettings = attrs.field(factory=OrderSettings)
    risk: RiskSettings = attrs.field(factory=RiskSettings)
    protection: ProtectionSettings = attrs.field(factory=ProtectionSettings)
    backtest: BacktestSettings = attrs.field(factory=BacktestSettings)
    instruments: Mapping[InstrumentId, InstrumentSettings] = attrs.field(
        factory=Table, converter=Table
    )
    venues: Mapping[str, VenueTable] = attrs.field(factory=Table, converter=Table)
    strategies: tuple[StrategySettings, ...] = attrs.field(default=(), converter=_strategies)
    base_dir: Path = attrs.field(default=Path(), converter=Path, metadata={"key": None})
    source: Path | None = attrs.field(default=None, metadata={"key": None})

    def __attrs_post_init__(self) -> None:
        """Refuse names that do not exist, or exist twice."""
        raise_problems(list(_cross_check(self)), self.source)

    @classmethod
    def from_toml(cls, path: Path | str) -> Settings:
        """Read a TOML file.

        Raises:
            ConfigError: no such file, broken TOML (with line and column), or what `from_mapping`
                raises, each line with the file's name.
        """
        file = Path(path)
        return cls.from_mapping(read_toml(file), file.absolute().parent, source=file)

    @classmethod
    def from_mapping(
        cls, mapping: Mapping[str, Any], base_dir: Path | str = ".", *, source: Path | None = None
    ) -> Settings:
        """Read a mapping as `tomllib` gives it.

        Args:
            mapping: the whole configuration.
            base_dir: what a relative `data_dir` and strategy files are relative to.
            source: the file, for errors.

        Raises:
            ConfigError: one line for everything that is wrong.
        """
        base = Path(base_dir)
        problems = [
            Problem(str(key), f"unknown table{suggest(str(key), _TABLES)}")
            for key in mapping
            if key not in _TABLES
        ]
        values: dict[str, Any] = {}
        for key, section in _SECTIONS.items():
            value = read_table(section, mapping.get(key, {}), key, problems)
            if value is not None:
                values[key] = value
        if "cache" in mapping and (cache := values.get("cache")) is not None and cache.url is None:
            text = 'missing; write for example url = "redis://localhost:6379/0"'
            problems.append(Problem("cache.url", text))
        values["instruments"] = _read_instruments(mapping.get("instruments", {}), problems)
        values["venues"] = _read_venues(mapping.get("venues", {}), problems)
        values["strategies"] = _read_strategies(mapping.get("strategies", ()), problems)
        if (runtime := values.get("runtime")) is not None:
            folder = base / runtime.data_dir.expanduser()
            values["runtime"] = attrs.evolve(runtime, data_dir=folder)
        if (backtest := values.get("backtest")) is not None:
            data = [attrs.evolve(d, path=base / d.path.expanduser()) for d in backtest.data]
            values["backtest"] = attrs.evolve(backtest, data=data)
        try:
            settings = cls(**values, base_dir=base)
        except ConfigError as error:
            problems.extend(Problem("", line) for line in str(error).splitlines())
            settings = None
        raise_problems(problems, source)
        assert settings is not None
        return attrs.evolve(settings, source=source)

    def venue(self, name: str, path: str) -> VenueTable:
        """Return the `[venues.NAME]` table that `path` names (`venues.paper.market_data`).

        Raises:
            ConfigError: there is none of that name; the nearest is suggested.
        """
        raise_problems(list(_missing_venue(self.venues, name, path)), self.source)
        return self.venues[name]

    def venue_options(
        self,
        name: VenueName | str,
        cls: type[T],
        *,
        without: Collection[str] = (),
        secrets: bool = True,
    ) -> T:
        """Read the options of venue `name` into its plug-in's own settings class.

        Args:
            name: of the table.
            cls: the class.
            without: keys that are not the plug-in's.
            secrets: read what is secret from where the table says that it stands; False leaves it
                out.

        Raises:
            ConfigError: one line for everything that is wrong.
        """
        path = child("venues", name)
        table = self.venue(name, path).options
        options = {key: value for key, value in table.items() if key not in without}
        problems: list[Problem] = []
        for key, (_, kind) in fields_by_key(cls).items():
            if key in options and (is_secret(key) or holds_secret(kind)):
                reference = options.pop(key)
                if secrets:
                    try:
                        secret = read_secret(reference, self.base_dir)
                    except ConfigError as error:
                        problems.append(Problem(child(path, key), str(error)))
                        continue
                    options[key] = secret if holds_secret(kind) else secret.reveal()
        raise_problems(problems, self.source)
        return structure(cls, options, path, source=self.source)


_TABLES: Final = (*_SECTIONS, "instruments", "venues", "strategies")


def _read_instruments(
    raw: object, problems: list[Problem]
) -> dict[InstrumentId, InstrumentSettings]:
    if not isinstance(raw, Mapping):
        problems.append(Problem("instruments", f"expected tables, got {described(raw)}"))
        return {}
    found: dict[InstrumentId, InstrumentSettings] = {}
    for key, table in raw.items():
        path = child("instruments", str(key))
        rules = read_table(InstrumentSettings, table, path, problems)
        if rules is None:
            continue
        found[InstrumentId(str(key))] = rules
        try:
            rules.describe(InstrumentId(str(key)))
        except ValueError as error:
            problems.append(Problem(path, str(error)))
    return found


def _read_venues(raw: object, problems: list[Problem]) -> dict[str, VenueTable]:
    if not isinstance(raw, Mapping):
        problems.append(Problem("venues", f"expected tables, got {described(raw)}"))
        return {}
    venues: dict[str, VenueTable] = {}
    for key, table in raw.items():
        name, path = str(key), child("venues", str(key))
        if not is_name(name):
            problems.append(Problem(path, f"the name of a venue {NAME_RULE}"))
        if not isinstance(table, Mapping):
            problems.append(Problem(path, f"expected a table, got {described(table)}"))
            continue
        kind = table.get("kind")
        if not isinstance(kind, str):
            text = "missing" if kind is None else f"expected a string, got {described(kind)}"
            problems.append(Problem(f"{path}.kind", f'{text}; write for example kind = "paper"'))
        options = {key: value for key, value in table.items() if key != "kind"}
        venues[name] = VenueTable(kind if isinstance(kind, str) else "", options)
    return venues


def _read_strategies(raw: object, problems: list[Problem]) -> tuple[StrategySettings, ...]:
    if not isinstance(raw, list | tuple):
        text = f"expected an array of tables, got {described(raw)}; write [[strategies]]"
        problems.append(Problem("strategies", text))
        return ()
    read = (
        read_table(StrategySettings, table, f"strategies[{index}]", problems)
        for index, table in enumerate(raw)
    )
    return tuple(strategy for strategy in read if strategy is not None)


def _cross_check(settings: Settings) -> Iterator[Problem]:
    """Yield what does not fit together, and what a single table cannot know."""
    for name, times in Counter(strategy.name for strategy in settings.strategies).items():
        if times > 1:
            text = f'{times} strategies have the name "{name}"; give each a name of its own'
            yield Problem("strategies", text)
    for index, strategy in enumerate(settings.strategies):
        path = f"strategies[{index}]"
        if not is_name(strategy.name):
            yield Problem(f"{path}.name", f'{NAME_RULE}, got "{strategy.name}"')
        if ":" not in strategy.factory.strip(":"):
            text = f'expected "FILE.py:CLASS" or "MODULE:CLASS", got "{strategy.factory}"'
            yield Problem(f"{path}.class", text)
        if not strategy.instruments:
            yield Problem(f"{path}.instruments", "name at least one, as SYMBOL.VENUE")
        for instrument, times in Counter(strategy.instruments).items():
            yield from _bad_instrument(settings, instrument, f"{path}.instruments")
            if times > 1:
                yield Problem(f"{path}.instruments", f'"{instrument}" stands there {times} times')
    for index, data in enumerate(settings.backtest.data):
        path = f"backtest.data[{index}].instrument"
        yield from _bad_instrument(settings, data.instrument, path)
    for instrument in settings.instruments:
        yield from _bad_instrument(settings, instrument, child("instruments", instrument))
    for table in ("max_order_quantity", "max_position"):
        for instrument in getattr(settings.risk, table):
            yield from _bad_instrument(settings, instrument, child(f"risk.{table}", instrument))


def _bad_instrument(settings: Settings, instrument: Any, path: str) -> Iterator[Problem]:
    symbol, venue = symbol_of(instrument), venue_of(instrument)
    if not symbol or not venue or any(letter.isspace() for letter in instrument):
        yield Problem(path, f'"{instrument}" is no instrument; write SYMBOL.VENUE')
    else:
        yield from _missing_venue(settings.venues, venue, path)


def _missing_venue(venues: Mapping[str, VenueTable], name: str, path: str) -> Iterator[Problem]:
    if name not in venues:
        yield Problem(path, f"there is no table [venues.{name}]{suggest(name, venues)}")
