"""Arrow's columns as NumPy's.

Below all formats that Arrow reads. Arrow's own `to_numpy` loads pandas wherever that is installed,
which takes longer than most files; this does not.
"""

from __future__ import annotations

from typing import Any


def plain(column: Any) -> Any:
    """Return a column of numbers, or of true and false, of which none is missing."""
    import numpy as np  # noqa: PLC0415 - only a backtest needs it
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_boolean(column.type):
        return np.from_dlpack(column.cast(pa.int8())).astype(bool)
    return np.from_dlpack(column)
