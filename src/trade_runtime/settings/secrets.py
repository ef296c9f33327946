"""What must never be printed: passwords and keys, in a repr, a log line or an error.

Stands beside the values: imports nothing of the project. Guarantees that what `masked_url` returns
holds no password, and that the repr of a `Table` shows no value of a key that `is_secret`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

MASK = "***"

_SECRET = re.compile(
    r"(^|_)(api_?key|private_key|secret|(ssl)?password|passwd|passphrase|token)$", re.IGNORECASE
)
_USER_INFO = re.compile(r"(?P<head>[a-z][a-z0-9+.-]*://[^/?#@:]*):\S*@", re.IGNORECASE)
# Up to the last "@": a password with an unquoted "/" is masked too.
_QUERY = re.compile(r"(?P<name>[?&][^=&#]*)=(?P<secret>[^&#]*)")


def is_secret(key: str) -> bool:
    """Tell whether the value of `key` is never to be shown: `api_key`, `db_password`, `token`."""
    return _SECRET.search(key) is not None


def masked_url(url: str) -> str:
    """Return `url` with the password of its user, and secrets in its query, replaced by `***`."""
    masked = _USER_INFO.sub(rf"\g<head>:{MASK}@", url)
    return _QUERY.sub(_masked_parameter, masked)


def masked(value: object, key: str = "") -> object:
    """Return `value` fit to be shown: what stands under a secret key, at any depth, is masked."""
    if key and is_secret(key):
        return MASK
    if isinstance(value, Mapping):
        return {name: masked(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(masked(item) for item in value)
    return masked_url(value) if isinstance(value, str) else value


class Table(Mapping[str, Any]):
    """A table of the configuration as it was written: read only, nested tables too.

    Its repr masks secrets. `dict(table)` gives a copy to change.
    """

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, Any] | None = None) -> None:
        self._items = {str(key): frozen(value) for key, value in (items or {}).items()}

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return repr(masked(self._items))


def frozen(value: Any) -> Any:
    """Return `value` so that nobody can change it: lists as tuples, mappings as `Table`."""
    if isinstance(value, Table):
        return value
    if isinstance(value, Mapping):
        return Table(value)
    if isinstance(value, list | tuple):
        return tuple(frozen(item) for item in value)
    return value


def _masked_parameter(match: re.Match[str]) -> str:
    return f"{match['name']}={MASK}" if is_secret(match["name"][1:]) else match[0]
