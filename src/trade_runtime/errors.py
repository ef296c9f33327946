"""The errors, split by who is at fault.

Every error the runtime raises on purpose is a `TradeRuntimeError`. A caller decides by class: the
configuration (you), a venue (the world outside), a history that was recorded, a store (the disk), a
strategy (the trader's code), or the runtime itself (us). The process exit code that goes with each
stands beside it.
"""

from __future__ import annotations

from pathlib import Path

EXIT_CLEAN = 0
EXIT_FORCED = 1
EXIT_USAGE = 2
EXIT_UNCLEAN = 3
EXIT_FAILED_PART = 4


class TradeRuntimeError(Exception):
    """Base of every error that is raised on purpose."""

    exit_code = EXIT_FAILED_PART


class ConfigError(TradeRuntimeError):
    """The configuration is at fault: the message names the place and the mend. Exit code 2."""

    exit_code = EXIT_USAGE


class DataError(TradeRuntimeError):
    """History is not what it should be: the message names the file and the row. Exit code 2."""

    exit_code = EXIT_USAGE

    @classmethod
    def of_system(cls, path: Path, error: OSError) -> DataError:
        """Return the error of a path that the system does not let be read, with its reason."""
        return cls(f"{path}: cannot be read: {error.strerror or error}; name another")


class VenueError(TradeRuntimeError):
    """A venue did not do what was asked: unreachable, disconnected, refused, or made no sense."""


class VenueDown(VenueError):
    """There is no connection: nothing of the request has left this process."""


class VenueRefused(VenueError):
    """The venue took the request and refused it; the text is the venue's own reason."""


class VenueDisagrees(VenueError):
    """A venue tells what nothing in the journal explains: it is not safe to trade. Exit code 4.

    The message says what, and how to see and adopt it.
    """


class StoreError(TradeRuntimeError):
    """A store could not do its work now: locked by another owner, full, read-only. Exit code 3."""

    exit_code = EXIT_UNCLEAN


class StoreDamaged(StoreError):
    """What a store holds is not what was written: a broken checksum, a newer schema. Exit code
    3.
    """


class StoreBusy(StoreError):
    """Another runtime owns this state; the message says which."""


class CacheError(TradeRuntimeError):
    """A cache did not take what was written: away, frozen, full. It never ends a runtime."""


class CacheTaken(CacheError):
    """A later run of the same name writes to the cache."""


class StoreFenced(StoreError):
    """Another took the store over while this owner did not renew its lease; the message says who.

    Nothing of this owner is written any more. Exit code 3.
    """


class StrategyError(TradeRuntimeError):
    """A strategy's own code failed. It is stopped alone; the others go on."""


class StrategyBlocked(BaseException):
    """Raised inside a strategy that blocks the loop during a stop, to take the loop back.

    It is not an `Exception`, so that a strategy's own `except Exception` does not keep it in.
    """


class OrderRefused(StrategyError):
    """The runtime did not take an order. Nothing was recorded and nothing was sent.

    Attributes:
        reason: one word of `risk`, `halted`, `reduce_only`, `stale`, `warmup`, `tick`, `lot`,
            `instrument`, `amend`, `venue`.
        detail: a sentence that names the limit or the rule and the value that broke it.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class RuntimeFault(TradeRuntimeError):
    """A part of the runtime failed past its bound of restarts, or broke a rule of its own."""
