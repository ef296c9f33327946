"""Where a secret stands, and how it is read from there: the environment, a file, or a keyring.

Stands beside the values. A configuration names a secret and never holds it, since files are copied,
shared and kept under version control. No error tells anything of what was found.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from trade_runtime.errors import ConfigError
from trade_runtime.model.secret import Secret

MAX_SECRET_BYTES: Final = 16_384
"""More than any key takes: a longer file was named by mistake."""

FORMS: Final = '"env:NAME", "file:PATH" or "keyring:SERVICE/NAME"'


def read_secret(reference: object, base_dir: Path) -> Secret:
    """Return the secret that a reference names.

    Args:
        reference: `env:NAME`, `file:PATH` or `keyring:SERVICE/NAME`, as it was written.
        base_dir: what a relative PATH is relative to.

    Raises:
        ConfigError: it names none, or what it names is not there, or is open to others.
    """
    if isinstance(reference, Secret):
        return reference
    if not isinstance(reference, str):
        raise ConfigError(f"expected {FORMS}")
    kind, _, place = reference.partition(":")
    if not place or kind not in _SOURCES:
        # What was written may be the key itself: it is not repeated.
        raise ConfigError(
            f"a secret does not stand in a configuration; write {FORMS}, and make the key anew"
            " where it stood in a file that others can read"
        )
    text = _SOURCES[kind](place, base_dir).strip()
    if not text:
        raise ConfigError(f"{kind}:{place} is empty")
    return Secret(text)


def _from_environment(name: str, base_dir: Path) -> str:
    text = os.environ.get(name)
    if text is None:
        raise ConfigError(f"the environment has no {name}; set it, for example: export {name}=...")
    return text


def _from_file(place: str, base_dir: Path) -> str:
    path = base_dir / Path(place).expanduser()
    try:
        # Looked at and read by one descriptor, so that what was looked at is what is read.
        with open(path, "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise ConfigError(f"{path} is no file")
            if hasattr(os, "geteuid"):
                _check_owner(path, found)
            data = file.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise ConfigError(f"{place!r}: no file can have that name") from None
    if len(data) > MAX_SECRET_BYTES:
        raise ConfigError(f"{path} has more than {MAX_SECRET_BYTES} bytes: it holds no key")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is no text: it holds no key") from None


def _check_owner(path: Path, found: os.stat_result) -> None:
    if found.st_uid not in (os.geteuid(), 0):
        raise ConfigError(f"{path} belongs to another user; copy it to a file of your own")
    if found.st_mode & 0o077:
        raise ConfigError(f"{path} can be read by others; run: chmod 600 {path}")


def _from_keyring(place: str, base_dir: Path) -> str:
    service, slash, name = place.rpartition("/")
    if not slash or not service or not name:
        raise ConfigError(f"keyring:{place} names no entry; write keyring:SERVICE/NAME")
    try:
        import keyring  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError(
            "the library keyring is not installed; run: pip install 'trade-runtime[keyring]'"
        ) from None
    try:
        text: str | None = keyring.get_password(service, name)
    except Exception as error:  # a back end may raise anything, and its text may tell anything
        raise ConfigError(f"the keyring gives no answer ({type(error).__name__})") from None
    if text is None:
        raise ConfigError(f"the keyring has no {service}/{name}; run: keyring set {service} {name}")
    return text


_SOURCES: Final[Mapping[str, Callable[[str, Path], str]]] = {
    "env": _from_environment,
    "file": _from_file,
    "keyring": _from_keyring,
}
