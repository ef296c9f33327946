"""Where the database is: the URL, and what of it may be shown.

Part of the PostgreSQL store. The URL may hold a password. It goes to the driver and nowhere else;
messages have the `place`, which holds user, host, port and database. Where it cannot be known what
in a URL is a password, the URL is refused without being repeated.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import attrs

from trade_runtime.errors import ConfigError

HINT = (
    'store.url: not the URL of a database; write for example "postgresql://user@host/database", and'
    " of a user or password the characters : / ? # @ % as %3A %2F %3F %23 %40 %25"
)


@attrs.frozen
class Address:
    """Where a database is.

    Attributes:
        url: with everything; never shown.
        place: fit to be shown.
    """

    url: str = attrs.field(repr=False)
    place: str


def read_address(url: str) -> Address:
    """Return what a URL says.

    Raises:
        ConfigError: it is not the URL of a database; it is not repeated.
    """
    try:
        parts = urlsplit(url)
        ports = [host.rpartition(":")[2] for host in _hosts(parts.netloc) if _has_port(host)]
    except ValueError:
        raise ConfigError(HINT) from None
    misplaced = "@" in parts.path or "@" in parts.query or parts.fragment or "#" in url
    if misplaced or not all(port.isdecimal() for port in ports):
        raise ConfigError(HINT)
    if not parts.path.strip("/"):
        raise ConfigError('store.url names no database; write "postgresql://user@host/database"')
    user = parts.netloc.rpartition("@")[0].partition(":")[0]
    host = parts.netloc.rpartition("@")[2]
    return Address(url, f"{parts.scheme}://{user + '@' if user else ''}{host}{parts.path}")


def _hosts(netloc: str) -> list[str]:
    return netloc.rpartition("@")[2].split(",")


def _has_port(host: str) -> bool:
    return ":" in host.rpartition("]")[2]
