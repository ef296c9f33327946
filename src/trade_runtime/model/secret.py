"""A key or a password that is never shown: what prints, copies or pickles it gets a mask.

A value: imports nothing. Whoever needs the text asks for it by `reveal`, at the moment of use, so
that a search for that word finds every place where a secret leaves its cover.
"""

from __future__ import annotations

import hmac
from typing import Final, NoReturn

MASK: Final = "***"


class Secret:
    """A secret text.

    `repr`, `str`, `format` and any container's repr show `***`. It compares without telling by its
    time how much was right. It refuses to be pickled; a copy of it is itself.

    Args:
        text: the secret; not empty.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the secret text: for a signature or a header, never for a log or an error."""
        return self._text

    def __repr__(self) -> str:
        return MASK

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not written down: pass the reference that names it")
