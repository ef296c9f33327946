"""Settings that several adapters have: each checked as it is read, in a sentence that names it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import attrs

from trade_runtime.errors import ConfigError


def base_url(*schemes: str) -> Any:
    """Return a validator of a base URL of one of these schemes."""

    def check(_: object, field: attrs.Attribute[Any], value: object) -> None:
        wanted = " or ".join(f"{scheme}://HOST[:PORT]" for scheme in schemes)
        if not isinstance(value, str):
            raise ConfigError(f"{field.name}: must be {wanted}, got {value!r}")
        try:
            parts = urlsplit(value)
            good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a port that is no number, a broken IPv6 address
            good, parts = False, None
        if not good or parts is None or not value.isprintable() or " " in value:
            raise ConfigError(f"{field.name}: must be {wanted}, got {value!r}")
        if parts.query or parts.fragment or parts.username is not None:
            raise ConfigError(
                f"{field.name}: must be a plain base URL, without a user, ? or #, got {value!r}"
            )

    return check


def whole_number(low: int, high: int) -> Any:
    """Return a validator of a whole number within bounds, both included."""

    def check(_: object, field: attrs.Attribute[Any], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ConfigError(
                f"{field.name}: must be a whole number from {low} to {high}, got {value!r}"
            )

    return check
