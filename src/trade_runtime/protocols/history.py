"""What a format of history must be: events in chunks, in order, or one clear error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import attrs

from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import Bar, BookLevels, Quote, Trade

MarketEvent = Quote | Trade | Bar | BookLevels
"""One thing that a history tells."""


@attrs.frozen
class HistoryQuery:
    """What is wanted of a history.

    Attributes:
        path: a file, or a folder of files where the format has such.
        kind: `quotes`, `trades`, `bars` or `book`.
        instrument: what the events are to be of.
        start_ns: events before this are left out; None for none.
        end_ns: events at this and after are left out; None for none.
        options: what else the `[[backtest.data]]` table says, as the format understands it.
    """

    path: Path
    kind: str
    instrument: InstrumentId
    start_ns: int | None = None
    end_ns: int | None = None
    options: Mapping[str, Any] = attrs.field(factory=dict)


class ReadHistory(Protocol):
    """The call signature of `HistoryPlugin.read`."""

    def __call__(self, query: HistoryQuery) -> Iterator[Sequence[MarketEvent]]:
        """Give the events in chunks of bounded size, in the order of their times.

        Raises:
            DataError: a file is missing, or is not what it should be; with file and row. What came
                before was as it should be.
        """


@attrs.frozen
class HistoryPlugin:
    """What an entry point of `trade_runtime.histories` names: a format that history comes in.

    Attributes:
        read: gives the events.
        kinds: the kinds of events it can give.
        suffixes: the endings of file names that it is chosen by; none where it must be named.
        patterns: of whole file names, as `fnmatch` has them. A name that fits one is of this format
            whatever it ends in.
    """

    read: ReadHistory
    kinds: frozenset[str]
    suffixes: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
