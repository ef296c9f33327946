"""Finds the recorded market data, which lives beside the repository and not in it.

A test that reads it is marked `recorded` and skips, saying so, where it is absent.
"""

from __future__ import annotations

from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"

ETHUSDT = "binance_spot/recorded/hftbacktest_ethusdt_20240808.jsonl.gz"
FOUR_SYMBOLS = "binance_spot/recorded/cryptofeed_2021-10-12_4symbols.ws.log"


def recorded(path: str) -> Path:
    """Return the recorded file at `path` below `../shared/data`, or skip the test."""
    file = DATA / path
    if not file.exists():
        pytest.skip(f"no recorded data: {file} does not exist")
    return file
