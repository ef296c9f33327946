"""Can a folder be written, or made? Found out without writing anything.

A part of the command line. Permissions alone do not tell: to root everything looks writable, also
what lies on a read-only mount or in a file system of the kernel that holds no files. So where the
system can, it is asked for a file without a name, which never appears and is gone when it is
closed.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from trade_runtime.errors import ConfigError

UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EISDIR, errno.ENOENT})
"""How a file system says that it knows no files without a name. It says nothing else by that."""


def check_data_dir(path: Path, key: str) -> None:
    """Check that `path` is a folder that can be written, or that it could be made.

    Args:
        path: the folder; it need not exist.
        key: of the configuration, for the error.

    Raises:
        ConfigError: it is a file, lies below one, or cannot be written; says which folder it is.
    """
    try:
        nearest = _nearest(path)
        is_folder, is_there = nearest.is_dir(), nearest.exists()
    except ValueError:
        raise ConfigError(f"{key}: {str(path)!r}: no folder can have that name") from None
    except OSError as error:
        raise ConfigError(f"{key}: {path}: {error.strerror or error}; name another") from None
    if not is_folder:
        what = "a file" if is_there else "a link to what does not exist"
        if nearest == path:
            raise ConfigError(f"{key}: {path} is {what}; name a folder")
        raise ConfigError(f"{key}: {path} lies below {nearest}, which is {what}; name another")
    problem = _why_unwritable(nearest)
    if problem is None:
        return
    mend = "name another folder, or give this user the right to write there"
    if nearest == path:
        raise ConfigError(f"{key}: {path} cannot be written: {problem}; {mend}")
    raise ConfigError(f"{key}: {path} cannot be made in {nearest}: {problem}; {mend}")


def _nearest(path: Path) -> Path:
    """Return `path`, or its nearest parent that exists."""
    for place in (path, *path.absolute().parents):
        try:
            place.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        return place
    return path


def _why_unwritable(folder: Path) -> str | None:
    nameless = getattr(os, "O_TMPFILE", None)
    if nameless is not None:
        try:
            os.close(os.open(folder, nameless | os.O_WRONLY, 0o600))
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                return error.strerror or str(error)
        else:
            return None
    if hasattr(os, "statvfs"):
        facts = os.statvfs(folder)
        if facts.f_flag & os.ST_RDONLY:
            return os.strerror(errno.EROFS)
        if not facts.f_blocks:
            return "its file system holds no files"
    ids = {"effective_ids": True} if os.access in os.supports_effective_ids else {}
    return None if os.access(folder, os.W_OK | os.X_OK, **ids) else os.strerror(errno.EACCES)
