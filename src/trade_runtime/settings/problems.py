"""How a mistake in the configuration is told: one line each, naming the place and the mend.

Stands beside the values: imports `errors` alone. A problem is a TOML path and a sentence;
`raise_problems` makes one `ConfigError` of all of them, so that a trader mends a file in one go.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import attrs

from trade_runtime.errors import ConfigError

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@attrs.frozen
class Problem:
    """Something wrong at `path` (`shutdown.order_timeout_secs`); `text` says what, and the mend."""

    path: str
    text: str


def child(path: str, key: str) -> str:
    """Return the TOML path of `key` in the table at `path`, quoted where TOML needs quotes."""
    part = key if _BARE_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=False)
    return f"{path}.{part}" if path else part


def raise_problems(problems: Sequence[Problem], source: Path | None) -> None:
    """Raise one ConfigError with a line for each problem; none raises nothing.

    Args:
        problems: what is wrong.
        source: the file it was read from, or None.
    """
    if not problems:
        return
    where = f"{source}: " if source is not None else ""
    lines = (
        where + (f"{problem.path}: " if problem.path else "") + problem.text for problem in problems
    )
    raise ConfigError("\n".join(dict.fromkeys(lines)))
